"""The rows behind a fit, in the bases of the criterion: what deletion and leverage look at.

The criterion forgets the rows once it has their cross-products.  Diagnostics ask for them again,
weighted and in the same orthonormal columns, so that a row of Z is a handful of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.pls.factor.factorization import Factorization
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.triangular import upper_solve_right
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion


@dataclass(frozen=True, eq=False)
class Rows:
    """Every row of Z, X and y, times the square root of its weight, in the criterion's bases.

    Attributes
    ----------
    layout : Layout
        Columns of Z.
    codes : tuple of ndarray of int, shape (n,)
        Level of each row, per factor of the layout.
    columns : tuple of ndarray of shape (n, K)
        Its nonzeros in that factor's columns.
    Qy : ndarray of shape (n, p + 1)
        Rows of the basis of X and of the scaled response.
    log_weights : ndarray of shape (n,) or None
        Logarithms of the weights.
    """

    layout: Layout
    codes: tuple[IntArray, ...]
    columns: tuple[FloatArray, ...]
    Qy: FloatArray
    log_weights: FloatArray | None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.Qy)

    @cached_property
    def counts(self) -> tuple[IntArray, ...]:
        """Rows of each level, per factor."""
        return self.counts_of(slice(None))

    def counts_of(self, rows: IntArray | slice) -> tuple[IntArray, ...]:
        """Of some rows, how many belong to each level, per factor."""
        return tuple(
            np.bincount(codes[rows], minlength=n)
            for codes, n in zip(self.codes, self.layout.n_levels, strict=True)
        )

    def take(self, rows: IntArray) -> Rows:
        """Some of the rows."""
        return Rows(
            layout=self.layout,
            codes=tuple(codes[rows] for codes in self.codes),
            columns=tuple(columns[rows] for columns in self.columns),
            Qy=self.Qy[rows],
            log_weights=None if self.log_weights is None else self.log_weights[rows],
        )

    def nonzeros(self) -> tuple[IntArray, FloatArray]:
        """Column and value of every nonzero of Z, both of shape (n, nonzeros per row)."""
        at = [
            start + codes[:, None] * K + np.arange(K)
            for start, codes, K in zip(self.layout.starts, self.codes, self.layout.K, strict=False)
        ]
        return np.concatenate(at, axis=1), np.concatenate(self.columns, axis=1)

    def Z(self) -> SparseArray:
        """The rows of Z as a sparse CSR array of shape (n, q)."""
        at, values = self.nonzeros()
        indptr = np.arange(0, at.size + 1, at.shape[1])
        return sparse.csr_array((values.ravel(), at.ravel(), indptr), shape=(self.n, self.layout.q))

    def times(self, V: FloatArray) -> FloatArray:
        """Z V, for V of shape (q, r)."""
        total = np.zeros((self.n, V.shape[1]))
        for f, (codes, columns) in enumerate(zip(self.codes, self.columns, strict=True)):
            by_level = self.layout.by_level(V, f)
            for a in range(columns.shape[1]):
                total += columns[:, a, None] * by_level[codes, a]
        return total

    def products(self) -> CrossProducts:
        """Cross-products of these rows; A is sparse."""
        Z = self.Z()
        A = (Z.T @ Z).tocsr()
        A.sort_indices()
        return CrossProducts(
            A=A,
            B=np.asarray(Z.T @ self.Qy),
            C=self.Qy.T @ self.Qy,
            n=self.n,
            sum_log_weights=0.0 if self.log_weights is None else float(self.log_weights.sum()),
        )


def rows_of(
    criterion: ProfiledCriterion,
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    y: FloatArray,
    *,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
) -> Rows:
    """The rows of a criterion.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What was made of them.
    factors, terms, X, y, weights, offset
        As they were given to `profiled_criterion`.

    Returns
    -------
    Rows
    """
    relcov = criterion.relcov
    layout, n = relcov.layout, len(y)
    columns = [np.empty((n, K)) for K in layout.K]
    codes: list[IntArray] = [np.empty(0, dtype=np.intp)] * len(layout.K)
    root = None if weights is None else np.sqrt(weights)
    places = zip(relcov.term_factor, relcov.term_start, relcov.term_inverses, strict=True)
    for term, (f, start, inverse) in zip(terms, places, strict=True):
        Xi = term.Xi if root is None else term.Xi * root[:, None]
        columns[f][:, start : start + term.k] = Xi @ inverse
        codes[f] = factors[term.factor].codes
    return Rows(
        layout=layout,
        codes=tuple(codes),
        columns=tuple(columns),
        Qy=criterion.basis.coordinates(X, y if offset is None else y - offset, root),
        log_weights=None if weights is None else np.log(weights),
    )


def quadratics(factorization: Factorization, rows: Rows) -> FloatArray:
    """``z_i' T z_i`` for every row, from the entries of T on the pattern of Z'Z, shape (n,).

    Parameters
    ----------
    factorization : Factorization
        Updated to the Lambda in question.
    rows : Rows
        The rows z_i.
    """
    total = np.zeros(rows.n)
    own = factorization.conditional_blocks()
    for f, (codes, left) in enumerate(zip(rows.codes, rows.columns, strict=True)):
        total += np.einsum("na,nab,nb->n", left, own[f][codes], left)
        for g in range(f):
            T = factorization.conditional_pairs(f, g, codes, rows.codes[g])
            total += 2.0 * np.einsum("na,nab,nb->n", left, T, rows.columns[g])
    return total


def whitened(rows: Rows, at: Decomposition) -> FloatArray:
    """Rows of V0^-1 [X, y - X beta], X scaled so that ``X' V0^-1 X`` is the identity, (n, p + 1).

    The last column is the conditional residual, in units of the scaled response; all are weighted.
    """
    p = len(at.R) - 1
    E = rows.Qy - rows.times(at.TB)
    E[:, p] -= E[:, :p] @ at.gamma
    E[:, :p] = upper_solve_right(E[:, :p], at.R[:p, :p])
    return E
