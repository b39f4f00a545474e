"""Which factorization to use: chosen by the structure of the design, the predicted cost and the memory.

Nothing is built before it is known to fit, and nothing that is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from scipy import sparse

from interlace.arrays import IntArray
from interlace.errors import ArgumentError
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.matrices.terms import GroupingFactor

from . import cholmod
from .blocked import BlockedFactorization
from .factorization import Factorization
from .fill import predicted_fill
from .iterative import IterativeFactorization
from .memory import afford, fits
from .nested import NestedFactorization
from .selinv import DENSE_FLOP
from .sizes import blocked_size

Solver = Literal["auto", "cholmod", "blocked", "iterative"]

# Columns of the dense Schur complement up to which it is not worth asking whether a sparse one is cheaper.
SURELY_DENSE = 1_500
# Up to so many more it is worth asking only if a level of the other factors meets few of the rest through
# the largest factor: with many neighbours, the factor fills in.
PERHAPS_DENSE = 5_000
FEW_NEIGHBOURS = 50.0
# Columns of Z up to which a sparse factor fits whatever its pattern.
SURELY_FITS = 1_500


def choose(
    cp: CrossProducts,
    layout: Layout,
    factors: Sequence[GroupingFactor],
    solver: Solver = "auto",
    *,
    max_memory: int | None = None,
    reweighed: bool = False,
) -> Factorization:
    """Build the factorization that suits a design.

    Parameters
    ----------
    cp : CrossProducts
        Cross-products, factors in decreasing number of columns.
    layout : Layout
        Columns of Z.
    factors : sequence of GroupingFactor
        In the same order.
    solver : {"auto", "cholmod", "blocked", "iterative"}
        Nested designs are factorised in blocks unless CHOLMOD is asked for: that is exact and takes no time.
        ``auto`` takes blocks for nested designs, for few columns outside the largest factor, and where
        the sparse factor would be no cheaper than a dense one.
    max_memory : int, optional
        Bytes that may be used; by default what the machine has.
    reweighed : bool
        Whether weights will change, which takes more memory.

    Returns
    -------
    Factorization

    Raises
    ------
    ValueError
        For another ``solver``, or ``"cholmod"`` without scikit-sparse.
    MemoryLimitError
        If it would not fit.
    """
    if solver not in get_args(Solver):
        raise ArgumentError(
            f'solver={solver!r} is not known; wanted "auto", "cholmod", "blocked" or "iterative".'
        )
    if solver == "cholmod":
        cholmod.require()
        afford(_sparse_size(cp, layout), max_memory, _why(layout, sparse_only=True, reweighed=reweighed))
        return cholmod.CholmodFactorization(cp, layout)
    parents = nesting(factors)
    if parents is not None:
        return NestedFactorization(cp, layout, parents)
    if solver == "iterative":
        return IterativeFactorization(cp, layout)
    size = blocked_size(cp, layout, reweighed=reweighed)
    if solver == "auto" and _perhaps_sparse(cp, layout) and cholmod.available():
        fill = predicted_fill(cp.A, layout)
        cheaper = fill.seconds < float(layout.rest) ** 3 * DENSE_FLOP
        if fits(fill.size, max_memory) and (cheaper or not fits(size, max_memory)):
            return cholmod.CholmodFactorization(cp, layout)
        size = min(size, fill.size) if not fits(size, max_memory) else size
    afford(size, max_memory, _why(layout, sparse_only=False, reweighed=reweighed))
    return BlockedFactorization(cp, layout)


def _sparse_size(cp: CrossProducts, layout: Layout) -> float:
    """Bytes of a sparse factorization; 0 where it is too small to ask."""
    if layout.q <= SURELY_FITS or isinstance(cp.A, np.ndarray):
        return 0.0
    return predicted_fill(cp.A, layout).size


def _why(layout: Layout, *, sparse_only: bool, reweighed: bool) -> str:
    """What takes the memory, and what to do."""
    fills_in = f"The sparse factor of {layout.q:,} columns of random effects fills in"
    is_full = (
        f"The grouping factors other than the largest have {layout.rest:,} columns of random effects, and "
        "observations tie nearly all of them together"
    )
    first = "Fit" if reweighed else 'solver="iterative" fits it without a factor. Or fit'
    return (
        f"{fills_in if sparse_only else is_full}. {first} a part of the rows (subset=) with fewer levels, "
        "group by something coarser, leave a term out, or give factors with few levels to the fixed effects."
    )


def nesting(factors: Sequence[GroupingFactor]) -> list[IntArray] | None:
    """Level of the next factor that holds each level, along the chain; None unless all are nested."""
    parents = []
    for fine, coarse in pairwise(factors):
        parent = np.zeros(fine.n_levels, dtype=np.intp)
        parent[fine.codes] = coarse.codes  # the last row of each level wins ...
        if (parent[fine.codes] != coarse.codes).any():  # ... and must speak for all of them
            return None
        parents.append(parent)
    return parents


def _perhaps_sparse(cp: CrossProducts, layout: Layout) -> bool:
    """Whether it is worth asking if CHOLMOD's factor is cheaper than a dense Schur complement."""
    rest = layout.rest
    if not SURELY_DENSE < rest <= PERHAPS_DENSE:
        return rest > SURELY_DENSE
    between = sparse.csr_array(cp.A[: layout.starts[1], layout.starts[1] :])
    met = np.diff(between.indptr).astype(float)
    return bool((met**2).sum() < FEW_NEIGHBOURS * rest)
