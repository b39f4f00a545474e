"""Standard errors, z tests and intervals of a generalised fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, UndefinedError
from interlace.inference import wald
from interlace.inference.contrasts import full_width
from interlace.inference.fstatistic import Normal
from interlace.modelling.options import check_choice

from .record import EstimatedGLMM, infinite_columns, shared

CovarianceKind = Literal["full", "working"]

NO_DDF = (
    "ddf={given!r} has no meaning for a generalised model: no residual variance is estimated that degrees of "
    "freedom would belong to. Tests are z tests; for small samples use drop1() or anova(), likelihood-ratio "
    'tests, or conf_int(method="profile" or "bootstrap")'
)


def check_ddf(ddf: object) -> None:
    """Refuse degrees of freedom, with the reason."""
    if ddf not in (None, "normal"):
        raise ArgumentError(NO_DDF.format(given=ddf))


def cov_params(
    self: EstimatedGLMM,
    r_matrix: ArrayLike | None = None,
    column: Any = None,
    scale: float | None = None,
    cov_p: FloatArray | None = None,
    other: ArrayLike | None = None,
    *,
    kind: CovarianceKind = "full",
) -> FloatArray:
    """Covariance of the estimates or of linear combinations of them.

    Parameters
    ----------
    r_matrix : array_like, optional
        Contrasts, one per row, with one column per parameter.
    column : int or sequence of int, optional
        Only these parameters.
    scale : float, optional
        For statsmodels' sake; must be left out or be the fit's own.
    cov_p : ndarray, optional
        Covariance to use for the estimated one.
    other : array_like, optional
        Second set of contrasts; the default is ``r_matrix``.
    kind : {"full", "working"}, default "full"
        From the whole Hessian; or the fixed effects alone with everything else taken as known, glmer's
        ``vcov(use.hessian = FALSE)``: too small, and NaN for the other parameters.

    Returns
    -------
    ndarray
        NaN for variance parameters on the boundary and for fixed effects without a finite estimate, except
        where a contrast gives them no weight.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.cov_params().round(3)
               Intercept  g Var
    Intercept      0.188 -0.048
    g Var         -0.048  0.297
    """
    check_choice("kind", kind, ("full", "working"))
    if scale is not None and scale != self.scale:
        raise ArgumentError("scale= is not a divisor of the covariance of a generalised model; leave it out")
    if kind == "working" and cov_p is None:
        cov_p = _working(self)
    return wald.cov_params(shared(self), r_matrix, column, None, cov_p, other)


def _working(results: EstimatedGLMM) -> FloatArray:
    whole, p = np.full((len(results.params),) * 2, np.nan), results.k_fe
    whole[:p, :p] = results.record.working_covariance()
    lost = list(infinite_columns(results.record.fit))
    whole[lost, :], whole[:, lost] = np.nan, np.nan
    return whole


def bse(self: EstimatedGLMM) -> FloatArray:
    """Standard errors of ``params``; NaN for parameters that have none."""
    return np.sqrt(np.diag(self.record.covariance()))


def bse_fe(self: EstimatedGLMM) -> FloatArray:
    """Standard errors of the fixed effects."""
    return self.bse[: self.k_fe]


def bse_re(self: EstimatedGLMM) -> FloatArray:
    """Standard errors of the variance parameters."""
    return self.bse[self.k_fe : self.k_fe + len(self.variance_names)]


def tvalues(self: EstimatedGLMM) -> FloatArray:
    """Estimates divided by their standard errors; normally distributed for fixed effects."""
    return self.params / self.bse


def pvalues(self: EstimatedGLMM) -> FloatArray:
    """Two-sided p-values of the fixed effects by the normal distribution; NaN for the other parameters."""
    p = np.full(len(self.params), np.nan)
    p[: self.k_fe] = 2.0 * stats.norm.sf(np.abs(self.fe_params / self.bse_fe))
    return p


def fe_estimates(self: EstimatedGLMM) -> FloatArray:
    """Fixed effects as tables show them: infinite under separation, NaN if undetermined then."""
    found = np.array(self.fe_params)
    own = list(infinite_columns(self.record.fit))
    if own:
        with np.errstate(invalid="ignore"):  # 0 * inf: no sign, no estimate
            found[own] = self.record.recession_signs()[own] * np.inf
    return found


def normal(results: EstimatedGLMM) -> Normal:
    """The fixed effects as normal with their full covariance."""
    p = results.k_fe
    return Normal(results.record.covariance()[:p, :p])


def coef_table(self: EstimatedGLMM, ddf: Any = None, *, alpha: float = 0.05) -> pd.DataFrame:
    """Estimates, standard errors, z tests and intervals of the fixed effects.

    Parameters
    ----------
    ddf : None or "normal"
        Refused otherwise: there are no degrees of freedom.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    DataFrame
        Columns estimate, std_error, df (infinite), statistic, p_value, conf_low, conf_high.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.coef_table()[["estimate", "std_error", "conf_low", "conf_high"]].round(3)
               estimate  std_error  conf_low  conf_high
    Intercept     1.012      0.433     0.163      1.861
    """
    check_ddf(ddf)
    estimate, se = fe_estimates(self), self.bse_fe
    reach = stats.norm.isf(alpha / 2.0) * se
    columns = {
        "estimate": estimate,
        "std_error": se,
        "df": np.full(len(se), np.inf),
        "statistic": self.fe_params / se,
        "p_value": self.pvalues[: self.k_fe],
        "conf_low": self.fe_params - reach,
        "conf_high": self.fe_params + reach,
    }
    return pd.DataFrame(columns, index=self.fe_names)


def wald_limits(self: EstimatedGLMM, alpha: float, cols: Sequence[int] | None) -> FloatArray:
    """Wald intervals, (k, 2)."""
    return wald.wald_interval(shared(self), alpha, cols)


def t_test(
    self: EstimatedGLMM, r_matrix: Any, cov_p: FloatArray | None = None, use_t: bool | None = None
) -> ContrastResults:
    """Test linear hypotheses one by one, by the normal distribution.

    Parameters
    ----------
    r_matrix : array_like, str, tuple or list of str
        Contrasts with one column per fixed effect or one per parameter; or text such as ``"x = 1"``; or a
        pair (contrasts, values).
    cov_p : ndarray, optional
        Covariance of the parameters to use for the estimated one.
    use_t : None or False
        True is refused: there are no degrees of freedom.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> round(float(fit.t_test("Intercept = 1").pvalue), 3)
    0.978
    """
    if use_t:
        raise ArgumentError(NO_DDF.format(given="use_t=True"))
    return LikelihoodModelResults.t_test(self, full_width(shared(self), r_matrix), cov_p=cov_p, use_t=False)


def wald_test(
    self: EstimatedGLMM,
    r_matrix: Any,
    cov_p: FloatArray | None = None,
    invcov: FloatArray | None = None,
    use_f: bool | None = None,
    df_constraints: int | None = None,
    scalar: bool = True,
) -> ContrastResults:
    """Test linear hypotheses jointly, by the chi-squared distribution.

    Parameters
    ----------
    r_matrix : array_like, str, tuple or list of str
        As for `t_test`.
    cov_p, invcov : ndarray, optional
        Covariance of the parameters, or inverse covariance of the contrasts.
    use_f : None or False
        True is refused: there are no denominator degrees of freedom.
    df_constraints : int, optional
        Number of constraints, if not the rank.
    scalar : bool, default True
        Return the statistic as a number.

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> round(float(fit.wald_test("Intercept = 1").pvalue), 3)
    0.978
    """
    if use_f:
        raise ArgumentError(NO_DDF.format(given="use_f=True"))
    return LikelihoodModelResults.wald_test(
        self,
        full_width(shared(self), r_matrix),
        cov_p=cov_p,
        invcov=invcov,
        use_f=False,
        df_constraints=df_constraints,
        scalar=scalar,
    )


def f_test(_self: EstimatedGLMM, *_: Any, **__: Any) -> ContrastResults:
    """Refused: an F test needs a residual variance; use `wald_test`."""
    raise UndefinedError(
        "f_test has no meaning for a generalised model: there is no residual mean square. Use wald_test, or "
        "likelihood-ratio tests: drop1(), interlace.anova(small, large)"
    )
