#!/usr/bin/env python3
"""CPU time of BLAS and LAPACK calls through NumPy and SciPy, with every result checked. See README.md."""

import argparse
import json
import statistics
import sys
import time

import environment

_early = argparse.ArgumentParser(add_help=False)
_early.add_argument("--threads", type=int, default=1)
environment.set_threads(_early.parse_known_args()[0].threads)

import numpy as np  # noqa: E402
import scipy.linalg as sl  # noqa: E402
from scipy.linalg import blas, lapack  # noqa: E402

import recipe  # noqa: E402

SAMPLE_S = 0.02  # one sample lasts at least this long
SIZES = "10,16,20,32,50,64,100,128,200,256,316,500,512,1000,1024,2000,2048"


def _gemm(dtype):
    function = {np.float64: blas.dgemm, np.float32: blas.sgemm}[dtype]

    def make(n):
        a = np.asfortranarray(recipe.normals(1, n * n).reshape(n, n), dtype=dtype)
        b = np.asfortranarray(recipe.normals(2, n * n).reshape(n, n), dtype=dtype)
        c = np.zeros((n, n), dtype=dtype, order="F")
        call = lambda: function(1.0, a, b, beta=0.0, c=c, overwrite_c=1)  # noqa: E731

        def check():
            rows = np.unique(np.linspace(0, n - 1, min(n, 8)).astype(int))
            exact = np.einsum("ik,kj->ij", a[rows].astype(np.longdouble), b.astype(np.longdouble))
            scale = np.abs(a[rows]).astype(np.float64) @ np.abs(b).astype(np.float64)
            return float(np.max(np.abs(call()[rows] - exact) / scale)) / np.finfo(dtype).eps

        return call, check, 2.0 * n**3

    return make


def _matrix(n):
    return recipe.spd(11, n, 1e4)


def _eigen_error(a, values, vectors):
    n = len(a)
    norm = np.linalg.norm(a.astype(np.float64), 2) if n <= 500 else values[-1]
    values, vectors = values.astype(np.float64), vectors.astype(np.float64)
    residual = np.linalg.norm(a @ vectors - vectors * values) / norm
    return float(max(residual, np.linalg.norm(vectors.T @ vectors - np.eye(n))))


def _eigh(n):
    a = _matrix(n)
    call = lambda: np.linalg.eigh(a)  # noqa: E731
    return call, lambda: _eigen_error(a, *call()) / np.finfo(float).eps, None


def _raw_eigen(name):
    routine, query = getattr(lapack, name), getattr(lapack, name + "_lwork")
    dtype = np.float32 if name.startswith("s") else np.float64

    def make(n):
        a = np.asfortranarray(_matrix(n), dtype=dtype)
        lwork, liwork = (int(v) for v in query(n, lower=1)[:2])
        call = lambda: routine(a, lower=1, lwork=lwork, liwork=liwork)[:2]  # noqa: E731
        return call, lambda: _eigen_error(a, *call()) / np.finfo(dtype).eps, None

    return make


def _eigvalsh(n):
    a = _matrix(n)
    call = lambda: np.linalg.eigvalsh(a)  # noqa: E731
    exact = recipe.spectrum(n, 1e4)
    return call, lambda: float(np.max(np.abs(call() - exact)) / exact[-1]) / np.finfo(float).eps, None


def _cholesky(n):
    a = np.asfortranarray(_matrix(n))
    call = lambda: lapack.dpotrf(a, lower=1, clean=0)[0]  # noqa: E731

    def check():
        lower = np.tril(call())
        return float(np.linalg.norm(lower @ lower.T - a) / np.linalg.norm(a)) / np.finfo(float).eps

    return call, check, n**3 / 3.0


def _numpy_cholesky(n):
    a = _matrix(n)
    call = lambda: np.linalg.cholesky(a)  # noqa: E731
    check = lambda: float(np.linalg.norm(call() @ call().T - a) / np.linalg.norm(a)) / np.finfo(float).eps  # noqa: E731
    return call, check, n**3 / 3.0


def _solve_triangular(n):
    lower = np.asfortranarray(np.linalg.cholesky(_matrix(n)))
    b = np.asfortranarray(recipe.normals(3, n * n).reshape(n, n))
    call = lambda: sl.solve_triangular(lower, b, lower=True, check_finite=False)  # noqa: E731

    def check():
        x = call()
        return float(np.linalg.norm(lower @ x - b) / (np.linalg.norm(lower) * np.linalg.norm(x))) / np.finfo(float).eps

    return call, check, float(n) ** 3


def _syrk(n):
    a = np.asfortranarray(recipe.normals(1, n * n).reshape(n, n))
    c = np.zeros((n, n), order="F")
    call = lambda: blas.dsyrk(1.0, a, beta=0.0, c=c, overwrite_c=1)  # noqa: E731
    check = lambda: float(np.linalg.norm(np.triu(call() - a @ a.T)) / np.linalg.norm(a @ a.T)) / np.finfo(float).eps  # noqa: E731
    return call, check, float(n) ** 3


OPERATIONS = {
    "dgemm": _gemm(np.float64),
    "sgemm": _gemm(np.float32),
    "dsyrk": _syrk,
    "eigh": _eigh,
    "dsyevd": _raw_eigen("dsyevd"),
    "dsyevr": _raw_eigen("dsyevr"),
    "ssyevd": _raw_eigen("ssyevd"),
    "eigvalsh": _eigvalsh,
    "cholesky": _numpy_cholesky,
    "dpotrf": _cholesky,
    "solve_triangular": _solve_triangular,
}
ONE_THREAD_ONLY = {"dsyevr", "ssyevd", "dpotrf", "dsyrk"}


