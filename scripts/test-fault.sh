#!/usr/bin/env bash
# Breaks what a sale runs on, under load, and compares the books afterwards; the last line counts.
#
#   scripts/test-fault.sh            every fault
#   scripts/test-fault.sh mutants    each safeguard that has a mutant, removed: its tests have to fail
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
results=$PWD/.holdfast/fault-results
servers=$PWD/.holdfast/fault-servers
venv=$PWD/.holdfast/venv
rm -rf "$results" && mkdir -p "$results"

scripts/packages.sh test || exit 1
scripts/python.sh "$venv" Tests/requirements.txt || exit 1
if [ -z "${HOLDFAST_BINARY:-}" ]; then
    say "Building the service"
    swift build --product holdfast || exit 1
    export HOLDFAST_BINARY=$PWD/.build/debug/holdfast
fi

say "Starting a private PostgreSQL and a private Redis"
. scripts/test-stores.sh

if [ "${1:-}" = mutants ]; then
    noticed=0 missed=0
    while read -r mutant test notice; do
        log=$results/$mutant-${test##*::}.log
        HOLDFAST_MUTANT=$mutant "$venv/bin/pytest" -q "Tests/Fault/$test" >"$log" 2>&1
        # 1: a test failed. For another reason, or not at all, is no notice.
        if [ $? -eq 1 ] && grep '^E ' "$log" | grep -qF "$notice"; then
            noticed=$((noticed + 1)); printf '%-12s noticed by %s\n' "$mutant" "$test"
        else
            missed=$((missed + 1)); printf '%-12s NOT NOTICED by %s; see %s\n' "$mutant" "$test" "$log"
        fi
    done < <("$venv/bin/python" -c 'import sys; sys.path[:0] = ["Tests/support", "scripts"]; import mutants; mutants.main()')
    echo "$noticed passed, $missed failed"
    [ "$missed" -eq 0 ] && [ "$noticed" -gt 0 ]
    exit
fi

"$venv/bin/pytest" -q Tests/Fault --durations=5 --junitxml "$results/Fault.xml"
echo $? >"$results/Fault.status"
scripts/count-results.py "$results"
