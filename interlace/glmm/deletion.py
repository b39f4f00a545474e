"""What each row or group does to a generalised fit: leverage, one step without it, everything without it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.diagnostics.cases import Cases, cases_of
from interlace.diagnostics.deletion import CaseDeletion
from interlace.diagnostics.fitted_rows import component_names, components
from interlace.errors import DeletionWarning, callers_level
from interlace.inference import natural_parameters
from interlace.modelling.options import check_choice
from interlace.parallel import run
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.working import Removed, Working, leverages, without_cases, without_rows, working
from interlace.pls.matrices.basis import independent_columns

from .fitting import fit_again, warm
from .record import EstimatedGLMM
from .response import counts_of
from .rows import rows_of_fit, without

FAILURES = (ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError)
# Labels that a warning spells out before it starts to count.
SHOWN = 5
# Rows whose p x p matrices are held at a time.
BLOCK = 10_000


# ---- near the modes: the working linear model ---------------------------------------------------


def working_model(self: EstimatedGLMM) -> Working:
    """The linear model that the fit is near its modes."""
    design, fit = self.record.design, self.record.present()
    counts, m = counts_of(design), np.ones(len(design.y))
    if design.trials is not None:
        m = design.trials
    if design.weights is not None:
        m = m * design.weights
        counts = counts * design.weights if fit.family.additive else counts
    return working(fit, rows_of_fit(design), counts, m)


def leverage(self: EstimatedGLMM, level: Any = 1) -> pd.DataFrame:
    """Leverage of observations or groups: diagonals of the hat matrix at the weights of the modes.

    Parameters
    ----------
    level : 1, str or array, default 1
        1 for the observations, a grouping factor, or any partition of the rows: mean over a group's rows.

    Returns
    -------
    DataFrame
        ``overall``, lme4's ``hatvalues``; its parts ``fixef`` and ``ranef``; and ``ranef.uc``, the variance
        of the random part of the linear predictor times the row's weight.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.leverage("g")["overall"].round(3).to_dict()
    {'a': 0.28, 'b': 0.316, 'c': 0.246, 'd': 0.301}
    """
    cases = cases_of(self.record.design, level, self.model.data.frame)
    by_row = leverages(working_model(self))
    return pd.DataFrame({part: cases.mean(h) for part, h in by_row.items()}, index=cases.labels)


def influence(
    self: EstimatedGLMM,
    level: Any = 1,
    *,
    method: Literal["one-step", "exact"] = "one-step",
    n_jobs: int | None = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Influence of observations or groups on the fixed effects.

    Parameters
    ----------
    level : 1, str, Series or array, default 1
        The observations (1), a grouping factor, a combination such as ``"subject:item"``, or any
        partition of the rows used.
    method : {"one-step", "exact"}, default "one-step"
        One Newton step in fixed and random effects, the variances (and what the family estimates) held;
        or the model fitted anew without each case.
    n_jobs : int or None, default 1
        Workers for "exact", by joblib.
    progress : bool, default False
        Show a bar for it on a terminal, if tqdm is installed.

    Returns
    -------
    DataFrame
        ``cooksd mdffits covtrace covratio leverage.overall``, on the index of the data or the labels of the
        groups. NaN where the rest does not identify the fixed effects.

    Notes
    -----
    With d = full minus deleted estimates, C their covariance and C₍I₎ that without the case: ``cooksd =
    d'C⁻¹d / p``, ``mdffits = d'C₍I₎⁻¹d / p``, ``covtrace = |tr(C⁻¹C₍I₎) - p|``, ``covratio = det C₍I₎ / det
    C``. One step adds to C what the working linear model's covariance grows by.

    References
    ----------
    Pregibon (1981), Annals of Statistics 9; Xiang, Tse & Lee (2002), Computational Statistics & Data
    Analysis 40.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.influence("g").round(2)[["cooksd", "covratio"]]
       cooksd  covratio
    g
    a    0.07      1.31
    b    0.80      1.38
    c    0.64      1.25
    d    0.07      1.35
    """
    check_choice("method", method, ("one-step", "exact"))
    cases = cases_of(self.record.design, level, self.model.data.frame)
    model = working_model(self)
    hat = cases.mean(leverages(model)["overall"])
    if method == "exact":
        measures = _deletion(self, cases, n_jobs=n_jobs, progress=progress).measures
        return measures.assign(**{"leverage.overall": hat})
    p = self.k_fe
    C = self.record.covariance()[:p, :p]
    found = _measured(C, without_rows(model) if cases.single else without_cases(model, cases.rows()))
    return pd.DataFrame(found, index=cases.labels).assign(**{"leverage.overall": hat})


