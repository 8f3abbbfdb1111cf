#!/usr/bin/env python3
"""Times OpenBLAS products: the outside yardstick for internal/dense.

    OPENBLAS_NUM_THREADS=1 python3 bench/peers/openblas_gemm.py

Needs numpy and OpenBLAS (Debian: python3-numpy libopenblas0-pthread). The library is called directly, so that only the call itself, about
a microsecond, is added; below n = 32 that hides the product. Prints the least process CPU time of several rounds (wall time with --wall, for
several threads).
"""
import argparse
import ctypes
import ctypes.util
import os
import time

import numpy as np


def library():
    name = ctypes.util.find_library("openblas") or "libopenblas.so.0"
    lib = ctypes.CDLL(name)
    lib.openblas_get_config.restype = ctypes.c_char_p
    lib.openblas_get_corename.restype = ctypes.c_char_p
    return lib


def least(clock, work, flops, rounds):
    repeat = max(1, int(2e7 / flops))
    best = float("inf")
    for _ in range(rounds):
        start = clock()
        for _ in range(repeat):
            work()
        best = min(best, (clock() - start) / repeat)
    return best


def gemm(lib, n, kind):
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((n, n)).astype(kind) for _ in range(2))
    c = np.zeros((n, n), kind)
    call, scalar = (lib.cblas_dgemm, ctypes.c_double) if kind == np.float64 else (lib.cblas_sgemm, ctypes.c_float)
    row_major, no_trans = 101, 111
    at = [ctypes.c_void_p(x.ctypes.data) for x in (a, b, c)]
    one, zero = scalar(1), scalar(0)
    return lambda keep=(a, b, c): call(row_major, no_trans, no_trans, n, n, n, one, at[0], n, at[1], n, zero, at[2], n)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wall", action="store_true", help="wall time instead of process CPU time")
    parser.add_argument("--sizes", default="16,32,64,100,128,200,256,512,1024,2048")
    args = parser.parse_args()
    lib = library()
    print(lib.openblas_get_config().decode(), "core", lib.openblas_get_corename().decode(), "threads", os.environ.get("OPENBLAS_NUM_THREADS", "all"))
    clock = time.perf_counter if args.wall else time.process_time
    for n in map(int, args.sizes.split(",")):
        flops = 2 * n**3
        line = f"{n:5d}"
        for kind in (np.float64, np.float32):
            t = least(clock, gemm(lib, n, kind), flops, 15 if n < 1024 else 5)
            line += f"  {np.dtype(kind).name} {flops / t / 1e9:7.1f} GF/s {t * 1e6:11.2f} us"
        print(line, flush=True)


if __name__ == "__main__":
    main()
