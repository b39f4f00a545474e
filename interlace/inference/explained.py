"""Shares of variance: R squared and intraclass correlation of a mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls import RandomTerm


@dataclass(frozen=True)
class VarianceShares:
    """Variance of the response by origin.

    Attributes
    ----------
    fixed : float
        Variance of the fixed part over the rows, with divisor n - 1.
    random : float
        Mean over the rows of the variance of the random part (Johnson 2014).
    residual : float
        Residual variance.

    References
    ----------
    Nakagawa & Schielzeth (2013), Methods in Ecology and Evolution 4, eqs. 26-30; Johnson (2014), same
    journal, 5, for random slopes.
    """

    fixed: float
    random: float
    residual: float

    @property
    def r2_marginal(self) -> float:
        """Share of the fixed part."""
        return self.fixed / (self.fixed + self.random + self.residual)

    @property
    def r2_conditional(self) -> float:
        """Share of the fixed and random parts."""
        return (self.fixed + self.random) / (self.fixed + self.random + self.residual)

    @property
    def icc_adjusted(self) -> float:
        """Share of the random part in what the fixed part leaves."""
        return self.random / (self.random + self.residual)

    @property
    def icc_unadjusted(self) -> float:
        """Share of the random part in all."""
        return self.random / (self.fixed + self.random + self.residual)


def shares_of_variance(
    X: FloatArray,
    beta: FloatArray,
    terms: Sequence[RandomTerm],
    covariances: Sequence[FloatArray],
    sigma2: float,
) -> VarianceShares:
    """Split the variance of the response by origin.

    Parameters
    ----------
    X, beta : ndarray of shape (n, p), ndarray of shape (p,)
        The fixed part; an offset is not part of it.
    terms, covariances : sequences of RandomTerm and of ndarray of shape (k, k)
        The random part: raw columns, and covariance of the effects.
    sigma2 : float
        Residual variance (at weight 1).

    Returns
    -------
    VarianceShares
    """
    random = [
        float(np.einsum("ra,ab,rb->", term.Xi, Sigma, term.Xi, optimize=True)) / len(term.Xi)
        for term, Sigma in zip(terms, covariances, strict=True)
    ]
    return VarianceShares(float(np.var(X @ beta, ddof=1)), sum(random), sigma2)
