"""Fits of many problems: estimates, their covariances and degrees of freedom, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.matrices.relcov import RelativeCovariance

from .criterion import Points, evaluated, ungauged
from .derivatives import entries, fixed_effects, slopes
from .edges import certain, lower, triangles
from .problems import Problems
from .search import Minima, descended, start

# Curvature below this share of the largest, with a unit diagonal: a direction in which nothing changes.
FLAT = 1e-8


@dataclass(frozen=True, eq=False)
class BatchFits:
    """Estimates of many problems; arrays lead with the problem.

    Attributes
    ----------
    theta : ndarray of shape (B, m)
        Covariance parameters relative to sigma, lme4's order.
    beta : ndarray of shape (B, p)
        Fixed effects.
    vcov_beta : ndarray of shape (B, p, p)
        Their covariances.
    sigma2, objective : ndarray of shape (B,)
        Residual variances; the criterion.
    n_singular : ndarray of int, shape (B,)
        Directions of the random effects without variance.
    certified : ndarray of bool, shape (B,)
        Whether first- and second-order conditions hold, on the boundary too.
    settled : ndarray of bool, shape (B,)
        False where the search did not arrive: fit these alone.
    nit : ndarray of int, shape (B,)
        Newton steps.
    problems, here : Problems, Points
        What was fitted, and the optima without a gauge.
    """

    theta: FloatArray
    beta: FloatArray
    vcov_beta: FloatArray
    sigma2: FloatArray
    objective: FloatArray
    n_singular: IntArray
    certified: BoolArray
    settled: BoolArray
    nit: IntArray
    problems: Problems
    here: Points

    @property
    def relcov(self) -> RelativeCovariance:
        """The template of Lambda."""
        return self.problems.relcov

    @property
    def Sigma(self) -> list[FloatArray]:
        """Covariances of the random effects of each term, (B, k, k), on raw columns."""
        found = []
        for structure, own in zip(self.relcov.structures, self.relcov.term_slices, strict=True):
            block = np.zeros((len(self.theta), structure.k, structure.k))
            block[:, structure.rows, structure.columns] = self.theta[:, own]
            found.append(self.sigma2[:, None, None] * block @ block.transpose(0, 2, 1))
        return found


def fitted(problems: Problems, phi: FloatArray) -> BatchFits:
    """Minimise every criterion.

    Parameters
    ----------
    problems : Problems
        B problems.
    phi : ndarray of shape (1, m) or (B, m)
        Basis parameters to start from, inside the parameter space.

    Returns
    -------
    BatchFits
    """
    found = minima(problems, start(problems, phi))
    relcov = problems.relcov
    settled = found.converged.copy()
    inside = np.zeros(len(settled), dtype=bool)
    n_singular = np.zeros(len(settled), dtype=np.intp)
    phi = np.full((len(problems), relcov.m), np.nan)
    some = np.flatnonzero(settled)
    if len(some):
        here = found.take(some)
        inside[some], n_singular[some] = certain(relcov, here)
        phi[some] = triangles(relcov, here.here)
    return _estimated(problems, phi, inside, n_singular, settled, found.nit)


def minima(problems: Problems, here: Points) -> Minima:
    """Newton's descents, and what gradients do not see, until neither leads further down."""
    found = descended(problems, here)
    pending = np.flatnonzero(found.converged)
    for _ in range(4 + problems.relcov.m):
        if not len(pending):
            break
        own = problems.take(pending)
        moved, trial = lower(own, found.take(pending))
        if not moved.any():
            break
        chosen = np.flatnonzero(moved)
        found.put(pending[chosen], descended(own.take(chosen), trial.take(chosen)))
        pending = pending[chosen]
        pending = pending[found.converged[pending]]
    return found


def _estimated(
    problems: Problems,
    phi: FloatArray,
    inside: BoolArray,
    n_singular: IntArray,
    settled: BoolArray,
    nit: IntArray,
) -> BatchFits:
    """Everything in the user's units; of those that have not settled, NaN."""
    B, p, relcov = len(problems), problems.p, problems.relcov
    beta, vcov = np.full((B, p), np.nan), np.full((B, p, p), np.nan)
    sigma2, objective = np.full(B, np.nan), np.full(B, np.nan)
    here = ungauged(relcov, np.where(settled[:, None], phi, 0.0))
    some = np.flatnonzero(settled)
    if len(some):
        own = problems.take(some)
        at = evaluated(own, here.take(some))
        gamma, inverse = fixed_effects(at)
        scales, scale2 = own.scales, own.scales.scale**2
        sigma2[some] = at.pwrss * scale2 / own.nu
        objective[some] = at.objective
        back = np.linalg.inv(scales.R)
        beta[some] = (back @ (scales.shift + scales.scale[:, None] * gamma)[:, :, None])[:, :, 0]
        half = back @ inverse
        vcov[some] = sigma2[some][:, None, None] * half @ half.transpose(0, 2, 1)
    return BatchFits(
        theta=phi @ relcov.from_basis.T,
        beta=beta,
        vcov_beta=vcov,
        sigma2=sigma2,
        objective=objective,
        n_singular=n_singular,
        certified=settled & inside,
        settled=settled,
        nit=nit,
        problems=problems,
        here=here,
    )


