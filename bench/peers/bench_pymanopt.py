#!/usr/bin/env python3
"""CPU time of pymanopt's solvers on seeded SPD problems, one BLAS thread. See README.md."""

import argparse
import gc
import json
import statistics
import sys
import time

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
import pymanopt  # noqa: E402
from pymanopt.manifolds import Product, SymmetricPositiveDefinite  # noqa: E402
from pymanopt.manifolds.product import _ProductTangentVector  # noqa: E402
from pymanopt.optimizers import ConjugateGradient, SteepestDescent, TrustRegions  # noqa: E402

import catalogue  # noqa: E402
import problems  # noqa: E402

SOLVERS = {"SD": SteepestDescent, "CG": ConjugateGradient, "TR": TrustRegions}
LEVELS = (1e-6, 1e-8)


class Stop(Exception):
    """Ends a run from inside: last level reached or CPU cap used up."""


class Recorder:
    """Notes CPU time whenever a solver takes the norm of a fresh gradient on the manifold."""

    def __init__(self, manifold, cap):
        self.cap = cap
        self.gradient = None
        self.trace = []
        self.gradients = self.costs = self.products = self.rejected = 0
        self.started = None
        self._norm = manifold.norm
        manifold.norm = self.norm

    def start(self):
        self.started = time.process_time()

    def cpu(self):
        return time.process_time() - self.started

    def norm(self, point, tangent_vector):
        value = self._norm(point, tangent_vector)
        if self.gradient is not None and tangent_vector is self.gradient:
            self.gradient = None
            self.trace.append((self.gradients - 1, self.costs - 1, self.products, self.cpu(), float(value)))
            self.last_point = point
            if value <= LEVELS[-1] * self.trace[0][4]:
                raise Stop("reached")
        return value

    def check_cap(self):
        if self.cpu() > self.cap:
            raise Stop("cap")


class ProductProblem(pymanopt.Problem):
    """A problem on a product manifold; pymanopt's own hands Riemannian derivatives over as lists, which its solvers cannot add."""

    def __init__(self, manifold, cost, gradient, hessian):
        super().__init__(manifold, cost, riemannian_gradient=gradient, riemannian_hessian=hessian)
        plain = self._riemannian_gradient, self._riemannian_hessian
        self._riemannian_gradient = lambda x: self._note(_ProductTangentVector(plain[0](x)))
        self._riemannian_hessian = lambda x, u: _ProductTangentVector(plain[1](x, u))

    def _note(self, g):
        self.recorder.gradient = g
        return g


def _problem(case, manifold, recorder, form):
    wrap = pymanopt.function.numpy(manifold)

    def cost(*x):
        recorder.check_cap()
        recorder.costs += x[0] is not getattr(recorder, "last_cost_point", None)
        recorder.last_cost_point = x[0]
        try:
            return case.cost(*x)
        except problems.Infeasible:
            recorder.rejected += 1
            return np.inf

    def note(g):
        recorder.gradient = g
        recorder.gradients += 1
        return g

    def gradient(*x):
        return note(case.riemannian_gradient(*x))

    def hessian(*xu):
        recorder.check_cap()
        recorder.products += 1
        return case.riemannian_hessian(*xu)

    if isinstance(manifold, Product):
        problem = ProductProblem(manifold, wrap(cost), wrap(gradient), wrap(hessian))
        problem.recorder = recorder
        return problem
    if getattr(case, "first_order", False):
        return pymanopt.Problem(manifold, wrap(cost), riemannian_gradient=wrap(gradient))
    if form == "riemannian":
        return pymanopt.Problem(
            manifold, wrap(cost), riemannian_gradient=wrap(gradient), riemannian_hessian=wrap(hessian)
        )

    def converted_gradient(x):
        return note(manifold.euclidean_to_riemannian_gradient(x, case.euclidean_gradient(x)))

    def converted_hessian(x, u):
        recorder.check_cap()
        recorder.products += 1
        return manifold.euclidean_to_riemannian_hessian(x, case.euclidean_gradient(x), case.euclidean_hessian(x, u), u)

    return pymanopt.Problem(
        manifold, wrap(cost), riemannian_gradient=wrap(converted_gradient), riemannian_hessian=wrap(converted_hessian)
    )


