"""What a model reads of a source, and how a chunk of it is evaluated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.design.assembly import Rank, sum_of
from interlace.design.from_formula import check_names, numbers
from interlace.errors import DesignError, FormulaError
from interlace.formula.bars import collect_bars
from interlace.formula.chunkwise import columns_of
from interlace.formula.coding import Terms, parse_response, parse_terms, variables_of
from interlace.formula.grammar import Bar, MixedFormula
from interlace.formula.variables import Expression, Variable, as_variable
from interlace.frames.columns import Columns, check_columns
from interlace.frames.readings import check_text_numbers
from interlace.frames.used_rows import Missing, row_vector, subset_rows


@dataclass(frozen=True, eq=False)
class Plan:
    """A model's formula and options, in terms of the columns of a source.

    Attributes
    ----------
    formula : MixedFormula
        As written.
    bars : tuple of Bar
        Random-effects terms.
    sides : tuple of Terms
        The fixed part, then the left side of every bar.
    response : str
        Code of the response.
    weights, offset : str or None
        Columns.
    subset : str or None
        A query.
    names : mapping
        Values for the ``@names`` of the query.
    missing, rank
        As for `interlace.design.build_design`.
    columns : tuple of str
        What has to be read.
    """

    formula: MixedFormula
    bars: tuple[Bar, ...]
    sides: tuple[Terms, ...]
    response: str
    weights: str | None
    offset: str | None
    subset: str | None
    names: Mapping[str, Any]
    missing: Missing
    rank: Rank
    columns: tuple[str, ...]

    @cached_property
    def codes(self) -> list[str]:
        """Variables of all sides."""
        return variables_of(self.sides)

    @property
    def numeric(self) -> list[str]:
        """Variables that must be numbers: the response and the terms ``offset(...)``."""
        return [self.response, *self.formula.offsets]

    @property
    def every_code(self) -> list[str]:
        """All variables, once each."""
        return list(dict.fromkeys([*self.codes, *self.numeric]))

    @property
    def group_columns(self) -> list[str]:
        """Columns of the grouping factors."""
        return list(dict.fromkeys(name for bar in self.bars for name in bar.factors))

    def chosen(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, IntArray | None]:
        """Rows of the subset, and their positions in the frame (None: all)."""
        if self.subset is None:
            return frame, None
        rows = subset_rows(frame.reset_index(drop=True), self.subset, self.names, may_be_empty=True)
        return (frame, None) if rows is None else (frame.iloc[rows], rows)


def plan_of(
    formula: MixedFormula,
    known: Sequence[str],
    *,
    groups: Any = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    missing: Missing = "drop",
    rank: Rank = "drop",
    names: Any = None,
) -> Plan:
    """Read a formula and options for a source.

    Parameters
    ----------
    formula : MixedFormula
        The formula.
    known : sequence of str
        Columns of the source.
    groups, random, weights, offset, subset, missing, rank
        As for `interlace.design.build_design`; rows that are not in memory have no arrays beside them.
    names : mapping
        Values for the ``@names`` of a query.

    Returns
    -------
    Plan
    """
    if not formula.response:
        raise FormulaError(f'the formula "{formula}" has no response; write it left of "~"')
    for what, given in (("weights", weights), ("offset", offset), ("subset", subset)):
        if given is not None and not isinstance(given, str):
            raise DesignError(
                f"{what}= is a {type(given).__name__}, and the rows of a source are not in memory to go with "
                "it; " + ('write a query, "x > 0"' if what == "subset" else "name a column")
            )
    if missing not in ("drop", "raise", "none"):
        raise DesignError(f"missing={missing!r}; wanted 'drop', 'raise' or 'none'")
    check_columns([name for name in (weights, offset) if name is not None], known)
    bars = collect_bars(
        formula.random, known, groups=_group_names(groups), random=random, formula=str(formula)
    )
    sides = (parse_terms(formula.fixed, what="fixed part"), *(parse_terms(bar.lhs) for bar in bars))
    response = parse_response(formula.response)
    check_names(response, bars, sides)
    codes = [*variables_of(sides), response, *formula.offsets]
    used = [name for code in codes for name in columns_of(code, known)]
    used += [name for bar in bars for name in bar.factors]
    used += [name for name in (weights, offset) if name] + _in_query(subset or "", known)
    local = {name: names[name] for name in re.findall(r"@([^\W\d]\w*)", subset or "") if name in names}
    columns = tuple(dict.fromkeys(used))
    return Plan(formula, tuple(bars), sides, response, weights, offset, subset, local, missing, rank, columns)


def _group_names(groups: Any) -> Any:
    if groups is None or isinstance(groups, str):
        return groups
    if isinstance(groups, Sequence) and all(isinstance(name, str) for name in groups):
        return list(groups)
    raise DesignError(
        f"groups= is a {type(groups).__name__}, and the rows of a source are not in memory to go with it; "
        "name columns"
    )


def _in_query(query: str, known: Sequence[str]) -> list[str]:
    words = {*re.findall(r"[^\W\d]\w*", query), *re.findall(r"`([^`]+)`", query)}
    return [name for name in known if name in words]


# ---- a chunk ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The variables of a model in the rows of a chunk.

    Attributes
    ----------
    frame : DataFrame
        Rows of the subset.
    n_seen : int
        Rows of the chunk.
    rows : ndarray of int or None
        Positions of the subset in the chunk.
    variables : dict of str to Variable
        By code.
    weights, offset : ndarray or None
        As columns say, on the rows of the subset.
    missing : dict of str to ndarray of bool
        Rows of the subset in which something is missing.
    """

    frame: pd.DataFrame
    n_seen: int
    rows: IntArray | None
    variables: Mapping[str, Variable]
    weights: FloatArray | None
    offset: FloatArray | None
    missing: Mapping[str, BoolArray]

    @cached_property
    def kept(self) -> IntArray:
        """Positions of the complete rows in the subset."""
        gaps = [rows for rows in self.missing.values() if rows.any()]
        if not gaps:
            return np.arange(len(self.frame))
        return np.flatnonzero(~np.any(gaps, axis=0))

    @property
    def positions(self) -> IntArray:
        """Positions of the complete rows in the chunk."""
        return self.kept if self.rows is None else self.rows[self.kept]

    def vector(self, code: str, what: str) -> FloatArray:
        """Numbers of a variable in the complete rows."""
        return numbers(self.variables[code].take(self.kept), what)

    def offsets(self, plan: Plan) -> FloatArray | None:
        """Sum of all offsets in the complete rows."""
        own = None if self.offset is None else self.offset[self.kept]
        return sum_of([own, *(self.vector(code, "offset") for code in plan.formula.offsets)])

    def checksum(self) -> int:
        """A sum over all numbers in the complete rows that does not depend on their order."""
        total = 0
        for variable in self.variables.values():
            if not isinstance(variable.values, pd.Categorical):
                bits = np.ascontiguousarray(variable.values[self.kept]).view(np.uint64)
                total += int(bits.sum(dtype=np.uint64))
        return total % 2**64


