#!/usr/bin/env python3
"""Checks the derivatives of problems.py and the known answers; exits 1 on failure.

Gradient and Hessian are compared with central differences of the cost along the second-order retraction
X + tU + t^2 U X^-1 U / 2; the Euclidean forms with the Riemannian ones after conversion.
"""

import json
import pathlib
import sys

import environment

environment.set_threads(1)

import numpy as np  # noqa: E402
from pymanopt.manifolds import Oblique, Product, SpecialOrthogonalGroup, Sphere  # noqa: E402
from pymanopt.manifolds.product import _ProductTangentVector  # noqa: E402

import catalogue  # noqa: E402
import problems  # noqa: E402
import recipe  # noqa: E402
from recipe import sym  # noqa: E402


def inner(x, a, b):
    return np.sum(np.linalg.solve(x, a) * np.linalg.solve(x, b).T)


def errors(case, x, u):
    """Relative errors of <grad, u>, <u, Hess u> and symmetry of the Hessian at x."""
    u = u / np.sqrt(inner(x, u, u))
    curve = lambda t: sym(x + t * u + 0.5 * t * t * u @ np.linalg.solve(x, u))  # noqa: E731
    f = lambda t: case.cost(curve(t))  # noqa: E731
    g, h = 1e-4, 2e-3
    first = (f(g) - f(-g)) / (2 * g)
    second = (-f(2 * h) + 16 * f(h) - 30 * f(0) + 16 * f(-h) - f(-2 * h)) / (12 * h * h)
    grad = case.riemannian_gradient(x)
    scale = np.sqrt(inner(x, grad, grad))
    eg = case.euclidean_gradient(x)
    euclidean = np.linalg.norm(sym(x @ eg @ x) - grad) / np.linalg.norm(grad)
    if getattr(case, "first_order", False):
        return {"gradient": abs(first - inner(x, grad, u)) / scale, "euclidean gradient": euclidean}
    hess = case.riemannian_hessian(x, u)
    other = sym(np.roll(u, 1))
    mixed = inner(x, other, hess) - inner(x, u, case.riemannian_hessian(x, other))
    out = {
        "gradient": abs(first - inner(x, grad, u)) / scale,
        "hessian": abs(second - inner(x, u, hess)) / max(abs(second), 1e-3),
        "symmetry": abs(mixed) / np.sqrt(inner(x, hess, hess) * inner(x, other, other)),
    }
    out["euclidean gradient"] = euclidean
    if case.euclidean_hessian is not None:
        eh = case.euclidean_hessian(x, u)
        converted = x @ sym(eh) @ x + sym(u @ sym(eg) @ x)
        out["euclidean hessian"] = np.linalg.norm(converted - hess) / np.linalg.norm(hess)
    return out


def near(case, scale):
    """A point a little off the start, where no derivative is small, and two tangent vectors of unit length there."""
    space, draws = case.manifold(), iter(range(201, 300))
    if isinstance(space, SpecialOrthogonalGroup):
        space = SpecialOrthogonalGroup(case.n, retraction="polar")  # the one of second order
    whole = isinstance(space, Product)

    def tangent(point):
        parts = [recipe.normals(next(draws), p.size).reshape(p.shape) for p in (point if whole else [point])]
        t = space.to_tangent_space(point, parts if whole else parts[0])
        return t / space.norm(point, t)

    x = space.retraction(case.start, scale * tangent(case.start))
    return space, x, tangent(x), tangent(x)


