#!/usr/bin/env bash
# Builds what run.sh runs, into the folder DIR, for a machine without Go: on that, BUILT=DIR bash bench/gpu/run.sh in a copy of this repository.
#
#   bash bench/gpu/build.sh DIR && tar czf gpu.tar.gz -C DIR .      # 76 MB, packed 32 MB
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/../.."
export CGO_CFLAGS="-O2 -g -I$PWD/cuda/include"
small=(-tags cuda -trimpath -ldflags "-s -w")
go build "${small[@]}" -o "$out/spdopt" ./cmd/spdopt
go build "${small[@]}" -buildmode=c-shared -o "$out/libspdopt.so" ./cuda/cshared
go test "${small[@]}" -c -o "$out/cuda.test" ./cuda
go test "${small[@]}" -c -o "$out/devicetest.test" ./cuda/devicetest
