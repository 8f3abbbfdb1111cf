#!/usr/bin/env python3
"""spdopt and pymanopt on the same seeded problems, in turns, one thread each, CPU time. See README.md.

Every size is solved by spdopt's default method and by each solver of pymanopt that was not far behind at the size before; then the best of those and
spdopt go on in turns. The least time of each counts.
"""

import argparse
import json
import os
import subprocess
import sys

import bench_pymanopt

FAR = 10  # how much longer than the best a solver may take to be tried at the next size
BRIEF = 0.05  # seconds of spdopt below which its runs are repeated more often
LEVEL = "1e-08"
NAMES = {"mean": "karcher_scatter", "logdet": "logdet_mle"}
UNCONDITIONED = ("kron-mle", "ellipsoid", "nearest-correlation")
FIRST_ORDER = ("barycenter",)


def recipe_of(problem, n):
    """The name under which bench_pymanopt.py has the problem."""
    return "karcher_four" if problem == "mean" and n > 200 else NAMES.get(problem, problem)


def ours(command, problem, n, condition, repeats, cap):
    """The case of `spdopt bench spd`, or None where it has none."""
    out = subprocess.run(
        [command, "bench", "spd", "--problems", problem, "--sizes", str(n), "--conds", repr(condition), "--repeats", str(repeats),
         "--timeout", "%gs" % cap, "--json", "-q"],
        env=dict(os.environ, GOMAXPROCS="1"), check=True, capture_output=True, text=True,
    )
    cases = json.loads(out.stdout)["cases"]
    return cases[0] if cases else None


def theirs(problem, n, condition, solver, cap):
    r = bench_pymanopt.run_once(recipe_of(problem, n), n, condition, solver, cap, "riemannian")
    level = r["levels"][LEVEL]
    return {
        "solver": solver,
        "reached": level is not None,
        "cpu_seconds": level["cpu_s"] if level else r["total_cpu_s"],
        "iterations": level["iterations"] if level else r["iterations"],
        "relative_gradient": r["best_relative_gradient"],
    }


def order(r):
    """Those that converged come first, the fastest of them before the others; then the most accurate."""
    return (not r["reached"], r["cpu_seconds"] if r["reached"] else r["relative_gradient"])


class Cell:
    """One problem, size and condition."""

    def __init__(self, args, problem, n, condition):
        self.args, self.at = args, (problem, n, condition)
        self.ours, self.runs = None, {}

    def measure(self, solvers):
        """Returns the solvers for the next size."""
        self._ours(3)
        if self.ours is None:
            return solvers
        for solver in solvers:
            self._theirs(solver)
        ranked = sorted(self.runs.values(), key=order)
        best = ranked[0]
        for _ in range(self.args.rounds - 1):
            if not best["reached"] or best["cpu_seconds"] > self.args.slow:
                break
            self._ours(20 if self.ours["cpu_seconds"] < BRIEF else 3)
            self._theirs(best["solver"])
        return [r["solver"] for r in ranked if not best["reached"] or r["reached"] and r["cpu_seconds"] <= FAR * best["cpu_seconds"]]

    def _ours(self, repeats):
        r = ours(self.args.spdopt, *self.at, repeats, self.args.cap)
        if self.ours is None or r["cpu_seconds"] < self.ours["cpu_seconds"]:
            self.ours = r

    def _theirs(self, solver):
        r = theirs(*self.at, solver, self.args.cap)
        if solver not in self.runs or r["cpu_seconds"] < self.runs[solver]["cpu_seconds"]:
            self.runs[solver] = r

    def report(self):
        problem, n, condition = self.at
        best = min(self.runs.values(), key=order)
        return {"problem": problem, "n": n, "condition": condition, "pymanopt": best, "spdopt": self.ours,
                "ratio": best["cpu_seconds"] / self.ours["cpu_seconds"], "tried": sorted(self.runs)}


def milliseconds(seconds):
    return "%.3g" % (1e3 * seconds) if seconds < 1 else "%.0f" % (1e3 * seconds)


def conditioned(r):
    return "-" if r["problem"] in UNCONDITIONED else "%.0e" % r["condition"]


