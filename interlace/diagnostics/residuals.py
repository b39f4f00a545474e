"""Residuals at every level: of rows (conditional, marginal, least-squares) and of groups (random effects)."""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.fitted import record_of
from interlace.formula.spelling import refuse_unknown
from interlace.names import INTERCEPT
from interlace.pls import PLSFit
from interlace.pls.matrices.triangular import upper_solve_right
from interlace.pls.rows.weighted import quadratics, whitened
from interlace.pls.rows.whitening import uncorrelated
from interlace.prediction.parts import conditional_mean, fixed_part
from interlace.prediction.ranef import factor_columns, of_factor

from .cases import cases_of
from .fitted_rows import FittedRows, fitted_rows
from .least_squares import GroupwiseOLS, groupwise_ols
from .leverage import random_share
from .quantile import Seed, quantile_residuals

Standardize = bool | Literal["semi"]
Type = Literal["raw", "pearson", "studentized", "cholesky"]
TYPES = ("raw", "pearson", "studentized", "cholesky")
# Columns of each kind of residual of the observations.
OF_TYPE = {
    "conditional": (".resid", ".std.resid", ".fitted"),
    "marginal": (".mar.resid", ".chol.mar.resid", ".mar.fitted"),
    "ls": (".ls.resid", ".std.ls.resid", ".semi.ls.resid", ".ls.fitted"),
}


def hlm_resid(
    results: Any,
    level: Any = 1,
    *,
    standardize: Standardize = False,
    include_ls: bool = True,
    kind: Literal["hlm", "quantile"] = "hlm",
    nsim: int = 250,
    rng: Seed = None,
    type: Literal["conditional", "marginal", "ls"] | None = None,
    **unknown: object,
) -> pd.DataFrame:
    """Residuals of the observations, or of one grouping factor's random effects.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    level : 1 or str, default 1
        1 for the observations, or a grouping factor.
    standardize : False, True or "semi", default False
        True: conditional residuals divided by sigma (times the root of the prior weight), marginal ones
        made independent by the Cholesky factor of their covariance, least-squares ones studentized;
        random effects divided by their conditional standard deviation. "semi": least-squares residuals
        divided by the root of one minus their leverage, everything else raw.
    include_ls : bool, default True
        Add residuals of one ordinary least-squares fit per innermost group, which the random effects do
        not shrink.
    kind : {"hlm", "quantile"}, default "hlm"
        "quantile": simulated quantile residuals instead, column ``.quantile.resid``; uniform on (0, 1) if
        the model is right.
    nsim : int, default 250
        Simulated responses behind a quantile residual.
    rng : int, Generator or SeedSequence, optional
        For the simulation.
    type : {"conditional", "marginal", "ls"}, optional
        One kind of residual of the observations and its fitted values; all by default.
    **unknown
        Refused with a TypeError.

    Returns
    -------
    DataFrame
        Observations on the index of the data: ``.resid .fitted .ls.resid .ls.fitted .mar.resid
        .mar.fitted``; standardized ``.std.resid``, ``.std.ls.resid``, ``.semi.ls.resid`` and
        ``.chol.mar.resid`` take the places of the raw ones. Groups in level order: ``.ranef.*`` or
        ``.std.ranef.*``, and ``.ls.*`` or ``.std.ls.*`` for the columns that are fixed effects, too.

    Raises
    ------
    DesignError
        If the level is no grouping factor, or an option is unknown.

    Notes
    -----
    Definitions and names are HLMdiag's, which refuses crossed models and ignores prior weights. An offset
    belongs to the fitted values, never to a residual.

    References
    ----------
    Loy & Hofmann (2014), Journal of Statistical Software 56(5); Hartig (2022), the R package DHARMa.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.hlm_resid(r).columns.tolist()
    ['.resid', '.fitted', '.ls.resid', '.ls.fitted', '.mar.resid', '.mar.fitted']
    >>> interlace.hlm_resid(r, "Subject").head(2).round(2)
             .ranef.intercept  .ranef.days  .ls.intercept  .ls.days
    Subject
    308                  2.26         9.20          -7.21     11.30
    309                -40.40        -8.62         -46.35     -8.21
    """
    refuse_unknown("hlm_resid", unknown)
    record = record_of(results)
    design, fit = record.design, record.polished
    if type is not None and (level not in (1, "1") or kind != "hlm"):
        raise DesignError(f"type={type!r} chooses among residuals of observations; leave it out here")
    if type not in (None, *OF_TYPE):
        raise DesignError(f"type={type!r}; wanted one of {list(OF_TYPE)!r}")
    if standardize not in (False, True, "semi"):
        raise DesignError(f'standardize={standardize!r}; wanted False, True or "semi"')
    if kind not in ("hlm", "quantile"):
        raise DesignError(f'kind={kind!r}; wanted "hlm" or "quantile"')
    if level not in (1, "1"):
        if kind == "quantile":
            raise DesignError("quantile residuals belong to observations; leave level= at 1")
        return group_residuals(design, fit, str(level), standardize=standardize, include_ls=include_ls)
    if kind == "quantile":
        return quantile_residuals(design, fit, nsim=nsim, rng=rng)
    wanted_ls = include_ls if type is None else type == "ls"
    frame = row_residuals(design, fit, standardize=standardize, include_ls=wanted_ls)
    return frame if type is None else frame[[c for c in frame.columns if c in OF_TYPE[type]]]


