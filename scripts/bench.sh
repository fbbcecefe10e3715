#!/usr/bin/env bash
# Measures the Socket.IO server (the fixture, release build), and seat selections through the whole service, beside nchan, Centrifuge and python-socketio, each on one
# core, in one run: broadcasts, also through Redis, latency, acknowledgements, connections, memory, and a storm of
# reconnections. docs/performance.md explains it.
#
#   make bench                         about 8 minutes once all is built
#   BENCH_ROUNDS=5 BENCH_SECONDS=5 make bench
#   BENCH_ONLY="connect reconnect" make bench
#   BENCH_ONLY=seats make bench        only seat selections, through the whole of Holdfast
#   BENCH_ONLY=waiting make bench      a waiting room with 100,000 people, an arena with 60,000 seats
#   BENCH_ONLY=restore make bench     an instance dies, and 5,000 people get back all they had from another
#   BENCH_ONLY=identity make bench        who you are: GET /api/auth/me beside FastAPI, lists, forced logouts
#
# Sizes by environment, with their defaults: BENCH_ROUNDS=3, BENCH_SECONDS=3 (per measurement), BENCH_IDLE=2000
# (connections of the memory test), BENCH_RECONNECT=5000, BENCH_RPC_CONNECTIONS=64, BENCH_RPC_DEPTH=4,
# BENCH_SUBSCRIBERS=1000, BENCH_WINDOW=8, BENCH_REDIS_WINDOW=4, BENCH_FANOUT_RATE=100 (messages per second),
# BENCH_MESSAGE_SIZE=200, BENCH_HTTP_CONNECTIONS=64, BENCH_SESSIONS=100000, BENCH_LOGOUTS=300, BENCH_WAITING=100000,
# BENCH_WAITING_SOCKETS=9900, BENCH_WAITING_SECONDS=8, BENCH_ONLY= (names of measurements; all).
#
# Everything runs on loopback; nothing that it starts outlives it. Results: .holdfast/bench/report.md and result.json.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
venv=.holdfast/bench-venv
out=.holdfast/bench
root=$PWD
export PYTHONPATH=$root/scripts
# Exact versions, so that two runs months apart have the same peer.
peer=(python-socketio==5.18.1 uvicorn==0.54.0 websockets==17.4 uvloop==0.23.0 httptools==0.9.0 PyJWT==2.15.1
    fastapi==0.165.0 redis==8.1.0)

scripts/packages.sh bench
mkdir -p "$out"

if [ "$(cat "$venv/installed" 2>/dev/null)" != "${peer[*]}" ]; then
    say "Installing the peer from PyPI into $venv: ${peer[*]}"
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${peer[@]}"
    printf '%s\n' "${peer[*]}" >"$venv/installed"
fi

say "Building the generator"
gcc -O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$out/generator" Tests/Benchmarks/generator/*.c

say "Building Centrifuge's peer from Debian's sources"
(cd Tests/Benchmarks/peers/centrifuge && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' \
    GOCACHE="$root/$out/go-cache" go build -o "$root/$out/centrifuge" .)

say "Building the release of our side (the first time takes 5 to 10 minutes, later seconds)"
swift build -c release --product SocketIOFixture
swift build -c release --product holdfast

say "Measuring, ${BENCH_ROUNDS:-3} rounds"
runner=
stop() {
    trap - EXIT INT TERM
    # The runner ends its servers on TERM; should it be killed itself, the kernel ends them with it.
    if [ -n "$runner" ]; then
        kill -TERM "$runner" 2>/dev/null || true
        wait "$runner" 2>/dev/null || true
    fi
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
PYTHONDONTWRITEBYTECODE=1 python3 Tests/Benchmarks/run.py --generator "$out/generator" \
    --ours .build/release/SocketIOFixture --service .build/release/holdfast --centrifuge "$out/centrifuge" --python "$venv/bin/python" --out "$out" &
runner=$!
status=0
wait "$runner" || status=$?
runner=
[ "$status" -ne 0 ] || say "Written to $out/report.md and $out/result.json"
exit "$status"
