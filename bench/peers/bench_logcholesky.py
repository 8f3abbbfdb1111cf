#!/usr/bin/env python3
"""SciPy's L-BFGS-B on log-Cholesky coordinates: iterations, CPU time and distance to the optimum on the seeded problems. See README.md."""

import argparse
import json
import time

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
import scipy  # noqa: E402
from scipy.linalg import solve_triangular  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

import problems  # noqa: E402
import recipe  # noqa: E402


class Done(Exception):
    """The relative gradient is small, or the time is used up."""


def factor(v, n):
    l = np.zeros((n, n))
    l[np.tril_indices(n)] = v
    d = np.exp(np.diag(l))
    np.fill_diagonal(l, d)
    return l, d


def run(n, kappa, name, cap, tol):
    """X = L L^T, the diagonal of L as logarithms; gradients by the chain rule."""
    if name == "logdet":
        s = recipe.logdet_scatter(n, kappa)

        def euclidean(l):
            inv = solve_triangular(l, np.eye(n), lower=True)
            xi = inv.T @ inv
            return 2 * np.log(np.diag(l)).sum() + np.sum(xi * s), xi - xi @ s @ xi

        answer = s
    elif name == "tyler":
        x = recipe.tyler_samples(n, kappa)

        def euclidean(l):
            z = solve_triangular(l, x.T, lower=True)
            q = (z * z).sum(0)
            inv = solve_triangular(l, np.eye(n), lower=True)
            y = inv.T @ (z / np.sqrt(q))
            c = n / len(x)
            return 2 * np.log(np.diag(l)).sum() + c * np.log(q).sum(), inv.T @ inv - c * (y @ y.T)

        answer = None
    else:
        q = recipe.spd(4000, n, kappa)

        def euclidean(l):
            r = q @ (l @ l.T) - np.eye(n)
            g = q @ r
            return 0.5 * np.sum(r * r), (g + g.T) / 2

        answer = np.linalg.inv(q)
    state = {"its": 0, "first": None, "best": np.inf, "hit": None}
    began = time.process_time()

    def value(v):
        l, d = factor(v, n)
        f, g = euclidean(l)
        gl = 2 * g @ l
        whitened = np.linalg.norm(l.T @ g @ l)
        state["first"] = state["first"] or whitened
        state["now"], state["l"] = whitened / state["first"], l
        grad = np.tril(gl)
        np.fill_diagonal(grad, np.diag(gl) * d)
        return f, grad[np.tril_indices(n)]

    def after(_):
        state["its"] += 1
        state["best"] = min(state["best"], state["now"])
        if state["now"] <= tol and state["hit"] is None:
            state["hit"] = (state["its"], time.process_time() - began)
            raise Done
        if time.process_time() - began > cap:
            raise Done

    try:
        minimize(value, np.zeros(n * (n + 1) // 2), jac=True, method="L-BFGS-B", callback=after,
                 options=dict(maxcor=30, maxiter=4000, maxfun=100000, ftol=0, gtol=0))
    except Done:
        pass
    cpu = time.process_time() - began
    out = {"case": name, "n": n, "condition": kappa, "iterations": state["its"], "cpu_s": cpu, "best_relative_gradient": float(state["best"]),
           "reached": state["hit"]}
    if answer is not None:
        out["distance"] = float(problems.ai_distance(state["l"] @ state["l"].T, answer))
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--sizes", default="10,50,100")
    p.add_argument("--cases", default="logdet,tyler,nearness")
    p.add_argument("--conditions", default="1e2,1e6")
    p.add_argument("--cap", type=float, default=20)
    p.add_argument("--tol", type=float, default=1e-8)
    p.add_argument("--json", default="logcholesky_results.json")
    args = p.parse_args()
    results = []
    for name in args.cases.split(","):
        for kappa in map(float, args.conditions.split(",")):
            for n in map(int, args.sizes.split(",")):
                results.append(run(n, kappa, name, args.cap, args.tol))
                print(results[-1], flush=True)
    with open(args.json, "w") as out:
        json.dump({"environment": environment.describe(), "scipy": scipy.__version__, "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