def _copy(point):
    return [part.copy() for part in point] if isinstance(point, list) else point.copy()


def run_once(name, n, kappa, solver, cap, form):
    """One run; returns what happened and the CPU seconds at each level."""
    if name in catalogue.BUILDERS:
        case = catalogue.BUILDERS[name](n, kappa)
        manifold = case.manifold()
    else:
        case = problems.build(name, n, kappa, vectors_in_cost=(solver != "SD"))
        manifold = SymmetricPositiveDefinite(n)
    recorder = Recorder(manifold, cap)
    problem = _problem(case, manifold, recorder, form)
    options = dict(max_time=1e9, max_iterations=1000, min_gradient_norm=1e-300, verbosity=0)
    optimizer = SOLVERS[solver](**options)
    gc.collect()
    recorder.start()
    try:
        end = optimizer.run(problem, initial_point=_copy(case.start)).stopping_criterion
    except Stop as stop:
        end = str(stop)
    total = recorder.cpu()

    first = recorder.trace[0][4]
    counter = 1 if solver == "TR" else 0  # TR: one trial cost per outer iteration, rejected ones included
    levels = {}
    for level in LEVELS:
        hit = next((t for t in recorder.trace if t[4] <= level * first), None)
        levels["%.0e" % level] = None if hit is None else {"iterations": hit[counter], "cpu_s": hit[3], "hessian": hit[2]}
    iterations = max(recorder.trace[-1][counter], 1)
    last = recorder.last_point
    return {
        "end": end,
        "total_cpu_s": total,
        "levels": levels,
        "best_relative_gradient": min(t[4] for t in recorder.trace) / first,
        "initial_gradient_norm": first,
        "iterations": recorder.trace[-1][counter],
        "cpu_per_iteration_s": recorder.trace[-1][3] / iterations,
        "cost_evaluations": recorder.costs,
        "gradient_evaluations": recorder.gradients,
        "hessian_products": recorder.products,
        "points_outside_cone": recorder.rejected,
        "residual": case.residual(*last) if isinstance(last, list) else case.residual(last),
    }


def measure(name, n, kappa, solver, cap, form, repeat):
    """Repeats cheap runs; CPU times become {min, median, runs}."""
    runs = [run_once(name, n, kappa, solver, cap, form)]
    limit = repeat if runs[0]["total_cpu_s"] < 1.0 else min(repeat, 3)
    while len(runs) < limit:
        runs.append(run_once(name, n, kappa, solver, cap, form))
    result = min(runs, key=lambda r: r["total_cpu_s"])
    for key in result["levels"]:
        times = [r["levels"][key]["cpu_s"] for r in runs if r["levels"][key]]
        if result["levels"][key]:
            result["levels"][key]["cpu_s"] = min(times)
            result["levels"][key]["cpu_s_median"] = statistics.median(times)
    result["runs"] = len(runs)
    return dict(problem=name, n=n, kappa=kappa, solver=solver, form=form, cap_s=cap, **result)


def _reason(r):
    if r["end"] == "cap":
        return "cap"
    for word in ("step_size", "iterations"):
        if word in r["end"]:
            return {"step_size": "step 0", "iterations": "max it"}[word]
    return r["end"]


def _cell(r):
    parts = []
    for level in r["levels"].values():
        parts.append("%d / %.2g" % (level["iterations"], level["cpu_s"]) if level else "-")
    text = " , ".join(parts)
    if r["levels"]["1e-08"] is None:
        text += " (best %.1e, %s)" % (r["best_relative_gradient"], _reason(r))
    if r["hessian_products"]:
        text += ", %d Hv" % r["hessian_products"]
    return text


