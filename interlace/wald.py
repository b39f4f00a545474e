"""Standard errors, intervals and tests of the estimates, as statsmodels spells them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults, WaldTestResults

from interlace import inference
from interlace.confidence import check_alpha

if TYPE_CHECKING:
    from interlace.model import CrossedLMM
    from interlace.pls import PLSFit

FloatArray = NDArray[np.float64]


class WaldInference(LikelihoodModelResults):
    """The part of the results that rests on the covariance of the estimates.

    Attributes
    ----------
    model : CrossedLMM
        The model that was fitted.
    pls_fit : PLSFit
        The penalised least squares solution.
    k_fe : int
        Number of fixed effects, the first entries of ``params``.
    """

    model: CrossedLMM
    pls_fit: PLSFit
    k_fe: int

    @property
    def fe_names(self) -> list[str]:
        """Names of the fixed effects."""
        return self.model.data.xnames

    @property
    def fe_params(self) -> FloatArray:
        """Estimates of the fixed effects; shape (k_fe,)."""
        return self.pls_fit.beta

    @property
    def normalized_cov_params(self) -> FloatArray:
        """Covariance of the estimates divided by ``scale``."""
        return self._covariance / self.scale

    @normalized_cov_params.setter
    def normalized_cov_params(self, value: None) -> None:
        """Accept what the base class assigns on construction; the covariance is computed when asked for."""

    @cached_property
    def _covariance(self) -> FloatArray:
        k_fe = self.k_fe
        covariance = np.zeros((len(self.params), len(self.params)))
        covariance[:k_fe, :k_fe] = self.pls_fit.vcov_beta
        covariance[k_fe:, k_fe:] = self._covariance_of_variances()
        return covariance

    def _covariance_of_variances(self) -> FloatArray:
        fit = self.pls_fit
        lost = [null.shape[1] for null in fit.singular]
        held = np.append(inference.boundary_thetas(fit.Lambda, lost), False)
        return inference.covariance_of_variances(
            fit.hessian_varpar(),
            inference.natural_jacobian(fit.Lambda, fit.sigma2),
            held,
            inference.boundary_entries(self.pls_fit.Sigma, fit.singular),
        )

    def cov_params(
        self,
        r_matrix: ArrayLike | None = None,
        column: Any = None,
        scale: float | None = None,
        cov_p: FloatArray | None = None,
        other: ArrayLike | None = None,
    ) -> FloatArray:
        """Covariance of the estimates or of linear combinations of them.

        Parameters
        ----------
        r_matrix : array_like, optional
            Contrasts, one per row, with one column per parameter.
        column : int or sequence of int, optional
            Only these parameters.
        scale : float, optional
            Residual variance to use for the estimated one.
        cov_p : ndarray, optional
            Covariance to use for the estimated one.
        other : array_like, optional
            Second set of contrasts; the default is ``r_matrix``.

        Returns
        -------
        ndarray
            Zero between fixed effects and variance parameters (they are asymptotically independent); NaN for
            variance parameters on the boundary, except where a contrast gives them no weight.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.cov_params().iloc[:2, :2].round(3)
                   Intercept   Days
        Intercept     46.575 -1.451
        Days          -1.451  2.389
        """
        if r_matrix is None or column is not None:
            return super().cov_params(r_matrix=r_matrix, column=column, scale=scale, cov_p=cov_p, other=other)
        contrasts = np.asarray(r_matrix, dtype=float)
        second = contrasts if other is None else np.asarray(other, dtype=float)
        return inference.quadratic_form(contrasts, super().cov_params(scale=scale, cov_p=cov_p), second)

    @cached_property
    def bse(self) -> FloatArray:
        """Standard errors of ``params``; NaN for variance parameters on the boundary."""
        return np.append(self.bse_fe, self.bse_re)

    @cached_property
    def bse_fe(self) -> FloatArray:
        """Standard errors of the fixed effects."""
        return np.sqrt(np.diag(self.pls_fit.vcov_beta))

    @cached_property
    def bse_re(self) -> FloatArray:
        """Standard errors of the variance parameters, from the exact Hessian by the delta method."""
        return np.sqrt(np.diag(self._covariance)[self.k_fe :])

    @cached_property
    def tvalues(self) -> FloatArray:
        """Estimates divided by their standard errors."""
        return self.params / self.bse

    @cached_property
    def pvalues(self) -> FloatArray:
        """Two-sided p-values of the fixed effects by the normal distribution; NaN for variance parameters."""
        p = np.full(len(self.params), np.nan)
        p[: self.k_fe] = inference.two_sided_p(self.fe_params / self.bse_fe)
        return p

    def conf_int(self, alpha: float = 0.05, cols: Sequence[int] | None = None) -> FloatArray:
        """Wald confidence intervals.

        Parameters
        ----------
        alpha : float, default 0.05
            The level is ``1 - alpha``.
        cols : sequence of int, optional
            Positions of the parameters wanted; all by default.

        Returns
        -------
        ndarray of shape (len(params), 2)
            Lower and upper limits. Those of variance parameters are rough: their distribution is skewed.
        """
        check_alpha(alpha)
        reach = stats.norm.isf(alpha / 2) * self.bse
        limits = np.column_stack([self.params - reach, self.params + reach])
        return limits if cols is None else limits[np.asarray(cols)]

    def t_test(
        self, r_matrix: Any, cov_p: FloatArray | None = None, use_t: bool | None = None
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
            Student's distribution with ``df_resid`` degrees of freedom for the normal one.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            Effects, standard errors, statistics, p-values, intervals.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> round(float(fit.t_test("Days = 10").effect[0]), 3)
        10.467
        """
        return super().t_test(self._full_width(r_matrix), cov_p=cov_p, use_t=use_t)

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: FloatArray | None = None,
        invcov: FloatArray | None = None,
        use_f: bool | None = None,
        df_constraints: int | None = None,
        scalar: bool = True,
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

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            Statistic, degrees of freedom, p-value.
        """
        return super().wald_test(
            self._full_width(r_matrix),
            cov_p=cov_p,
            invcov=invcov,
            use_f=use_f,
            df_constraints=df_constraints,
            scalar=scalar,
        )

    def wald_test_terms(
        self,
        skip_single: bool = False,
        extra_constraints: Sequence[tuple[str, Any]] | None = None,
        combine_terms: Sequence[str] | None = None,
        scalar: bool = True,
    ) -> WaldTestResults:
        """Test every term of the fixed part.

        Parameters
        ----------
        skip_single : bool, default False
            Leave out terms with a single column.
        extra_constraints : sequence of (str, contrasts), optional
            More tests, with their names.
        combine_terms : sequence of str, optional
            Also test jointly all the terms whose name contains such a text.
        scalar : bool, default True
            Statistics as numbers.

        Returns
        -------
        statsmodels.stats.contrast.WaldTestResults
            Its ``table`` has one line per test.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("strength ~ cask + (1 | batch)", interlace.datasets.load_pastes())
        >>> fit.wald_test_terms().table.round(3)
                   statistic  pvalue  df_constraint
        Intercept   5010.637   0.000              1
        cask           2.814   0.245              2
        """
        identity = np.eye(self.k_fe)
        terms = [(name, identity[columns]) for name, columns in self.model.term_columns().items()]
        tests = [(name, rows) for name, rows in terms if len(rows) > int(skip_single)]
        for text in combine_terms or ():
            tests.append((text, np.vstack([rows for name, rows in terms if text in name])))
        tests += list(extra_constraints or ())
        lines = [_wald_line(self.wald_test(rows, scalar=scalar)) for _, rows in tests]
        names = [name for name, _ in tests]
        table = pd.DataFrame(lines, index=names, columns=["statistic", "pvalue", "df_constraint"])
        return WaldTestResults(None, "chi2", None, table=table)

    def _full_width(self, r_matrix: Any) -> Any:
        """Pad contrasts of the fixed effects with zeros for the variance parameters."""
        if isinstance(r_matrix, tuple) and len(r_matrix) == 2:
            return self._full_width(r_matrix[0]), r_matrix[1]
        if isinstance(r_matrix, (str, dict)) or np.asarray(r_matrix).dtype.kind not in "biuf":
            return r_matrix
        contrasts = np.atleast_2d(np.asarray(r_matrix, dtype=float))
        width, k_fe, k_params = contrasts.shape[1], self.k_fe, len(self.params)
        if width not in (k_fe, k_params):
            raise ValueError(
                f"the contrasts have {width} columns; give {k_fe}, one per fixed effect {self.fe_names!r}, "
                f"or {k_params}, with the variance parameters"
            )
        return np.pad(contrasts, ((0, 0), (0, k_params - width)))


def _wald_line(test: ContrastResults) -> list[Any]:
    return [test.statistic, test.pvalue, int(test.df_denom)]
