"""Analysis of variance of the fixed part, and the table of coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import BoolArray, FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError
from interlace.frames.columns import Columns

from .confidence import check_alpha
from .fixed_terms import FixedTerm, fixed_terms, has_intercept, rows_of_fit
from .fstatistic import Approximation, contrast_variances
from .hypotheses import (
    AnovaType,
    CompleteColumns,
    marginal,
    partially_sequential,
    partially_sequential_of_complete,
    sequential,
)

ANOVA_COLUMNS = ["sum_sq", "mean_sq", "num_df", "den_df", "F", "p_value"]


def anova_contrasts(design: Design, frame: Any, anova_type: AnovaType) -> dict[str, FloatArray]:
    """Hypotheses about every term of the fixed part.

    Parameters
    ----------
    design : Design
        Of the fit.
    frame : table or None
        The data; needed for type III where terms contain one another.
    anova_type : {1, 2, 3}
        Type of the hypotheses.

    Returns
    -------
    dict of str to ndarray of shape (k, p)

    Raises
    ------
    ValueError
        For another type.
    DesignError
        If the rows are gone.
    """
    if anova_type not in (1, 2, 3):
        raise ArgumentError(f"type={anova_type!r} is not offered; give 1, 2 or 3")
    if _lacks_its_intercept(design):
        return _without_first(_contrasts(_with_ones(design), frame, anova_type))
    return _contrasts(design, frame, anova_type)


def _lacks_its_intercept(design: Design) -> bool:
    """Whether the coding has an intercept and X has not: thresholds stand for it."""
    names = tuple(design.coding.names)
    return "Intercept" in names and names.index("Intercept") not in {
        *design.kept_columns,
        *(design.dependence.dropped if design.dependence else ()),
    }


def _with_ones(design: Design) -> Design:
    at = tuple(design.coding.names).index("Intercept")
    schema = replace(
        design.schema,
        xnames=("Intercept", *design.xnames),
        kept_columns=(at, *design.kept_columns),
    )
    return Design(schema, replace(design.rows, X=np.column_stack([np.ones(len(design.X)), design.X])))


def _without_first(contrasts: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: rows[:, 1:] for name, rows in contrasts.items()}


def _contrasts(design: Design, frame: Any, anova_type: AnovaType) -> dict[str, FloatArray]:
    terms = fixed_terms(design)
    if anova_type == 1:
        return sequential(design.X, terms)
    intercept = has_intercept(design)
    if anova_type == 2 and intercept:
        return partially_sequential(design.X, terms)
    if anova_type == 2:
        columns = _complete_columns(design, frame, terms)
        return partially_sequential_of_complete(design.X, terms, columns)
    return marginal(design.X, terms, lambda: _complete_columns(design, frame, terms), intercept=intercept)


def _complete_columns(
    design: Design, frame: Any, terms: Sequence[FixedTerm]
) -> Mapping[str, CompleteColumns]:
    coding = design.coding.with_every_category()
    matrix = coding(Columns(rows_of_fit(design, frame)))
    names = {term.factors: term.name for term in terms}
    return {
        names.get(frozenset(f.name() for f in term.factors), ""): CompleteColumns(
            matrix[:, span], _no_first(coding.info, term)
        )
        for term, span in coding.info.term_slices.items()
    }


def _no_first(info: Any, term: Any) -> BoolArray:
    """Columns of a term in which no categorical variable is at its first category."""
    mask = np.ones(1, dtype=bool)
    for factor in term.factors:
        known = info.factor_infos[factor]
        is_category = known.type == "categorical"
        own = np.ones(len(known.categories) if is_category else known.num_columns, dtype=bool)
        own[0] = not is_category
        mask = (own[:, None] & mask).ravel()  # the first variable varies fastest
    return mask


def anova_table(
    contrasts: Mapping[str, FloatArray], beta: FloatArray, sigma2: float, method: Approximation
) -> pd.DataFrame:
    """F tests of hypotheses, one row each.

    Parameters
    ----------
    contrasts : mapping of str to ndarray of shape (k, p)
        Hypotheses by name.
    beta : ndarray of shape (p,)
        Fixed effects.
    sigma2 : float
        Residual variance.
    method : Approximation
        Degrees of freedom.

    Returns
    -------
    DataFrame
        Columns sum_sq, mean_sq, num_df, den_df, F, p_value. The sums of squares are those that the residual
        mean square would be compared with: ``F * num_df * sigma^2`` with F not scaled, as in lmerTest.
    """
    rows = []
    for C in contrasts.values():
        test = method.f_test(C, C @ beta)
        mean_sq = test.statistic / test.scaling * sigma2
        rows.append([mean_sq * test.num_df, mean_sq, test.num_df, test.den_df, test.statistic, test.p_value])
    table = pd.DataFrame(rows, index=list(contrasts), columns=ANOVA_COLUMNS, dtype=float)
    return table.astype({"num_df": int})


def contrast_table(
    names: Sequence[str],
    contrasts: FloatArray,
    beta: FloatArray,
    method: Approximation,
    *,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Estimates, t tests and intervals of contrasts.

    Parameters
    ----------
    names : sequence of str
        Labels of the rows.
    contrasts : ndarray of shape (r, p)
        Contrasts.
    beta : ndarray of shape (p,)
        Fixed effects.
    method : Approximation
        Standard errors and degrees of freedom.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    DataFrame
        Columns estimate, std_error, df, statistic, p_value, conf_low, conf_high; df is infinite for the
        normal distribution.
    """
    estimate = contrasts @ beta
    se = np.sqrt(contrast_variances(method, contrasts))
    df = np.array([method.df(row) for row in contrasts], dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = estimate / se
    check_alpha(alpha)
    reach = stats.t.isf(alpha / 2.0, df) * se
    columns = {
        "estimate": estimate,
        "std_error": se,
        "df": df,
        "statistic": statistic,
        "p_value": 2.0 * stats.t.sf(np.abs(statistic), df),
        "conf_low": estimate - reach,
        "conf_high": estimate + reach,
    }
    return pd.DataFrame(columns, index=list(names))