def measure(make, n, budget):
    """Minimum and median seconds per call, CPU and wall, over samples that together last about `budget` CPU seconds."""
    call, check, flops = make(n)
    error = check()
    call()
    started = time.process_time()
    call()
    inner = max(1, int(SAMPLE_S / max(time.process_time() - started, 1e-7)))
    cpu, wall = [], []
    spent = 0.0
    while len(cpu) < 3 or (spent < budget and len(cpu) < 50):
        w, c = time.perf_counter(), time.process_time()
        for _ in range(inner):
            call()
        c, w = time.process_time() - c, time.perf_counter() - w
        spent += c
        cpu.append(c / inner)
        wall.append(w / inner)
    out = {
        "cpu_min_s": min(cpu),
        "cpu_median_s": statistics.median(cpu),
        "wall_min_s": min(wall),
        "wall_median_s": statistics.median(wall),
        "samples": len(cpu),
        "error_eps": error,
    }
    if flops:
        out["gflops_cpu"] = flops / min(cpu) * 1e-9
        out["gflops_wall"] = flops / min(wall) * 1e-9
    return out


def exact_products(limit):
    """All of dgemm and sgemm at shapes 1..limit on small integers, where any correct order of sums is exact."""
    rng = np.random.default_rng(1)
    for dtype, function in ((np.float64, blas.dgemm), (np.float32, blas.sgemm)):
        for m in range(1, limit + 1):
            n, k = rng.integers(1, limit + 1, 2)
            a = rng.integers(-9, 10, (m, k))
            b = rng.integers(-9, 10, (k, n))
            for ta in (0, 1):
                for tb in (0, 1):
                    left = np.asfortranarray(a.T if ta else a, dtype=dtype)
                    right = np.asfortranarray(b.T if tb else b, dtype=dtype)
                    if not np.array_equal(function(1.0, left, right, trans_a=ta, trans_b=tb), a @ b):
                        raise SystemExit("wrong %s product: m=%d n=%d k=%d trans %d%d" % (dtype.__name__, m, n, k, ta, tb))


def _time(seconds):
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            break
    return "%.3g %s" % (seconds / scale, unit)


def markdown(reports):
    """The tables of one report per thread count."""
    env = reports[0]["environment"]
    cores = ", ".join("%s, kernels %s" % (v["config"].split(" NO_")[0], v["core"]) for v in env["openblas"].values())
    worst = {}
    for r in (r for rep in reports for r in rep["results"]):
        worst[r["operation"]] = max(worst.get(r["operation"], 0.0), r["error_eps"])
    lines = [
        "%s; NumPy %s, SciPy %s, %s." % (env["cpu"], env["numpy"], env["scipy"], cores),
        "Integer products of dgemm and sgemm exact at all tried shapes. Largest error over the sizes, in eps: "
        + ", ".join("%s %.2g" % pair for pair in worst.items())
        + " (eigendecompositions: the larger of ||AV - VD||_F / ||A||_2 and ||V^T V - I||_F).",
    ]
    for rep in reports:
        threads = rep["threads"]
        ops = [o for o in OPERATIONS if any(r["operation"] == o for r in rep["results"])]
        clock = "cpu" if threads == 1 else "wall"
        lines += ["", "**%d thread%s**, %s time, minimum (median); products also in GFLOP/s" % (threads, "s"[: threads - 1], clock), ""]
        lines += ["| n | " + " | ".join(ops) + " |", "|--:" * (len(ops) + 1) + "|"]
        for n in sorted({r["n"] for r in rep["results"]}):
            by = {r["operation"]: r for r in rep["results"] if r["n"] == n}
            cells = []
            for o in ops:
                r = by.get(o)
                if r is None:
                    cells.append("")
                    continue
                cell = "%s (%s)" % (_time(r[clock + "_min_s"]), _time(r[clock + "_median_s"]))
                if o in ("dgemm", "sgemm"):
                    cell += " %.1f" % r["gflops_" + clock]
                cells.append(cell)
            lines.append("| %d | %s |" % (n, " | ".join(cells)))
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, parents=[_early])
    p.add_argument("--sizes", default=SIZES)
    p.add_argument("--operations", default=",".join(OPERATIONS))
    p.add_argument("--budget", type=float, default=0.3, help="CPU seconds per operation and size, at least 3 samples")
    p.add_argument("--json", default="lapack_results.json")
    p.add_argument("--merge", nargs="*", default=[], help="JSON of earlier runs at other thread counts, put into the tables first")
    p.add_argument("--markdown", default="lapack_results.md")
    args = p.parse_args()

    exact_products(130)
    report = {"environment": environment.describe(), "threads": args.threads, "results": []}
    for n in (int(s) for s in args.sizes.split(",")):
        for name in args.operations.split(","):
            if args.threads > 1 and name in ONE_THREAD_ONLY:
                continue
            r = dict(operation=name, n=n, **measure(OPERATIONS[name], n, args.budget))
            report["results"].append(r)
            print(args.threads, n, name, _time(r["cpu_min_s"]), "error %.1f eps" % r["error_eps"], file=sys.stderr, flush=True)
    with open(args.json, "w") as out:
        json.dump(report, out, indent=1)
    earlier = [json.load(open(path)) for path in args.merge]
    with open(args.markdown, "w") as out:
        out.write(markdown(earlier + [report]))


if __name__ == "__main__":
    main()
