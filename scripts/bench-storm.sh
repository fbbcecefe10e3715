#!/usr/bin/env bash
# Storms against the release: 10,000 clients cut at once, a tenth who do not read, four times the load that is held.
# docs/performance.md explains it.
#
#   make bench-storm                          about 4 minutes once all is built
#   BENCH_ONLY="return" make bench-storm      or slow, overload
#
# Sizes: BENCH_STORM_PEOPLE=10000 (as many as the file limit allows), BENCH_ROUNDS=3, BENCH_STORM_SECONDS=6,
# BENCH_FANOUT_RATE=100, BENCH_STORM_ARRIVALS=300000, BENCH_STORM_CONNECTIONS=9000,
# BENCH_STORM_HELD_MS=100 (the p99 that a rate has to hold).
# HOLDFAST_BINARY and FIXTURE_BINARY are used as they are if both are set; otherwise the release is built.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '==> %s\n' "$*"; }
out=.holdfast/bench
export PYTHONPATH=$PWD/scripts PYTHONDONTWRITEBYTECODE=1

scripts/packages.sh bench
mkdir -p "$out"
say "Building the generator"
gcc -O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o "$out/generator" Tests/Benchmarks/generator/*.c
if [ -z "${HOLDFAST_BINARY:-}" ] || [ -z "${FIXTURE_BINARY:-}" ]; then
    say "Building the release (the first time takes 5 to 10 minutes, later seconds)"
    swift build -c release --product SocketIOFixture
    swift build -c release --product holdfast
fi
say "Measuring"
exec python3 Tests/Benchmarks/storm.py --generator "$out/generator" --out "$out" \
    --ours "${FIXTURE_BINARY:-.build/release/SocketIOFixture}" --service "${HOLDFAST_BINARY:-.build/release/holdfast}"
