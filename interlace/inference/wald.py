"""Standard errors and Wald intervals of the estimates, as statsmodels spells them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults

from interlace.arrays import FloatArray
from interlace.fitted import EstimatedModel
from interlace.pls import PLSFit

from .approximation import approximation_of
from .confidence import check_alpha
from .variances import (
    boundary_entries,
    boundary_thetas,
    covariance_of_variances,
    natural_jacobian,
    natural_parameters,
    quadratic_form,
)

# Name under which a record keeps whether its covariance is by average information.
AVERAGED = "average information"


def covariance(fit: PLSFit, vcov_beta: FloatArray) -> FloatArray:
    """Covariance of fixed effects and variance parameters.

    Parameters
    ----------
    fit : PLSFit
        With its criterion.
    vcov_beta : ndarray of shape (p, p)
        Covariance of the fixed effects.

    Returns
    -------
    ndarray of shape (p + m, p + m)
        Zero between the two; NaN for variance parameters on the boundary.
    """
    p, m = fit.p, len(fit.theta)
    whole = np.zeros((p + m, p + m))
    whole[:p, :p] = vcov_beta
    whole[p:, p:] = _of_variances(fit)
    return whole


def covariance_of(results: EstimatedModel) -> FloatArray:
    """Covariance of ``params``, computed once.

    Parameters
    ----------
    results : CrossedLMMResults
        A fit.

    Returns
    -------
    ndarray of shape (len(params), len(params))
    """
    record = results.record
    if "covariance" not in record.kept:  # told beside it, while the criterion is there
        record.once(AVERAGED, lambda: record.complete.average_information)
    return record.once("covariance", lambda: covariance(record.complete, _of_fixed_effects(results)))


def averaged_information(results: EstimatedModel) -> bool:
    """Whether what `covariance_of` says of the variances comes from the average information."""
    covariance_of(results)
    return bool(results.record.kept.get(AVERAGED, False))


def _of_fixed_effects(results: EstimatedModel) -> FloatArray:
    """Kenward and Roger's covariance where the fit uses their degrees of freedom, for those need it."""
    adjusted = results.ddf == "kenward-roger"
    return approximation_of(results).covariance if adjusted else results.pls_fit.vcov_beta


def _of_variances(fit: PLSFit) -> FloatArray:
    lost = [null.shape[1] for null in fit.singular]
    held = np.append(boundary_thetas(fit.Lambda, lost), False)
    return covariance_of_variances(
        fit.hessian_varpar(),
        natural_jacobian(fit.Lambda, fit.sigma2),
        held,
        boundary_entries(fit.Sigma_at_theta, fit.singular) | np.isnan(natural_parameters(fit.Sigma)),
    )


def cov_params(
    self: EstimatedModel,
    r_matrix: ArrayLike | None = None,
    column: Any = None,
    scale: float | None = None,
    cov_p: FloatArray | None = None,
    other: ArrayLike | None = None,
) -> FloatArray:
    """Covariance of the estimates or of linear combinations of them.

    Parameters
    ----------
    r_matrix : array_like, optional
        Contrasts, one per row, with one column per parameter.
    column : int or sequence of int, optional
        Only these parameters.
    scale : float, optional
        Residual variance to use for the estimated one.
    cov_p : ndarray, optional
        Covariance to use for the estimated one.
    other : array_like, optional
        Second set of contrasts; the default is ``r_matrix``.

    Returns
    -------
    ndarray
        Zero between fixed effects and variance parameters (they are asymptotically independent); NaN for
        variance parameters on the boundary, except where a contrast gives them no weight.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.cov_params().iloc[:2, :2].round(3)
               Intercept   Days
    Intercept     46.575 -1.451
    Days          -1.451  2.389
    """
    if r_matrix is None or column is not None:
        return LikelihoodModelResults.cov_params(
            self, r_matrix=r_matrix, column=column, scale=scale, cov_p=cov_p, other=other
        )
    contrasts = np.asarray(r_matrix, dtype=float)
    second = contrasts if other is None else np.asarray(other, dtype=float)
    return quadratic_form(
        contrasts, LikelihoodModelResults.cov_params(self, scale=scale, cov_p=cov_p), second
    )


def bse(self: EstimatedModel) -> FloatArray:
    """Standard errors of ``params``; NaN for variance parameters on the boundary."""
    return np.append(self.bse_fe, self.bse_re)


def bse_fe(self: EstimatedModel) -> FloatArray:
    """Standard errors of the fixed effects; Kenward and Roger's where the fit's ``ddf`` says so."""
    return np.sqrt(np.diag(_of_fixed_effects(self)))


def bse_re(self: EstimatedModel) -> FloatArray:
    """Standard errors of the variance parameters, from the exact Hessian by the delta method."""
    return np.sqrt(np.diag(covariance_of(self))[self.k_fe :])


def tvalues(self: EstimatedModel) -> FloatArray:
    """Estimates divided by their standard errors."""
    return self.params / self.bse


def use_t(self: EstimatedModel) -> bool:
    """Whether fixed effects are tested by Student's distribution: not where ``ddf`` is "normal"."""
    return self.ddf != "normal"


def pvalues(self: EstimatedModel) -> FloatArray:
    """Two-sided p-values of the fixed effects with the fit's degrees of freedom; NaN for variances."""
    p = np.full(len(self.params), np.nan)
    p[: self.k_fe] = self.coef_table()["p_value"]
    return p


def wald_interval(self: EstimatedModel, alpha: float = 0.05, cols: Sequence[int] | None = None) -> FloatArray:
    """Wald confidence intervals: for fixed effects those of the summary.

    Parameters
    ----------
    alpha : float, default 0.05
        The level is ``1 - alpha``.
    cols : sequence of int, optional
        Positions of the parameters wanted; all by default.

    Returns
    -------
    ndarray of shape (len(params), 2)
        Lower and upper limits. Fixed effects have the fit's degrees of freedom; the normal limits of variance
        parameters are rough, for their distribution is skewed.
    """
    check_alpha(alpha)
    reach = stats.norm.isf(alpha / 2) * self.bse
    limits = np.column_stack([self.params - reach, self.params + reach])
    limits[: self.k_fe] = self.coef_table(alpha=alpha)[["conf_low", "conf_high"]]
    return limits if cols is None else limits[np.asarray(cols)]
