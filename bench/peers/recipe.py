"""Portable seeded test problems, the same numbers in any language.

Recipe (README.md, "Data recipe", has it in words):
  SplitMix64 in counter form -> Box-Muller -> Householder QR with positive
  diagonal of R -> log-spaced spectrum with geometric mean 1.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)

COUNT = 20  # matrices in karcher_pair and karcher_scatter


def splitmix64(seed, count):
    """First `count` outputs of SplitMix64 whose state starts at `seed`."""
    with np.errstate(over="ignore"):
        k = np.arange(1, count + 1, dtype=np.uint64)
        z = np.uint64(seed) + k * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _M1
        z = (z ^ (z >> np.uint64(27))) * _M2
    return z ^ (z >> np.uint64(31))


def normals(seed, count):
    """`count` standard normals; outputs 2j and 2j+1 of the stream make normals 2j (cos) and 2j+1 (sin)."""
    pairs = (count + 1) // 2
    bits = splitmix64(seed, 2 * pairs) >> np.uint64(11)
    u1, u2 = ((b.astype(np.float64) + 0.5) * 2.0**-53 for b in (bits[0::2], bits[1::2]))
    r = np.sqrt(-2.0 * np.log(u1))
    z = np.empty(2 * pairs)
    z[0::2] = r * np.cos(2.0 * np.pi * u2)
    z[1::2] = r * np.sin(2.0 * np.pi * u2)
    return z[:count]


def orthogonal(seed, n):
    """Q of the QR factorisation with positive diagonal of R of an n x n normal matrix filled by rows."""
    q, r = np.linalg.qr(normals(seed, n * n).reshape(n, n))
    return q * np.where(np.diag(r) < 0, -1.0, 1.0)


def spectrum(n, kappa):
    """Ascending, log-spaced, condition kappa, geometric mean 1: kappa^(i/(n-1) - 1/2)."""
    if n == 1:
        return np.ones(1)
    return kappa ** (np.arange(n) / (n - 1) - 0.5)


def sym(a):
    return 0.5 * (a + a.T)


def spd_power(seed, n, kappa, p):
    """spd(seed, n, kappa)^p from its own eigenpairs."""
    q = orthogonal(seed, n)
    return sym((q * spectrum(n, kappa) ** p) @ q.T)


def spd(seed, n, kappa):
    """Q diag(spectrum) Q^T; column i of Q belongs to eigenvalue i."""
    return spd_power(seed, n, kappa, 1.0)


def karcher_pair(n, kappa, count=COUNT):
    """`count` matrices C^1/2 exp(+-S_j) C^1/2 (plus before minus) and their exact Karcher mean C.

    C = spd(1000, n, kappa); S_j has eigenvectors orthogonal(1000 + j, n), j = 1, 2, ..., and eigenvalues evenly
    spaced over [-1, 1], so exp(S_j) = spd(1000 + j, n, e^2).
    """
    half = spd_power(1000, n, kappa, 0.5)
    stack = np.empty((count, n, n))
    s = spectrum(n, np.exp(2.0))
    for j in range(1, count // 2 + 1):
        q = orthogonal(1000 + j, n)
        stack[2 * j - 2] = sym(half @ ((q * s) @ q.T) @ half)
        stack[2 * j - 1] = sym(half @ ((q / s) @ q.T) @ half)
    return stack, spd(1000, n, kappa)


def karcher_scatter(n, kappa, count=COUNT):
    """spd(1000 + k, n, kappa), k = 0..count-1: independent eigenbases, no closed-form mean for count > 2."""
    return np.stack([spd(1000 + k, n, kappa) for k in range(count)])


def many(n, kappa):
    """What `spdopt bench spd` takes the mean, median and barycenter of: 20 of them, or 4 beyond n = 200."""
    return karcher_scatter(n, kappa, COUNT if n <= 200 else 4)


def logdet_scatter(n, kappa):
    """S of logdet_mle."""
    return spd(3000, n, kappa)


def tyler_samples(n, kappa):
    """4n rows C^1/2 z sqrt(3) / ||g|| (Student's t, 3 degrees of freedom), C = spd(5000, n, kappa).

    z (n normals) and g (3 normals) follow each other in stream 5001, sample by sample.
    """
    draws = normals(5001, 4 * n * (n + 3)).reshape(4 * n, n + 3)
    texture = np.sqrt(3.0) / np.linalg.norm(draws[:, n:], axis=1)
    return (draws[:, :n] * texture[:, None]) @ spd_power(5000, n, kappa, 0.5)


def nearness(n, kappa):
    """Q = spd(4000, n, kappa) and 4n normal samples as rows, stream 4001."""
    return spd(4000, n, kappa), normals(4001, 4 * n * n).reshape(4 * n, n)


if __name__ == "__main__":
    np.set_printoptions(precision=17)
    print("splitmix64(3000):", [hex(int(v)) for v in splitmix64(3000, 4)])
    print("normals(3000):", normals(3000, 4))
    print("spd(3000,5,100):\n", spd(3000, 5, 100.0))
    pair, mean = karcher_pair(5, 100.0)
    print("karcher_pair[0] row 0:", pair[0][0], "\nkarcher_pair[1] row 0:", pair[1][0], "\nmean row 0:", mean[0])
    print("tyler row 0:", tyler_samples(5, 100.0)[0])
