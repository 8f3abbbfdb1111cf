"""Costs, Riemannian gradients and exact Riemannian Hessians of the test problems, for the affine-invariant metric.

Each problem is written as a careful user would: everything that depends on the point alone is computed once per
point and shared by cost, gradient and Hessian (pymanopt evaluates them separately), and the Riemannian forms are
simplified by hand, e.g. X - S for the log-det problem, which saves pymanopt the products X G X.
`form="euclidean"` gives the textbook Euclidean derivatives instead; pymanopt then converts them itself.

With X = L L^T the Levi-Civita Hessian is Hess f[U] = D grad f[U] - sym(U X^-1 grad f).
"""

import numpy as np
import scipy.linalg as sl
from scipy.stats import chi2

import recipe
from recipe import sym


class PointCache:
    """Work kept for the two points used last, found by identity: the current point and the one on trial."""

    def __init__(self, build):
        self._build = build
        self._entries = []

    def __call__(self, x):
        entry = next((e for e in self._entries if e[0] is x), None)
        if entry is None:
            entry = (x, self._build(x))
        self._entries = [e for e in self._entries if e is not entry][-1:] + [entry]
        return entry[1]


class Infeasible(Exception):
    """The point is not positive definite."""


def _cholesky(x):
    try:
        return np.linalg.cholesky(x)
    except np.linalg.LinAlgError:
        raise Infeasible from None


def _logdet(lower):
    return 2.0 * np.sum(np.log(np.diag(lower)))


def ai_distance(x, y):
    """||log(x^-1/2 y x^-1/2)||_F."""
    return float(np.linalg.norm(np.log(sl.eigh(y, x, eigvals_only=True))))


class Karcher:
    """1/(2m) sum_k ||log(X^-1/2 A_k X^-1/2)||_F^2.

    In whitened coordinates the gradient is -mean log(M_k), M_k = L^-1 A_k L^-T = V diag(e^l) V^T, and the Hessian
    multiplies V^T eta V entrywise by (d/2) coth(d/2), d = l_i - l_j.
    """

    def __init__(self, stack, start, answer, vectors_in_cost):
        self.stack, self.start, self.answer = stack, start, answer
        self._vectors_in_cost = vectors_in_cost
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        inverse = sl.lapack.dtrtri(lower, lower=1)[0]
        whitened = np.matmul(np.matmul(inverse, self.stack), inverse.T)
        work = {"L": lower, "Linv": inverse, "M": whitened}
        if self._vectors_in_cost:
            self._decompose(work)
        else:
            work["logs"] = self._log(np.linalg.eigvalsh(whitened))
        return work

    @staticmethod
    def _log(values):
        if not np.all(values > 0):
            raise Infeasible
        return np.log(values)

    def _decompose(self, work):
        if "V" not in work:
            values, work["V"] = np.linalg.eigh(work.pop("M"))
            work["logs"] = self._log(values)
        return work

    def cost(self, x):
        logs = self._work(x)["logs"]
        return 0.5 * np.sum(logs**2) / len(self.stack)

    def riemannian_gradient(self, x):
        w = self._decompose(self._work(x))
        n = len(x)
        scaled = (w["V"] * w["logs"][:, None, :]).transpose(1, 0, 2).reshape(n, -1)
        mean_log = scaled @ w["V"].transpose(1, 0, 2).reshape(n, -1).T / len(self.stack)
        return -sym(w["L"] @ mean_log @ w["L"].T)

    def riemannian_hessian(self, x, u):
        w = self._decompose(self._work(x))
        if "factors" not in w:
            w["factors"] = _coth_factors(w["logs"])
        eta = w["Linv"] @ u @ w["Linv"].T
        v = w["V"]
        rotated = np.matmul(np.matmul(v.transpose(0, 2, 1), eta), v) * w["factors"]
        out = np.zeros_like(eta)
        for q, r in zip(v, rotated):
            out += q @ r @ q.T
        return sym(w["L"] @ out @ w["L"].T) / len(self.stack)

    def euclidean_gradient(self, x):
        w = self._work(x)
        if "G" not in w:
            rg = self.riemannian_gradient(x)
            w["G"] = sym(w["Linv"].T @ (w["Linv"] @ rg @ w["Linv"].T) @ w["Linv"])
        return w["G"]

    euclidean_hessian = None  # no closed form shorter than the Riemannian one

    def residual(self, x):
        """Distance to the known mean, if there is one."""
        return None if self.answer is None else ai_distance(self.answer, x)


