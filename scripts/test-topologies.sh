#!/usr/bin/env bash
# The suites of whatever uses Redis, on one server, on Sentinel and on a cluster; then failovers, moving slots and a Redis
# from an old file under whole instances. The last line counts what passed and what failed.
#
#   scripts/test-topologies.sh
#
# `make test` has the failing servers under the client; the rest takes some minutes more.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
results=$PWD/.holdfast/topology-results
servers=$PWD/.holdfast/topology-servers
venv=$PWD/.holdfast/venv
rm -rf "$results" && mkdir -p "$results"

scripts/packages.sh test || exit 1
say "Building the service and its tests"
swift build --build-tests || exit 1

stop() {
    for kind in standalone sentinel cluster; do
        [ ! -e "$servers/$kind/topology.json" ] || scripts/topologies.py stop "$servers/$kind"
    done
    scripts/services.sh stop "$servers/stores"
}
trap stop EXIT
trap 'exit 130' INT TERM
scripts/services.sh start "$servers/stores" || exit 1
# shellcheck source=/dev/null
. "$servers/stores/env"
export HOLDFAST_TEST_DATABASE_URL=$DATABASE_URL HOLDFAST_TEST_SERVICE_DATABASE_URL=$SERVICE_DATABASE_URL
unset DATABASE_URL REDIS_URL SERVICE_DATABASE_URL SERVICE_REDIS_URL
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(($(nproc) * 6))

# Those that start servers of their own need no topology around them, and run once.
own='RedisFaultRedisTests|ClusterRedisTests|SentinelRedisTests|RecoveryRedisTests'
suites='RedisTests|SocketIORedisTests|SeatingTests|WaitingRoomTests|SessionsTests|PresenceTests'
for kind in standalone sentinel cluster; do
    say "Swift suites on: $kind"
    rm -rf "${servers:?}/$kind"
    scripts/topologies.py start "$kind" "$servers/$kind" || exit 1
    # shellcheck source=/dev/null
    . "$servers/$kind/env"
    HOLDFAST_TEST_REDIS_URL=$REDIS_URL swift test --skip-build --filter "$suites" --skip "$own" \
        --xunit-output "$results/$kind.xml"
    echo $? >"$results/$kind.status"
done

say "Servers that fail and slots that move, under the client"
# shellcheck source=/dev/null
. "$servers/standalone/env"
HOLDFAST_TEST_REDIS_URL=$REDIS_URL swift test --skip-build --filter "ClusterRedisTests|SentinelRedisTests" \
    --xunit-output "$results/failing.xml"
echo $? >"$results/failing.status"

if [ ! -x "$venv/bin/pytest" ] || ! cmp -s Tests/requirements.txt "$venv/requirements.txt"; then
    say "Installing the Python clients that the tests drive"
    rm -rf "$venv"
    python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r Tests/requirements.txt &&
        cp Tests/requirements.txt "$venv/requirements.txt" || exit 1
fi
export HOLDFAST_BINARY=$PWD/.build/debug/holdfast HOLDFAST_TEST_REDIS_URL=$REDIS_URL
# A cluster has one database, so tests whose instances would share it with a module's others run by themselves.
alone='leaders_death'
for kind in sentinel cluster; do
    say "Journeys on: $kind"
    HOLDFAST_TEST_TOPOLOGY=$servers/$kind "$venv/bin/pytest" -q Tests/Journeys/test_on_sale.py \
        Tests/Journeys/test_waiting_room.py -k "not $alone" --junitxml "$results/journeys-$kind.xml"
    echo $? >"$results/journeys-$kind.status"
    HOLDFAST_TEST_TOPOLOGY=$servers/$kind "$venv/bin/pytest" -q Tests/Journeys/test_waiting_room.py -k "$alone" \
        --junitxml "$results/alone-$kind.xml"
    echo $? >"$results/alone-$kind.status"
done
say "Servers that fail and slots that move, under whole instances"
"$venv/bin/pytest" -q Tests/Topologies --junitxml "$results/sales.xml"
echo $? >"$results/sales.status"

scripts/count-results.py "$results"
