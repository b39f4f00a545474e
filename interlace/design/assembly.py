"""How the parts of a design are put together, and what is refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.errors import DesignError, RankDeficiencyError, RankDeficiencyWarning, callers_level
from interlace.formula.coding import Coding, Terms, parse_terms
from interlace.formula.grammar import Bar, MixedFormula
from interlace.formula.variables import Expression
from interlace.frames.levels import FactorLabels, LevelCodes, grouping_factor
from interlace.frames.used_rows import check_finite, check_weights
from interlace.names import INTERCEPT, merged_columns
from interlace.pls.matrices.basis import dependence, independent_columns
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm

from .record import Design, GivenOffset, Schema, TermLabels, UsedRows

Rank = Literal["drop", "error"]

MANY_ROWS = 100_000
ONLY_INTERCEPT: Terms = ((),)


@dataclass(frozen=True, eq=False)
class Block:
    """A random-effects term before its grouping factor is known by position."""

    bar: Bar
    columns: tuple[str, ...]
    Xi: FloatArray
    coding: Any = None


def random_block(bar: Bar, made: tuple[Coding, FloatArray] | None, n: int) -> Block:
    """Columns of a bar from its coded left side; an intercept alone needs no coding.

    Parameters
    ----------
    bar : Bar
        The term.
    made : tuple of Coding and ndarray of shape (n, k), or None
        Its left side.
    n : int
        Rows.

    Returns
    -------
    Block
        With the intercept's column named ``(Intercept)``.
    """
    if parse_terms(bar.lhs) == ONLY_INTERCEPT or made is None:
        # One number stands for a column of many rows; a small column is quicker made.
        ones = np.ones((n, 1)) if n < MANY_ROWS else np.broadcast_to(1.0, (n, 1))
        return Block(bar, (INTERCEPT,), ones)
    coding, Xi = made
    return Block(bar, tuple(INTERCEPT if name == "Intercept" else name for name in coding.names), Xi, coding)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a design is put together from: complete rows only.

    The fields are those of :class:`Design`; ``X`` still has its dependent columns, ``blocks`` are
    in the order written, and ``coded`` holds the grouping columns.
    """

    y: FloatArray
    yname: str
    X: FloatArray
    coding: Any
    blocks: Sequence[Block]
    coded: Mapping[str, LevelCodes]
    weights: FloatArray | None
    offset: FloatArray | None
    index: pd.Index
    n_dropped: int
    formula: MixedFormula | None = None
    offsets: tuple[Any, ...] = ()
    positions: IntArray | None = None
    trials: FloatArray | None = None
    residual: bool = True


def offset_source(offset: Any) -> tuple[Expression | GivenOffset, ...]:
    """What makes the ``offset=`` of new data.

    Parameters
    ----------
    offset : None, str or array
        The argument.

    Returns
    -------
    tuple
        Empty without an offset.
    """
    if offset is None:
        return ()
    return (Expression(offset),) if isinstance(offset, str) else (GivenOffset(),)


def sum_of(vectors: Sequence[FloatArray | None]) -> FloatArray | None:
    """Sum of the vectors that are there, None if there are none."""
    present = [vector for vector in vectors if vector is not None]
    return np.sum(present, axis=0) if present else None


def assemble(parts: Parts, *, rank: Rank) -> Design:
    """Check the parts, drop dependent columns, and order the terms as lme4 does.

    Parameters
    ----------
    parts : Parts
        Matrices and labels.
    rank : {"drop", "error"}
        What to do with dependent columns of X.

    Returns
    -------
    Design
        Its arrays cannot be written to.

    Raises
    ------
    DesignError
        For infinite values, useless weights, and terms that the rows cannot tell from the residual.
    RankDeficiencyError
        If columns depend on one another and ``rank`` is "error".
    """
    names = tuple(parts.coding.names)
    check_finite(parts.y, (parts.yname,), "the response")
    check_finite(parts.X, names, "the fixed effects")
    for block in parts.blocks:
        check_finite(block.Xi, block.columns, f"the random effects {block.bar}")
    if parts.offset is not None:
        check_finite(parts.offset, ("offset",), "the offset")
    check_weights(parts.weights)
    kept = _kept_columns(parts.X, names, rank)
    X = parts.X if len(kept) == len(names) else parts.X[:, kept]
    factors, factor_labels, terms, term_labels = _random_part(parts)
    schema = Schema(
        xnames=tuple(names[j] for j in kept),
        yname=parts.yname,
        factor_labels=factor_labels,
        term_labels=term_labels,
        n_dropped=parts.n_dropped,
        dropped_columns=tuple(name for j, name in enumerate(names) if j not in kept),
        formula=parts.formula,
        coding=parts.coding,
        kept_columns=kept,
        offsets=parts.offsets,
        dependence=dependence(parts.X, kept) if len(kept) < len(names) else None,
    )
    rows = UsedRows(
        y=parts.y,
        X=X,
        factors=factors,
        terms=terms,
        weights=parts.weights,
        offset=parts.offset,
        index=parts.index,
        positions=parts.positions,
        trials=parts.trials,
    )
    return Design(schema, rows)


