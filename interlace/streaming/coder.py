"""The second pass: chunks as arrays, their sums, and the labels that go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design.assembly import ONLY_INTERCEPT, Block, check_identified, lme4_order
from interlace.design.record import TermLabels
from interlace.errors import DesignError, SourceError
from interlace.formula.coding import Coding, Terms, code_sides, matrices_of
from interlace.formula.variables import Expression, Variable
from interlace.frames.levels import FactorLabels, codes_of_new, grouping_factor
from interlace.frames.readings import check_text_numbers, warn_of_same_readings
from interlace.frames.used_rows import check_finite, check_weights
from interlace.names import INTERCEPT
from interlace.pls.matrices.sums import Chunk, Pilot, Skeleton, Sums, sums_of

from .plan import Evaluated, Plan, evaluated
from .seen import Kind, Seen, combined_levels

CHANGED = "the data changed while they were read: {}. Wanted the same rows in every pass"


@dataclass(frozen=True, eq=False)
class Coder:
    """Turns chunks of a source into the arrays of a model.

    Attributes
    ----------
    plan : Plan
        The model.
    expressions : mapping of str to Expression
        Its variables.
    categories : mapping of str to Index
        Categories of the categorical ones, in order.
    codings : mapping of Terms to Coding
        Of every side but intercepts alone.
    factors : tuple of FactorLabels
        Grouping factors.
    terms : tuple of TermLabels
        Random-effects terms in the model's order.
    """

    plan: Plan
    expressions: Mapping[str, Expression]
    categories: Mapping[str, pd.Index]
    codings: Mapping[Terms, Coding]
    factors: tuple[FactorLabels, ...]
    terms: tuple[TermLabels, ...]

    @property
    def fixed(self) -> Coding:
        """Coding of the fixed part."""
        return self.codings[self.plan.sides[0]]

    @cached_property
    def skeleton(self) -> Skeleton:
        """Sizes of the model."""
        return Skeleton(
            tuple(len(labels.levels) for labels in self.factors),
            tuple(term.factor for term in self.terms),
            tuple(len(term.columns) for term in self.terms),
        )

    def read(self, frame: pd.DataFrame) -> tuple[Evaluated, Chunk | None]:
        """The rows of a chunk, and the complete ones as arrays (None: there are none)."""
        if not len(self.plan.chosen(frame)[0]):
            return _nothing(frame), None
        found = evaluated(self.plan, self.expressions, frame)
        return found, self._chunk(found) if len(found.kept) else None

    def _chunk(self, found: Evaluated) -> Chunk:
        n = len(found.kept)
        variables = {code: self._recoded(found, code) for code in self.plan.codes}
        made = dict(zip(self.codings, matrices_of(list(self.codings.values()), variables, n), strict=True))
        X = made[self.plan.sides[0]]
        weights = None if found.weights is None else found.weights[found.kept]
        return Chunk(
            codes=tuple(self._codes(found, labels) for labels in self.factors),
            Xi=tuple(
                np.ones((n, 1)) if term.coding is None else made[term.coding.terms] for term in self.terms
            ),
            X=X,
            y=found.vector(self.plan.response, "response"),
            weights=weights,
            offset=found.offsets(self.plan),
        )

    def _recoded(self, found: Evaluated, code: str) -> Variable:
        variable = found.variables[code]
        values = variable.values[found.kept]
        if code not in self.categories:
            return Variable(variable.expression, values)
        if not isinstance(values, pd.Categorical):
            raise DesignError(f'"{code}" is numbers in this piece and categories in others')
        known = self.categories[code]
        places = np.append(known.get_indexer(values.categories), -1)[values.codes]
        if (places < 0).any():
            unseen = [c for c in values.categories if c not in known]
            raise SourceError(CHANGED.format(f'"{code}" has new values such as {unseen[:3]}'))
        return Variable(variable.expression, pd.Categorical.from_codes(places, categories=known))

    def _codes(self, found: Evaluated, labels: FactorLabels) -> IntArray:
        columns = [found.frame[name].iloc[found.kept] for name in labels.columns]
        codes = _direct_codes(labels, columns[0]) if len(columns) == 1 else None
        if codes is None:
            codes = codes_of_new(labels, columns)[0]
        if (codes < 0).any():
            at = int(np.flatnonzero(codes < 0)[0])
            value = ":".join(str(column.iloc[at]) for column in columns)
            raise SourceError(CHANGED.format(f'"{labels.name}" has the new level {value!r}'))
        return codes

    def check(self, chunk: Chunk) -> None:
        """Refuse infinite values and useless weights."""
        check_finite(chunk.y, (self.plan.response,), "the response")
        check_finite(chunk.X, self.fixed.names, "the fixed effects")
        for term, Xi in zip(self.terms, chunk.Xi, strict=True):
            check_finite(
                Xi, term.columns, f"the random effects ({term.lhs} | {self.factors[term.factor].name})"
            )
        if chunk.offset is not None:
            check_finite(chunk.offset, ("offset",), "the offset")
        check_weights(chunk.weights)


def _nothing(frame: pd.DataFrame) -> Evaluated:
    return Evaluated(frame.iloc[:0], len(frame), np.empty(0, dtype=np.intp), {}, None, None, {})


def _direct_codes(labels: FactorLabels, column: pd.Series) -> IntArray | None:
    """Codes by one look-up per row, where the column is of the levels' own kind."""
    if column.dtype != labels.levels.dtype or column.dtype.kind not in "iub":
        return None
    return np.asarray(labels.levels.get_indexer(pd.Index(column)))


