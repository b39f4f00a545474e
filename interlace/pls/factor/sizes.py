"""What a blocked factorization will hold, in bytes, told from the layout before it is built."""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout

from .blocked import DENSE_SHARE, DENSE_SIZE
from .schur import PAIR_BUDGET, POPULAR_BUDGET

NUMBER = 8
# Square matrices of the other factors' size at one time: the factor or inverse of the Schur complement, and
# where a variance is nearly zero what the complement was made of, its lower triangle and both.
SQUARES = 3.5
# Beside them: their own cross-products, unless one factor of scalars is all there is; where weights change,
# positions of their entries and the numbers of those; the sparse product before it is dense.
OWN_SQUARE, PLACES_SQUARES, SPARSE_SQUARES = 1.0, 2.0, 5.0
# Copies of the blocks between the first factor and the others: dense, and bytes of an entry of sparse ones.
BETWEEN, BETWEEN_ENTRY = 4.0, 60
# Bytes of a pair of ratings, and of what it is made of.
PAIR = 24


def blocked_size(cp: CrossProducts, layout: Layout, *, reweighed: bool = False) -> float:
    """Bytes that `blocked.BlockedFactorization` takes at its peak.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products.
    layout : Layout
        Columns of Z; the largest factor first.
    reweighed : bool
        Whether weights will change.

    Returns
    -------
    float
        Right to some tens of per cent where it is large; 0 where A is dense, that is, small.
    """
    if isinstance(cp.A, np.ndarray):
        return 0.0
    first, rest = layout.starts[1], layout.rest
    square, between = NUMBER * float(rest) ** 2, float(first) * rest
    entries = cp.A.indices[: cp.A.indptr[first]]
    cells = int(np.count_nonzero(entries >= first))
    alone = len(layout.K) == 2 and layout.K[1] == 1
    if cells >= DENSE_SHARE * between or between <= DENSE_SIZE:
        held, copies = NUMBER * BETWEEN * between, SQUARES + OWN_SQUARE
    else:
        held, copies = (
            BETWEEN_ENTRY * float(cells),
            SQUARES + (0.0 if alone and layout.K[0] == 1 else OWN_SQUARE),
        )
        if layout.K[0] == 1:
            held += _of_pairs(np.diff(cp.A.indptr[: first + 1]) - 1.0, rest)
        else:
            copies += SPARSE_SQUARES
    if reweighed and copies > SQUARES:
        copies += PLACES_SQUARES
    return square * copies + held


def _of_pairs(counts: FloatArray, rest: int) -> float:
    """Bytes of pairs of ratings and of the popular columns: what there is, or their budgets."""
    pairs = min(float(PAIR_BUDGET), float((counts * (counts + 1.0)).sum()) / 2.0)
    return PAIR * pairs + NUMBER * min(float(POPULAR_BUDGET), len(counts) * rest / 16.0)
