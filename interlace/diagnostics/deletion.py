"""Exact deletion: every case is left out in turn and everything is estimated again."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import DeletionWarning
from interlace.fitted import generalised, record_of
from interlace.parallel import run
from interlace.pls import PLSFit
from interlace.pls.batch.deletions import refits_without
from interlace.pls.rows.subtraction import Deleted, Raw
from interlace.pls.rows.weighted import Rows

from .cases import Cases, cases_of
from .fitted_rows import FittedRows, component_names, components, fitted_rows

# Cases that a failure message spells out before it starts to count.
SHOWN = 5
# Portions of cases that several processes take turns at, and cases that one process takes at a time.
PORTIONS, AT_A_TIME = 64, 256


@dataclass(frozen=True, eq=False)
class CaseDeletion:
    """The estimates without each case; rows are cases throughout.

    Attributes
    ----------
    level : str
        What a case is: ``"row"``, a grouping factor, ...
    fixed_effects : DataFrame
        Fixed effects; NaN where a column of X depends on the others without the case.
    cov_params : ndarray of shape (cases, k_fe, k_fe)
        Their covariances.
    variance_components : DataFrame
        Residual variance (of linear models), then variances and covariances of the random effects.
    theta : DataFrame
        Relative covariance parameters, in lme4's order.
    criterion : Series
        Minus twice the (restricted) log-likelihood.
    certified : Series of bool
        Whether the optimum is certified.
    failures : Series of str
        Why there is no fit, for the cases without one.
    full_fixed_effects, full_cov_params, full_variance_components : Series, ndarray, Series
        The same of the fit to all rows.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> deletion = interlace.case_delete(fit, "sample", delete="F")
    >>> deletion.dfbetas.round(3)
            Intercept
    sample
    F           0.931
    """

    level: str
    fixed_effects: pd.DataFrame
    cov_params: FloatArray
    variance_components: pd.DataFrame
    theta: pd.DataFrame
    criterion: pd.Series
    certified: pd.Series
    failures: pd.Series
    full_fixed_effects: pd.Series
    full_cov_params: FloatArray
    full_variance_components: pd.Series

    @property
    def bse(self) -> pd.DataFrame:
        """Standard errors of the fixed effects without each case."""
        return self.fixed_effects * 0.0 + np.sqrt(np.einsum("gpp->gp", self.cov_params))

    @property
    def change(self) -> pd.DataFrame:
        """Full minus deleted fixed effects: HLMdiag's sign."""
        return self.full_fixed_effects - self.fixed_effects

    @property
    def dfbeta(self) -> pd.DataFrame:
        """Deleted minus full fixed effects: lme4's sign."""
        return -self.change

    @property
    def dfbetas(self) -> pd.DataFrame:
        """``dfbeta`` divided by the standard errors without the case, as in lme4."""
        return self.dfbeta / self.bse

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Columns cooksd, mdffits, covtrace and covratio."""
        C, d, p = self.full_cov_params, self.change.to_numpy(), len(self.full_cov_params)
        whole = ~np.isnan(self.cov_params).any(axis=(1, 2))
        values = np.full((len(d), 4), np.nan)
        if p:
            d, deleted = d[whole], self.cov_params[whole]
            ratio = np.linalg.solve(C, deleted)
            values[whole, 0] = np.einsum("gp,gp->g", d, np.linalg.solve(C, d.T).T) / p
            values[whole, 1] = np.einsum("gp,gp->g", d, np.linalg.solve(deleted, d[:, :, None])[:, :, 0]) / p
            values[whole, 2] = np.abs(np.einsum("gpp->g", ratio) - p)
            values[whole, 3] = np.linalg.det(ratio)
        names = ["cooksd", "mdffits", "covtrace", "covratio"]
        return pd.DataFrame(values, index=self.fixed_effects.index, columns=names)

    @property
    def rvc(self) -> pd.DataFrame:
        """Relative change of each variance component; NaN only where it is 0 in the fit to all rows."""
        full = self.full_variance_components
        ratio = self.variance_components / full.where(full != 0.0) - 1.0
        return ratio.add_prefix("rvc.")

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} without a fit" if len(self.failures) else ""
        return f"<CaseDeletion: {len(self.fixed_effects)} refits, level {self.level!r}{failed}>"


def case_delete(
    results: Any, level: Any = 1, *, delete: Any = None, n_jobs: int = 1, progress: bool = True
) -> CaseDeletion:
    """Refit the model without each case, from the old optimum by a few Newton steps.

    Parameters
    ----------
    results : CrossedLMMResults or CrossedGLMMResults
        A fitted model.
    level : 1, str, Series or array, default 1
        What is left out at a time: an observation (1), a level of a grouping factor, a combination of
        levels such as ``"subject:item"``, or a part of any partition of the rows.
    delete : label or list of labels, optional
        Leave out these cases together, in a single refit.
    n_jobs : int, default 1
        Processes; needs joblib.
    progress : bool, default True
        Show a progress bar, on a terminal that has tqdm.

    Returns
    -------
    CaseDeletion
        Weights, offset and method (REML or ML) are those of the fit.

    Warns
    -----
    DeletionWarning
        Once, naming the cases without which the model cannot be fitted.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> interlace.case_delete(r, "sample").variance_components.round(3)
            Residual  plate  sample
    sample
    A          0.307  0.730   3.222
    B          0.313  0.711   4.358
    C          0.314  0.702   3.532
    D          0.298  0.745   4.664
    E          0.278  0.728   4.668
    F          0.304  0.685   1.942
    """
    if (own := generalised(results)) is not None:
        found: CaseDeletion = own.case_deletion(level, delete=delete, n_jobs=n_jobs, progress=progress)
        return found
    record = record_of(results)
    design, fit = record.design, record.polished
    cases = cases_of(design, level, results.model.data.frame)
    if delete is not None:
        cases = cases.joined(delete)
    return delete_exactly(fitted_rows(design, fit), cases, n_jobs=n_jobs, progress=progress)


def delete_exactly(
    fitted: FittedRows, cases: Cases, *, n_jobs: int = 1, progress: bool = False
) -> CaseDeletion:
    """Refit without each case; see `case_delete`.

    Parameters
    ----------
    fitted : FittedRows
        A fit.
    cases : Cases
        What to leave out at a time.
    n_jobs, progress
        As for `case_delete`.

    Returns
    -------
    CaseDeletion
    """
    fit = fitted.fit
    refits = _refit_all(fit, fitted.rows, fitted.raw, cases.rows(), n_jobs=n_jobs, progress=progress)
    fit.criterion.decompose(fit.optimum.at.phi, fit.optimum.at.gauge)
    _warn(cases, refits)
    return _collected(fitted.design, fit, cases, refits)


def _refit_all(
    fit: PLSFit, rows: Rows, raw: Raw, owns: Sequence[IntArray], *, n_jobs: int | None, progress: bool
) -> list[Deleted]:
    """Every refit, in this process or in several; a process gets many cases at a time, with the data."""
    # The path of the search is of no use to a worker and dear to send.
    light = replace(fit, optimum=replace(fit.optimum, path=()))
    count = -(-len(owns) // AT_A_TIME) if n_jobs == 1 else min(len(owns), PORTIONS)
    portions = np.array_split(np.arange(len(owns)), max(count, 1))
    done = run(
        partial(_refit_some, light, rows, raw),
        [[owns[i] for i in portion] for portion in portions],
        n_jobs=n_jobs,
        progress=progress,
        label="refits",
    )
    return [refit for some in done for refit in some]


def _refit_some(fit: PLSFit, rows: Rows, raw: Raw, owns: Sequence[IntArray]) -> list[Deleted]:
    return refits_without(fit, rows, raw, owns)


def _warn(cases: Cases, refits: Sequence[Deleted]) -> None:
    failed = [label for label, refit in zip(cases.labels, refits, strict=True) if refit.failure]
    if failed:
        first = next(refit.failure for refit in refits if refit.failure)
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        warnings.warn(
            f"{len(failed)} of {len(refits)} refits failed, without {failed[:SHOWN]!r}{more}; "
            f"the first: {first}. Their rows are NaN, the reasons are in .failures",
            DeletionWarning,
            stacklevel=4,
        )


def _collected(design: Design, fit: PLSFit, cases: Cases, refits: Sequence[Deleted]) -> CaseDeletion:
    index, names = cases.labels, component_names(design)
    reasons = {label: x.failure for label, x in zip(index, refits, strict=True) if x.failure}
    return CaseDeletion(
        level=cases.name,
        fixed_effects=pd.DataFrame([x.beta for x in refits], index=index, columns=list(design.xnames)),
        cov_params=np.array([x.vcov_beta for x in refits]).reshape(len(refits), fit.p, fit.p),
        variance_components=pd.DataFrame(
            [components(x.sigma2, x.Sigma) for x in refits], index=index, columns=names
        ),
        theta=pd.DataFrame([x.theta for x in refits], index=index),
        criterion=pd.Series([x.objective for x in refits], index=index, name="criterion"),
        certified=pd.Series([x.certified for x in refits], index=index, name="certified"),
        failures=pd.Series(reasons, dtype=object, name="failure"),
        full_fixed_effects=pd.Series(fit.beta, index=list(design.xnames)),
        full_cov_params=fit.vcov_beta,
        full_variance_components=pd.Series(components(fit.sigma2, fit.Sigma), index=names),
    )