def _kept_columns(X: FloatArray, names: tuple[str, ...], rank: Rank) -> tuple[int, ...]:
    if rank not in ("drop", "error"):
        raise DesignError(f"rank={rank!r}; wanted 'drop' or 'error'")
    kept = independent_columns(X)
    report_dropped(kept, names, rank)
    return kept


def report_dropped(kept: Sequence[int], names: Sequence[str], rank: Rank) -> None:
    """Warn of columns of X that depend on those before them, or refuse them.

    Parameters
    ----------
    kept : sequence of int
        Positions of those that do not.
    names : sequence of str
        All columns.
    rank : {"drop", "error"}
        What to do.

    Raises
    ------
    RankDeficiencyError
        If any is dropped and ``rank`` is "error".
    """
    dropped = [name for j, name in enumerate(names) if j not in kept]
    if dropped and rank == "error":
        raise RankDeficiencyError(
            f"columns of the fixed effects depend on those before them: {dropped}. Leave them out of the "
            "formula, or use rank='drop'"
        )
    if dropped:
        warnings.warn(
            f"the fixed effects are rank deficient: dropped {dropped}, which depend on the columns before "
            "them",
            RankDeficiencyWarning,
            stacklevel=callers_level(),
        )


def _random_part(
    parts: Parts,
) -> tuple[
    tuple[GroupingFactor, ...], tuple[FactorLabels, ...], tuple[RandomTerm, ...], tuple[TermLabels, ...]
]:
    made = {block.bar.factors: grouping_factor(block.bar.factors, parts.coded) for block in parts.blocks}
    n_levels = [made[block.bar.factors][0].n_levels for block in parts.blocks]
    for block, count in zip(parts.blocks, n_levels, strict=True):
        if parts.residual or len(block.columns) > 1:
            check_identified(block, count, len(parts.y))
    blocks = [parts.blocks[i] for i in lme4_order(n_levels)]
    position = {factors: i for i, factors in enumerate(dict.fromkeys(block.bar.factors for block in blocks))}
    terms = tuple(RandomTerm(position[block.bar.factors], block.Xi) for block in blocks)
    labels = tuple(
        TermLabels(position[block.bar.factors], block.columns, block.bar.lhs, block.coding)
        for block in blocks
    )
    return (
        tuple(made[factors][0] for factors in position),
        _with_different_names([made[factors][1] for factors in position]),
        terms,
        labels,
    )


def _with_different_names(labels: Sequence[FactorLabels]) -> tuple[FactorLabels, ...]:
    """A column "a:b" and the interaction of a and b have one name: the second is numbered, as columns are."""
    names = merged_columns([own.name for own in labels])
    return tuple(
        own if own.name == name else replace(own, name=name) for own, name in zip(labels, names, strict=True)
    )


def lme4_order(n_levels: Sequence[int]) -> list[int]:
    """Order of the terms: as written if the numbers of levels do not increase, else R's rev(order(n)).

    Parameters
    ----------
    n_levels : sequence of int
        Levels of each term's factor.

    Returns
    -------
    list of int
        Positions of the terms as written.
    """
    if all(a >= b for a, b in pairwise(n_levels)):
        return list(range(len(n_levels)))
    return sorted(range(len(n_levels)), key=lambda i: n_levels[i])[::-1]


def check_identified(block: Block, n_levels: int, n: int) -> None:
    """lme4's two refusals: as many levels, or random effects of one term, as rows.

    Parameters
    ----------
    block : Block
        The term.
    n_levels, n : int
        Levels and rows.

    Raises
    ------
    DesignError
    """
    k = len(block.columns)
    if n_levels * k < n:
        return
    if n_levels >= n and k == 1:
        what = "a random intercept" if block.coding is None else "a random slope"
        raise DesignError(
            f'grouping factor "{block.bar.group}" has as many levels ({n_levels}) as there are rows ({n}); '
            f"{what} cannot be told from the residual. Drop {block.bar} or check the data"
        )
    raise DesignError(
        f"the term {block.bar} has {n_levels * k} random effects ({n_levels} levels x {k}) for {n} rows; "
        "they cannot be told from the residual. Use fewer columns on the left of the bar"
    )
