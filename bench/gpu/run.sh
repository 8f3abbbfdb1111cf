#!/usr/bin/env bash
# Builds, checks and times everything of cuda/ on a machine with an NVIDIA GPU, Go, gcc, g++ and, for the timings, Python with NumPy and PyTorch (CUDA).
#
#   bash bench/gpu/run.sh [OUT]      results go to the folder OUT, default runs/gpu, and packed to OUT/results.tar.gz; about a quarter of an hour
#   BUILT=DIR                        what build.sh has built elsewhere, for a machine without Go and compilers
#   LIMIT=540                        seconds for everything: tests get 35 % of it, PyTorch and compute-sanitizer 10 % each, the timings the rest; what takes longer is ended
#   TEXT=shakespeare.txt             text that a small transformer is trained on; default: the sources of this repository
#   STEPS=1000                       of that training
#   BATCHES="60x768"         batches of matrices that are decomposed, COUNTxN; default: all factors of GPT-2 small
#   SIZES="1024 4096 16384"          sizes of the matrices of spdopt solve and root
#   PYTHON=python3                   interpreter with NumPy and PyTorch
#   SKIP_SANITIZER=1                 without compute-sanitizer
#   EMULATE=1                        everything at tiny sizes on the emulated driver, with PyTorch for the processor if there is one: a test of this script
#
# A check that fails does not keep the others from running; the last line says what failed, and the exit code is 1.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-runs/gpu}
python=${PYTHON:-python3}
mkdir -p "$out"
out=$(cd "$out" && pwd)
export PYTHONUNBUFFERED=1
failed=()
step() { printf '\n== %s  (%d s)\n' "$*" $SECONDS; }
upto=100 # share of LIMIT, in percent, after which nothing more is begun
shared=1  # checks that share what is left until then
# check NAME COMMAND...: runs a command, keeps what it prints in NAME.txt and remembers whether it failed
check() {
	local name=$1 code=0 seconds=0
	shift
	if [ -n "${LIMIT:-}" ]; then
		seconds=$(((LIMIT * upto / 100 - SECONDS) / shared))
		if [ $shared -gt 1 ]; then shared=$((shared - 1)); fi
		if [ $seconds -lt 5 ]; then
			failed+=("$name (no time)")
			echo "LEFT OUT $name: no time"
			return
		fi
	fi
	timeout -k 5 -s QUIT $seconds "$@" >"$out/$name.txt" 2>&1 || code=$?
	if [ $code = 0 ]; then
		echo "ok      $name  ($SECONDS s)"
	elif [ $code = 124 ] || [ $code = 137 ]; then
		failed+=("$name (ended after $seconds s)")
		echo "ENDED   $name after $seconds s: see $out/$name.txt"
	else
		failed+=("$name")
		echo "FAILED  $name: see $out/$name.txt"
		tail -n 5 "$out/$name.txt"
	fi
}
# tests NAME FOLDER BINARY ARGS...: a test binary must end well in its folder and must not have skipped the tests that need a device
tests() {
	local name=$1 folder=$2
	shift 2
	check "$name" env -C "$folder" "$@" -test.v
	if ! [ -e "$out/$name.txt" ]; then return; fi
	echo "        passed $(grep -c '^--- PASS' "$out/$name.txt" || true), skipped $(grep -c '^--- SKIP' "$out/$name.txt" || true)"
	grep -E '^ *(--- FAIL|panic:)' "$out/$name.txt" || true
	if grep -q 'neither a GPU nor a C++ compiler' "$out/$name.txt"; then
		failed+=("$name (skipped)")
		echo "FAILED  $name: there is no device"
	fi
}
# show NAME: what a check has printed
show() { cat "$out/$1.txt" 2>/dev/null || true; }

step "machine"
{
	if [ -z "${EMULATE:-}" ]; then nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv; fi
	go version 2>/dev/null || echo "no Go"
	uname -sr
	git rev-parse HEAD 2>/dev/null || echo "no history"
} | tee "$out/machine.txt" || true

if [ -n "${BUILT:-}" ]; then
	built=$(cd "$BUILT" && pwd)
else
	step "build"
	built=$out
	bash bench/gpu/build.sh "$built"
fi

step "every kernel, optimizer, layer, root and problem against the processor"
if [ -z "${EMULATE:-}" ]; then
	export SPDOPT_LIBCUDA=system
	if [ -z "${SPDOPT_LIBCUBLAS:-}" ] && ! ldconfig -p | grep libcublas.so >/dev/null; then # that of PyTorch
		lib=$("$python" -c 'import glob, site; print(*glob.glob(site.getsitepackages()[0] + "/nvidia/*/lib/libcublas.so.1[123]"))' | cut -d' ' -f1) || lib=
		if [ -n "$lib" ]; then export SPDOPT_LIBCUBLAS=$lib; fi
	fi
