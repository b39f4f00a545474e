"""Satterthwaite's degrees of freedom, from analytic derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls import PLSFit

from .fstatistic import NOTHING_TO_TEST, FTest, principal_contrasts

# Curvature below this share of the largest, with a unit diagonal: a direction in which nothing changes.
FLAT = 1e-8
# Degrees of freedom of the single contrasts closer than this are one number.
EQUAL = 1e-8


@dataclass(frozen=True, eq=False)
class Satterthwaite:
    """Degrees of freedom by matching the mean and variance of an estimated variance to a chi-squared's.

    For a contrast c the variance ``c' C(theta, sigma) c`` has gradient g; with A the covariance of
    (theta, sigma), df is ``2 (c' C c)^2 / g' A g``.

    Attributes
    ----------
    covariance : ndarray of shape (p, p)
        C at the estimates.
    gradient : ndarray of shape (m + 1, p, p)
        Derivatives of C by (theta, sigma).
    vcov_varpar : ndarray of shape (m + 1, m + 1)
        A: twice the inverse of the Hessian of the deviance.

    References
    ----------
    Kuznetsova, Brockhoff & Christensen (2017), Journal of Statistical Software 82(13), section 2;
    Fai & Cornelius (1996), Journal of Statistical Computation and Simulation 54, for several contrasts.
    """

    covariance: FloatArray
    gradient: FloatArray
    vcov_varpar: FloatArray
    name: str = "satterthwaite"

    def df(self, contrast: FloatArray) -> float:
        """Degrees of freedom of one contrast, shape (p,)."""
        variance = contrast @ self.covariance @ contrast
        g = self.gradient @ contrast @ contrast
        spread = g @ self.vcov_varpar @ g
        return float(2.0 * variance**2 / spread) if spread > 0.0 else np.inf if variance > 0.0 else np.nan

    def f_test(self, contrasts: FloatArray, estimates: FloatArray) -> FTest:
        """Test contrasts, shape (r, p), jointly: mean squared t of uncorrelated ones."""
        rows, variances = principal_contrasts(contrasts, self.covariance)
        if not len(variances):
            return NOTHING_TO_TEST
        single = np.array([self.df(row @ contrasts) for row in rows])
        statistic = float(np.mean((rows @ estimates) ** 2 / variances))
        return FTest(statistic, len(rows), joint_df(single))


def satterthwaite(fit: PLSFit) -> Satterthwaite:
    """Set up Satterthwaite's method for a fit.

    Parameters
    ----------
    fit : PLSFit
        With its criterion.

    Returns
    -------
    Satterthwaite
    """
    return Satterthwaite(fit.vcov_at_theta, fit.vcov_beta_gradient(), varpar_covariance(fit.hessian_varpar()))


def varpar_covariance(hessian: FloatArray) -> FloatArray:
    """Covariance of (theta, sigma): twice the inverse Hessian of the deviance, flat directions left out.

    Parameters
    ----------
    hessian : ndarray of shape (m + 1, m + 1)
        At the optimum.

    Returns
    -------
    ndarray of shape (m + 1, m + 1)
        lmerTest drops eigenvalues below 1e-8; here the Hessian is scaled first, so that units do not matter.
    """
    root = np.sqrt(np.abs(np.diag(hessian)))
    scale = np.where(root > 0.0, root, 1.0)
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    curved = values > FLAT * max(values.max(initial=0.0), FLAT)
    half = vectors[:, curved] / scale[:, None]
    return np.asarray(2.0 * (half / values[curved]) @ half.T)


def joint_df(single: FloatArray) -> float:
    """Denominator degrees of freedom of a mean of squared t statistics (Fai & Cornelius 1996).

    Parameters
    ----------
    single : ndarray of shape (q,)
        Degrees of freedom of the t statistics.

    Returns
    -------
    float
        The F distribution with q numerator degrees of freedom that has the mean ``E / q``, E being the sum
        of ``nu / (nu - 2)``: ``2 E / (E - q)``. 2 where a mean does not exist.

    Examples
    --------
    >>> joint_df(np.array([10.0, 10.0]))
    10.0
    >>> round(joint_df(np.array([10.0, 20.0])), 4)
    13.0769
    """
    if len(single) == 1 or np.isinf(single).all() or np.ptp(single) < EQUAL:
        return float(single.mean())
    if (single <= 2.0).any():
        return 2.0
    excess = 2.0 / (single - 2.0)  # nu / (nu - 2) - 1
    return float(2.0 * (len(single) + excess.sum()) / excess.sum())
