#!/usr/bin/env bash
# Builds the decoders with libFuzzer and runs each for a while over its corpus.
#
#   scripts/fuzz.sh                   all of them, a minute together
#   scripts/fuzz.sh websocket json    only these
#
# FUZZ_SECONDS: seconds for each (60 divided by their number if not set). What is found is written to
# .holdfast/fuzz/<target>; new inputs that reach new code are kept there as well, and go into Tests/Fuzz/corpus with
# FUZZ_KEEP=1, as few and as small as can be.
set -euo pipefail
cd "$(dirname "$0")/.."

all=(websocket payload packet json request cluster resp)
targets=("${@:-${all[@]}}")
if [ $# -eq 0 ]; then targets=("${all[@]}"); fi
seconds=${FUZZ_SECONDS:-$((60 / ${#targets[@]}))}
work=$PWD/.holdfast/fuzz
mkdir -p "$work"

resources=$(swiftc -print-target-info | python3 -c 'import json, sys; print(json.load(sys.stdin)["paths"]["runtimeResourcePath"])')
FUZZER_LIBRARY=$(readlink -f "$resources/clang/lib/linux/libclang_rt.fuzzer_no_main-$(uname -m).a")
export FUZZER_LIBRARY

echo "==> Building the fuzz targets"
swift build --quiet -c release --package-path Tests/Fuzz --scratch-path "$work/build" --product Fuzz

# Not a crash of Swift's to be explained at length: libFuzzer shows the stack and keeps the input.
export SWIFT_BACKTRACE=enable=no
# Leaks are not looked for: Swift's metadata caches look like some.
export ASAN_OPTIONS=detect_leaks=0
failed=0
for target in "${targets[@]}"; do
    corpus=Tests/Fuzz/corpus/$target
    mkdir -p "$corpus" "$work/$target/found" "$work/$target/corpus"
    echo "==> $target, $seconds s"
    if ! FUZZ_TARGET=$target "$work/build/release/Fuzz" -max_total_time="$seconds" -max_len=2048 -timeout=30 \
        -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$work/$target/found/" \
        "$work/$target/corpus" "$corpus" >"$work/$target/log" 2>&1 </dev/null; then
        failed=1
        echo "    found something: $work/$target/found"
        tail -n 40 "$work/$target/log"
        continue
    fi
    awk '/^stat::number_of_executed_units/ { print "    " $2 " inputs, nothing found" }' "$work/$target/log"
    if [ "${FUZZ_KEEP:-}" = 1 ]; then
        rm -rf "$work/$target/merged" && mkdir -p "$work/$target/merged"
        FUZZ_TARGET=$target "$work/build/release/Fuzz" -set_cover_merge=1 -use_counters=0 -max_len=2048 \
            "$work/$target/merged" "$work/$target/corpus" "$corpus" >"$work/$target/merge.log" 2>&1 </dev/null
        rm -rf "$corpus" && cp -r "$work/$target/merged" "$corpus"
    fi
done
exit $failed
