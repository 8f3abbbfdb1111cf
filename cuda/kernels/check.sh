#!/bin/sh
# Compiles spd.cu with NVRTC and says whether the embedded images are up to date. Skips, with a line that says so, where NVRTC cannot be had.
# NVRTC may order independent operations by the addresses of its own data, which differ from one process to the next: images that differ are compiled again before they count as out of date.
set -eu
cd "$(dirname "$0")/../.."
dir=${1:-$(mktemp -d)}
lib=$(sh cuda/kernels/get-nvrtc.sh "$dir") || { echo "kernels: NVRTC cannot be had here; the images were not compared"; exit 0; }
tries=4
until LD_LIBRARY_PATH=$lib go run -tags cuda ./cuda/kernels/gen -check; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || exit 1
done
echo "kernels: the images are up to date"
