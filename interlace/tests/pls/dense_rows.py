"""The rows of a design at given parameters, and V0 by definition beside them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls import ProfiledCriterion
from interlace.pls.rows.subtraction import Raw
from interlace.pls.rows.weighted import Rows, rows_of
from interlace.pls.search.criterion import Decomposition
from interlace.tests.oracle import lower_triangles
from interlace.tests.strategies import SmallDesign


@dataclass(frozen=True, eq=False)
class Standing:
    """A criterion that stands at theta."""

    design: SmallDesign
    theta: FloatArray
    criterion: ProfiledCriterion
    at: Decomposition
    rows: Rows
    raw: Raw

    @cached_property
    def V0(self) -> FloatArray:
        """Relative covariance of the responses."""
        n, w = len(self.design.y), self.design.weights
        V0 = np.diag(np.ones(n) if w is None else 1.0 / w)
        for Z, D in zip(self.Z, self.D, strict=True):
            V0 += Z @ D @ Z.T
        return V0

    @cached_property
    def Z(self) -> list[FloatArray]:
        """Raw columns of each term, (n, levels * k)."""
        found = []
        for term in self.design.terms:
            levels = np.eye(self.design.factors[term.factor].n_levels)[self.design.factors[term.factor].codes]
            found.append(np.einsum("nl,nk->nlk", levels, term.Xi).reshape(len(levels), -1))
        return found

    @cached_property
    def D(self) -> list[FloatArray]:
        """Relative covariance of each term's effects."""
        blocks = lower_triangles(self.design.terms, self.theta)
        levels = [self.design.factors[term.factor].n_levels for term in self.design.terms]
        return [np.kron(np.eye(n), block @ block.T) for n, block in zip(levels, blocks, strict=True)]

    @cached_property
    def y(self) -> FloatArray:
        return self.design.y if self.design.offset is None else self.design.y - self.design.offset

    @cached_property
    def C(self) -> FloatArray:
        """Covariance of beta over sigma^2."""
        return np.linalg.inv(self.design.X.T @ np.linalg.solve(self.V0, self.design.X))

    @cached_property
    def beta(self) -> FloatArray:
        return self.C @ self.design.X.T @ np.linalg.solve(self.V0, self.y)

    @cached_property
    def sigma2(self) -> float:
        e = self.y - self.design.X @ self.beta
        return float(e @ np.linalg.solve(self.V0, e) / self.criterion.nu)


def standing(design: SmallDesign, theta: FloatArray | None = None) -> Standing:
    """Evaluate the criterion of a design, by default at parameters where every block is regular."""
    criterion = design.criterion()
    if theta is None:
        rng = np.random.default_rng(len(design.y))
        theta = np.where(criterion.relcov.diagonal, 0.8, 0.2 * rng.normal(size=criterion.relcov.m))
    at = criterion.decompose(criterion.relcov.to_basis @ theta)
    weighting = {"weights": design.weights, "offset": design.offset}
    rows = rows_of(criterion, *design.arrays, **weighting)
    return Standing(design, theta, criterion, at, rows, Raw(*design.arrays, **weighting))
