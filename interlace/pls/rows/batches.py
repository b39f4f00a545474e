"""Rows in cases, and cases in batches of similar size: small dense systems solved many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray

from .weighted import Rows

# Columns of Z among which T is held at a time.
COLUMNS_AT_ONCE = 5_000
# Elements of the padded arrays of one batch of cases.
ELEMENTS_AT_ONCE = 4_000_000


class Covariance(Protocol):
    """What a batch asks of a factorization."""

    def conditional_among(self, columns: IntArray) -> FloatArray:
        """T among some columns of Z, in increasing order, (c, c)."""


@dataclass(frozen=True, eq=False)
class Partition:
    """Rows sorted by case, and the columns of Z that occur in each case.

    Attributes
    ----------
    q : int
        Columns of Z.
    columns : ndarray of int
        Columns of Z that occur in case 0, in case 1, ...
    row_start, column_start : ndarray of int, shape (cases + 1,)
        Where each case begins among the rows and among ``columns``.
    place : ndarray of int, shape (n, nonzeros per row)
        Position of each nonzero among the columns of its case.
    values : ndarray of the same shape
        The nonzeros.
    """

    columns: IntArray
    row_start: IntArray
    column_start: IntArray
    place: IntArray
    values: FloatArray
    q: int

    @classmethod
    def of(cls, rows: Rows, cases: IntArray, n_cases: int) -> Partition:
        """The partition of rows that are sorted by case."""
        at, values = rows.nonzeros()
        keys, inverse = np.unique(cases[:, None] * rows.layout.q + at, return_inverse=True)
        owner, columns = np.divmod(keys, rows.layout.q)
        bounds = np.arange(n_cases + 1)
        column_start = np.searchsorted(owner, bounds)
        return cls(
            columns=columns,
            row_start=np.searchsorted(cases, bounds),
            column_start=column_start,
            place=inverse.reshape(at.shape) - column_start[cases][:, None],
            values=values,
            q=rows.layout.q,
        )

    @property
    def sizes(self) -> IntArray:
        """Rows and occurring columns of each case, shape (cases, 2)."""
        return np.stack([np.diff(self.row_start), np.diff(self.column_start)], axis=1)

    def batches(self, cases: IntArray, covariance: Covariance) -> Iterator[Batch]:
        """Some of the cases, those of similar size together."""
        sizes = self.sizes
        for together in self._together(cases):
            columns = np.unique(np.concatenate([self._columns(case) for case in together]))
            T = covariance.conditional_among(columns)
            by_size = together[np.lexsort(sizes[together].T)]
            for cases in _alike(by_size, sizes[by_size]):
                yield self._batch(cases, T, columns)

    def _columns(self, case: int) -> IntArray:
        return self.columns[self.column_start[case] : self.column_start[case + 1]]

    def _together(self, cases: IntArray) -> list[IntArray]:
        """Split the cases so that few enough columns of Z occur in each part."""
        if not len(cases) or self.q <= COLUMNS_AT_ONCE:
            return [cases] if len(cases) else []
        part = np.cumsum(self.sizes[cases, 1]) // COLUMNS_AT_ONCE
        return np.split(cases, np.flatnonzero(np.diff(part)) + 1)

    def _batch(self, cases: IntArray, T: FloatArray, columns: IntArray) -> Batch:
        m, k = self.sizes[cases].max(axis=0)
        rows = self.row_start[cases][:, None] + np.arange(m)
        present = rows < self.row_start[cases + 1][:, None]
        rows[~present] = 0
        at = self.column_start[cases][:, None] + np.arange(k)
        at[at >= self.column_start[cases + 1][:, None]] = 0
        own = np.minimum(np.searchsorted(columns, self.columns[at]), len(columns) - 1)
        Z = np.zeros((len(cases), m, k))
        case, row = np.nonzero(present)
        filled = rows[case, row]
        Z[case[:, None], row[:, None], self.place[filled]] = self.values[filled]
        return Batch(cases, rows, present, Z, T[own[:, :, None], own[:, None, :]])


def _alike(cases: IntArray, sizes: IntArray) -> Iterator[IntArray]:
    """Runs of cases, sorted by size, of which the padded arrays waste little and fit the memory."""
    start = 0
    while start < len(cases):
        m, k = sizes[start:, 0], np.maximum.accumulate(sizes[start:, 1])
        # rows x columns, columns x columns and rows x rows, for as many cases as the run would have
        elements = (m * k + k * k + m * m) * np.arange(1, len(m) + 1)
        fits = (elements <= ELEMENTS_AT_ONCE) & (m + k <= 1.4 * (m[0] + k[0]) + 8)
        stop = start + max(1, len(m) if fits.all() else int(np.argmin(fits)))
        yield cases[start:stop]
        start = stop


@dataclass(frozen=True, eq=False)
class Batch:
    """Cases padded to one size: (b, m) rows, (b, m, k) of Z, (b, k, k) of T."""

    cases: IntArray
    rows: IntArray
    present: BoolArray
    Z: FloatArray
    T: FloatArray

    def lost(self, E: FloatArray) -> FloatArray:
        """``N_I`` of each case; padded rows and columns are zero in Z and E and so have no effect."""
        own = E[self.rows] * self.present[:, :, None]
        Zt = self.Z.transpose(0, 2, 1)
        if self.Z.shape[1] <= self.Z.shape[2]:
            kept = np.eye(self.Z.shape[1]) - self.Z @ (self.T @ Zt)
            return np.asarray(own.transpose(0, 2, 1) @ np.linalg.solve(kept, own))
        # (I - Z T Z')^-1 = I + Z (I - T Z'Z)^-1 T Z'
        seen = Zt @ own
        inner = np.linalg.solve(np.eye(self.Z.shape[2]) - self.T @ (Zt @ self.Z), self.T @ seen)
        return np.asarray(own.transpose(0, 2, 1) @ own + seen.transpose(0, 2, 1) @ inner)
