"""What linear and generalised fits share: names, sizes, criteria, random effects, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModelResults

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, ArgumentTypeError
from interlace.inference import contrasts, wald
from interlace.inference.confidence import check_alpha
from interlace.inference.parameters import IntervalMethod, positions
from interlace.inference.undetermined import undetermined_sentences
from interlace.pls.search.certificate import Certificate
from interlace.prediction import ranef
from interlace.report import single

from .copies import table


class MixedResults(LikelihoodModelResults):
    """A fitted mixed model: what does not depend on the family of its response.

    A subclass has ``model``, ``record`` (with ``design`` and ``fit``), ``params``, ``scale``, ``nobs``,
    ``k_fe`` and ``term_covariances``, and says what its number of parameters is.
    """

    model: Any
    record: Any
    term_covariances: Sequence[FloatArray]
    nobs: int
    k_fe: int
    converged: bool

    # What has an entry per row and is forgotten with the rows.
    _row_attributes: ClassVar[tuple[str, ...]] = ()

    @property
    def _state(self) -> str:
        """How the search ended, in a word or two."""
        state = "singular" if self.is_singular else "regular"
        return state if self.converged else f"{state}, not converged"

    def _described(self, kind: str) -> str:
        """One line about the fit."""
        groups = ", ".join(f"{name} {count}" for name, count in self.ngroups.items())
        return (
            f"<{type(self).__name__} {kind}: {self.model.endog_names}, {self.nobs} rows, groups {groups}; "
            f"-2 log-likelihood {self.objective:.4f}; {self._state}>"
        )

    # ---- Estimates ------------------------------------------------------------------------------

    @property
    def fe_names(self) -> list[str]:
        """Names of the fixed effects."""
        return list(self.record.design.xnames)

    @property
    def fe_params(self) -> FloatArray:
        """Estimates of the fixed effects; shape (k_fe,)."""
        estimates: FloatArray = self.record.fit.beta
        return estimates

    @property
    def variance_names(self) -> list[str]:
        """Names of the variance parameters, as in the summary."""
        return list(self.model.data.variance_names)

    @property
    def theta(self) -> FloatArray:
        """Covariance parameters in lme4's order, relative to the residual standard deviation if any.

        NaN where the data do not determine them.
        """
        theta: FloatArray = self.record.fit.theta
        other = self.record.fit.elsewhere
        known: FloatArray = theta if other is None else other.known_theta(theta)
        return known

    @property
    def objective(self) -> float:
        """Minus twice the log-likelihood: the deviance, or lme4's REML criterion."""
        return float(self.record.fit.objective)

    @property
    def llf(self) -> float:
        """Log-likelihood: the restricted one for a REML fit, approximated for a generalised model."""
        return -0.5 * self.objective

    @property
    def npar(self) -> int:
        """Number of parameters, for the information criteria."""
        raise NotImplementedError

    @property
    def _rows_counted(self) -> int:
        """Rows that Schwarz's criterion counts."""
        return self.nobs

    @property
    def aic(self) -> float:
        """Akaike's criterion, finite for REML fits too (from the restricted likelihood, as in lme4)."""
        return self.objective + 2.0 * self.npar

    @property
    def bic(self) -> float:
        """Schwarz's criterion with the logarithm of the number of rows, each as often as it occurs."""
        return self.objective + float(np.log(self._rows_counted)) * self.npar

    @property
    def df_model(self) -> int:
        """Fixed effects that are not the constant."""
        return self.k_fe - int(self.k_constant)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns left out because they depend linearly on others."""
        names: tuple[str, ...] = self.record.design.dropped_columns
        return names

    @property
    def n_dropped(self) -> int:
        """Rows left out because of missing values."""
        return int(self.record.design.n_dropped)

    @table
    def ngroups(self) -> pd.Series:
        """Number of levels of every grouping factor."""
        schema = self.record.design.schema
        return pd.Series(schema.n_levels, schema.factor_names, dtype=int, name="groups")

    @table
    def group_sizes(self) -> pd.DataFrame:
        """Smallest, largest and mean number of rows per group, one line per grouping factor."""
        rows = [(float(s.min()), float(s.max()), float(s.mean())) for s in self.record.design.counts]
        return pd.DataFrame(rows, index=self.ngroups.index, columns=["min", "max", "mean"])

    # ---- Standard errors, intervals -------------------------------------------------------------

    @property
    def normalized_cov_params(self) -> FloatArray:
        """Covariance of the estimates divided by ``scale``."""
        return self._covariance() / self.scale

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """Accept what the base class assigns on construction; the covariance is computed when asked for."""

    def _covariance(self) -> FloatArray:
        """Covariance of ``params``."""
        raise NotImplementedError

    wald_test_terms = contrasts.wald_test_terms

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
            By standard errors, for ``params``; by the likelihood profile, for standard deviations,
            correlations, fixed effects and what else is estimated, named as in lme4; or by the bootstrap, for
            the same (of generalised models, for ``params``).
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
        check_alpha(alpha)
        chosen = parm if cols is None else list(cols)
        if method != "bootstrap" and bootstrap:
            raise ArgumentTypeError(
                f"conf_int(method={method!r}) does not know {', '.join(sorted(bootstrap))}"
            )
        if method == "profile":
            return self._profile_limits(alpha, chosen, n_jobs=n_jobs)
        if method == "bootstrap":
            interval = bootstrap.pop("interval", "percentile")
            drawn = self.bootstrap(n_jobs=n_jobs, **bootstrap)
            return drawn.conf_int(alpha, kind=interval, parm=chosen)
        if method != "wald":
            raise ArgumentError(f'method={method!r} is not offered; give "wald", "profile" or "bootstrap"')
        places = None if chosen is None else positions(chosen, self.model.data.param_names)
        same: Any = self
        return wald.wald_interval(same, alpha, places)

    def _profile_limits(self, alpha: float, parm: Any, *, n_jobs: int | None) -> pd.DataFrame:
        """Limits by the likelihood profile."""
        raise NotImplementedError

    # ---- How the search ended -------------------------------------------------------------------

    @property
    def solver(self) -> str:
        """Which factorization ran."""
        return str(self.record.fit.solver)

    @property
    def certificate(self) -> Certificate:
        """What was checked at the optimum and how much deviance could still be gained."""
        found: Certificate = self.record.fit.certificate
        return found

    @property
    def is_singular(self) -> bool:
        """Whether a variance is 0, a correlation ±1 or a covariance matrix otherwise singular."""
        return bool(self.record.fit.is_singular)

    singular_directions = cached_property(ranef.singular_directions)

    @property
    def undetermined(self) -> tuple[str, ...]:
        """In words, the variances that the data do not determine whatever the response; empty as a rule."""
        return undetermined_sentences(self.record.design, self.record.fit)

    # ---- Random effects -------------------------------------------------------------------------

    random_effects = table(ranef.random_effects)
    random_effects_cov = table(ranef.random_effects_cov)
    random_effects_se = table(ranef.random_effects_se)
    random_effects_by_group = ranef.random_effects_by_group
    random_effects_of = ranef.random_effects_of
    varcov = table(ranef.varcov)
    vcomp = table(ranef.vcomp)

    # ---- Presentation and storage ---------------------------------------------------------------

    to_latex, to_html, to_markdown = single.to_latex, single.to_html, single.to_markdown
    _repr_html_ = single.in_notebook

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
        for name in self._row_attributes:
            self.__dict__.pop(name, None)
        self.record = self.record.without_rows()
        self.model = self.model.without_rows()

    def _settle(self) -> None:
        """Compute what a stored or emptied object can no longer compute."""
        _ = self.group_sizes
