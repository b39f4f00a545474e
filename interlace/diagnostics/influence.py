"""Deletion diagnostics of observations and groups: Cook's distance and its relatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pandas as pd

from interlace.errors import DesignError
from interlace.fitted import generalised, record_of
from interlace.frames.columns import as_frame
from interlace.pls.rows.one_step import OneStep, delete_cases, delete_rows

from .cases import Cases, cases_of
from .deletion import CaseDeletion, case_delete, delete_exactly
from .fitted_rows import FittedRows, fitted_rows
from .leverage import PARTS, leverage_of_rows
from .residuals import hlm_resid

Method = Literal["one-step", "exact"]
MEASURES = ("cooksd", "mdffits", "covtrace", "covratio")


def one_step(fitted: FittedRows, cases: Cases) -> OneStep:
    """Delete every case with the variance components held fixed.

    Parameters
    ----------
    fitted : FittedRows
        A fit.
    cases : Cases
        Rows or groups of rows.

    Returns
    -------
    OneStep
        Arrays, in the order of the cases.
    """
    criterion = fitted.fit.criterion
    if cases.single:
        return delete_rows(criterion, fitted.at, fitted.rows)
    return delete_cases(criterion, fitted.at, fitted.rows, cases.codes, cases.n)


def measures_frame(step: OneStep, index: pd.Index) -> pd.DataFrame:
    """Columns cooksd, mdffits, covtrace, covratio."""
    return pd.DataFrame({name: getattr(step, name) for name in MEASURES}, index=index)


def hlm_influence(
    results: Any,
    level: Any = 1,
    *,
    method: Method = "one-step",
    leverage: str | Sequence[str] = "overall",
    data: Any = None,
    n_jobs: int = 1,
    progress: bool = True,
) -> pd.DataFrame:
    """Influence measures and leverage of observations or groups.

    Parameters
    ----------
    results : CrossedLMMResults or CrossedGLMMResults
        A fitted model.
    level : 1, str, Series or array, default 1
        The observations (1), a grouping factor, a combination such as ``"subject:item"``, or any
        partition of the rows used.
    method : {"one-step", "exact"}, default "one-step"
        Variance components held fixed, by a closed form; or everything estimated again.
    leverage : str or sequence of str, default "overall"
        Leverages to add: some of overall, fixef, ranef, ranef.uc.
    data : DataFrame, optional
        Put its columns before the measures, row by row; for observations only.
    n_jobs : int, default 1
        Processes for exact deletion; needs joblib.
    progress : bool, default True
        Show a progress bar for it, on a terminal that has tqdm.

    Returns
    -------
    DataFrame
        ``cooksd mdffits covtrace covratio leverage.overall``, and ``rvc.*`` for exact deletion; on the
        index of the data, or the labels of the groups in level order.

    Notes
    -----
    With d = β - β₍I₎ (full minus deleted), C the covariance of β and C₍I₎ that without the case:
    ``cooksd = d'C⁻¹d / p``, ``mdffits = d'C₍I₎⁻¹d / p``, ``covtrace = |tr(C⁻¹C₍I₎) - p|``, ``covratio =
    det C₍I₎ / det C``, ``rvc = deleted / full - 1``. lme4's ``dfbeta`` has the other sign, deleted minus
    full.

    References
    ----------
    Christensen, Pearson & Johnson (1992), Technometrics 34, 38-45; Loy & Hofmann (2014), Journal of
    Statistical Software 56(5).

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> interlace.hlm_influence(r, "sample").round(3)
            cooksd  mdffits  covtrace  covratio  leverage.overall
    sample
    A        0.295    0.247     0.191     1.191             0.191
    B        0.063    0.053     0.191     1.191             0.191
    C        0.231    0.194     0.191     1.191             0.191
    D        0.001    0.000     0.191     1.191             0.191
    E        0.000    0.000     0.191     1.191             0.191
    F        0.556    0.467     0.191     1.191             0.191
    """
    if (own := generalised(results)) is not None:
        return _generalised(own, level, method, leverage, data, n_jobs=n_jobs, progress=progress)
    record = record_of(results)
    design, fit = record.design, record.polished
    cases = cases_of(design, level, results.model.data.frame)
    fitted = fitted_rows(design, fit)
    by_row = leverage_of_rows(fitted)
    frame, rvc = _measures(fitted, cases, method, n_jobs=n_jobs, progress=progress)
    for part in [leverage] if isinstance(leverage, str) else leverage:
        if part not in PARTS:
            raise DesignError(f"leverage={part!r}; wanted some of {list(PARTS)}")
        frame[f"leverage.{part}"] = cases.mean(by_row[part])
    if rvc is not None:
        frame = frame.join(rvc)
    return frame if data is None else _beside(data, frame, cases)


def _generalised(
    results: Any,
    level: Any,
    method: Method,
    parts: str | Sequence[str],
    data: Any,
    *,
    n_jobs: int,
    progress: bool,
) -> pd.DataFrame:
    """The same of a generalised model, which does the work itself."""
    frame = results.influence(level, method=method, n_jobs=n_jobs, progress=progress)
    wanted = [parts] if isinstance(parts, str) else list(parts)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise DesignError(f"leverage={unknown[0]!r}; wanted some of {list(PARTS)}")
    by_part = results.leverage(level)[wanted].add_prefix("leverage.")
    frame = pd.concat([frame.drop(columns="leverage.overall"), by_part], axis=1)
    cases = cases_of(results.record.design, level, results.model.data.frame)
    return frame if data is None else _beside(data, frame, cases)


def _measures(
    fitted: FittedRows, cases: Cases, method: str, *, n_jobs: int = 1, progress: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    if method == "one-step":
        return measures_frame(one_step(fitted, cases), cases.labels), None
    if method != "exact":
        raise DesignError(f'method={method!r}; wanted "one-step" or "exact"')
    deletion = delete_exactly(fitted, cases, n_jobs=n_jobs, progress=progress)
    return deletion.measures.copy(), deletion.rvc


def _beside(data: Any, frame: pd.DataFrame, cases: Cases) -> pd.DataFrame:
    if not cases.single:
        raise DesignError("data= is for the observations, level=1; groups have no row of the data")
    given = as_frame(data)
    if len(given) == len(frame):
        return pd.concat([given.set_axis(frame.index), frame], axis=1)
    return pd.concat([given.loc[frame.index], frame], axis=1)


def hlm_augment(
    results: Any, level: Any = 1, *, include_ls: bool = True, data: Any = None, method: Method = "one-step"
) -> pd.DataFrame:
    """Residuals and influence measures side by side.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    level : 1 or str, default 1
        The observations, or a grouping factor.
    include_ls : bool, default True
        Add the least-squares residuals.
    data : DataFrame, optional
        Put its columns first.
    method : {"one-step", "exact"}, default "one-step"
        As for `hlm_influence`.

    Returns
    -------
    DataFrame
        The columns of `hlm_resid`, then those of `hlm_influence`.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.hlm_augment(r, "Subject").shape
    (18, 9)
    """
    residuals = hlm_resid(results, level, include_ls=include_ls)
    influence = hlm_influence(results, level, method=method)
    joined = pd.concat([residuals, influence], axis=1)
    if data is None:
        return joined
    return _beside(data, joined, cases_of(record_of(results).design, level, results.model.data.frame))


# ---- One measure at a time ----------------------------------------------------------------------------


def _measure(results: Any, level: Any, method: Method, name: str) -> pd.Series:
    if isinstance(results, CaseDeletion):
        return results.measures[name]
    if (own := generalised(results)) is not None:
        found: pd.Series = own.influence(level, method=method)[name]
        return found
    record = record_of(results)
    design, fit = record.design, record.polished
    cases = cases_of(design, level, results.model.data.frame)
    return _measures(fitted_rows(design, fit), cases, method)[0][name]


def cooks_distance(results: Any, level: Any = 1, *, method: Method = "one-step") -> pd.Series:
    """Cook's distance of the fixed effects: ``d' C^-1 d / p``, d full minus deleted.

    Parameters
    ----------
    results : CrossedLMMResults or CaseDeletion
        A fitted model, or what `case_delete` returned for one.
    level : 1, str, Series or array, default 1
        The cases; see `hlm_influence`.
    method : {"one-step", "exact"}, default "one-step"
        Variance components held fixed or estimated again.

    Returns
    -------
    Series
        Named ``cooksd``.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.cooks_distance(r, "Subject").idxmax()
    '309'
    """
    return _measure(results, level, method, "cooksd")


def mdffits(results: Any, level: Any = 1, *, method: Method = "one-step") -> pd.Series:
    """MDFFITS: ``d' C_(I)^-1 d / p``, Cook's distance in the metric of the deleted fit.

    Parameters
    ----------
    results : CrossedLMMResults or CaseDeletion
        A fitted model, or what `case_delete` returned for one.
    level : 1, str, Series or array, default 1
        The cases; see `hlm_influence`.
    method : {"one-step", "exact"}, default "one-step"
        Variance components held fixed or estimated again.

    Returns
    -------
    Series
        Named ``mdffits``.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.mdffits(r, "Subject").max().round(3)
    np.float64(0.14)
    """
    return _measure(results, level, method, "mdffits")


def covratio(results: Any, level: Any = 1, *, method: Method = "one-step") -> pd.Series:
    """COVRATIO: ``det C_(I) / det C``; above 1 where the case adds precision.

    Parameters
    ----------
    results : CrossedLMMResults or CaseDeletion
        A fitted model, or what `case_delete` returned for one.
    level : 1, str, Series or array, default 1
        The cases; see `hlm_influence`.
    method : {"one-step", "exact"}, default "one-step"
        Variance components held fixed or estimated again.

    Returns
    -------
    Series
        Named ``covratio``.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.covratio(r, "Subject").max().round(3)
    np.float64(1.121)
    """
    return _measure(results, level, method, "covratio")


def covtrace(results: Any, level: Any = 1, *, method: Method = "one-step") -> pd.Series:
    """COVTRACE: ``|tr(C^-1 C_(I)) - p|``; 0 where the case does not change the precision.

    Parameters
    ----------
    results : CrossedLMMResults or CaseDeletion
        A fitted model, or what `case_delete` returned for one.
    level : 1, str, Series or array, default 1
        The cases; see `hlm_influence`.
    method : {"one-step", "exact"}, default "one-step"
        Variance components held fixed or estimated again.

    Returns
    -------
    Series
        Named ``covtrace``.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.covtrace(r, "Subject").max().round(3)
    np.float64(0.118)
    """
    return _measure(results, level, method, "covtrace")


def rvc(results: Any, level: Any = 1, *, n_jobs: int = 1, progress: bool = True) -> pd.DataFrame:
    """Relative variance change: each component without the case, divided by that of the fit, less 1.

    Parameters
    ----------
    results : CrossedLMMResults or CaseDeletion
        A fitted model (it is refitted without each case), or what `case_delete` returned for one.
    level : 1, str, Series or array, default 1
        The cases; see `hlm_influence`.
    n_jobs : int, default 1
        Processes; needs joblib.
    progress : bool, default True
        Show a progress bar, on a terminal that has tqdm.

    Returns
    -------
    DataFrame
        ``rvc.Residual``, then ``rvc.<factor>`` or ``rvc.<factor>.<row>.<column>``; NaN only where the fit's
        component is 0.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> interlace.rvc(r, "sample").loc["F"].round(2).to_dict()
    {'rvc.Residual': 0.01, 'rvc.plate': -0.05, 'rvc.sample': -0.48}
    """
    if isinstance(results, CaseDeletion):
        return results.rvc
    return case_delete(results, level, n_jobs=n_jobs, progress=progress).rvc
