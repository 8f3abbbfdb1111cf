#!/usr/bin/env python3
"""The symmetric eigensolver of internal/eigen against LAPACK (numpy.linalg.eigh and eigvalsh) and gonum's EigenSym, one thread, CPU time.

All sides run in turn, round after round, on symmetric matrices with normal entries; each number is the least CPU time of a call, since the
machine may be shared. Run from the repository root; needs Go and NumPy:

    python3 bench/peers/bench_eigen.py --rounds 3 --markdown eigen.md
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

import bench_update  # fixes one thread before NumPy is loaded

import numpy as np

OWN = ["Product", "Sym", "Values", "RankOne", "Secular"]
GONUM = ["GonumEigenSym", "GonumEigenSymValues"]
GONUM_LARGEST = 500


def lapack(n, budget):
    a = np.random.default_rng(n).standard_normal((n, n))
    a = a + a.T
    calls = {"eigh": lambda: np.linalg.eigh(a), "eigvalsh": lambda: np.linalg.eigvalsh(a), "numpy product": lambda: a @ a}
    return {name: bench_update.least(call, budget) for name, call in calls.items()}


def go(binary, name, n, budget):
    count = "%.3fs" % budget if n < 1000 else "2x"
    command = [binary, "-test.run", "^$", "-test.bench", "^Benchmark%s$/^%d$" % (name, n), "-test.cpu", "1", "-test.benchtime", count]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.e+]+) cpu-us/op", out).group(1)) * 1e-6


def report(best, sizes):
    text = bench_update.text
    lines = [
        "| n | Solver.Sym | eigh | gonum vectors | Solver.Values | eigvalsh | gonum values | rank-one update | of it secular | product |",
        "|--:" * 10 + "|",
    ]
    for n in sizes:
        def against(name, own):
            seconds = best.get((n, name))
            return "" if seconds is None else "%s (%.2gx)" % (text(seconds), seconds / best[n, own])

        lines.append("| %d | %s |" % (n, " | ".join([
            text(best[n, "Sym"]), against("eigh", "Sym"), against("GonumEigenSym", "Sym"),
            text(best[n, "Values"]), against("eigvalsh", "Values"), against("GonumEigenSymValues", "Values"),
            "%s (%.2f)" % (text(best[n, "RankOne"]), best[n, "RankOne"] / best[n, "Product"]),
            text(best[n, "Secular"]), text(best[n, "Product"]),
        ])))
    lines += ["", "In brackets: how many times dearer than ours; for the rank-one update its cost in own products of n x n matrices."]
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sizes", default="10,32,64,100,200,316,500,1000,2000")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--budget", type=float, default=0.1, help="CPU seconds per number and round")
    p.add_argument("--markdown", default="-")
    o = p.parse_args()
    sizes = [int(n) for n in o.sizes.split(",")]
    best = {}
    with tempfile.TemporaryDirectory() as tmp:
        binary = os.path.join(tmp, "eigen.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./internal/eigen"], check=True)
        for n in sizes:
            for r in range(o.rounds):
                found = lapack(n, o.budget)
                for name in OWN + (GONUM if n <= GONUM_LARGEST else []):
                    found[name] = go(binary, name, n, o.budget)
                for name, seconds in found.items():
                    best[n, name] = min(seconds, best.get((n, name), float("inf")))
                print("n = %d, round %d done" % (n, r + 1), file=sys.stderr)
    text = report(best, sizes)
    if o.markdown == "-":
        print(text, end="")
    else:
        with open(o.markdown, "w") as f:
            f.write(text)


if __name__ == "__main__":
    main()
