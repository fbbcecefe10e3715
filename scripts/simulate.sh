#!/usr/bin/env bash
# Plays a whole on-sale on this machine: private stores, three instances, a hall of 9,000 seats, and fans from another
# process; checks every promise and stops all it started. The exit status is that of the play.
#
#   scripts/simulate.sh [FANS] [further options of 'holdfast simulate']
#
# HOLDFAST_BINARY takes another binary than the release build. SIMULATE_LOBBY=SECONDS: people wait in a lobby, which is
# drawn when the sale opens after so many seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
fans=${1:-5000}
[ $# -gt 0 ] && shift
folder=$PWD/.holdfast/simulate
holdfast=${HOLDFAST_BINARY:-}
if [ -z "$holdfast" ]; then
    scripts/packages.sh run
    say "Building the release (the first time takes 5 to 10 minutes, later seconds)"
    swift build -c release --product holdfast
    holdfast=.build/release/holdfast
fi
ulimit -n "$(ulimit -Hn)"

servers=()
stop_all() {
    trap - EXIT INT TERM
    say "Stopping"
    for server in ${servers[@]+"${servers[@]}"}; do kill -TERM "$server" 2>/dev/null || true; done
    for server in ${servers[@]+"${servers[@]}"}; do wait "$server" 2>/dev/null || true; done
    scripts/services.sh stop "$folder"
}
trap stop_all EXIT
trap 'exit 143' TERM
# The play ends by itself at Ctrl-C, and reports.
trap : INT

say "Starting a private PostgreSQL and a private Redis under .holdfast/simulate"
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
REDIS_URL=$SERVICE_REDIS_URL

mode=fifo opens=null
if [ -n "${SIMULATE_LOBBY:-}" ]; then
    mode=lobby opens=$(date -u -d "+$SIMULATE_LOBBY seconds" '+"%Y-%m-%dT%H:%M:%S.000Z"')
fi
cat >"$folder/event.json" <<JSON
{"title":"Simulated Night","venue":"Hall","startsAt":"2030-01-15T10:00:00.000Z","currency":"KRW",
 "sale":{"opensAt":$opens,"maxSeatsPerUser":4,"holdSeconds":60,"noOrphanSeats":false},
 "queue":{"enabled":true,"maxActive":600,"ratePerMinute":3600,"mode":"$mode","passSeconds":120},
 "sections":[{"name":"A","rows":20,"seatsPerRow":50,"price":150000},
             {"name":"B","rows":40,"seatsPerRow":100,"price":100000},
             {"name":"C","rows":40,"seatsPerRow":100,"price":60000}],
 "generalAdmission":[{"name":"Floor","capacity":500,"price":50000}]}
JSON
event=$($holdfast event create --file "$folder/event.json")
[ "$mode" = lobby ] || $holdfast event open "$event" >/dev/null

say "Starting three instances"
urls=()
for index in 1 2 3; do
    port=$(scripts/ports.py)
    HOLDFAST_PORT=$port HOLDFAST_INSTANCE=simulate-$index $holdfast serve 2>"$folder/instance-$index.log" &
    servers+=($!)
    urls+=(--url "http://127.0.0.1:$port")
    for _ in $(seq 300); do
        kill -0 "${servers[-1]}" 2>/dev/null || { cat "$folder/instance-$index.log" >&2; exit 1; }
        python3 - "$port" <<'PY' 2>/dev/null && break
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health/ready", timeout=1)
PY
        sleep 0.1
    done
done

say "$fans fans come"
$holdfast simulate --event "$event" --fans "$fans" "${urls[@]}" --json "$folder/report.json" "$@"
