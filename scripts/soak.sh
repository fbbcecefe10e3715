#!/usr/bin/env bash
# Sales one after another for MINUTES (60): memory, descriptors and Redis' keys must not grow. Exit status 1 if they do.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh test
scripts/python.sh "$PWD/.holdfast/venv" Tests/requirements.txt
if [ -z "${HOLDFAST_BINARY:-}" ]; then
    echo "==> Building the release (the first time takes 5 to 10 minutes, later seconds)"
    swift build -c release --product holdfast
    export HOLDFAST_BINARY=$PWD/.build/release/holdfast
fi
exec .holdfast/venv/bin/python Tests/Fault/soak.py