else # a folder of its own, so that there is one emulation, and no mutant of it
	export TMPDIR=$out/emulation
	export CGO_CFLAGS="-O2 -g -I$PWD/cuda/include" # a test builds the program
	mkdir -p "$TMPDIR"
	rm -f "$TMPDIR"/spdopt-emu-*.so
fi
upto=35 shared=2
tests kernels cuda "$built/cuda.test" ${EMULATE:+-test.short}
tests devicetest cuda/devicetest "$built/devicetest.test"

if [ -z "${EMULATE:-}" ]; then
	step "the optimizer for PyTorch"
	upto=45
	check pytorch env -u SPDOPT_LIBCUDA -C python SPDOPT_LIBRARY="$built/libspdopt.so" "$python" -m unittest -v test_with_torch
	show pytorch | tail -n 3
fi

if [ -n "${EMULATE:-}" ]; then
	lib=$(ls "$TMPDIR"/spdopt-emu-*.so)
	export SPDOPT_LIBCUDA=$lib SPDOPT_LIBCUBLAS=$lib
elif [ -z "${SKIP_SANITIZER:-}" ] && command -v compute-sanitizer >/dev/null; then
	step "compute-sanitizer"
	upto=55 shared=8
	# initcheck does not see what the kernels of cuBLAS write, and racecheck takes hundreds of times as long: each has the tests that it can do.
	own='TestOperations|TestRepeatedWork|TestOrder|TestRoomRunsOut' steps='|TestFollows|TestStateGoesOn|TestBases'
	for tool in memcheck synccheck initcheck racecheck; do
		case $tool in
		initcheck) these=$own ;;
		racecheck) these='TestOperations/\[3_7\]|TestStateGoesOn' ;;
		*) these=$own$steps ;;
		esac
		tests "$tool" cuda compute-sanitizer --tool "$tool" --error-exitcode 9 "$built/cuda.test" -test.run "$these"
		if [ $tool = racecheck ]; then these='TestPolar'; else these='TestEigen|TestRoots$|TestPolar'; fi
		tests "$tool-eigen" cuda/devicetest compute-sanitizer --tool "$tool" --error-exitcode 9 "$built/devicetest.test" -test.run "$these"
	done
else
	step "compute-sanitizer is left out"
fi
upto=85 shared=1
if [ -z "${EMULATE:-}" ]; then unset SPDOPT_LIBCUDA; fi # a word of the tests; the program finds the driver by itself

step "step times and training against PyTorch's and others' optimizers"
if [ -n "${EMULATE:-}" ] && ! "$python" -c 'import torch' 2>/dev/null; then
	echo "left out: $python has no PyTorch"
else
	if [ -z "${TEXT:-}" ]; then
		TEXT=$out/text.txt
		find . -name '*.go' -o -name '*.md' | sort | xargs cat | LC_ALL=C tr -cd '\11\12\40-\176' >"$TEXT"
		if [ -n "${EMULATE:-}" ]; then truncate -s 20000 "$TEXT"; STEPS=${STEPS:-20}; fi
	fi
	SPDOPT_LIBRARY="$built/libspdopt.so" check compare "$python" bench/gpu/compare.py --out "$out" --text "$TEXT" --steps "${STEPS:-1000}"
	show compare
fi

upto=100
if [ -z "${EMULATE:-}" ]; then
	step "products in every precision, and combinations, of large matrices"
	check large env -C cuda SPDOPT_LIBCUDA=system "$built/cuda.test" -test.run '^$' -test.bench 'Large' -test.benchtime 3x
	show large | grep -E 'TFLOP' || true
fi

step "training through the engine, processor and device"
check train-cpu "$built/spdopt" train graph --opt spectral --steps 20 --json
for precision in fp32 tf32 bf16; do
	check "train-cuda-$precision" "$built/spdopt" train graph --opt spectral --steps 20 --device cuda --precision "$precision" --json
done
for f in "$out"/train-*.txt; do echo "$(basename "$f" .txt): $(grep -oE '"(final_loss|seconds)":[^,]*' "$f" | head -2 | tr '\n' ' ')"; done

step "decompositions and functions of matrices, torch.linalg.eigh"
check decompose "$python" bench/gpu/decompose.py --spdopt "$built/spdopt" --tests "$built/devicetest.test" --out "$out" --sizes ${SIZES:-1024 4096} ${BATCHES:+--batches "$BATCHES"}
show decompose

step "problems over SPD matrices, processor and device"
check solve "$python" bench/gpu/solve.py --spdopt "$built/spdopt" --out "$out" --sizes ${SIZES:-1024 4096}
show solve

echo
tar czf "$out/results.tar.gz" -C "$out" $(cd "$out" && ls *.txt *.json | grep -v '^text\.txt$')
if [ ${#failed[@]} -gt 0 ]; then
	echo "failed: ${failed[*]}; results: $out"
	exit 1
fi
echo "all checks passed; results: $out"
