#!/usr/bin/env bash
# Every test on private servers and free ports; the last line counts what passed and what failed.
#
#   scripts/test.sh all | unit | services | protocol | interop | journeys | browser | api
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
kind=${1:-all}
results=$PWD/.holdfast/test-results
servers=$PWD/.holdfast/test-servers
venv=$PWD/.holdfast/venv
rm -rf "$results" && mkdir -p "$results"

case $kind in
unit) swift_arguments=(--skip 'RedisTests' --skip 'PostgresTests' --skip 'ProtocolTests') ;;
services) swift_arguments=(--filter 'RedisTests|PostgresTests') ;;
protocol) swift_arguments=(--filter 'ProtocolTests') ;;
*) swift_arguments=() ;;
esac
runs() { [ "$kind" = all ] || [ "$kind" = "$1" ]; }

scripts/packages.sh test || exit 1

say "Building the service and its tests (the first time takes 5 to 10 minutes)"
swift build --build-tests || exit 1

say "Starting a private PostgreSQL and a private Redis"
. scripts/test-stores.sh

if [ "$kind" = all ] || [ "$kind" = unit ] || [ "$kind" = services ] || [ "$kind" = protocol ]; then
    say "Swift tests"
    # All tests at once would only measure how long the servers' queues are.
    export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(($(nproc) * 6))
    swift test --skip-build --xunit-output "$results/swift.xml" ${swift_arguments[@]+"${swift_arguments[@]}"}
    echo $? >"$results/swift.status"
fi

if runs unit; then
    say "Web client: unit tests"
    node --test --test-reporter=tap Tests/Browser/unit/*.test.mjs >"$results/web.tap"
    echo $? >"$results/web.status"
    grep -E '^not ok|^    not ok' "$results/web.tap"
fi

if runs interop || runs journeys || runs browser; then
    scripts/python.sh "$venv" Tests/requirements.txt || exit 1
    export HOLDFAST_BINARY=$PWD/.build/debug/holdfast
    if runs interop; then
        say "Interop: the protocol over raw sockets, and other people's Socket.IO clients"
        # Most of these tests wait for the clock of a heartbeat: a few processes wait at once.
        HOLDFAST_FIXTURE=${HOLDFAST_FIXTURE:-$PWD/.build/debug/SocketIOFixture} \
            "$venv/bin/pytest" -q -n 2 --dist loadfile Tests/Interop --junitxml "$results/Interop.xml"
        echo $? >"$results/Interop.status"
    fi
    if runs journeys; then
        say "Faults: a selection; 'make test-fault' runs all"
        "$venv/bin/pytest" -q -m short Tests/Fault --junitxml "$results/Fault.xml"
        echo $? >"$results/Fault.status"
    fi
    for suite in Journeys Browser; do
        runs "$(echo "$suite" | tr '[:upper:]' '[:lower:]')" || continue
        say "$suite"
        "$venv/bin/pytest" -q "Tests/$suite" --junitxml "$results/$suite.xml"
        echo $? >"$results/$suite.status"
    done
fi

if [ "$kind" = api ]; then
    tools=$PWD/.holdfast/venv-api
    scripts/python.sh "$tools" Tests/Api/requirements.txt || exit 1
    export HOLDFAST_BINARY=$PWD/.build/debug/holdfast
    say "Playing /openapi.json"
    PATH=$tools/bin:$PATH python3 Tests/Api/run.py "$results"
    echo $? >"$results/api.status"
fi

scripts/count-results.py "$results"
