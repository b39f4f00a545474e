"""Uncertainty of ``x' beta^ + z' b^``: the joint covariance of fixed effects and random effects.

The inverse of Henderson's mixed-model matrix, written with the verbs of the factorization
(Henderson 1975, Biometrics 31, 423-447):

    Var(beta^ - beta) = s2 G^-1,   Cov(beta^ - beta, b^ - b) = -s2 G^-1 X'WZ T,
    Var(b^ - b) = s2 (T + T Z'WX G^-1 X'WZ T),   G = X' V0^-1 X,

so that the variance of a prediction is ``s2 (|R^-T (x - X'WZ T z)|^2 + z' T z)`` with ``G = R' R``.
"""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.factor.factorization import Factorization
from interlace.pls.matrices.triangular import upper_solve, upper_solve_right
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion

from .weighted import Rows

# Columns of Z for which T among all of them is held at once.
COLUMNS_AT_ONCE = 6_000
# Elements of right-hand sides held at a time.
SOLVED_AT_ONCE = 20_000_000


def prediction_variance(criterion: ProfiledCriterion, at: Decomposition, rows: Rows) -> FloatArray:
    """Variance of every prediction over that of the residuals, theta taken as known.

    Parameters
    ----------
    criterion : ProfiledCriterion
        Of the fit.
    at : Decomposition
        Its last evaluation, at the optimum.
    rows : Rows
        Rows of X and Z to predict, in the bases of the criterion; the last column of ``Qy`` is not used.

    Returns
    -------
    ndarray of shape (n,)
    """
    p = criterion.cp.p
    left = rows.Qy[:, :p] - rows.times(at.TB[:, :p])
    fixed = upper_solve_right(left, at.R[:p, :p])
    return np.asarray((fixed**2).sum(axis=1) + quadratic_forms(criterion.factorization, rows))


def quadratic_forms(factorization: Factorization, rows: Rows) -> FloatArray:
    """``z' T z`` for rows whose levels need not occur together in the data, shape (n,)."""
    at, values = rows.nonzeros()
    columns, place = np.unique(at, return_inverse=True)
    if len(columns) <= min(COLUMNS_AT_ONCE, max(rows.n, 50)):
        T = factorization.conditional_among(columns)
        return _forms(T, place.reshape(at.shape), values)
    q, total = rows.layout.q, np.empty(rows.n)
    step = max(1, SOLVED_AT_ONCE // q)
    for start in range(0, rows.n, step):
        own = np.arange(start, min(start + step, rows.n))
        Zt = np.asarray(rows.take(own).Z().toarray().T)
        total[own] = (Zt * factorization.conditional(Zt)).sum(axis=0)
    return total


def _forms(T: FloatArray, place: IntArray, values: FloatArray) -> FloatArray:
    total = np.zeros(len(values))
    for a in range(values.shape[1]):
        for b in range(values.shape[1]):
            total += values[:, a] * values[:, b] * T[place[:, a], place[:, b]]
    return total


def prediction_gradient(criterion: ProfiledCriterion, at: Decomposition, rows: Rows) -> FloatArray:
    """Derivatives of every prediction by lme4's theta, in units of the scaled response, (n, m).

    Parameters
    ----------
    criterion, at, rows
        As for `prediction_variance`; ``at`` without a gauge.

    Returns
    -------
    ndarray of shape (n, m)

    Notes
    -----
    With ``w_j = (d Lambda Lambda' / d theta_j) Z' e``, ``e = V0^-1 (y - X beta^)``:
    ``d beta^ = -G^-1 X' V0^-1 Z w_j`` and ``d b^ = w_j - T Z'WZ w_j - T Z'WX d beta^``.
    """
    cp, relcov, p = criterion.cp, criterion.relcov, criterion.cp.p
    E = cp.B - cp.A @ at.TB
    t = E[:, p] - E[:, :p] @ at.gamma
    W = _directions(criterion, at, t)
    R = at.R[:p, :p]
    d_gamma = -upper_solve(R, np.asarray(upper_solve_right((E[:, :p].T @ W).T, R)).T)
    d_b = W - criterion.factorization.conditional(np.asarray(cp.A @ W)) - at.TB[:, :p] @ d_gamma
    by_phi = rows.Qy[:, :p] @ d_gamma + rows.times(d_b)
    return np.asarray(by_phi @ relcov.to_basis)


def _directions(criterion: ProfiledCriterion, at: Decomposition, t: FloatArray) -> FloatArray:
    """``w_j`` for every covariance parameter, (q, m)."""
    relcov = criterion.relcov
    W = np.zeros((relcov.layout.q, relcov.m))
    for j, (f, a, b) in enumerate(zip(relcov.factor, relcov.row, relcov.col, strict=True)):
        modes = relcov.layout.by_level(t[:, None], f)[:, :, 0]
        column = at.Lambda[f][:, b]
        own = np.outer(modes[:, a], column)
        own[:, a] += modes @ column
        W[relcov.layout.slices[f], j] = own.ravel()
    return W
