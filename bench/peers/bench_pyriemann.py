#!/usr/bin/env python3
"""CPU time of pyRiemann's means and Tyler's scatter on the seeded problems, one BLAS thread. See README.md.

pyRiemann is taken from the folder named by --source (a checkout), or as installed."""

import argparse
import json
import sys
import time
import warnings

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402

import recipe  # noqa: E402


def parse():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--source", help="folder of a pyRiemann checkout")
    p.add_argument("--sizes", default="10,50,100,200")
    p.add_argument("--conditions", default="1e2,1e6")
    p.add_argument("--cases", help="part of the names of the cases to run")
    p.add_argument("--cap", type=float, default=30, help="CPU seconds after which larger sizes are left out")
    p.add_argument("--json", default="pyriemann_results.json")
    return p.parse_args()


def logarithms(x, matrices):
    """The matrices' logarithms at x, whitened by its Cholesky factor."""
    inv = np.linalg.inv(np.linalg.cholesky(x))
    for a in matrices:
        w, q = np.linalg.eigh(inv @ a @ inv.T)
        yield (q * np.log(w)) @ q.T


def relative_gradient(x, matrices):
    logs = list(logarithms(x, matrices))
    return float(np.linalg.norm(sum(logs) / len(logs)) / np.sqrt(np.mean([np.sum(l * l) for l in logs])))


def distance(x, y):
    return float(np.linalg.norm(next(logarithms(x, [y]))))


def timed(call):
    best, out = np.inf, None
    for _ in range(3):
        began = time.process_time()
        out = call()
        best = min(best, time.process_time() - began)
        if best > 3:
            break
    return best, out


def main():
    args = parse()
    if args.source:
        sys.path.insert(0, args.source)
    import pyriemann
    from pyriemann.utils import mean as means
    from pyriemann.utils.covariance import covariance_mest

    results = []
    slow = set()
    for kappa in map(float, args.conditions.split(",")):
        for n in map(int, args.sizes.split(",")):
            scatter = np.asarray(recipe.karcher_scatter(n, kappa))
            pair, exact = recipe.karcher_pair(n, kappa)
            pair = np.asarray(pair)
            samples = recipe.tyler_samples(n, kappa)
            four = np.stack([recipe.spd(200 + k, n, kappa) for k in range(4)])  # those of BenchmarkAverages
            cases = {
                "karcher_pair": lambda: means.mean_riemann(pair, tol=1e-8, maxiter=1000),
                "karcher_scatter": lambda: means.mean_riemann(scatter, tol=1e-8, maxiter=1000),
                "barycenter": lambda: means.mean_wasserstein(scatter, tol=1e-8, maxiter=1000),
                "stein": lambda: means.mean_logdet(scatter, tol=1e-8, maxiter=1000),
                "log-euclidean": lambda: means.mean_logeuclid(scatter),
                "kullback of four": lambda: means.mean_kullback_sym(four),
                "power of four": lambda: means.mean_power(four, 0.5, zeta=1e-10, maxiter=1000),
                "stein of four": lambda: means.mean_logdet(four, tol=1e-10, maxiter=1000),
                "ale of four": lambda: means.mean_ale(four, tol=1e-10, maxiter=1000),
                "alm of four": lambda: means.mean_alm(four, tol=1e-10),
                "tyler": lambda: covariance_mest(samples.T, "tyl", assume_centered=True, tol=1e-8, n_iter_max=1000),
            }
            for name, call in cases.items():
                if (name, kappa) in slow or args.cases and args.cases not in name:
                    continue
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    cpu, x = timed(call)
                if cpu > args.cap / (8 if name != "alm of four" else 500):
                    slow.add((name, kappa))
                row = {"case": name, "n": n, "condition": kappa, "cpu_s": cpu, "warnings": sorted({str(w.message) for w in caught})}
                if name.startswith("karcher"):
                    row["relative_gradient"] = relative_gradient(x, pair if name == "karcher_pair" else scatter)
                if name == "karcher_pair":
                    row["distance"] = distance(exact, x)
                if name == "tyler":
                    inv = np.linalg.inv(x)
                    q = np.einsum("ij,jk,ik->i", samples, inv, samples)
                    y = (samples / q[:, None]).T @ samples * n / len(samples)
                    y *= np.trace(x) / np.trace(y)
                    row["fixed_point_residual"] = float(np.linalg.norm(y - x) / np.linalg.norm(x))
                results.append(row)
                print(row, flush=True)
    with open(args.json, "w") as out:
        json.dump({"environment": environment.describe(), "pyriemann": pyriemann.__version__, "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