def catalogue_errors(case):
    """As errors, for a case of catalogue.py on whatever it lives on."""
    space, x, u, other = near(case, 0.3)
    whole = isinstance(space, Product)
    parts = (lambda p: list(p)) if whole else (lambda p: [p])
    flat = (lambda v: _ProductTangentVector(v)) if whole else (lambda v: v)
    curve = space.exp if isinstance(space, (Sphere, Oblique)) else space.retraction
    f = lambda t: case.cost(*parts(curve(x, t * u)))  # noqa: E731
    g, h = 1e-4, 2e-3
    first = (f(g) - f(-g)) / (2 * g)
    second = (-f(2 * h) + 16 * f(h) - 30 * f(0) + 16 * f(-h) - f(-2 * h)) / (12 * h * h)
    grad = flat(case.riemannian_gradient(*parts(x)))
    hess = flat(case.riemannian_hessian(*parts(x), *parts(u)))
    back = flat(case.riemannian_hessian(*parts(x), *parts(other)))
    mixed = space.inner_product(x, other, hess) - space.inner_product(x, u, back)
    return {
        "gradient": abs(first - space.inner_product(x, grad, u)) / space.norm(x, grad),
        "hessian": abs(second - space.inner_product(x, u, hess)) / space.norm(x, hess),
        "symmetry": abs(mixed) / space.norm(x, hess),
    }


def answers():
    """Relative gradient norm at known optima."""
    for n in (3, 10, 50):
        for kappa in (1e2, 1e6):
            for name in ("karcher_pair", "karcher_two", "logdet_mle"):
                case = problems.build(name, n, kappa, True)
                optimum = case.s if name == "logdet_mle" else case.answer
                g, g0 = case.riemannian_gradient(optimum), case.riemannian_gradient(case.start)
                ratio = np.sqrt(inner(optimum, g, g) / inner(case.start, g0, g0))
                yield "%s n=%d kappa=%.0e" % (name, n, kappa), ratio


def golden():
    """Largest relative difference to the numbers that package gallery, the Go twin, is tested with."""
    path = pathlib.Path(__file__).parents[2] / "internal" / "gallery" / "testdata" / "golden.json"
    if not path.exists():
        return
    numbers = json.loads(path.read_text())
    mine = {
        "normals_seed_7": recipe.normals(7, 5),
        "orthogonal_seed_7": recipe.orthogonal(7, 4),
        "spd_seed_7_kappa_1e6": recipe.spd(7, 5, 1e6),
        "karcher_pair": recipe.karcher_pair(4, 1e6, 4)[0],
        "karcher_pair_mean": recipe.karcher_pair(4, 1e6, 4)[1],
        "karcher_scatter": recipe.karcher_scatter(3, 1e2, 2),
        "logdet": recipe.logdet_scatter(4, 1e2),
        "tyler": recipe.tyler_samples(3, 1e2),
    }
    for name, got in mine.items():
        want = np.array(numbers[name])
        yield name, np.max(np.abs(got.ravel() - want)) / np.max(np.abs(want))


def main():
    bad = 0
    for name in problems.BUILDERS:
        for n in (4, 20):
            case = problems.build(name, n, 100.0, True)
            x = recipe.spd(77, n, 10.0)
            u = sym(recipe.normals(78, n * n).reshape(n, n))
            for what, error in errors(case, x, u).items():
                limit = {"gradient": 1e-6, "hessian": 1e-6}.get(what, 1e-10)
                bad += not error <= limit
                print("%-16s n=%-3d %-20s %.1e %s" % (name, n, what, error, "" if error <= limit else "FAIL"))
    for name, build in catalogue.BUILDERS.items():
        for n in (4, 12):
            for what, error in catalogue_errors(build(n, 10.0)).items():
                limit = {"symmetry": 1e-10}.get(what, 1e-5 if name == "itml" else 1e-6)  # itml: pairs join and leave within the difference
                bad += not error <= limit
                print("%-20s n=%-3d %-20s %.1e %s" % (name, n, what, error, "" if error <= limit else "FAIL"))
    for label, ratio in answers():
        bad += not ratio <= 1e-8
        print("%-34s relative gradient at the known answer %.1e %s" % (label, ratio, "" if ratio <= 1e-8 else "FAIL"))
    for name, error in golden():
        bad += not error <= 1e-14
        print("%-34s against internal/gallery %.1e %s" % (name, error, "" if error <= 1e-14 else "FAIL"))
    for n in (5, 50):
        q = recipe.orthogonal(9, n)
        values = np.linalg.eigvalsh(recipe.spd(9, n, 1e6)) / recipe.spectrum(n, 1e6) - 1
        bad += not (np.linalg.norm(q.T @ q - np.eye(n)) < 1e-12 and np.max(np.abs(values)) < 1e-8)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
