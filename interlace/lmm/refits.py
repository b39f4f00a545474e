"""Results that make more results: draws, refits, other formulas, the bootstrap, the profile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interlace import resampling
from interlace.inference.effects import EffectTests
from interlace.inference.parameters import positions
from interlace.profile import Profile, profile

if TYPE_CHECKING:
    from interlace.pls import ProfiledCriterion
    from interlace.pls.rows.other_responses import Responses
    from interlace.resampling import Bootstrap

FloatArray = NDArray[np.float64]
IntervalMethod = Literal["wald", "profile", "bootstrap"]


class Refits(EffectTests):
    """The part of the results that fits the model again, to other data or with a parameter held."""

    @property
    def criterion(self) -> ProfiledCriterion:
        """The criterion that was minimised, as a function of ``theta``; set up anew after loading."""
        return self.pls_fit.criterion or self.model.criterion(reml=self.pls_fit.reml)

    @cached_property
    def responses(self) -> Responses:
        """The rows of the fit, ready to take in other responses."""
        return resampling.responses_of(self.model.present_design(), self.criterion)

    def simulate(self, nsim: int = 1, *, rng: Any = None, use_u: bool = False) -> pd.DataFrame:
        """Draw responses from the fitted model.

        Parameters
        ----------
        nsim : int, default 1
            Number of data sets.
        rng : int, numpy.random.Generator or similar, optional
            Whatever ``numpy.random.default_rng`` takes.
        use_u : bool, default False
            Keep the conditional modes of the random effects instead of drawing them anew.

        Returns
        -------
        DataFrame of shape (nobs, nsim)
            One response per column, on the index of the data.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.simulate(3, rng=1).shape
        (180, 3)
        """
        design = self.model.present_design()
        source = resampling.simulator(design, self.pls_fit, use_u=use_u)
        drawn = source.draw(resampling.generators(resampling.seeds(rng, nsim)))
        return pd.DataFrame(drawn, index=design.index, columns=[f"sim_{j + 1}" for j in range(nsim)])

    def refit(self, y: Any) -> Any:
        """Fit the same model to another response.

        Parameters
        ----------
        y : array_like of shape (nobs,) or Series
            A Series is aligned by its index.

        Returns
        -------
        CrossedLMMResults
            In the wrapper, as from ``model.fit``. Nothing is done for the formula: only
            the response's cross-products are computed anew, and the search starts at this fit's optimum.

        Raises
        ------
        DesignError, MissingValuesError
            If there is not one finite number for every row of the fit.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
        >>> fit.refit(2 * sleep["Reaction"]).fe_params.round(3).to_dict()
        {'Intercept': 502.81, 'Days': 20.935}
        """
        return resampling.refit(self, y)

    def bootstrap(
        self,
        nsim: int = 1000,
        kind: Literal["parametric", "residual", "cases"] = "parametric",
        statistic: Callable[[Any], Any] | None = None,
        n_jobs: int | None = 1,
        rng: Any = None,
        progress: bool = True,
        *,
        groups: str | None = None,
        use_u: bool = False,
    ) -> Bootstrap:
        """Fit the model to data sets drawn from the fit.

        Parameters
        ----------
        nsim : int, default 1000
            Number of replicates.
        kind : {"parametric", "residual", "cases"}, default "parametric"
            Responses simulated from the fit; put together from its random effects and residuals, stretched
            to the estimated variances and drawn with replacement; or whole groups drawn with replacement.
        statistic : callable, optional
            Function of a result that returns a number, a sequence, a mapping or a Series; by default all
            standard deviations, correlations and fixed effects.
        n_jobs : int or None, default 1
            Workers, by joblib; None for what ``joblib.parallel_config`` says. The numbers do not depend on
            it.
        rng : int, numpy.random.Generator or similar, optional
            Whatever ``numpy.random.default_rng`` takes; every replicate gets a generator spawned from it.
        progress : bool, default True
            Show a bar on a terminal, if tqdm is installed.
        groups : str, optional
            For ``kind="cases"``: the grouping factor whose levels are drawn; by default the one in which all
            others are nested.
        use_u : bool, default False
            For ``kind="parametric"``: keep the conditional modes of the random effects.

        Returns
        -------
        Bootstrap
            Replicates, counts of failed and singular refits, intervals by ``conf_int``.

        References
        ----------
        Davison & Hinkley (1997), Bootstrap Methods and their Application, chapters 3 and 5.
        Carpenter, Goldstein & Rasbash (2003), Journal of the Royal Statistical Society C 52, 431-443.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.bootstrap(20, rng=1)
        <Bootstrap parametric: 20 replicates of 6 statistics; 0 failed, 0 singular, 0 not certified>
        """
        options = {"groups": groups, "use_u": use_u, "n_jobs": n_jobs, "rng": rng, "progress": progress}
        return resampling.bootstrap(self, nsim, kind=kind, statistic=statistic, **options)

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
        above = eval_env + 1 if isinstance(eval_env, int) and eval_env >= 0 else eval_env
        model, for_fit = self.model.updated(formula, data, eval_env=above, **changes)
        return model.fit(reml=reml, **{"ddf": self.ddf, **for_fit})

    def profile(self, parm: Any = None, n_jobs: int | None = 1) -> Profile:
        """Profile likelihood of standard deviations, correlations, sigma and fixed effects.

        Parameters
        ----------
        parm : str, int or sequence of them, optional
            Parameters, named as in ``conf_int(method="profile")``; ``"theta_"`` and ``"beta_"`` stand for the
            random and for the fixed part, as in lme4.
        n_jobs : int or None, default 1
            Workers, by joblib.

        Returns
        -------
        Profile
            ``.table``, ``.conf_int()`` and ``.plot("zeta" | "density" | "pairs")``. A REML fit is profiled on
            the deviance of maximum likelihood, as in lme4.

        References
        ----------
        Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1), section 5.1.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.profile("sigma").conf_int().round(3)
                    0       1
        sigma  22.898  28.858
        """
        return profile(self, parm, n_jobs=n_jobs)

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
            return profile(self, chosen, n_jobs=n_jobs, grid=False).conf_int(alpha)
        if method == "bootstrap":
            interval = bootstrap.pop("interval", "percentile")
            drawn = self.bootstrap(n_jobs=n_jobs, **bootstrap)
            return drawn.conf_int(alpha, kind=interval, parm=chosen)
        if method != "wald":
            raise ValueError(f'method={method!r} is not offered; give "wald", "profile" or "bootstrap"')
        places = None if chosen is None else positions(chosen, self.model.data.param_names)
        return super().conf_int(alpha, places)
