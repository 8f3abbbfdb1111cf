"""The random recipes of package gallery in NumPy, for programs that are compared on the same input.

python3 recipes.py > golden.json writes the numbers that the Go tests compare with.
"""
import json
import sys

import numpy as np

MASK = (1 << 64) - 1


def words(seed, count):
    z = (seed + np.arange(1, count + 1, dtype=object) * 0x9E3779B97F4A7C15) & MASK
    z = z.astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def normals(seed, *shape):
    count = int(np.prod(shape))
    u = ((words(seed, count + count % 2) >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53
    r, angle = np.sqrt(-2 * np.log(u[0::2])), 2 * np.pi * u[1::2]
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).ravel()[:count].reshape(shape)


def orthogonal(seed, n):
    q, r = np.linalg.qr(normals(seed, n, n))
    return q * np.sign(np.diag(r))


def spectrum(n, kappa):
    return np.ones(1) if n == 1 else kappa ** (np.arange(n) / (n - 1) - 0.5)


def compose(q, w):
    a = (q * w) @ q.T
    return (a + a.T) / 2


def spd(seed, n, kappa):
    return compose(orthogonal(seed, n), spectrum(n, kappa))


def karcher_pair(seed, n, pairs, kappa):
    q = orthogonal(seed, n)
    c = compose(q, np.sqrt(spectrum(n, kappa)))
    s = np.linspace(-1, 1, n)
    stack = []
    for j in range(pairs):
        qj = orthogonal(seed + 1 + j, n)
        for sign in (1, -1):
            a = c @ compose(qj, np.exp(sign * s)) @ c
            stack.append((a + a.T) / 2)
    return np.array(stack), compose(q, spectrum(n, kappa))


def karcher_scatter(seed, n, count, kappa):
    return np.array([spd(seed + j, n, kappa) for j in range(count)])


def logdet(n, kappa):
    return spd(3000, n, kappa)


def nearness(n, kappa):
    return spd(4000, n, kappa), normals(4001, 4 * n, n)


def tyler(n, kappa):
    root = compose(orthogonal(5000, n), np.sqrt(spectrum(n, kappa)))
    z = normals(5001, 4 * n, n + 3)
    return z[:, :n] * (np.sqrt(3) / np.linalg.norm(z[:, n:], axis=1))[:, None] @ root


if __name__ == "__main__":
    np.seterr(over="ignore")
    pair, mean = karcher_pair(1000, 4, 2, 1e6)
    q, x = nearness(3, 100)
    json.dump({
        "words_seed_7": [str(w) for w in words(7, 4)],
        "normals_seed_7": normals(7, 5).tolist(),
        "orthogonal_seed_7": orthogonal(7, 4).ravel().tolist(),
        "spd_seed_7_kappa_1e6": spd(7, 5, 1e6).ravel().tolist(),
        "karcher_pair": pair.ravel().tolist(),
        "karcher_pair_mean": mean.ravel().tolist(),
        "karcher_scatter": karcher_scatter(1000, 3, 2, 1e2).ravel().tolist(),
        "logdet": logdet(4, 1e2).ravel().tolist(),
        "nearness_q": q.ravel().tolist(),
        "nearness_x": x.ravel().tolist(),
        "tyler": tyler(3, 1e2).ravel().tolist(),
    }, sys.stdout, indent=1)