def _measured(C: FloatArray, removed: Removed) -> dict[str, FloatArray]:
    """The measures, a block of cases at a time."""
    blocks = [
        _measures(C, removed.change[i : i + BLOCK], removed.growth[i : i + BLOCK])
        for i in range(0, len(removed.change), BLOCK)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _measures(C: FloatArray, d: FloatArray, growth: FloatArray) -> dict[str, FloatArray]:
    p = len(C)
    nothing = np.full(len(d), np.nan)
    if p == 0 or not np.isfinite(C).all():
        return {name: nothing for name in ("cooksd", "mdffits", "covtrace", "covratio")}
    ratio = np.linalg.solve(C, C + growth)
    found = np.isfinite(d).all(axis=1)
    values = {name: nothing.copy() for name in ("cooksd", "mdffits", "covtrace", "covratio")}
    d, own = d[found], (C + growth)[found]
    values["cooksd"][found] = np.einsum("np,pn->n", d, np.linalg.solve(C, d.T)) / p
    values["mdffits"][found] = np.einsum("np,np->n", d, np.linalg.solve(own, d[:, :, None])[:, :, 0]) / p
    values["covtrace"][found] = np.abs(np.einsum("npp->n", ratio[found]) - p)
    values["covratio"][found] = np.linalg.det(ratio[found])
    return values


# ---- everything without it -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Deleted:
    """Estimates without some rows; NaN, with the reason, where there are none."""

    params: FloatArray
    vcov_beta: FloatArray
    components: FloatArray
    theta: FloatArray
    objective: float
    certified: bool
    failure: str


@dataclass(frozen=True, eq=False)
class _Without:
    """Fits the model without some rows; what a worker needs."""

    design: Design
    fit: LaplaceFit
    covariance: bool

    def __call__(self, gone: IntArray) -> _Deleted:
        """Estimates without the rows."""
        keep = np.ones(len(self.design.y), dtype=bool)
        keep[gone] = False
        design = without(self.design, keep)
        failure = self._impossible(design)
        if failure:
            return self._nothing(failure)
        try:
            found = fit_again(design, self.fit, start=warm(self.fit))
        except FAILURES as error:
            return self._nothing(f"{type(error).__name__}: {error}")
        if found.separation is not None and self.fit.separation is None:
            return self._nothing("without it the response is separated: there is no finite estimate")
        return self._estimates(found)

    def _impossible(self, design: Design) -> str:
        if not len(design.y):
            return "nothing is left"
        if len(independent_columns(design.X)) < design.X.shape[1]:
            return "without it a column of X depends linearly on the others"
        if self.fit.family.name == "ordinal" and len(np.unique(design.y)) < len(self.fit.psi) + 1:
            return "without it a category does not occur"
        return ""

    def _estimates(self, found: LaplaceFit) -> _Deleted:
        p = found.p
        return _Deleted(
            params=np.concatenate([found.beta, natural_parameters(found.Sigma), found.psi]),
            vcov_beta=found.vcov_beta() if self.covariance else np.full((p, p), np.nan),
            components=components(0.0, found.Sigma)[1:],
            theta=found.theta,
            objective=found.objective,
            certified=found.certificate.certified,
            failure="",
        )

    def _nothing(self, failure: str) -> _Deleted:
        p, m, k = self.fit.p, len(self.fit.theta), len(self.fit.psi)
        nan = np.full(p + m + k, np.nan)
        return _Deleted(
            nan, np.full((p, p), np.nan), nan[:m], nan[:m], np.nan, certified=False, failure=failure
        )


def _refits(
    self: EstimatedGLMM, cases: Cases, *, covariance: bool, n_jobs: int | None, progress: bool
) -> list[_Deleted]:
    worker = _Without(self.record.design, self.record.present(), covariance)
    done = run(worker, cases.rows(), n_jobs=n_jobs, progress=progress, label="deletion")
    failed = [label for label, one in zip(cases.labels, done, strict=True) if one.failure]
    if failed:
        first = next(one.failure for one in done if one.failure)
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        warnings.warn(
            f"{len(failed)} of {len(done)} refits failed, without {failed[:SHOWN]!r}{more}; the first: "
            f"{first}. Their rows are NaN",
            DeletionWarning,
            stacklevel=callers_level(),
        )
    return done


def case_deletion(
    self: EstimatedGLMM,
    level: Any = 1,
    *,
    delete: Any = None,
    n_jobs: int | None = 1,
    progress: bool = False,
) -> CaseDeletion:
    """Fit the model anew without each case; what `interlace.case_delete` returns.

    Parameters
    ----------
    level : 1, str, Series or array, default 1
        What is left out at a time: an observation (1), a level of a grouping factor, a combination of
        levels such as ``"subject:item"``, or a part of any partition of the rows.
    delete : label or list of labels, optional
        Leave out these cases together, in a single refit.
    n_jobs : int or None, default 1
        Workers, by joblib.
    progress : bool, default False
        Show a bar on a terminal, if tqdm is installed.

    Returns
    -------
    CaseDeletion
        Its variance components have no residual.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.case_deletion("g").dfbetas.round(2)["Intercept"].tolist()
    [0.16, -0.86, 1.27, -0.28]
    """
    cases = cases_of(self.record.design, level, self.model.data.frame)
    if delete is not None:
        cases = cases.joined(delete)
    return _deletion(self, cases, n_jobs=n_jobs, progress=progress)


def _deletion(self: EstimatedGLMM, cases: Cases, *, n_jobs: int | None, progress: bool) -> CaseDeletion:
    done = _refits(self, cases, covariance=True, n_jobs=n_jobs, progress=progress)
    index, design, fit, p = cases.labels, self.record.design, self.record.fit, self.k_fe
    names = component_names(design)[1:]
    reasons = {label: one.failure for label, one in zip(index, done, strict=True) if one.failure}
    return CaseDeletion(
        level=cases.name,
        fixed_effects=pd.DataFrame([one.params[:p] for one in done], index=index, columns=self.fe_names),
        cov_params=np.array([one.vcov_beta for one in done]).reshape(len(done), p, p),
        variance_components=pd.DataFrame([one.components for one in done], index=index, columns=names),
        theta=pd.DataFrame([one.theta for one in done], index=index),
        criterion=pd.Series([one.objective for one in done], index=index, name="criterion"),
        certified=pd.Series([one.certified for one in done], index=index, name="certified"),
        failures=pd.Series(reasons, dtype=object, name="failure"),
        full_fixed_effects=pd.Series(self.fe_params, index=self.fe_names),
        full_cov_params=self.record.covariance()[:p, :p],
        full_variance_components=pd.Series(components(0.0, fit.Sigma)[1:], index=names),
    )


def delete(
    self: EstimatedGLMM, level: Any = None, *, n_jobs: int | None = 1, progress: bool = False
) -> pd.DataFrame:
    """Estimates without each level of a grouping factor, or without each row: the model is fitted anew.

    Parameters
    ----------
    level : str, Series or array, optional
        Grouping factor, or any other partition of the rows; None leaves out row by row.
    n_jobs : int or None, default 1
        Workers, by joblib.
    progress : bool, default False
        Show a bar on a terminal, if tqdm is installed.

    Returns
    -------
    DataFrame
        One line per level or row: ``params`` without it, and ``cooksd``, the squared distance of the fixed
        effects from those of the fit in terms of their covariance, divided by their number. NaN, with a
        warning, where the rest does not identify the model.

    See Also
    --------
    influence : One step instead of a fit, and more measures.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").delete("g").round(2)["cooksd"].tolist()
    [0.05, 0.63, 0.87, 0.15]
    """
    cases = cases_of(self.record.design, 1 if level is None else level, self.model.data.frame)
    done = _refits(self, cases, covariance=False, n_jobs=n_jobs, progress=progress)
    table = pd.DataFrame(
        np.array([one.params for one in done]), index=cases.labels, columns=self.model.data.param_names
    )
    p = self.k_fe
    moved = table.to_numpy()[:, :p] - self.fe_params
    C = self.record.covariance()[:p, :p]
    return table.assign(cooksd=_measures(C, moved, np.zeros((len(moved), p, p)))["cooksd"])
