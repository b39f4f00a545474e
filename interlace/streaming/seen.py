"""The first pass: levels, categories, missing rows, and a sample from everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from interlace.errors import DesignError
from interlace.formula.chunkwise import check_by_row, surely_by_row
from interlace.formula.variables import Expression, Variable
from interlace.frames.levels import LevelCodes, factorise

from .plan import Evaluated, Plan, evaluated

# Rows that stand for all of them when the coordinates of the sums are chosen.
SAMPLE = 4096


@dataclass(frozen=True, eq=False)
class Different:
    """The different values of a column in the rows seen.

    Attributes
    ----------
    values : Index
        Those that occur, once each.
    declared : Index or None
        All categories in their order, if the column brings them and all chunks agree.
    ordered : bool
        Whether the order of the categories has a meaning.
    """

    values: pd.Index
    declared: pd.Index | None
    ordered: bool = False

    def joined(self, other: Different, name: str) -> Different:
        """Values of two sets of rows."""
        if not len(self.values) or not len(other.values):
            full, empty = (self, other) if len(self.values) else (other, self)
            return full if _agree(full, empty) or not full.ordered else self._refuse(other, name)
        values = self.values.append(other.values[~other.values.isin(self.values)])
        if _agree(self, other):
            return Different(values, self.declared, self.ordered)
        return self._refuse(other, name) if self.ordered or other.ordered else Different(values, None)

    def _refuse(self, other: Different, name: str) -> Different:
        shown = [list(x.declared)[:4] if x.declared is not None else "no categories" for x in (self, other)]
        raise DesignError(
            f'"{name}" is ordered, and its order differs from one piece to another: {shown[0]} and '
            f"{shown[1]}; wanted the same categories everywhere"
        )

    def levels(self) -> pd.Index:
        """Levels in the order of a table in memory: as declared, or sorted."""
        if self.declared is not None:
            return self.declared[self.declared.isin(self.values)]
        return factorise(self.values).levels


def _agree(a: Different, b: Different) -> bool:
    if a.declared is None or b.declared is None:
        return False
    return a.declared.equals(b.declared)


def different(column: Any) -> Different:
    """The different values of a column without gaps.

    Parameters
    ----------
    column : Series or Categorical
        Values.

    Returns
    -------
    Different
    """
    if isinstance(getattr(column, "dtype", None), pd.CategoricalDtype):
        values = pd.Categorical(column)
        used = values.categories[np.unique(values.codes[values.codes >= 0])]
        return Different(used, values.categories, bool(values.ordered))
    if str(getattr(column, "dtype", "")).startswith("dictionary"):
        column = np.asarray(column, dtype=object)
    return Different(pd.Index(pd.unique(column)), None)


@dataclass(frozen=True, eq=False)
class Kind:
    """What a variable is: numbers in so many columns, or categories.

    Attributes
    ----------
    width : int
        Columns of numbers; 0 for categories.
    categories : Different or None
        Of a categorical variable.
    contrast : object
        Coding asked for by ``C(f, contrast)``.
    declared : bool
        Whether categories were meant: ``C(f)``, or a categorical column.
    """

    width: int
    categories: Different | None
    contrast: Any = None
    declared: bool = False

    @property
    def empty(self) -> bool:
        """Whether all values were missing, so that nothing is known."""
        return self.categories is not None and not len(self.categories.values)

    def joined(self, other: Kind, code: str) -> Kind:
        """The kind in two sets of rows."""
        if self.categories is not None and other.categories is not None:
            both = self.categories.joined(other.categories, code)
            return Kind(0, both, self.contrast or other.contrast, self.declared or other.declared)
        if self.empty or other.empty:
            return other if self.empty else self
        if self.width != other.width:
            a, b = (
                f"{kind.width} column(s) of numbers" if kind.width else "categories" for kind in (self, other)
            )
            raise DesignError(f'"{code}" is {a} in one piece and {b} in another; wanted the same everywhere')
        return self


def kind_of(variable: Variable, kept: Any, *, declared: bool) -> Kind:
    """What a variable is in a chunk."""
    values = variable.values
    if not isinstance(values, pd.Categorical):
        return Kind(values.shape[1], None)
    return Kind(0, different(values[kept]), variable.contrast, declared)


@dataclass(frozen=True, eq=False)
class Seen:
    """What the first pass knows of some rows; the sum of two knows both.

    Attributes
    ----------
    rows, subset, complete : int
        All rows, those of the subset, and those of them in which nothing is missing.
    missing : dict of str to int
        Rows of the subset in which something is missing.
    columns : dict of str to Different
        Values of the grouping columns, in complete rows.
    combinations : dict of tuple to DataFrame
        Those of interactions that occur there.
    kinds : dict of str to Kind
        The variables.
    checksum : int
        Of the numbers in complete rows.
    sample : tuple of DataFrame
        A few complete rows from everywhere.
    """

    rows: int = 0
    subset: int = 0
    complete: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Different] = field(default_factory=dict)
    combinations: Mapping[tuple[str, ...], pd.DataFrame] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    checksum: int = 0
    sample: tuple[pd.DataFrame, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            rows=self.rows + other.rows,
            subset=self.subset + other.subset,
            complete=self.complete + other.complete,
            missing=_merged(self.missing, other.missing, lambda a, b, _: a + b),
            columns=_merged(self.columns, other.columns, Different.joined),
            combinations=_merged(self.combinations, other.combinations, _both),
            kinds=_merged(self.kinds, other.kinds, Kind.joined),
            checksum=(self.checksum + other.checksum) % 2**64,
            sample=_thinned(self.sample + other.sample),
        )


def _merged(a: Mapping[Any, Any], b: Mapping[Any, Any], join: Any) -> dict[Any, Any]:
    both = {name: join(a[name], b[name], name) for name in a if name in b}
    return {**b, **a, **both}


def _both(a: pd.DataFrame, b: pd.DataFrame, _: Any) -> pd.DataFrame:
    return pd.concat([a, b], ignore_index=True).drop_duplicates(ignore_index=True)


def _thinned(frames: tuple[pd.DataFrame, ...]) -> tuple[pd.DataFrame, ...]:
    """Every second row, once there are twice as many as wanted."""
    if sum(map(len, frames)) <= 2 * SAMPLE:
        return frames
    return tuple(thin for frame in frames if len(thin := frame.iloc[::2]))


@dataclass(frozen=True, eq=False)
class Look:
    """The work of the first pass on a chunk.

    Attributes
    ----------
    plan : Plan
        The model.
    expressions : mapping of str to Expression
        Its variables, learnt.
    """

    plan: Plan
    expressions: Mapping[str, Expression]

    def __call__(self, frame: pd.DataFrame) -> Seen:
        """What is seen in a chunk."""
        plan = self.plan
        if not len(plan.chosen(frame)[0]):
            return Seen(rows=len(frame))
        found = evaluated(plan, self.expressions, frame)
        self._check_rows_alone(found, frame)
        own = found.frame.iloc[found.kept]
        step = max(1, -(-len(own) // SAMPLE))
        return Seen(
            rows=found.n_seen,
            subset=len(found.frame),
            complete=len(own),
            missing={name: int(rows.sum()) for name, rows in found.missing.items()},
            columns={name: different(own[name]) for name in plan.group_columns},
            combinations={
                bar.factors: _plain(own[list(bar.factors)]) for bar in plan.bars if len(bar.factors) > 1
            },
            kinds={code: self._kind(found, code) for code in plan.codes},
            checksum=found.checksum(),
            sample=(own.iloc[::step],) if len(own) else (),
        )

    def _kind(self, found: Evaluated, code: str) -> Kind:
        value = found.frame[code] if code in found.frame.columns else None
        declared = not code.isidentifier() or isinstance(getattr(value, "dtype", None), pd.CategoricalDtype)
        return kind_of(found.variables[code], found.kept, declared=declared)

    def _check_rows_alone(self, found: Evaluated, frame: pd.DataFrame) -> None:
        for code, expression in self.expressions.items():
            if not surely_by_row(expression):
                check_by_row(expression, found.frame, found.variables[code])
        if self.plan.subset is not None and found.rows is not None and "(" in self.plan.subset:
            _check_subset(self.plan, frame, found.rows)


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Different rows, categories as their values."""
    few = frame.drop_duplicates(ignore_index=True)
    return few.astype({c: object for c in few.columns if isinstance(few[c].dtype, pd.CategoricalDtype)})


def _check_subset(plan: Plan, frame: pd.DataFrame, rows: Any) -> None:
    half = len(frame) // 2
    first, second = (plan.chosen(frame.iloc[own])[1] for own in (slice(0, half), slice(half, None)))
    if first is None or second is None or not half:
        return
    if not np.array_equal(np.concatenate([first, second + half]), rows):
        raise DesignError(
            f'subset="{plan.subset}" chooses other rows when half of the rows are looked at: it depends on '
            "all rows, and those of a source are never all there. Write numbers in place of functions of a "
            "column"
        )


def combined_levels(
    seen: Seen, factors: Sequence[str], levels: Mapping[str, pd.Index]
) -> dict[str, LevelCodes]:
    """Columns of a grouping factor, a row per level of it, coded in the levels of each column."""
    if len(factors) == 1:
        name = factors[0]
        return {name: LevelCodes(np.arange(len(levels[name])), levels[name])}
    combinations = seen.combinations[tuple(factors)]
    return {
        name: LevelCodes(
            np.asarray(levels[name].astype(object).get_indexer(pd.Index(combinations[name]).astype(object))),
            levels[name],
        )
        for name in factors
    }
