#!/usr/bin/env bash
# The Swift tests under the thread sanitizer and the address sanitizer, on private servers.
#
#   scripts/sanitizers.sh                  both, every suite
#   scripts/sanitizers.sh thread           one of them: thread or address
#   scripts/sanitizers.sh address Engine   and only suites whose names match
#
# Each keeps a build of its own below .holdfast/sanitizers, dependencies included: the first takes ten minutes.
set -uo pipefail
cd "$(dirname "$0")/.."

kinds=(thread address)
if [ $# -gt 0 ]; then kinds=("$1"); fi
filter=${2:-.}
servers=$PWD/.holdfast/sanitizer-servers

scripts/packages.sh test || exit 1
. scripts/test-stores.sh
export SWIFT_BACKTRACE=enable=no
export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(($(nproc) * 2))
export TSAN_OPTIONS="halt_on_error=0:exitcode=66:suppressions=$PWD/scripts/tsan.suppressions"
# Leaks are not looked for: a test process ends with its event loops running.
export ASAN_OPTIONS=detect_leaks=0

failed=0
for kind in "${kinds[@]}"; do
    build=.holdfast/sanitizers/$kind
    echo "==> Building with the $kind sanitizer"
    swift build --build-tests --sanitize "$kind" --scratch-path "$build" || exit 1
    echo "==> Tests under the $kind sanitizer"
    log=.holdfast/sanitizers/$kind.log
    preload=
    if [ "$kind" = thread ]; then
        preload=$PWD/$build/tsan_swift.so
        clang -O1 -shared -fPIC -o "$preload" Tests/support/tsan_swift.c || exit 1
    fi
    LD_PRELOAD=$preload swift test --skip-build --sanitize "$kind" --scratch-path "$build" --filter "$filter" </dev/null 2>&1 | tee "$log" |
        grep -E '^✘|Suite .* (passed|failed)|Test run with|Sanitizer'
    status=${PIPESTATUS[0]}
    reports=$(grep -c 'Sanitizer:' "$log")
    echo "==> $kind: $reports reports"
    if [ "$status" -ne 0 ] || [ "$reports" -ne 0 ]; then failed=1; fi
done
exit $failed
