"""Tests of the fixed and random effects: the part of the results that a report is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.stats.contrast import ContrastResults

from interlace.errors import InferenceError
from interlace.inference.anova import anova_contrasts, anova_table, contrast_table
from interlace.inference.approximation import Approximation, Ddf, approximation
from interlace.inference.emmeans import EstimatedMarginalMeans, estimated_marginal_means
from interlace.inference.explained import VarianceShares, variance_shares
from interlace.inference.hypotheses import AnovaType
from interlace.inference.likelihood_ratio import (
    Maximum,
    as_ml,
    check_comparable,
    comparison_table,
    deletion_table,
    without_fixed_terms,
    without_random_terms,
)
from interlace.model_matrix import linear_constraints
from interlace.wald import WaldInference

if TYPE_CHECKING:
    from interlace.pls import PLSFit, ProfiledCriterion

FloatArray = NDArray[np.float64]


class EffectTests(WaldInference):
    """Tables of tests, means and shares of variance; computed when asked for.

    Attributes
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom where a method is not told which.
    """

    ddf: Ddf = "satterthwaite"

    def _approximation(self, ddf: Ddf | None) -> Approximation:
        """The method of that name, set up once; by default that of the fit."""
        ddf = self.ddf if ddf is None else ddf
        known: dict[str, Approximation] = self.__dict__.setdefault("_approximations", {})
        if ddf not in known:
            fit = self.pls_fit if ddf == "normal" else self.fit_with_criterion()
            known[ddf] = approximation(fit, ddf)
        return known[ddf]

    def fit_with_criterion(self) -> PLSFit:
        """The solution with its criterion, which is set up anew after loading."""
        if self.pls_fit.criterion is not None:
            return self.pls_fit
        if self.model.endog is None:
            raise InferenceError(
                "the rows of the data are gone (remove_data was called) and with them what this test needs; "
                "ask for it before, or fit the model again"
            )
        criterion: ProfiledCriterion = self.model.criterion(reml=self.pls_fit.reml)
        return replace(self.pls_fit, criterion=criterion)

    def coef_table(self, ddf: Ddf | None = None, *, alpha: float = 0.05) -> pd.DataFrame:
        """Estimates, standard errors, tests and intervals of the fixed effects.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom. Kenward and Roger's method also enlarges the standard errors.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        DataFrame
            Columns estimate, std_error, df, statistic, p_value, conf_low, conf_high.

        References
        ----------
        Kuznetsova, Brockhoff & Christensen (2017), Journal of Statistical Software 82(13).
        Kenward & Roger (1997), Biometrics 53.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.coef_table()[["estimate", "df", "conf_low", "conf_high"]].round(3)
                   estimate    df  conf_low  conf_high
        Intercept   251.405  17.0   237.007    265.804
        Days         10.467  17.0     7.206     13.729
        """
        identity = np.eye(self.k_fe)
        return contrast_table(self.fe_names, identity, self.fe_params, self._approximation(ddf), alpha=alpha)

    def anova(self, type: AnovaType = 3, ddf: Ddf | None = None) -> pd.DataFrame:
        """F tests of the terms of the fixed part.

        Parameters
        ----------
        type : {1, 2, 3}, default 3
            Type of the hypotheses: each term adjusted for those before it (1), for those that do not contain
            it (2), or averaged over the categories of those that do (3), which does not depend on the coding.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Denominator degrees of freedom.

        Returns
        -------
        DataFrame
            One row per term: sum_sq, mean_sq, num_df, den_df, F, p_value; NaN for terms whose columns all
            were dropped.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.anova()[["num_df", "den_df", "F"]].round(3)
              num_df  den_df       F
        Days       1    17.0  45.853
        """
        return anova_table(self._anova_contrasts(type), self.fe_params, self.scale, self._approximation(ddf))

    def _anova_contrasts(self, anova_type: AnovaType) -> dict[str, FloatArray]:
        known: dict[int, dict[str, FloatArray]] = self.__dict__.setdefault("_hypotheses", {})
        if anova_type not in known:
            known[anova_type] = anova_contrasts(self.model.design, self.model.data.frame, anova_type)
        return known[anova_type]

    def drop1(self) -> pd.DataFrame:
        """Likelihood-ratio tests of the fixed terms that no other term contains.

        Returns
        -------
        DataFrame
            The model (``<none>``) and the models without one term: npar, loglik, aic, bic, deviance, chisq,
            df, p_value. All are fitted by maximum likelihood.

        See Also
        --------
        anova : F tests, better in small samples.
        """
        fit = as_ml(self.fit_with_criterion())
        reduced = dict(without_fixed_terms(self.model.design, self.model.data.frame, fit))
        return deletion_table(list(reduced), Maximum.of(fit), list(reduced.values()))

    def ranova(self, *, reduce_terms: bool = True) -> pd.DataFrame:
        """Likelihood-ratio tests of the random-effects terms.

        Parameters
        ----------
        reduce_terms : bool, default True
            Take from ``(1 + x | g)`` the slopes one by one; False takes whole terms.

        Returns
        -------
        DataFrame
            The model (``<none>``) and the reduced ones: npar, loglik, aic, bic, deviance, chisq, df, p_value.
            Fits by REML are compared by their restricted likelihoods.

        Notes
        -----
        Under the hypothesis a variance lies on its boundary, so the p-values are too large, for a single
        variance by a factor of 2 (Self & Liang 1987, JASA 82).
        """
        fit = self.fit_with_criterion()
        reduced = list(without_random_terms(self.model.design, fit, reduce=reduce_terms))
        names, maxima = [name for name, _ in reduced], [maximum for _, maximum in reduced]
        return deletion_table(names, Maximum.of(fit), maxima)

    def emmeans(
        self,
        specs: str | Sequence[str],
        by: str | Sequence[str] | None = None,
        at: Mapping[str, Any] | None = None,
        weights: Literal["equal", "proportional"] = "equal",
        *,
        ddf: Ddf | None = None,
        alpha: float = 0.05,
    ) -> EstimatedMarginalMeans:
        """Estimated marginal means: the fixed part over a grid of categories, covariates at their means.

        Parameters
        ----------
        specs : str or sequence of str
            Variables whose means are wanted.
        by : str or sequence of str, optional
            Variables within whose combinations contrasts compare.
        at : mapping of str to values, optional
            Values of covariates other than the mean, or some of the categories.
        weights : {"equal", "proportional"}, default "equal"
            Of the categories that are averaged over; proportional to how often their combinations occur.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom.
        alpha : float, default 0.05
            The intervals have level ``1 - alpha``.

        Returns
        -------
        EstimatedMarginalMeans
            Its ``frame`` holds emmean, std_error, df, conf_low, conf_high; ``contrasts()`` compares them.

        References
        ----------
        Searle, Speed & Milliken (1980), The American Statistician 34.

        Examples
        --------
        >>> import interlace
        >>> sleep = interlace.datasets.load_sleepstudy()
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
        >>> fit.emmeans("Days", at={"Days": [0, 9]}).frame[["Days", "emmean"]].round(2)
           Days  emmean
        0     0  251.41
        1     9  345.61
        """
        method = self._approximation(ddf)
        return estimated_marginal_means(
            self.model.design,
            self.model.data.frame,
            self.fe_params,
            method,
            specs,
            by=by,
            at=at,
            weights=weights,
            alpha=alpha,
        )

    def r2(self) -> pd.Series:
        """Nakagawa and Schielzeth's R squared: ``marginal`` (fixed part) and ``conditional`` (and random).

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.r2().round(4).to_dict()
        {'marginal': 0.2787, 'conditional': 0.7992}
        """
        shares = self.variance_shares()
        return pd.Series({"marginal": shares.r2_marginal, "conditional": shares.r2_conditional})

    def icc(self) -> pd.Series:
        """Intraclass correlation: random variance over random and residual (``adjusted``), or over all."""
        shares = self.variance_shares()
        return pd.Series({"adjusted": shares.icc_adjusted, "unadjusted": shares.icc_unadjusted})

    def variance_shares(self) -> VarianceShares:
        """Variance of the response by origin: fixed, random (mean over the rows), residual."""
        design = self.model.design
        if self.model.endog is None:
            raise InferenceError(
                "the rows of the data are gone (remove_data was called); fit the model again"
            )
        return variance_shares(design.X, self.fe_params, design.terms, self.pls_fit.Sigma, self.scale)

    # ---- statsmodels' tests ---------------------------------------------------------------------

    def t_test(
        self,
        r_matrix: Any,
        cov_p: FloatArray | None = None,
        use_t: bool | None = None,
        *,
        ddf: Ddf | None = None,
    ) -> ContrastResults:
        """Test linear hypotheses one by one.

        Parameters
        ----------
        r_matrix : array_like, str, tuple or list of str
            Contrasts with one column per fixed effect or one per parameter; or text such as ``"Days = 10"``;
            or a pair (contrasts, values).
        cov_p : ndarray, optional
            Covariance of the parameters to use for the estimated one.
        use_t : bool, optional
            Student's distribution with ``df_resid`` degrees of freedom (True) or the normal one (False),
            whatever ``ddf`` says.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Degrees of freedom; by default Satterthwaite's for fixed effects, and the normal distribution
            where a hypothesis is about variance parameters or another covariance is given.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            Effects, standard errors, statistics, p-values, intervals.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> test = fit.t_test("Days = 10")
        >>> round(float(test.effect[0]), 3), round(float(test.df_denom[0]), 3)
        (10.467, 17.0)
        """
        hypotheses = self._fixed_hypotheses(r_matrix, ddf, plain=cov_p is None and use_t is None)
        if hypotheses is None:
            return super().t_test(r_matrix, cov_p=cov_p, use_t=use_t)
        contrasts, values, method = hypotheses
        effect = contrasts @ self.fe_params
        se = np.sqrt(np.einsum("rp,pq,rq->r", contrasts, method.covariance, contrasts))
        df = np.array([method.df(row) for row in contrasts])
        with np.errstate(invalid="ignore", divide="ignore"):
            statistic = (effect - values) / se
        return ContrastResults(effect=effect, t=statistic, sd=se, df_denom=df, distribution="t")

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: FloatArray | None = None,
        invcov: FloatArray | None = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
        *,
        ddf: Ddf | None = None,
    ) -> ContrastResults:
        """Test linear hypotheses jointly.

        Parameters
        ----------
        r_matrix : array_like, str, tuple or list of str
            As for :meth:`t_test`.
        cov_p, invcov : ndarray, optional
            Covariance of the parameters, or inverse covariance of the contrasts, to use for the estimated
            one.
        use_f : bool, optional
            F distribution with ``df_resid`` denominator degrees of freedom for the chi-squared one.
        df_constraints : int, optional
            Number of constraints, if not the rank.
        scalar : bool, default True
            Return the statistic as a number.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            F distribution with these denominator degrees of freedom; by default the chi-squared distribution
            as in statsmodels.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            Statistic, degrees of freedom, p-value.
        """
        hypotheses = None if ddf is None else self._fixed_hypotheses(r_matrix, ddf, plain=True)
        if hypotheses is None or ddf == "normal":
            return super().wald_test(
                r_matrix,
                cov_p=cov_p,
                invcov=invcov,
                use_f=use_f,
                df_constraints=df_constraints,
                scalar=scalar,
            )
        contrasts, values, method = hypotheses
        test = method.f_test(contrasts, contrasts @ self.fe_params - values)
        statistic = test.statistic if scalar else np.array([[test.statistic]])
        return ContrastResults(F=statistic, df_denom=test.den_df, df_num=test.num_df)

    def f_test(
        self,
        r_matrix: Any,
        cov_p: FloatArray | None = None,
        invcov: FloatArray | None = None,
        *,
        ddf: Ddf | None = None,
    ) -> ContrastResults:
        """Test linear hypotheses jointly by an F test.

        Parameters
        ----------
        r_matrix : array_like, str, tuple or list of str
            As for :meth:`t_test`.
        cov_p, invcov : ndarray, optional
            As for :meth:`wald_test`; statsmodels' F test with ``df_resid`` is done where they are given.
        ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
            Denominator degrees of freedom; by default Satterthwaite's.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            F, degrees of freedom, p-value.
        """
        plain = cov_p is None and invcov is None
        hypotheses = self._fixed_hypotheses(r_matrix, ddf, plain=plain)
        if hypotheses is None:
            return super().wald_test(r_matrix, cov_p=cov_p, invcov=invcov, use_f=True)
        contrasts, values, method = hypotheses
        test = method.f_test(contrasts, contrasts @ self.fe_params - values)
        return ContrastResults(F=test.statistic, df_denom=test.den_df, df_num=test.num_df)

    def _fixed_hypotheses(
        self, r_matrix: Any, ddf: Ddf | None, *, plain: bool
    ) -> tuple[FloatArray, FloatArray, Approximation] | None:
        """Contrasts of the fixed effects, the values they are tested against, and the method.

        None where statsmodels' own test is due: no degrees of freedom apply to variance parameters.
        """
        if not plain and ddf is None:
            return None
        names = self.model.data.param_names
        contrasts, values = linear_constraints(names, self._full_width(r_matrix))
        if contrasts[:, self.k_fe :].any():
            if ddf in (None, "normal"):
                return None
            raise InferenceError(
                f"ddf={ddf!r} is for hypotheses about fixed effects, and this one gives weight to variance "
                'parameters; use ddf="normal"'
            )
        if not plain:
            raise InferenceError(
                f"ddf={ddf!r} does not go with another covariance or use_t; give one of them"
            )
        return contrasts[:, : self.k_fe], values, self._approximation(ddf)


def anova(*results: Any, refit: Literal["ml"] | None = "ml") -> pd.DataFrame:
    """Likelihood-ratio tests of nested models.

    Parameters
    ----------
    *results : CrossedLMMResults
        Two or more fits to the same rows and response.
    refit : "ml" or None, default "ml"
        Refit what was fitted by REML by maximum likelihood. None compares the likelihoods as they are, which
        is right for fits by REML only if their fixed parts are the same.

    Returns
    -------
    DataFrame
        One row per model in the order of the numbers of parameters, each tested against the one before:
        npar, loglik, aic, bic, deviance, chisq, df, p_value.

    Raises
    ------
    InferenceError
        If response, rows or weights differ, or restricted likelihoods of different fixed parts would be
        compared.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> small = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    >>> large = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> interlace.anova(small, large)[["npar", "deviance", "chisq", "df"]].round(3).to_numpy().tolist()
    [[4.0, 1794.079, nan, nan], [6.0, 1751.939, 42.139, 2.0]]
    """
    plain = [getattr(result, "_results", result) for result in results]
    if len(plain) < 2:
        raise InferenceError(f"anova compares fitted models and was given {len(plain)}; give two or more")
    if refit not in ("ml", None):
        raise ValueError(f"refit={refit!r} is not offered; give 'ml' or None")
    designs = [result.model.design for result in plain]
    check_comparable(designs)
    fits = [result.pls_fit if refit is None else as_ml(result.fit_with_criterion()) for result in plain]
    if len({fit.reml for fit in fits}) > 1:
        raise InferenceError("some fits are by REML and some by maximum likelihood; use refit='ml'")
    if fits[0].reml and any(not _same_fixed(designs[0].X, design.X) for design in designs[1:]):
        raise InferenceError(
            "restricted likelihoods of models with different fixed parts cannot be compared; use refit='ml'"
        )
    names = [result.model.formula_text for result in plain]
    return comparison_table(names, [Maximum.of(fit) for fit in fits])


def _same_fixed(first: FloatArray, other: FloatArray) -> bool:
    return first.shape == other.shape and bool(np.allclose(first, other))
