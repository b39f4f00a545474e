"""Whole groups drawn with replacement, or left out one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from interlace.arrays import IntArray
from interlace.design import Design, UsedRows
from interlace.errors import ArgumentError
from interlace.frames.levels import FactorLabels
from interlace.pls import GroupingFactor, RandomTerm


@dataclass(frozen=True)
class Cases:
    """Whole levels of one grouping factor are drawn.

    Attributes
    ----------
    factor : int
        Its position.
    """

    factor: int


def outermost(design: Design, groups: str | None) -> int:
    """Position of the grouping factor whose levels are drawn.

    Parameters
    ----------
    design : Design
        The model.
    groups : str or None
        Its name; by default the factor in which all others are nested.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there is no such factor, or none is named where the factors are crossed.
    """
    names = [labels.name for labels in design.factor_labels]
    if groups is not None:
        if groups not in names:
            raise ArgumentError(f"groups={groups!r} is no grouping factor of the model; those are {names!r}")
        return names.index(groups)
    coarsest = min(range(len(names)), key=lambda f: design.factors[f].n_levels)
    if all(nested(design, f, coarsest) for f in range(len(names))):
        return coarsest
    raise ArgumentError(
        f"the grouping factors {names!r} are crossed: no factor has independent levels. Name the one whose "
        'levels are to be drawn with groups=, or use kind="parametric" or "residual"'
    )


def nested(design: Design, inner: int, outer: int) -> bool:
    """Whether every level of one factor lies within one level of another."""
    a, b = design.factors[inner], design.factors[outer]
    parent = np.zeros(a.n_levels, dtype=np.intp)
    parent[a.codes] = b.codes
    return bool((parent[a.codes] == b.codes).all())


def with_levels(design: Design, factor: int, levels: Sequence[int] | IntArray) -> Design:
    """The design of some levels of a factor, repeated ones as levels of their own.

    Parameters
    ----------
    design : Design
        With its rows.
    factor : int
        Position of the factor.
    levels : sequence of int
        Levels to take, in order.

    Returns
    -------
    Design
        Levels of factors nested in this one are repeated with it; those of other factors stay the same
        levels.
    """
    codes = design.factors[factor].codes
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(design.factors[factor].n_levels + 1))
    pieces = [order[ends[level] : ends[level + 1]] for level in levels]
    rows = np.concatenate(pieces)
    draw = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    factors, labels = [], []
    for f in range(len(design.factors)):
        copies = draw if nested(design, f, factor) else np.zeros_like(draw)
        taken, own = _relabelled(design.factors[f], design.factor_labels[f], rows, copies)
        factors.append(taken)
        labels.append(own)
    old = design.rows
    drawn = UsedRows(
        y=old.y[rows],
        X=old.X[rows],
        factors=tuple(factors),
        terms=tuple(RandomTerm(term.factor, term.Xi[rows]) for term in old.terms),
        weights=None if old.weights is None else old.weights[rows],
        offset=None if old.offset is None else old.offset[rows],
        index=old.index[rows],
        trials=None if old.trials is None else old.trials[rows],
    )
    return Design(replace(design.schema, factor_labels=tuple(labels)), drawn)


def _relabelled(
    factor: GroupingFactor, labels: FactorLabels, rows: IntArray, copies: IntArray
) -> tuple[GroupingFactor, FactorLabels]:
    combined = copies * factor.n_levels + factor.codes[rows]
    found, codes = np.unique(combined, return_inverse=True)
    copy, level = np.divmod(found, factor.n_levels)
    names = labels.levels[level]
    if not names.is_unique:
        names = pd.Index([f"{name} (draw {c + 1})" for name, c in zip(names, copy, strict=True)])
    return GroupingFactor(codes.reshape(-1), len(found)), replace(labels, levels=names)
