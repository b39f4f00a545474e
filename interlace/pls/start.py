"""Where the search begins: variance components from second moments.

The expected squares of ``Z' r``, r the least-squares residuals, are linear in the variances:

    E (Z' r)_c' (Z' r)_c = sum over d of sigma_d^2 |Z_c' Z_d|^2 + sigma^2 tr(Z_c' Z_c)

for the columns c, d of all levels of one random effect (Rao's MINQUE with zero prior weights, the
projection off X neglected).  One small linear system gives a start within a few steps of the optimum.
"""

from __future__ import annotations

import numpy as np

from .crossproducts import CrossProducts
from .relcov import RelativeCovariance
from .terms import FloatArray

# Relative standard deviations are kept in this range: a start at zero would be a saddle.
LEAST, MOST = 0.05, 20.0


def moment_start(cp: CrossProducts, relcov: RelativeCovariance) -> FloatArray:
    """Starting basis parameters: diagonal blocks with moment estimates.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products, y scaled to unit residual variance.
    relcov : RelativeCovariance
        The template of Lambda.

    Returns
    -------
    ndarray of shape (m,)
    """
    kinds, n_kinds = _kinds(relcov)
    member = np.zeros((relcov.layout.q, n_kinds))
    member[np.arange(len(kinds)), kinds] = 1.0
    squares = cp.A * cp.A if isinstance(cp.A, np.ndarray) else cp.A.multiply(cp.A).tocsr()
    t = cp.B[:, -1]
    size = np.bincount(kinds, weights=cp.A.diagonal(), minlength=n_kinds)
    system = np.empty((n_kinds + 1, n_kinds + 1))
    system[:-1, :-1] = member.T @ (squares @ member)
    system[:-1, -1] = system[-1, :-1] = size
    system[-1, -1] = cp.n
    moments = np.append(np.bincount(kinds, weights=t * t, minlength=n_kinds), cp.C[-1, -1])
    variances = np.linalg.lstsq(system, moments, rcond=None)[0]
    residual = max(float(variances[-1]), 0.05)
    sd = np.sqrt(np.clip(variances[:-1] / residual, LEAST**2, MOST**2))
    first = np.cumsum([0, *relcov.layout.K[:-1]])
    start = np.zeros(relcov.m)
    start[relcov.diagonal] = sd[first[relcov.factor] + relcov.row][relcov.diagonal]
    return start


def _kinds(relcov: RelativeCovariance) -> tuple[FloatArray, int]:
    """Which random effect (column within a level, over all factors) each column of Z belongs to."""
    kinds, count = [], 0
    for levels, K in zip(relcov.layout.n_levels, relcov.layout.K, strict=True):
        kinds.append(np.tile(np.arange(count, count + K), levels))
        count += K
    return np.concatenate(kinds), count
