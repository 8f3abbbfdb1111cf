"""More test problems, beyond single SPD matrices too: data of `spdopt bench spd`, costs, Riemannian gradients and exact Hessians for pymanopt.

Each case has the interface of problems.py, and `manifold()`, what it lives on. Functions take the parts of a point (and of a tangent vector) one by
one. As there, what depends on the point alone is computed once, and the derivatives are simplified by hand.
"""

import numpy as np
import scipy.linalg as sl
from pymanopt.manifolds import Euclidean, Oblique, Product, SpecialOrthogonalGroup, Sphere, SymmetricPositiveDefinite

import recipe
from problems import Infeasible, PointCache, Riccati, _cholesky, _logdet
from recipe import sym


def coloured(seed, count, n, kappa):
    """Normal samples whose covariance has the condition."""
    x = recipe.normals(seed, count * n).reshape(count, n)
    q = recipe.orthogonal(seed + 1, n)
    return x @ ((q * np.sqrt(recipe.spectrum(n, kappa))) @ q.T)


class Case:
    """What the cases share: a cache of the work at a point, found by the identity of its first part."""

    euclidean_hessian = None

    def __init__(self):
        self._parts = None
        self._cache = PointCache(lambda _: self._build(*self._parts))

    def work(self, *parts):
        self._parts = parts
        return self._cache(parts[0])

    def cost(self, *parts):
        return self.work(*parts)["cost"]

    def residual(self, *parts):
        return None


class Kronecker(Case):
    """q log det A + p log det B, B = (1/Np) sum Y' A^-1 Y put in; gradient q A - P, P = (1/N) sum Y B^-1 Y'.

    Hessian sym(U A^-1 P) - (1/N) sum Y B^-1 G B^-1 Y', G = (1/Np) sum (A^-1 Y)' U (A^-1 Y). Samples lie side by side, so that every sum is one
    product of large matrices.
    """

    def __init__(self, n, kappa):
        super().__init__()
        self.n, self.count = n, 4 * n
        samples = recipe.normals(63, self.count * n * n).reshape(self.count, n, n)
        self.y = np.ascontiguousarray(samples.transpose(1, 0, 2)).reshape(n, -1)
        self.start = np.eye(n)

    def manifold(self):
        return SymmetricPositiveDefinite(self.n)

    def tall(self, wide):
        """The samples above each other."""
        return wide.reshape(-1, self.n)

    def columns(self, a_lower):
        white = self.tall(sl.solve_triangular(a_lower, self.y, lower=True, check_finite=False))
        return white.T @ white / (self.count * self.n)

    def rows(self, b_lower):
        white = sl.solve_triangular(b_lower, self.tall(self.y).T, lower=True, check_finite=False).T
        white = np.ascontiguousarray(white).reshape(self.n, -1)
        return white @ white.T / self.count

    def _build(self, a):
        lower = _cholesky(a)
        b = _cholesky(self.columns(lower))
        return {"L": lower, "B": b, "cost": self.n * (_logdet(lower) + _logdet(b))}

    def _scatter(self, a):
        w = self.work(a)
        if "P" not in w:
            w["P"] = self.rows(w["B"])
        return w["P"]

    def riemannian_gradient(self, a):
        return self.n * a - self._scatter(a)

    def riemannian_hessian(self, a, u):
        w = self.work(a)
        if "Z" not in w:
            w["Z"] = sl.cho_solve((w["L"], True), self.y, check_finite=False)
            w["AinvP"] = sl.cho_solve((w["L"], True), self._scatter(a), check_finite=False)
            w["YB"] = sl.cho_solve((w["B"], True), self.tall(self.y).T, check_finite=False).T
        g = self.tall(w["Z"]).T @ self.tall(u @ w["Z"]) / (self.count * self.n)
        turned = np.ascontiguousarray(w["YB"] @ g).reshape(self.n, -1)
        return sym(u @ w["AinvP"]) - sym(turned @ np.ascontiguousarray(w["YB"]).reshape(self.n, -1).T) / self.count


