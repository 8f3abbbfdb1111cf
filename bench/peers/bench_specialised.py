#!/usr/bin/env python3
"""CPU time of the specialised methods that Python has, or that a page of NumPy makes, on the data of `spdopt bench spd`, one BLAS thread.

Published iterations are written as in their papers, with whole products where these exist: flip-flop (Dutilleul), Wolfe-Atwood steps for
D-optimal designs and enclosing ellipsoids (Todd and Yildirim), alternating projections with Dykstra's correction (Higham), cyclic Bregman projections (Davis et al.), normal
equations. scikit-learn: EM for mixtures, OAS, Ledoit-Wolf. pyRiemann: rotations (--pyriemann names a checkout) and minimum distance to mean.
"""

import argparse
import json
import sys
import time
import warnings

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
import scipy.linalg as sl  # noqa: E402

import catalogue  # noqa: E402
import recipe  # noqa: E402


class Clock:
    """Process time that can be stopped while results are judged, with a cap."""

    def __init__(self, cap):
        self.cap, self.spent, self.began = cap, 0.0, time.process_time()

    def pause(self):
        self.spent += time.process_time() - self.began

    def go_on(self):
        self.began = time.process_time()

    def over(self):
        return self.spent + time.process_time() - self.began > self.cap


def kron(n, kappa, clock):
    """Flip-flop until the relative gradient ||I - A^-1/2 P A^-1/2 / q||_F / sqrt(n) is 1e-8."""
    k = catalogue.Kronecker(n, kappa)
    clock.go_on()
    a, steps = np.eye(n), 0
    while True:
        low = np.linalg.cholesky(a)
        b = k.columns(low)
        p = k.rows(np.linalg.cholesky(b)) / n
        white = sl.solve_triangular(low, sl.solve_triangular(low, p, lower=True).T, lower=True)
        gradient = np.linalg.norm(white - np.eye(n)) / np.sqrt(n)
        if gradient <= 1e-8 or clock.over():
            return steps, gradient
        a, steps = p, steps + 1


def ellipsoid(n, kappa, clock):
    case = catalogue.Ellipsoid(n, kappa)
    clock.go_on()
    x = catalogue.quadric(case.x)
    clock.pause()
    g = case.riemannian_gradient(x)
    clock.go_on()
    return 0, float(np.linalg.norm(g) / np.linalg.norm(case.riemannian_gradient(case.start)))


def itml(n, kappa, clock):
    """Sweeps over all pairs until the relative gradient of the problem with the slacks eliminated is 1e-8."""
    case = catalogue.ITML(n, kappa)
    clock.go_on()
    x, lam, slack = np.eye(n), np.zeros(len(case.z)), case.bound.copy()
    sweeps = 0
    while True:
        for k, (z, near) in enumerate(zip(case.z, case.near)):
            w = x @ z
            q, sign = z @ w, 1.0 if near else -1.0
            alpha = min(lam[k], sign * 0.5 * (1 / q - 1 / slack[k]))
            lam[k] -= alpha
            slack[k] = slack[k] / (1 + sign * alpha * slack[k])
            x += sign * alpha / (1 - sign * alpha * q) * np.outer(w, w)
        sweeps += 1
        clock.pause()
        low = np.linalg.cholesky(x)
        g = sl.solve_triangular(low, sl.solve_triangular(low, case.riemannian_gradient(x.copy()), lower=True).T, lower=True)
        gradient = np.linalg.norm(g) / np.sqrt(n)
        clock.go_on()
        if gradient <= 1e-8 or clock.over():
            return sweeps, float(gradient)


def design(case, clock):
    """Wolfe-Atwood steps with rank-one updates from equal weights until max g and, on the support, min g are within 1e-8 of d."""
    y = case.y
    count, d = y.shape
    clock.go_on()
    u, steps = np.full(count, 1 / count), 0
    while True:
        inverse = np.linalg.inv((y.T * u) @ y)
        g = np.einsum("ij,ij->i", y @ inverse, y)
        for _ in range(1000):
            most, least = np.argmax(g), np.argmin(np.where(u > 0, g, np.inf))
            above, below = g[most] / d - 1, 1 - g[least] / d
            if max(above, below) <= 1e-8:
                break
            k = most if above > below else least
            step = (g[k] - d) / (d * (g[k] - 1))
            step = max(step, -u[k] / (1 - u[k]))
            w = inverse @ y[k]
            p = y @ w
            u *= 1 - step
            u[k] = max(u[k] + step, 0.0)
            t = step / (1 - step + step * g[k])
            inverse = (inverse - t * np.outer(w, w)) / (1 - step)
            g = (g - t * p**2) / (1 - step)
            steps += 1
        inverse = np.linalg.inv((y.T * u) @ y)
        g = np.einsum("ij,ij->i", y @ inverse, y)
        worst = max(g.max() / d - 1, 1 - g[u > 0].min() / d)
        if worst <= 1.1e-8 or clock.over():
            return steps, float(worst)


def correlation(n, kappa, clock):
    """Alternating projections until the diagonal is within 1e-8."""
    c = catalogue.indefinite(n)
    clock.go_on()
    x, correction, steps = c.copy(), 0.0, 0
    while True:
        r = x - correction
        w, v = np.linalg.eigh(r)
        projected = (v * np.maximum(w, 0)) @ v.T
        correction = projected - r
        x = projected.copy()
        np.fill_diagonal(x, 1.0)
        steps += 1
        residual = np.linalg.norm(np.diag(projected) - 1) / np.sqrt(n)
        if residual <= 1e-8 or clock.over():
            return steps, float(residual)


