"""The fitted generalised model: a table of contents of what can be asked of it, in statsmodels' words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.errors import UndefinedError
from interlace.family import Family
from interlace.inference import natural_parameters
from interlace.modelling.copies import read_only
from interlace.modelling.results import MixedResults
from interlace.pls.laplace import LaplaceFit

from . import (
    checks,
    comparisons,
    deletion,
    explained,
    means,
    pictures,
    profiling,
    reports,
    resampling,
    robust,
    state,
    updating,
    wald,
)
from . import predict as predictions
from . import summary as summaries
from .record import GeneralisedFit, n_of, npar_of

NO_SIGMA = (
    "a {family} model has no residual standard deviation: the family ties the variance of a response to its "
    "mean. For variation beyond that see varcov, check_dispersion(), or add an effect per row, (1 | row)"
)


class CrossedGLMMResults(MixedResults):
    """A fitted generalised linear mixed model.

    Made by :meth:`interlace.CrossedGLMM.fit`, which returns it inside a wrapper that labels arrays with the
    names of the parameters and of the rows.

    Parameters
    ----------
    model : CrossedGLMM
        The model that was fitted; it is not changed.
    laplace_fit : LaplaceFit
        The numbers.

    Attributes
    ----------
    params : ndarray of shape (k_fe + n_theta + k,)
        Fixed effects, then variances and covariances of the random effects, then what the family estimates:
        the logarithm of a size, a shape or a standard deviation; thresholds. Under separation some fixed
        effects are as far as the search went; tables show them as infinite.
    scale : float
        Dispersion: 1 for binomial, Poisson and negative binomial; ``1 / shape`` for Gamma; the residual
        variance for a Gaussian response.
    method : str
        "ML".

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit
    <CrossedGLMMResults Poisson, log: y, 12 rows, groups g 4; -2 log-likelihood 48.1387; regular>
    >>> fit.random_effects["g"].round(3).to_dict()
    {'a': -0.25, 'b': 0.951, 'c': -0.863, 'd': 0.327}
    >>> fit.is_singular, fit.converged, fit.separation
    (False, True, None)
    """

    _row_attributes = ("fittedvalues", "resid", "resid_pearson", "resid_deviance")
    ddf = "normal"
    reml = False
    method = "ML"

    def __init__(self, model: Any, laplace_fit: LaplaceFit) -> None:
        self.record = GeneralisedFit(model.design, laplace_fit)
        params = np.concatenate([laplace_fit.beta, natural_parameters(laplace_fit.Sigma), laplace_fit.psi])
        params.flags.writeable = False
        super().__init__(model, params, scale=_scale(laplace_fit))
        self.term_covariances = laplace_fit.Sigma
        self.nobs = int(laplace_fit.n)
        self.k_fe = int(laplace_fit.p)
        self.nagq = int(laplace_fit.nagq)
        self.converged = bool(laplace_fit.certificate.certified)

    def __repr__(self) -> str:
        return self._described(f"{type(self.family).__name__}, {self.family.link}")

    @property
    def _state(self) -> str:
        if self.separation is None:
            return super()._state
        return "singular, separated" if self.is_singular else "regular, separated"

    @property
    def laplace_fit(self) -> LaplaceFit:
        """The numbers behind everything here, in the notation of the numerical room."""
        return self.record.fit

    @property
    def family(self) -> Family:
        """Family and link."""
        return self.record.fit.family

    # ---- Estimates ------------------------------------------------------------------------------

    @property
    def family_params(self) -> pd.Series:
        """What the family estimates: ``alpha`` and ``size``, ``shape``, ``sd``, or thresholds."""
        return _family_params(self.record.fit, self.model.data.more_names)

    @property
    def alpha(self) -> float:
        """Dispersion of a negative binomial response: its variance is ``mu + alpha mu^2``."""
        if self.family.name != "negative binomial":
            raise UndefinedError(
                f"alpha belongs to a negative binomial model; the family is {self.family.name}"
            )
        return float(self.family_params["alpha"])

    @property
    def sigma(self) -> float:
        """Residual standard deviation of a Gaussian response; refused for other families."""
        if self.family.name != "gaussian":
            raise UndefinedError(NO_SIGMA.format(family=self.family.name))
        return float(np.sqrt(self.scale))

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return npar_of(self.record.fit)

    @property
    def _rows_counted(self) -> int:
        return int(self.record.maximum().n)

    @property
    def deviance(self) -> float:
        """Sum of the squared deviance residuals, given the conditional modes: glmer's ``deviance()``."""
        weights = self.record.design.weights
        squares = self.resid_deviance**2
        return float(squares.sum() if weights is None else weights @ squares)

    @property
    def df_resid(self) -> int:
        """Rows minus parameters."""
        return n_of(self.record.design) - self.npar

    # ---- Standard errors, tests, intervals ------------------------------------------------------

    def _covariance(self) -> FloatArray:
        return self.record.covariance()

    cov_params = wald.cov_params
    bse = read_only(wald.bse)
    bse_fe = read_only(wald.bse_fe)
    bse_re = read_only(wald.bse_re)
    tvalues = read_only(wald.tvalues)
    pvalues = read_only(wald.pvalues)
    coef_table = wald.coef_table
    t_test, wald_test, f_test = wald.t_test, wald.wald_test, wald.f_test
    anova, drop1, ranova = comparisons.anova, comparisons.drop1, comparisons.ranova
    emmeans = means.emmeans
    r2, icc, variance_shares = explained.r2, explained.icc, explained.variance_shares

    get_robustcov_results = robust.get_robustcov_results
    profile = profiling.profile

    def _profile_limits(self, alpha: float, parm: Any, *, n_jobs: int | None) -> pd.DataFrame:
        return profiling.profile_limits(self, alpha, parm, n_jobs=n_jobs)

    # ---- How the search ended -------------------------------------------------------------------

    separation = cached_property(state.separation)
    laplace_check = property(state.laplace_check)

    @property
    def mle_retvals(self) -> dict[str, Any]:
        """How the search went, in statsmodels' words."""
        optimum = self.record.fit.optimum
        return {
            "converged": self.converged,
            "iterations": optimum.nit,
            "fcalls": optimum.nfev,
            "factorizations": optimum.nfactor,
            "message": optimum.message,
        }

    # ---- Expected responses, residuals, checks --------------------------------------------------

    fittedvalues = read_only(predictions.fittedvalues)
    resid = read_only(predictions.resid)
    resid_pearson = read_only(predictions.resid_pearson)
    resid_deviance = read_only(predictions.resid_deviance)
    resid_quantile = predictions.resid_quantile
    predict, get_prediction = predictions.predict, predictions.get_prediction
    simulated_residuals = checks.simulated_residuals
    check_dispersion, check_zeros = checks.check_dispersion, checks.check_zeros
    plot = pictures.plot

    # ---- Other data -----------------------------------------------------------------------------

    simulate, refit, bootstrap = resampling.simulate, resampling.refit, resampling.bootstrap
    update = updating.update
    delete, influence, leverage = deletion.delete, deletion.influence, deletion.leverage
    case_deletion = deletion.case_deletion

    # ---- Presentation and storage ---------------------------------------------------------------

    summary = summaries.summary
    tidy, glance, augment = reports.tidy, reports.glance, reports.augment
    report = reports.report

    def _settle(self) -> None:
        super()._settle()
        _ = self.laplace_check
        self.record.settle()


def _scale(fit: LaplaceFit) -> float:
    if fit.family.name == "gamma":
        return float(np.exp(-fit.psi[0]))
    return float(np.exp(2.0 * fit.psi[0])) if fit.family.name == "gaussian" else 1.0


def _family_params(fit: LaplaceFit, names: Sequence[str]) -> pd.Series:
    values = {
        "negative binomial": lambda psi: {"alpha": np.exp(-psi[0]), "size": np.exp(psi[0])},
        "gamma": lambda psi: {"shape": np.exp(psi[0])},
        "gaussian": lambda psi: {"sd": np.exp(psi[0])},
        "ordinal": lambda psi: dict(zip(names, psi, strict=True)),
    }.get(fit.family.name, lambda _: {})
    return pd.Series(values(fit.psi), dtype=float)
