#!/usr/bin/env bash
# Brings up the whole main job on this machine: packages, build, private stores under .holdfast/, migrations, demo data,
# one instance. Ctrl-C stops all that it started; the data stays for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
folder=$PWD/.holdfast/run
holdfast=.build/release/holdfast
export HOLDFAST_HOST=${HOLDFAST_HOST:-127.0.0.1} HOLDFAST_PORT=${HOLDFAST_PORT:-8080}

scripts/packages.sh run

if python3 - "$HOLDFAST_HOST" "$HOLDFAST_PORT" <<'PY'
import socket, sys
with socket.socket() as probe:
    probe.settimeout(1)
    sys.exit(probe.connect_ex((sys.argv[1], int(sys.argv[2]))))
PY
then
    echo "make run: something already listens on $HOLDFAST_HOST:$HOLDFAST_PORT; stop it or set HOLDFAST_PORT" >&2
    exit 1
fi

say "Building the release (the first time takes 5 to 10 minutes, later seconds)"
swift build -c release --product holdfast

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

say "Starting a private PostgreSQL and a private Redis under .holdfast/run"
scripts/services.sh start "$folder" --durable
set -a
. "$folder/env"
set +a

if [ ! -s "$folder/secrets" ]; then
    (umask 077 && head -c 32 /dev/urandom | base64 -w0 >"$folder/secrets")
fi
HOLDFAST_SECRETS=${HOLDFAST_SECRETS:-$(cat "$folder/secrets")}
export HOLDFAST_SECRETS

say "Applying migrations"
$holdfast migrate
psql -q -v ON_ERROR_STOP=1 -f Deploy/postgres/grants.sql "$DATABASE_URL"
# From here on with the service's own rights and no others.
DATABASE_URL=$SERVICE_DATABASE_URL
REDIS_URL=$SERVICE_REDIS_URL

if [ ! -e "$folder/demo-event" ]; then
    say "Making the demo: an arena of 5,000 seats and three accounts"
    for user in fan1:user fan2:user boxoffice:admin; do
        printf 'holdfast-demo\n' | $holdfast user create --user-id "${user%%:*}" --name "Demo ${user%%:*}" \
            --email "${user%%:*}@example.org" --role "${user##*:}" --password-stdin >/dev/null
    done
    event=$($holdfast event create --file Deploy/demo/event.json)
    $holdfast event open "$event" >/dev/null
    printf '%s\n' "$event" >"$folder/demo-event"
fi

say "Starting one instance"
$holdfast serve &
server=$!
for _ in $(seq 300); do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit 1; }
    if python3 - "$HOLDFAST_HOST" "$HOLDFAST_PORT" <<'PY' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://{sys.argv[1]}:{sys.argv[2]}/health/ready", timeout=1)
PY
    then
        break
    fi
    sleep 0.1
done
cat <<READY

    Holdfast serves http://$HOLDFAST_HOST:$HOLDFAST_PORT

    Sign in as  fan1  fan2  boxoffice (an administrator),  password  holdfast-demo
    Two browsers, two fans, one event: watch the seats move. Ctrl-C stops everything.

READY
wait "$server"