def ratio(r):
    """Pymanopt's time over ours, a lower bound where it did not converge."""
    return "%s%.3g" % ("" if r["pymanopt"]["reached"] else "> ", r["ratio"])


def row(r):
    peer, own = r["pymanopt"], r["spdopt"]
    if peer["reached"]:
        told = "%s %s (%d)" % (peer["solver"], milliseconds(peer["cpu_seconds"]), peer["iterations"])
    else:
        told = "stops at %.0e (%s, %s)" % (peer["relative_gradient"], peer["solver"], milliseconds(peer["cpu_seconds"]))
    mark = "" if own["converged"] else ", not converged"
    certificate = own.get("certificate", {})
    distance = "%s %.0e" % ("<=" if certificate.get("bound") else "~", certificate["value"]) if certificate else "-"
    return "| %s | %s | %d | %s | %s (%d%s) | %s | %s |" % (
        r["problem"], conditioned(r), r["n"], told, milliseconds(own["cpu_seconds"]), own["iterations"], mark, distance, ratio(r))


def ratios(rows):
    """A line for each problem and condition: ratios and our milliseconds by size."""
    sizes = sorted({r["n"] for r in rows})
    lines = {}
    for r in rows:
        lines.setdefault((r["problem"], conditioned(r)), {})[r["n"]] = "%s (%s)" % (ratio(r), milliseconds(r["spdopt"]["cpu_seconds"]))
    head = ["| problem | condition | %s |" % " | ".join("n = %d" % n for n in sizes), "|---|---|" + "---|" * len(sizes)]
    return head + ["| %s | %s | %s |" % (*key, " | ".join(cells.get(n, "-") for n in sizes)) for key, cells in lines.items()]


def markdown(rows):
    head = ["| problem | condition | n | pymanopt ms (iterations) | spdopt ms (iterations) | distance | ratio |", "|---|---|--:|---|---|---|--:|"]
    return "\n".join(head + [row(r) for r in rows] + [""] + ratios(rows)) + "\n"


def merged(files):
    """The rows of the files, by problem, condition and size; a later one takes the place of an earlier one."""
    rows = {}
    for name in files:
        with open(name) as f:
            rows.update({(r["problem"], r["condition"], r["n"]): r for r in json.load(f)})
    return rows


def write(args, rows):
    problems = list(dict.fromkeys(key[0] for key in rows))
    ordered = [rows[key] for key in sorted(rows, key=lambda key: (problems.index(key[0]), *key[1:]))]
    with open(args.json, "w") as out:
        json.dump(ordered, out, indent=1)
    with open(args.markdown, "w") as out:
        out.write(markdown(ordered))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--spdopt", default="spdopt", help="the command")
    p.add_argument("--problems", default="", help="comma-separated; none to write the tables of --merge alone")
    p.add_argument("--sizes", default="10,50,100,200")
    p.add_argument("--conds", default="1e2,1e6")
    p.add_argument("--solvers", default=",".join(bench_pymanopt.SOLVERS))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--slow", type=float, default=5.0, help="CPU seconds of pymanopt from which on one round is enough")
    p.add_argument("--cap", type=float, default=60.0, help="CPU seconds per run")
    p.add_argument("--merge", nargs="*", default=[], help="results of earlier runs to begin with")
    p.add_argument("--json", default="compare.json")
    p.add_argument("--markdown", default="compare.md")
    args = p.parse_args()
    rows = merged(args.merge)
    write(args, rows)
    for problem in filter(None, args.problems.split(",")):
        conditions = [float(c) for c in args.conds.split(",")]
        for condition in conditions[:1] if problem in UNCONDITIONED else conditions:
            solvers = [s for s in args.solvers.split(",") if s != "TR" or problem not in FIRST_ORDER]
            for n in (int(s) for s in args.sizes.split(",")):
                cell = Cell(args, problem, n, condition)
                solvers = cell.measure(solvers)
                if cell.ours is None:
                    continue
                rows[problem, condition, n] = cell.report()
                print(row(rows[problem, condition, n]), file=sys.stderr, flush=True)
                write(args, rows)


if __name__ == "__main__":
    main()