class Ellipsoid(Case):
    """1/2 sum (q - 1)^2, q = x' X x; G = sum (q - 1) x x', derivative sum (x' U x) x x'."""

    def __init__(self, n, kappa):
        super().__init__()
        count = 3 * n * (n + 1) // 2
        draws = recipe.normals(83, count * (n + 1))
        x = draws[: count * n].reshape(count, n)
        self.x = x * ((1 + 1e-3 * draws[count * n :]) / np.linalg.norm(x, axis=1))[:, None]
        self.n, self.start = n, np.eye(n) * count / np.sum(self.x**2)

    def manifold(self):
        return SymmetricPositiveDefinite(self.n)

    def _build(self, x):
        _cholesky(x)
        r = np.einsum("ij,ij->i", self.x @ x, self.x) - 1
        return {"r": r, "cost": 0.5 * np.sum(r**2)}

    def _gradient(self, x):
        w = self.work(x)
        if "G" not in w:
            w["G"] = (self.x.T * w["r"]) @ self.x
        return w["G"]

    def riemannian_gradient(self, x):
        return sym(x @ self._gradient(x) @ x)

    def riemannian_hessian(self, x, u):
        p = np.einsum("ij,ij->i", self.x @ u, self.x)
        h = (self.x.T * p) @ self.x
        return sym(x @ h @ x) + sym(u @ self._gradient(x) @ x)

    def residual(self, x):
        """Relative distance to the solution of the normal equations, where these are few enough."""
        if self.n > 50:
            return None
        known = quadric(self.x)
        return float(np.linalg.norm(x - known) / np.linalg.norm(known))


def quadric(x):
    """The best X of `Ellipsoid`, by normal equations for its entries on and above the diagonal."""
    n = x.shape[1]
    i, j = np.triu_indices(n)
    features = x[:, i] * x[:, j] * np.where(i == j, 1.0, 2.0)
    scale = 1 / np.linalg.norm(features, axis=0)
    features *= scale
    entries = sl.solve(features.T @ features, features.sum(axis=0), assume_a="pos") * scale
    out = np.zeros((n, n))
    out[i, j] = entries
    out[j, i] = entries
    return out


def labelled(n, kappa):
    """Samples of three classes."""
    x, labels = coloured(85, 9 * n, n, kappa), np.arange(9 * n) % 3
    x[:, 0] += 2 * labels
    return x, labels


