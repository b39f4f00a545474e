"""Deletion of cases with the variance components held fixed, for all cases of a partition at once.

Without the rows I, ``X' V0^-1 X`` and ``X' V0^-1 e`` lose the blocks of

    N_I = E_I' (I - Z_I T Z_I')^-1 E_I,    E = V0^-1 [X, e],    e = y - X beta,

(Christensen, Pearson & Johnson 1992, in the notation of the package); everything about the
deletion follows from these (p + 1) x (p + 1) matrices.  The inverse is taken among the rows of I or
among the columns of Z that occur in them, whichever are fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.matrices.triangular import upper_solve, upper_solve_right
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion

from .batches import Partition
from .subtraction import without
from .weighted import Rows, quadratics, whitened

# A smallest eigenvalue of the information left, relative to the whole, that counts as none.
NOTHING_LEFT = 1e-10
# Rows (or columns of Z, if fewer) of a case beyond which refactorising without it is cheaper.
LARGE_CASE = 1_000


@dataclass(frozen=True, eq=False)
class OneStep:
    """Effect of deleting each case on the fixed effects, variance components held.

    NaN where X loses rank with the case.

    Attributes
    ----------
    change : ndarray of shape (cases, p)
        Full minus deleted estimates.
    se_deleted : ndarray of shape (cases, p)
        Standard errors without the case.
    cooksd, mdffits, covtrace, covratio : ndarray of shape (cases,)
        ``d' C^-1 d / p``, ``d' C_(I)^-1 d / p``, ``|tr(C^-1 C_(I)) - p|`` and ``det C_(I) / det C``, with
        d the change, C the covariance of the estimates and C_(I) that without the case.
    """

    change: FloatArray
    se_deleted: FloatArray
    cooksd: FloatArray
    mdffits: FloatArray
    covtrace: FloatArray
    covratio: FloatArray


def delete_rows(criterion: ProfiledCriterion, at: Decomposition, rows: Rows) -> OneStep:
    """Delete every single row, one at a time.

    Parameters
    ----------
    criterion : ProfiledCriterion
        Evaluated last at ``at``.
    at : Decomposition
        The optimum.
    rows : Rows
        All rows.

    Returns
    -------
    OneStep
        One case per row.
    """
    E = whitened(rows, at)
    p = E.shape[1] - 1
    EX, e = E[:, :p], E[:, p]
    fixed = np.einsum("np,np->n", EX, EX)
    kept = 1.0 - quadratics(criterion.factorization, rows)
    P = kept - fixed  # diagonal of V0^-1 - V0^-1 X (X' V0^-1 X)^-1 X' V0^-1
    P[NOTHING_LEFT * kept > P] = np.nan
    d = EX * (e / P)[:, None]
    to_beta, sigma2 = _to_beta(criterion, at), at.pwrss / criterion.nu
    half = EX @ to_beta.T
    size = np.einsum("np,np->n", d, d) / (p * sigma2) if p else np.full(len(e), np.nan)
    return OneStep(
        change=d @ to_beta.T,
        se_deleted=np.sqrt(sigma2 * ((to_beta**2).sum(axis=1) + half**2 / P[:, None])),
        cooksd=size,
        mdffits=size * (P / kept),  # M = I - E E' / kept has the eigenvalue P / kept along d
        covtrace=fixed / P,
        covratio=kept / P,
    )


def delete_cases(
    criterion: ProfiledCriterion, at: Decomposition, rows: Rows, cases: IntArray, n_cases: int
) -> OneStep:
    """Delete every case of a partition of the rows, one at a time.

    Parameters
    ----------
    criterion, at, rows
        As for `delete_rows`.
    cases : ndarray of int, shape (n,)
        The case of each row; -1 for rows that stay.
    n_cases : int
        Number of cases.

    Returns
    -------
    OneStep
    """
    N = _lost(criterion, at, rows, cases, n_cases)
    p = N.shape[1] - 1
    M = np.eye(p) - N[:, :p, :p]
    values, vectors = np.linalg.eigh(M)
    values[(values < NOTHING_LEFT).any(axis=1)] = np.nan
    along = np.einsum("gpk,gp->gk", vectors, N[:, :p, p])
    d = np.einsum("gpk,gk->gp", vectors, along / values)
    to_beta, sigma2 = _to_beta(criterion, at), at.pwrss / criterion.nu
    half = to_beta @ vectors
    scale = 1.0 / (p * sigma2) if p else np.nan
    return OneStep(
        change=d @ to_beta.T,
        se_deleted=np.sqrt(sigma2 * np.einsum("gjk,gk->gj", half**2, 1.0 / values)),
        cooksd=scale * ((along / values) ** 2).sum(axis=1),
        mdffits=scale * (along**2 / values).sum(axis=1),
        covtrace=np.abs((1.0 / values).sum(axis=1) - p),
        covratio=1.0 / values.prod(axis=1),
    )


def _to_beta(criterion: ProfiledCriterion, at: Decomposition) -> FloatArray:
    """From coordinates in which ``X' V0^-1 X`` is the identity to the columns of X and units of y."""
    p = len(at.R) - 1
    inverse = upper_solve(at.R[:p, :p], np.eye(p))
    return criterion.basis.scale * upper_solve(criterion.basis.R, inverse)


def _lost(
    criterion: ProfiledCriterion, at: Decomposition, rows: Rows, cases: IntArray, n_cases: int
) -> FloatArray:
    """``N_I`` of every case, shape (cases, p + 1, p + 1)."""
    order = np.argsort(cases, kind="stable")
    order = order[np.searchsorted(cases[order], 0) :]
    partition = Partition.of(rows.take(order), cases[order], n_cases)
    E = whitened(rows, at)[order]
    N = np.zeros((n_cases, E.shape[1], E.shape[1]))
    large = partition.sizes.min(axis=1) > LARGE_CASE
    for batch in partition.batches(
        np.flatnonzero(~large & (partition.sizes[:, 0] > 0)), criterion.factorization
    ):
        N[batch.cases] = batch.lost(E)
    for case in np.flatnonzero(large):
        own = order[partition.row_start[case] : partition.row_start[case + 1]]
        N[case] = _lost_by_refactoring(criterion, at, rows, own)
    if large.any():
        criterion.decompose(at.phi, at.gauge)
    return N


def _lost_by_refactoring(
    criterion: ProfiledCriterion, at: Decomposition, rows: Rows, own: IntArray
) -> FloatArray:
    """``N_I`` as what ``[X y]' V0^-1 [X y]`` loses with the rows."""
    p = len(at.R) - 1
    left = without(criterion, rows, own)
    left.factorization.update(at.Lambda)
    lost = at.R.T @ at.R - (left.cp.C - left.cp.B.T @ left.factorization.conditional(left.cp.B))
    to_residual = np.eye(p + 1)
    to_residual[:p, p] = -at.gamma
    N = to_residual.T @ lost @ to_residual
    N[:, :p] = upper_solve_right(N[:, :p], at.R[:p, :p])
    N[:p] = upper_solve_right(N[:p].T, at.R[:p, :p]).T
    return np.asarray(N)
