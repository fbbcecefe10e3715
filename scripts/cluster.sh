#!/usr/bin/env bash
# Three instances behind HAProxy on this machine, on private stores under .holdfast/cluster. Ctrl-C stops everything.
#
#   8090                    the balancer, which keeps a client with its instance by a cookie
#   8091                    the balancer without stickiness, for clients that use WebSocket alone
#   8092  8093  8094        the instances; one that ends is started again after a second
#
# CLUSTER_PORT names another first port. HOLDFAST_BINARY names a binary, so that nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$PWD/.holdfast/cluster
first=${CLUSTER_PORT:-8090}
holdfast=${HOLDFAST_BINARY:-.build/release/holdfast}
. scripts/demo.sh

scripts/packages.sh cluster
for port in $(seq "$first" $((first + 4))); do require_free 127.0.0.1 "$port" "set CLUSTER_PORT"; done
[ -n "${HOLDFAST_BINARY:-}" ] || build_release

pids=()
stop_all() {
    trap - EXIT INT TERM
    say "Stopping"
    # Nobody has to notice any more: the balancer goes first.
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    scripts/services.sh stop "$folder"
    say "Stopped. The data stays in .holdfast/cluster; 'make clean-data' removes it."
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare_stores
say "Starting three instances and HAProxy"
for number in 1 2 3; do
    port=$((first + 1 + number))
    export "HOLDFAST_$number=127.0.0.1:$port"
    keep "instance-$number" "$port" &
    pids+=($!)
done
for number in 1 2 3; do
    wait_ready "http://127.0.0.1:$((first + 1 + number))" "${pids[$((number - 1))]}"
done
HOLDFAST_STICKY=127.0.0.1:$first HOLDFAST_ANYWHERE=127.0.0.1:$((first + 1)) haproxy -db \
    -f Deploy/haproxy/common.cfg -f Deploy/haproxy/sticky.cfg -f Deploy/haproxy/anywhere.cfg &
balancer=$!
pids=("$balancer" "${pids[@]}")
wait_ready "http://127.0.0.1:$first" "$balancer"
cat <<READY

    Holdfast serves  http://127.0.0.1:$first   (and http://127.0.0.1:$((first + 1)) without stickiness)
    Its instances    http://127.0.0.1:$((first + 2))  :$((first + 3))  :$((first + 4))

    Sign in as  fan1  fan2  boxoffice (an administrator),  password  holdfast-demo
    Kill or restart one and watch:  kill -KILL or -TERM \$(cat .holdfast/cluster/instance-1.pid)
    Ctrl-C stops everything.

READY
wait "$balancer"
