#!/usr/bin/env python3
"""pycma's BIPOP-CMA-ES as the optimizer of ./search (go run ./bench/peers/search ... python3 search_cma.py). See README.md."""

import argparse
import json
import struct
import sys
import warnings

import environment

environment.set_threads(1)

import cma  # noqa: E402
import numpy as np  # noqa: E402


class Over(Exception):
    """The target is reached or the budget is used."""


def objective(points):
    """Values of a generation, by the program at the other end of the pipes."""
    x = np.ascontiguousarray(points, dtype="<f8")
    sys.stdout.buffer.write(struct.pack("<I", len(x)) + x.tobytes())
    sys.stdout.buffer.flush()
    (count,) = struct.unpack("<I", sys.stdin.buffer.read(4))
    if count == 0:
        raise Over
    return np.frombuffer(sys.stdin.buffer.read(8 * count), dtype="<f8").tolist()


def trial(task, bipop, log):
    """One search from task["x0"] with sigma0 = 2, restarted from points of [-4, 4]^n."""
    starts = np.random.default_rng(task["seed"])
    first = [np.array(task["x0"])]

    def start():
        return first.pop() if first else starts.uniform(-4, 4, task["dim"])

    seed = int(np.random.SeedSequence(task["seed"]).generate_state(1)[0]) // 2 + 1
    options = {"verbose": -9, "seed": seed, "maxfevals": 2 * task["budget"]}
    try:
        cma.fmin2(None, start, 2, options, restarts=30, bipop=bipop, parallel_objective=objective)
    except Over:
        if log:
            print(json.dumps([dict(s) for s in cma.evolution_strategy.all_stoppings], default=str), file=log, flush=True)
        return
    raise RuntimeError("pycma stopped before the budget was used")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--ipop", action="store_true", help="restart with doubled populations only")
    p.add_argument("--log", help="file for the stopping criteria of every run of each trial, a line of JSON")
    args = p.parse_args()
    warnings.simplefilter("ignore")
    log = open(args.log, "w") if args.log else None
    for line in iter(sys.stdin.buffer.readline, b""):
        trial(json.loads(line), not args.ipop, log)


if __name__ == "__main__":
    main()
