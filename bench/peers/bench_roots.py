"""Time and forward error of NumPy's and SciPy's roads to A^p, and the cases for the Go side.

    python bench_roots.py --cases DIR --markdown roots.md
    SPDOPT_ROOT_CASES=DIR GOMAXPROCS=1 go test ./roots -run xxx -bench Reference -benchtime 20x

Matrices have a random eigenbasis and geometric spectra. The reference is computed in extended precision (long double) from
the exact eigenpairs, with a first-order correction for the rounding of A to double, so that it is the function of the
matrix that every program is given. CPU seconds of one thread, the least of several repeats.
"""
import argparse
import environment  # noqa: F401  first: one BLAS thread, unforced kernels
import pathlib
import time

import numpy as np
import scipy.linalg as sla

LD = np.longdouble


def case(n, cond, seed=1):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    q = q.astype(LD)
    for _ in range(2):
        q = q @ (LD(3) * np.eye(n, dtype=LD) - q.T @ q) / LD(2)
    d = LD(cond) ** (-np.arange(n, dtype=LD) / LD(max(n - 1, 1)))
    exact = (q * d) @ q.T
    a = exact.astype(np.float64)
    a = np.triu(a) + np.triu(a, 1).T
    delta = q.T @ (a.astype(LD) - exact) @ q
    return a, q, d, delta


def reference(q, d, delta, p):
    f = d ** LD(p)
    gap = d[:, None] - d[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(gap == 0, LD(p) * d[:, None] ** LD(p - 1), (f[:, None] - f[None, :]) / gap)
    return ((q @ (np.diag(f) + quotient * delta)) @ q.T).astype(np.float64)


def eigh_power(a, p):
    w, v = np.linalg.eigh(a)
    return (v * w**p) @ v.T


def sqrtm_power(a, p):
    s = sla.sqrtm(a)
    if p == 0.5:
        return s
    s = np.linalg.inv(s) if p < 0 else s
    return sla.sqrtm(s) if abs(p) == 0.25 else s


PEERS = {
    "numpy eigh": lambda a, p: eigh_power(a, p),
    "scipy sqrtm": lambda a, p: sqrtm_power(a, p) if abs(p) in (0.5, 0.25) else None,
    "scipy fractional": lambda a, p: sla.fractional_matrix_power(a, p) if a.shape[0] <= 300 and p not in (-1,) else None,
    "numpy inv": lambda a, p: np.linalg.inv(a) if p == -1 else None,
}


def measure(f, budget=0.3):
    f()
    best, spent, count = np.inf, 0.0, 1
    while spent < budget:
        start = time.process_time()
        for _ in range(count):
            f()
        took = time.process_time() - start
        spent += took
        best = min(best, took / count) if took > 0.02 else best
        if took <= 0.02:
            count *= 2
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", default="10,100,300")
    parser.add_argument("--conds", default="1e2,1e6,1e10")
    parser.add_argument("--powers", default="0.5,-0.5,-0.25,-1,0.37")
    parser.add_argument("--markdown", type=pathlib.Path)
    args = parser.parse_args()
    args.cases.mkdir(parents=True, exist_ok=True)
    rows = ["| n | cond | p | program | CPU us | error |", "|---|---|---|---|---|---|"]
    for n in map(int, args.sizes.split(",")):
        for cond in map(float, args.conds.split(",")):
            a, q, d, delta = case(n, cond)
            a.tofile(args.cases / f"a_{n}_{cond:.0e}.f64")
            for p in map(float, args.powers.split(",")):
                ref = reference(q, d, delta, p)
                ref.tofile(args.cases / f"x_{n}_{cond:.0e}_{p:g}.f64")
                for name, f in PEERS.items():
                    x = f(a, p)
                    if x is None:
                        continue
                    error = np.linalg.norm(x - ref) / np.linalg.norm(ref)
                    rows.append(f"| {n} | {cond:.0e} | {p:g} | {name} | {1e6 * measure(lambda: f(a, p)):.4g} | {error:.2g} |")
                    print(rows[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
