"""Deletion of cases with the variance components held fixed, for all cases of a partition at once.

Without the rows I, ``X' V0^-1 X`` and ``X' V0^-1 e`` lose the blocks of

    N_I = E_I' (I - Z_I T Z_I')^-1 E_I,    E = V0^-1 [X, e],    e = y - X beta,

(Christensen, Pearson & Johnson 1992, in the notation of the package); everything about the
deletion follows from these (p + 1) x (p + 1) matrices.  The inverse is taken among the rows of I or
among the columns of Z that occur in them, whichever are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .criterion import Decomposition, ProfiledCriterion
from .deletion import without
from .factorization import Factorization
from .rows import Rows, quadratics, whitened
from .terms import BoolArray, FloatArray, IntArray
from .triangular import upper_solve, upper_solve_right

# A smallest eigenvalue of the information left, relative to the whole, that counts as none.
NOTHING_LEFT = 1e-10
# Rows (or columns of Z, if fewer) of a case beyond which refactorising without it is cheaper.
LARGE_CASE = 1_000
# Columns of Z among which T is held at a time.
COLUMNS_AT_ONCE = 5_000
# Elements of the padded arrays of one batch of cases.
BATCH = 4_000_000


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
    partition = _Partition.of(rows.take(order), cases[order], n_cases)
    E = whitened(rows, at)[order]
    N = np.zeros((n_cases, E.shape[1], E.shape[1]))
    for batch in partition.batches(criterion.factorization):
        N[batch.cases] = batch.lost(E)
    for case in partition.large:
        own = order[partition.row_start[case] : partition.row_start[case + 1]]
        N[case] = _lost_by_refactoring(criterion, at, rows, own)
    if len(partition.large):
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


@dataclass(frozen=True, eq=False)
class _Partition:
    """Rows sorted by case, and the columns of Z that occur in each case.

    Attributes
    ----------
    columns : ndarray of int
        Columns of Z that occur in case 0, in case 1, ...
    row_start, column_start : ndarray of int, shape (cases + 1,)
        Where each case begins among the rows and among ``columns``.
    place : ndarray of int, shape (n, nonzeros per row)
        Position of each nonzero among the columns of its case.
    values : ndarray of the same shape
        The nonzeros.
    """

    columns: IntArray
    row_start: IntArray
    column_start: IntArray
    place: IntArray
    values: FloatArray
    q: int

    @classmethod
    def of(cls, rows: Rows, cases: IntArray, n_cases: int) -> _Partition:
        at, values = rows.nonzeros()
        keys, inverse = np.unique(cases[:, None] * rows.layout.q + at, return_inverse=True)
        owner, columns = np.divmod(keys, rows.layout.q)
        bounds = np.arange(n_cases + 1)
        column_start = np.searchsorted(owner, bounds)
        return cls(
            columns=columns,
            row_start=np.searchsorted(cases, bounds),
            column_start=column_start,
            place=inverse.reshape(at.shape) - column_start[cases][:, None],
            values=values,
            q=rows.layout.q,
        )

    @property
    def sizes(self) -> IntArray:
        """Rows and occurring columns of each case, shape (cases, 2)."""
        return np.stack([np.diff(self.row_start), np.diff(self.column_start)], axis=1)

    @property
    def large(self) -> IntArray:
        """Cases that are cheaper to refactorise without."""
        return np.flatnonzero(self.sizes.min(axis=1) > LARGE_CASE)

    def batches(self, factorization: Factorization) -> Iterator[_Batch]:
        """The other cases, those of similar size together."""
        sizes = self.sizes
        small = np.flatnonzero((sizes.min(axis=1) <= LARGE_CASE) & (sizes[:, 0] > 0))
        for together in self._together(small):
            columns = np.unique(np.concatenate([self._columns(case) for case in together]))
            T = factorization.conditional_among(columns)
            by_size = together[np.lexsort(sizes[together].T)]
            for cases in _alike(by_size, sizes[by_size]):
                yield self._batch(cases, T, columns)

    def _columns(self, case: int) -> IntArray:
        return self.columns[self.column_start[case] : self.column_start[case + 1]]

    def _together(self, cases: IntArray) -> list[IntArray]:
        """Split the cases so that few enough columns of Z occur in each part."""
        if not len(cases) or self.q <= COLUMNS_AT_ONCE:
            return [cases] if len(cases) else []
        part = np.cumsum(self.sizes[cases, 1]) // COLUMNS_AT_ONCE
        return np.split(cases, np.flatnonzero(np.diff(part)) + 1)

    def _batch(self, cases: IntArray, T: FloatArray, columns: IntArray) -> _Batch:
        m, k = self.sizes[cases].max(axis=0)
        rows = self.row_start[cases][:, None] + np.arange(m)
        present = rows < self.row_start[cases + 1][:, None]
        rows[~present] = 0
        at = self.column_start[cases][:, None] + np.arange(k)
        at[at >= self.column_start[cases + 1][:, None]] = 0
        own = np.minimum(np.searchsorted(columns, self.columns[at]), len(columns) - 1)
        Z = np.zeros((len(cases), m, k))
        case, row = np.nonzero(present)
        filled = rows[case, row]
        Z[case[:, None], row[:, None], self.place[filled]] = self.values[filled]
        return _Batch(cases, rows, present, Z, T[own[:, :, None], own[:, None, :]])


def _alike(cases: IntArray, sizes: IntArray) -> Iterator[IntArray]:
    """Runs of cases, sorted by size, of which the padded arrays waste little and fit the memory."""
    start = 0
    while start < len(cases):
        m, k = sizes[start:, 0], np.maximum.accumulate(sizes[start:, 1])
        # rows x columns, columns x columns and rows x rows, for as many cases as the run would have
        elements = (m * k + k * k + m * m) * np.arange(1, len(m) + 1)
        fits = (elements <= BATCH) & (m + k <= 1.4 * (m[0] + k[0]) + 8)
        stop = start + max(1, len(m) if fits.all() else int(np.argmin(fits)))
        yield cases[start:stop]
        start = stop


@dataclass(frozen=True, eq=False)
class _Batch:
    """Cases padded to one size: (b, m) rows, (b, m, k) of Z, (b, k, k) of T."""

    cases: IntArray
    rows: IntArray
    present: BoolArray
    Z: FloatArray
    T: FloatArray

    def lost(self, E: FloatArray) -> FloatArray:
        """``N_I`` of each case; padded rows and columns are zero in Z and E and so have no effect."""
        own = E[self.rows] * self.present[:, :, None]
        Zt = self.Z.transpose(0, 2, 1)
        if self.Z.shape[1] <= self.Z.shape[2]:
            kept = np.eye(self.Z.shape[1]) - self.Z @ (self.T @ Zt)
            return np.asarray(own.transpose(0, 2, 1) @ np.linalg.solve(kept, own))
        # (I - Z T Z')^-1 = I + Z (I - T Z'Z)^-1 T Z'
        seen = Zt @ own
        inner = np.linalg.solve(np.eye(self.Z.shape[2]) - self.T @ (Zt @ self.Z), self.T @ seen)
        return np.asarray(own.transpose(0, 2, 1) @ own + seen.transpose(0, 2, 1) @ inner)
