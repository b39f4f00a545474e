"""Tests of linear hypotheses about the fixed effects, with the degrees of freedom of a small sample."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.contrast import ContrastResults

from interlace.errors import InferenceError
from interlace.formula.coding import linear_constraints

from .approximation import Approximation, Ddf, approximation
from .wald import WaldInference

if TYPE_CHECKING:
    from interlace.pls import PLSFit, ProfiledCriterion

FloatArray = NDArray[np.float64]


class ContrastTests(WaldInference):
    """statsmodels' ``t_test``, ``f_test`` and ``wald_test``, given degrees of freedom.

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

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> test = fit.wald_test("Days = 10")
        >>> round(float(test.pvalue), 3)
        0.762
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

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("strength ~ cask + (1 | batch)", interlace.datasets.load_pastes())
        >>> test = fit.f_test("cask[T.b] = 0, cask[T.c] = 0")
        >>> round(float(test.fvalue), 3), round(float(test.df_denom), 3)
        (1.407, 48.0)
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
