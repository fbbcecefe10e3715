#!/usr/bin/env bash
# A Python environment with what a requirements file names; says nothing when it is up to date.
#
#   scripts/python.sh VENV REQUIREMENTS
set -euo pipefail
venv=$1 requirements=$2
if [ -x "$venv/bin/python" ] && cmp -s "$requirements" "$venv/requirements.txt"; then exit 0; fi
echo "==> Installing the Python packages of $requirements"
rm -rf "$venv"
python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements"
cp "$requirements" "$venv/requirements.txt"
