"""Which factorization to use: chosen by the structure of the design and the predicted cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from scipy import sparse

from interlace.arrays import IntArray
from interlace.errors import ArgumentError, InterlaceError
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import Layout
from interlace.pls.matrices.terms import GroupingFactor

from . import cholmod
from .blocked import BlockedFactorization
from .factorization import Factorization
from .iterative import IterativeFactorization
from .nested import NestedFactorization
from .selinv import DENSE_FLOP

Solver = Literal["auto", "cholmod", "blocked", "iterative"]

# Columns of the dense Schur complement up to which it is not worth asking whether a sparse one is cheaper.
SURELY_DENSE = 1_500
# Up to so many more it is worth asking only if a level of the other factors meets few of the rest through
# the largest factor: with many neighbours, the factor fills in.
PERHAPS_DENSE = 5_000
FEW_NEIGHBOURS = 50.0
# Columns beyond which a dense Schur complement does not fit in memory (8 bytes each, three copies).
TOO_DENSE = 30_000


def choose(
    cp: CrossProducts, layout: Layout, factors: Sequence[GroupingFactor], solver: Solver = "auto"
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

    Returns
    -------
    Factorization

    Raises
    ------
    ValueError
        For another ``solver``, or ``"cholmod"`` without scikit-sparse.
    """
    if solver not in get_args(Solver):
        raise ArgumentError(
            f'solver={solver!r} is not known; wanted "auto", "cholmod", "blocked" or "iterative".'
        )
    if solver == "cholmod":
        return cholmod.CholmodFactorization(cp, layout)
    parents = nesting(factors)
    if parents is not None:
        return NestedFactorization(cp, layout, parents)
    if solver == "iterative":
        return IterativeFactorization(cp, layout)
    rest = layout.rest
    if solver == "auto" and _perhaps_sparse(cp, layout) and cholmod.available():
        sparse_factor = cholmod.CholmodFactorization(cp, layout)
        if sparse_factor.predicted_seconds() < float(rest) ** 3 * DENSE_FLOP:
            return sparse_factor
    if rest > TOO_DENSE:
        raise InterlaceError(
            f"the factors other than the largest have {rest} columns of random effects, too many for the "
            f'blocked solver (at most {TOO_DENSE}). Install scikit-sparse (pip install "interlace[cholmod]") '
            'and use solver="auto".'
        )
    return BlockedFactorization(cp, layout)


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
