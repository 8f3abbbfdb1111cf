"""Decompositions and functions of symmetric matrices on the device against torch.linalg.eigh, in one run on one machine. bench/gpu/run.sh calls it.

    python3 bench/gpu/decompose.py --spdopt ./spdopt --tests ./devicetest.test --out runs/gpu --sizes 1024 4096

Batches: matfun.Eigen (batched two-sided Jacobi), cold and from near bases, on all factors of GPT-2 small, each decomposition checked as the library
checks it; eigh one matrix after the other and as a batch. Single matrices: spdopt root pow -1/4 by a decomposition and by products, each result with
its own residual, which must be small. What does not fit the device has to be refused with exit code 6; anything else that fails fails this script.
Needs NumPy; without PyTorch, or with EMULATE=1 without one for the processor, eigh is left out. With EMULATE=1 times mean nothing.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time

import numpy

EMULATED = bool(os.environ.get("EMULATE"))
DRIVER = {} if EMULATED else {"SPDOPT_LIBCUDA": "system"}  # the tests would take the emulation
BATCHES = "3x20 2x60" if EMULATED else "60x768 12x2304 24x3072"
LINE = re.compile(r"^BenchmarkEigen/(float\d+)/(\d+)x(\d+)/(cold|warm)\S*\s+\d+\s+(\S+) ns/op\s+(\S+) sweeps", re.M)

try:
    import torch
except ImportError:
    torch = None
if torch is not None and not EMULATED and not torch.cuda.is_available():
    torch = None


def eigh_seconds(make, dtype, repeats=2):
    """The least time of torch.linalg.eigh for what make returns, after one call to warm up; None where it does not fit."""
    try:
        a = torch.as_tensor(make(), dtype=getattr(torch, dtype), device="cpu" if EMULATED else "cuda")
        best = float("inf")
        for _ in range(repeats + 1):
            if not EMULATED:
                torch.cuda.synchronize()
            start = time.perf_counter()
            result = torch.linalg.eigh(a)
            if not EMULATED:
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
            del result
        return best
    except RuntimeError as e:
        print(f"torch.linalg.eigh: {str(e).splitlines()[0]}")
        return None
    finally:
        a = None
        if not EMULATED:
            torch.cuda.empty_cache()  # for the processes that come next


def covariances(count, n, seed=0):
    r = numpy.random.default_rng(seed)
    g = r.standard_normal((count, n, n), dtype=numpy.float32)
    return g @ g.transpose(0, 2, 1) / n


def batches(tests, folder, sizes):
    """Times of matfun.Eigen as the test binary prints them, and of eigh for as many matrices of the size."""
    run = subprocess.run([tests, "-test.run", "^$", "-test.bench", "Eigen", "-test.benchtime", "1x"], cwd=folder, capture_output=True, text=True, env={**os.environ, **DRIVER, "SPDOPT_EIGEN": sizes})
    rows = LINE.findall(run.stdout)
    if run.returncode != 0 or len(rows) != 4 * len(sizes.split()):
        print(f"the benchmark of matfun.Eigen failed with code {run.returncode}:\n{run.stdout}{run.stderr}")
        return [], False
    results, eigh = [], {}
    for dtype, count, n, start, ns, sweeps in rows:
        count, n, seconds = int(count), int(n), float(ns) / 1e9
        if torch is not None and (dtype, n) not in eigh:
            eigh[dtype, n] = eigh_seconds(lambda: covariances(1, n)[0], dtype), eigh_seconds(lambda: covariances(count, n), dtype)
        one, all_ = eigh.get((dtype, n), (None, None))
        rival = min((t for t in (one and count * one, all_) if t), default=None)
        results.append({"dtype": dtype, "count": count, "n": n, "start": start, "seconds": seconds, "sweeps": float(sweeps), "eigh_one_by_one": one and count * one, "eigh_batch": all_})
        against = f"  eigh {rival:9.3f} s, {rival / seconds:6.2f} times as long" if rival else ""
        print(f"{count:3d} of n = {n:5d}  {dtype}  {start}  {seconds:9.3f} s  {float(sweeps):4.1f} sweeps{against}")
    return results, True


def roots(spdopt, out, sizes, device, most):
    """Times of A^(-1/4) by methods of spdopt root, with residuals."""
    results, good = [], True
    data, x = os.path.join(out, "root-data.npy"), os.path.join(out, "root-x.npy")
    for n in sizes:
        a = covariances(1, n)[0].astype(numpy.float64)
        a[numpy.diag_indices(n)] += 0.01
        numpy.save(data, a)
        for precision, dtype, limit in (("double", "float64", 1e-9), ("single", "float32", 1e-2)):
            rival = eigh_seconds(lambda: a, dtype) if torch is not None else None
            for method, where in (("auto", "cpu"), ("jacobi", device), ("newton-schulz", device), ("auto", device)):
                if where == "cpu" and n > most:
                    continue
                run = subprocess.run([spdopt, "root", "pow", "--power", "-0.25", "--in", data, "--out", x, "--method", method, "--device", where, "--precision", precision, "--json"],
                                     capture_output=True, text=True)
                head = f"n = {n:6d}  {dtype}  {where:6s} {method:14s}"
                if run.returncode == 6 and "the device has" in run.stderr:
                    print(f"{head} refused: {run.stderr.strip().splitlines()[-1]}")
                    results.append({"n": n, "dtype": dtype, "where": where, "method": method, "refused": run.stderr.strip()})
                    continue
                if run.returncode != 0:
                    good = False
                    print(f"{head} FAILED with code {run.returncode}: {run.stderr.strip()}")
                    continue
                r = json.loads(run.stdout)
                fine = 0 <= r["residual"] <= limit
                good = good and fine
                results.append({"n": n, "dtype": dtype, "where": where, "method": r["method"], "seconds": r["seconds"], "residual": r["residual"], "eigh": rival})
                against = f"  eigh alone {rival:9.3f} s" if rival else ""
                print(f"{head} {r['seconds']:9.3f} s  residual {r['residual']:.1e}{'' if fine else ' TOO LARGE'}  ({r['method']}){against}")
        os.remove(data)
    return results, good


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--spdopt", required=True)
    a.add_argument("--tests", required=True, help="the test binary of cuda/devicetest")
    a.add_argument("--out", default=".")
    a.add_argument("--device", default="cuda")
    a.add_argument("--batches", default=BATCHES, help="batches for matfun.Eigen, COUNTxN each")
    a.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    a.add_argument("--processor", type=int, default=2048, help="largest size on the processor")
    o = a.parse_args()
    if EMULATED:
        print("EMULATED: the times mean nothing")
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "cuda", "devicetest")
    decompositions, first = batches(os.path.abspath(o.tests), folder, o.batches)
    functions, second = roots(o.spdopt, o.out, o.sizes, o.device, o.processor)
    with open(os.path.join(o.out, "decompose.json"), "w", encoding="utf-8") as f:
        json.dump({"emulated": EMULATED, "decompositions": decompositions, "functions": functions}, f, indent=1)
    sys.exit(0 if first and second else 1)


if __name__ == "__main__":
    main()
