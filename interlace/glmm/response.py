"""The response of a generalised model: counts, proportions of trials, successes and failures, categories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.family import Binomial, Family, Ordinal, Poisson
from interlace.formula.grammar import MixedFormula
from interlace.formula.response import parse_responses
from interlace.formula.variables import Variable, as_environment, evaluate
from interlace.frames.columns import Columns, as_frame

# How far a proportion times its trials may be from a whole number: digits lost in writing it down.
WHOLE = 1e-6


@dataclass(frozen=True, eq=False)
class Response:
    """What stands left of ``~``.

    Attributes
    ----------
    code : str
        The variable that `interlace.design.build_design` evaluates.
    name : str
        As the user wrote it.
    trials : str, array or None
        Trials behind each row.
    counts : bool
        Whether the variable holds successes rather than proportions.
    respond : callable
        Makes numbers of the variable.
    """

    code: str
    name: str
    trials: Any
    counts: bool
    respond: Callable[[Variable], FloatArray]


def read_response(
    formula: MixedFormula, data: Any, family: Family, n_trials: Any, eval_env: Any
) -> tuple[MixedFormula, Response]:
    """The formula with one variable as its response, and what that variable is.

    Parameters
    ----------
    formula : MixedFormula
        As parsed.
    data : table
        The data.
    family : Family
        Of the response.
    n_trials : str, array or None
        Trials, where the response holds proportions.
    eval_env : patsy.EvalEnvironment or mapping
        Names that are not in the data.

    Returns
    -------
    formula : MixedFormula
    response : Response
    """
    codes = parse_responses(formula.response) if formula.response else ("",)
    if n_trials is not None and not isinstance(family, Binomial):
        raise DesignError(f"n_trials= is for a binomial response; the family is {family.name}")
    if codes == ("",):
        return formula, Response("", "", n_trials, counts=False, respond=_numbers)
    columns, env = Columns(as_frame(data)), as_environment(eval_env)
    found = [evaluate(code, columns, env) for code in codes]
    pair = _pair(found)
    if pair is None:
        read = _categories if isinstance(family, Ordinal) else _numbers
        return replace(formula, response=codes[0]), Response(
            codes[0], formula.response, n_trials, counts=n_trials is None, respond=read
        )
    if not isinstance(family, Binomial) or n_trials is not None:
        why = "n_trials= gives the trials a second time" if n_trials is not None else f"not {family.name}"
        raise DesignError(f'the response "{formula.response}" is successes and failures, for binomial: {why}')
    both = Response(codes[0], formula.response, pair.sum(axis=1), counts=True, respond=_first_column)
    return replace(formula, response=codes[0]), both


def _pair(found: list[Variable]) -> FloatArray | None:
    """Successes and failures, (n, 2), if the response is these."""
    numeric = [v.values for v in found if not isinstance(v.values, pd.Categorical)]
    if len(numeric) == len(found) and sum(v.shape[1] for v in numeric) == 2:
        return np.column_stack(numeric)
    if len(found) == 2:
        raise DesignError(
            f'"{found[0].expression.code}" and "{found[1].expression.code}" are not one column of successes '
            "and one of failures"
        )
    return None


def _first_column(variable: Variable) -> FloatArray:
    return np.array(np.asarray(variable.values)[:, 0])


def _numbers(variable: Variable) -> FloatArray:
    code, values = variable.expression.code, variable.values
    if not isinstance(values, pd.Categorical):
        if values.shape[1] != 1:
            raise DesignError(f'the response "{code}" has {values.shape[1]} columns; wanted one, or two')
        return np.array(values[:, 0])
    if set(values.categories) <= {False, True}:
        return np.asarray(values, dtype=float)
    kinds = list(values.categories)
    advice = f': write "({code} == {kinds[-1]!r}) ~ ..." for the category that counts as success'
    raise DesignError(
        f'the response "{code}" holds categories such as {kinds[:3]}; wanted numbers'
        f"{advice if len(kinds) == 2 else '; for ordered categories use CrossedOrdinal'}"
    )


def categories_of(code: str, data: Any, eval_env: Any, rows: Any = None) -> list[Any]:
    """Categories of an ordinal response in their order; those of the rows used must all occur.

    Parameters
    ----------
    code : str
        The variable.
    data : table
        The data.
    eval_env : patsy.EvalEnvironment or mapping
        Names that are not in the data.
    rows : ndarray of int, optional
        Rows used.

    Returns
    -------
    list
        Lowest first.
    """
    variable = evaluate(code, Columns(as_frame(data)), as_environment(eval_env)).take(rows)
    values = variable.values
    if isinstance(values, pd.Categorical):
        occurring = set(values.codes[values.codes >= 0].tolist())
        return [category for k, category in enumerate(values.categories) if k in occurring]
    found = np.unique(values[~np.isnan(values)])
    whole = (found == np.round(found)).all()
    return [int(value) if whole else float(value) for value in found.tolist()]


def _categories(variable: Variable) -> FloatArray:
    """Positions of the categories that occur."""
    code, values = variable.expression.code, variable.values
    if not isinstance(values, pd.Categorical):
        if values.shape[1] != 1:
            raise DesignError(f'the response "{code}" has {values.shape[1]} columns; wanted one')
        return np.unique(values[:, 0], return_inverse=True)[1].astype(float)
    if not values.ordered and not set(values.categories) <= {False, True}:
        raise DesignError(
            f'the response "{code}" holds categories without an order, {list(values.categories[:4])}; make '
            "it an ordered pandas.Categorical, lowest first, or whole numbers"
        )
    return np.unique(values.codes, return_inverse=True)[1].astype(float)


def checked_rows(design: Design, response: Response, family: Family) -> Design:
    """The design with proportions as its response where there are trials, or why there can be no fit.

    Parameters
    ----------
    design : Design
        With the response and the trials as given.
    response : Response
        What the response is.
    family : Family
        That it must agree with.

    Returns
    -------
    Design

    Raises
    ------
    DesignError
        For trials, frequencies or a response that the family cannot have.
    """
    rows, m = design.rows, design.trials
    y = rows.y
    if m is not None:
        _check_trials(m)
        y = y / m if response.counts else y
        _check_proportions(y, m, response.name)
    _check_frequencies(rows.weights)
    found = Design(replace(design.schema, yname=response.name or design.yname), replace(rows, y=y))
    complaint = family.complaint(counts_of(found), np.ones(len(y)) if m is None else m)
    if complaint:
        raise DesignError(f'the response "{found.yname}" does not suit {family.name}: {complaint}')
    _check_row_effects(found, family)
    return found


def counts_of(design: Design) -> FloatArray:
    """The response as the numerical room counts it: successes where there are trials, (n,)."""
    return design.y if design.trials is None else np.round(design.y * design.trials)


def _check_trials(m: FloatArray) -> None:
    if (m < 0).any() or (m != np.round(m)).any():
        raise DesignError("the numbers of trials are not counts: wanted 1, 2, ...")
    if (m == 0).any():
        raise DesignError(f"{int((m == 0).sum())} row(s) have no trials; leave them out")


def _check_proportions(y: FloatArray, m: FloatArray, name: str) -> None:
    if (y < 0).any() or (y > 1).any():
        raise DesignError(
            f'with n_trials= the response "{name}" must hold proportions between 0 and 1; counts of '
            'successes go with failures: "successes + failures ~ ..."'
        )
    successes = y * m
    if np.abs(successes - np.round(successes)).max() > WHOLE * max(1.0, float(m.max())):
        raise DesignError(f'"{name}" times n_trials does not give whole numbers of successes')


def _check_frequencies(weights: FloatArray | None) -> None:
    if weights is not None and ((weights != np.round(weights)).any() or (weights < 1).any()):
        raise DesignError("freq_weights say how often a row occurs: wanted 1, 2, ...; leave out rows of 0")


def _check_row_effects(design: Design, family: Family) -> None:
    """An effect per row of a Bernoulli response cannot be told from the link."""
    if not isinstance(family, Binomial) or (design.trials is not None and (design.trials > 1).any()):
        return
    for labels, levels in zip(design.factor_labels, design.n_levels, strict=True):
        if levels >= len(design.y):
            raise DesignError(
                f'grouping factor "{labels.name}" has a level per row of a response of 0 and 1: its variance '
                "only changes the scale of the link; leave it out"
            )


def has_own_variance(family: Family) -> bool:
    """Whether rows vary by a parameter of their own, so that an effect per row cannot be told from it."""
    return not isinstance(family, Binomial | Poisson)
