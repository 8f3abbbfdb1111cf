#!/usr/bin/env bash
# Builds, checks and times everything of cuda/ on a machine with an NVIDIA GPU, Go, gcc and, for the comparison, Python with PyTorch (CUDA) and NumPy.
#
#   bash bench/gpu/run.sh [OUT]      results go to the folder OUT, default runs/gpu; about ten minutes
#   TEXT=shakespeare.txt bash bench/gpu/run.sh    trains a small transformer on a text as well
#   SKIP_SANITIZER=1 bash bench/gpu/run.sh
#
# Never yet run on a GPU: it was written without one. The parts that need none (the build, the tests on the emulated driver) run in CI.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export CGO_CFLAGS="-O2 -g -I$PWD/cuda/include"
step() { printf '\n== %s\n' "$*"; }

step "machine"
{ nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv; go version; uname -sr; git rev-parse HEAD; } | tee "$out/machine.txt"

step "build"
go build -tags cuda -o "$out/spdopt" ./cmd/spdopt
go build -tags cuda -buildmode=c-shared -o "$out/libspdopt.so" ./cuda/cshared
go test -tags cuda -c -o "$out/cuda.test" ./cuda
go test -tags cuda -c -o "$out/devicetest.test" ./cuda/devicetest

step "every kernel, optimizer, layer and root against the processor, on the GPU"
export SPDOPT_LIBCUDA=system
(cd cuda && "$out/cuda.test" -test.v) 2>&1 | tee "$out/kernels.txt" | grep -E '^(---|ok|FAIL|PASS)' || true
(cd cuda/devicetest && "$out/devicetest.test" -test.v) 2>&1 | tee "$out/devicetest.txt" | grep -E '^(---|ok|FAIL|PASS)' || true
if grep -q '^FAIL' "$out/kernels.txt" "$out/devicetest.txt"; then echo "a check failed: see $out"; exit 1; fi

if [ -z "${SKIP_SANITIZER:-}" ] && command -v compute-sanitizer >/dev/null; then
	for tool in memcheck racecheck synccheck initcheck; do
		step "compute-sanitizer $tool"
		(cd cuda && compute-sanitizer --tool "$tool" --error-exitcode 9 "$out/cuda.test" -test.run 'TestOperations|TestGraphs|TestFollows') 2>&1 | tee "$out/$tool.txt" | tail -3
	done
fi

step "roots of large matrices"
unset SPDOPT_LIBCUDA
(cd cuda && SPDOPT_LIBCUDA=system "$out/cuda.test" -test.run '^$' -test.bench 'Large' -test.benchtime 3x) | tee "$out/large.txt"

step "step times and training against PyTorch's and others' optimizers"
SPDOPT_LIBRARY="$out/libspdopt.so" python3 bench/gpu/compare.py --out "$out" ${TEXT:+--text "$TEXT"}
echo "results: $out"
