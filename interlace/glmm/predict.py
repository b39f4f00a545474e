"""Predicted means, linear predictors, means over the random effects; fitted values and residuals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError
from interlace.family import Family
from interlace.modelling.options import check_choice
from interlace.pls.laplace.prediction import (
    Residual,
    linear_predictor,
    linear_variance,
    residuals,
)
from interlace.prediction.parts import chosen_factors

from .record import EstimatedGLMM
from .response import counts_of
from .rows import NewLevels, Target, rows_of_fit, target_of

Which = Literal["mean", "linear", "marginal"]
RandomPart = bool | str | Collection[str] | None


def target(
    self: EstimatedGLMM, data: Any, which: str, random: RandomPart, new_levels: str, *, others: bool = False
) -> Target:
    """Rows to predict: by default with all random effects, and with none for a marginal mean."""
    check_choice("new_levels", new_levels, ("error", "population", "integrate"))
    design = self.record.design
    chosen = chosen_factors(design.factor_names, random=which != "marginal" if random is None else random)
    return target_of(design, data, chosen, new_levels, others=others or which == "marginal")


def predict(
    self: EstimatedGLMM,
    data: Any = None,
    transform: bool = True,
    *,
    which: Which = "mean",
    random: RandomPart = None,
    new_levels: NewLevels = "error",
) -> pd.Series:
    """Compute expected responses, for the rows of the fit or for new data.

    Parameters
    ----------
    data : DataFrame or dict of arrays, optional
        New data with the columns of the formula, of the offset or exposure and of the grouping factors; the
        rows of the fit if None.
    transform : bool, default True
        Must be True: the formula is always applied to ``data``.
    which : {"mean", "linear", "marginal"}, default "mean"
        The mean of one response (a probability, for a binomial family) given the random effects; the linear
        predictor; or the mean integrated over the random effects that do not enter.
    random : bool or str or collection of str, optional
        Which random effects enter at their conditional modes: all (the default for "mean" and "linear"), none
        (the default for "marginal"), or those of the grouping factors named. With "mean" and "linear" the
        others are zero: a typical level, not the average one.
    new_levels : {"error", "population", "integrate"}, default "error"
        Refuse levels that the fit has not seen, give them random effects of zero, or (with "mean" and
        "marginal") average over what theirs could be.

    Returns
    -------
    Series
        On the index of the data; NaN where a used column is missing, and, with a warning, where the data of
        the fit do not determine the mean (empty cells).

    Raises
    ------
    LevelError
        For unseen levels, by default.

    Notes
    -----
    The integral is closed for the links probit and log and by Gauss-Hermite quadrature (101 nodes) of the
    scalar variance ``z'Sigma z`` for the others. Random effects enter at their modes: their own uncertainty
    is not integrated over.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.predict({"g": ["a", "b"]}).round(3).tolist()
    [2.143, 7.122]
    >>> fit.predict({"g": ["a"]}, random=False).round(3).item()
    2.75
    >>> fit.predict({"g": ["a"]}, which="marginal").round(3).item()
    3.679
    """
    if not transform:
        raise ArgumentError("transform=False is not offered: give data with the columns of the formula")
    check_choice("which", which, ("mean", "linear", "marginal"))
    if which == "linear" and new_levels == "integrate":
        raise ArgumentError('new_levels="integrate" averages means; with which="linear" give "population"')
    own = target(self, data, which, random, new_levels)
    fit = self.record.fit
    eta = linear_predictor(fit, own.rows)
    if which == "linear":
        return own.series(eta)
    variance = own.variance(fit.Sigma, of_unseen=new_levels == "integrate", of_others=which == "marginal")
    return own.series(_mean(fit.family, eta, variance, fit.psi))


def _mean(family: Family, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
    return family.marginal_mean(eta, variance, psi) if variance.any() else family.mean(eta, psi)


@dataclass(frozen=True, eq=False)
class GLMMPrediction:
    """Predictions and how well they are known.

    Attributes
    ----------
    linear : Series
        Linear predictor, on the index of the data.
    var_linear : Series
        Variance of ``linear`` minus the quantity predicted.
    predicted_mean : Series
        Mean of one response.
    se_mean : Series
        Its standard error, by the delta method.
    family : Family
        Takes the limits through the link.
    psi : ndarray of shape (k,)
        The family's parameters.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.get_prediction({"g": ["a"]}).summary_frame().round(2)
       mean  mean_se  mean_ci_lower  mean_ci_upper
    0  2.14     0.79           1.04           4.41
    """

    linear: pd.Series
    var_linear: pd.Series
    predicted_mean: pd.Series
    se_mean: pd.Series
    family: Family
    psi: FloatArray

    @property
    def se_linear(self) -> pd.Series:
        """Standard errors of the linear predictor."""
        return np.sqrt(self.var_linear)

    def conf_int(self, alpha: float = 0.05, *, which: Literal["mean", "linear"] = "mean") -> pd.DataFrame:
        """Intervals, made on the scale of the link.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``, by the normal distribution of the linear predictor.
        which : {"mean", "linear"}, default "mean"
            Of the mean, by taking the limits through the link, or of the linear predictor.

        Returns
        -------
        DataFrame
            Columns ``lower`` and ``upper``.
        """
        check_choice("which", which, ("mean", "linear"))
        reach = stats.norm.isf(alpha / 2.0) * self.se_linear
        limits = pd.DataFrame({"lower": self.linear - reach, "upper": self.linear + reach})
        if which == "linear":
            return limits
        return limits.apply(lambda eta: pd.Series(self.family.mean(eta.to_numpy(), self.psi), eta.index))

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Means, standard errors and intervals, in statsmodels' columns.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.

        Returns
        -------
        DataFrame
            ``mean, mean_se, mean_ci_lower, mean_ci_upper``.
        """
        limits = self.conf_int(alpha)
        columns = {
            "mean": self.predicted_mean,
            "mean_se": self.se_mean,
            "mean_ci_lower": limits["lower"],
            "mean_ci_upper": limits["upper"],
        }
        return pd.DataFrame(columns)


