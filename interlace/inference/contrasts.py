"""Tests of linear hypotheses about the parameters: statsmodels' names, the fit's degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults, WaldTestResults

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, InferenceError
from interlace.fitted import Ddf, EstimatedModel
from interlace.formula.coding import linear_constraints

from .approximation import Approximation, approximation_of
from .fstatistic import contrast_variances

COLUMNS = ["statistic", "pvalue", "df_constraint", "df_denom"]


def t_test(
    self: EstimatedModel,
    r_matrix: Any,
    cov_p: FloatArray | None = None,
    use_t: bool | None = None,
    *,
    ddf: Ddf | None = None,
) -> ContrastResults:
    """Test linear hypotheses one by one.

    Parameters
    ----------
    r_matrix : array_like, str, tuple or list of str
        Contrasts with one column per fixed effect or one per parameter; or text such as ``"Days = 10"``;
        or a pair (contrasts, values).
    cov_p : ndarray, optional
        Covariance of the parameters to use for the estimated one.
    use_t : bool, optional
        Student's distribution with ``df_resid`` degrees of freedom (True) or the normal one (False),
        whatever ``ddf`` says.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom; by default those of the fit for fixed effects, and the normal distribution
        where a hypothesis is about variance parameters or another covariance is given.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults
        Effects, standard errors, statistics, p-values, intervals.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> test = fit.t_test("Days = 10")
    >>> round(float(test.effect[0]), 3), round(float(test.df_denom[0]), 3)
    (10.467, 17.0)
    """
    hypotheses = _fixed_hypotheses(self, r_matrix, ddf, plain=cov_p is None and use_t is None)
    if hypotheses is None:
        return LikelihoodModelResults.t_test(self, full_width(self, r_matrix), cov_p=cov_p, use_t=bool(use_t))
    contrasts, values, method = hypotheses
    effect = contrasts @ self.fe_params
    se = np.sqrt(contrast_variances(method, contrasts))
    df = np.array([method.df(row) for row in contrasts])
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = (effect - values) / se
    return ContrastResults(effect=effect, t=statistic, sd=se, df_denom=df, distribution="t")


def wald_test(
    self: EstimatedModel,
    r_matrix: Any,
    cov_p: FloatArray | None = None,
    invcov: FloatArray | None = None,
    use_f: bool | None = None,
    df_constraints: int | None = None,
    scalar: bool = True,
    *,
    ddf: Ddf | None = None,
) -> ContrastResults:
    """Test linear hypotheses jointly.

    Parameters
    ----------
    r_matrix : array_like, str, tuple or list of str
        As for `t_test`.
    cov_p, invcov : ndarray, optional
        Covariance of the parameters, or inverse covariance of the contrasts, to use for the estimated
        one.
    use_f : bool, optional
        F distribution with ``df_resid`` denominator degrees of freedom (True) or the chi-squared one (False),
        whatever ``ddf`` says.
    df_constraints : int, optional
        Number of constraints, if not the rank.
    scalar : bool, default True
        Return the statistic as a number.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        F distribution with these denominator degrees of freedom; by default those of the fit for fixed
        effects, and the chi-squared distribution where a hypothesis is about variance parameters or another
        covariance is given.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults
        Statistic, degrees of freedom, p-value.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> test = fit.wald_test("Days = 10")
    >>> round(float(test.pvalue), 3)
    0.766
    """
    plain = cov_p is None and invcov is None and use_f is None and df_constraints is None
    hypotheses = _fixed_hypotheses(self, r_matrix, ddf, plain=plain)
    normal = (self.ddf if ddf is None else ddf) == "normal"
    if hypotheses is None or (normal and self.record.fit.elsewhere is None):
        return LikelihoodModelResults.wald_test(
            self,
            full_width(self, r_matrix),
            cov_p=cov_p,
            invcov=invcov,
            use_f=bool(use_f),
            df_constraints=df_constraints,
            scalar=scalar,
        )
    contrasts, values, method = hypotheses
    test = method.f_test(contrasts, contrasts @ self.fe_params - values)
    if method.name == "normal":
        chi2 = np.array([[test.statistic * test.num_df]])
        value, k = float(chi2[0, 0]) if scalar else chi2, test.num_df
        return ContrastResults(chi2=value, statistic=value, df_denom=k, distribution="chi2", distargs=(k,))
    statistic = test.statistic if scalar else np.array([[test.statistic]])
    return ContrastResults(F=statistic, df_denom=test.den_df, df_num=test.num_df)


def f_test(
    self: EstimatedModel,
    r_matrix: Any,
    cov_p: FloatArray | None = None,
    invcov: FloatArray | None = None,
    *,
    ddf: Ddf | None = None,
) -> ContrastResults:
    """Test linear hypotheses jointly by an F test.

    Parameters
    ----------
    r_matrix : array_like, str, tuple or list of str
        As for `t_test`.
    cov_p, invcov : ndarray, optional
        As for `wald_test`; statsmodels' F test with ``df_resid`` is done where they are given.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Denominator degrees of freedom; by default those of the fit.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults
        F, degrees of freedom, p-value.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("strength ~ cask + (1 | batch)", interlace.datasets.load_pastes())
    >>> test = fit.f_test("cask[T.b] = 0, cask[T.c] = 0")
    >>> round(float(test.fvalue), 3), round(float(test.df_denom), 3)
    (1.407, 48.0)
    """
    plain = cov_p is None and invcov is None
    hypotheses = _fixed_hypotheses(self, r_matrix, ddf, plain=plain)
    if hypotheses is None:
        return LikelihoodModelResults.wald_test(
            self, full_width(self, r_matrix), cov_p=cov_p, invcov=invcov, use_f=True
        )
    contrasts, values, method = hypotheses
    test = method.f_test(contrasts, contrasts @ self.fe_params - values)
    return ContrastResults(F=test.statistic, df_denom=test.den_df, df_num=test.num_df)


def wald_test_terms(
    self: EstimatedModel,
    skip_single: bool = False,
    extra_constraints: Sequence[tuple[str, Any]] | None = None,
    combine_terms: Sequence[str] | None = None,
    scalar: bool = True,
    *,
    ddf: Ddf | None = None,
) -> WaldTestResults:
    """Test every term of the fixed part.

    Parameters
    ----------
    skip_single : bool, default False
        Leave out terms with a single column.
    extra_constraints : sequence of (str, contrasts), optional
        More tests, with their names.
    combine_terms : sequence of str, optional
        Also test jointly all the terms whose name contains such a text.
    scalar : bool, default True
        Statistics as numbers.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Denominator degrees of freedom of F tests, or "normal" for chi-squared tests; by default those of
        the fit.

    Returns
    -------
    statsmodels.stats.contrast.WaldTestResults
        Its ``table`` has one line per test.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("strength ~ cask + (1 | batch)", interlace.datasets.load_pastes())
    >>> fit.wald_test_terms().table.round(3)
               statistic  pvalue  df_constraint  df_denom
    Intercept   5010.637   0.000              1    20.049
    cask           1.407   0.255              2    48.000
    """
    identity = np.eye(self.k_fe)
    terms = [(name, identity[columns]) for name, columns in self.model.term_columns().items()]
    tests = [(name, rows) for name, rows in terms if len(rows) > int(skip_single)]
    for text in combine_terms or ():
        tests.append((text, np.vstack([rows for name, rows in terms if text in name])))
    tests += list(extra_constraints or ())
    with_f = (self.ddf if ddf is None else ddf) != "normal"
    lines = [_wald_line(self.wald_test(rows, scalar=scalar, ddf=ddf)) for _, rows in tests]
    table = pd.DataFrame(lines, index=[name for name, _ in tests], columns=COLUMNS)
    return WaldTestResults(
        None, "F" if with_f else "chi2", None, table=table if with_f else table[COLUMNS[:3]]
    )


def _fixed_hypotheses(
    self: EstimatedModel, r_matrix: Any, ddf: Ddf | None, *, plain: bool
) -> tuple[FloatArray, FloatArray, Approximation] | None:
    """Contrasts of the fixed effects, the values they are tested against, and the method.

    None where statsmodels' own test is due: no degrees of freedom apply to variance parameters.
    """
    if not plain and ddf is None:
        return None
    names = self.model.data.param_names
    contrasts, values = linear_constraints(names, full_width(self, r_matrix))
    if contrasts[:, self.k_fe :].any():
        if ddf in (None, "normal"):
            return None
        raise InferenceError(
            f"ddf={ddf!r} is for hypotheses about fixed effects, and this one gives weight to variance "
            'parameters; use ddf="normal"'
        )
    if not plain:
        raise InferenceError(f"ddf={ddf!r} does not go with another covariance or use_t; give one of them")
    return contrasts[:, : self.k_fe], values, approximation_of(self, ddf)


def full_width(self: EstimatedModel, r_matrix: Any) -> Any:
    """Pad contrasts of the fixed effects with zeros for the variance parameters."""
    if isinstance(r_matrix, tuple) and len(r_matrix) == 2:
        return full_width(self, r_matrix[0]), r_matrix[1]
    if isinstance(r_matrix, (str, dict)) or np.asarray(r_matrix).dtype.kind not in "biuf":
        return r_matrix
    contrasts = np.atleast_2d(np.asarray(r_matrix, dtype=float))
    width, k_fe, k_params = contrasts.shape[1], self.k_fe, len(self.params)
    if width not in (k_fe, k_params):
        raise ArgumentError(
            f"the contrasts have {width} columns; give {k_fe}, one per fixed effect {self.fe_names!r}, "
            f"or {k_params}, with the variance parameters"
        )
    return np.pad(contrasts, ((0, 0), (0, k_params - width)))


def _wald_line(test: ContrastResults) -> list[Any]:
    # statsmodels puts the constraints of a chi-squared test where an F test has its denominator.
    constraints, denominator = (
        (test.df_denom, np.inf) if test.distribution == "chi2" else (test.df_num, test.df_denom)
    )
    return [test.statistic, test.pvalue, int(constraints), denominator]