# ---- from what was seen ----------------------------------------------------------------------


def coder_of(plan: Plan, expressions: Mapping[str, Expression], seen: Seen) -> Coder:
    """Levels, categories and codings out of the first pass.

    Parameters
    ----------
    plan : Plan
        The model.
    expressions : mapping of str to Expression
        Its variables, learnt.
    seen : Seen
        All rows.

    Returns
    -------
    Coder
    """
    kinds = {code: seen.kinds[code] for code in plan.codes}
    categories = {
        code: _categories(code, kind) for code, kind in kinds.items() if kind.categories is not None
    }
    codings = _codings(plan, expressions, kinds, categories)
    factors, terms = _random_part(plan, seen, codings)
    return Coder(plan, expressions, categories, codings, factors, terms)


def _categories(code: str, kind: Kind) -> pd.Index:
    found: Any = kind.categories
    levels = found.levels()
    if not kind.declared:
        values = pd.Categorical(levels, categories=levels)
        check_text_numbers(code, values)
        warn_of_same_readings(code, levels)
    return levels


def _codings(
    plan: Plan,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, Kind],
    categories: Mapping[str, pd.Index],
) -> dict[Terms, Coding]:
    """Codings learnt from made-up rows in which every category occurs."""
    n = max([1, *(len(levels) for levels in categories.values())])
    prototypes = {
        code: Variable(expressions[code], _prototype(kind, categories.get(code), n), kind.contrast)
        for code, kind in kinds.items()
    }
    wanted = list(
        dict.fromkeys([plan.sides[0], *(terms for terms in plan.sides[1:] if terms != ONLY_INTERCEPT)])
    )
    made = code_sides(wanted, prototypes, n)
    return {terms: coding for terms, (coding, _) in zip(wanted, made, strict=True)}


def _prototype(kind: Kind, levels: pd.Index | None, n: int) -> FloatArray | pd.Categorical[Any]:
    if levels is None:
        return np.zeros((n, kind.width))
    return pd.Categorical.from_codes(np.arange(n) % max(1, len(levels)), categories=levels)


def _random_part(
    plan: Plan, seen: Seen, codings: Mapping[Terms, Coding]
) -> tuple[tuple[FactorLabels, ...], tuple[TermLabels, ...]]:
    levels = {name: column.levels() for name, column in seen.columns.items()}
    for name, own in levels.items():
        warn_of_same_readings(name, own)
    made = {
        bar.factors: grouping_factor(bar.factors, combined_levels(seen, bar.factors, levels))[1]
        for bar in plan.bars
    }
    blocks = [_block(bar, codings.get(terms)) for bar, terms in zip(plan.bars, plan.sides[1:], strict=True)]
    n_levels = [len(made[bar.factors].levels) for bar in plan.bars]
    for block, count in zip(blocks, n_levels, strict=True):
        check_identified(block, count, seen.complete)
    ordered = [blocks[i] for i in lme4_order(n_levels)]
    position = {f: i for i, f in enumerate(dict.fromkeys(block.bar.factors for block in ordered))}
    terms = tuple(
        TermLabels(position[block.bar.factors], block.columns, block.bar.lhs, block.coding)
        for block in ordered
    )
    return tuple(made[factors] for factors in position), terms


