#!/usr/bin/env bash
# Makes the libraries' documentation, with what the toolchain brings along: no network, no further package.
# One archive per library under .build/docs; show one with: docc preview, or any static file server.
set -euo pipefail
cd "$(dirname "$0")/.."

libraries=(EngineIO EngineIOServer SocketIO SocketIORedis SocketIOClient)
out=.build/docs
rm -rf "$out"
mkdir -p "$out"
for library in "${libraries[@]}"; do swift build --target "$library"; done
built=$(swift build --show-bin-path)

# Modules of C code: SwiftPM writes a map for those that bring none.
maps=()
while read -r map; do maps+=(-Xcc "-fmodule-map-file=$map"); done < <(
    find "$built" -maxdepth 2 -name module.modulemap
    find "$PWD/Sources" -name module.modulemap
    find "$PWD/.build/checkouts" -path '*/Sources/*/include/module.modulemap' -not -path '*/Benchmarks/*'
)

for library in "${libraries[@]}"; do
    mkdir -p "$out/symbols/$library"
    swift symbolgraph-extract -module-name "$library" -I "$built/Modules" "${maps[@]}" \
        -target "$(swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)".*/\1/p' | head -1)" \
        -minimum-access-level package -output-dir "$out/symbols/$library"
    docc convert "Sources/$library/Documentation.docc" \
        --fallback-display-name "$library" --fallback-bundle-identifier "holdfast.$library" \
        --additional-symbol-graph-dir "$out/symbols/$library" --output-path "$out/$library.doccarchive"
done
rm -rf "$out/symbols"
echo "documentation: $out"
