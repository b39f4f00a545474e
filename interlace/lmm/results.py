"""The fitted model: statsmodels' words for what the penalised least squares found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.iolib.summary2 import Summary

from interlace import inference
from interlace.inference import Ddf
from interlace.pls import PLSFit
from interlace.prediction import ranef
from interlace.prediction.expected import Expected
from interlace.report import Publication
from interlace.report.summary import build_summary

from .diagnosis import Diagnosis

if TYPE_CHECKING:
    from interlace.pls.search.certificate import Certificate

    from .model import CrossedLMM

FloatArray = NDArray[np.float64]

# What exists only as long as the rows do; remove_data() forgets them.
ROW_ATTRIBUTES = ("fittedvalues", "resid", "fittedvalues_marginal", "resid_marginal")


class CrossedLMMResults(Publication, Diagnosis, Expected):
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

    model: CrossedLMM

    def __init__(self, model: CrossedLMM, pls_fit: PLSFit, *, full_output: bool = True) -> None:
        self.pls_fit = pls_fit
        self.term_covariances = pls_fit.Sigma
        params = np.concatenate([pls_fit.beta, inference.natural_parameters(pls_fit.Sigma)])
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

    # ---- Estimates ------------------------------------------------------------------------------

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
    def dropped(self) -> tuple[str, ...]:
        """Columns left out because they depend linearly on others."""
        return self.model.design.dropped_columns

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return int(self.model.design.n_dropped)

    @cached_property
    def ngroups(self) -> pd.Series:
        """Number of levels of every grouping factor."""
        design = self.model.design
        counts = {
            labels.name: f.n_levels for labels, f in zip(design.factor_labels, design.factors, strict=True)
        }
        return pd.Series(counts, dtype=int, name="groups")

    @cached_property
    def group_sizes(self) -> pd.DataFrame:
        """Smallest, largest and mean number of rows per group, one line per grouping factor."""
        sizes = [np.bincount(f.codes, minlength=f.n_levels) for f in self.model.design.factors]
        rows = [(float(s.min()), float(s.max()), float(s.mean())) for s in sizes]
        return pd.DataFrame(rows, index=self.ngroups.index, columns=["min", "max", "mean"])

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

    @cached_property
    def singular_directions(self) -> tuple[str, ...]:
        """In words, the term and the direction of every zero variance."""
        return ranef.singular_sentences(self.model.design, self.term_covariances, self.pls_fit.singular)

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

    @cached_property
    def random_effects(self) -> dict[str, pd.Series | pd.DataFrame]:
        """Conditional modes: factor to Series (intercepts only) or DataFrame (one column per effect)."""
        design, b = self.model.design, self.pls_fit.b
        return {
            labels.name: ranef.by_level(design, f, np.hstack(ranef.of_factor(design, f, b)))
            for f, labels in enumerate(design.factor_labels)
        }

    @cached_property
    def random_effects_cov(self) -> dict[str, pd.Series | pd.DataFrame]:
        """Conditional variances (intercepts only) or covariance matrices, ``[factor].loc[level]``.

        Given the estimates: as in lme4 they hold no uncertainty of the fixed effects.
        """
        design = self.model.design
        return {
            labels.name: ranef.by_level_and_column(design, f, covariances)
            for f, (labels, covariances) in enumerate(zip(design.factor_labels, self._condvar, strict=True))
        }

    @cached_property
    def random_effects_se(self) -> dict[str, pd.Series | pd.DataFrame]:
        """Conditional standard deviations, in the shape of ``random_effects``."""
        design = self.model.design
        return {
            labels.name: ranef.by_level(design, f, np.sqrt(np.einsum("lkk->lk", covariances)))
            for f, (labels, covariances) in enumerate(zip(design.factor_labels, self._condvar, strict=True))
        }

    @cached_property
    def _condvar(self) -> tuple[FloatArray, ...]:
        """Conditional covariances per grouping factor, in the design's order of factors."""
        design, fit = self.model.design, self.pls_fit
        # The numerical room sorts the factors by size; where it put a factor is known from the factor's
        # terms.
        place = {t.factor: f for t, f in zip(design.terms, fit.criterion.relcov.term_factor, strict=True)}
        covariances = fit.condvar_factor()
        return tuple(covariances[place[f]] for f in range(len(design.factors)))

    def random_effects_by_group(self, factor: str | None = None) -> dict[Any, pd.Series]:
        """Conditional modes in MixedLM's shape: level to Series.

        Parameters
        ----------
        factor : str, optional
            Name of the grouping factor; may be left out if there is only one.

        Returns
        -------
        dict
            One Series per level, indexed by the effects.

        Raises
        ------
        ValueError
            If there are several factors and none is named.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.random_effects_by_group()["308"].round(2).to_dict()
        {'(Intercept)': 2.26, 'Days': 9.2}
        """
        if factor is None and len(self.random_effects) > 1:
            raise ValueError(
                f"the model has several grouping factors; name one of {list(self.random_effects)!r}"
            )
        effects = next(iter(self.random_effects.values())) if factor is None else self.random_effects[factor]
        frame = effects.to_frame() if isinstance(effects, pd.Series) else effects
        return {level: frame.loc[level] for level in frame.index}

    @cached_property
    def varcov(self) -> dict[str, pd.DataFrame]:
        """Covariance matrix of the random effects of every factor, all its terms together."""
        design = self.model.design
        return {
            labels.name: ranef.factor_covariance(design, f, self.term_covariances)
            for f, labels in enumerate(design.factor_labels)
        }

    @property
    def cov_re(self) -> pd.DataFrame | dict[str, pd.DataFrame]:
        """MixedLM's name for ``varcov``: with a single grouping factor the matrix itself."""
        return next(iter(self.varcov.values())) if len(self.varcov) == 1 else self.varcov

    @cached_property
    def vcomp(self) -> pd.Series:
        """Variances of the random effects, named as in the summary; no covariances, no residual."""
        named = zip(self.variance_names, self.params[self.k_fe :], strict=True)
        return pd.Series({name: value for name, value in named if name.endswith(" Var")}, dtype=float)

    @cached_property
    def variance_components(self) -> dict[str, float | pd.DataFrame]:
        """Variance (intercepts only) or covariance matrix by factor, and the ``"Residual"`` variance."""
        components: dict[str, float | pd.DataFrame] = {
            name: float(Sigma.to_numpy()[0, 0]) if ranef.is_intercept(list(Sigma.columns)) else Sigma
            for name, Sigma in self.varcov.items()
        }
        return components | {"Residual": self.scale}

    # ---- Presentation and storage ---------------------------------------------------------------

    def summary(
        self,
        yname: str | None = None,
        xname_fe: Sequence[str] | None = None,
        xname_re: Sequence[str] | None = None,
        title: str | None = None,
        alpha: float = 0.05,
        *,
        ddf: Ddf | None = None,
    ) -> Summary:
        """Tables of the fit, in MixedLM's layout.

        Parameters
        ----------
        yname : str, optional
            Name of the response.
        xname_fe, xname_re : sequence of str, optional
            Other names for the fixed effects and for the variance parameters.
        title : str, optional
            Replaces the default title.
        alpha : float, default 0.05
            The confidence intervals have level ``1 - alpha``.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom of the tests of fixed effects, by default those that :meth:`CrossedLMM.fit` was
            given. "normal" gives MixedLM's table.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
            Prints as text; ``as_html()`` and ``as_latex()`` for the rest.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> print(fit.summary().tables[1].iloc[:2, :4])
                     Coef. Std.Err.    df       t
        Intercept  251.405    6.825  17.0  36.838
        Days        10.467    1.546  17.0   6.771
        """
        return build_summary(
            self,
            yname=yname,
            xname_fe=xname_fe,
            xname_re=xname_re,
            title=title,
            alpha=alpha,
            ddf=ddf or self.ddf,
        )

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
        self.__dict__.pop("responses", None)
        self.pls_fit = _without_criterion(self.pls_fit)
        self.model = self.model.without_rows()

    def _settle(self) -> None:
        """Compute what a stored or emptied object can no longer compute."""
        for name in ("group_sizes", "_covariance", "_condvar"):
            getattr(self, name)
        self._approximation(self.ddf)

    def __getstate__(self) -> dict[str, Any]:
        # The criterion holds CHOLMOD's factor, which lives in C, and arrays with a row per observation.
        self._settle()
        kept = {name: value for name, value in self.__dict__.items() if name != "responses"}
        return kept | {"pls_fit": _without_criterion(self.pls_fit)}


def _without_criterion(pls_fit: PLSFit) -> PLSFit:
    return replace(pls_fit, criterion=None)  # type: ignore[arg-type]
