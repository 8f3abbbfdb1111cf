#!/usr/bin/env bash
# Builds, checks and times everything of cuda/ on a machine with an NVIDIA GPU, Go, gcc, g++ and, for the timings, Python with NumPy and PyTorch (CUDA).
#
#   bash bench/gpu/run.sh [OUT]      results go to the folder OUT, default runs/gpu; about a quarter of an hour
#   TEXT=shakespeare.txt             text that a small transformer is trained on; default: the sources of this repository
#   STEPS=1000                       of that training
#   SIZES="1024 4096 16384"          sizes of the matrices of spdopt solve and root
#   PYTHON=python3                   interpreter with NumPy and PyTorch
#   SKIP_SANITIZER=1                 without compute-sanitizer
#   EMULATE=1                        everything at tiny sizes on the emulated driver, with PyTorch for the processor if there is one: a test of this script
#
# A check that fails does not keep the others from running; the last line says what failed, and the exit code is 1.
#
# Never yet run on a GPU: it was written without one, and tested with EMULATE=1 and PyTorch 1.13 and 2.6.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export CGO_CFLAGS="-O2 -g -I$PWD/cuda/include"
failed=()
step() { printf '\n== %s\n' "$*"; }
# check NAME COMMAND...: runs a command, keeps what it prints in NAME.txt and remembers whether it failed
check() {
	local name=$1
	shift
	if "$@" >"$out/$name.txt" 2>&1; then echo "ok      $name"; else
		failed+=("$name")
		echo "FAILED  $name: see $out/$name.txt"
		tail -n 5 "$out/$name.txt"
	fi
}
# tests NAME BINARY ARGS...: a test binary must end well and must not have skipped the tests that need a device
tests() {
	local name=$1
	shift
	check "$name" "$@" -test.v
	grep -E '^(--- FAIL|FAIL|panic:)' "$out/$name.txt" || true
	if grep -q 'neither a GPU nor a C++ compiler' "$out/$name.txt"; then
		failed+=("$name (skipped)")
		echo "FAILED  $name: there is no device"
	fi
}
in_folder() { (cd "$1" && shift && "$@"); }

step "machine"
{ if [ -z "${EMULATE:-}" ]; then nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv; fi; go version; uname -sr; git rev-parse HEAD || true; } | tee "$out/machine.txt"

step "build"
go build -tags cuda -o "$out/spdopt" ./cmd/spdopt
go build -tags cuda -buildmode=c-shared -o "$out/libspdopt.so" ./cuda/cshared
go test -tags cuda -c -o "$out/cuda.test" ./cuda
go test -tags cuda -c -o "$out/devicetest.test" ./cuda/devicetest

step "every kernel, optimizer, layer, root and problem against the processor"
if [ -z "${EMULATE:-}" ]; then
	export SPDOPT_LIBCUDA=system
else # a folder of its own, so that there is one emulation, and no mutant of it
	export TMPDIR=$out/emulation
	mkdir -p "$TMPDIR"
	rm -f "$TMPDIR"/spdopt-emu-*.so
fi
tests kernels in_folder cuda "$out/cuda.test" ${EMULATE:+-test.short}
tests devicetest in_folder cuda/devicetest "$out/devicetest.test"

if [ -n "${EMULATE:-}" ]; then
	lib=$(ls "$TMPDIR"/spdopt-emu-*.so)
	export SPDOPT_LIBCUDA=$lib SPDOPT_LIBCUBLAS=$lib
elif [ -z "${SKIP_SANITIZER:-}" ] && command -v compute-sanitizer >/dev/null; then
	for tool in memcheck racecheck synccheck initcheck; do
		step "compute-sanitizer $tool"
		check "$tool" in_folder cuda compute-sanitizer --tool "$tool" --error-exitcode 9 "$out/cuda.test" -test.run 'TestOperations|TestFollows|TestStateGoesOn|TestBases|TestRepeatedWork|TestOrder|TestRoomRunsOut'
		check "$tool-eigen" in_folder cuda/devicetest compute-sanitizer --tool "$tool" --error-exitcode 9 "$out/devicetest.test" -test.run 'TestEigen|TestRoots$|TestPolar'
	done
else
	step "compute-sanitizer is left out"
fi

if [ -z "${EMULATE:-}" ]; then
	step "products in every precision, and combinations, of large matrices"
	check large in_folder cuda "$out/cuda.test" -test.run '^$' -test.bench 'Large' -test.benchtime 3x
	grep -E 'TFLOP' "$out/large.txt" || true
	unset SPDOPT_LIBCUDA
fi

step "problems over SPD matrices, processor and device"
check solve "$python" bench/gpu/solve.py --spdopt "$out/spdopt" --out "$out" --sizes ${SIZES:-1024 4096}
cat "$out/solve.txt"

step "decompositions and functions of matrices, torch.linalg.eigh"
check decompose "$python" bench/gpu/decompose.py --spdopt "$out/spdopt" --tests "$out/devicetest.test" --out "$out" --sizes ${SIZES:-1024 4096}
cat "$out/decompose.txt"

step "training through the engine, processor and device"
check train-cpu "$out/spdopt" train graph --opt spectral --steps 20 --json
for precision in fp32 tf32 bf16; do
	check "train-cuda-$precision" "$out/spdopt" train graph --opt spectral --steps 20 --device cuda --precision "$precision" --json
done
for f in "$out"/train-*.txt; do echo "$(basename "$f" .txt): $(grep -oE '"(final_loss|seconds)":[^,]*' "$f" | head -2 | tr '\n' ' ')"; done

step "step times and training against PyTorch's and others' optimizers"
if [ -n "${EMULATE:-}" ] && ! "$python" -c 'import torch' 2>/dev/null; then
	echo "left out: $python has no PyTorch"
else
	if [ -z "${TEXT:-}" ]; then
		TEXT=$out/text.txt
		git ls-files '*.go' '*.md' | sort | xargs cat | LC_ALL=C tr -cd '\11\12\40-\176' >"$TEXT"
		if [ -n "${EMULATE:-}" ]; then truncate -s 20000 "$TEXT"; STEPS=${STEPS:-20}; fi
	fi
	SPDOPT_LIBRARY="$out/libspdopt.so" check compare "$python" bench/gpu/compare.py --out "$out" --text "$TEXT" --steps "${STEPS:-1000}"
	cat "$out/compare.txt"
fi

echo
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}; results: $out"
	exit 1
fi
echo "all checks passed; results: $out"