class LogDet:
    """logdet X + tr X^-1 S; gradient X - S, Hessian sym(S X^-1 U)."""

    def __init__(self, s):
        self.s, self.start = s, np.eye(len(s))
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        return {"L": lower, "XinvS": sl.cho_solve((lower, True), self.s, check_finite=False)}

    def cost(self, x):
        w = self._work(x)
        return _logdet(w["L"]) + np.trace(w["XinvS"])

    def riemannian_gradient(self, x):
        return x - self.s

    def riemannian_hessian(self, x, u):
        return sym(u @ self._work(x)["XinvS"])

    def _inverse(self, x):
        w = self._work(x)
        if "Xinv" not in w:
            w["Xinv"] = sl.cho_solve((w["L"], True), np.eye(len(x)), check_finite=False)
            w["XinvSXinv"] = w["XinvS"] @ w["Xinv"]
        return w["Xinv"], w["XinvSXinv"]

    def euclidean_gradient(self, x):
        inverse, middle = self._inverse(x)
        return inverse - middle

    def euclidean_hessian(self, x, u):
        inverse, middle = self._inverse(x)
        left = inverse @ u
        product = left @ middle
        return product + product.T - left @ inverse

    def residual(self, x):
        """Distance to the optimum S."""
        return ai_distance(self.s, x)


class Nearness:
    """1/(2N) sum_i ||Q X x_i - x_i||^2 = (tr Q X C X Q - 2 tr Q X C + tr C)/2, C = (1/N) sum x_i x_i^T; optimum Q^-1.

    Euclidean gradient G = sym(Q (Q X - I) C), derivative along U sym(Q Q U C); the Riemannian ones are X G X and
    X H[U] X + sym(U G X).
    """

    euclidean_hessian = None  # the Riemannian one is as short

    def __init__(self, q, samples):
        self.q, self.c, self.start = q, samples.T @ samples / len(samples), np.eye(len(q))
        self._work = PointCache(self._build)

    def _build(self, x):
        _cholesky(x)
        residual = self.q @ x - np.eye(len(x))
        residual_c = residual @ self.c
        return {"cost": 0.5 * np.sum(residual * residual_c), "RC": residual_c}

    def cost(self, x):
        return self._work(x)["cost"]

    def euclidean_gradient(self, x):
        w = self._work(x)
        if "G" not in w:
            w["G"] = sym(self.q @ w["RC"])
        return w["G"]

    def riemannian_gradient(self, x):
        return sym(x @ self.euclidean_gradient(x) @ x)

    def riemannian_hessian(self, x, u):
        h = sym(self.q @ (self.q @ u) @ self.c)
        return sym(x @ h @ x) + sym(u @ self.euclidean_gradient(x) @ x)

    def residual(self, x):
        """Distance to the optimum Q^-1."""
        return float(np.linalg.norm(np.log(np.abs(np.linalg.eigvals(self.q @ x)))))


class Tyler:
    """logdet X + (n/N) sum_i log q_i, q_i = x_i^T X^-1 x_i; gradient X - T, T = (n/N) sum x_i x_i^T / q_i.

    Hessian sym(U X^-1 T) - (n/N) sum (p_i / q_i^2) x_i x_i^T with p_i = x_i^T X^-1 U X^-1 x_i.
    """

    def __init__(self, samples):
        self.columns = np.asfortranarray(samples.T)
        n, count = self.columns.shape
        self.ratio, self.start = n / count, np.eye(n)
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        y = sl.solve_triangular(lower, self.columns, lower=True, check_finite=False)
        return {"L": lower, "Y": y, "q": np.einsum("ij,ij->j", y, y)}

    def cost(self, x):
        w = self._work(x)
        return _logdet(w["L"]) + self.ratio * np.sum(np.log(w["q"]))

    def _scatter(self, x):
        w = self._work(x)
        if "T" not in w:
            scaled = self.columns * np.sqrt(self.ratio / w["q"])
            w["T"] = scaled @ scaled.T
        return w["T"]

    def riemannian_gradient(self, x):
        return x - self._scatter(x)

    def _solved(self, x):
        w = self._work(x)
        if "Z" not in w:
            w["Z"] = sl.solve_triangular(w["L"], w["Y"], lower=True, trans=1, check_finite=False)
        return w, w["Z"]

    def _curvature_weights(self, x, u):
        w, z = self._solved(x)
        p = np.einsum("ij,ij->j", z, u @ z)
        return self.ratio * p / w["q"] ** 2

    def riemannian_hessian(self, x, u):
        w = self._work(x)
        if "XinvT" not in w:
            w["XinvT"] = sl.cho_solve((w["L"], True), self._scatter(x), check_finite=False)
        weights = self._curvature_weights(x, u)
        return sym(u @ w["XinvT"]) - (self.columns * weights) @ self.columns.T

    def euclidean_gradient(self, x):
        w, z = self._solved(x)
        if "G" not in w:
            w["Xinv"] = sl.cho_solve((w["L"], True), np.eye(len(x)), check_finite=False)
            scaled = z * np.sqrt(self.ratio / w["q"])
            w["XinvTXinv"] = scaled @ scaled.T
            w["G"] = w["Xinv"] - w["XinvTXinv"]
        return w["G"]

    def euclidean_hessian(self, x, u):
        self.euclidean_gradient(x)
        w, z = self._solved(x)
        left = u @ w["XinvTXinv"]
        product = w["Xinv"] @ left
        return product + product.T - w["Xinv"] @ u @ w["Xinv"] - (z * self._curvature_weights(x, u)) @ z.T

    def residual(self, x):
        """Relative fixed-point residual ||T(X) - X||_F / ||X||_F."""
        return float(np.linalg.norm(self._scatter(x) - x) / np.linalg.norm(x))


