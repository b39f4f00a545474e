"""Confidence intervals from bootstrap replicates (Davison & Hinkley 1997, chapter 5)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError
from interlace.inference.confidence import check_alpha

KINDS = ("percentile", "basic", "normal", "bca")


def intervals(
    observed: FloatArray,
    replicates: FloatArray,
    *,
    alpha: float,
    kind: str,
    acceleration: FloatArray | None = None,
) -> FloatArray:
    """Limits of each statistic.

    Parameters
    ----------
    observed : ndarray of shape (k,)
        Estimates.
    replicates : ndarray of shape (r, k)
        NaN where a replicate does not have the statistic.
    alpha : float
        The level is ``1 - alpha``.
    kind : {"percentile", "basic", "normal", "bca"}
        How limits are made of quantiles.
    acceleration : ndarray of shape (k,), optional
        For "bca": rate at which the standard error changes with the parameter.

    Returns
    -------
    ndarray of shape (k, 2)
    """
    if kind not in KINDS:
        raise ArgumentError(f"kind={kind!r} is no bootstrap interval; give one of {KINDS!r}")
    limits = np.full((len(observed), 2), np.nan)
    for j, estimate in enumerate(observed):
        own = replicates[:, j]
        own = own[np.isfinite(own)]
        if len(own) > 1 and np.isfinite(estimate):
            a = 0.0 if acceleration is None else float(acceleration[j])
            limits[j] = _limits(float(estimate), own, alpha, kind, a)
    return limits


def _limits(estimate: float, own: FloatArray, alpha: float, kind: str, a: float) -> FloatArray:
    check_alpha(alpha)
    tails = np.array([alpha / 2.0, 1.0 - alpha / 2.0])
    if kind == "normal":
        bias = own.mean() - estimate
        return estimate - bias + stats.norm.ppf(tails) * own.std(ddof=1)
    if kind == "basic":
        return 2.0 * estimate - np.quantile(own, tails[::-1])
    if kind == "bca":
        tails = _bca_tails(estimate, own, tails, a)
    return np.asarray(np.quantile(own, tails))


def _bca_tails(estimate: float, own: FloatArray, tails: FloatArray, a: float) -> FloatArray:
    """Probabilities at which BCa reads the quantiles (Efron 1987, JASA 82, eq. 2.3)."""
    # Ties count half: a variance estimated as zero is often zero again.
    below = (np.mean(own < estimate) + np.mean(own <= estimate)) / 2.0
    edge = 0.5 / len(own)
    z0 = stats.norm.ppf(np.clip(below, edge, 1.0 - edge))
    z = z0 + stats.norm.ppf(tails)
    return np.asarray(stats.norm.cdf(z0 + z / (1.0 - a * z)))


def acceleration(left_out: FloatArray) -> FloatArray:
    """Acceleration of each statistic from its values with one group left out.

    Parameters
    ----------
    left_out : ndarray of shape (g, k)
        One row per group left out.

    Returns
    -------
    ndarray of shape (k,)
        ``sum u^3 / (6 (sum u^2)^{3/2})`` with the jackknife's influence values u (Efron 1987, eq. 6.6).
    """
    influence = np.nanmean(left_out, axis=0) - left_out
    squares = np.nansum(influence**2, axis=0)
    cubes = np.nansum(influence**3, axis=0)
    return np.divide(cubes, 6.0 * squares**1.5, out=np.zeros(len(squares)), where=squares > 0)
