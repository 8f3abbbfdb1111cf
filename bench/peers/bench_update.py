#!/usr/bin/env python3
"""One spectral.Factor update against a fresh LAPACK decomposition (numpy.linalg.eigh, which is dsyevd), one thread, CPU time.

Both sides run in turn, round after round, and each number is the least CPU time of a call: the machine may be shared. Run from the repository
root; needs Go and NumPy:

    python3 bench/peers/bench_update.py --rounds 3 --markdown update.md
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time

for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

COLUMNS = [
    ("product", "Product/%d"),
    ("exact Cayley rotation", "Turn/%d"),
    ("dense update", "UpdateDense/%d"),
    ("rank-1 update", "UpdateRank/1/%d"),
    ("rank-16 update", "UpdateRank/16/%d"),
    ("n/10 vectors folded, 1 rotation", "UpdateFolded/%d"),
    ("exact rank-one", "RankOne/%d"),
    ("S^p X", "Pow/%d"),
    ("own eigensolver", "Decompose/%d"),
]


def least(call, budget):
    call()
    start = time.process_time()
    call()
    inner = max(1, int(0.005 / max(time.process_time() - start, 1e-7)))
    best, spent, samples = float("inf"), 0.0, 0
    while samples < 2 or spent < budget:
        start = time.process_time()
        for _ in range(inner):
            call()
        used = time.process_time() - start
        best, spent, samples = min(best, used / inner), spent + used, samples + 1
    return best


def lapack(n, budget):
    v = np.random.default_rng(n).standard_normal((n, n + 2))
    a = v @ v.T / (n + 2)
    return least(lambda: np.linalg.eigh(a), budget), least(lambda: a @ a, budget)


def go(binary, pattern, n, budget):
    levels = (pattern % n).split("/")
    match = "/".join("^%s$" % part for part in ["Benchmark" + levels[0]] + levels[1:])
    count = "%.3fs" % budget if n < 1000 else "3x"
    out = subprocess.run([binary, "-test.run", "^$", "-test.bench", match, "-test.cpu", "1", "-test.benchtime", count], capture_output=True, text=True, check=True, cwd="spectral").stdout
    return float(re.search(r"([\d.e+]+) cpu-us/op", out).group(1)) * 1e-6


def text(seconds):
    for unit, scale in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return "%.3g %s" % (seconds / scale, unit)
    return "%.3g ns" % (seconds * 1e9)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sizes", default="10,32,100,316,1000,2000")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--budget", type=float, default=0.2, help="CPU seconds per number and round")
    p.add_argument("--markdown", default="-")
    o = p.parse_args()
    sizes = [int(n) for n in o.sizes.split(",")]
    best = {}
    with tempfile.TemporaryDirectory() as tmp:
        binary = os.path.join(tmp, "spectral.test")
        subprocess.run(["go", "test", "-c", "-o", binary, "./spectral"], check=True)
        for n in sizes:
            for r in range(o.rounds if n < 2000 else 1):
                eigh, gemm = lapack(n, o.budget)
                found = [("eigh", eigh), ("numpy product", gemm)] + [(name, go(binary, pattern, n, o.budget)) for name, pattern in COLUMNS]
                for name, seconds in found:
                    best[n, name] = min(seconds, best.get((n, name), float("inf")))
                print("n = %d, round %d done" % (n, r + 1), file=sys.stderr)
    names = ["eigh", "numpy product"] + [name for name, _ in COLUMNS]
    lines = ["| n | " + " | ".join(names) + " |", "|--:" * (len(names) + 1) + "|"]
    for n in sizes:
        cells = []
        for name in names:
            v = best[n, name]
            note = "" if name in ("eigh", "numpy product") else " (%.1fx; %.2f)" % (best[n, "eigh"] / v, v / best[n, "product"])
            cells.append(text(v) + note)
        lines.append("| %d | %s |" % (n, " | ".join(cells)))
    lines.append("")
    lines.append("In brackets: how many times cheaper than eigh; the cost in own products of n x n matrices.")
    report = "\n".join(lines) + "\n"
    if o.markdown == "-":
        print(report, end="")
    else:
        with open(o.markdown, "w") as f:
            f.write(report)


if __name__ == "__main__":
    main()
