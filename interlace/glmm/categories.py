"""Probabilities of ordered categories with standard errors and intervals."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import special, stats

from interlace.arrays import FloatArray
from interlace.modelling.options import check_choice
from interlace.pls.laplace.prediction import linear_predictor, sensitivity

from .predict import target
from .record import EstimatedGLMM


@dataclass(frozen=True, eq=False)
class OrdinalPrediction:
    """Probabilities of categories and how well they are known.

    Attributes
    ----------
    predicted : DataFrame
        Probabilities, a column per category, on the index of the data.
    se : DataFrame
        Their standard errors, by the delta method.

    Examples
    --------
    >>> import interlace
    >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    >>> fit = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit()
    >>> fit.get_prediction({"g": ["a"]}, random=False).summary_frame().round(2)
                mean  mean_se  mean_ci_lower  mean_ci_upper
      category
    0 0         0.37     0.34           0.03           0.91
      1         0.45     0.26           0.09           0.87
      2         0.18     0.23           0.01           0.83
    """

    predicted: pd.DataFrame
    se: pd.DataFrame

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Intervals of the probabilities, made on the scale of their logits.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.

        Returns
        -------
        DataFrame
            Columns ``lower`` and ``upper``; one row per row of the data and category.
        """
        P, se = self.predicted.to_numpy(), self.se.to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):  # probabilities of 0 and 1 in floating point
            reach = stats.norm.isf(alpha / 2.0) * se / (P * (1.0 - P))
            limits = [special.expit(special.logit(P) + sign * reach).ravel() for sign in (-1.0, 1.0)]
        return pd.DataFrame(dict(zip(("lower", "upper"), limits, strict=True)), index=self._long)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Probabilities, standard errors and intervals, in statsmodels' columns.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.

        Returns
        -------
        DataFrame
            ``mean, mean_se, mean_ci_lower, mean_ci_upper``; one row per row of the data and category.
        """
        limits = self.conf_int(alpha)
        columns = {
            "mean": self.predicted.to_numpy().ravel(),
            "mean_se": self.se.to_numpy().ravel(),
            "mean_ci_lower": limits["lower"],
            "mean_ci_upper": limits["upper"],
        }
        return pd.DataFrame(columns, index=self._long)

    @property
    def _long(self) -> pd.MultiIndex:
        names = [self.predicted.index.name, "category"]
        return pd.MultiIndex.from_product([self.predicted.index, self.predicted.columns], names=names)


def get_prediction(
    self: EstimatedGLMM,
    data: Any = None,
    *,
    random: bool | str | Collection[str] = True,
    new_levels: Literal["error", "population"] = "error",
) -> OrdinalPrediction:
    """Probabilities of the categories with standard errors and intervals.

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
    OrdinalPrediction
        With ``summary_frame(alpha)``, ``conf_int(alpha)``, ``predicted`` and ``se``.

    Notes
    -----
    The delta method in linear predictor and thresholds, with the covariance of all parameters and that of the
    random effects given them.

    Examples
    --------
    >>> import interlace
    >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    >>> fit = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit()
    >>> fit.get_prediction({"g": ["a"]}).predicted.round(2)
          0     1     2
    0  0.62  0.31  0.07
    """
    check_choice("new_levels", new_levels, ("error", "population"))
    fit = self.record.present()
    own = target(self, data, "mean", random, new_levels)
    eta = linear_predictor(fit, own.rows)
    J, variance = sensitivity(fit, own.rows, random=any(own.chosen))
    if any(own.chosen):  # what does not enter was counted like a level that is not known
        variance = variance - own.variance(fit.Sigma, of_unseen=False, of_others=True)
    family: Any = fit.family
    by_eta, by_psi = family.probability_slopes(eta, fit.psi)
    se = np.sqrt(_variances(J, fit.basis_vcov, variance, by_eta, by_psi))
    columns = self.model.categories
    return OrdinalPrediction(own.frame(family.probabilities(eta, fit.psi), columns), own.frame(se, columns))


def _variances(
    J: FloatArray, Sigma: FloatArray, given: FloatArray, by_eta: FloatArray, by_psi: FloatArray
) -> FloatArray:
    """Variance of every probability, (n, K)."""
    k = by_psi.shape[2]
    found = np.empty(by_eta.shape)
    for category in range(by_eta.shape[1]):
        slope = J * by_eta[:, category, None]
        slope[:, J.shape[1] - k :] += by_psi[:, category]
        own = np.einsum("ni,ij,nj->n", slope, Sigma, slope)
        found[:, category] = own + by_eta[:, category] ** 2 * given
    return found
