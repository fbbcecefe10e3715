# shellcheck shell=bash
# What run.sh, cluster.sh and simulate.sh share; sourced by them. They set `folder` (of the private stores) and `holdfast`.

say() { printf '==> %s\n' "$*"; }

# Fails when something listens at host $1, port $2; $3 says what to do about it.
require_free() {
    if python3 - "$1" "$2" <<'PY'
import socket, sys
with socket.socket() as probe:
    probe.settimeout(1)
    sys.exit(probe.connect_ex((sys.argv[1], int(sys.argv[2]))))
PY
    then
        echo "something already listens on $1:$2; stop it or $3" >&2
        exit 1
    fi
}

build_release() {
    say "Building the release (the first time takes 5 to 10 minutes, later seconds)"
    swift build -c release --product holdfast
}

# Starts the private stores, brings their schema and the demo's data up to date, and leaves the service's own URLs and
# secrets in the environment.
prepare_stores() {
    say "Starting a private PostgreSQL and a private Redis under ${folder#"$PWD"/}"
    scripts/services.sh start "$folder" --durable
    set -a
    # shellcheck source=/dev/null
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
}

# Waits at most 30 s until the service at URL $1 is ready, while process $2 lives.
wait_ready() {
    for _ in $(seq 300); do
        kill -0 "$2" 2>/dev/null || return 1
        python3 - "$1" <<'PY' 2>/dev/null && return
import sys, urllib.request
urllib.request.urlopen(f"{sys.argv[1]}/health/ready", timeout=1)
PY
        sleep 0.1
    done
    echo "$1 is not ready after 30 s" >&2
    return 1
}

# Instance $1 at port $2, started again whenever it ends, as a service manager would.
keep() {
    trap 'trap - TERM; kill -TERM "$instance" 2>/dev/null; wait "$instance"; exit' TERM
    trap '' INT
    while true; do
        HOLDFAST_PORT=$2 HOLDFAST_INSTANCE=$1 $holdfast serve &
        instance=$!
        echo "$instance" >"$folder/$1.pid"
        wait "$instance" || true
        say "$1 has ended"
        sleep 1
    done
}
