"""From a formula and a frame to the matrices and labels of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray

from interlace.arrays import FloatArray, IntArray
from interlace.errors import DesignError, FormulaError
from interlace.formula.bars import collect_bars
from interlace.formula.coding import Coding, Terms, code_sides, parse_response, parse_terms, variables_of
from interlace.formula.grammar import Bar, MixedFormula
from interlace.formula.safe import SafeEnvironment, check_safe_query
from interlace.formula.variables import Variable, as_environment, evaluate
from interlace.frames.columns import Columns, as_frame, column_of
from interlace.frames.levels import factorise
from interlace.frames.readings import warn_of_same_readings
from interlace.frames.used_rows import Missing, aligned, complete_rows, row_vector, subset_rows

from .assembly import (
    ONLY_INTERCEPT,
    Block,
    Parts,
    Rank,
    assemble,
    offset_source,
    random_block,
    sum_of,
)
from .record import Design, LogOf, log_exposure

# What patsy calls the constant.
PATSYS_INTERCEPT = "Intercept"


def build_design(
    formula: MixedFormula,
    data: Any,
    *,
    groups: Any = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    missing: Missing = "drop",
    rank: Rank = "drop",
    eval_env: Any = None,
    exposure: Any = None,
    trials: Any = None,
    respond: Callable[[Variable], FloatArray] | None = None,
    residual: bool = True,
) -> Design:
    """Matrices and labels of a model given by a formula.

    Parameters
    ----------
    formula : MixedFormula
        From :func:`~interlace.formula.grammar.parse_formula`.
    data : table
        Anything :func:`~interlace.frames.columns.as_frame` takes.
    groups : str, sequence of str, Series, frame or mapping of arrays, optional
        Grouping factors that get a random intercept.
    random : str or sequence of str, optional
        Further random-effects terms.
    weights, offset : str, Series or array, optional
        Column, or one number per row of the data.  The offset adds to ``offset(...)`` terms.
    subset : str, array or Series, optional
        Rows to use; see :func:`~interlace.frames.used_rows.subset_rows`.
    missing : {"drop", "raise", "none"}, default "drop"
        What to do with rows in which a used column is missing; "none" means that there are none.
    rank : {"drop", "error"}, default "drop"
        What to do with dependent columns of X: the last of each dependent set goes, as in lme4.
    eval_env : patsy.EvalEnvironment or mapping, optional
        Names that are not in the data.
    exposure, trials : str, Series or array, optional
        Exposures, whose logarithms add to the offset; trials behind each row.
    respond : callable, optional
        Makes numbers of the response's complete rows; by default it must consist of them.
    residual : bool, default True
        Whether the rows have a variance of their own, from which a term with an effect per row cannot be
        told.

    Returns
    -------
    Design
        Rows in the order of the data.

    Raises
    ------
    FormulaError, UnknownColumnError, DesignError, MissingValuesError, RankDeficiencyError
        With what was seen, what was wanted and what to do.

    Examples
    --------
    >>> from interlace.formula.grammar import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0, 5.0, 1.0], "x": [0, 1, 0, 1, 0, 1], "g": list("aabbcc")}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> design.xnames, design.factor_labels[0].levels.tolist()
    (('Intercept', 'x'), ['a', 'b', 'c'])
    """
    if not formula.response:
        raise FormulaError(f'the formula "{formula}" has no response; write it left of "~"')
    env = as_environment(eval_env)
    if isinstance(env, SafeEnvironment) and isinstance(subset, str):
        check_safe_query(subset)
    whole, names = with_groups(as_frame(data), groups)
    rows = subset_rows(whole, subset, env.namespace)
    frame = whole if rows is None else whole.iloc[rows]
    if len(frame) == 0:
        raise DesignError("the data have no rows; wanted one per observation")
    columns = Columns(frame)
    bars = collect_bars(formula.random, frame.columns, groups=names, random=random, formula=str(formula))

    sides = [parse_terms(formula.fixed, what="fixed part"), *(parse_terms(bar.lhs) for bar in bars)]
    outcome = parse_response(formula.response)
    check_names(outcome, bars, sides)
    variables = {code: evaluate(code, columns, env) for code in variables_of(sides)}
    response = evaluate(outcome, columns, env, numeric=respond is None)
    offsets = [evaluate(text, columns, env, numeric=True) for text in formula.offsets]
    coded = {name: factorise(column_of(frame, name)) for bar in bars for name in bar.factors}
    for name, column in coded.items():
        warn_of_same_readings(name, column.levels)
    w = row_vector(weights, "weights", columns, whole.index, rows)
    o = row_vector(offset, "offset", columns, whole.index, rows)
    e = row_vector(exposure, "exposure", columns, whole.index, rows)
    m = row_vector(trials, "n_trials", columns, whole.index, rows)

    evaluated = {v.expression.code: v for v in (*variables.values(), response, *offsets)}
    absent = {code: variable.missing for code, variable in evaluated.items()}
    absent |= {name: column.codes < 0 for name, column in coded.items()}
    given = {"weights": w, "offset": o, "exposure": e, "n_trials": m}
    absent |= {what: np.isnan(v) for what, v in given.items() if v is not None}
    kept = complete_rows(absent, len(frame), missing)
    n = len(frame) if kept is None else len(kept)

    coding, X, blocks = _matrices(bars, sides, {c: v.take(kept) for c, v in variables.items()}, n)
    parts = Parts(
        y=(respond or _response)(response.take(kept)),
        yname=response.expression.code,
        X=X,
        coding=coding,
        blocks=blocks,
        coded={name: column.take(kept) for name, column in coded.items()},
        weights=_taken(w, kept),
        offset=sum_of([_taken(o, kept), _logs(_taken(e, kept)), *_offsets(offsets, kept)]),
        index=frame.index if kept is None else frame.index[kept],
        n_dropped=len(frame) - n,
        formula=formula,
        offsets=(
            *offset_source(offset),
            *(LogOf(source) for source in offset_source(exposure)),
            *(v.expression for v in offsets),
        ),
        positions=kept if rows is None else rows if kept is None else rows[kept],
        trials=_taken(m, kept),
        residual=residual,
    )
    return assemble(parts, rank=rank)


def check_names(outcome: str, bars: Sequence[Bar], sides: Sequence[Terms]) -> None:
    """Refuse the response as its own covariate, and a column with the name of the constant beside it.

    Parameters
    ----------
    outcome : str
        Code of the response.
    bars : sequence of Bar
        Random-effects terms.
    sides : sequence of Terms
        The fixed part, then the left side of every bar.

    Raises
    ------
    FormulaError
    """
    wheres = ["the fixed part", *(f"the random-effects term {bar}" for bar in bars)]
    for where, terms, bar in zip(wheres, sides, [None, *bars], strict=True):
        if any(outcome in term for term in terms) or (bar is not None and outcome in bar.factors):
            raise FormulaError(
                f'the response "{outcome}" is in {where} too, and cannot explain itself; leave it out there'
            )
        if () in terms and (PATSYS_INTERCEPT,) in terms:
            raise FormulaError(
                f'the column "{PATSYS_INTERCEPT}" in {where} has the name of the constant; rename it, '
                f'data.rename(columns={{"{PATSYS_INTERCEPT}": "x"}}), or leave the constant out with 0 + '
                f"{PATSYS_INTERCEPT}"
            )


def with_groups(frame: pd.DataFrame, groups: Any) -> tuple[pd.DataFrame, list[str]]:
    """The frame with grouping columns that were given as arrays, and the entries of ``groups=``.

    Parameters
    ----------
    frame : DataFrame
        The data; not changed.
    groups : str, sequence of str, Series, frame, mapping or array
        Names of columns, or the columns themselves.

    Returns
    -------
    frame : DataFrame
    names : list of str

    Raises
    ------
    DesignError
        If the data have such a column with other values.
    """
    if groups is None:
        return frame, []
    if isinstance(groups, str):
        return frame, [groups]
    if isinstance(groups, pd.Series):
        groups = {groups.name or "group": groups}
    elif isinstance(groups, np.ndarray | ExtensionArray) and groups.ndim == 1 and len(groups) == len(frame):
        groups = {"group": groups}
    if not isinstance(groups, Mapping | pd.DataFrame):
        return frame, list(groups) if isinstance(groups, Iterable) else [groups]
    new = {
        str(name): aligned(column, "groups", frame.index) if isinstance(column, pd.Series) else column
        for name, column in groups.items()
    }
    clash = [name for name in new if name in frame.columns and not _same(column_of(frame, name), new[name])]
    if clash:
        raise DesignError(f"groups= holds columns that the data have with other values: {clash}; rename them")
    added = {name: column for name, column in new.items() if name not in frame.columns}
    return (frame.assign(**added) if added else frame), list(new)


def _same(column: pd.Series, values: Any) -> bool:
    given = pd.Series(np.asarray(values, dtype=object), dtype=object)
    return column.astype(object).reset_index(drop=True).equals(given)


def _matrices(
    bars: Sequence[Bar], sides: Sequence[Terms], variables: Mapping[str, Variable], n: int
) -> tuple[Coding, FloatArray, list[Block]]:
    """X and the columns of the bars; equal sides are coded once and intercepts not at all."""
    wanted = list(dict.fromkeys([sides[0], *(terms for terms in sides[1:] if terms != ONLY_INTERCEPT)]))
    made = dict(zip(wanted, code_sides(wanted, variables, n), strict=True))
    blocks = [random_block(bar, made.get(terms), n) for bar, terms in zip(bars, sides[1:], strict=True)]
    return *made[sides[0]], blocks


def numbers(variable: Variable, what: str) -> FloatArray:
    """Values of a variable that must be numbers, shape (n,).

    Parameters
    ----------
    variable : Variable
        Evaluated.
    what : str
        Its part in the model, for messages: ``"response"``.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    DesignError
        For categories, and for several columns.
    """
    code, values = variable.expression.code, variable.values
    if isinstance(values, pd.Categorical):
        kinds = list(values.categories[:3])
        raise DesignError(f'the {what} "{code}" holds categories such as {kinds}; wanted numbers')
    if values.shape[1] != 1:
        raise DesignError(f'the {what} "{code}" has {values.shape[1]} columns; wanted one')
    return np.array(values[:, 0])


def _response(variable: Variable) -> FloatArray:
    return numbers(variable, "response")


def _offsets(offsets: Sequence[Variable], kept: IntArray | None) -> list[FloatArray]:
    return [numbers(variable.take(kept), "offset") for variable in offsets]


def _logs(exposure: FloatArray | None) -> FloatArray | None:
    return None if exposure is None else log_exposure(exposure)


def _taken(vector: FloatArray | None, rows: IntArray | None) -> FloatArray | None:
    if vector is None:
        return None
    return vector.copy() if rows is None else vector[rows]
