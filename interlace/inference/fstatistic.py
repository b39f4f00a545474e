"""F statistics, and the sampling distribution of the fixed effects when nothing is corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from interlace.arrays import FloatArray

# An eigenvalue below this share of the largest belongs to contrasts that depend on one another.
DEPENDENT = 1e-8


@dataclass(frozen=True)
class FTest:
    """A joint test of some contrasts.

    Attributes
    ----------
    statistic : float
        F; NaN if there is nothing to test.
    num_df : int
        Independent contrasts.
    den_df : float
        Denominator degrees of freedom; infinite for the chi-squared distribution of ``num_df * F``.
    scaling : float
        What Wald's statistic, divided by ``num_df``, was multiplied by.
    """

    statistic: float
    num_df: int
    den_df: float
    scaling: float = 1.0

    @property
    def p_value(self) -> float:
        """Upper tail of the F distribution."""
        if np.isinf(self.den_df):
            return float(stats.chi2.sf(self.num_df * self.statistic, self.num_df))
        return float(stats.f.sf(self.statistic, self.num_df, self.den_df))


NOTHING_TO_TEST = FTest(np.nan, 0, np.nan)


class Approximation(Protocol):
    """How the fixed effects are taken to vary: their covariance, and degrees of freedom for contrasts."""

    @property
    def name(self) -> str:
        """Name of the method, as the user asks for it."""

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix of the fixed effects that the standard errors come from, (p, p)."""

    def df(self, contrast: FloatArray) -> float:
        """Degrees of freedom of the t statistic of one contrast, shape (p,)."""

    def f_test(self, contrasts: FloatArray, estimates: FloatArray) -> FTest:
        """Test jointly that contrasts, shape (r, p), with estimates, shape (r,), are zero."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Estimates are normal with known covariance: z and chi-squared tests, as in MixedLM."""

    covariance: FloatArray
    name: str = "normal"

    def df(self, contrast: FloatArray) -> float:  # noqa: ARG002
        """Infinity."""
        return np.inf

    def f_test(self, contrasts: FloatArray, estimates: FloatArray) -> FTest:
        """Wald's statistic divided by its degrees of freedom."""
        rows, variances = principal_contrasts(contrasts, self.covariance)
        if not len(variances):
            return NOTHING_TO_TEST
        statistic = float(np.mean((rows @ estimates) ** 2 / variances))
        return FTest(statistic, len(variances), np.inf)


def principal_contrasts(contrasts: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Uncorrelated combinations of some contrasts, and their variances.

    Parameters
    ----------
    contrasts : ndarray of shape (r, p)
        Contrasts; they may depend on one another.
    covariance : ndarray of shape (p, p)
        Covariance of the fixed effects.

    Returns
    -------
    rows : ndarray of shape (q, r)
        Combinations of the contrasts, q being their rank.
    variances : ndarray of shape (q,)
        Of the combinations; in decreasing order.
    """
    values, vectors = np.linalg.eigh(contrasts @ covariance @ contrasts.T)
    kept = values > DEPENDENT * max(values.max(initial=0.0), 0.0)
    return np.ascontiguousarray(vectors[:, kept].T[::-1]), values[kept][::-1]
