"""The fitted generalised model: a table of contents of what can be asked of it, in statsmodels' words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults

from interlace.arrays import FloatArray
from interlace.errors import UndefinedError
from interlace.family import Family
from interlace.inference import contrasts, natural_parameters
from interlace.inference.parameters import positions
from interlace.pls.laplace import LaplaceFit
from interlace.pls.search.certificate import Certificate
from interlace.prediction import ranef
from interlace.report import single

from . import checks, comparisons, explained, means, profiling, reports, resampling, state, wald
from . import predict as predictions
from . import summary as summaries
from .record import GeneralisedFit, n_of, npar_of

IntervalMethod = Literal["wald", "profile", "bootstrap"]

# What has an entry per row and is forgotten with the rows.
ROW_ATTRIBUTES = ("fittedvalues", "resid", "resid_pearson", "resid_deviance")

NO_SIGMA = (
    "a {family} model has no residual standard deviation: the family ties the variance of a response to its "
    "mean. For variation beyond that see varcov, check_dispersion(), or add an effect per row, (1 | row)"
)
NO_ROBUST = (
    "robust covariances are offered for linear models only; here use bootstrap(), or statsmodels' GEE for "
    "errors that do not rely on the random effects"
)


class CrossedGLMMResults(LikelihoodModelResults):
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

    model: Any
    ddf = "normal"
    reml = False
    method = "ML"

    def __init__(self, model: Any, laplace_fit: LaplaceFit) -> None:
        self.record = GeneralisedFit(model.design, laplace_fit)
        params = np.concatenate([laplace_fit.beta, natural_parameters(laplace_fit.Sigma), laplace_fit.psi])
        super().__init__(model, params, scale=_scale(laplace_fit))
        self.term_covariances = laplace_fit.Sigma
        self.nobs = int(laplace_fit.n)
        self.k_fe = int(laplace_fit.p)
        self.nagq = int(laplace_fit.nagq)
        self.converged = bool(laplace_fit.certificate.certified)

    def __repr__(self) -> str:
        groups = ", ".join(f"{name} {count}" for name, count in self.ngroups.items())
        state = "singular" if self.is_singular else "regular"
        if self.record.fit.separation is not None:
            state = f"{state}, separated"
        elif not self.converged:
            state = f"{state}, not converged"
        return (
            f"<{type(self).__name__} {type(self.family).__name__}, {self.family.link}: "
            f"{self.model.endog_names}, {self.nobs} rows, groups {groups}; "
            f"-2 log-likelihood {self.objective:.4f}; {state}>"
        )

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
    def fe_names(self) -> list[str]:
        """Names of the fixed effects."""
        return list(self.record.design.xnames)

    @property
    def fe_params(self) -> FloatArray:
        """Estimates of the fixed effects; shape (k_fe,)."""
        return self.record.fit.beta

    @property
    def variance_names(self) -> list[str]:
        """Names of the variance parameters, as in the summary."""
        return self.model.data.variance_names

    @property
    def theta(self) -> FloatArray:
        """Covariance parameters: lower triangles of the factors, in lme4's order."""
        return self.record.fit.theta

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
    def objective(self) -> float:
        """Minus twice the log-likelihood, constants included, for every ``nagq`` alike."""
        return float(self.record.fit.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood, approximated."""
        return -0.5 * self.objective

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return npar_of(self.record.fit)

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return self.objective + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion, with the logarithm of the number of rows, each as often as it occurs."""
        return self.objective + float(np.log(self.record.maximum().n)) * self.npar

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

    @property
    def df_model(self) -> int:
        """Fixed effects that are not the constant."""
        return self.k_fe - int(self.k_constant)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns left out because they depend linearly on others."""
        return self.record.design.dropped_columns

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return int(self.record.design.n_dropped)

    @cached_property
    def ngroups(self) -> pd.Series:
        """Number of levels of every grouping factor."""
        schema = self.record.design.schema
        return pd.Series(schema.n_levels, schema.factor_names, dtype=int, name="groups")

    @cached_property
    def group_sizes(self) -> pd.DataFrame:
        """Smallest, largest and mean number of rows per group, one line per grouping factor."""
        sizes = [np.bincount(f.codes, minlength=f.n_levels) for f in self.record.design.factors]
        rows = [(float(s.min()), float(s.max()), float(s.mean())) for s in sizes]
        return pd.DataFrame(rows, index=self.ngroups.index, columns=["min", "max", "mean"])

    # ---- Standard errors, tests, intervals ------------------------------------------------------

    @property
    def normalized_cov_params(self) -> FloatArray:
        """Covariance of the estimates divided by ``scale``."""
        return self.record.covariance() / self.scale

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """Accept what the base class assigns on construction; the covariance is computed when asked for."""

    cov_params = wald.cov_params
    bse = cached_property(wald.bse)
    bse_fe = cached_property(wald.bse_fe)
    bse_re = cached_property(wald.bse_re)
    tvalues = cached_property(wald.tvalues)
    pvalues = cached_property(wald.pvalues)
    coef_table = wald.coef_table
    t_test, wald_test, f_test = wald.t_test, wald.wald_test, wald.f_test
    wald_test_terms = contrasts.wald_test_terms
    anova, drop1, ranova = comparisons.anova, comparisons.drop1, comparisons.ranova
    emmeans = means.emmeans
    r2, icc, variance_shares = explained.r2, explained.icc, explained.variance_shares

    def get_robustcov_results(self, *_: Any, **__: Any) -> Any:
        """Refused: robust covariances are for linear models."""
        raise UndefinedError(NO_ROBUST)

    def conf_int(
        self,
        alpha: float = 0.05,
        cols: Sequence[int] | None = None,
        *,
        method: IntervalMethod = "wald",
        parm: Any = None,
        n_jobs: int | None = 1,
        **bootstrap: Any,
    ) -> Any:
        """Confidence intervals of the parameters.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.
        cols : sequence of int, optional
            Positions of the parameters wanted.
        method : {"wald", "profile", "bootstrap"}, default "wald"
            By standard errors, for ``params``; by the profile likelihood, for fixed effects; by the
            parametric bootstrap, for ``params``.
        parm : str, int or sequence of them, optional
            Names or positions of the parameters wanted.
        n_jobs : int or None, default 1
            Workers for the profile and the bootstrap.
        **bootstrap
            ``nsim``, ``rng`` and ``progress`` of ``bootstrap``, and ``interval`` ("percentile", "basic" or
            "normal").

        Returns
        -------
        DataFrame
            Columns 0 and 1: lower and upper limits. An array from the unwrapped object for "wald".

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
        >>> fit.conf_int(method="profile").round(2)
                      0     1
        Intercept -0.21  2.04
        """
        chosen = parm if cols is None else list(cols)
        if method != "bootstrap" and bootstrap:
            raise TypeError(f"conf_int(method={method!r}) does not know {', '.join(sorted(bootstrap))}")
        if method == "profile":
            return profiling.profile_limits(self, alpha, chosen, n_jobs=n_jobs)
        if method == "bootstrap":
            interval = bootstrap.pop("interval", "percentile")
            drawn = self.bootstrap(n_jobs=n_jobs, **bootstrap)
            return drawn.conf_int(alpha, kind=interval, parm=chosen)
        if method != "wald":
            raise ValueError(f'method={method!r} is not offered; give "wald", "profile" or "bootstrap"')
        places = None if chosen is None else positions(chosen, self.model.data.param_names)
        return wald.wald_limits(self, alpha, places)

    # ---- How the search ended -------------------------------------------------------------------

    @property
    def solver(self) -> str:
        """Which factorization ran."""
        return self.record.fit.solver

    @property
    def certificate(self) -> Certificate:
        """What was checked at the optimum and how much deviance could still be gained."""
        return self.record.fit.certificate

    @property
    def is_singular(self) -> bool:
        """Whether a variance is 0, a correlation ±1 or a covariance matrix otherwise singular."""
        return bool(self.record.fit.is_singular)

    separation = cached_property(state.separation)
    laplace_check = property(state.laplace_check)
    singular_directions = cached_property(ranef.singular_directions)

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

    # ---- Random effects -------------------------------------------------------------------------

    random_effects = cached_property(ranef.random_effects)
    random_effects_cov = cached_property(ranef.random_effects_cov)
    random_effects_se = cached_property(ranef.random_effects_se)
    random_effects_by_group = ranef.random_effects_by_group
    varcov = cached_property(ranef.varcov)
    vcomp = cached_property(ranef.vcomp)

    # ---- Expected responses, residuals, checks --------------------------------------------------

    fittedvalues = cached_property(predictions.fittedvalues)
    resid = cached_property(predictions.resid)
    resid_pearson = cached_property(predictions.resid_pearson)
    resid_deviance = cached_property(predictions.resid_deviance)
    resid_quantile = predictions.resid_quantile
    predict, get_prediction = predictions.predict, predictions.get_prediction
    simulated_residuals = checks.simulated_residuals
    check_dispersion, check_zeros = checks.check_dispersion, checks.check_zeros

    # ---- Other data -----------------------------------------------------------------------------

    simulate, refit, bootstrap = resampling.simulate, resampling.refit, resampling.bootstrap
    delete = resampling.delete

    # ---- Presentation and storage ---------------------------------------------------------------

    summary = summaries.summary
    tidy, glance, augment = reports.tidy, reports.glance, reports.augment
    report, to_latex, to_html = reports.report, single.to_latex, single.to_html
    to_markdown = single.to_markdown

    def remove_data(self) -> None:
        """Forget the data: the frame and every array with one entry per row, here and in the model.

        ``summary()``, ``conf_int()``, ``random_effects`` and ``predict`` for new data go on working; fitted
        values, residuals and ``get_prediction`` do not.

        Examples
        --------
        >>> import interlace
        >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
        >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
        >>> fit.remove_data()
        >>> fit.predict({"g": ["a"]}).round(2).tolist()
        [2.14]
        """
        _ = self.group_sizes, self.laplace_check
        self.record.settle()
        for name in ROW_ATTRIBUTES:
            self.__dict__.pop(name, None)
        self.record = self.record.without_rows()
        self.model = self.model.without_rows()


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
