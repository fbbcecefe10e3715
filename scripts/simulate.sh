#!/usr/bin/env bash
# Plays a whole on-sale on this machine: private stores, three instances, a hall of 9,000 seats, and fans from another
# process; checks every promise and stops all it started. The exit status is that of the play.
#
#   scripts/simulate.sh [FANS] [further options of 'holdfast simulate']
#
# HOLDFAST_BINARY takes another binary than the release build. SIMULATE_LOBBY=SECONDS: people wait in a lobby, which is
# drawn when the sale opens after so many seconds.
#
# SIMULATE_FAULTS=SECONDS: Redis has replicas and sentinels, HAProxy sends every connection to another instance. Each so
# many seconds something fails: one instance is killed, another leaves, Redis' primary is killed. All are started again.
set -euo pipefail
cd "$(dirname "$0")/.."

fans=${1:-5000}
[ $# -gt 0 ] && shift
folder=$PWD/.holdfast/simulate
sentinels=$folder/sentinels
holdfast=${HOLDFAST_BINARY:-.build/release/holdfast}
. scripts/demo.sh

if [ -n "${SIMULATE_FAULTS:-}" ]; then scripts/packages.sh cluster; fi
if [ -z "${HOLDFAST_BINARY:-}" ]; then
    scripts/packages.sh run
    build_release
fi
ulimit -n "$(ulimit -Hn)"

pids=()
stop_all() {
    trap - EXIT INT TERM
    say "Stopping"
    for pid in ${pids[@]+"${pids[@]}"}; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
    [ ! -e "$sentinels/topology.json" ] || scripts/topologies.py stop "$sentinels"
    rm -rf "$sentinels"
    scripts/services.sh stop "$folder"
}
trap stop_all EXIT
trap 'exit 143' TERM
# The play ends by itself at Ctrl-C, and reports.
trap : INT

# What fails in the middle of the play.
fail_in_turn() {
    trap 'kill "$waiting" 2>/dev/null; exit' TERM
    for fault in kill leave failover; do
        sleep "$SIMULATE_FAULTS" & waiting=$!
        wait "$waiting"
        case $fault in
        kill)
            say "Killing simulate-1 (SIGKILL)"
            kill -KILL "$(cat "$folder/simulate-1.pid")"
            ;;
        leave)
            say "simulate-2 is asked to leave (SIGTERM)"
            kill -TERM "$(cat "$folder/simulate-2.pid")"
            ;;
        failover)
            primary=$(scripts/topologies.py primary "$sentinels")
            say "Killing Redis' primary (port $primary)"
            scripts/topologies.py kill "$sentinels" "$primary"
            until promoted=$(scripts/topologies.py primary "$sentinels") && [ "$promoted" != "$primary" ]; do
                sleep 0.2
            done
            say "Redis has failed over (to port $promoted)"
            scripts/topologies.py restart "$sentinels" "$primary"
            ;;
        esac
    done
}

say "Starting private stores under .holdfast/simulate"
scripts/services.sh start "$folder"
set -a
. "$folder/env"
set +a
[ -s "$folder/secrets" ] || (umask 077 && head -c 32 /dev/urandom | base64 -w0 >"$folder/secrets")
HOLDFAST_SECRETS=$(cat "$folder/secrets")
export HOLDFAST_SECRETS LOG_LEVEL=${LOG_LEVEL:-warning}
$holdfast migrate >/dev/null
psql -q -v ON_ERROR_STOP=1 -f Deploy/postgres/grants.sql "$DATABASE_URL"
DATABASE_URL=$SERVICE_DATABASE_URL
if [ -n "${SIMULATE_FAULTS:-}" ]; then
    scripts/topologies.py start sentinel "$sentinels"
    . "$sentinels/env"
fi
REDIS_URL=$SERVICE_REDIS_URL

mode=fifo opens=null
if [ -n "${SIMULATE_LOBBY:-}" ]; then
    mode=lobby opens=$(date -u -d "+$SIMULATE_LOBBY seconds" '+"%Y-%m-%dT%H:%M:%S.000Z"')
fi
cat >"$folder/event.json" <<JSON
{"title":"Simulated Night","venue":"Hall","startsAt":"2030-01-15T10:00:00.000Z","currency":"KRW",
 "sale":{"opensAt":$opens,"maxSeatsPerUser":4,"holdSeconds":60,"noOrphanSeats":false},
 "queue":{"enabled":true,"maxActive":$((fans * 12 / 100 + 1)),"ratePerMinute":$((fans * 72 / 100 + 1)),"mode":"$mode",
          "passSeconds":120},
 "sections":[{"name":"A","rows":20,"seatsPerRow":50,"price":150000},
             {"name":"B","rows":40,"seatsPerRow":100,"price":100000},
             {"name":"C","rows":40,"seatsPerRow":100,"price":60000}],
 "generalAdmission":[{"name":"Floor","capacity":500,"price":50000}]}
JSON
event=$($holdfast event create --file "$folder/event.json")
[ "$mode" = lobby ] || $holdfast event open "$event" >/dev/null

say "Starting three instances"
mapfile -t ports < <(scripts/ports.py 4)
urls=()
for number in 1 2 3; do
    port=${ports[$((number - 1))]}
    : >"$folder/instance-$number.log"
    keep "simulate-$number" "$port" 2>>"$folder/instance-$number.log" &
    pids+=($!)
    export "HOLDFAST_$number=127.0.0.1:$port"
    urls+=(--url "http://127.0.0.1:$port")
done
for number in 1 2 3; do
    wait_ready "http://127.0.0.1:${ports[$((number - 1))]}" "${pids[$((number - 1))]}" ||
        { cat "$folder/instance-$number.log" >&2; exit 1; }
done

if [ -n "${SIMULATE_FAULTS:-}" ]; then
    HOLDFAST_ANYWHERE=127.0.0.1:${ports[3]} haproxy -db -f Deploy/haproxy/common.cfg -f Deploy/haproxy/anywhere.cfg \
        2>"$folder/haproxy.log" &
    # Nobody has to notice that the instances stop: the balancer goes first.
    pids=($! "${pids[@]}")
    urls=(--url "http://127.0.0.1:${ports[3]}" --failovers 1)
    wait_ready "http://127.0.0.1:${ports[3]}" "${pids[0]}" || { cat "$folder/haproxy.log" >&2; exit 1; }
    fail_in_turn &
    faults=$!
    pids=("$faults" "${pids[@]}")
fi

say "$fans fans come"
status=0
$holdfast simulate --event "$event" --fans "$fans" "${urls[@]}" --json "$folder/report.json" "$@" || status=$?
if [ -n "${faults:-}" ] && kill -0 "$faults" 2>/dev/null; then
    echo "the play was over before everything had failed; let more fans come, or set SIMULATE_FAULTS lower" >&2
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
