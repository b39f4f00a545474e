"""The columns of Z, factor by factor: what becomes of the terms before anything is multiplied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from interlace.arrays import FloatArray

from .terms import GroupingFactor, RandomTerm
from .triangular import lower_solve_right


def largest_first(
    factors: Sequence[GroupingFactor], terms: Sequence[RandomTerm]
) -> tuple[list[GroupingFactor], list[RandomTerm]]:
    """Factors with the most columns of Z first, and terms that point to them there."""
    order = sorted(range(len(factors)), key=lambda f: -factors[f].n_levels * width(terms, f))
    position = {f: i for i, f in enumerate(order)}
    return [factors[f] for f in order], [replace(term, factor=position[term.factor]) for term in terms]


def width(terms: Sequence[RandomTerm], f: int) -> int:
    """Columns of each level of a factor."""
    return sum(term.k for term in terms if term.factor == f)


def factor_columns(
    terms: Sequence[RandomTerm], bases: Sequence[FloatArray], n_factors: int, sqrt_weights: FloatArray | None
) -> list[FloatArray]:
    """Weighted columns of all terms of each factor, in their bases, (n, K)."""
    columns: list[list[FloatArray]] = [[] for _ in range(n_factors)]
    for term, R in zip(terms, bases, strict=True):
        Xi = term.Xi if sqrt_weights is None else term.Xi * sqrt_weights[:, None]
        if term.k == 1:
            columns[term.factor].append(Xi / R)
        else:
            columns[term.factor].append(lower_solve_right(Xi, R))
    return [own[0] if len(own) == 1 else np.hstack(own) for own in columns]