def evaluated(plan: Plan, expressions: Mapping[str, Expression], frame: pd.DataFrame) -> Evaluated:
    """Evaluate the variables of a model in a chunk.

    Parameters
    ----------
    plan : Plan
        The model.
    expressions : mapping of str to Expression
        Its variables, learnt.
    frame : DataFrame
        Some rows of the source.

    Returns
    -------
    Evaluated
    """
    own, rows = plan.chosen(frame)
    columns = Columns(own)
    variables = {
        code: as_variable(expression, expression(columns), len(own))
        for code, expression in expressions.items()
    }
    for code, what in zip(plan.numeric, ["response", *("offset" for _ in plan.formula.offsets)], strict=True):
        variables[code] = _as_numbers(variables[code], what)
    w = row_vector(plan.weights, "weights", columns, own.index, None)
    o = row_vector(plan.offset, "offset", columns, own.index, None)
    missing = {code: variable.missing for code, variable in variables.items()}
    missing |= {name: np.asarray(pd.isna(own[name])) for name in plan.group_columns}
    missing |= {what: np.isnan(v) for what, v in (("weights", w), ("offset", o)) if v is not None}
    return Evaluated(own, len(frame), rows, variables, w, o, missing)


def _as_numbers(variable: Variable, what: str) -> Variable:
    """Numbers, also where all values of a chunk are missing and say nothing of their kind."""
    values = variable.values
    if isinstance(values, pd.Categorical):
        if len(values.categories):
            check_text_numbers(variable.expression.code, values, wanted=True)
            numbers(variable, what)
        return Variable(variable.expression, np.full((len(values), 1), np.nan))
    return variable