class Scatter:
    """logdet X + mean rho(q_i), q_i = x_i^T X^-1 x_i; gradient X - T, T = mean rho'(q_i) x_i x_i^T.

    Hessian sym(U X^-1 T) + mean rho''(q_i) p_i x_i x_i^T with p_i = x_i^T X^-1 U X^-1 x_i. `loss` gives rho, rho' and rho''. Starts at the
    second moment of the samples.
    """

    euclidean_hessian = None  # as for Tyler, which has it

    def __init__(self, samples, loss):
        self.columns, self.loss = np.asfortranarray(samples.T), loss
        self.start = self.columns @ self.columns.T / len(samples)
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        y = sl.solve_triangular(lower, self.columns, lower=True, check_finite=False)
        rho, first, second = self.loss(np.einsum("ij,ij->j", y, y))
        return {"L": lower, "Y": y, "cost": _logdet(lower) + np.mean(rho), "u": first, "du": second}

    def cost(self, x):
        return self._work(x)["cost"]

    def _scatter(self, x):
        w = self._work(x)
        if "T" not in w:
            scaled = self.columns * np.sqrt(w["u"] / self.columns.shape[1])
            w["T"] = scaled @ scaled.T
        return w["T"]

    def riemannian_gradient(self, x):
        return x - self._scatter(x)

    def riemannian_hessian(self, x, u):
        w = self._work(x)
        if "Z" not in w:
            w["Z"] = sl.solve_triangular(w["L"], w["Y"], lower=True, trans=1, check_finite=False)
            w["XinvT"] = sl.cho_solve((w["L"], True), self._scatter(x), check_finite=False)
        p = np.einsum("ij,ij->j", w["Z"], u @ w["Z"])
        return sym(u @ w["XinvT"]) + (self.columns * (w["du"] * p / self.columns.shape[1])) @ self.columns.T

    def euclidean_gradient(self, x):
        lower = self._work(x)["L"]
        return sl.cho_solve((lower, True), sl.cho_solve((lower, True), self.riemannian_gradient(x)).T)

    def residual(self, x):
        """Relative fixed-point residual ||T(X) - X||_F / ||X||_F."""
        return float(np.linalg.norm(self._scatter(x) - x) / np.linalg.norm(x))


def student_loss(n, nu=3.0):
    return lambda q: ((nu + n) * np.log(nu + q), (nu + n) / (nu + q), -(nu + n) / (nu + q) ** 2)


def huber_loss(n, quantile=0.9):
    c2 = chi2.ppf(quantile, n)
    b = chi2.cdf(c2, n + 2) + c2 * (1 - quantile) / n

    def loss(q):
        far = q > c2
        safe = np.where(far, q, c2)
        rho = np.where(far, c2 / b * (np.log(safe / c2) + 1), q / b)
        return rho, np.where(far, c2 / (b * safe), 1 / b), np.where(far, -c2 / (b * safe**2), 0.0)

    return loss


class Lyapunov:
    """tr X A X - tr X C; G = A X + X A - C, derivative A U + U A; the optimum solves A X + X A = C."""

    def __init__(self, a, c):
        self.a, self.c, self.start = a, c, np.eye(len(a))
        self._work = PointCache(self._build)

    def _build(self, x):
        _cholesky(x)
        ax = self.a @ x
        return {"cost": np.sum(x * ax) - np.sum(x * self.c), "G": ax + ax.T - self.c}

    def cost(self, x):
        return self._work(x)["cost"]

    def euclidean_gradient(self, x):
        return self._work(x)["G"]

    def euclidean_hessian(self, x, u):
        au = self.a @ u
        return au + au.T

    def riemannian_gradient(self, x):
        w = self._work(x)
        if "R" not in w:
            w["R"] = sym(x @ w["G"] @ x)
        return w["R"]

    def riemannian_hessian(self, x, u):
        return sym(x @ self.euclidean_hessian(x, u) @ x) + sym(u @ self._work(x)["G"] @ x)

    def residual(self, x):
        """Distance to the solution."""
        return ai_distance(sl.solve_continuous_lyapunov(self.a, self.c), x)


