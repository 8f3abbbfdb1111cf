#!/usr/bin/env python3
"""Writes the seeded problems for bench_manopt.m and runs it under Octave, one BLAS thread. See README.md."""

import argparse
import json
import os
import subprocess
import tempfile

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402

import recipe  # noqa: E402


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--manopt", required=True, help="folder of a Manopt checkout")
    p.add_argument("--sizes", default="10,50,100")
    p.add_argument("--conditions", default="1e2,1e6")
    p.add_argument("--cases", default="logdet,tyler,pair")
    p.add_argument("--json", default="manopt_results.json")
    args = p.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        for kappa in args.conditions.split(","):
            for n in map(int, args.sizes.split(",")):
                data = {}
                if "logdet" in args.cases:
                    data["logdet"] = recipe.logdet_scatter(n, float(kappa))
                if "tyler" in args.cases:
                    data["tyler"] = recipe.tyler_samples(n, float(kappa))
                if "pair" in args.cases:
                    matrices, data["mean"] = recipe.karcher_pair(n, float(kappa))
                    data["pair"] = np.vstack(matrices)
                for name, value in data.items():
                    np.savetxt(os.path.join(folder, f"{name}_{n}_{kappa}.csv"), value, delimiter=",", fmt="%.17g")
        octave = subprocess.Popen(["octave", "--no-gui", "--quiet", os.path.join(here, "bench_manopt.m"), args.manopt, folder],
                                  stdout=subprocess.PIPE, text=True)
        results = []
        for line in octave.stdout:
            if line.startswith("{"):
                results.append(json.loads(line))
            print(line, end="", flush=True)
        if octave.wait() != 0:
            raise SystemExit(octave.returncode)
    with open(args.json, "w") as out:
        json.dump({"environment": environment.describe(), "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
