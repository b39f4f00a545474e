"""Influence in statsmodels' words: what ``results.get_influence()`` returns."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import FloatArray
from interlace.errors import DesignError
from interlace.fitted import EstimatedModel, record_of
from interlace.pls.rows.one_step import OneStep

from .cases import Cases, cases_of
from .fitted_rows import fitted_rows
from .influence import one_step
from .leverage import leverage_of_rows
from .plots import index_figure, influence_figure
from .residuals import resid_conditional

Criterion = Literal["cooks", "dffits", "none"]


class CrossedLMMInfluence:
    """One-step influence of observations or groups, named as statsmodels names it.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    level : 1, str, Series or array, default 1
        The cases; see :func:`interlace.hlm_influence`.

    Attributes
    ----------
    cases : Cases
        What is deleted at a time.

    Notes
    -----
    The variance components are held fixed; :func:`interlace.case_delete` estimates them again.

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> influence = r.get_influence(level="Subject")
    >>> influence.summary_frame().columns.tolist()
    ['dfb_Intercept', 'dfb_Days', 'cooks_d', 'dffits', 'cov_ratio', 'hat_diag']
    """

    def __init__(self, results: Any, level: Any = 1) -> None:
        self._results = results
        record = record_of(results)
        self._design, self._fit = record.design, record.polished
        self.cases: Cases = cases_of(self._design, level, results.model.data.frame)

    @cached_property
    def _step(self) -> OneStep:
        return one_step(fitted_rows(self._design, self._fit), self.cases)

    @property
    def cooks_distance(self) -> tuple[FloatArray, FloatArray]:
        """Cook's distance, and its p-value by F(p, n - p)."""
        p = self._fit.p
        return self._step.cooksd, stats.f.sf(self._step.cooksd, p, self._fit.n - p)

    @property
    def dfbeta(self) -> FloatArray:
        """Deleted minus full fixed effects (lme4's sign), shape (cases, k_fe)."""
        return -self._step.change

    @property
    def dfbetas(self) -> FloatArray:
        """``dfbeta`` divided by the standard error without the case, as in lme4; shape (cases, k_fe)."""
        return self.dfbeta / self._step.se_deleted

    @cached_property
    def dffits(self) -> tuple[FloatArray, float]:
        """Change of the fit in standard errors without the case, and the usual threshold 2 sqrt(p / n).

        Of observations: the change of their own marginal fitted value, full minus deleted. Of groups: the
        largest of any linear combination of the fixed effects, ``sqrt(p mdffits)``.
        """
        p, n = self._fit.p, self.cases.n
        threshold = 2.0 * np.sqrt(p / n)
        size = np.sqrt(p * self._step.mdffits)
        if not self.cases.single:
            return size, threshold
        moved = np.einsum("np,np->n", self._design.X, self._step.change)
        C = self._fit.vcov_beta
        with np.errstate(invalid="ignore", divide="ignore"):
            # C_(i) = C + d d' (covratio - 1) / (p cooksd), d the change: the deletion of a row has rank one
            own = np.einsum("np,pq,nq->n", self._design.X, C, self._design.X)
            along = self._step.cooksd * p
            grown = np.where(along > 0, moved**2 * (self._step.covratio - 1.0) / along, 0.0)
        return moved / np.sqrt(own + grown), threshold

    @cached_property
    def hat_matrix_diag(self) -> FloatArray:
        """Leverages (overall); means over the rows of a group."""
        by_row = leverage_of_rows(fitted_rows(self._design, self._fit))
        return self.cases.mean(by_row["overall"])

    @property
    def cov_ratio(self) -> FloatArray:
        """``det C_(I) / det C``."""
        return self._step.covratio

    @cached_property
    def resid_studentized(self) -> FloatArray:
        """Conditional residuals divided by their standard errors; of observations only.

        Raises
        ------
        DesignError
            For groups, which have no residual.
        """
        if not self.cases.single:
            raise DesignError("groups have no studentized residual; use level=1, or hlm_resid(level=...)")
        return resid_conditional(self._results, "studentized").to_numpy()

    def summary_frame(self) -> pd.DataFrame:
        """All measures in one frame, a row per case.

        Returns
        -------
        DataFrame
            ``dfb_<fixed effect>``, ``cooks_d``, ``dffits``, ``cov_ratio``, ``hat_diag`` and, for
            observations, ``student_resid``.
        """
        columns = {f"dfb_{x}": self.dfbetas[:, j] for j, x in enumerate(self._design.xnames)}
        columns["cooks_d"] = self.cooks_distance[0]
        columns["dffits"] = self.dffits[0]
        columns["cov_ratio"] = self.cov_ratio
        columns["hat_diag"] = self.hat_matrix_diag
        if self.cases.single:
            columns["student_resid"] = self.resid_studentized
        return pd.DataFrame(columns, index=self.cases.labels)

    def plot_influence(self, criterion: Criterion = "cooks", *, ax: Any = None) -> Any:
        """Leverage against studentized residual (groups: Cook's distance), areas by the criterion.

        Parameters
        ----------
        criterion : {"cooks", "dffits", "none"}, default "cooks"
            What the area of a point shows.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        Figure
        """
        if criterion not in ("cooks", "dffits", "none"):
            raise DesignError(f'criterion={criterion!r}; wanted "cooks", "dffits" or "none"')
        return influence_figure(self.summary_frame(), criterion=criterion, ax=ax)

    def plot_index(
        self, y_var: Literal["cooks", "dffits", "hat", "resid"] = "cooks", *, ax: Any = None
    ) -> Any:
        """One measure against the position of the case.

        Parameters
        ----------
        y_var : {"cooks", "dffits", "hat", "resid"}, default "cooks"
            The measure.
        ax : matplotlib Axes, optional
            Where to draw.

        Returns
        -------
        Figure
        """
        columns = {"cooks": "cooks_d", "dffits": "dffits", "hat": "hat_diag", "resid": "student_resid"}
        frame = self.summary_frame()
        if columns.get(y_var) not in frame:
            raise DesignError(
                f"y_var={y_var!r}; wanted one of {[k for k, c in columns.items() if c in frame]}"
            )
        return index_figure(frame[columns[y_var]], ax=ax)


def get_influence(self: EstimatedModel, level: Any = 1) -> CrossedLMMInfluence:
    """One-step influence of observations or groups, named as statsmodels names it.

    Parameters
    ----------
    level : 1, str, Series or array, default 1
        The observations, a grouping factor, or a partition of the rows.

    Returns
    -------
    interlace.diagnostics.CrossedLMMInfluence
        With ``cooks_distance``, ``dfbetas``, ``summary_frame()``, ``plot_influence()`` and others.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.get_influence(level="Subject").summary_frame().head(2).round(2)
             dfb_Intercept  dfb_Days  cooks_d  dffits  cov_ratio  hat_diag
    Subject
    308               0.06     -0.42     0.09    0.42       1.12      0.16
    309               0.39      0.30     0.15    0.53       1.12      0.16
    """
    return CrossedLMMInfluence(self, level)