def row_residuals(
    design: Design, fit: PLSFit, *, standardize: Standardize = False, include_ls: bool = True
) -> pd.DataFrame:
    """Residuals and fitted values of the observations; see `hlm_resid`.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit.
    standardize, include_ls
        As for `hlm_resid`.

    Returns
    -------
    DataFrame
        On the index of the data.
    """
    marginal = fixed_part(design.X, fit.beta, design.offset)
    fitted = conditional_fit(design, fit, marginal)
    raw = design.y - fitted
    if standardize is True:
        columns = {".std.resid": raw * root_weights(design) / np.sqrt(fit.sigma2)}
    else:
        columns = {".resid": raw}
    columns[".fitted"] = fitted
    if include_ls:
        columns |= _ls_columns(innermost_ols(design), design, standardize)
    if standardize is True:
        columns[".chol.mar.resid"] = _cholesky(fitted_rows(design, fit))
    else:
        columns[".mar.resid"] = design.y - marginal
    columns[".mar.fitted"] = marginal
    return pd.DataFrame(columns, index=design.index)


def conditional_fit(design: Design, fit: PLSFit, marginal: FloatArray) -> FloatArray:
    """Fitted values with the random effects.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit.
    marginal : ndarray of shape (n,)
        Fitted values without.

    Returns
    -------
    ndarray of shape (n,)
    """
    return conditional_mean(design, fit, marginal)


def root_weights(design: Design) -> FloatArray | float:
    """Roots of the prior weights; 1 without."""
    return 1.0 if design.weights is None else np.sqrt(design.weights)


def response(design: Design) -> FloatArray:
    """The response less the offset."""
    return design.y if design.offset is None else design.y - design.offset


def innermost_ols(design: Design) -> GroupwiseOLS:
    """Least squares in every group of the innermost factor, that of the first term."""
    factor = design.factors[design.terms[0].factor]
    return groupwise_ols(design.X, response(design), factor.codes, factor.n_levels, design.weights)


def _ls_columns(ols: GroupwiseOLS, design: Design, standardize: Standardize) -> dict[str, FloatArray]:
    codes = design.factors[design.terms[0].factor].codes
    free = 1.0 - ols.hat
    spread = np.sqrt(np.where(free > 1e-10, free, np.nan))
    shift = 0.0 if design.offset is None else design.offset
    if standardize is True:
        columns = {".std.ls.resid": ols.resid / (ols.sigma[codes] * spread)}
    elif standardize == "semi":
        columns = {".semi.ls.resid": ols.resid / spread}
    else:
        columns = {".ls.resid": ols.resid / root_weights(design)}
    return columns | {".ls.fitted": ols.fitted + shift}


# ---- Groups ---------------------------------------------------------------------------------------


def group_residuals(
    design: Design, fit: PLSFit, level: str, *, standardize: Standardize = False, include_ls: bool = True
) -> pd.DataFrame:
    """Random effects of one factor and their least-squares counterparts; see `hlm_resid`.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit.
    level : str
        A grouping factor.
    standardize, include_ls
        As for `hlm_resid`.

    Returns
    -------
    DataFrame
        In level order.
    """
    cases = cases_of(design, level)
    names = [labels.name for labels in design.factor_labels]
    f = names.index(cases.name) if cases.name in names else -1
    if f < 0:
        raise DesignError(f"level={level!r} has no random effects; wanted one of {names!r}")
    columns = factor_columns(design, f)
    b = np.hstack(of_factor(design, f, fit.b))
    if standardize is True:
        b = _over(b, conditional_sd(design, fit, f))
    prefix = ".std" if standardize is True else ""
    frame = {f"{prefix}.ranef.{clean_name(c)}": b[:, j] for j, c in enumerate(columns)}
    if include_ls:
        frame |= {
            f"{prefix}.ls.{clean_name(c)}": values
            for c, values in _ls_effects(design, f, columns, standardize=standardize is True)
        }
    return pd.DataFrame(frame, index=cases.labels)


def conditional_sd(design: Design, fit: PLSFit, f: int) -> FloatArray:
    """Conditional standard deviations of a factor's random effects, (n_levels, K)."""
    by_term = [np.sqrt(np.einsum("lkk->lk", block)) for block in fit.condvar()]
    return np.hstack(of_factor(design, f, by_term))


def clean_name(name: str) -> str:
    """Lower case and underscores only, as HLMdiag's columns have it.

    Examples
    --------
    >>> clean_name("(Intercept)"), clean_name("recipe[T.B]")
    ('intercept', 'recipe_t_b')
    """
    return re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")