class Riccati:
    """tr X^-1 A + tr B X; gradient X B X - A; the optimum solves X B X = A."""

    euclidean_hessian = None  # the Riemannian one is as short

    def __init__(self, a, b):
        self.a, self.b, self.start = a, b, np.eye(len(a))
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        return {"L": lower, "XinvA": sl.cho_solve((lower, True), self.a, check_finite=False), "BX": self.b @ x}

    def cost(self, x):
        w = self._work(x)
        return np.trace(w["XinvA"]) + np.trace(w["BX"])

    def riemannian_gradient(self, x):
        w = self._work(x)
        if "R" not in w:
            w["R"] = sym(x @ w["BX"]) - self.a
        return w["R"]

    def riemannian_hessian(self, x, u):
        w = self._work(x)
        return sym(u @ (w["BX"] + w["XinvA"]))

    def euclidean_gradient(self, x):
        w = self._work(x)
        return self.b - w["XinvA"] @ sl.cho_solve((w["L"], True), np.eye(len(x)), check_finite=False)

    def residual(self, x):
        """Relative residual of the equation."""
        return float(np.linalg.norm(self.riemannian_gradient(x)) / np.linalg.norm(self.a))


class Median(Karcher):
    """(1/m) sum_k ||L_k||, L_k = log M_k; gradient -mean L_k/d_k, Hessian mean (H_k eta - <L_k, eta> L_k/d_k^2)/d_k with H_k as for the mean."""

    euclidean_hessian = None

    def __init__(self, stack):
        super().__init__(stack, stack.mean(axis=0), None, True)

    def _logs(self, x):
        w = self._decompose(self._work(x))
        if "d" not in w:
            w["d"] = np.sqrt(np.sum(w["logs"] ** 2, axis=1))
            w["whole"] = np.matmul(w["V"] * w["logs"][:, None, :], w["V"].transpose(0, 2, 1))
        return w

    def cost(self, x):
        return np.mean(self._logs(x)["d"])

    def riemannian_gradient(self, x):
        w = self._logs(x)
        mean = np.tensordot(1 / w["d"], w["whole"], 1) / len(self.stack)
        return -sym(w["L"] @ mean @ w["L"].T)

    def riemannian_hessian(self, x, u):
        w = self._logs(x)
        if "factors" not in w:
            w["factors"] = _coth_factors(w["logs"])
        eta = w["Linv"] @ u @ w["Linv"].T
        v = w["V"]
        rotated = np.matmul(np.matmul(v.transpose(0, 2, 1), eta), v) * w["factors"]
        out = np.zeros_like(eta)
        for q, r, d, whole in zip(v, rotated, w["d"], w["whole"]):
            out += (q @ r @ q.T - np.sum(whole * eta) / d**2 * whole) / d
        return sym(w["L"] @ out @ w["L"].T) / len(self.stack)


class Barycenter:
    """mean [tr X + tr A_k - 2 tr (R_k X R_k)^1/2], R_k = A_k^1/2; G = I - mean R_k (R_k X R_k)^-1/2 R_k. No Hessian: for first-order solvers.

    With W_k = R_k L, X = L L^T, the roots are those of W_k W_k^T, and L^T G L = L^T L - mean (W_k^T W_k)^1/2.
    """

    euclidean_hessian = None
    first_order = True

    def __init__(self, stack):
        values, vectors = np.linalg.eigh(stack)
        self.roots = np.matmul(vectors * np.sqrt(values)[:, None, :], vectors.transpose(0, 2, 1))
        self.trace = np.mean(np.sum(values, axis=1))
        self.start = stack.mean(axis=0)
        self._work = PointCache(self._build)

    def _build(self, x):
        lower = _cholesky(x)
        w = np.matmul(self.roots, lower)
        values, vectors = np.linalg.eigh(np.matmul(w.transpose(0, 2, 1), w))
        if not np.all(values > 0):
            raise Infeasible
        return {"L": lower, "s": np.sqrt(values), "V": vectors}

    def cost(self, x):
        return np.trace(x) + self.trace - 2 * np.mean(np.sum(self._work(x)["s"], axis=1))

    def riemannian_gradient(self, x):
        w = self._work(x)
        if "R" not in w:
            n = len(x)
            scaled = (w["V"] * w["s"][:, None, :]).transpose(1, 0, 2).reshape(n, -1)
            mean = scaled @ w["V"].transpose(1, 0, 2).reshape(n, -1).T / len(self.roots)
            w["R"] = sym(w["L"] @ (w["L"].T @ w["L"] - mean) @ w["L"].T)
        return w["R"]

    def euclidean_gradient(self, x):
        inverse = sl.lapack.dtrtri(self._work(x)["L"], lower=1)[0]
        return sym(inverse.T @ (inverse @ self.riemannian_gradient(x) @ inverse.T) @ inverse)

    def residual(self, x):
        return None


