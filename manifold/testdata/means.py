#!/usr/bin/env python3
"""Writes means.json: means of four SPD matrices of order 4 by pyRiemann (folder of a checkout as the argument, or as installed), and those that it lacks
in the version at hand, bmp and cheap, from their definitions with SciPy's general matrix functions. For average_test.go and masked_test.go."""

import json
import os
import sys

import numpy as np
from scipy.linalg import expm, fractional_matrix_power, logm, solve

if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
from pyriemann.utils import mean as means
from pyriemann.utils.ajd import ajd_pham
from pyriemann.utils.distance import distance_kullback, distance_kullback_right

rng = np.random.default_rng(6)
n, m = 4, 4


def spd():
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return (q * np.exp(rng.uniform(-1.5, 1.5, n))) @ q.T


def between(a, b, t):
    return np.real(a @ fractional_matrix_power(solve(a, b), t))


def bmp(x):
    if len(x) == 2:
        return between(x[0], x[1], 0.5)
    for _ in range(12):
        x = [between(x[h], bmp(x[:h] + x[h + 1:]), (len(x) - 1) / len(x)) for h in range(len(x))]
    return x[0]


def cheap(x):
    for _ in range(12):
        x = [np.real(a @ expm(sum(logm(solve(a, b)) for b in x) / len(x))) for a in x]
    return x[0]


def hidden(x, coordinates):
    y = x.copy()
    y[coordinates, :] = np.nan
    y[:, coordinates] = np.nan
    return y


x = np.array([(a + a.T) / 2 for a in (spd() for _ in range(m))])
b, _ = ajd_pham(x, eps=1e-26, n_iter_max=200)
out = {
    "ale": means.mean_ale(x, tol=1e-13, maxiter=500, init=b),
    "alm": means.mean_alm(x, tol=1e-13),
    "bmp": bmp(list(x)),
    "cheap": cheap(list(x)),
    "kullback": means.mean_kullback_sym(x),
    "power": means.mean_power(x, 0.5, zeta=1e-14),
    "stein": means.mean_logdet(x, tol=1e-14, maxiter=500),
}
masked = np.array([hidden(x[0], [3]), hidden(x[1], [0, 2]), x[2], hidden(x[3], [1])])
weights = np.array([1.0, 2.0, 1.5, 0.5])
out["masked"] = means.nanmean_riemann(masked, tol=1e-13, maxiter=5000, init=np.eye(n), sample_weight=weights.copy())
numbers = {
    "matrices": x.tolist(),
    "hidden": [[3], [0, 2], [], [1]],
    "weights": weights.tolist(),
    "means": {k: ((v + v.T) / 2).tolist() for k, v in out.items()},
    "kullback_01": float(distance_kullback(x[0], x[1])),
    "kullback_10": float(distance_kullback_right(x[0], x[1])),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "means.json"), "w") as f:
    json.dump(numbers, f, indent=1)
    f.write("\n")
