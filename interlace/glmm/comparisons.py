"""Likelihood-ratio tests of generalised models: of nested ones, of fixed terms, of random terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.design import Design
from interlace.errors import InferenceError
from interlace.inference.anova import anova_contrasts
from interlace.inference.hypotheses import AnovaType
from interlace.inference.likelihood_ratio import (
    Maximum,
    check_comparable,
    comparison_table,
    deletion_table,
    reduced_fixed_parts,
    reduced_random_parts,
)
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.problem import laplace_problem

from .fitting import fit_again
from .record import EstimatedGLMM, n_of, npar_of
from .response import counts_of
from .wald import check_ddf

# Continuous responses whose likelihoods are densities, and counts: one kind is not compared with the other.
SUPPORT = {"gamma": "positive", "gaussian": "real"}


def anova(self: EstimatedGLMM, type: AnovaType = 3, ddf: Any = None) -> pd.DataFrame:
    """Wald tests of the terms of the fixed part, by the chi-squared distribution.

    Parameters
    ----------
    type : {1, 2, 3}, default 3
        Type of the hypotheses, which are those of linear models: each term adjusted for those before it (1),
        for those that do not contain it (2), or averaged over the categories of those that do (3). Types 2
        and 3 do not depend on the coding.
    ddf : None or "normal"
        Refused otherwise: there are no degrees of freedom.

    Returns
    -------
    DataFrame
        One row per term but the intercept: chisq, df, p_value.

    See Also
    --------
    drop1 : Likelihood-ratio tests, better in small samples.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": [0, 1, 2] * 4, "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ x + (1 | g)", ticks, family="poisson").anova().round(3)
       chisq  df  p_value
    x  0.035   1    0.852
    """
    check_ddf(ddf)
    design, frame = self.record.design, self.model.data.frame
    contrasts = self.record.once(f"anova {type}", lambda: anova_contrasts(design, frame, type))
    rows = {}
    for name, C in contrasts.items():
        if len(C):
            test = self.wald_test(C)
            rows[name] = [float(test.statistic), int(test.df_denom), float(test.pvalue)]
        else:
            rows[name] = [np.nan, 0, np.nan]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["chisq", "df", "p_value"])
    return table.astype({"df": int})


def drop1(self: EstimatedGLMM) -> pd.DataFrame:
    """Likelihood-ratio tests of the fixed terms that no other term contains.

    Returns
    -------
    DataFrame
        The model (``<none>``) and the models without one term: npar, loglik, aic, bic, deviance, chisq,
        df, p_value; ``deviance`` is minus twice the log-likelihood.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": [0, 1, 2] * 4, "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ x + (1 | g)", ticks, family="poisson")
    >>> fit.drop1()[["npar", "chisq", "df"]].round(3)
            npar  chisq   df
    <none>     3    NaN  NaN
    x          2  0.035  1.0
    """
    record, design = self.record, self.record.design
    names, maxima = [], []
    for name, X in reduced_fixed_parts(design, self.model.data.frame):
        same = X.shape[1] == record.fit.p
        names.append(name)
        maxima.append(record.maximum() if same else _of(design, fit_again(design, record.fit, X=X)))
    return deletion_table(names, record.maximum(), maxima)


def ranova(self: EstimatedGLMM, reduce_terms: bool = True) -> pd.DataFrame:
    """Likelihood-ratio tests of the random-effects terms.

    Parameters
    ----------
    reduce_terms : bool, default True
        Take from ``(1 + x | g)`` the slopes one by one; False takes whole terms.

    Returns
    -------
    DataFrame
        The model (``<none>``) and the reduced ones: npar, loglik, aic, bic, deviance, chisq, df, p_value.

    Notes
    -----
    Under the hypothesis a variance lies on its boundary, so the p-values are too large, for a single
    variance by a factor of 2 (Self & Liang 1987, JASA 82).

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.ranova()[["npar", "chisq", "df"]].round(3)
             npar   chisq   df
    <none>      2     NaN  NaN
    (1 | g)     1  12.556  1.0
    """
    record, design = self.record, self.record.design
    names, maxima = [], []
    for name, factors, terms in reduced_random_parts(design, reduce=reduce_terms):
        names.append(name)
        if terms:
            maxima.append(_of(design, fit_again(design, record.fit, factors=factors, terms=terms)))
        else:
            maxima.append(without_random_effects(design, record.fit))
    return deletion_table(names, record.maximum(), maxima)


def _of(design: Design, fit: LaplaceFit) -> Maximum:
    return Maximum(fit.objective, npar_of(fit), n_of(design))


def without_random_effects(design: Design, fit: LaplaceFit) -> Maximum:
    """The likelihood without random effects: the criterion's minimum at variances of zero.

    Parameters
    ----------
    design : Design
        With its rows.
    fit : LaplaceFit
        Where the search starts.

    Returns
    -------
    Maximum
    """
    problem = laplace_problem(
        design.factors,
        design.terms,
        design.X,
        counts_of(design),
        fit.family,
        weights=design.weights,
        trials=design.trials,
        offset=design.offset,
    )
    criterion, m = problem.criterion, problem.criterion.m
    x = problem.from_raw @ np.concatenate([np.zeros(m), fit.beta, fit.psi])
    at = criterion.evaluate(x)
    for _ in range(100):
        now = criterion.slopes(at)
        step = -np.linalg.lstsq(now.hessian[m:, m:], now.gradient[m:], rcond=None)[0]
        promise = -0.5 * float(step @ now.gradient[m:])
        if promise < 1e-10:
            break
        at, moved = _shorter(criterion, at, step, m)
        if not moved:
            break
        criterion.evaluate(at.x)
    return Maximum(at.objective, fit.p + len(fit.psi), n_of(design))


def _shorter(criterion: Any, at: Any, step: Any, m: int) -> tuple[Any, bool]:
    """The first halving of a step that goes down."""
    for halvings in range(30):
        x = at.x.copy()
        x[m:] += step / 2.0**halvings
        tried = criterion.evaluate(x)
        if tried.objective < at.objective:
            return tried, True
    return at, False


def compared(results: Sequence[Any]) -> pd.DataFrame:
    """Likelihood-ratio tests of nested generalised models.

    Parameters
    ----------
    results : sequence of CrossedGLMMResults
        Two or more, to the same rows and response.

    Returns
    -------
    DataFrame
        As `interlace.anova`.

    Raises
    ------
    InferenceError
        If response, rows, trials, frequencies, the kind of response or ``nagq`` differ.
    """
    designs = [result.record.design for result in results]
    check_comparable(designs)
    first = results[0]
    for position, other in enumerate(results[1:], start=2):
        what = _difference(first, other)
        if what:
            raise InferenceError(
                f"model {position} differs from model 1 in {what}; their likelihoods cannot be compared"
            )
    names = [result.model.formula_text for result in results]
    return comparison_table(names, [result.record.maximum() for result in results])


def _difference(first: Any, other: Any) -> str:
    m1, m2 = (
        np.ones(r.nobs) if r.record.design.trials is None else r.record.design.trials for r in (first, other)
    )
    if not np.array_equal(m1, m2):
        return "the numbers of trials"
    kinds = [SUPPORT.get(result.family.name, "counts") for result in (first, other)]
    if kinds[0] != kinds[1]:
        return f"the kind of response ({other.family.name}, not {first.family.name})"
    if (first.family.name, first.family.link) != (other.family.name, other.family.link) and (
        {first.family.name, other.family.name} != {"poisson", "negative binomial"}
    ):
        return (
            f"the family or its link ({other.family.name}, {other.family.link}), so that neither is a "
            "special case of the other: compare their aic instead"
        )
    if first.nagq != other.nagq:
        return f"the quadrature (nagq={other.nagq}, not {first.nagq})"
    return ""