@dataclass(frozen=True, eq=False)
class Spreads:
    """How the covariance of the fixed effects varies with the covariance parameters.

    Attributes
    ----------
    gradient : ndarray of shape (B, m + 1, p, p)
        Derivatives of ``vcov_beta`` by (theta, sigma).
    vcov_varpar : ndarray of shape (B, m + 1, m + 1)
        Covariances of (theta, sigma): twice the inverse Hessians of the deviance.
    """

    gradient: FloatArray
    vcov_varpar: FloatArray


def spreads(fits: BatchFits, chosen: IntArray) -> Spreads:
    """What Satterthwaite's method needs, of some fits that have settled.

    Parameters
    ----------
    fits : BatchFits
        Many fits.
    chosen : ndarray of int
        Which, at least one.

    Returns
    -------
    Spreads
    """
    problems, here = fits.problems.take(chosen), fits.here.take(chosen)
    relcov, m, p = problems.relcov, problems.relcov.m, problems.p
    at = evaluated(problems, here)
    by = slopes(problems, here, entries(problems, at))
    sigma2, vcov = fits.sigma2[chosen], fits.vcov_beta[chosen]
    sigma = np.sqrt(sigma2)
    half = np.linalg.inv(problems.scales.R) @ fixed_effects(at)[1]
    inner = np.tensordot(by.P, relcov.to_basis, axes=(1, 0)).transpose(0, 3, 1, 2)
    gradient = np.empty((len(chosen), m + 1, p, p))
    own = half[:, None]
    gradient[:, :m] = sigma2[:, None, None, None] * (own @ inner @ own.transpose(0, 1, 3, 2))
    gradient[:, m] = 2.0 * vcov / sigma[:, None, None]
    H = np.empty((len(chosen), m + 1, m + 1))
    H[:, :m, :m] = relcov.to_basis.T @ by.unprofiled @ relcov.to_basis
    H[:, :m, m] = H[:, m, :m] = 2.0 * (by.shares @ relcov.to_basis) / sigma[:, None]
    H[:, m, m] = 4.0 * problems.nu / sigma2
    return Spreads(gradient, varpar_covariances(H))


def varpar_covariances(hessians: FloatArray) -> FloatArray:
    """Twice the inverse of each Hessian, (B, r, r), flat directions left out after scaling."""
    root = np.sqrt(np.abs(np.einsum("brr->br", hessians)))
    scale = np.where(root > 0.0, root, 1.0)
    values, vectors = np.linalg.eigh(hessians / (scale[:, :, None] * scale[:, None]))
    curved = values > FLAT * np.maximum(values.max(axis=1, initial=0.0), FLAT)[:, None]
    half = vectors / scale[:, :, None]
    weights = np.divide(2.0, values, out=np.zeros(values.shape), where=curved)
    return np.asarray((half * weights[:, None]) @ half.transpose(0, 2, 1))


def satterthwaite_df(vcov: FloatArray, spread: Spreads, contrasts: FloatArray) -> FloatArray:
    """Degrees of freedom of contrasts in every fit.

    Parameters
    ----------
    vcov : ndarray of shape (B, p, p)
        Covariances of the fixed effects.
    spread : Spreads
        Of the same fits.
    contrasts : ndarray of shape (r, p) or (B, r, p)
        One per row; the same for all fits, or each its own.

    Returns
    -------
    ndarray of shape (B, r)
    """
    c = np.broadcast_to(contrasts, (len(vcov), *contrasts.shape[-2:]))
    variance = np.einsum("brp,bpq,brq->br", c, vcov, c, optimize=True)
    g = np.einsum("brp,bjpq,brq->brj", c, spread.gradient, c, optimize=True)
    spread_of = np.einsum("brj,bjk,brk->br", g, spread.vcov_varpar, g, optimize=True)
    known = spread_of > 0.0
    df = np.divide(2.0 * variance**2, spread_of, out=np.full(variance.shape, np.inf), where=known)
    return np.where(known | (variance > 0.0), df, np.nan)
