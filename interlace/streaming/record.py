"""The design of a model whose rows were read in chunks: a schema, cross-products, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design, UsedRows
from interlace.errors import DesignError
from interlace.pls import PLSFit, ProfiledCriterion, fit_criterion
from interlace.pls.matrices.settled import Products
from interlace.pls.matrices.sums import Sums
from interlace.pls.summed import summed_criterion

from .coder import Coder
from .sources import ArrowSource, Source

# Keywords of `interlace.pls.fit` that are the search's, not the criterion's.
SEARCH = ("start", "starts", "maxiter", "callback")


@dataclass(frozen=True, eq=False)
class StreamedDesign(Design):
    """A design whose rows stay where they are.

    Attributes
    ----------
    products : Products
        Cross-products of all rows.
    level_counts : tuple of ndarray of int, shape (n_levels,)
        Rows of each level, per factor.
    coder : Coder
        Makes arrays of chunks.
    source : Source or None
        Where the rows are; None after loading a model whose source could not be stored.
    constant : tuple
        Position of a constant column of X or None, and whether the columns span a constant.
    identity : int
        A sum over responses and weights that tells whether two fits are of the same rows.
    """

    products: Products
    level_counts: tuple[IntArray, ...]
    coder: Coder
    source: Source | None
    constant: tuple[int | None, bool]
    identity: int

    @property
    def rows(self) -> UsedRows:
        """Refused: they were never there all at once."""
        raise DesignError(
            "the rows of this fit were read in chunks and are not in memory, and this needs all of them at "
            "once. Fitted values, residuals and predictions are streamed (fittedvalues, resid, predict, "
            "augment); for the rest collect the data into a frame and fit that"
        )

    @property
    def n_rows(self) -> int:
        """Rows that entered the fit."""
        return self.products.cp.n

    @property
    def counts(self) -> tuple[IntArray, ...]:
        """Rows of each level, per factor."""
        return self.level_counts

    @property
    def extras(self) -> list[str]:
        """Which of weights and offset there are."""
        there = {"weights": self.coder.plan.weights, "offset": self.schema.offsets}
        return [name for name, thing in there.items() if thing]

    def cells(self, first: int, second: int) -> int:
        """How many combinations of levels of two factors occur, by the pattern of their products."""
        layout, order = self.products.relcov.layout, self.coder.skeleton.order
        a, b = order.index(first), order.index(second)
        block = sparse.coo_array(self.products.cp.A[layout.slices[a]][:, layout.slices[b]])
        rows, columns = block.coords[0] // layout.K[a], block.coords[1] // layout.K[b]
        return len(np.unique(rows.astype(np.int64) * layout.n_levels[b] + columns))

    def criterion(self, *, reml: bool, **how: Any) -> ProfiledCriterion:
        """The criterion of the cross-products; keywords of `interlace.pls.profiled_criterion`."""
        return summed_criterion(self.products, reml=reml, **how)

    def fit(self, *, reml: bool, **how: Any) -> PLSFit:
        """Fit the model; the keywords are those of `interlace.pls.fit`."""
        search = {name: how.pop(name) for name in SEARCH if name in how}
        return fit_criterion(self.criterion(reml=reml, **how), **search)

    def __getstate__(self) -> dict[str, Any]:
        stored = self.source if isinstance(self.source, ArrowSource) and self.source.paths else None
        return {**self.__dict__, "source": stored}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def constant_of(sums: Sums, factor: FloatArray, kept: tuple[int, ...]) -> tuple[int | None, bool]:
    """Which column of X is constant, and whether the columns add up to a constant.

    Parameters
    ----------
    sums : Sums
        Of all rows.
    factor : ndarray of shape (p, p)
        Triangular factor of the unweighted X, columns that were kept.
    kept : tuple of int
        Their positions.

    Returns
    -------
    tuple of int or None, and bool
    """
    own = list(kept)
    constant = np.flatnonzero((sums.low[own] == sums.high[own]) & (sums.low[own] != 0.0))
    if len(constant):
        return int(constant[0]), True
    if not own:
        return None, False
    explained = float(np.sum(np.linalg.solve(factor.T, sums.totals[own]) ** 2))
    # Explained and total sum of squares of a column of ones, each with an error of some n epsilon.
    return None, abs(sums.n - explained) < 1e-12 * sums.n
