"""broom's frames: one row per parameter, one row per model, one row per observation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.diagnostics.leverage import leverage
from interlace.fitted import EstimatedModel
from interlace.inference.parameters import IntervalMethod, parameter_values, sds_and_correlations
from interlace.pls.matrices.structures import unstructured

TESTS = ["estimate", "std_error", "statistic", "df", "p_value"]


def tidy(
    self: EstimatedModel,
    conf_int: bool = False,
    alpha: float = 0.05,
    *,
    method: IntervalMethod = "wald",
    **options: Any,
) -> pd.DataFrame:
    """One row per parameter, as broom.mixed's ``tidy``.

    Parameters
    ----------
    conf_int : bool, default False
        Add ``conf_low`` and ``conf_high``.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.
    method : {"wald", "profile", "bootstrap"}, default "wald"
        Of the intervals; "wald" gives none for the random part.
    **options
        Further keywords of ``conf_int``.

    Returns
    -------
    DataFrame
        ``effect, group, term, estimate, std_error, statistic, df, p_value``: fixed effects, then standard
        deviations and correlations.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.tidy()[["effect", "group", "term", "estimate"]].round(3).iloc[[1, 3, 5]]
         effect     group                  term  estimate
    1     fixed                            Days    10.467
    3  ran_pars   Subject  cor__(Intercept).Days     0.066
    5  ran_pars  Residual       sd__Observation    25.592
    """
    fixed = self.coef_table(alpha=alpha)
    described = _random_rows(self.record.design)
    values = parameter_values(self.pls_fit)[: len(described)]
    frame = pd.DataFrame(
        [("fixed", "", name) for name in fixed.index] + [("ran_pars", *pair) for pair in described],
        columns=["effect", "group", "term"],
    )
    for column in TESTS:
        others = values if column == "estimate" else np.full(len(described), np.nan)
        frame[column] = np.concatenate([fixed[column].to_numpy(float), others])
    if not conf_int:
        return frame
    limits = _limits(self, fixed, alpha=alpha, method=method, options=options)
    return frame.assign(conf_low=limits[:, 0], conf_high=limits[:, 1])


def _limits(
    results: EstimatedModel, fixed: pd.DataFrame, *, alpha: float, method: IntervalMethod, options: Any
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


def glance(self: EstimatedModel) -> pd.DataFrame:
    """One row for the model, as broom.mixed's ``glance``.

    Returns
    -------
    DataFrame
        ``nobs, sigma, loglik, aic, bic``, ``remlcrit`` or ``deviance``, ``df_residual``,
        ``is_singular``, ``converged``.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.glance()[["nobs", "sigma", "remlcrit"]].round(3)
       nobs   sigma  remlcrit
    0   180  25.592  1743.628
    """
    row = {
        "nobs": self.nobs,
        "sigma": self.sigma,
        "loglik": self.llf,
        "aic": self.aic,
        "bic": self.bic,
        "remlcrit" if self.reml else "deviance": self.objective,
        "df_residual": self.nobs - self.npar,
        "is_singular": self.is_singular,
        "converged": self.converged,
    }
    return pd.DataFrame([row])


def augment(self: EstimatedModel, data: Any = None) -> pd.DataFrame:
    """The data with fitted values and diagnostics, as broom.mixed's ``augment``.

    Parameters
    ----------
    data : DataFrame, optional
        New rows: they get ``.fitted`` and ``.fixed`` only.

    Returns
    -------
    DataFrame
        A copy of the rows used, with ``.fitted``, ``.resid``, ``.hat``, ``.cooksd`` and ``.fixed``.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.augment()[["Days", ".fitted", ".resid"]].head(2).round(2)
       Days  .fitted  .resid
    0     0   253.66   -4.10
    1     1   273.33  -14.63
    """
    if data is not None:
        predicted = self.predict(data)
        added = {".fitted": predicted, ".fixed": self.predict(data, random=False)}
        return pd.DataFrame(data, index=predicted.index).assign(**added)
    design = self.record.design
    hat = leverage(self)["overall"].to_numpy()
    root = 1.0 if design.weights is None else np.sqrt(design.weights)
    pearson = self.resid * root / (1.0 - hat)
    return _data_of_rows(self, design).assign(
        **{
            ".fitted": self.fittedvalues,
            ".resid": self.resid,
            ".hat": hat,
            ".cooksd": pearson**2 * hat / (self.scale * self.k_fe),
            ".fixed": self.fittedvalues_marginal,
        }
    )


def _data_of_rows(results: EstimatedModel, design: Design) -> pd.DataFrame:
    """The columns that the model uses, as they entered it."""
    columns: dict[str, Any] = {design.yname: design.y}
    columns |= {name: design.X[:, j] for j, name in enumerate(design.xnames) if name != "Intercept"}
    for labels, factor in zip(design.factor_labels, design.factors, strict=True):
        columns[labels.name] = labels.levels[factor.codes]
    frame = results.model.data.frame
    if isinstance(frame, pd.DataFrame) and design.index.is_unique and design.index.isin(frame.index).all():
        return frame.loc[design.index].copy()
    return pd.DataFrame(columns, index=design.index)
