#!/usr/bin/env python3
"""CPU time and duality gap of scikit-learn's graphical lasso on seeded samples, one BLAS thread. See README.md."""

import argparse
import json
import time
import warnings

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.covariance import graphical_lasso  # noqa: E402

import recipe  # noqa: E402


def gap(s, theta, rho):
    """Value minus the dual value of the inverse with its distance to s cut to rho."""
    w = np.linalg.inv(theta)
    dual = s + np.clip(w - s, -rho, rho)
    np.fill_diagonal(dual, np.diag(s))
    penalty = rho * (np.abs(theta).sum() - np.abs(np.diag(theta)).sum())
    value = -np.linalg.slogdet(theta)[1] + np.sum(s * theta) + penalty
    return float(value - np.linalg.slogdet(dual)[1] - len(s)), float(value)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--sizes", default="10,50,100,200")
    p.add_argument("--rhos", default="0.1")
    p.add_argument("--tols", default="1e-4,1e-8")
    p.add_argument("--json", default="sklearn_results.json")
    args = p.parse_args()
    results = []
    for n in map(int, args.sizes.split(",")):
        x = recipe.normals(21, 2 * n * n).reshape(2 * n, n)
        s = x.T @ x / len(x)
        for rho in map(float, args.rhos.split(",")):
            for tol in map(float, args.tols.split(",")):
                best, caught = np.inf, []
                for _ in range(3):
                    began = time.process_time()
                    with warnings.catch_warnings(record=True) as caught:
                        warnings.simplefilter("always")
                        try:
                            _, theta, iterations = graphical_lasso(s, rho, tol=tol, enet_tol=min(tol, 1e-4), max_iter=1000, return_n_iter=True)
                        except FloatingPointError as error:
                            theta, iterations = None, str(error)
                    best = min(best, time.process_time() - began)
                    if best > 3:
                        break
                row = {"n": n, "rho": rho, "tol": tol, "cpu_s": best, "iterations": iterations, "warnings": sorted({str(w.message)[:80] for w in caught})}
                if theta is not None:
                    row["gap"], row["value"] = gap(s, theta, rho)
                results.append(row)
                print(row, flush=True)
    with open(args.json, "w") as out:
        json.dump({"environment": environment.describe(), "sklearn": sklearn.__version__, "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
