#!/usr/bin/env bash
# Builds and runs the store's benchmark, in memory and on disc. It needs no broker.
set -euo pipefail
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
swiftc -O -wmo -swift-version 6 -module-name bench -I Sources/CMartlet/include -I Sources/CLMDB \
    Plugins/retainer/Store/*.swift Tests/Retainer/FakeHost.swift Tests/Retainer/Bench/*.swift -o "$out/bench"
[ "${1:-}" = disc ] || "$out/bench"
"$out/bench" "$out"
