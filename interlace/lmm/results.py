"""The fitted model: a table of contents of what can be asked of it, in statsmodels' words."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.diagnostics import hlm_resid, plot
from interlace.diagnostics.statsmodels_influence import get_influence
from interlace.fitted import Ddf, Fitted
from interlace.formula.elsewhere import RESULTS, refuse_attribute
from interlace.formula.variables import one_frame_deeper
from interlace.inference import approximation_of, contrasts, effects, natural_parameters, wald
from interlace.inference.robust import get_robustcov_results
from interlace.inference.sampling_error import mc_error
from interlace.inference.undetermined import determined_scale
from interlace.modelling.copies import read_only, table
from interlace.modelling.results import MixedResults
from interlace.pls import PLSFit
from interlace.pls.rows.other_responses import Responses
from interlace.pls.search.several import Minimum
from interlace.prediction import expected, ranef
from interlace.prediction.uncertainty import get_prediction
from interlace.profile.profiled import profile, profiled
from interlace.profile.variances import profile_re
from interlace.report import paragraph, tidying
from interlace.report.summary import summary
from interlace.resampling.bootstrap import bootstrap
from interlace.resampling.refit import refit
from interlace.resampling.response import responses_of_fit
from interlace.resampling.simulate import simulate
from interlace.storage.saving import save

from .marginal import MarginalModel


class CrossedLMMResults(MixedResults):
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
    _row_attributes = ("fittedvalues", "resid", "fittedvalues_marginal", "resid_marginal")

    def __init__(self, model: MarginalModel, pls_fit: PLSFit, *, full_output: bool = True) -> None:
        self.record = Fitted(model.design, pls_fit)
        self.term_covariances = pls_fit.Sigma
        params = np.concatenate([pls_fit.beta, natural_parameters(self.term_covariances)])
        params.flags.writeable = False
        super().__init__(model, params, scale=determined_scale(pls_fit))
        self.full_output = full_output
        self.nobs = int(pls_fit.n)
        self.k_fe = int(pls_fit.p)
        self.reml = bool(pls_fit.reml)
        self.method = "REML" if self.reml else "ML"
        self.converged = bool(pls_fit.certificate.certified)

    def __repr__(self) -> str:
        return self._described(self.method)

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
    def sigma(self) -> float:
        """Residual standard deviation, in units of the response."""
        return float(np.sqrt(self.scale))

    @property
    def npar(self) -> int:
        """Parameters that the information criteria count: ``params`` and the residual variance."""
        return len(self.params) + 1

    @property
    def df_resid(self) -> int:
        """Rows minus fixed effects."""
        return self.nobs - self.k_fe

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

    # ---- Standard errors, tests, intervals ------------------------------------------------------

    def _covariance(self) -> FloatArray:
        return wald.covariance_of(self)

    cov_params = wald.cov_params
    bse = read_only(wald.bse)
    bse_fe = read_only(wald.bse_fe)
    bse_re = read_only(wald.bse_re)
    mc_error = cached_property(mc_error)
    tvalues = read_only(wald.tvalues)
    use_t = property(wald.use_t)
    pvalues = read_only(wald.pvalues)
    t_test, f_test, wald_test = contrasts.t_test, contrasts.f_test, contrasts.wald_test
    coef_table, anova, emmeans = effects.coef_table, effects.anova, effects.emmeans
    drop1, ranova = effects.drop1, effects.ranova
    r2, icc, variance_shares = effects.r2, effects.icc, effects.variance_shares
    get_robustcov_results = get_robustcov_results
    profile, profile_re = profile, profile_re

    def _profile_limits(self, alpha: float, parm: Any, *, n_jobs: int | None) -> Any:
        return profiled(self.record, parm, n_jobs=n_jobs, grid=False).conf_int(alpha)

    # ---- How the search ended -------------------------------------------------------------------

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
    def minima(self) -> tuple[Minimum, ...]:
        """Minima of the criterion that the search met, lowest first, and where it had begun."""
        return self.pls_fit.minima

    @property
    def hist(self) -> list[dict[str, Any]]:
        """The searches that were run, as MixedLM lists them: one."""
        return [self.mle_retvals]

    # ---- Random effects -------------------------------------------------------------------------

    variance_components = table(ranef.variance_components)

    @property
    def cov_re(self) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """MixedLM's name for ``varcov``: with a single grouping factor the matrix itself."""
        return next(iter(self.varcov.values())) if len(self.varcov) == 1 else self.varcov

    cov_re_unscaled = property(ranef.cov_re_unscaled)

    # ---- Expected responses, residuals, diagnosis -----------------------------------------------

    fittedvalues = read_only(expected.fittedvalues)
    fittedvalues_marginal = read_only(expected.fittedvalues_marginal)
    resid = read_only(expected.resid)
    resid_marginal = read_only(expected.resid_marginal)
    predict = expected.predict
    get_prediction = get_prediction
    hlm_resid, get_influence, plot = hlm_resid, get_influence, plot

    # ---- Other data, other formulas -------------------------------------------------------------

    @property
    def responses(self) -> Responses:
        """The rows of the fit, ready to take in other responses; for this thread."""
        return self.record.in_thread("responses", lambda: responses_of_fit(self))

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

    save = save
    summary = summary
    tidy, glance, augment = tidying.tidy, tidying.glance, tidying.augment
    report = paragraph.report

    def _settle(self) -> None:
        super()._settle()
        wald.covariance_of(self)
        if self.pls_fit.monte_carlo is None:  # else each of them is a solve
            ranef.conditional_covariances(self)
        approximation_of(self)

    def __getstate__(self) -> dict[str, Any]:
        self._settle()
        return self.__dict__ | {"record": self.record.without_criterion()}
