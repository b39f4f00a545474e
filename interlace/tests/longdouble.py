"""The criterion of a linear model by definition in longer arithmetic: 64 bits of mantissa, dense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace.pls import GroupingFactor, RandomTerm
from interlace.tests.oracle import lower_triangles

Long = np.longdouble
# Whether this machine has one; on others the checks would compare like with like.
LONGER = np.finfo(Long).eps < 1e-18


def criterion(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: Any,
    y: Any,
    theta: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    reml: bool = True,
) -> float:
    """REML criterion or deviance at theta, sigma profiled out.

    Parameters
    ----------
    factors, terms, X, y, weights, offset, reml
        As `interlace.pls.profiled_criterion` takes them.
    theta : ndarray of shape (m,)
        Covariance parameters in lme4's order.
    """
    n, p = X.shape
    y = np.asarray(y, Long) - (0 if offset is None else np.asarray(offset, Long))
    V = np.diag(1 / np.asarray(np.ones(n) if weights is None else weights, Long))
    for term, block in zip(terms, lower_triangles(terms, theta), strict=True):
        codes = factors[term.factor].codes
        half = np.asarray(term.Xi, Long) @ np.asarray(block, Long)
        V = V + (half @ half.T) * (codes[:, None] == codes)
    # In units in which nothing overflows, and in which pivots are of order one.
    scale = np.sqrt(np.abs(np.asarray(X, Long)).max(axis=0))
    both = _cholesky(V)
    left = _forward(both, np.column_stack([np.asarray(X, Long) / scale**2, y]))
    Q, R = _orthogonalised(left[:, :p])
    residual = left[:, p]
    for _ in range(2):
        residual = residual - Q @ (Q.T @ residual)
    nu = n - p if reml else n
    logdet = 2 * np.log(np.diagonal(both)).sum()
    if reml:
        logdet += 2 * np.log(np.abs(np.diagonal(R))).sum() + 4 * np.log(scale).sum()
    return float(logdet + nu * (1 + np.log(2 * Long(np.pi) * (residual @ residual) / nu)))


def _cholesky(A: Any) -> Any:
    L = A.copy()
    for j in range(len(L)):
        L[j:, j] -= L[j:, :j] @ L[j, :j]
        L[j:, j] /= np.sqrt(L[j, j])
    return np.tril(L)


def _forward(L: Any, B: Any) -> Any:
    B = B.copy()
    for j in range(len(L)):
        B[j] = (B[j] - L[j, :j] @ B[:j]) / L[j, j]
    return B


def _orthogonalised(A: Any) -> tuple[Any, Any]:
    """Gram and Schmidt, twice."""
    Q, R = A.copy(), np.zeros((A.shape[1],) * 2, Long)
    for j in range(A.shape[1]):
        for _ in range(2):
            share = Q[:, :j].T @ Q[:, j]
            Q[:, j] -= Q[:, :j] @ share
            R[:j, j] += share
        R[j, j] = np.sqrt(Q[:, j] @ Q[:, j])
        Q[:, j] /= R[j, j]
    return Q, R