def _best(cells):
    done = [c for c in cells if c["levels"]["1e-08"]]
    if done:
        b = min(done, key=lambda c: c["levels"]["1e-08"]["cpu_s"])
        return "**%s %.3g s** (%d it)" % (b["solver"], b["levels"]["1e-08"]["cpu_s"], b["levels"]["1e-08"]["iterations"])
    b = min(cells, key=lambda c: c["best_relative_gradient"])
    return "stalls at %.1e (%s, %.3g s, %s)" % (b["best_relative_gradient"], b["solver"], b["total_cpu_s"], _reason(b))


def markdown(report):
    """The tables of a report."""
    env = report["environment"]
    cores = ", ".join("%s (%s)" % (v["config"].split(" NO_")[0], v["core"]) for v in env["openblas"].values())
    lines = [
        "%s; Python %s, NumPy %s, SciPy %s, %s, 1 thread; pymanopt %s."
        % (env["cpu"], env["python"], env["numpy"], env["scipy"], cores, report["pymanopt"]),
        "",
        "Cells: iterations / CPU s to relative gradient 1e-6 , iterations / CPU s to 1e-8 (minimum over repeats).",
        "`best x` = smallest relative gradient where 1e-8 was not reached, with why the run ended; Hv = Hessian products.",
    ]
    groups = {}
    for r in report["results"]:
        groups.setdefault((r["problem"], r["kappa"], r["form"]), {}).setdefault(r["n"], []).append(r)
    for (name, kappa, form), rows in groups.items():
        lines += ["", "**%s, kappa = %.0e**%s" % (name, kappa, "" if form == "riemannian" else " (%s derivatives)" % form), ""]
        solvers = [s for s in SOLVERS if any(r["solver"] == s for cells in rows.values() for r in cells)]
        lines += ["| n | best to 1e-8 | " + " | ".join(SOLVERS[s].__name__ for s in solvers) + " |"]
        lines += ["|--:" + "|---" * (len(solvers) + 1) + "|"]
        for n, cells in rows.items():
            by = {c["solver"]: _cell(c) for c in cells}
            lines.append("| %d | %s | %s |" % (n, _best(cells), " | ".join(by.get(s, "") for s in solvers)))
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--problems", default=",".join([*problems.BUILDERS, *catalogue.BUILDERS]))
    p.add_argument("--sizes", default="10,50,100,200", help="comma-separated n")
    p.add_argument("--extra-sizes", default="logdet_mle:500", help="problem:n pairs measured in addition")
    p.add_argument("--kappas", default="1e2,1e6")
    p.add_argument("--solvers", default=",".join(SOLVERS))
    p.add_argument("--form", choices=("riemannian", "euclidean"), default="riemannian")
    p.add_argument("--cap", type=float, default=20.0, help="CPU seconds per run")
    p.add_argument("--repeat", type=int, default=5, help="runs of a case that takes under 1 s (others 3)")
    p.add_argument("--json", default="pymanopt_results.json")
    p.add_argument("--markdown", default="pymanopt_results.md")
    args = p.parse_args()
    if args.form == "euclidean" and any(name.startswith("karcher") for name in args.problems.split(",")):
        p.error("--form euclidean: the Karcher problems have only the Riemannian form; give --problems logdet_mle,tyler")

    extra = [pair.split(":") for pair in args.extra_sizes.split(",") if pair]
    report = {
        "environment": environment.describe(),
        "pymanopt": getattr(pymanopt, "__version__", "unknown"),
        "results": [],
    }
    for name in args.problems.split(","):
        sizes = [int(s) for s in args.sizes.split(",")] + [int(n) for who, n in extra if who == name]
        for kappa in (float(k) for k in args.kappas.split(",")):
            for n in sizes:
                for solver in args.solvers.split(","):
                    if solver == "TR" and name == "barycenter":
                        continue  # no Hessian
                    r = measure(name, n, kappa, solver, args.cap, args.form, args.repeat)
                    report["results"].append(r)
                    print(name, "%.0e" % kappa, n, solver, _cell(r), "residual", r["residual"], file=sys.stderr, flush=True)
                    with open(args.json, "w") as out:
                        json.dump(report, out, indent=1)
                    with open(args.markdown, "w") as out:
                        out.write(markdown(report))


if __name__ == "__main__":
    main()
