#!/bin/sh
# Compiles spd.cu with NVRTC and says whether the embedded images are up to date. Skips, with a line that says so, where NVRTC cannot be had.
set -eu
cd "$(dirname "$0")/../.."
dir=${1:-$(mktemp -d)}
lib=$(sh cuda/kernels/get-nvrtc.sh "$dir") || { echo "kernels: NVRTC cannot be had here; the images were not compared"; exit 0; }
LD_LIBRARY_PATH=$lib go run -tags cuda ./cuda/kernels/gen -check
echo "kernels: the images are up to date"
