"""Covariance structures: how few or many parameters the covariance of a term's k random effects has.

There is one today, the *unstructured* one: every variance and covariance its own, theta the lower triangle of
the relative factor Lambda_i, column by column (lme4's order; JSS eq. 4).  Whoever wants to know how many
parameters a term has, which of them is which, or what they make of Lambda_i, asks its structure.

To add one (compound symmetry, AR(1), diagonal):

1. write a frozen dataclass with the attributes of `Structure`; a test holds them to each other;
2. let `terms.RandomTerm.structure` choose it: it is what the template in `relcov` is laid out by;
3. hand it to those who now call `unstructured` with a number of columns only: names, standard errors of
   variances, profiles and reports then follow its `m`, `rows` and `columns`.

What rests on the unstructured one: its Lambda_i is linear in theta and remains a triangle in an orthonormal
basis (``R_i Lambda_i``), and so has a phi, a gauge, and columns that may be dropped in `search`.  Where that
does not hold, theta itself is searched, by `search.descent`, with the `jacobian`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray


class Structure(Protocol):
    """The covariance of the k random effects that a term has at each level."""

    @property
    def k(self) -> int:
        """Random effects per level."""

    @property
    def m(self) -> int:
        """Covariance parameters."""

    @property
    def rows(self) -> IntArray:
        """Row of the entry that each parameter stands for, shape (m,), in theta's order."""

    @property
    def columns(self) -> IntArray:
        """Column of that entry, at most the row: a standard deviation where equal, else a correlation."""

    @property
    def diagonal(self) -> BoolArray:
        """Whether a parameter stands for a standard deviation, shape (m,)."""

    @property
    def row_by_row(self) -> IntArray:
        """Positions of the parameters in the order of their rows: MixedLM's order, shape (m,)."""

    @property
    def same_column(self) -> tuple[IntArray, IntArray]:
        """Positions i and j of all pairs of parameters in one column, which a change of basis mixes."""

    def Lambda(self, theta: FloatArray) -> FloatArray:
        """Relative factor, lower triangular, (k, k)."""

    def theta(self, Lambda: FloatArray) -> FloatArray:
        """Parameters of a lower triangular relative factor, shape (m,)."""

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Derivatives of Lambda by theta, shape (m, k, k)."""

    def entries(self, matrices: FloatArray) -> FloatArray:
        """Those that the parameters stand for, of matrices of shape (..., k, k): (..., m)."""


@dataclass(frozen=True)
class Unstructured:
    """Every variance and covariance its own: theta is the lower triangle of Lambda, column by column.

    Attributes
    ----------
    k : int
        Random effects per level.

    Examples
    --------
    >>> import numpy as np
    >>> unstructured(2).Lambda(np.array([1.0, 2.0, 3.0]))
    array([[1., 0.],
           [2., 3.]])
    >>> unstructured(2).diagonal
    array([ True, False,  True])
    """

    k: int

    @property
    def m(self) -> int:
        """Entries of the triangle."""
        return self.k * (self.k + 1) // 2

    @cached_property
    def rows(self) -> IntArray:
        """Row of each parameter."""
        return np.asarray(np.triu_indices(self.k)[1])  # row-major upper = column-major lower

    @cached_property
    def columns(self) -> IntArray:
        """Column of each parameter."""
        return np.asarray(np.triu_indices(self.k)[0])

    @cached_property
    def diagonal(self) -> BoolArray:
        """Whether a parameter stands on the diagonal."""
        return np.asarray(self.rows == self.columns)

    @cached_property
    def row_by_row(self) -> IntArray:
        """Positions of the parameters in the order of their rows."""
        return np.lexsort((self.columns, self.rows))

    @cached_property
    def same_column(self) -> tuple[IntArray, IntArray]:
        """Positions of all pairs of parameters in one column: ``R Lambda`` is linear in theta by these."""
        first, second = np.nonzero(self.columns[:, None] == self.columns)
        return first, second

    def Lambda(self, theta: FloatArray) -> FloatArray:
        """Relative factor, lower triangular, (k, k)."""
        block = np.zeros((self.k, self.k))
        block[self.rows, self.columns] = theta
        return block

    def theta(self, Lambda: FloatArray) -> FloatArray:
        """Parameters of a lower triangular relative factor, shape (m,)."""
        return self.entries(Lambda)

    def jacobian(self, theta: FloatArray) -> FloatArray:
        """Derivatives of Lambda by theta, (m, k, k): each parameter is one entry, whatever theta is."""
        del theta
        units = np.zeros((self.m, self.k, self.k))
        units[np.arange(self.m), self.rows, self.columns] = 1.0
        return units

    def entries(self, matrices: FloatArray) -> FloatArray:
        """Those of the lower triangle, column by column, (..., m)."""
        return np.asarray(matrices[..., self.rows, self.columns])


@cache
def unstructured(k: int) -> Unstructured:
    """The structure without restrictions of k random effects; one object for each k."""
    return Unstructured(k)