def mixture(n, kappa, clock):
    """scikit-learn's EM, 20 steps at a time, until the relative gradient of the lifted problem is 1e-8."""
    from sklearn.mixture import GaussianMixture

    case = catalogue.Mixture(n, kappa)
    weights, means, covariances = case.began
    first = np.stack([np.linalg.inv(s) for s in covariances])
    clock.go_on()
    em = GaussianMixture(case.k, weights_init=weights, means_init=means, precisions_init=first, max_iter=20, tol=0, reg_covar=0, warm_start=True)
    steps = 0
    while True:
        em.fit(case.x)
        steps += 20
        clock.pause()
        lifted = np.stack([np.block([[s + np.outer(m, m), m[:, None]], [m[None, :], np.ones((1, 1))]]) for m, s in zip(em.means_, em.covariances_)])
        g, t = case.riemannian_gradient(lifted, np.log(em.weights_[:-1] / em.weights_[-1]))
        square = sum(np.sum(np.linalg.solve(s, x) * np.linalg.solve(s, x).T) for s, x in zip(lifted, g))
        gradient = np.sqrt(square + np.sum(t**2))
        clock.go_on()
        if gradient <= 1e-8 or clock.over():
            return steps, float(gradient)


def start_of_mixture(n, kappa, clock):
    """The start that the methods above are given: four times 20 steps of EM."""
    case = catalogue.Mixture(n, kappa)
    clock.go_on()
    catalogue.mixture_start(case.x, case.k)
    return 80, 0.0


def start_of_procrustes(n, kappa, clock):
    """The start that pymanopt is given."""
    case = catalogue.Procrustes(n, kappa)
    clock.go_on()
    case.between_arithmetic()
    return 0, 0.0


def karcher_start_of_procrustes(n, kappa, clock):
    """That of procrustes-karcher."""
    case = catalogue.Procrustes(n, kappa)
    clock.go_on()
    case.between_karcher()
    return 0, 0.0


def rotation(n, kappa, clock):
    """pyRiemann's rotation in the affine-invariant metric; the number is the cost."""
    from pyriemann.optimization.grassmann import _get_rotation_manifold

    case = catalogue.Procrustes(n, kappa)
    clock.go_on()
    q = _get_rotation_manifold(case.a, case.b, metric="riemann")
    clock.pause()
    cost = case.residual(q)
    clock.go_on()
    return 0, cost


def classify(n, kappa, clock):
    from pyriemann.classification import MDM

    x = recipe.karcher_scatter(n, kappa, 12)
    labels = np.arange(12) % 2
    x[labels == 1] *= 3
    clock.go_on()
    MDM(metric="riemann").fit(x, labels).predict(x)
    return 0, 0.0


def shrinkage(n, kappa, clock):
    from sklearn.covariance import OAS

    x = recipe.tyler_samples(n, kappa)
    clock.go_on()
    OAS(assume_centered=True, store_precision=False).fit(x)
    return 0, 0.0


def ledoit_wolf(n, kappa, clock):
    from sklearn.covariance import LedoitWolf

    x = recipe.tyler_samples(n, kappa)
    clock.go_on()
    LedoitWolf(assume_centered=True, store_precision=False).fit(x)
    return 0, 0.0


CASES = {
    "kron-mle": kron,
    "ellipsoid": ellipsoid,
    "itml": itml,
    "dopt": lambda n, kappa, clock: design(catalogue.Design(n, kappa), clock),
    "mve": lambda n, kappa, clock: design(catalogue.Enclosing(n, kappa), clock),
    "nearest-correlation": correlation,
    "gmm": mixture,
    "gmm-start": start_of_mixture,
    "procrustes": rotation,
    "procrustes-start": start_of_procrustes,
    "procrustes-karcher-start": karcher_start_of_procrustes,
    "classify": classify,
    "shrinkage": shrinkage,
    "ledoit-wolf": ledoit_wolf,
}


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--cases", default=",".join(CASES))
    p.add_argument("--sizes", default="10,50,100")
    p.add_argument("--conditions", default="1e2")
    p.add_argument("--cap", type=float, default=20, help="CPU seconds of a run")
    p.add_argument("--repeat", type=int, default=3, help="runs of a case that takes under 1 s")
    p.add_argument("--pyriemann", help="folder of a pyRiemann checkout")
    p.add_argument("--json", default="specialised_results.json")
    args = p.parse_args()
    if args.pyriemann:
        sys.path.insert(0, args.pyriemann)
    warnings.simplefilter("ignore")
    results = []
    for name in args.cases.split(","):
        for kappa in map(float, args.conditions.split(",")):
            for n in map(int, args.sizes.split(",")):
                best = np.inf
                for _ in range(args.repeat):
                    clock = Clock(args.cap)
                    steps, reached = CASES[name](n, kappa, clock)
                    clock.pause()
                    best = min(best, clock.spent)
                    if best > 1:
                        break
                results.append({"case": name, "n": n, "kappa": kappa, "cpu_s": best, "iterations": int(steps), "reached": float(reached)})
                print("%-20s n=%-4d kappa=%.0e %10.3f ms %6d iterations, %.2g" % (name, n, kappa, 1e3 * best, steps, reached), flush=True)
                with open(args.json, "w") as out:
                    json.dump({"environment": environment.describe(), "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
