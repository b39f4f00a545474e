"""Results as frames: predictions with intervals, broom's tables, robust standard errors."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any, Literal

import pandas as pd

from interlace.inference import robust
from interlace.prediction.parts import NewLevels, check_new_levels
from interlace.prediction.uncertainty import PredictionResults, get_prediction
from interlace.report import tidying

from .refits import IntervalMethod, Refits


class Reports(Refits):
    """The part of the results that hands over frames."""

    def get_prediction(
        self,
        data: Any = None,
        *,
        random: bool | str | Collection[str] = True,
        new_levels: NewLevels = "error",
        weights: Any = None,
        theta_uncertainty: bool = False,
    ) -> PredictionResults:
        """Predictions with standard errors, confidence and prediction intervals.

        Parameters
        ----------
        data : DataFrame or dict of arrays, optional
            New data; the rows of the fit if None.
        random : bool or str or collection of str, default True
            Which random effects enter the mean, as in ``predict``. Those of the other factors are taken as
            drawn anew for every observation: they widen its interval, not that of the mean.
        new_levels : {"error", "population"}, default "error"
            Refuse levels that the fit has not seen, or predict zero for their random effects and add their
            variance.
        weights : str or array_like, optional
            Of new observations, with residual variance ``scale / weights``; 1 by default.
        theta_uncertainty : bool, default False
            Add, by the delta method, what the estimation of the covariance parameters does to the mean. The
            variances themselves are taken as known either way.

        Returns
        -------
        PredictionResults
            With ``summary_frame(alpha)``, ``conf_int(alpha, obs=)``, ``predicted_mean``, ``se_mean``,
            ``se_obs``. Intervals use the normal distribution.

        Raises
        ------
        LevelError
            For unseen levels, by default.

        References
        ----------
        Henderson (1975), Biometrics 31, 423-447.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> new = {"Days": [0, 10], "Subject": ["308", "308"]}
        >>> fit.get_prediction(new).summary_frame()[["mean", "mean_se"]].round(2)
             mean  mean_se
        0  253.66    12.25
        1  450.33    15.85
        """
        check_new_levels(new_levels)
        return get_prediction(
            self,
            data,
            random=random,
            new_levels=new_levels,
            weights=weights,
            theta_uncertainty=theta_uncertainty,
        )

    def tidy(
        self,
        conf_int: bool = False,
        alpha: float = 0.05,
        *,
        method: IntervalMethod = "wald",
        **options: Any,
    ) -> pd.DataFrame:
        """One row per parameter, as broom.mixed's ``tidy``.

        Parameters
        ----------
        conf_int : bool, default False
            Add ``conf_low`` and ``conf_high``.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.
        method : {"wald", "profile", "bootstrap"}, default "wald"
            Of the intervals; "wald" gives none for the random part.
        **options
            Further keywords of ``conf_int``.

        Returns
        -------
        DataFrame
            ``effect, group, term, estimate, std_error, statistic, df, p_value``: fixed effects, then standard
            deviations and correlations.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.tidy()[["effect", "group", "term", "estimate"]].round(3).iloc[[1, 3, 5]]
             effect     group                  term  estimate
        1     fixed                            Days    10.467
        3  ran_pars   Subject  cor__(Intercept).Days     0.066
        5  ran_pars  Residual       sd__Observation    25.592
        """
        return tidying.tidy(self, conf_int=conf_int, alpha=alpha, method=method, options=options)

    def glance(self) -> pd.DataFrame:
        """One row for the model, as broom.mixed's ``glance``.

        Returns
        -------
        DataFrame
            ``nobs, sigma, loglik, aic, bic``, ``remlcrit`` or ``deviance``, ``df_residual``,
            ``is_singular``, ``converged``.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.glance()[["nobs", "sigma", "remlcrit"]].round(3)
           nobs   sigma  remlcrit
        0   180  25.592  1743.628
        """
        return tidying.glance(self)

    def augment(self, data: Any = None) -> pd.DataFrame:
        """The data with fitted values and diagnostics, as broom.mixed's ``augment``.

        Parameters
        ----------
        data : DataFrame, optional
            New rows: they get ``.fitted`` and ``.fixed`` only.

        Returns
        -------
        DataFrame
            A copy of the rows used, with ``.fitted``, ``.resid``, ``.hat``, ``.cooksd`` and ``.fixed``.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.augment()[["Days", ".fitted", ".resid"]].head(2).round(2)
           Days  .fitted  .resid
        0     0   253.66   -4.10
        1     1   273.33  -14.63
        """
        return tidying.augment(self, data)

    def get_robustcov_results(
        self, cov_type: Literal["cluster"] = "cluster", *, groups: Any, kind: robust.Kind = "CR2"
    ) -> Any:
        """Results with cluster-robust standard errors of the fixed effects.

        Parameters
        ----------
        cov_type : "cluster"
            Residuals may be correlated in any way within clusters, and have any variance.
        groups : str or array_like of shape (nobs,)
            A grouping factor of the model, or the cluster of every row.
        kind : {"CR0", "CR2"}, default "CR2"
            The sandwich as it is, or adjusted so that it is unbiased if the model is true.

        Returns
        -------
        CrossedLMMResults
            In the wrapper: the same estimates with another covariance of the fixed effects. Tests use the
            normal distribution.

        References
        ----------
        Pustejovsky & Tipton (2018), Journal of Business & Economic Statistics 36, 672-683.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.get_robustcov_results(groups="Subject").bse_fe.round(3).to_dict()
        {'Intercept': 6.825, 'Days': 1.546}
        """
        if cov_type != "cluster":
            raise ValueError(f'cov_type={cov_type!r} is not offered; give "cluster"')
        robustified = self.model.results_of(robust.robust_fit(self, groups, kind))
        plain = robustified._results
        plain.ddf, plain.cov_type = "normal", "cluster"
        plain.cov_kwds = {"groups": copy(groups), "kind": kind}
        return robustified
