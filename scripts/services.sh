#!/usr/bin/env bash
# Private PostgreSQL and Redis servers in one folder, on free ports of 127.0.0.1, apart from any that the system runs.
#
#   scripts/services.sh start FOLDER [--durable]   starts both, writes FOLDER/env: DATABASE_URL and REDIS_URL of their
#                                                  administrator, SERVICE_DATABASE_URL and SERVICE_REDIS_URL of the
#                                                  users in Deploy/, who may do what the service needs and no more
#   scripts/services.sh stop FOLDER                stops what start started; the data stays
#   scripts/services.sh crash FOLDER postgres|redis   ends one as a crash would, without a word
#   scripts/services.sh again FOLDER postgres|redis   starts it again, at the same address
#
# --durable keeps fsync on and Redis' append-only file; without it both forget at a power cut, which tests never see.
set -euo pipefail

command=${1:-}; folder=${2:-}; durable=${3:-}
[ -n "$command" ] && [ -n "$folder" ] || { sed -n '2,12p' "$0" >&2; exit 64; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
deploy=$(cd "$(dirname "$0")/../Deploy" && pwd)
ports=$(cd "$(dirname "$0")" && pwd)/ports.py
postgres_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)

# A secret of the folder, made the first time it is asked for.
secret() {
    [ -s "$folder/$1" ] || (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '/+=\n' >"$folder/$1")
    cat "$folder/$1"
}

# PostgreSQL refuses to run as root, so root lends it the "postgres" account that the Debian package made. That account
# may have no right to walk down to the folder (a clone under /root); it is then lent that right and no other.
as_postgres() {
    if [ "$(id -u)" -ne 0 ]; then
        "$@"
    elif runuser -u postgres -- test -x "$folder" 2>/dev/null; then
        (cd "$folder" && runuser -u postgres -- "$@")
    else
        (cd "$folder" && setpriv --reuid=postgres --regid=postgres --init-groups \
            --inh-caps=+dac_read_search --ambient-caps=+dac_read_search -- "$@")
    fi
}

start_postgres() {
    local data=$folder/postgres
    if [ ! -s "$data/PG_VERSION" ]; then
        rm -rf "$data"
        mkdir -m 700 "$data"
        (umask 077 && head -c 24 /dev/urandom | base64 | tr -d '/+=\n' >"$folder/postgres.password")
        [ "$(id -u)" -ne 0 ] || chown postgres "$data" "$folder/postgres.password"
        as_postgres "$postgres_bin/initdb" -D "$data" -U holdfast -E UTF8 --locale=C.UTF-8 \
            --auth=scram-sha-256 --pwfile="$folder/postgres.password" >"$folder/initdb.log"
    fi
    local port; port=$("$ports")
    local options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300"
    [ "$durable" = --durable ] || options="$options -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    as_postgres "$postgres_bin/pg_ctl" -D "$data" -s -w -t 60 -l "$data/server.log" -o "$options" start >/dev/null
    database_url="postgresql://holdfast:$(cat "$folder/postgres.password")@127.0.0.1:$port/holdfast"
    local admin_url="${database_url%/holdfast}/postgres"
    psql -qtA "$admin_url" -c "SELECT 1 FROM pg_database WHERE datname = 'holdfast'" | grep -q 1 ||
        psql -q "$admin_url" -c 'CREATE DATABASE holdfast'
    local service_password; service_password=$(secret postgres-service.password)
    psql -qAt -v ON_ERROR_STOP=1 -v "password=$service_password" -f "$deploy/postgres/role.sql" "$admin_url"
    service_database_url="postgresql://holdfast_service:$service_password@127.0.0.1:$port/holdfast"
}

start_redis() {
    local port password service_password save
    port=$("$ports")
    mkdir -p "$folder/redis"
    password=$(secret redis.password)
    service_password=$(secret redis-service.password)
    (umask 077 && sed -e "s/@ADMIN_PASSWORD@/$password/" -e "s/@SERVICE_PASSWORD@/$service_password/" \
        "$deploy/redis/users.acl" >"$folder/users.acl")
    save=no; [ "$durable" = --durable ] && save=yes
    (umask 077 && cat >"$folder/redis.conf" <<CONF
bind 127.0.0.1
port $port
aclfile $folder/users.acl
dir $folder/redis
save ""
appendonly $save
maxmemory-policy noeviction
tcp-backlog 4096
maxclients 10000
daemonize yes
pidfile $folder/redis.pid
logfile $folder/redis/server.log
CONF
    )
    redis-server "$folder/redis.conf" >/dev/null
    redis_url="redis://default:$password@127.0.0.1:$port/0"
    service_redis_url="redis://holdfast:$service_password@127.0.0.1:$port/0"
    for _ in $(seq 100); do
        REDISCLI_AUTH=$password redis-cli -p "$port" ping 2>/dev/null | grep -q PONG && return
        sleep 0.1
    done
    echo "services: Redis did not answer within 10 s; see $folder/redis/server.log" >&2
    exit 1
}

stop() {
    if [ -s "$folder/postgres/postmaster.pid" ]; then
        as_postgres "$postgres_bin/pg_ctl" -D "$folder/postgres" -s -m fast -w stop || true
    fi
    if [ -s "$folder/redis.pid" ]; then
        kill "$(cat "$folder/redis.pid")" 2>/dev/null || true
        for _ in $(seq 100); do [ -e "$folder/redis.pid" ] || break; sleep 0.1; done
    fi
    rm -f "$folder/env"
}

case $command in
start)
    stop
    start_postgres
    start_redis
    (umask 077 && printf '%s\n' "DATABASE_URL=$database_url" "REDIS_URL=$redis_url" \
        "SERVICE_DATABASE_URL=$service_database_url" "SERVICE_REDIS_URL=$service_redis_url" >"$folder/env")
    ;;
stop) stop ;;
crash)
    case $durable in
    postgres) as_postgres "$postgres_bin/pg_ctl" -D "$folder/postgres" -s -m immediate -w stop ;;
    redis)
        pid=$(cat "$folder/redis.pid")
        kill -KILL "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
        rm -f "$folder/redis.pid"
        ;;
    esac
    ;;
again)
    case $durable in
    # With the options of before, which it finds in its folder.
    postgres)
        as_postgres "$postgres_bin/pg_ctl" -D "$folder/postgres" -s -w -t 60 -l "$folder/postgres/server.log" \
            restart >/dev/null 2>&1
        ;;
    redis) redis-server "$folder/redis.conf" >/dev/null ;;
    esac
    ;;
*) echo "services: unknown command '$command'; use start, stop, crash or again" >&2; exit 64 ;;
esac
