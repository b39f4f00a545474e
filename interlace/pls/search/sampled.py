"""The profiled criterion where its log-determinant and its scores are sampled, its search, and its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.factor.iterative import IterativeFactorization
from interlace.pls.matrices.triangular import eigen

from .certificate import certify
from .criterion import Decomposition, ProfiledCriterion
from .derivatives import Derivatives
from .optimize import Iteration, Optimum, minimize

# Standard deviations of the sampled criterion that a difference of two of its values may be in doubt: the
# sampled scores are not its derivatives, and near the optimum a step that they promise need not lead down.
DOUBT = 2.0
# Rounding and truncated solves: deviance that is never told apart, absolutely and relative to the criterion.
LEAST_DOUBT, RELATIVE_DOUBT = 1e-8, 1e-13
# Deviance still to gain up to which a point is called stationary: within 1e-3 standard errors.
STATIONARY = 1e-6
# Share of a standard error above which more probes are drawn, how many times as many, and how many at most.
WANTED_SHARE, MORE, MOST_PROBES = 0.02, 4, 512


@dataclass(frozen=True, eq=False)
class MonteCarlo:
    """The error that comes of sampling.

    Attributes
    ----------
    probes : int
        Random probes; 0 where nothing was left to chance.
    seed : int
        Of the probes.
    covariance : ndarray of shape (p + m + 1, p + m + 1)
        Of (beta, theta, sigma) over probes, on the user's columns.
    share : ndarray of shape (m,)
        Standard deviation of each theta over probes, relative to its standard error.
    drawn : ndarray of shape (probes,)
        The criterion by each probe, but for a constant.
    steps : int
        Steps of conjugate gradients in the last evaluation.
    """

    probes: int
    seed: int
    covariance: FloatArray
    share: FloatArray
    drawn: FloatArray
    steps: int

    @property
    def worst(self) -> float:
        """Largest share of a standard error."""
        return float(self.share.max(initial=0.0))

    @property
    def objective(self) -> float:
        """Standard deviation of the criterion."""
        return error_of_mean(self.drawn)

    @property
    def drawing(self) -> dict[str, int]:
        """What a fit needs to draw the same probes."""
        return {"probes": self.probes, "seed": self.seed}

    @property
    def theta(self) -> FloatArray:
        """Standard deviation of each theta, shape (m,)."""
        m = len(self.share)
        return np.asarray(np.sqrt(np.diagonal(self.covariance)[-m - 1 : -1]))


class SampledCriterion(ProfiledCriterion):
    """The profiled criterion over an `IterativeFactorization`."""

    factorization: IterativeFactorization

    def with_probes(self, probes: int, seed: int | None = None) -> SampledCriterion:
        """The same with another number of probes."""
        return self.variant(factorization=self.factorization.with_probes(probes, seed))

    def noise(self, at: Decomposition) -> float:
        """Error of the objective by rounding, and by what sampling leaves in doubt."""
        sampling = DOUBT * error_of_mean(self.factorization.sample().logdets)
        return super().noise(at) + sampling + LEAST_DOUBT + RELATIVE_DOUBT * abs(at.objective)

    def monte_carlo(self, at: Decomposition, now: Derivatives) -> MonteCarlo:
        """The error of the optimum, from the scatter of the probes there.

        Parameters
        ----------
        at, now : Decomposition, Derivatives
            The last evaluation, without a gauge, and its derivatives.

        Returns
        -------
        MonteCarlo
            ``H^-1 C H^-1``, C the covariance of the sampled gradient, against ``2 H^-1``.
        """
        inverse = _pseudo_inverse(now.hessian)
        to_theta = self.relcov.from_basis @ inverse
        jacobian = np.vstack(
            [
                self.basis.change_of_beta(now.gamma_gradient),
                self.relcov.from_basis,
                self._sigma_by_phi(at, now),
            ]
        )
        to_all = jacobian @ inverse
        covariance = to_all @ self._spread(at) @ to_all.T
        error = np.sqrt(np.diagonal(covariance)[-len(to_theta) - 1 : -1])
        variance = 2.0 * np.einsum("ij,ij->i", to_theta, self.relcov.from_basis)
        share = np.divide(error, np.sqrt(np.abs(variance)), out=np.zeros_like(error), where=variance > 0.0)
        sample = self.factorization.sample()
        count, steps = len(sample.logdets), max(sample.steps, self.factorization.steps)
        factor = _heavier_tails(count)
        return MonteCarlo(
            probes=count,
            seed=self.factorization.seed,
            covariance=factor**2 * covariance,
            share=factor * share,
            drawn=sample.logdets,
            steps=steps,
        )

    def _sigma_by_phi(self, at: Decomposition, now: Derivatives) -> FloatArray:
        """Derivatives of sigma by phi, (m,): ``sigma^2 = scale^2 r^2 / nu``."""
        return np.asarray(self.basis.scale * now.pwrss_gradient / (2.0 * np.sqrt(self.nu * at.pwrss)))

    def _spread(self, at: Decomposition) -> FloatArray:
        """Covariance of the gradient in the evaluation's gauge over sets of probes, (m, m)."""
        drawn = self.factorization.sample().drawn
        probes = len(drawn[0])
        if probes < 2:
            return np.zeros((self.relcov.m, self.relcov.m))
        gradients = np.empty((probes, self.relcov.m))
        for f, (own, Psi) in enumerate(zip(self.relcov.of_factor, at.Psi, strict=True)):
            scores = -drawn[f] if at.gauge is None else -(at.gauge[f].T @ drawn[f] @ at.gauge[f])
            gradients[:, own] = 2.0 * (scores @ Psi)[:, self.relcov.row[own], self.relcov.col[own]]
        return np.atleast_2d(np.cov(gradients, rowvar=False)) / probes


