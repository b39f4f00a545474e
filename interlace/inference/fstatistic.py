"""F statistics, and the sampling distribution of the fixed effects when nothing is corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from interlace.arrays import BoolArray, FloatArray
from interlace.pls.elsewhere import AGREE, matrices_agree

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


@dataclass(frozen=True, eq=False)
class PartlyKnown:
    """A method where the data leave covariance parameters open: NaN for what depends on these.

    Attributes
    ----------
    here, there : Approximation
        The method at two sets of parameters that the data do not tell apart.
    shift : ndarray of shape (p,)
        Difference of the fixed effects between the two.
    """

    here: Approximation
    there: Approximation
    shift: FloatArray

    @property
    def name(self) -> str:
        """Name of the method."""
        return self.here.name

    @property
    def covariance(self) -> FloatArray:
        """Covariance matrix of the fixed effects, (p, p); NaN what the data do not determine."""
        return np.where(self._same(np.eye(len(self.shift))), self.here.covariance, np.nan)

    def variances(self, contrasts: FloatArray) -> FloatArray:
        """Variances of contrasts, shape (r, p); NaN for those that the data do not determine."""
        known = np.array([bool(self._same(row[None, :]).all()) for row in contrasts], dtype=bool)
        return np.where(known, contrast_variances(self.here, contrasts), np.nan)

    def df(self, contrast: FloatArray) -> float:
        """Degrees of freedom of one contrast, shape (p,)."""
        return self.here.df(contrast) if self._same(contrast[None, :]).all() else np.nan

    def f_test(self, contrasts: FloatArray, estimates: FloatArray) -> FTest:
        """Test jointly; NaN if the data do not determine the covariance of the contrasts."""
        test = self.here.f_test(contrasts, estimates)
        return test if self._same(contrasts).all() else FTest(np.nan, test.num_df, np.nan)

    def _same(self, contrasts: FloatArray) -> BoolArray:
        here, there = (contrasts @ method.covariance @ contrasts.T for method in (self.here, self.there))
        moved = np.abs(contrasts @ self.shift) > AGREE * np.sqrt(np.maximum(np.diag(here), 0.0))
        return np.asarray(matrices_agree(here, there) & ~moved[:, None] & ~moved)


def contrast_variances(method: Approximation, contrasts: FloatArray) -> FloatArray:
    """Variances of contrasts.

    Parameters
    ----------
    method : Approximation
        How the fixed effects vary.
    contrasts : ndarray of shape (r, p)
        Contrasts.

    Returns
    -------
    ndarray of shape (r,)
    """
    if isinstance(method, PartlyKnown):
        return method.variances(contrasts)
    return np.asarray(np.einsum("rp,pq,rq->r", contrasts, method.covariance, contrasts))


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
