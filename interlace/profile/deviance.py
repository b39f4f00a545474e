"""The profile likelihood of a fit: one walk per parameter (Bates et al. 2015, section 5.1)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from interlace import pls
from interlace.arrays import FloatArray
from interlace.errors import InferenceError
from interlace.inference.parameters import parameter_values, sds_and_correlations
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.held.constrained import Conditional, as_ml, held_parameters

from .walk import Walk


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """The deviance of a model around its minimum.

    Attributes
    ----------
    fit : PLSFit
        Maximum likelihood fit.
    estimates : ndarray of shape (m + 1 + p,)
        Standard deviations and correlations, sigma, fixed effects there.
    kinds : tuple of str
        "sd", "cor", "sigma" or "beta" for each of them.
    """

    fit: PLSFit
    estimates: FloatArray
    kinds: tuple[str, ...]

    def walk(self, position: int) -> Walk:
        """A walk along one parameter, which owns what it moves."""
        criterion = _own(self.fit.criterion)
        held = held_parameters(criterion)[position]
        estimate, kind = float(self.estimates[position]), self.kinds[position]
        lower, upper = {"sd": (0.0, np.inf), "cor": (-1.0, 1.0), "sigma": (0.0, np.inf)}.get(
            kind, (-np.inf, np.inf)
        )
        walk = Walk(
            held=held,
            estimate=0.0 if np.isnan(estimate) else estimate,
            least=self.fit.objective,
            lower=lower,
            upper=upper,
            scale=self._scale(position),
        )
        sigma = float(np.sqrt(self.fit.sigma2))
        best = Conditional(self.fit.objective, np.empty(0), self.fit.Lambda, sigma, self.fit.beta)
        walk.begin(held.start(self.fit.optimum.phi), best)
        return walk

    def _scale(self, position: int) -> float:
        """A standard error to begin with; the walk corrects it at once."""
        kind, estimate = self.kinds[position], abs(float(self.estimates[position]))
        sigma = float(np.sqrt(self.fit.sigma2))
        if kind == "beta":
            j = position - len(self.kinds) + self.fit.p
            return float(np.sqrt(self.fit.vcov_beta[j, j]))
        if kind == "sigma":
            return sigma / float(np.sqrt(2.0 * self.fit.n))
        if kind == "cor":
            return 0.2
        return max(0.2 * estimate, self._least_sd(position))

    def _least_sd(self, position: int) -> float:
        """A tenth of sigma in the units of the random effect, for standard deviations near zero."""
        relcov = self.fit.criterion.relcov
        terms = zip(relcov.structures, relcov.term_slices, relcov.term_inverses, strict=True)
        for structure, own, inverse in terms:
            if own.start <= position < own.stop:
                spread = 1.0 / np.abs(np.linalg.inv(inverse)).max(axis=0)
                row = structure.rows[position - own.start]
                return 0.1 * float(np.sqrt(self.fit.sigma2) * spread[row])
        raise IndexError(position)


def likelihoods(fit: PLSFit, criterion: ProfiledCriterion) -> Likelihoods:
    """The deviance around the maximum likelihood fit of the same model and data.

    Parameters
    ----------
    fit : PLSFit
        By REML or maximum likelihood.
    criterion : ProfiledCriterion
        That was minimised.

    Returns
    -------
    Likelihoods
    """
    if fit.monte_carlo is not None:
        raise InferenceError(
            "profiles need the likelihood to more digits than the iterative solver samples. Use Wald or "
            'bootstrap intervals, or fit with solver="cholmod" or "blocked" where memory permits'
        )
    start = None if fit.is_singular else fit.theta
    ml = pls.fit_criterion(as_ml(criterion), start=start)
    kinds: list[str] = []
    for structure in criterion.relcov.structures:
        kinds += ["sd" if own else "cor" for own in structure.diagonal]
    kinds += ["sigma", *["beta"] * fit.p]
    return Likelihoods(ml, parameter_values(ml), tuple(kinds))


def parameters(found: Conditional) -> FloatArray:
    """Standard deviations and correlations, sigma, fixed effects at a point."""
    covariances = [found.sigma**2 * root @ root.T for root in found.Lambda]
    return np.concatenate([sds_and_correlations(covariances), [found.sigma], found.beta])


def _own(criterion: ProfiledCriterion) -> ProfiledCriterion:
    """A copy with a factorization of its own, for work in parallel."""
    return criterion.variant(factorization=deepcopy(criterion.factorization), reml=False)
