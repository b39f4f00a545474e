"""From the rows of a model to its cross-products: at once, or where there are many, some at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from interlace.arrays import FloatArray

from .basis import FixedBasis, fixed_basis
from .columns import factor_columns
from .crossproducts import CrossProducts, cross_products
from .relcov import Layout
from .streamed import MANY_ROWS, Rows, Streamed, streamed_products
from .terms import GroupingFactor, RandomTerm


def model_products(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    bases: Sequence[FloatArray],
    X: FloatArray,
    y: FloatArray,
    layout: Layout,
    *,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
) -> tuple[FixedBasis, CrossProducts]:
    """Basis of the fixed effects, and everything multiplied with everything.

    Parameters
    ----------
    factors, terms : sequences
        Grouping factors in the order of ``layout``, and terms that count them so.
    bases : sequence of ndarray of shape (k, k)
        Lower triangular basis of each term.
    X, y : ndarray of shape (n, p) and (n,)
        Model matrix of full rank, response.
    layout : Layout
        Columns of Z.
    weights, offset : ndarray of shape (n,), optional
        Prior weights, known part of the response.

    Returns
    -------
    basis : FixedBasis
        Its ``scale`` is 0 if X reproduces y.
    cp : CrossProducts
    """
    log_weights = 0.0 if weights is None else float(np.log(weights).sum())
    if len(y) >= MANY_ROWS:
        found = streamed_products(
            _streamed(factors, terms, bases, X, y, layout, weights, offset), log_weights
        )
        if found is not None:
            return found
    root = None if weights is None else np.sqrt(weights)
    basis, Qy = fixed_basis(X, y if offset is None else y - offset, root)
    columns = factor_columns(terms, bases, len(factors), root)
    return basis, cross_products(factors, columns, Qy, layout, log_weights)


def _streamed(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    bases: Sequence[FloatArray],
    X: FloatArray,
    y: FloatArray,
    layout: Layout,
    weights: FloatArray | None,
    offset: FloatArray | None,
) -> Streamed:
    def root(rows: Rows) -> FloatArray | None:
        return None if weights is None else np.sqrt(weights[rows])

    def columns(rows: Rows) -> list[FloatArray]:
        own = [replace(term, Xi=term.Xi[rows]) for term in terms]
        return factor_columns(own, bases, len(factors), root(rows))

    def fixed(rows: Rows) -> tuple[FloatArray, FloatArray]:
        left, scale = y[rows] if offset is None else y[rows] - offset[rows], root(rows)
        return (X[rows], left) if scale is None else (X[rows] * scale[:, None], left * scale)

    return Streamed(factors, columns, fixed, len(y), layout)
