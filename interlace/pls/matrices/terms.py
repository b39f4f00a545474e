"""Grouping factors and random-effects terms, as arrays (JSS eqs. 5-7)."""

from __future__ import annotations

from dataclasses import dataclass

from interlace.arrays import FloatArray, IntArray

from .structures import Structure, unstructured


@dataclass(frozen=True, eq=False)
class GroupingFactor:
    """Which level each row belongs to: the indicator matrix Ji of JSS eq. 6, as codes.

    Attributes
    ----------
    codes : ndarray of int, shape (n,)
        Level of each row, 0 to ``n_levels - 1``.
    n_levels : int
        Number of levels; each occurs in at least one row.
    """

    codes: IntArray
    n_levels: int


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One bar of the formula: its raw model matrix and the factor that groups it.

    Attributes
    ----------
    factor : int
        Position of the grouping factor among the model's factors.
    Xi : ndarray of shape (n, k)
        Raw model matrix of the left side of the bar (JSS eq. 5).
    """

    factor: int
    Xi: FloatArray

    @property
    def k(self) -> int:
        """Columns of the term: random effects per level."""
        return int(self.Xi.shape[1])

    @property
    def structure(self) -> Structure:
        """How its covariance depends on its parameters."""
        return unstructured(self.k)

    @property
    def n_theta(self) -> int:
        """Covariance parameters of the term."""
        return self.structure.m
