"""Separation, proved: directions in which the likelihood rises for ever.

A combination v of the fixed effects is a *direction of recession* if ``X v`` points at the outcome wherever
it is not zero, and all those rows are as extreme as they can be: no success, or nothing else (Albert &
Anderson 1984, Biometrika 71).  Such fixed effects have no finite estimate, with or without random effects.
Only directions that are flat at the end of the search are asked, so the linear programme is small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from interlace.pls.terms import BoolArray, FloatArray
from interlace.pls.triangular import eigen

from .criterion import LaplaceCriterion

# Share of the largest curvature by the fixed effects below which a direction is suspected.
FLAT = 1e-3
# Size of X v, for v of length one and columns of mean square 1, that is rounding.
NOTHING = 1e-9


@dataclass(frozen=True, eq=False)
class Separation:
    """A proof that some fixed effects have no finite estimate.

    Attributes
    ----------
    direction : ndarray of shape (p,)
        Direction of recession on the columns of X, largest element 1 in absolute value.
    columns : tuple of int
        Columns of X that take part in it.
    n_rows : int
        Cells whose linear predictor goes to infinity along it.
    """

    direction: FloatArray
    columns: tuple[int, ...]
    n_rows: int


def separated(criterion: LaplaceCriterion, hessian: FloatArray) -> FloatArray | None:
    """A direction of recession among the flat ones, in the basis of X, shape (p,); None if there is none.

    Parameters
    ----------
    criterion : LaplaceCriterion
        The criterion.
    hessian : ndarray of shape (m + p + k, m + p + k)
        Its Hessian at the end of the search.
    """
    cells, m, p = criterion.cells, criterion.m, criterion.p
    if p == 0:
        return None
    values, vectors = eigen(hessian[m : m + p, m : m + p])
    flat = vectors[:, values < FLAT * max(float(values[-1]), 1e-300)]
    down, up = criterion.family.recedes(cells.y, cells.m)
    # Without curvature anywhere there is nothing to compare with: then every direction is flat.
    if values[-1] < FLAT * cells.m.sum():
        flat = vectors
    return _recession(cells.X, flat, down, up) if flat.shape[1] and (down | up).any() else None


def _recession(X: FloatArray, flat: FloatArray, down: BoolArray, up: BoolArray) -> FloatArray | None:
    """The v of most rows among combinations of some directions."""
    moved = X @ flat
    kinds = np.column_stack([np.round(moved, 10), down, up])
    _, first = np.unique(kinds, axis=0, return_index=True)
    moved, down, up = moved[first], down[first], up[first]
    sign = np.where(up, 1.0, 0.0) - np.where(down, 1.0, 0.0)
    towards = moved * sign[:, None]
    middle = ~(down | up)
    bound = None if not middle.any() else moved[middle]
    found = linprog(
        -towards.sum(axis=0),
        A_ub=-towards[~middle],
        b_ub=np.zeros(int((~middle).sum())),
        A_eq=bound,
        b_eq=None if bound is None else np.zeros(len(bound)),
        bounds=(-1.0, 1.0),
    )
    if found.x is None or not float((towards @ found.x).sum()) > 1e-6:
        return None
    return np.asarray(flat @ found.x)


def proof(criterion: LaplaceCriterion, hessian: FloatArray, to_beta: FloatArray) -> Separation | None:
    """The direction of recession with its columns, or None.

    Parameters
    ----------
    criterion, hessian
        As in `separated`.
    to_beta : ndarray of shape (p, p)
        Coefficients on the columns of X from those on the basis.
    """
    v = separated(criterion, hessian)
    if v is None:
        return None
    raw = to_beta @ v
    scale = np.sqrt(np.maximum(np.linalg.inv(to_beta).T ** 2 @ np.ones(len(v)), 1e-300))
    weighted = np.abs(raw) * scale  # in units of eta
    columns = np.flatnonzero(weighted > 1e-6 * weighted.max())
    rows = int((np.abs(criterion.cells.X @ v) > NOTHING).sum())
    return Separation(raw / np.abs(raw).max(), tuple(columns.tolist()), rows)
