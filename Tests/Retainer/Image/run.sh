#!/usr/bin/env bash
# Checks the built image from outside: exports, needs, behaviour under a small host, 1,000 loads and unloads.
# Usage: run.sh [path of libretainer.so]
set -euo pipefail
cd "$(dirname "$0")/../../.."
image=${1:-.build/debug/libretainer.so}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

exports=$(nm -D --defined-only "$image" | awk '{print $3}')
[ "$exports" = martlet_plugin_entry ] || { echo "exports: $exports"; exit 1; }
needs=$(readelf -d "$image" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
echo "exports: $exports; needs: $needs"
for need in $needs; do
    case $need in libc.so.6 | libm.so.6 | liblmdb.so.0 | ld-linux*) ;; *) echo "unexpected need: $need"; exit 1 ;; esac
done

gcc -std=gnu11 -O1 -g -Wall -Wextra -Werror -I Sources/CMartlet/include \
  Tests/Retainer/Image/host.c -ldl -lpthread -o "$work/host"
"$work/host" "$image" "$work"
