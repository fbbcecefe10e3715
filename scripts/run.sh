#!/usr/bin/env bash
# Brings up the whole main job on this machine: packages, build, private stores under .holdfast/, migrations, demo data,
# one instance. Ctrl-C stops all that it started; the data stays for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$PWD/.holdfast/run
holdfast=.build/release/holdfast
export HOLDFAST_HOST=${HOLDFAST_HOST:-127.0.0.1} HOLDFAST_PORT=${HOLDFAST_PORT:-8080}
# No balancer has to notice that it stops.
export DRAIN_NOTICE_SECONDS=${DRAIN_NOTICE_SECONDS:-0}
. scripts/demo.sh

scripts/packages.sh run
require_free "$HOLDFAST_HOST" "$HOLDFAST_PORT" "set HOLDFAST_PORT"
build_release

server=
stop_all() {
    trap - EXIT INT TERM
    say "Stopping"
    if [ -n "$server" ]; then
        kill -TERM "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    scripts/services.sh stop "$folder"
    say "Stopped. The data stays in .holdfast/run; 'make clean-data' removes it."
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare_stores
say "Starting one instance"
$holdfast serve &
server=$!
wait_ready "http://$HOLDFAST_HOST:$HOLDFAST_PORT" "$server"
cat <<READY

    Holdfast serves http://$HOLDFAST_HOST:$HOLDFAST_PORT

    Sign in as  fan1  fan2  boxoffice (an administrator),  password  holdfast-demo
    Two browsers, two fans, one event: watch the seats move. Ctrl-C stops everything.

READY
wait "$server"
