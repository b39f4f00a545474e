"""Numbered entries of Z'WZ: where each value of a factorization's pieces comes from.

The distinct entries are numbered 1, 2, ... once, in a matrix of its shape (see `laplace.cells`).  What a
factorization cuts out of that matrix says where the values of its own pieces come from, and also where the
entries of T on the same pattern go to.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.arrays import FloatArray, IntArray


def sources(numbers: FloatArray, count: int) -> IntArray:
    """Positions from numbers that count from 1; what has none is the place beyond the last."""
    return np.where(numbers > 0, numbers - 1.0, count).astype(np.intp)


def taken(values: FloatArray, sources: Sequence[IntArray]) -> list[FloatArray]:
    """Values at several arrays of sources; zero where there is none."""
    values = np.append(values, 0.0)
    return [values[own] for own in sources]


def given(count: int, sources: Sequence[IntArray], values: Sequence[FloatArray]) -> FloatArray:
    """The other way: an array of all entries from values at several arrays of their sources."""
    out = np.empty(count + 1)
    for own, found in zip(sources, values, strict=True):
        out[own] = found
    return out[:-1]