def _coth_factors(logs):
    """(d/2) coth(d/2) for all differences d of the last axis of logs."""
    half = 0.5 * (logs[..., :, None] - logs[..., None, :])
    small = np.abs(half) < 1e-4
    safe = np.where(small, 1.0, half)
    return np.where(small, 1.0 + half**2 / 3.0, safe / np.tanh(safe))


def _geometric_mean(a, b):
    """a # b by the Cholesky factor of a, then two Newton steps on the mean's equation log M_a + log M_b = 0.

    The closed form alone decomposes a matrix of condition kappa^2 and keeps only half of the digits at 1e6. At the
    mean M_a and M_b = M_a^-1 share eigenvectors, in which the Hessian is diagonal.
    """
    lower = np.linalg.cholesky(a)
    inverse = sl.lapack.dtrtri(lower, lower=1)[0]
    values, vectors = np.linalg.eigh(sym(inverse @ b @ inverse.T))
    frame = lower @ (vectors * values**0.25)
    for _ in range(2):
        lower = np.linalg.cholesky(frame @ frame.T)
        inverse = sl.lapack.dtrtri(lower, lower=1)[0]
        pairs = [np.linalg.eigh(sym(inverse @ m @ inverse.T)) for m in (a, b)]
        mean_log = 0.5 * sum((v * np.log(w)) @ v.T for w, v in pairs)
        w, v = pairs[0]
        step = v @ ((v.T @ mean_log @ v) / _coth_factors(np.log(w))) @ v.T
        w, v = np.linalg.eigh(sym(step))
        frame = lower @ (v * np.exp(0.5 * w))
    return frame @ frame.T


def _pair(n, kappa, vectors_in_cost):
    stack, mean = recipe.karcher_pair(n, kappa)
    return Karcher(stack, np.eye(n), mean, vectors_in_cost)


def _scatter(n, kappa, vectors_in_cost):
    stack = recipe.karcher_scatter(n, kappa)
    return Karcher(stack, stack.mean(axis=0), None, vectors_in_cost)


def _two(n, kappa, vectors_in_cost):
    stack = recipe.karcher_scatter(n, kappa, 2)
    return Karcher(stack, stack.mean(axis=0), _geometric_mean(*stack), vectors_in_cost)


def _four(n, kappa, vectors_in_cost):
    stack = recipe.karcher_scatter(n, kappa, 4)
    return Karcher(stack, stack.mean(axis=0), None, vectors_in_cost)


BUILDERS = {
    "karcher_pair": _pair,
    "karcher_scatter": _scatter,
    "karcher_two": _two,
    "karcher_four": _four,
    "logdet_mle": lambda n, kappa, _: LogDet(recipe.logdet_scatter(n, kappa)),
    "tyler": lambda n, kappa, _: Tyler(recipe.tyler_samples(n, kappa)),
    "nearness": lambda n, kappa, _: Nearness(*recipe.nearness(n, kappa)),
    "student": lambda n, kappa, _: Scatter(recipe.tyler_samples(n, kappa), student_loss(n)),
    "huber": lambda n, kappa, _: Scatter(recipe.tyler_samples(n, kappa), huber_loss(n)),
    "lyapunov": lambda n, kappa, _: Lyapunov(*recipe.karcher_scatter(n, kappa, 2)),
    "riccati": lambda n, kappa, _: Riccati(*recipe.karcher_scatter(n, kappa, 2)),
    "median": lambda n, kappa, _: Median(recipe.many(n, kappa)),
    "barycenter": lambda n, kappa, _: Barycenter(recipe.many(n, kappa)),
}


def build(name, n, kappa, vectors_in_cost):
    """The problem `name`; vectors_in_cost makes the Karcher cost keep eigenvectors for a later gradient."""
    return BUILDERS[name](n, kappa, vectors_in_cost)
