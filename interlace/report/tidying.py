"""broom's frames: one row per parameter, one row per model, one row per observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interlace.diagnostics import leverage
from interlace.inference.parameters import parameter_values, sds_and_correlations
from interlace.pls.matrices.structures import unstructured

if TYPE_CHECKING:
    from interlace.design import Design
    from interlace.lmm.results import CrossedLMMResults

FloatArray = NDArray[np.float64]
IntervalMethod = Literal["wald", "profile", "bootstrap"]

TESTS = ["estimate", "std_error", "statistic", "df", "p_value"]


def tidy(
    results: CrossedLMMResults, *, conf_int: bool, alpha: float, method: IntervalMethod, options: Any
) -> pd.DataFrame:
    """One row per parameter; see `CrossedLMMResults.tidy`.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    conf_int : bool
        Add ``conf_low`` and ``conf_high``.
    alpha, method, options
        Of the intervals.

    Returns
    -------
    DataFrame
    """
    fixed = results.coef_table(alpha=alpha)
    described = _random_rows(results.model.design)
    values = parameter_values(results.pls_fit)[: len(described)]
    frame = pd.DataFrame(
        [("fixed", "", name) for name in fixed.index] + [("ran_pars", *pair) for pair in described],
        columns=["effect", "group", "term"],
    )
    for column in TESTS:
        others = values if column == "estimate" else np.full(len(described), np.nan)
        frame[column] = np.concatenate([fixed[column].to_numpy(float), others])
    if not conf_int:
        return frame
    limits = _limits(results, fixed, alpha=alpha, method=method, options=options)
    return frame.assign(conf_low=limits[:, 0], conf_high=limits[:, 1])


def _limits(
    results: CrossedLMMResults, fixed: pd.DataFrame, *, alpha: float, method: IntervalMethod, options: Any
) -> FloatArray:
    """Fixed effects first, then standard deviations, correlations and sigma."""
    if method == "wald":
        known = fixed[["conf_low", "conf_high"]].to_numpy(float)
        count = len(sds_and_correlations(results.pls_fit.Sigma)) + 1
        return np.vstack([known, np.full((count, 2), np.nan)])
    found = results.conf_int(alpha, method=method, **options).to_numpy(float)
    first_fixed = len(found) - len(fixed)
    return np.vstack([found[first_fixed:], found[:first_fixed]])


def _random_rows(design: Design) -> list[tuple[str, str]]:
    """Group and term of every standard deviation and correlation, in broom.mixed's spelling."""
    rows = []
    for labels in design.term_labels:
        group, columns = design.factor_labels[labels.factor].name, labels.columns
        structure = unstructured(len(columns))
        for i, j in zip(structure.rows, structure.columns, strict=True):
            rows.append((group, f"sd__{columns[j]}" if i == j else f"cor__{columns[j]}.{columns[i]}"))
    return [*rows, ("Residual", "sd__Observation")]


def glance(results: CrossedLMMResults) -> pd.DataFrame:
    """One row for the model; see `CrossedLMMResults.glance`.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.

    Returns
    -------
    DataFrame
        ``nobs, sigma, loglik, aic, bic``, ``remlcrit`` or ``deviance``, ``df_residual``, ``is_singular``,
        ``converged``.
    """
    row = {
        "nobs": results.nobs,
        "sigma": results.sigma,
        "loglik": results.llf,
        "aic": results.aic,
        "bic": results.bic,
        "remlcrit" if results.reml else "deviance": results.objective,
        "df_residual": results.nobs - results.npar,
        "is_singular": results.is_singular,
        "converged": results.converged,
    }
    return pd.DataFrame([row])


def augment(results: CrossedLMMResults, data: Any = None) -> pd.DataFrame:
    """The rows of the fit, or new ones, with what the model says of them.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    data : table, optional
        New rows.

    Returns
    -------
    DataFrame
        A copy of the data with columns ``.fitted`` and ``.fixed``; for the rows of the fit also ``.resid``,
        ``.hat`` (leverage) and ``.cooksd`` (lme4's ``cooks.distance`` of a model).
    """
    if data is not None:
        predicted = results.predict(data)
        added = {".fitted": predicted, ".fixed": results.predict(data, random=False)}
        return pd.DataFrame(data, index=predicted.index).assign(**added)
    design = results.model.present_design()
    hat = leverage(results)["overall"].to_numpy()
    root = 1.0 if design.weights is None else np.sqrt(design.weights)
    pearson = results.resid * root / (1.0 - hat)
    return _data_of_rows(results, design).assign(
        **{
            ".fitted": results.fittedvalues,
            ".resid": results.resid,
            ".hat": hat,
            ".cooksd": pearson**2 * hat / (results.scale * results.k_fe),
            ".fixed": results.fittedvalues_marginal,
        }
    )


def _data_of_rows(results: CrossedLMMResults, design: Design) -> pd.DataFrame:
    """The columns that the model uses, as they entered it."""
    columns: dict[str, Any] = {design.yname: design.y}
    columns |= {name: design.X[:, j] for j, name in enumerate(design.xnames) if name != "Intercept"}
    for labels, factor in zip(design.factor_labels, design.factors, strict=True):
        columns[labels.name] = labels.levels[factor.codes]
    frame = results.model.data.frame
    if isinstance(frame, pd.DataFrame) and design.index.is_unique and design.index.isin(frame.index).all():
        return frame.loc[design.index].copy()
    return pd.DataFrame(columns, index=design.index)
