"""One ordinary least-squares fit per group, for all groups in one pass over the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray

# As for X: a column is dependent when less than this part of its norm is new.
DEPENDENT = 1e-7


@dataclass(frozen=True, eq=False)
class GroupwiseOLS:
    """Least-squares fits of y on an intercept and the columns of X, one per group.

    Attributes
    ----------
    fitted, resid, hat : ndarray of shape (n,)
        Fitted values, residuals, leverages.
    sigma : ndarray of shape (groups,)
        Residual standard deviation; NaN in a group that is saturated or reproduced exactly.
    coef : ndarray of shape (groups, 1 + p)
        Intercept and slopes; NaN for a column that is constant in the group or depends on those before it.
    """

    fitted: FloatArray
    resid: FloatArray
    hat: FloatArray
    sigma: FloatArray
    coef: FloatArray


def groupwise_ols(
    X: FloatArray, y: FloatArray, codes: IntArray, n_groups: int, weights: FloatArray | None = None
) -> GroupwiseOLS:
    """Fit every group by Gram-Schmidt, all inner products being sums over groups.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Columns beside the intercept; constant ones do no harm.
    y : ndarray of shape (n,)
        Response.
    codes : ndarray of int, shape (n,)
        Group of each row.
    n_groups : int
        Number of groups, each with a row at least.
    weights : ndarray of shape (n,), optional
        Prior weights; residuals, leverages and sigma are then those of the weighted rows.

    Returns
    -------
    GroupwiseOLS

    Examples
    --------
    >>> X, y = np.array([[0.0], [1], [2], [0], [1]]), np.array([1.0, 3, 5, 4, 3])
    >>> groupwise_ols(X, y, np.array([0, 0, 0, 1, 1]), 2).coef.round(6).tolist()
    [[1.0, 2.0], [4.0, -1.0]]
    """
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    columns = np.column_stack([root, X * root[:, None]]).T
    Q, R, new = _orthonormal(columns, codes, n_groups)
    target = y * root
    b = np.zeros((n_groups, len(Q)))
    left = target.copy()
    for _ in range(2):
        for j, q in enumerate(Q):
            part = _sums(q * left, codes, n_groups)
            b[:, j] += part
            left = left - q * part[codes]
    rank = new.sum(axis=1)
    hat = (Q**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.bincount(codes, minlength=n_groups) - rank
        s2 = _sums(left**2, codes, n_groups) / np.where(freedom > 0, freedom, np.nan)
        # residuals that are rounding errors have no scale to be measured by
        s2[s2 <= 1e-24 * _sums(target**2, codes, n_groups)] = np.nan
    coef = np.linalg.solve(R, b[:, :, None])[:, :, 0]
    return GroupwiseOLS(
        fitted=(target - left) / root,
        resid=left,
        hat=hat,
        sigma=np.sqrt(s2),
        coef=np.where(new, coef, np.nan),
    )


def _sums(values: FloatArray, codes: IntArray, n_groups: int) -> FloatArray:
    return np.asarray(np.bincount(codes, weights=values, minlength=n_groups), dtype=float)


def _orthonormal(
    columns: FloatArray, codes: IntArray, n_groups: int
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Q (columns, n) orthonormal within groups, R (groups, columns, columns), and which columns are new."""
    width = len(columns)
    Q = np.zeros(columns.shape)
    R = np.zeros((n_groups, width, width))
    new = np.zeros((n_groups, width), dtype=bool)
    for j, column in enumerate(columns):
        size = np.sqrt(_sums(column**2, codes, n_groups))
        left = column.copy()
        for _ in range(2):  # twice is enough (Kahan)
            for i in range(j):
                part = _sums(Q[i] * left, codes, n_groups)
                R[:, i, j] += part
                left = left - Q[i] * part[codes]
        norm = np.sqrt(_sums(left**2, codes, n_groups))
        new[:, j] = norm > DEPENDENT * size
        Q[j] = np.where(new[codes, j], left / np.where(norm > 0, norm, 1.0)[codes], 0.0)
        R[:, j, j] = np.where(new[:, j], norm, 1.0)
        R[:, :j, j] *= new[:, j, None]  # a dropped column takes no part in the solution
    return Q, R, new