def get_prediction(
    self: EstimatedGLMM,
    data: Any = None,
    *,
    random: bool | str | Collection[str] = True,
    new_levels: Literal["error", "population"] = "error",
) -> GLMMPrediction:
    """Predictions with standard errors and intervals.

    Parameters
    ----------
    data : DataFrame or dict of arrays, optional
        New data; the rows of the fit if None.
    random : bool or str or collection of str, default True
        Which random effects enter, as in ``predict``.
    new_levels : {"error", "population"}, default "error"
        Refuse levels that the fit has not seen, or predict zero for their random effects and add their
        variance to that of the linear predictor.

    Returns
    -------
    GLMMPrediction
        With ``summary_frame(alpha)``, ``conf_int(alpha, which=)``, ``predicted_mean``, ``se_mean`` and
        ``linear``.

    Notes
    -----
    The variance of the linear predictor has that of the parameters, from the whole Hessian, on which the
    modes depend too, and that of the random effects given the parameters (Kass & Steffey 1989, Journal of the
    American Statistical Association 84).

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.get_prediction({"g": ["a"]}, random=False).conf_int().round(2)
       lower  upper
    0   1.18   6.43
    """
    check_choice("new_levels", new_levels, ("error", "population"))
    fit = self.record.present()
    own = target(self, data, "mean", random, new_levels)
    eta = linear_predictor(fit, own.rows)
    variance = linear_variance(fit, own.rows, random=any(own.chosen))
    if any(own.chosen):  # what does not enter was counted like a level that is not known
        variance = variance - own.variance(fit.Sigma, of_unseen=False, of_others=True)
    slope = np.abs(fit.family.mean_slope(eta, fit.psi))
    return GLMMPrediction(
        linear=own.series(eta, "linear"),
        var_linear=own.series(variance),
        predicted_mean=own.series(fit.family.mean(eta, fit.psi), "mean"),
        se_mean=own.series(slope * np.sqrt(variance)),
        family=fit.family,
        psi=fit.psi,
    )


# ---- the rows of the fit -----------------------------------------------------------------------


def linear_fitted(self: EstimatedGLMM) -> FloatArray:
    """Linear predictor of the rows of the fit, offset and conditional modes included."""
    return linear_predictor(self.record.fit, rows_of_fit(self.record.design))


def fittedvalues(self: EstimatedGLMM) -> FloatArray:
    """Mean of one response given the conditional modes: a probability for a binomial family."""
    fit = self.record.fit
    return fit.family.mean(linear_fitted(self), fit.psi)


def resid(self: EstimatedGLMM) -> FloatArray:
    """Response, as a proportion where there are trials, minus ``fittedvalues``."""
    return self.record.design.y - self.fittedvalues


def _residuals(self: EstimatedGLMM, kind: Residual, rng: Any = None) -> FloatArray:
    design, fit = self.record.design, self.record.fit
    eta = linear_fitted(self)
    return residuals(fit, eta, counts_of(design), kind, trials=design.trials, rng=rng)


def resid_pearson(self: EstimatedGLMM) -> FloatArray:
    """Residuals of the counts over their standard deviations given the conditional modes."""
    return _residuals(self, "pearson")


def resid_deviance(self: EstimatedGLMM) -> FloatArray:
    """Signed roots of the log-likelihood, times two, that each row lacks to a perfect fit."""
    return _residuals(self, "deviance")


def resid_quantile(self: EstimatedGLMM, *, rng: Any = None) -> pd.Series:
    """Randomised quantile residuals given the conditional modes.

    Parameters
    ----------
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes; counts are spread over the jump of the distribution.

    Returns
    -------
    Series
        Standard normal if the model is right, but for the shrinkage of the modes: for a test see
        ``simulated_residuals``.

    References
    ----------
    Dunn & Smyth (1996), Journal of Computational and Graphical Statistics 5.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> len(fit.resid_quantile(rng=1))
    12
    """
    values = _residuals(self, "quantile", np.random.default_rng(rng))
    return pd.Series(values, index=self.record.design.index)
