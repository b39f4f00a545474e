"""Tests of the fixed and random effects, means and shares of variance: what a report is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.fitted import Ddf, EstimatedModel
from interlace.pls.elsewhere import AGREE, agree

from .anova import anova_contrasts, anova_table, contrast_table
from .approximation import approximation_of
from .emmeans import EstimatedMarginalMeans, estimated_marginal_means
from .explained import VarianceShares, shares_of_variance
from .hypotheses import AnovaType
from .likelihood_ratio import Maximum, as_ml, deletion_table, without_fixed_terms, without_random_terms


def coef_table(self: EstimatedModel, ddf: Ddf | None = None, *, alpha: float = 0.05) -> pd.DataFrame:
    """Estimates, standard errors, tests and intervals of the fixed effects.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom. Kenward and Roger's method also enlarges the standard errors.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    DataFrame
        Columns estimate, std_error, df, statistic, p_value, conf_low, conf_high.

    References
    ----------
    Kuznetsova, Brockhoff & Christensen (2017), Journal of Statistical Software 82(13).
    Kenward & Roger (1997), Biometrics 53.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.coef_table()[["estimate", "df", "conf_low", "conf_high"]].round(3)
               estimate    df  conf_low  conf_high
    Intercept   251.405  17.0   237.007    265.804
    Days         10.467  17.0     7.206     13.729
    """
    identity = np.eye(self.k_fe)
    return contrast_table(self.fe_names, identity, self.fe_params, approximation_of(self, ddf), alpha=alpha)


def anova(self: EstimatedModel, type: AnovaType = 3, ddf: Ddf | None = None) -> pd.DataFrame:
    """F tests of the terms of the fixed part.

    Parameters
    ----------
    type : {1, 2, 3}, default 3
        Type of the hypotheses: each term adjusted for those before it (1), for those that do not contain
        it (2), or averaged over the categories of those that do (3). Types 2 and 3 do not depend on the
        coding, nor on whether there is an intercept (``0 + a + b`` is ``a + b``).
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Denominator degrees of freedom.

    Returns
    -------
    DataFrame
        One row per term: sum_sq, mean_sq, num_df, den_df, F, p_value; NaN for terms whose columns all
        were dropped.

    Notes
    -----
    Satterthwaite's degrees of freedom of a joint test depend on the basis in which its contrasts are
    written, although F does not. They are written as in lmerTest: by rows of the Doolittle factor of X'X for
    type 1, by columns of the term or its part of that factor for type 2, by each category against the first
    for type 3.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.anova()[["num_df", "den_df", "F"]].round(3)
          num_df  den_df       F
    Days       1    17.0  45.853
    """
    return anova_table(_anova_contrasts(self, type), self.fe_params, self.scale, approximation_of(self, ddf))


def _anova_contrasts(self: EstimatedModel, anova_type: AnovaType) -> dict[str, FloatArray]:
    design, frame = self.record.design, self.model.data.frame
    return self.record.once(f"anova {anova_type}", lambda: anova_contrasts(design, frame, anova_type))


def drop1(self: EstimatedModel) -> pd.DataFrame:
    """Likelihood-ratio tests of the fixed terms that no other term contains.

    Returns
    -------
    DataFrame
        The model (``<none>``) and the models without one term: npar, loglik, aic, bic, deviance, chisq,
        df, p_value. All are fitted by maximum likelihood.

    See Also
    --------
    anova : F tests, better in small samples.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.drop1()[["npar", "chisq", "df"]].round(3)
            npar   chisq   df
    <none>     6     NaN  NaN
    Days       5  23.537  1.0
    """
    fit = as_ml(self.record.complete)
    reduced = dict(without_fixed_terms(self.record.design, self.model.data.frame, fit))
    return deletion_table(list(reduced), Maximum.of(fit), list(reduced.values()))


def ranova(self: EstimatedModel, *, reduce_terms: bool = True) -> pd.DataFrame:
    """Likelihood-ratio tests of the random-effects terms.

    Parameters
    ----------
    reduce_terms : bool, default True
        Take from ``(1 + x | g)`` the slopes one by one; False takes whole terms.

    Returns
    -------
    DataFrame
        The model (``<none>``) and the reduced ones: npar, loglik, aic, bic, deviance, chisq, df, p_value.
        Fits by REML are compared by their restricted likelihoods.

    Notes
    -----
    Under the hypothesis a variance lies on its boundary, so the p-values are too large, for a single
    variance by a factor of 2 (Self & Liang 1987, JASA 82).

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.ranova()[["npar", "chisq", "df"]].round(3)
                              npar   chisq   df
    <none>                       6     NaN  NaN
    Days in (Days | Subject)     4  42.837  2.0
    """
    fit = self.record.complete
    reduced = list(without_random_terms(self.record.design, fit, reduce=reduce_terms))
    names, maxima = [name for name, _ in reduced], [maximum for _, maximum in reduced]
    table = deletion_table(names, Maximum.of(fit), maxima)
    if fit.elsewhere is not None:  # what can be left out with nothing changed was not there to be tested
        table.loc[table["chisq"] < AGREE, ["chisq", "p_value"]] = np.nan
    return table


def emmeans(
    self: EstimatedModel,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: Literal["equal", "proportional"] = "equal",
    *,
    ddf: Ddf | None = None,
    alpha: float = 0.05,
) -> EstimatedMarginalMeans:
    """Estimated marginal means: the fixed part over a grid of categories, covariates at their means.

    Parameters
    ----------
    specs : str or sequence of str
        Variables whose means are wanted.
    by : str or sequence of str, optional
        Variables within whose combinations contrasts compare.
    at : mapping of str to values, optional
        Values of covariates other than the mean, or some of the categories.
    weights : {"equal", "proportional"}, default "equal"
        Of the categories that are averaged over; proportional to how often their combinations occur.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    EstimatedMarginalMeans
        Its ``frame`` holds emmean, std_error, df, conf_low, conf_high; ``contrasts()`` compares them. NaN,
        with a warning, where the data do not determine a mean.

    Notes
    -----
    As in R's emmeans: numbers are at their mean, also those that the formula turns into categories
    (``I(dose > 0)``, ``pd.cut(dose, [0, 1, 2])``), but a column that is a category as it is, ``C(dose)``, is
    averaged over by its values, and so is a covariate that has two values only. A factor each of whose values
    occurs with one value of another is nested in it: only the combinations that occur are averaged over,
    equally within the other.

    References
    ----------
    Searle, Speed & Milliken (1980), The American Statistician 34.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> fit.emmeans("Days", at={"Days": [0, 9]}).frame[["Days", "emmean"]].round(2)
       Days  emmean
    0     0  251.41
    1     9  345.61
    """
    method = approximation_of(self, ddf)
    return estimated_marginal_means(
        self.record.design,
        self.model.data.frame,
        self.fe_params,
        method,
        specs,
        by=by,
        at=at,
        weights=weights,
        alpha=alpha,
    )


def r2(self: EstimatedModel) -> pd.Series:
    """Nakagawa and Schielzeth's R squared: ``marginal`` (fixed part) and ``conditional`` (and random).

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.r2().round(4).to_dict()
    {'marginal': 0.2787, 'conditional': 0.7992}
    """
    shares = variance_shares(self)
    return pd.Series({"marginal": shares.r2_marginal, "conditional": shares.r2_conditional})


def icc(self: EstimatedModel) -> pd.Series:
    """Intraclass correlation: random variance over random and residual (``adjusted``), or over all.

    Examples
    --------
    >>> import interlace
    >>> penicillin = interlace.datasets.load_penicillin()
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
    >>> fit.icc().round(4).to_dict()
    {'adjusted': 0.9363, 'unadjusted': 0.9363}
    """
    shares = variance_shares(self)
    return pd.Series({"adjusted": shares.icc_adjusted, "unadjusted": shares.icc_unadjusted})


def variance_shares(self: EstimatedModel) -> VarianceShares:
    """Variance of the response by origin: fixed, random (mean over the rows), residual.

    Examples
    --------
    >>> import interlace
    >>> penicillin = interlace.datasets.load_penicillin()
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)
    >>> shares = fit.variance_shares()
    >>> round(shares.random, 4), round(shares.residual, 4)
    (4.4478, 0.3024)
    """
    design = self.record.design
    fit, other = self.pls_fit, self.pls_fit.elsewhere
    here = shares_of_variance(design.X, self.fe_params, design.terms, fit.Sigma_at_theta, self.scale)
    if other is None:
        return here
    there = shares_of_variance(design.X, other.beta, design.terms, other.Sigma, other.sigma2)
    pairs = {name: (getattr(here, name), getattr(there, name)) for name in ("fixed", "random", "residual")}
    return VarianceShares(
        **{n: a if agree(np.array(a), np.array(b)) else np.nan for n, (a, b) in pairs.items()}
    )
