"""The fitted model: a table of contents of what can be asked of it, in statsmodels' words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults

from interlace.arrays import FloatArray
from interlace.diagnostics import hlm_resid, plot
from interlace.diagnostics.statsmodels_influence import get_influence
from interlace.fitted import Ddf, Fitted
from interlace.formula.elsewhere import RESULTS, refuse_attribute
from interlace.formula.variables import one_frame_deeper
from interlace.inference import approximation_of, contrasts, effects, natural_parameters, wald
from interlace.inference.parameters import IntervalMethod, positions
from interlace.inference.robust import get_robustcov_results
from interlace.pls import PLSFit
from interlace.pls.search.certificate import Certificate
from interlace.prediction import expected, ranef
from interlace.prediction.uncertainty import get_prediction
from interlace.profile.profiled import profile, profiled
from interlace.profile.variances import profile_re
from interlace.report import paragraph, single, tidying
from interlace.report.summary import summary
from interlace.resampling.bootstrap import bootstrap
from interlace.resampling.refit import refit
from interlace.resampling.response import responses_of_fit
from interlace.resampling.simulate import simulate

from .marginal import MarginalModel

# What has an entry per row and is forgotten with the rows.
ROW_ATTRIBUTES = ("fittedvalues", "resid", "fittedvalues_marginal", "resid_marginal", "responses")


class CrossedLMMResults(LikelihoodModelResults):
    """A fitted linear mixed model.

    Made by :meth:`interlace.CrossedLMM.fit`, which returns it inside a wrapper that labels arrays with the
    names of the parameters and of the rows.

    Parameters
    ----------
    model : CrossedLMM
        The model that was fitted; it is not changed.
    pls_fit : PLSFit
        The penalised least squares solution at the estimated covariance parameters.
    full_output : bool, default True
        Keep the path of the search in ``mle_retvals``.

    Attributes
    ----------
    params : ndarray of shape (k_fe + n_theta,)
        Fixed effects, then variances and covariances of the random effects on the scale of the data: the
        numbers of the summary. (MixedLM divides the latter by ``scale``.)
    scale : float
        Residual variance.
    pls_fit : PLSFit
        The numbers behind everything here, in lme4's notation.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit
    <CrossedLMMResults REML: Reaction, 180 rows, groups Subject 18; -2 log-likelihood 1743.6283; regular>
    >>> round(fit.sigma, 3), fit.theta.round(4).tolist()
    (25.592, [0.9667, 0.0152, 0.2309])
    >>> fit.varcov["Subject"].round(2)
                 (Intercept)   Days
    (Intercept)       612.09   9.60
    Days                9.60  35.07
    >>> fit.random_effects["Subject"].head(2).round(2)
             (Intercept)  Days
    Subject
    308             2.26  9.20
    309           -40.40 -8.62
    >>> fit.is_singular, fit.converged, fit.dropped
    (False, True, ())
    """

    model: MarginalModel

    def __init__(self, model: MarginalModel, pls_fit: PLSFit, *, full_output: bool = True) -> None:
        self.record = Fitted(model.design, pls_fit)
        self.term_covariances = pls_fit.Sigma
        params = np.concatenate([pls_fit.beta, natural_parameters(self.term_covariances)])
        super().__init__(model, params, scale=float(pls_fit.sigma2))
        self.full_output = full_output
        self.nobs = int(pls_fit.n)
        self.k_fe = int(pls_fit.p)
        self.reml = bool(pls_fit.reml)
        self.method = "REML" if self.reml else "ML"
        self.converged = bool(pls_fit.certificate.certified)

    def __repr__(self) -> str:
        groups = ", ".join(f"{name} {count}" for name, count in self.ngroups.items())
        state = "singular" if self.is_singular else "regular"
        end = state if self.converged else f"{state}, not converged"
        return (
            f"<CrossedLMMResults {self.method}: {self.model.endog_names}, {self.nobs} rows, groups {groups}; "
            f"-2 log-likelihood {self.objective:.4f}; {end}>"
        )

    def __getattr__(self, name: str) -> Any:
        refuse_attribute(self, name, RESULTS, "the fitted model")

    @property
    def pls_fit(self) -> PLSFit:
        """The numbers behind everything here, in lme4's notation."""
        return self.record.fit

    @property
    def ddf(self) -> Ddf:
        """Degrees of freedom where a method is not told which."""
        return self.record.ddf

    @ddf.setter
    def ddf(self, ddf: Ddf) -> None:
        if ddf != self.record.ddf:
            self.record = replace(self.record, ddf=ddf)

    @property
    def criterion(self) -> Any:
        """The criterion that was minimised, as a function of ``theta``; set up anew after loading."""
        return self.record.criterion

    def fit_with_criterion(self) -> PLSFit:
        """The solution with its criterion, which is set up anew after loading."""
        return self.record.complete

    # ---- Estimates ------------------------------------------------------------------------------

    @property
    def fe_names(self) -> list[str]:
        """Names of the fixed effects."""
        return list(self.record.design.xnames)

    @property
    def fe_params(self) -> FloatArray:
        """Estimates of the fixed effects; shape (k_fe,)."""
        return self.pls_fit.beta

    @property
    def variance_names(self) -> list[str]:
        """Names of the variance parameters, as in the summary."""
        return self.model.data.variance_names

    @property
    def theta(self) -> FloatArray:
        """Covariance parameters relative to the residual standard deviation, in lme4's order."""
        return self.pls_fit.theta

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in units of the response."""
        return float(np.sqrt(self.scale))

    @property
    def objective(self) -> float:
        """Minus twice the log-likelihood: the deviance, or lme4's REML criterion."""
        return float(self.pls_fit.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood, the restricted one for a REML fit."""
        return -0.5 * self.objective

    @property
    def npar(self) -> int:
        """Parameters that the information criteria count: ``params`` and the residual variance."""
        return len(self.params) + 1

    @property
    def aic(self) -> float:
        """Akaike's criterion, finite for REML fits too (from the restricted likelihood, as in lme4)."""
        return self.objective + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion with ``log(nobs)``, finite for REML fits too, as in lme4."""
        return self.objective + np.log(self.nobs) * self.npar

    @property
    def df_resid(self) -> int:
        """Rows minus fixed effects."""
        return self.nobs - self.k_fe

    @property
    def df_model(self) -> int:
        """Fixed effects that are not the constant."""
        return self.k_fe - int(self.k_constant)

    @property
    def df_modelwc(self) -> int:
        """Length of ``params``, as MixedLM has it."""
        return len(self.params)

    @property
    def k_re(self) -> int:
        """Random effects of one level, summed over the terms."""
        return sum(len(Sigma) for Sigma in self.term_covariances)

    @property
    def k_vc(self) -> int:
        """Variances of random effects, the length of ``vcomp``."""
        return self.k_re

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
        return wald.covariance_of(self) / self.scale

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """Accept what the base class assigns on construction; the covariance is computed when asked for."""

    cov_params = wald.cov_params
    bse = cached_property(wald.bse)
    bse_fe = cached_property(wald.bse_fe)
    bse_re = cached_property(wald.bse_re)
    tvalues = cached_property(wald.tvalues)
    use_t = property(wald.use_t)
    pvalues = cached_property(wald.pvalues)
    t_test, f_test, wald_test = contrasts.t_test, contrasts.f_test, contrasts.wald_test
    wald_test_terms = contrasts.wald_test_terms
    coef_table, anova, emmeans = effects.coef_table, effects.anova, effects.emmeans
    drop1, ranova = effects.drop1, effects.ranova
    r2, icc, variance_shares = effects.r2, effects.icc, effects.variance_shares
    get_robustcov_results = get_robustcov_results
    profile, profile_re = profile, profile_re

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
            By standard errors, for ``params``; by the likelihood profile or the bootstrap, for standard
            deviations, correlations, sigma and fixed effects, named as in lme4.
        parm : str, int or sequence of them, optional
            Names or positions of the parameters wanted.
        n_jobs : int or None, default 1
            Workers for the profile and the bootstrap.
        **bootstrap
            ``nsim``, ``rng``, ``kind``, ``groups`` and others of ``bootstrap``, and ``interval``
            ("percentile", "basic", "normal" or "bca").

        Returns
        -------
        DataFrame
            Columns 0 and 1: lower and upper limits. (An array from the unwrapped object for "wald".) A
            profile that reaches the end of a parameter's range says so in ``.attrs["notes"]``.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.conf_int(method="profile", parm="sd_Days|Subject").round(3)
                             0      1
        sd_Days|Subject  3.801  8.753
        """
        chosen = parm if cols is None else list(cols)
        if method != "bootstrap" and bootstrap:
            raise TypeError(f"conf_int(method={method!r}) does not know {', '.join(sorted(bootstrap))}")
        if method == "profile":
            return profiled(self.record, chosen, n_jobs=n_jobs, grid=False).conf_int(alpha)
        if method == "bootstrap":
            interval = bootstrap.pop("interval", "percentile")
            drawn = self.bootstrap(n_jobs=n_jobs, **bootstrap)
            return drawn.conf_int(alpha, kind=interval, parm=chosen)
        if method != "wald":
            raise ValueError(f'method={method!r} is not offered; give "wald", "profile" or "bootstrap"')
        places = None if chosen is None else positions(chosen, self.model.data.param_names)
        return wald.wald_interval(self, alpha, places)

    # ---- How the search ended -------------------------------------------------------------------

    @property
    def solver(self) -> str:
        """Which factorization ran."""
        return self.pls_fit.solver

    @property
    def certificate(self) -> Certificate:
        """What was checked at the optimum and how much deviance could still be gained."""
        return self.pls_fit.certificate

    @property
    def is_singular(self) -> bool:
        """Whether a variance is 0, a correlation ±1 or a covariance matrix otherwise singular."""
        return bool(self.pls_fit.is_singular)

    singular_directions = cached_property(ranef.singular_directions)

    @property
    def mle_settings(self) -> dict[str, Any]:
        """How the search was set up."""
        return {"optimizer": "newton", "solver": self.solver, "full_output": self.full_output}

    @cached_property
    def mle_retvals(self) -> dict[str, Any]:
        """How the search ended, in statsmodels' words; ``allvecs`` are values of ``theta``."""
        optimum, certificate = self.pls_fit.optimum, self.certificate
        told = {
            "fopt": -self.llf,
            "iterations": optimum.nit,
            "fcalls": optimum.nfev,
            "score": -0.5 * np.asarray(certificate.gradient),
            "converged": self.converged,
            "warnflag": int(not self.converged),
            "message": optimum.message,
        }
        return told | ({"allvecs": [step.theta for step in optimum.path]} if self.full_output else {})

    @property
    def hist(self) -> list[dict[str, Any]]:
        """The searches that were run, as MixedLM lists them: one."""
        return [self.mle_retvals]

    # ---- Random effects -------------------------------------------------------------------------

    random_effects = cached_property(ranef.random_effects)
    random_effects_cov = cached_property(ranef.random_effects_cov)
    random_effects_se = cached_property(ranef.random_effects_se)
    random_effects_by_group = ranef.random_effects_by_group
    varcov = cached_property(ranef.varcov)
    vcomp = cached_property(ranef.vcomp)
    variance_components = cached_property(ranef.variance_components)

    @property
    def cov_re(self) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """MixedLM's name for ``varcov``: with a single grouping factor the matrix itself."""
        return next(iter(self.varcov.values())) if len(self.varcov) == 1 else self.varcov

    cov_re_unscaled = property(ranef.cov_re_unscaled)

    # ---- Expected responses, residuals, diagnosis -----------------------------------------------

    fittedvalues = cached_property(expected.fittedvalues)
    fittedvalues_marginal = cached_property(expected.fittedvalues_marginal)
    resid = cached_property(expected.resid)
    resid_marginal = cached_property(expected.resid_marginal)
    predict = expected.predict
    get_prediction = get_prediction
    hlm_resid, get_influence, plot = hlm_resid, get_influence, plot

    # ---- Other data, other formulas -------------------------------------------------------------

    responses = cached_property(responses_of_fit)
    simulate, refit, bootstrap = simulate, refit, bootstrap

    def update(
        self, formula: str | None = None, data: Any = None, *, eval_env: Any = 0, **changes: Any
    ) -> Any:
        """Fit the model with another formula, other data or other options.

        Parameters
        ----------
        formula : str, optional
            ``"."`` stands for what was there: ``". ~ . - x"``, ``". ~ . + z + (1 | g)"``,
            ``". ~ . - (x | g) + (1 | g)"``, ``"np.log(.) ~ ."``. Random-effects terms are kept with the dot
            unless they are taken away.
        data : DataFrame or dict of arrays, optional
            Other data; by default those of the fit.
        eval_env : int, mapping or patsy environment, default 0
            Where names that are no columns are looked up: so many frames above the caller.
        **changes
            ``method`` ("REML" or "ML"), ``weights``, ``offset``, ``subset``, ``missing``, ``rank`` and the
            keywords of ``model.fit``; those not given stay as they were.

        Returns
        -------
        CrossedLMMResults
            In the wrapper.

        Raises
        ------
        FormulaError
            If a random-effects term is taken away that is not there.
        DesignError
            If the model has no formula, or its data are gone and none are given.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.update(". ~ . - (Days | Subject) + (1 | Subject)", method="ML").model.formula
        'Reaction ~ Days + (1 | Subject)'
        """
        reml = {"REML": True, "ML": False, None: self.pls_fit.reml}[changes.pop("method", None)]
        above = one_frame_deeper(eval_env)
        model, for_fit = self.model.updated(formula, data, eval_env=above, **changes)
        return model.fit(reml=reml, **{"ddf": self.ddf, **for_fit})

    # ---- Presentation and storage ---------------------------------------------------------------

    summary = summary
    tidy, glance, augment = tidying.tidy, tidying.glance, tidying.augment
    report, to_latex, to_html = paragraph.report, single.to_latex, single.to_html
    to_markdown, _repr_html_ = single.to_markdown, single.in_notebook

    def remove_data(self) -> None:
        """Forget the data: the frame and every array with one entry per row, here and in the model.

        ``summary()``, ``conf_int()``, ``random_effects`` and ``predict`` for new data go on working; fitted
        values and residuals do not.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.remove_data()
        >>> fit.predict({"Days": [3], "Subject": ["308"]}).round(2).tolist()
        [312.66]
        """
        self._settle()
        for name in ROW_ATTRIBUTES:
            self.__dict__.pop(name, None)
        self.record = self.record.without_rows()
        self.model = self.model.without_rows()

    def _settle(self) -> None:
        """Compute what a stored or emptied object can no longer compute."""
        _ = self.group_sizes
        wald.covariance_of(self)
        ranef.conditional_covariances(self)
        approximation_of(self)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        kept = {name: value for name, value in self.__dict__.items() if name != "responses"}
        return kept | {"record": self.record.without_criterion()}
