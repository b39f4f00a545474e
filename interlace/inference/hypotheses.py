"""Hypotheses of types I, II and III about the terms of the fixed part, as contrasts.

They are functions of the design alone. Those of types II and III do not depend on how categories are coded.
The rows are scaled as lmerTest scales them: the statistic does not depend on that, but Satterthwaite's
degrees of freedom for several contrasts do.

Without an intercept the first factor has a column for each of its categories and the others have not, so that
the columns of a term do not tell its hypothesis: there the complete columns of all terms do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import linalg

from interlace.arrays import BoolArray, FloatArray

from .fixed_terms import FixedTerm

AnovaType: TypeAlias = Literal[1, 2, 3]
# Singular values below this share of the largest are zero: columns have unit length before.
NULL = 1e-8


def sequential(X: FloatArray, terms: Sequence[FixedTerm]) -> dict[str, FloatArray]:
    """Type I: each term adjusted for those before it.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Model matrix of full column rank.
    terms : sequence of FixedTerm
        Terms in the order of their columns.

    Returns
    -------
    dict of str to ndarray of shape (k, p)
        ``X = Q R`` splits the sum of squares by rows of R, here with a unit diagonal.
    """
    R = _unit_triangle(X)
    return {term.name: R[list(term.columns)] for term in terms}


def _unit_triangle(X: FloatArray) -> FloatArray:
    R = np.linalg.qr(X, mode="r")
    return np.asarray(R / np.diagonal(R)[:, None])


def partially_sequential(X: FloatArray, terms: Sequence[FixedTerm]) -> dict[str, FloatArray]:
    """Type II: each term adjusted for all those that do not contain it.

    Parameters
    ----------
    X, terms
        As in `sequential`.

    Returns
    -------
    dict of str to ndarray of shape (k, p)
    """
    return {term.name: _last_but_containing(X, term, terms) for term in terms}


def partially_sequential_of_complete(
    X: FloatArray, terms: Sequence[FixedTerm], complete: Mapping[str, CompleteColumns]
) -> dict[str, FloatArray]:
    """Type II by spaces of complete columns: what a term adds to those that do not contain it.

    Parameters
    ----------
    X, terms
        As in `sequential`.
    complete : mapping of str to CompleteColumns
        Columns of each term and, if there is one, of ``""``, the intercept.

    Returns
    -------
    dict of str to ndarray of shape (k, p)
        One row for each category against the first where the term has as many degrees of freedom.
    """
    Q, R = linalg.qr(X, mode="economic", check_finite=False)
    M = {name: Q.T @ own.matrix for name, own in complete.items()}
    contrasts = {}
    for term in terms:
        above = {other.name for other in terms if term.is_contained_in(other)}
        below = [own for name, own in M.items() if name not in above and name != term.name]
        without = _annihilator(len(R), below)
        added = linalg.orth(without.T @ _scaled(M[term.name]), rcond=NULL)
        rows = (without @ added).T
        contrasts[term.name] = _in_known_basis(
            rows, term, M[term.name], complete[term.name], np.asarray(R, dtype=float)
        )
    return contrasts


def _in_known_basis(
    rows: FloatArray, term: FixedTerm, own: FloatArray, complete: CompleteColumns, R: FloatArray
) -> FloatArray:
    """Rows as lmerTest has them: the term's own columns if it can be, or each category's effect."""
    contrasts = np.asarray(rows @ R)
    outside = np.delete(contrasts, list(term.columns), axis=1)
    is_own = term.is_plain and len(rows) == len(term.columns)
    if is_own and np.abs(outside).max(initial=0.0) < NULL * np.abs(contrasts).max():
        return np.eye(contrasts.shape[1])[list(term.columns)]
    return np.asarray(_to_treatment(rows, own[:, complete.no_first]) @ R)


def _last_but_containing(X: FloatArray, term: FixedTerm, terms: Sequence[FixedTerm]) -> FloatArray:
    p, k = X.shape[1], len(term.columns)
    after = [j for other in terms if term.is_contained_in(other) for j in other.columns]
    if not after:
        return np.eye(p)[list(term.columns)]
    before = [j for j in range(p) if j not in {*term.columns, *after}]
    order = [*before, *term.columns, *after]
    contrasts = np.zeros((k, p))
    contrasts[:, order] = _unit_triangle(X[:, order])[len(before) : len(before) + k]
    return contrasts


@dataclass(frozen=True, eq=False)
class CompleteColumns:
    """Columns of a term with an indicator for every category.

    Attributes
    ----------
    matrix : ndarray of shape (n, K)
        Products of indicators and numeric variables.
    no_first : ndarray of bool, shape (K,)
        Where every categorical variable is at another category than its first.
    """

    matrix: FloatArray
    no_first: BoolArray


def marginal(
    X: FloatArray,
    terms: Sequence[FixedTerm],
    complete: Callable[[], Mapping[str, CompleteColumns]],
    *,
    intercept: bool = True,
) -> dict[str, FloatArray]:
    """Type III: average effects over the categories of the terms that contain a term.

    Parameters
    ----------
    X, terms
        As in `sequential`.
    complete : callable
        Gives the columns of each term and of ``""``, the intercept. Called only where they are needed: if a
        term contains another or is not in treatment coding, or without an intercept.
    intercept : bool, default True
        Whether the model has one.

    Returns
    -------
    dict of str to ndarray of shape (k, p)

    Notes
    -----
    Among the estimable functions that involve a term and those containing it only, the hypothesis of a term
    is what is orthogonal to the functions that involve the containing terms alone (Goodnight 1978, SAS
    Technical Report R-101). With no empty cells these are differences of unweighted means.
    """
    identity = np.eye(X.shape[1])
    contrasts = {t.name: identity[list(t.columns)] for t in terms}
    containing = {t.name: [o.name for o in terms if t.is_contained_in(o) and o.columns] for t in terms}
    unsettled = [t for t in terms if t.columns and (containing[t.name] or not t.is_plain or not intercept)]
    if unsettled:
        Q, R = linalg.qr(X, mode="economic", check_finite=False)
        columns = complete()
        # Every column is a combination M of those of X: an estimable function c has the coefficients c'M.
        M = {name: Q.T @ own.matrix for name, own in columns.items()}
        present = {"", *(t.name for t in terms if t.columns)} & M.keys()
        for term in unsettled:
            above = containing[term.name]
            outside = [M[name] for name in sorted(present - {term.name, *above})]
            rows = _averaged(M[term.name], [M[name] for name in above], outside)
            contrasts[term.name] = _in_known_basis(
                rows, term, M[term.name], columns[term.name], np.asarray(R, dtype=float)
            )
    return contrasts


def _averaged(own: FloatArray, above: Sequence[FloatArray], outside: Sequence[FloatArray]) -> FloatArray:
    inside = np.hstack([own, *above])
    functions = _annihilator(len(inside), outside)
    if above:
        higher = _annihilator(len(inside), [*outside, own])
        functions = functions @ _null_space(higher.T @ inside @ inside.T @ functions)
    return functions.T


def _to_treatment(rows: FloatArray, M: FloatArray) -> FloatArray:
    """Combine rows so that each is the effect of one category against the first; as they are if none can."""
    values = rows @ M
    if values.shape[0] != values.shape[1] or np.linalg.matrix_rank(values) < len(values):
        return rows
    return np.asarray(np.linalg.solve(values, rows))


def _annihilator(p: int, columns: Sequence[FloatArray]) -> FloatArray:
    """Functions that do not involve these columns, as an orthonormal basis of shape (p, k)."""
    if not columns:
        return np.eye(p)
    return _null_space(_scaled(np.hstack(columns)).T)


def _scaled(M: FloatArray) -> FloatArray:
    """Columns of length 1, or of zeros."""
    length = np.linalg.norm(M, axis=0)
    return np.asarray(M / np.where(length > 0.0, length, 1.0))


def _null_space(matrix: FloatArray) -> FloatArray:
    if not matrix.size:
        return np.eye(matrix.shape[1])
    return np.asarray(linalg.null_space(matrix, rcond=NULL))
