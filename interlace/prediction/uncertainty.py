"""Predictions with standard errors and intervals, for the mean and for new observations."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg, stats

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.design import Design, apply_design
from interlace.errors import ArgumentError, DesignError
from interlace.fitted import EstimatedModel, Fitted
from interlace.frames.columns import Columns, as_frame
from interlace.frames.used_rows import row_vector
from interlace.inference import boundary_thetas
from interlace.inference.confidence import check_alpha
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.elsewhere import agree
from interlace.pls.rows.predictive import prediction_gradient, prediction_variance
from interlace.pls.rows.weighted import Rows

from .parts import NewLevels, check_new_levels, chosen_factors, fixed_part, mean_of_terms, refuse_unseen

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
    codes: tuple[IntArray, ...]
    offset: FloatArray | None
    index: pd.Index
    weights: FloatArray | None


def get_prediction(
    self: EstimatedModel,
    data: Any = None,
    *,
    random: bool | str | Collection[str] = True,
    new_levels: NewLevels = "error",
    weights: Any = None,
    theta_uncertainty: bool = False,
) -> PredictionResults:
    """Predictions with standard errors, confidence and prediction intervals.

    Parameters
    ----------
    data : DataFrame or dict of arrays, optional
        New data; the rows of the fit if None.
    random : bool or str or collection of str, default True
        Which random effects enter the mean, as in ``predict``. Those of the other factors are taken as
        drawn anew for every observation: they widen its interval, not that of the mean.
    new_levels : {"error", "population"}, default "error"
        Refuse levels that the fit has not seen, or predict zero for their random effects and add their
        variance.
    weights : str or array_like, optional
        Of new observations, with residual variance ``scale / weights``; 1 by default.
    theta_uncertainty : bool, default False
        Add, by the delta method, what the estimation of the covariance parameters does to the mean. The
        variances themselves are taken as known either way.

    Returns
    -------
    PredictionResults
        With ``summary_frame(alpha)``, ``conf_int(alpha, obs=)``, ``predicted_mean``, ``se_mean``,
        ``se_obs``. Intervals use the normal distribution.

    Raises
    ------
    LevelError
        For unseen levels, by default.

    References
    ----------
    Henderson (1975), Biometrics 31, 423-447.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> new = {"Days": [0, 10], "Subject": ["308", "308"]}
    >>> fit.get_prediction(new).summary_frame()[["mean", "mean_se"]].round(2)
         mean  mean_se
    0  253.66    12.25
    1  450.33    15.85
    """
    check_new_levels(new_levels)
    fitted = self.record
    design, fit, names = fitted.design, fitted.fit, fitted.design.factor_names
    chosen = chosen_factors(names, random=random)
    if data is None:
        target = _fitted_rows(design, weights)
    else:
        target = _new_rows(design, data, chosen, new_levels, weights)
    enters = [names[labels.factor] in chosen for labels in design.term_labels]
    moments = _moments(fitted, target, enters, theta_uncertainty=theta_uncertainty)
    if fit.elsewhere is not None:
        there = _moments(fitted.elsewhere, target, enters, theta_uncertainty=theta_uncertainty)
        pairs = zip(moments, there, (np.sqrt(fit.sigma2), 0.0, 0.0), strict=True)
        moments = tuple(np.where(agree(own, other, size), own, np.nan) for own, other, size in pairs)
    mean, variance, var_obs = moments
    return PredictionResults(
        predicted_mean=pd.Series(mean, index=target.index, name="mean"),
        var_pred_mean=pd.Series(variance, index=target.index),
        var_obs=pd.Series(var_obs, index=target.index),
    )


def _moments(
    fitted: Fitted, target: _Target, enters: list[bool], *, theta_uncertainty: bool
) -> tuple[FloatArray, ...]:
    """Means, their variances, and those of new observations around them."""
    design, fit = fitted.design, fitted.fit
    names = design.factor_names
    chosen = [names[labels.factor] for labels, own in zip(design.term_labels, enters, strict=True) if own]
    mean = fixed_part(target.X, fit.beta, target.offset)
    mean = mean_of_terms(mean, design.schema, target.Xi, target.codes, fit.b, chosen)
    variance, unknown = _prior(design, fit, target, enters)
    variance = variance + _known_part(fitted, target, enters, theta_uncertainty=theta_uncertainty)
    residual = fit.sigma2 / (1.0 if target.weights is None else target.weights)
    return mean, variance, variance + unknown + residual


def _fitted_rows(design: Design, weights: Any) -> _Target:
    if weights is not None:
        raise ArgumentError("weights= belongs to new data; the rows of the fit have the weights of the fit")
    Xi = tuple(term.Xi for term in design.terms)
    codes = tuple(factor.codes for factor in design.factors)
    return _Target(design.X, Xi, codes, design.offset, design.index, design.weights)


def _new_rows(
    design: Design, data: Any, chosen: Collection[str], new_levels: NewLevels, weights: Any
) -> _Target:
    frame = as_frame(data)
    new = apply_design(design, frame, factors=chosen, every_term=True)
    codes = []
    for labels, own, unseen in zip(design.factor_labels, new.codes, new.unseen, strict=True):
        if labels.name not in chosen:
            own = np.full(len(new.index), -1)
        elif new_levels == "error":
            refuse_unseen(labels.name, unseen, labels.levels, n_dropped=design.n_dropped)
        codes.append(own)
    w = row_vector(weights, "weights", Columns(frame), frame.index, None)
    if w is not None and not (w[~np.isnan(w)] > 0).all():
        raise DesignError("weights of new observations must be positive; remove those rows")
    return _Target(new.X, new.Xi, tuple(codes), new.offset, new.index, w)


def _prior(design: Design, fit: PLSFit, target: _Target, enters: list[bool]) -> tuple[FloatArray, FloatArray]:
    """Prior variance of the effects of unseen levels, and of the terms that do not enter."""
    unseen, left_out = np.zeros(len(target.index)), np.zeros(len(target.index))
    for labels, Xi, Sigma, entering in zip(
        design.term_labels, target.Xi, fit.Sigma_at_theta, enters, strict=True
    ):
        variance = np.einsum("ra,ab,rb->r", Xi, Sigma, Xi)
        if entering:
            unseen += np.where(target.codes[labels.factor] < 0, variance, 0.0)
        else:
            left_out += variance
    return unseen, left_out


def _known_part(
    fitted: Fitted, target: _Target, enters: list[bool], *, theta_uncertainty: bool
) -> FloatArray:
    """Variance from estimating beta and predicting the effects of levels that the fit has seen."""
    fit = fitted.fit
    if not any(enters) and not theta_uncertainty:
        return np.einsum("rj,jk,rk->r", target.X, fit.vcov_at_theta, target.X)
    criterion = fitted.criterion
    used = [target.X, *(Xi for Xi, entering in zip(target.Xi, enters, strict=True) if entering)]
    complete = np.asarray(np.isfinite(np.hstack(used)).all(axis=1))
    rows = _in_bases(criterion, fitted.design, target, enters, complete)
    at = criterion.decompose(criterion.relcov.to_basis @ fit.theta)
    variance = np.full(len(complete), np.nan)
    variance[complete] = fit.sigma2 * prediction_variance(criterion, at, rows)
    if theta_uncertainty:
        gradient = criterion.basis.scale * prediction_gradient(criterion, at, rows)
        variance[complete] += np.einsum("rj,jk,rk->r", gradient, theta_covariance(fitted), gradient)
    return variance


def _in_bases(
    criterion: ProfiledCriterion,
    design: Design,
    target: _Target,
    enters: list[bool],
    complete: BoolArray,
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


def theta_covariance(fitted: Fitted) -> FloatArray:
    """Sampling covariance of theta, from the exact Hessian in (theta, sigma); zero where it is held at 0.

    Parameters
    ----------
    fitted : Fitted
        A fit.

    Returns
    -------
    ndarray of shape (m, m)
    """
    fit = fitted.complete
    H = fit.hessian_varpar()
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
