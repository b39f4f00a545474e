"""The frames behind the plots: what is drawn, in the order in which it is drawn."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.fitted import generalised, record_of
from interlace.pls import PLSFit
from interlace.prediction.parts import fixed_part
from interlace.prediction.ranef import factor_columns, of_factor

from .cases import Cases, cases_of
from .deletion import delete_exactly
from .fitted_rows import FittedRows, fitted_rows
from .influence import one_step
from .measures import measure_of
from .residuals import conditional_fit, conditional_sd, resid_conditional

Cutoff = Literal["internal"] | float | None
# Measures of which small values are remarkable, too; HLMdiag's dotplots do the same.
TWO_SIDED = ("covratio", "rvc", "dfbeta", "dffits", "ranef", "resid")
# Interquartile ranges beyond the quartiles at which HLMdiag draws its cutoff.
RANGES = 3.0


def dotplot_frame(
    x: Any,
    name: str = "cooks.distance",
    *,
    cutoff: Cutoff = "internal",
    index: Any = None,
    level: Any = None,
) -> pd.DataFrame:
    """Values in increasing order, and which of them lie beyond the cutoff.

    Parameters
    ----------
    x : CrossedLMMResults, DataFrame, CaseDeletion, Series or array
        A fitted model, the frame of `hlm_influence`, what `case_delete` returned, or a measure itself.
    name : str
        Which measure, or which column of the frame; covratio and rvc are cut off on both sides.
    cutoff : "internal", number or None
        Three interquartile ranges beyond the quartiles, a given upper limit, or none.
    index : array_like, optional
        Labels; those of the Series by default.
    level : 1, str, Series or array, optional
        The cases, for a fitted model: a grouping factor, or the observations, which are the default.

    Returns
    -------
    DataFrame
        Columns value, rank and flagged, indexed by label; the limits are in ``attrs``.

    Examples
    --------
    >>> dotplot_frame(pd.Series([1.0, 2, 3, 4, 40], index=list("abcde")))["flagged"].tolist()
    [False, False, False, False, True]
    """
    x = x if (measure := measure_of(x, name, level=level)) is None else measure
    values = (
        pd.Series(x, dtype=float) if index is None else pd.Series(np.asarray(x, dtype=float), index=index)
    )
    values = values.dropna().sort_values(kind="stable")
    low, high = _limits(values.to_numpy(), name, cutoff)
    frame = pd.DataFrame({"value": values, "rank": np.arange(1, len(values) + 1)})
    frame["flagged"] = (frame["value"] > high) | (frame["value"] < low)
    frame.attrs = {"low": low, "high": high, "name": name}
    return frame


def _limits(values: FloatArray, name: str, cutoff: Cutoff) -> tuple[float, float]:
    if cutoff is None or not len(values):
        return -np.inf, np.inf
    if cutoff != "internal":
        if isinstance(cutoff, str):
            raise DesignError(f'cutoff={cutoff!r}; wanted "internal", a number or None')
        return -np.inf, float(cutoff)
    first, third = np.quantile(values, [0.25, 0.75])
    reach = max(RANGES * (third - first), 1e-9 * np.abs(values).max())  # rounding errors are not remarkable
    two_sided = any(name.startswith(kind) for kind in TWO_SIDED)
    return (float(first - reach) if two_sided else -np.inf), float(third + reach)


def residual_frame(results: Any) -> pd.DataFrame:
    """Fitted values, conditional residuals, and these divided by their standard errors.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.

    Returns
    -------
    DataFrame
        Columns fitted, resid, studentized and scale (root of the absolute studentized residual).

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.diagnostics.residual_frame(fit).head(2).round(2)
       fitted  resid  studentized  scale
    0  253.66  -4.10        -0.18   0.43
    1  273.33 -14.63        -0.63   0.79
    """
    record = record_of(results)
    design, fit = record.design, record.polished
    fitted = conditional_fit(design, fit, fixed_part(design.X, fit.beta, design.offset))
    studentized = resid_conditional(results, "studentized").to_numpy()
    columns = {
        "fitted": fitted,
        "resid": design.y - fitted,
        "studentized": studentized,
        "scale": np.sqrt(np.abs(studentized)),
    }
    return pd.DataFrame(columns, index=design.index)


def qq_frame(values: Any, distribution: Literal["normal", "uniform"] = "normal") -> pd.DataFrame:
    """Sorted values beside the quantiles of a distribution.

    Parameters
    ----------
    values : Series or array
        A sample; missing values are left out.
    distribution : {"normal", "uniform"}
        What it is compared with.

    Returns
    -------
    DataFrame
        Columns theoretical and sample, indexed by the labels of the values.

    Examples
    --------
    >>> import interlace
    >>> interlace.diagnostics.qq_frame([0.3, -1.2, 0.8]).round(2)
       theoretical  sample
    1        -0.97    -1.2
    0         0.00     0.3
    2         0.97     0.8
    """
    ordered = pd.Series(values, dtype=float).dropna().sort_values(kind="stable")
    position = (np.arange(len(ordered)) + 0.5) / max(len(ordered), 1)
    theoretical = stats.norm.ppf(position) if distribution == "normal" else position
    return pd.DataFrame({"theoretical": theoretical, "sample": ordered})


def ranef_frame(results: Any, factor: str | None = None, effect: str | None = None) -> pd.DataFrame:
    """Conditional modes with their conditional standard deviations and 95 % limits, in long form.

    Parameters
    ----------
    results : CrossedLMMResults or CrossedGLMMResults
        A fitted model.
    factor, effect : str, optional
        Only this grouping factor, only this random effect.

    Returns
    -------
    DataFrame
        Columns factor, effect, level, mode, sd, lower, upper and rank; a row per random effect, sorted by
        mode within factor and effect.

    Raises
    ------
    DesignError
        If nothing has these names.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.diagnostics.ranef_frame(fit, effect="Days")[["level", "mode", "sd"]].head(2).round(2)
      level   mode   sd
    0   335 -10.75  2.3
    1   309  -8.62  2.3
    """
    design, effects = _random_effects(results)
    parts = []
    for f, labels in enumerate(design.factor_labels):
        modes, sds = effects[f]
        for j, name in enumerate(factor_columns(design, f)):
            if factor in (None, labels.name) and effect in (None, name):
                parts.append(_modes(labels.name, name, labels.levels, modes[:, j], sds[:, j]))
    if not parts:
        known = {x.name: factor_columns(design, f) for f, x in enumerate(design.factor_labels)}
        raise DesignError(f"no random effects for factor={factor!r}, effect={effect!r}; there are {known}")
    return pd.concat(parts, ignore_index=True)


def _random_effects(results: Any) -> tuple[Design, list[tuple[FloatArray, FloatArray]]]:
    """Modes and conditional standard deviations of each factor's levels."""
    own = generalised(results)
    if own is not None:
        frames = zip(own.random_effects.values(), own.random_effects_se.values(), strict=True)
        pairs = [tuple(np.asarray(pd.DataFrame(one), dtype=float) for one in pair) for pair in frames]
        return own.record.design, [(modes, sds) for modes, sds in pairs]
    record = record_of(results)
    design, fit = record.design, record.polished
    factors = range(len(design.factor_labels))
    return design, [(np.hstack(of_factor(design, f, fit.b)), conditional_sd(design, fit, f)) for f in factors]


