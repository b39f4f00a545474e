"""Predictions with standard errors and intervals, for the mean and for new observations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg, stats

from interlace.confidence import check_alpha
from interlace.design import Design, NewDesign, apply_design, random_columns
from interlace.errors import DesignError
from interlace.frames import Columns, as_frame
from interlace.inference import boundary_thetas
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.predictive import prediction_gradient, prediction_variance
from interlace.pls.rows import Rows
from interlace.prediction import NewLevels, chosen_factors, fixed_part, random_part, refuse_unseen
from interlace.rows import row_vector

if TYPE_CHECKING:
    from interlace.results import CrossedLMMResults

FloatArray = NDArray[np.float64]

# Curvature below this share of the largest, after scaling, is flat: theta is not determined along it.
FLAT = 1e-8


@dataclass(frozen=True, eq=False)
class PredictionResults:
    """Predicted means, and what is known of them and of new observations.

    Attributes
    ----------
    predicted_mean : Series
        On the index of the data.
    var_pred_mean : Series
        Variance of ``predicted_mean`` minus the quantity predicted.
    var_obs : Series
        Variance of ``predicted_mean`` minus a new observation.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> prediction = fit.get_prediction({"Days": [5], "Subject": ["308"]})
    >>> prediction.conf_int(obs=True).round(1)
       lower  upper
    0  299.4  404.6
    """

    predicted_mean: pd.Series
    var_pred_mean: pd.Series
    var_obs: pd.Series

    @property
    def se_mean(self) -> pd.Series:
        """Standard errors of the means."""
        return np.sqrt(self.var_pred_mean)

    @property
    def se_obs(self) -> pd.Series:
        """Standard deviations of new observations around the predicted means."""
        return np.sqrt(self.var_obs)

    def conf_int(self, alpha: float = 0.05, *, obs: bool = False) -> pd.DataFrame:
        """Intervals of the means, or with ``obs=True`` of new observations.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``, by the normal distribution.
        obs : bool, default False
            Prediction intervals of observations.

        Returns
        -------
        DataFrame
            Columns ``lower`` and ``upper``.
        """
        check_alpha(alpha)
        reach = stats.norm.isf(alpha / 2.0) * (self.se_obs if obs else self.se_mean)
        return pd.DataFrame({"lower": self.predicted_mean - reach, "upper": self.predicted_mean + reach})

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Means, standard errors and both kinds of interval, in statsmodels' columns.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.

        Returns
        -------
        DataFrame
            ``mean, mean_se, mean_ci_lower, mean_ci_upper, obs_ci_lower, obs_ci_upper``.
        """
        mean, obs = self.conf_int(alpha), self.conf_int(alpha, obs=True)
        columns = {
            "mean": self.predicted_mean,
            "mean_se": self.se_mean,
            "mean_ci_lower": mean["lower"],
            "mean_ci_upper": mean["upper"],
            "obs_ci_lower": obs["lower"],
            "obs_ci_upper": obs["upper"],
        }
        return pd.DataFrame(columns)


@dataclass(frozen=True, eq=False)
class _Target:
    """Rows to predict, by term.

    ``Xi`` are the raw columns of every term, ``codes`` the levels of every factor (-1 where it has none
    that the fit has seen), ``weights`` those of new observations.
    """

    X: FloatArray
    Xi: tuple[FloatArray, ...]
    codes: tuple[NDArray[np.intp], ...]
    offset: FloatArray | None
    index: pd.Index
    weights: FloatArray | None


def get_prediction(
    results: CrossedLMMResults,
    data: Any,
    *,
    random: bool | str | Collection[str],
    new_levels: NewLevels,
    weights: Any,
    theta_uncertainty: bool,
) -> PredictionResults:
    """Predictions with their uncertainty; see `CrossedLMMResults.get_prediction`.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    data, random, new_levels, weights, theta_uncertainty
        As there.

    Returns
    -------
    PredictionResults
    """
    design, fit = results.model.design, results.pls_fit
    names = [labels.name for labels in design.factor_labels]
    chosen = chosen_factors(names, random=random)
    if data is None:
        target = _fitted_rows(results.model.present_design(), weights)
    else:
        target = _new_rows(design, data, chosen, new_levels, weights)
    enters = [names[labels.factor] in chosen for labels in design.term_labels]
    mean = _mean(design, fit, target, enters)
    variance, unknown = _prior(design, fit, target, enters)
    variance = variance + _known_part(results, target, enters, theta_uncertainty=theta_uncertainty)
    residual = fit.sigma2 / (1.0 if target.weights is None else target.weights)
    return PredictionResults(
        predicted_mean=pd.Series(mean, index=target.index, name="mean"),
        var_pred_mean=pd.Series(variance, index=target.index),
        var_obs=pd.Series(variance + unknown + residual, index=target.index),
    )


def _fitted_rows(design: Design, weights: Any) -> _Target:
    if weights is not None:
        raise ValueError("weights= belongs to new data; the rows of the fit have the weights of the fit")
    Xi = tuple(term.Xi for term in design.terms)
    codes = tuple(factor.codes for factor in design.factors)
    return _Target(design.X, Xi, codes, design.offset, design.index, design.weights)


