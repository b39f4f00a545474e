"""Separation, proved: directions in which the likelihood rises for ever.

A combination v of the fixed effects is a *direction of recession* if ``X v`` points at the outcome wherever
it is not zero, and all those rows are as extreme as they can be: no success, or nothing else (Albert &
Anderson 1984, Biometrika 71).  Such fixed effects have no finite estimate, with or without random effects.
A linear programme finds one; it is asked only where the criterion is flat at the end of the search.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from interlace.arrays import BoolArray, FloatArray
from interlace.pls.matrices.triangular import eigen

from .criterion import LaplaceCriterion

# Share of the largest curvature by the fixed effects below which a direction is suspected.
FLAT = 1e-3
# What some row of X v must be for an answer of the programme, which is right to 1e-7, to be believed.
CLEAR = 1e-3
# Size of X v, for v of length one and columns of mean square 1, that is rounding.
NOTHING = 1e-6


@dataclass(frozen=True, eq=False)
class Separation:
    """A proof that some fixed effects have no finite estimate.

    Attributes
    ----------
    direction : ndarray of shape (p,)
        Direction of recession on the columns of X, largest element 1 in absolute value.
    columns : tuple of int
        Columns of X whose coefficients are infinite or, given those, undetermined: without the separated
        rows nothing is known of them.
    n_rows : int
        Cells whose linear predictor goes to infinity along it.
    """

    direction: FloatArray
    columns: tuple[int, ...]
    n_rows: int


def separated(criterion: LaplaceCriterion, by_beta: FloatArray) -> FloatArray | None:
    """A direction of recession in the basis of X, shape (p,); None if none is found or suspected.

    Parameters
    ----------
    criterion : LaplaceCriterion
        The criterion.
    by_beta : ndarray of shape (p, p)
        Its Hessian by the fixed effects at the end of the search.
    """
    cells = criterion.cells
    if criterion.p == 0:
        return None
    values, _ = eigen(by_beta)
    down, up = criterion.family.recedes(cells.y, cells.m)
    if values[0] > FLAT * max(float(values[-1]), FLAT * float(cells.m.sum())) or not (down | up).any():
        return None
    return _recession(cells.X, down, up)


def _recession(X: FloatArray, down: BoolArray, up: BoolArray) -> FloatArray | None:
    """A v for which no row of ``X v`` points away from its outcome, and as many as can towards it."""
    both = down & up  # only where there are no trials
    kinds = np.unique(np.column_stack([np.round(X, 12), down & ~both, up & ~both, both]), axis=0)
    X, down, up = kinds[:, :-3], kinds[:, -3] > 0, kinds[:, -2] > 0
    towards = np.concatenate([X[up], -X[down]])
    middle = X[~(down | up) & ~(kinds[:, -1] > 0)]
    v, still = np.zeros(X.shape[1]), np.ones(len(towards), dtype=bool)
    while still.any():  # directions add up: ask the rows that do not move yet, until none can
        more = _pointing(towards, still, middle)
        moving = still & (towards @ more > CLEAR)
        if not moving.any():
            break
        v, still = v + more, still & ~moving
    return v if v.any() else None


def _pointing(towards: FloatArray, asked: BoolArray, middle: FloatArray) -> FloatArray:
    """The v with ``towards v >= 0`` and ``middle v = 0`` that moves some rows most."""
    found = linprog(
        -towards[asked].sum(axis=0),
        A_ub=-towards,
        b_ub=np.zeros(len(towards)),
        A_eq=middle if len(middle) else None,
        b_eq=np.zeros(len(middle)) if len(middle) else None,
        bounds=(-1.0, 1.0),
    )
    return np.zeros(towards.shape[1]) if found.x is None else np.asarray(found.x)


def proof(criterion: LaplaceCriterion, by_beta: FloatArray, to_beta: FloatArray) -> Separation | None:
    """The direction of recession with its columns, or None.

    Parameters
    ----------
    criterion, by_beta
        As in `separated`.
    to_beta : ndarray of shape (p, p)
        Coefficients on the columns of X from those on the basis.
    """
    v = separated(criterion, by_beta)
    if v is None:
        return None
    moved = np.abs(criterion.cells.X @ v) > NOTHING
    raw = to_beta @ v
    columns = _undetermined(criterion.cells.X[~moved], to_beta)
    return Separation(raw / np.abs(raw).max(), columns, int(moved.sum()))


def _undetermined(X: FloatArray, to_beta: FloatArray) -> tuple[int, ...]:
    """Columns on whose coefficients the rows that do not move say nothing."""
    values, vectors = eigen(X.T @ X)
    null = to_beta @ vectors[:, values < NOTHING * max(float(values[-1]), 1.0)]
    root = np.linalg.inv(to_beta)
    sizes = np.sqrt((root**2).sum(axis=0)) * np.sqrt((null**2).sum(axis=1))  # in units of eta
    return tuple(np.flatnonzero(sizes > NOTHING * sizes.max()).tolist())