def _modes(factor: str, effect: str, levels: pd.Index, mode: FloatArray, sd: FloatArray) -> pd.DataFrame:
    half = stats.norm.ppf(0.975) * sd
    frame = pd.DataFrame(
        {
            "factor": factor,
            "effect": effect,
            "level": levels.astype(object),
            "mode": mode,
            "sd": sd,
            "lower": mode - half,
            "upper": mode + half,
        }
    )
    frame = frame.sort_values("mode", kind="stable")
    return frame.assign(rank=np.arange(1, len(frame) + 1))


def compare_influence_frame(
    results: Any,
    parameter: str | None = None,
    *,
    level: Any = None,
    method: Literal["one-step", "exact"] = "exact",
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Estimate, standard error and p-value of fixed effects when each group goes.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    parameter : str, optional
        A fixed effect, or the beginning of the name of just one; all of them by default.
    level : str or sequence of str, optional
        Grouping factors; all of them by default.
    method : {"one-step", "exact"}, default "exact"
        Variance components held fixed, or estimated again.
    n_jobs : int
        Processes for exact deletion.

    Returns
    -------
    DataFrame
        Indexed by level, case and parameter: estimate, se, z, pvalue (normal distribution), and change:
        deleted minus full estimate in standard errors of the full fit.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> frame = interlace.compare_influence_frame(r, "Days")
    >>> frame["estimate"].agg(["min", "max"]).round(2).tolist()
    [9.8, 11.25]
    """
    record = record_of(results)
    design, fit = record.design, record.polished
    chosen = _chosen(list(design.xnames), parameter)
    levels = [x.name for x in design.factor_labels] if level is None else level
    parts = []
    for name in [levels] if isinstance(levels, str) else levels:
        cases = cases_of(design, name, results.model.data.frame)
        estimates, se = _deleted(fitted_rows(design, fit), cases, method, n_jobs)
        parts += [_moved(design, fit, cases, estimates, se, j) for j in chosen]
    return pd.concat(parts, ignore_index=True).set_index(["level", "case", "parameter"])


def _chosen(names: list[str], parameter: str | None) -> list[int]:
    if parameter is None:
        return list(range(len(names)))
    if parameter in names:
        return [names.index(parameter)]
    found = [j for j, name in enumerate(names) if name.startswith(parameter)]
    if len(found) != 1:
        raise DesignError(
            f"parameter={parameter!r} names {len(found)} fixed effects; wanted one of {names!r}"
        )
    return found


def _deleted(fitted: FittedRows, cases: Cases, method: str, n_jobs: int) -> tuple[FloatArray, FloatArray]:
    if method == "one-step":
        step = one_step(fitted, cases)
        return fitted.fit.beta - step.change, step.se_deleted
    if method != "exact":
        raise DesignError(f'method={method!r}; wanted "one-step" or "exact"')
    deletion = delete_exactly(fitted, cases, n_jobs=n_jobs)
    return deletion.fixed_effects.to_numpy(), deletion.bse.to_numpy()


def _moved(
    design: Design, fit: PLSFit, cases: Cases, estimates: FloatArray, se: FloatArray, j: int
) -> pd.DataFrame:
    z = estimates[:, j] / se[:, j]
    return pd.DataFrame(
        {
            "level": cases.name,
            "case": cases.labels.astype(object),
            "parameter": design.xnames[j],
            "estimate": estimates[:, j],
            "se": se[:, j],
            "z": z,
            "pvalue": 2.0 * stats.norm.sf(np.abs(z)),
            "change": (estimates[:, j] - fit.beta[j]) / np.sqrt(fit.vcov_beta[j, j]),
        }
    )