def _new_rows(
    design: Design, data: Any, chosen: Collection[str], new_levels: NewLevels, weights: Any
) -> _Target:
    new: NewDesign = apply_design(design, data, factors=chosen)
    codes = []
    for labels, own, unseen in zip(design.factor_labels, new.codes, new.unseen, strict=True):
        if labels.name not in chosen:
            own = np.full(len(new.index), -1)
        elif new_levels == "error":
            refuse_unseen(labels.name, unseen, labels.levels)
        codes.append(own)
    frame = as_frame(data)
    w = row_vector(weights, "weights", Columns(frame), frame.index, None)
    if w is not None and not (w[~np.isnan(w)] > 0).all():
        raise DesignError("weights of new observations must be positive; remove those rows")
    return _Target(new.X, random_columns(design, data), tuple(codes), new.offset, new.index, w)


def _mean(design: Design, fit: PLSFit, target: _Target, enters: list[bool]) -> FloatArray:
    mean = fixed_part(target.X, fit.beta, target.offset)
    for labels, Xi, b, entering in zip(design.term_labels, target.Xi, fit.b, enters, strict=True):
        if entering:
            mean = mean + random_part(target.codes[labels.factor], Xi, b)
    return mean


def _prior(design: Design, fit: PLSFit, target: _Target, enters: list[bool]) -> tuple[FloatArray, FloatArray]:
    """Prior variance of the effects of unseen levels, and of the terms that do not enter."""
    unseen, left_out = np.zeros(len(target.index)), np.zeros(len(target.index))
    for labels, Xi, Sigma, entering in zip(design.term_labels, target.Xi, fit.Sigma, enters, strict=True):
        variance = np.einsum("ra,ab,rb->r", Xi, Sigma, Xi)
        if entering:
            unseen += np.where(target.codes[labels.factor] < 0, variance, 0.0)
        else:
            left_out += variance
    return unseen, left_out


def _known_part(
    results: CrossedLMMResults, target: _Target, enters: list[bool], *, theta_uncertainty: bool
) -> FloatArray:
    """Variance from estimating beta and predicting the effects of levels that the fit has seen."""
    fit = results.pls_fit
    if not any(enters) and not theta_uncertainty:
        return np.einsum("rj,jk,rk->r", target.X, fit.vcov_beta, target.X)
    criterion = results.criterion
    used = [target.X, *(Xi for Xi, entering in zip(target.Xi, enters, strict=True) if entering)]
    complete = np.asarray(np.isfinite(np.hstack(used)).all(axis=1))
    rows = _in_bases(criterion, results.model.design, target, enters, complete)
    at = criterion.decompose(criterion.relcov.to_basis @ fit.theta)
    variance = np.full(len(complete), np.nan)
    variance[complete] = fit.sigma2 * prediction_variance(criterion, at, rows)
    if theta_uncertainty:
        gradient = criterion.basis.scale * prediction_gradient(criterion, at, rows)
        variance[complete] += np.einsum("rj,jk,rk->r", gradient, theta_covariance(fit, results), gradient)
    return variance


def _in_bases(
    criterion: ProfiledCriterion,
    design: Design,
    target: _Target,
    enters: list[bool],
    complete: NDArray[np.bool_],
) -> Rows:
    relcov, count = criterion.relcov, int(complete.sum())
    columns = [np.zeros((count, K)) for K in relcov.layout.K]
    codes = [np.zeros(count, dtype=np.intp) for _ in relcov.layout.K]
    places = zip(relcov.term_factor, relcov.term_start, relcov.term_inverses, strict=True)
    for i, (f, start, inverse) in enumerate(places):
        own = target.codes[design.terms[i].factor][complete]
        if not enters[i]:
            continue
        seen = own >= 0
        codes[f] = np.where(seen, own, 0)
        Xi = np.where(seen[:, None], target.Xi[i][complete], 0.0)
        columns[f][:, start : start + len(inverse)] = Xi @ inverse
    R = criterion.basis.R
    Q = linalg.solve_triangular(R, target.X[complete].T, trans=1).T if R.size else target.X[complete]
    return Rows(relcov.layout, tuple(codes), tuple(columns), np.column_stack([Q, np.zeros(count)]), None)


def theta_covariance(fit: PLSFit, results: CrossedLMMResults) -> FloatArray:
    """Sampling covariance of theta, from the exact Hessian in (theta, sigma); zero where it is held at 0.

    Parameters
    ----------
    fit : PLSFit
        The fit.
    results : CrossedLMMResults
        Its results.

    Returns
    -------
    ndarray of shape (m, m)
    """
    H = results.fit_with_criterion().hessian_varpar()
    held = np.append(boundary_thetas(fit.Lambda, [null.shape[1] for null in fit.singular]), False)
    free = np.flatnonzero(~held)
    own = H[np.ix_(free, free)]
    root = np.sqrt(np.abs(np.diag(own)))
    root[root == 0.0] = 1.0
    values, vectors = np.linalg.eigh(own / np.outer(root, root))
    curved = values > FLAT * max(float(values.max(initial=0.0)), FLAT)
    half = vectors[:, curved] / root[:, None]
    covariance = np.zeros(H.shape)
    covariance[np.ix_(free, free)] = 2.0 * (half / values[curved]) @ half.T
    return covariance[:-1, :-1]