def error_of_mean(drawn: FloatArray) -> float:
    """Standard deviation of a mean over probes; 0 where nothing was drawn.

    Parameters
    ----------
    drawn : ndarray of shape (probes,)
        What each of them says.

    Returns
    -------
    float
    """
    count = len(drawn)
    return _heavier_tails(count) * float(np.std(drawn, ddof=1) / np.sqrt(count)) if count > 1 else 0.0


def _heavier_tails(probes: int) -> float:
    """By how much Student's t, which a mean over its own scatter follows, is wider than the normal."""
    return float(np.sqrt((probes - 1) / (probes - 3))) if probes > 3 else 1.0


def _pseudo_inverse(hessian: FloatArray) -> FloatArray:
    """Inverse with curvatures made positive; nothing where there is none."""
    values, vectors = eigen(hessian)
    least = 1e-10 * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    inverse = np.where(np.abs(values) > least, 1.0 / np.maximum(np.abs(values), least), 0.0)
    return np.asarray((vectors * inverse) @ vectors.T)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Where the search ended, with probes enough.

    Attributes
    ----------
    criterion : SampledCriterion
        With these probes.
    optimum : Optimum
        Of the sampled criterion.
    monte_carlo : MonteCarlo
        How far that may be from the exact one.
    """

    criterion: SampledCriterion
    optimum: Optimum[Decomposition]
    monte_carlo: MonteCarlo

    def verdict(self) -> dict[str, Any]:
        """What a fit says of it: the error, and a certificate that claims no more than that."""
        certificate, found = certify(self.criterion, self.optimum), self.monte_carlo
        sampled = (
            f" The criterion was sampled with {found.probes} probes: its exact optimum is within "
            f"{found.worst:.1e} standard errors of this one in every covariance parameter (one standard "
            "deviation)."
        )
        sentence = certificate.sentence + (sampled if found.probes else "")
        stationary = self.optimum.expected_decrease < STATIONARY
        certified = certificate.certified and stationary
        if certificate.certified and not stationary:
            sentence = f"Not a certified optimum (no step leads further down): {sentence}"
        return {
            "monte_carlo": found,
            "certificate": replace(certificate, certified=certified, sentence=sentence),
        }


def minimize_sampled(
    criterion: SampledCriterion,
    start: FloatArray | Optimum[Decomposition],
    *,
    maxiter: int,
    callback: Callable[[Iteration], None] | None,
) -> Sampled:
    """Minimise, and go on from there with more probes until sampling does not matter.

    Parameters
    ----------
    criterion : SampledCriterion
        What to minimise.
    start, maxiter, callback
        As of `optimize.minimize`.

    Returns
    -------
    Sampled
    """
    while True:
        optimum = minimize(criterion, start, maxiter=maxiter, callback=callback)
        found = _error(criterion, optimum)
        if found.worst <= WANTED_SHARE or MORE * found.probes > MOST_PROBES:
            return Sampled(criterion, optimum, found)
        criterion, start = criterion.with_probes(MORE * found.probes), optimum.phi


def _error(criterion: SampledCriterion, optimum: Optimum[Decomposition]) -> MonteCarlo:
    """The error at the optimum; evaluated again if the last evaluation was elsewhere or in a gauge."""
    relcov, at = criterion.relcov, optimum.at
    turned = max(relcov.layout.K) > 1
    if turned or not criterion.factorization.stands_at(at.Lambda):
        at = criterion.decompose(optimum.phi)
    # What the search keeps of this criterion's derivatives is them.
    now = criterion.derivatives(at) if turned else cast(Derivatives, optimum.derivatives)
    return criterion.monte_carlo(at, now)
