"""Times spdopt solve on the processor and on the device for matrices of several sizes: the same problem, data and tolerance. bench/gpu/run.sh calls it.

    python3 bench/gpu/solve.py --spdopt ./spdopt --out runs/gpu --sizes 1024 4096

Needs NumPy for sizes above a few hundred. On the processor sizes above --processor are left out.
"""

import argparse
import array
import json
import os
import random
import struct
import subprocess
import sys


def write(path, shape, numbers):
    """Writes float64 numbers as a .npy file."""
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': %r, }" % (tuple(shape),)
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        f.write(numbers)


def normals(rows, cols, seed):
    try:
        import numpy
        return numpy.random.default_rng(seed).standard_normal((rows, cols)).tobytes()
    except ImportError:
        r = random.Random(seed)
        return array.array("d", [r.gauss(0, 1) for _ in range(rows * cols)]).tobytes()


def samples(path, n, seed):
    write(path, (4 * n, n), normals(4 * n, n, seed))


def symmetric(path, n, seed):
    try:
        import numpy
        a = numpy.frombuffer(normals(n, n, seed)).reshape(n, n) / n**0.5
        write(path, (n, n), ((a + a.T) / 2 + numpy.eye(n)).tobytes())
    except ImportError:
        a = array.array("d", normals(n, n, seed))
        write(path, (n, n), array.array("d", [(a[i * n + j] + a[j * n + i]) / 2 / n**0.5 + (i == j) for i in range(n) for j in range(n)]).tobytes())


def covariances(path, n, seed):
    """Three matrices S S'/(2n) of n x 2n normal numbers."""
    count = 3
    try:
        import numpy
        s = numpy.frombuffer(normals(count * n, 2 * n, seed)).reshape(count, n, 2 * n)
        write(path, (count, n, n), (s @ s.transpose(0, 2, 1) / (2 * n)).tobytes())
    except ImportError:
        s, m, out = array.array("d", normals(count * n, 2 * n, seed)), 2 * n, array.array("d")
        for k in range(count):
            rows = [s[(k * n + i) * m:(k * n + i + 1) * m] for i in range(n)]
            out.extend(sum(a * b for a, b in zip(rows[i], rows[j])) / m for i in range(n) for j in range(n))
        write(path, (count, n, n), out.tobytes())


PROBLEMS = {"tyler": samples, "student": samples, "logdet": samples, "nearest-spd": symmetric, "nearest-correlation": symmetric, "mean": covariances, "barycenter": covariances}


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--spdopt", required=True)
    a.add_argument("--out", default=".")
    a.add_argument("--device", default="cuda")
    a.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    a.add_argument("--processor", type=int, default=2048, help="largest size on the processor")
    o = a.parse_args()
    results, failed = [], False
    for n in o.sizes:
        for name, make in PROBLEMS.items():
            data = os.path.join(o.out, "solve-data.npy")
            make(data, n, seed=n)
            for where in ([], ["--device", o.device], ["--device", o.device, "--precision", "single"]):
                if not where and n > o.processor:
                    continue
                run = subprocess.run([o.spdopt, "solve", name, "--data", data, "--json", "--out", os.path.join(o.out, "solve-x.npy"), *where], capture_output=True, text=True)
                kind = {0: "processor", 2: "device, float64", 4: "device, float32"}[len(where)]
                if run.returncode != 0:
                    failed = True
                    print(f"{name:20s} n = {n:6d}  {kind:16s} exit code {run.returncode}: {run.stderr.strip()}")
                    continue
                r = json.loads(run.stdout)
                results.append({"problem": name, "n": n, "where": kind, **{k: r[k] for k in ("seconds", "iterations", "converged", "objective", "relative_gradient")}})
                print(f"{name:20s} n = {n:6d}  {kind:16s} {r['seconds']:9.3f} s  {r['iterations']:4d} iterations  {'' if r['converged'] else 'NOT '}converged  objective {r['objective']:.10g}")
            os.remove(data)
    with open(os.path.join(o.out, "solve.json"), "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
