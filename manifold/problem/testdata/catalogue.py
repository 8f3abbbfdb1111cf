"""Answers of scikit-learn, SciPy and NumPy on the recipes of internal/gallery, for the tests of package problem.

PYTHONPATH=internal/gallery/testdata python3 manifold/problem/testdata/catalogue.py > manifold/problem/testdata/golden.json
"""
import json
import sys

import numpy as np
from recipes import normals
from scipy.stats import chi2
from sklearn.covariance import graphical_lasso, ledoit_wolf_shrinkage
from sklearn.mixture import GaussianMixture

out = {}

x = normals(9, 6, 8)
out["ledoit_wolf"] = ledoit_wolf_shrinkage(x, assume_centered=True)
s, (N, n) = x.T @ x / len(x), x.shape
a, t = np.sum(s * s), np.trace(s)
out["oas"] = min(1, ((1 - 2 / n) * a + t * t) / ((N + 1 - 2 / n) * (a - t * t / n)))  # eq. 23 of the paper; scikit-learn drops the 2/n

c2 = chi2.ppf(0.9, 5)
out["huber"] = [c2, chi2.cdf(c2, 7) + c2 * 0.1 / 5]

x = normals(21, 40, 6) @ normals(22, 6, 6)
s = x.T @ x / len(x)
rho = 0.2 * np.max(np.abs(s - np.diag(np.diag(s))))
cov, precision = graphical_lasso(s, rho, tol=1e-12, enet_tol=1e-12, max_iter=10000)
out["glasso"] = {"s": s.ravel().tolist(), "rho": rho, "precision": precision.ravel().tolist()}

x = np.concatenate([normals(31, 60, 2), normals(32, 40, 2) @ np.diag([0.5, 2]) + [6, 0]])
g = GaussianMixture(2, tol=1e-14, reg_covar=0, max_iter=10000, random_state=0).fit(x)
order = np.argsort(g.means_[:, 0])
out["gmm"] = {"weights": g.weights_[order].tolist(), "means": g.means_[order].ravel().tolist(),
              "covariances": g.covariances_[order].ravel().tolist(), "log_likelihood": float(g.score(x))}

json.dump(out, sys.stdout, indent=1)
print()
