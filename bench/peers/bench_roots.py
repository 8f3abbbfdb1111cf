"""Time and forward error of NumPy's, SciPy's and PyTorch's roads to A^p, and the cases for the Go side.

    python bench_roots.py --cases DIR --markdown roots.md [--shampoo CHECKOUT]
    SPDOPT_ROOT_CASES=DIR GOMAXPROCS=1 go test ./roots -run xxx -bench Reference -benchtime 20x

Matrices have a dense eigenbasis, a product of cosine transforms with random signs and permutations between them, and geometric spectra. The
reference is computed in extended precision (long double) from the exact eigenpairs, with a first-order correction for the rounding of A to double,
so that it is the function of the matrix that every program is given; fast transforms make that affordable at n = 2000. CPU
seconds of one thread, the least of several repeats. PyTorch is measured where it is installed, and the matrix functions of
github.com/facebookresearch/optimizers where --shampoo names a checkout (only those two files are loaded, not the optimizer).
"""
import argparse
import environment  # noqa: F401  first: one BLAS thread, unforced kernels
import pathlib
import sys
import time
import types
import warnings
from fractions import Fraction

import numpy as np
import scipy.fft
import scipy.linalg as sla

try:
    import torch
except ImportError:
    torch = None

LD = np.longdouble


class Basis:
    """An orthogonal matrix that is applied to rows in O(n log n), to long double precision."""

    def __init__(self, n, rng):
        self.signs = [rng.choice([-1.0, 1.0], n).astype(LD) for _ in range(3)]
        self.orders = [rng.permutation(n) for _ in range(3)]

    def rows(self, x):
        """x Q^T for every row of x."""
        for s, o in zip(self.signs, self.orders):
            x = scipy.fft.dct((x * s)[:, o], norm="ortho", axis=1)
        return x

    def rows_back(self, x):
        """x Q for every row of x."""
        for s, o in reversed(list(zip(self.signs, self.orders))):
            y = scipy.fft.idct(x, norm="ortho", axis=1)
            x = np.empty_like(y)
            x[:, o] = y
            x = x * s
        return x

    def congruence(self, m):
        """Q m Q^T of a symmetric m."""
        return self.rows(self.rows(m).T)

    def congruence_back(self, m):
        """Q^T m Q of a symmetric m."""
        return self.rows_back(self.rows_back(m).T)


def case(n, cond, seed=1):
    q = Basis(n, np.random.default_rng(seed))
    d = LD(cond) ** (-np.arange(n, dtype=LD) / LD(max(n - 1, 1)))
    exact = q.congruence(np.diag(d))
    a = exact.astype(np.float64)
    a = np.triu(a) + np.triu(a, 1).T
    return a, q, d, q.congruence_back(a.astype(LD) - exact)


def reference(q, d, delta, p):
    f = d ** LD(p)
    gap = d[:, None] - d[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(gap == 0, LD(p) * d[:, None] ** LD(p - 1), (f[:, None] - f[None, :]) / gap)
    return q.congruence(np.diag(f) + quotient * delta).astype(np.float64)


def eigh_power(a, p):
    w, v = np.linalg.eigh(a)
    return (v * w**p) @ v.T


def sqrtm_power(a, p):
    s = sla.sqrtm(a)
    if p == 0.5:
        return s
    s = np.linalg.inv(s) if p < 0 else s
    return sla.sqrtm(s) if abs(p) == 0.25 else s


def torch_eigh_power(a, p):
    w, v = torch.linalg.eigh(torch.from_numpy(a))
    return ((v * w**p) @ v.T).numpy()


def peers(fractional, shampoo):
    found = {
        "numpy eigh": eigh_power,
        "scipy sqrtm": lambda a, p: sqrtm_power(a, p) if abs(p) in (0.5, 0.25) else None,
        "scipy fractional": lambda a, p: sla.fractional_matrix_power(a, p) if len(a) <= fractional and p != -1 else None,
        "numpy inv": lambda a, p: np.linalg.inv(a) if p == -1 else None,
    }
    if torch is not None:
        torch.set_num_threads(1)
        found["torch eigh"] = torch_eigh_power
    if shampoo is not None:
        found.update(shampoo_peers(shampoo))
    return found


def shampoo_peers(checkout):
    """The matrix functions of a checkout, without importing the optimizer around them."""
    for name in ("distributed_shampoo", "distributed_shampoo.preconditioner", "distributed_shampoo.utils"):
        package = types.ModuleType(name)
        package.__path__ = [str(checkout.joinpath(*name.split(".")))]
        sys.modules[name] = package
    from distributed_shampoo.preconditioner import matrix_functions as mf
    from distributed_shampoo.preconditioner import matrix_functions_types as kinds

    def call(config):
        def power(a, p):
            root = {-0.5: 2, -0.25: 4, -1: 1}.get(p)
            if root is None:
                return None
            try:
                return mf.matrix_inverse_root(torch.from_numpy(a), Fraction(root), config).numpy()
            except ArithmeticError:
                return None
        return power

    return {
        "shampoo eigen": call(kinds.EigenConfig()),
        "shampoo coupled newton": call(kinds.CoupledNewtonConfig(tolerance=1e-14)),
        "shampoo higher order": call(kinds.CoupledHigherOrderConfig(rel_epsilon=0.0, abs_epsilon=0.0, tolerance=1e-14)),
    }


def run(f, budget):
    """The result of f and the least CPU time of a call."""
    start = time.process_time()
    result = f()
    best = spent = time.process_time() - start
    count = max(1, int(0.02 / max(best, 1e-6)))
    while result is not None and spent < budget:
        start = time.process_time()
        for _ in range(count):
            f()
        took = time.process_time() - start
        spent += took
        best = min(best, took / count)
    return result, best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", default="10,100,300")
    parser.add_argument("--conds", default="1e2,1e4,1e6,1e8,1e10,1e12")
    parser.add_argument("--powers", default="0.5,-0.5,-0.25,-1,0.37")
    parser.add_argument("--budget", type=float, default=0.3, help="CPU seconds per number")
    parser.add_argument("--fractional", type=int, default=1000, help="largest size for fractional_matrix_power")
    parser.add_argument("--shampoo", type=pathlib.Path, help="a checkout of facebookresearch/optimizers")
    parser.add_argument("--shampoo-size", type=int, default=1000, help="largest size for its iterations")
    parser.add_argument("--markdown", type=pathlib.Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.cases.mkdir(parents=True, exist_ok=True)
    rows = ["| n | cond | p | program | CPU us | error |", "|---|---|---|---|---|---|"]
    all_peers = peers(args.fractional, args.shampoo)
    for n in map(int, args.sizes.split(",")):
        for cond in map(float, args.conds.split(",")):
            a, q, d, delta = case(n, cond)
            a.tofile(args.cases / f"a_{n}_{cond:.0e}.f64")
            for p in map(float, args.powers.split(",")):
                ref = reference(q, d, delta, p)
                ref.tofile(args.cases / f"x_{n}_{cond:.0e}_{p:g}.f64")
                for name, f in all_peers.items():
                    if name.startswith("shampoo") and n > args.shampoo_size:
                        continue
                    x, took = run(lambda: f(a, p), args.budget)
                    if x is None:
                        continue
                    error = np.linalg.norm(x - ref) / np.linalg.norm(ref)
                    rows.append(f"| {n} | {cond:.0e} | {p:g} | {name} | {1e6 * took:.4g} | {error:.2g} |")
                    print(rows[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