def _block(bar: Any, coding: Coding | None) -> Block:
    if coding is None:
        return Block(bar, (INTERCEPT,), np.empty((0, 1)))
    names = tuple(INTERCEPT if name == "Intercept" else name for name in coding.names)
    return Block(bar, names, np.empty((0, len(names))), coding)


# ---- sums ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Summed:
    """Sums of some rows, and what tells whether they are those of the first pass."""

    rows: int
    complete: int
    checksum: int
    identity: int
    sums: Sums | None

    def __add__(self, other: Summed) -> Summed:
        present = [s for s in (self.sums, other.sums) if s is not None]
        sums = present[0] + present[1] if len(present) == 2 else present[0] if present else None
        checksum = (self.checksum + other.checksum) % 2**64
        identity = (self.identity + other.identity) % 2**64
        return Summed(self.rows + other.rows, self.complete + other.complete, checksum, identity, sums)


@dataclass(frozen=True, eq=False)
class Multiply:
    """The work of the second pass on a chunk.

    Attributes
    ----------
    coder : Coder
        Makes arrays of it.
    pilot : Pilot
        Coordinates in which they are multiplied.
    """

    coder: Coder
    pilot: Pilot

    def __call__(self, frame: pd.DataFrame) -> Summed:
        """Sums of a chunk."""
        found, chunk = self.coder.read(frame)
        if chunk is None:
            return Summed(len(frame), 0, 0, 0, None)
        self.coder.check(chunk)
        sums = sums_of(chunk, self.pilot, self.coder.skeleton)
        return Summed(len(frame), len(chunk.y), found.checksum(), _identity(chunk), sums)


def _identity(chunk: Chunk) -> int:
    """A sum over responses and weights, row by row, whatever the order of the rows."""
    bits = chunk.y.view(np.uint64)
    if chunk.weights is not None:  # each response with its own weight, and not just the same sets of them
        bits = bits * (2 * np.ascontiguousarray(chunk.weights).view(np.uint64) + np.uint64(1))
    return int(bits.sum(dtype=np.uint64))


def stacked(coder: Coder, frames: Sequence[pd.DataFrame]) -> Chunk:
    """Complete rows of several small frames as arrays, those left out that will be refused later.

    Parameters
    ----------
    coder : Coder
        Makes arrays of them.
    frames : sequence of DataFrame
        At least one with a complete row.

    Returns
    -------
    Chunk
    """
    chunks = [chunk for chunk in (coder.read(frame)[1] for frame in frames) if chunk is not None]

    def joined(vectors: Sequence[FloatArray | None]) -> FloatArray | None:
        present = [vector for vector in vectors if vector is not None]
        return np.concatenate(present) if present else None

    return _usable(
        Chunk(
            codes=tuple(np.concatenate(own) for own in zip(*(c.codes for c in chunks), strict=True)),
            Xi=tuple(np.concatenate(own) for own in zip(*(c.Xi for c in chunks), strict=True)),
            X=np.concatenate([c.X for c in chunks]),
            y=np.concatenate([c.y for c in chunks]),
            weights=joined([c.weights for c in chunks]),
            offset=joined([c.offset for c in chunks]),
        )
    )


def _usable(rows: Chunk) -> Chunk:
    """Rows without infinite values and useless weights."""
    good = np.isfinite(rows.centred) & np.isfinite(rows.X).all(axis=1)
    for Xi in rows.Xi:
        good &= np.isfinite(Xi).all(axis=1)
    if rows.weights is not None:
        good &= np.isfinite(rows.weights) & (rows.weights > 0)
    return rows if good.all() else rows.take(np.flatnonzero(good))