class MetricLearning(Riccati):
    """tr X S + tr X^-1 D with the mean squares of differences within and between classes: the Riccati problem X S X = D."""

    def __init__(self, n, kappa):
        x, labels = labelled(n, kappa)
        x = x - x.mean(axis=0)
        within, pairs, total = np.zeros((n, n)), 0, len(x)
        for c in np.unique(labels):
            g = x[labels == c]
            within += len(g) * g.T @ g - np.outer(g.sum(axis=0), g.sum(axis=0))
            pairs += len(g) * (len(g) - 1) // 2
        between = total * x.T @ x - np.outer(x.sum(axis=0), x.sum(axis=0)) - within
        super().__init__(between / (total * (total - 1) // 2 - pairs), within / pairs)

    def manifold(self):
        return SymmetricPositiveDefinite(len(self.a))


def itml_pairs(n, kappa):
    """All pairs of the samples: differences, of one class or not, bounds at the 5 % and 95 % quantiles of squared distances."""
    x, labels = labelled(n, kappa)
    i, j = np.tril_indices(len(x), -1)
    z, near = x[i] - x[j], labels[i] == labels[j]
    squares = np.sort(np.einsum("ij,ij->i", z, z))
    least, most = squares[int(0.05 * (len(z) - 1))], squares[int(np.ceil(0.95 * (len(z) - 1)))]
    return z, near, np.where(near, least, most)


class ITML(Case):
    """tr X - log det X - n + sum h(q/b) over pairs beyond their bound b, h(r) = r - log r - 1, q = z' X z: information-theoretic metric learning
    (gamma 1) with the slacks eliminated. G = I - X^-1 + sum (1/b - 1/q) z z', derivative X^-1 U X^-1 + sum (z' U z) z z'/q^2."""

    def __init__(self, n, kappa):
        super().__init__()
        self.n, self.start = n, np.eye(n)
        self.z, self.near, self.bound = itml_pairs(n, kappa)

    def manifold(self):
        return SymmetricPositiveDefinite(self.n)

    def _build(self, x):
        lower = _cholesky(x)
        q = np.einsum("ij,ij->i", self.z @ x, self.z)
        r = q / self.bound
        active = np.flatnonzero(self.near == (r > 1))
        r, q, z = r[active], q[active], self.z[active]
        cost = np.trace(x) - _logdet(lower) - self.n + np.sum(r - np.log(r) - 1)
        return {"cost": cost, "z": z, "q": q, "f": 1 / self.bound[active] - 1 / q}

    def _pull(self, x):
        w = self.work(x)
        if "A" not in w:
            w["A"] = np.eye(self.n) + (w["z"].T * w["f"]) @ w["z"]
        return w

    def riemannian_gradient(self, x):
        return sym(x @ self._pull(x)["A"] @ x) - x

    def riemannian_hessian(self, x, u):
        w = self._pull(x)
        p = np.einsum("ij,ij->i", w["z"] @ u, w["z"]) / w["q"] ** 2
        return sym(x @ ((w["z"].T * p) @ w["z"]) @ x) + sym(u @ w["A"] @ x)


class Mixture(Case):
    """-mean log sum pi_c N~(y; S_c), y = (x, 1), over lifted matrices S_c (a stack) and v, pi = softmax(v, 0) (Hosseini and Sra).

    With responsibilities r and M_c = mean r_c y y' the gradient is (mean(r_c) S_c - M_c)/2 and pi_c - mean r_c. With a the derivative of
    log(pi_c N~) along (U, t) and b_c = r_c (a_c - sum_k r_k a_k) the Hessian is sym(U S^-1 M)/2 - mean b_c (y y' - S)/2 and
    pi_c (t_c - sum pi t) - mean b_c. Starts where 20 steps of EM from the best of four draws of k-means++ end.
    """

    def __init__(self, n, kappa, components=2):
        super().__init__()
        x = coloured(81, 40 * n, n, kappa)
        x[: 15 * n] += 3 * kappa**0.25 * recipe.orthogonal(82, n)[:, n - 1]
        self.x, self.k, self.d = x, components, n + 1
        self.y = np.hstack([x, np.ones((len(x), 1))])
        self.began = mixture_start(x, components)
        weights, means, covariances = self.began
        lifted = np.stack([np.block([[s + np.outer(m, m), m[:, None]], [m[None, :], np.ones((1, 1))]]) for m, s in zip(means, covariances)])
        self.start = [lifted, np.log(weights[:-1] / weights[-1])]

    def manifold(self):
        return Product([SymmetricPositiveDefinite(self.d, k=self.k), Euclidean(self.k - 1)])

    def _build(self, s, v):
        w = {"L": [_cholesky(a) for a in s]}
        full = np.append(v, 0.0)
        log_pi = full - np.logaddexp.reduce(full)
        w["Z"] = [sl.solve_triangular(low, self.y.T, lower=True, check_finite=False) for low in w["L"]]
        logs = np.stack([lp - 0.5 * (_logdet(low) + np.einsum("ij,ij->j", z, z)) for lp, low, z in zip(log_pi, w["L"], w["Z"])], axis=1)
        logs += 0.5 - 0.5 * (self.d - 1) * np.log(2 * np.pi)
        total = np.logaddexp.reduce(logs, axis=1)
        w.update(cost=-np.mean(total), r=np.exp(logs - total[:, None]), pi=np.exp(log_pi))
        if not np.isfinite(w["cost"]):
            raise Infeasible
        return w

    def _moments(self, s, v):
        w = self.work(s, v)
        if "M" not in w:
            w["M"] = np.stack([(self.y.T * r) @ self.y for r in w["r"].T]) / len(self.y)
        return w

    def riemannian_gradient(self, s, v):
        w = self._moments(s, v)
        share = w["r"].mean(axis=0)
        return [0.5 * (share[:, None, None] * s - w["M"]), (w["pi"] - share)[:-1]]

    def riemannian_hessian(self, s, v, u, t):
        w = self._moments(s, v)
        if "X" not in w:
            w["X"] = [sl.solve_triangular(low, z, lower=True, trans=1, check_finite=False) for low, z in zip(w["L"], w["Z"])]
            w["SinvM"] = [sl.cho_solve((low, True), m, check_finite=False) for low, m in zip(w["L"], w["M"])]
        centred = np.append(t, 0.0)
        centred = centred - w["pi"] @ centred
        a = np.empty_like(w["r"])
        for c, x in enumerate(w["X"]):
            trace = np.trace(sl.cho_solve((w["L"][c], True), u[c], check_finite=False))
            a[:, c] = centred[c] + 0.5 * (np.einsum("ij,ij->j", x, u[c] @ x) - trace)
        b = w["r"] * (a - np.sum(w["r"] * a, axis=1)[:, None])
        out = np.empty_like(s)
        for c in range(self.k):
            pull = (self.y.T * b[:, c]) @ self.y / len(self.y)
            out[c] = 0.5 * (sym(u[c] @ w["SinvM"][c]) - sym(pull) + b[:, c].mean() * s[c])
        return [out, (w["pi"] * centred - b.mean(axis=0))[:-1]]

    def residual(self, s, v):
        """The cost itself: all methods should end in one maximum."""
        return float(self.cost(s, v))


def em_step(x, weights, means, covariances):
    """One step of expectation-maximization and the log-likelihood before it."""
    logs = []
    for pi, m, s in zip(weights, means, covariances):
        low = np.linalg.cholesky(s)
        z = sl.solve_triangular(low, (x - m).T, lower=True, check_finite=False)
        logs.append(np.log(pi) - 0.5 * (_logdet(low) + np.sum(z**2, axis=0) + x.shape[1] * np.log(2 * np.pi)))
    logs = np.stack(logs, axis=1)
    total = np.logaddexp.reduce(logs, axis=1)
    r = np.exp(logs - total[:, None])
    count = r.sum(axis=0)
    means = (r.T @ x) / count[:, None]
    covariances = [((x - m).T * (r[:, c] / count[c])) @ (x - m) for c, m in enumerate(means)]
    return (count / len(x), means, covariances), total.mean()


def mixture_start(x, k):
    """20 steps of EM from the best of four draws of k-means++ in the metric of the pooled covariance."""
    rng, best = np.random.default_rng(0), None
    pooled = np.cov(x.T, bias=True)
    white = sl.solve_triangular(np.linalg.cholesky(pooled), x.T, lower=True).T
    for _ in range(4):
        chosen = [rng.integers(len(x))]
        while len(chosen) < k:
            square = np.min([np.sum((white - white[c]) ** 2, axis=1) for c in chosen], axis=0)
            chosen.append(rng.choice(len(x), p=square / square.sum()))
        state = (np.full(k, 1 / k), x[chosen], [pooled] * k)
        for _ in range(20):
            state, _ = em_step(x, *state)
        value = em_step(x, *state)[1]
        if best is None or value > best[0]:
            best = (value, state)
    return best[1]


class Procrustes(Case):
    """(1/2m) sum dist^2(R A R', B) over rotations; tangent vectors W stand for R W.

    With L^-1 R A R' L^-T = V diag(e^l) V', B = L L', and F = L V e^(l/2), M = mean F diag(l) F^-1: the gradient is R' (M' - M) R. The Hessian along
    U = R W R' is the skew part of -mean F^-T (2 K o (Z + Z') + (l_i - l_j) o Z) F', Z = F^-1 U F, K = (d/2) coth(d/2), d = l_i - l_j. Starts at the
    rotation between the eigenvectors of arithmetic means of the A and the B, or of Karcher means.
    """

    def __init__(self, n, kappa, from_karcher=False):
        super().__init__()
        self.n = n
        self.a = np.stack([recipe.spd(90 + k, n, kappa) for k in range(3)])
        q = recipe.orthogonal(95, n)
        self.b = np.matmul(np.matmul(q, self.a), q.T)
        for k, b in enumerate(self.b):
            b[np.diag_indices(n)] *= 1 + 0.02 * ((np.arange(n) + k) % 3)
        self.b = 0.5 * (self.b + self.b.transpose(0, 2, 1))
        self.lower = np.linalg.cholesky(self.b)
        self.inverse = np.stack([sl.lapack.dtrtri(low, lower=1)[0] for low in self.lower])
        self.start = self.between_karcher() if from_karcher else self.between_arithmetic()

    def manifold(self):
        return SpecialOrthogonalGroup(self.n)

    def _build(self, r):
        w = np.matmul(self.inverse, r)
        values, vectors = np.linalg.eigh(np.matmul(np.matmul(w, self.a), w.transpose(0, 2, 1)))
        if not np.all(values > 0):
            raise Infeasible
        logs = np.log(values)
        return {"l": logs, "V": vectors, "cost": 0.5 * np.sum(logs**2) / len(self.a)}

    def _frames(self, r):
        w = self.work(r)
        if "F" not in w:
            root = np.exp(0.5 * w["l"])[:, None, :]
            w["F"] = np.matmul(self.lower, w["V"] * root)
            w["Finv"] = np.matmul((w["V"] / root).transpose(0, 2, 1), self.inverse)
        return w

    def riemannian_gradient(self, r):
        w = self._frames(r)
        m = sum((f * logs) @ inv for f, logs, inv in zip(w["F"], w["l"], w["Finv"])) / len(self.a)
        m = r.T @ (m.T - m) @ r
        return 0.5 * (m - m.T)

    def riemannian_hessian(self, r, u):
        w = self._frames(r)
        if "K" not in w:
            from problems import _coth_factors

            w["K"], w["d"] = 2 * _coth_factors(w["l"]), w["l"][:, :, None] - w["l"][:, None, :]
        v, total = r @ u @ r.T, 0
        for f, inv, k, d in zip(w["F"], w["Finv"], w["K"], w["d"]):
            z = inv @ v @ f
            total = total + inv.T @ (k * (z + z.T) + d * z) @ f.T
        out = -0.5 * r.T @ (total.T - total) @ r / len(self.a)
        return 0.5 * (out - out.T)

    def between_arithmetic(self):
        """Between arithmetic means with signs by alignment, as spdopt starts."""
        ea, qa = np.linalg.eigh(self.a.mean(axis=0))
        eb, qb = np.linalg.eigh(self.b.mean(axis=0))
        white = [v.T @ x @ v for v, stack in ((qa / np.sqrt(ea), self.a), (qb / np.sqrt(eb), self.b)) for x in stack]
        c = sum(x * y for x, y in zip(white[: len(self.a)], white[len(self.a) :]))
        np.fill_diagonal(c, 0)
        signs = np.sign(c[np.argmax(np.sum(c * c, axis=1))])
        signs[signs == 0] = 1
        for _ in range(self.n**2):
            pull = signs * (c @ signs)
            if pull.min() > -1e-12 * np.abs(c).sum():
                break
            signs[pull.argmin()] *= -1
        return self._turn(qa, qb * signs)

    def _turn(self, qa, qb):
        """The rotation from qa to qb, of determinant 1 if a change of all signs can make it so."""
        r = qb @ qa.T
        return -r if self.n % 2 and np.linalg.det(r) < 0 else r

    def between_karcher(self):
        """Between Karcher means with signs by search, as spdopt started before."""
        qa, qb = (np.linalg.eigh(karcher(s))[1] for s in (self.a, self.b))

        def value(signs):
            w = np.matmul(self.inverse, (qb * signs) @ qa.T)
            values = np.linalg.eigvalsh(np.matmul(np.matmul(w, self.a), w.transpose(0, 2, 1)))
            return np.sum(np.log(values) ** 2)

        signs, improved = np.ones(self.n), True
        best = value(signs)
        while improved:
            improved = False
            for j in range(self.n):
                signs[j] *= -1
                trial = value(signs)
                if trial < best * (1 - 1e-9):
                    best, improved = trial, True
                else:
                    signs[j] *= -1
        return self._turn(qa, qb * signs)

    def residual(self, r):
        """The cost itself: all methods should end in one minimum."""
        return float(self.cost(r))


def karcher(stack):
    """The Karcher mean by gradient steps of length one half, good enough to start from."""
    x = stack.mean(axis=0)
    for _ in range(60):
        low = np.linalg.cholesky(x)
        inv = sl.lapack.dtrtri(low, lower=1)[0]
        values, vectors = np.linalg.eigh(np.matmul(np.matmul(inv, stack), inv.T))
        step = np.mean(np.matmul(vectors * np.log(values)[:, None, :], vectors.transpose(0, 2, 1)), axis=0)
        w, q = np.linalg.eigh(step)
        x = sym(low @ (q * np.exp(0.5 * w)) @ q.T @ low.T)
        if np.linalg.norm(step) < 1e-9:
            break
    return x


class Design(Case):
    """-log det M, M = sum s_i^2 y_i y_i', over unit vectors s: weights as squares. With g_i = y_i' M^-1 y_i the gradient is -2 s_i (g_i - d), and the
    Hessian the projection of -2 t_i g_i + 2 s_i y_i' M^-1 (dM) M^-1 y_i, dM = sum 2 s_j t_j y_j y_j', plus 2 d t. Starts at equal weights."""

    def __init__(self, n, kappa):
        super().__init__()
        self.y = self._points(coloured(71, 20 * n, n, kappa))
        self.start = np.full(len(self.y), len(self.y) ** -0.5)

    @staticmethod
    def _points(x):
        return x

    def manifold(self):
        return Sphere(len(self.y))

    def _build(self, s):
        low = _cholesky((self.y.T * s**2) @ self.y)
        z = sl.solve_triangular(low, self.y.T, lower=True, check_finite=False)
        return {"L": low, "Z": z, "g": np.einsum("ij,ij->j", z, z), "cost": -_logdet(low)}

    def riemannian_gradient(self, s):
        g = -2 * s * (self.work(s)["g"] - self.y.shape[1])
        return g - (s @ g) * s

    def riemannian_hessian(self, s, t):
        w, d = self.work(s), self.y.shape[1]
        inner = (w["Z"] * (2 * s * t)) @ w["Z"].T
        out = -2 * t * w["g"] + 2 * s * np.einsum("ij,ij->j", w["Z"], inner @ w["Z"])
        return out - (s @ out) * s + 2 * d * t

    def residual(self, s):
        """By how much the largest g exceeds the dimension: 0 at the optimum only."""
        return float(self.work(s)["g"].max() / self.y.shape[1] - 1)


class Enclosing(Design):
    """The minimum-volume enclosing ellipsoid: the design problem of the points (x, 1), centred."""

    @staticmethod
    def _points(x):
        return np.hstack([x - x.mean(axis=0), np.ones((len(x), 1))])


def indefinite(n):
    """Unit diagonal, entries drawn from [-1, 1]."""
    count = n * (n - 1) // 2
    uniform = ((recipe.splitmix64(77, count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    c = np.eye(n)
    c[np.triu_indices(n, 1)] = 2 * uniform - 1
    return np.triu(c) + np.triu(c, 1).T


class Correlation(Case):
    """1/2 ||V' V - C||^2 over V with unit columns; gradient the projection of 2 V E, E = V' V - C, Hessian that of 2 (T E + V (T' V + V' T)) - T diag.
    Starts at the positive part of C with its columns normalised."""

    def __init__(self, n, kappa):
        super().__init__()
        self.c = indefinite(n)
        values, vectors = np.linalg.eigh(self.c)
        v = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
        self.n, self.start = n, v / np.linalg.norm(v, axis=0)

    def manifold(self):
        return Oblique(self.n, self.n)

    def _build(self, v):
        e = v.T @ v - self.c
        return {"E": e, "cost": 0.5 * np.sum(e**2)}

    def _gradient(self, v):
        w = self.work(v)
        if "G" not in w:
            w["G"] = 2 * v @ w["E"]
            w["diagonal"] = np.sum(v * w["G"], axis=0)
        return w

    def riemannian_gradient(self, v):
        w = self._gradient(v)
        return w["G"] - v * w["diagonal"]

    def riemannian_hessian(self, v, t):
        w = self._gradient(v)
        cross = t.T @ v
        h = 2 * (t @ w["E"] + v @ (cross + cross.T))
        return h - v * np.sum(v * h, axis=0) - t * w["diagonal"]

    def residual(self, v):
        """The square root of twice the cost, the distance from C."""
        return float(np.sqrt(2 * self.cost(v)))


BUILDERS = {
    "kron-mle": Kronecker,
    "ellipsoid": Ellipsoid,
    "metric-learning": MetricLearning,
    "itml": ITML,
    "gmm": Mixture,
    "procrustes": Procrustes,
    "procrustes-karcher": lambda n, kappa: Procrustes(n, kappa, from_karcher=True),
    "dopt": Design,
    "mve": Enclosing,
    "nearest-correlation": Correlation,
}