def _ls_effects(
    design: Design, f: int, columns: list[str], *, standardize: bool
) -> list[tuple[str, FloatArray]]:
    factor = design.factors[f]
    ols = groupwise_ols(design.X, response(design), factor.codes, factor.n_levels, design.weights)
    parent = _holder(design, f)
    found = []
    for name in columns:
        wanted = "Intercept" if name == INTERCEPT else name
        if name != INTERCEPT and wanted not in design.xnames:
            continue
        at = 0 if name == INTERCEPT else 1 + design.xnames.index(wanted)
        found.append((name, _centred(ols.coef[:, at], parent, standardize=standardize)))
    return found


def _holder(design: Design, f: int) -> IntArray:
    """For each level of a factor the level of the next coarser one that holds it; all 0 for the coarsest."""
    own = design.factors[f]
    for other in sorted(design.factors, key=lambda g: -g.n_levels):
        if other.n_levels >= own.n_levels:
            continue
        parent = np.zeros(own.n_levels, dtype=np.intp)
        parent[own.codes] = other.codes
        if (parent[own.codes] == other.codes).all():
            return parent
    return np.zeros(own.n_levels, dtype=np.intp)


def _centred(values: FloatArray, parent: IntArray, *, standardize: bool) -> FloatArray:
    """Less their mean, over groups of one parent; divided by their standard deviation if asked."""
    by_parent = pd.Series(values).groupby(parent)
    centred = values - by_parent.transform("mean").to_numpy()
    return _over(centred, by_parent.transform("std").to_numpy()) if standardize else centred


def _over(values: FloatArray, sd: FloatArray) -> FloatArray:
    return np.asarray(values / np.where(sd > 0, sd, np.nan))


# ---- Types of row residuals -------------------------------------------------------------------------


def resid_conditional(results: Any, type: Type = "raw") -> pd.Series:
    """Conditional residuals of the observations: the random effects are taken out.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    type : {"raw", "pearson", "studentized", "cholesky"}
        Divided by sigma (pearson and cholesky, which agree) or by their standard error (studentized).

    Returns
    -------
    Series
        On the index of the data. With prior weights all but the raw ones are those of the weighted rows.

    References
    ----------
    Nobre & Singer (2007), Biometrical Journal 49, 863-875.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.diagnostics.resid_conditional(r, "studentized").abs().max().round(2)
    np.float64(5.53)
    """
    record = record_of(results)
    design, fit = record.design, record.polished
    _check_type(type)
    fitted = conditional_fit(design, fit, fixed_part(design.X, fit.beta, design.offset))
    resid = design.y - fitted
    if type != "raw":
        resid = resid * root_weights(design) / np.sqrt(fit.sigma2)
    if type == "studentized":
        resid = resid / np.sqrt(projected_diagonal(fitted_rows(design, fit)))
    return pd.Series(resid, index=design.index, name=".resid")


def projected_diagonal(fitted: FittedRows) -> FloatArray:
    """Diagonal of V0^-1 - V0^-1 X (X' V0^-1 X)^-1 X' V0^-1 for the weighted rows: one minus the leverage."""
    EX = whitened(fitted.rows, fitted.at)[:, :-1]
    explained = quadratics(fitted.fit.criterion.factorization, fitted.rows)
    return 1.0 - explained - np.einsum("np,np->n", EX, EX)


def resid_marginal(results: Any, type: Type = "raw") -> pd.Series:
    """Marginal residuals of the observations: response less its expectation over the random effects.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    type : {"raw", "pearson", "studentized", "cholesky"}
        Divided by the marginal standard deviation, by the standard error of the residual, or made
        independent by the Cholesky factor of their covariance, rows in the order of the data.

    Returns
    -------
    Series
        On the index of the data.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.diagnostics.resid_marginal(r, "cholesky").std().round(2)
    np.float64(1.0)
    """
    record = record_of(results)
    design, fit = record.design, record.polished
    _check_type(type)
    resid = design.y - fixed_part(design.X, fit.beta, design.offset)
    if type != "raw":
        fitted = fitted_rows(design, fit)
        variance = 1.0 + random_share(fitted)
        if type == "studentized":
            Q = upper_solve_right(fitted.rows.Qy[:, :-1], fitted.at.R[:-1, :-1])
            variance = variance - np.einsum("np,np->n", Q, Q)
        scaled = resid * root_weights(design) / np.sqrt(fit.sigma2)
        resid = _cholesky(fitted) if type == "cholesky" else scaled / np.sqrt(variance)
    return pd.Series(resid, index=design.index, name=".mar.resid")


def _cholesky(fitted: FittedRows) -> FloatArray:
    white = uncorrelated(fitted.fit.criterion, fitted.at, fitted.rows)
    return white / np.sqrt(fitted.scaled_sigma2)


def _check_type(type: str) -> None:
    if type not in TYPES:
        raise DesignError(f"type={type!r}; wanted one of {list(TYPES)}")
