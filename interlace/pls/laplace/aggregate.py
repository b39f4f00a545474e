"""Rows that are equal in everything become one cell: the cost of an iteration then follows the cells.

Counts are exact: binomial rows add up successes and trials, Poisson rows counts and exposure; rows of other
families must be equal in the response too, and the cell remembers how many there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.family import Family

# Share of the rows that must vanish for it to be worth while.
WORTH = 0.9


@dataclass(frozen=True, eq=False)
class Aggregation:
    """One row of each cell, and what was observed in it.

    Attributes
    ----------
    first : ndarray of int, or None
        A row of each cell; None if every row stays.
    y, m : ndarray
        Response and trials, exposure or count of each cell.
    constant : float
        Part of the log-likelihood of the rows that the cells' does not have.
    """

    first: IntArray | None
    y: FloatArray
    m: FloatArray
    constant: float


def aggregated(
    family: Family,
    codes: Sequence[IntArray],
    columns: Sequence[FloatArray],
    y: FloatArray,
    trials: FloatArray,
    weights: FloatArray,
) -> Aggregation:
    """Find the cells.

    Parameters
    ----------
    family : Family
        Says whether responses add up.
    codes : sequence of ndarray of int, shape (n,)
        Level of each row, per factor.
    columns : sequence of ndarray of shape (n,) or (n, k)
        Whatever else tells rows apart.
    y : ndarray of shape (n,)
        Response.
    trials, weights : ndarray of shape (n,)
        Trials of binomial rows (ones for others); how often each row occurs.

    Returns
    -------
    Aggregation
    """
    constant = 0.0
    if family.name == "binomial":
        constant = float(weights @ family.constant(y, trials))
    elif family.additive:
        constant = float(family.constant(y, weights).sum())
    m = weights * trials
    if family.additive:
        y = y * weights
    else:
        columns = [*columns, y]
    cell = _cells(codes, columns)
    if cell is None:
        return Aggregation(None, y, m, constant)
    _, first = np.unique(cell, return_index=True)
    total = np.bincount(cell, weights=y) if family.additive else y[first]
    return Aggregation(first, np.asarray(total, float), np.bincount(cell, weights=m).astype(float), constant)


def _cells(codes: Sequence[IntArray], columns: Sequence[FloatArray]) -> IntArray | None:
    """Number of each row's cell, 0, 1, ... all used; None if there are nearly as many as rows."""
    n = len(codes[0])
    cell = np.zeros(n, dtype=np.intp)
    count = 1
    for keys in (*codes, *_distinguishing(columns)):
        if keys.dtype.kind == "f":
            values, keys = np.unique(keys, return_inverse=True)
            size = len(values)
        else:
            size = int(keys.max()) + 1
        found, cell = np.unique(cell * size + keys.ravel(), return_inverse=True)
        cell, count = cell.ravel(), len(found)
        if count > WORTH * n:
            return None
    return cell


def _distinguishing(columns: Sequence[FloatArray]) -> list[FloatArray]:
    """Single columns that are not constant, each once."""
    found: list[FloatArray] = []
    for column in (one for block in columns for one in np.atleast_2d(block.T)):
        if np.ptp(column) > 0.0 and not any(np.array_equal(column, other) for other in found):
            found.append(column)
    return found
