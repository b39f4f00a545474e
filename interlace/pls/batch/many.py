"""Many responses of one design fitted together, in portions that fit the memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.fit import PLSFit, fit_criterion
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.rows.other_responses import Responses, TakenIn

from .exchangeable import Reduction, reduction
from .fits import BatchFits, Spreads, fitted, spreads, varpar_covariances
from .problems import of_responses

# Columns of a core, and numbers that the sums of contrasts hold, up to which many problems are quicker
# together than alone.
LARGEST_CORE = 48
LARGEST_SUMS = 40_000
# Numbers held at a time by a portion, and problems of it at most: larger ones leave the processor's cache.
HELD = 4_000_000
PORTION = 500
# Standard deviation relative to sigma, in the orthonormal basis, at which a search begins at least.
LEAST_START = 0.3
FIRST_START = 0.5


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of many problems; arrays lead with the problem, NaN for those that failed.

    Attributes
    ----------
    theta : ndarray of shape (B, m)
        Covariance parameters relative to sigma, lme4's order.
    beta, vcov_beta : ndarray of shape (B, p) and (B, p, p)
        Fixed effects and their covariances.
    sigma2, objective : ndarray of shape (B,)
        Residual variances; the criterion.
    n_singular : ndarray of int, shape (B,)
        Directions of the random effects without variance.
    certified : ndarray of bool, shape (B,)
        Whether the optimum is certified.
    nit : ndarray of int, shape (B,)
        Newton steps.
    failures : dict of int to Exception
        Why there are no estimates, by problem.
    spreads : Spreads or None
        What degrees of freedom are made of, where they were asked for.
    """

    theta: FloatArray
    beta: FloatArray
    vcov_beta: FloatArray
    sigma2: FloatArray
    objective: FloatArray
    n_singular: IntArray
    certified: BoolArray
    nit: IntArray
    failures: dict[int, Exception]
    spreads: Spreads | None = None

    def __len__(self) -> int:
        return len(self.sigma2)

    def Sigma(self, relcov: RelativeCovariance) -> list[FloatArray]:
        """Covariances of the random effects of each term, (B, k, k), on raw columns."""
        found = []
        for structure, own in zip(relcov.structures, relcov.term_slices, strict=True):
            block = np.zeros((len(self), structure.k, structure.k))
            block[:, structure.rows, structure.columns] = self.theta[:, own]
            found.append(self.sigma2[:, None, None] * block @ block.transpose(0, 2, 1))
        return found


@dataclass(frozen=True, eq=False)
class Together:
    """A design whose responses can be fitted together.

    Attributes
    ----------
    responses : Responses
        The rows, ready for other responses.
    reduction : Reduction
        What its exchangeable levels leave to be factorised.
    """

    responses: Responses
    reduction: Reduction

    @property
    def portion(self) -> int:
        """Responses that are fitted at a time."""
        return max(1, min(PORTION, HELD // _size(self.reduction, self.responses.criterion.cp.p)))

    def estimates(
        self, Y: FloatArray, start: FloatArray | None = None, *, with_spreads: bool = False
    ) -> Estimates:
        """Fit all responses.

        Parameters
        ----------
        Y : ndarray of shape (n, r)
            One response per column.
        start : ndarray of shape (m,), optional
            Theta of a fit to much the same data.
        with_spreads : bool
            Whether degrees of freedom will be asked for.

        Returns
        -------
        Estimates
        """
        width = self.portion
        with suitable_threads(self.reduction.core.q):
            parts = [
                self._portion(Y[:, first : first + width], start, with_spreads=with_spreads)
                for first in range(0, Y.shape[1], width)
            ]
        return joined(parts)

    def _portion(self, Y: FloatArray, start: FloatArray | None, *, with_spreads: bool) -> Estimates:
        block, relcov = self.responses.take_in(Y), self.responses.criterion.relcov
        kept = np.flatnonzero(block.scale > 0.0)
        found = _nothing(Y.shape[1], relcov.m, block.design.Q.shape[1], with_spreads=with_spreads)
        alone = np.setdiff1d(np.arange(Y.shape[1]), kept)
        if len(kept):
            phi = start_from(relcov, start)[None]
            fits = fitted(of_responses(self.reduction, _columns(block, kept)), phi)
            _fill(found, fits, kept)
            alone = np.concatenate([alone, kept[~fits.settled]])
        for j in alone.tolist():
            _alone(found, block, j)
        return found


def together(responses: Responses) -> Together | None:
    """A design whose responses can be fitted together; None where one by one is quicker.

    Parameters
    ----------
    responses : Responses
        The rows of the design.

    Returns
    -------
    Together or None
    """
    cp, layout = responses.criterion.cp, responses.criterion.relcov.layout
    reduced = reduction(cp.A, layout)
    if reduced.core.q > LARGEST_CORE or contrast_sums(reduced, cp.p) > LARGEST_SUMS:
        return None
    return Together(responses, reduced)


def estimates_alone(responses: Responses, Y: FloatArray, *, with_spreads: bool = False) -> Estimates:
    """The same as `Together.estimates`, one by one.

    Parameters
    ----------
    responses : Responses
        The rows of the design.
    Y : ndarray of shape (n, r)
        One response per column.
    with_spreads : bool
        Whether degrees of freedom will be asked for.

    Returns
    -------
    Estimates
    """
    block, relcov = responses.take_in(Y), responses.criterion.relcov
    found = _nothing(Y.shape[1], relcov.m, responses.Q.shape[1], with_spreads=with_spreads)
    for j in range(Y.shape[1]):
        _alone(found, block, j)
    return found


def _alone(found: Estimates, block: TakenIn, j: int) -> None:
    """Fit one by itself."""
    try:
        fill_alone(found, j, fit_criterion(block.criterion(j)))
    except (ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
        found.failures[j] = error


def contrast_sums(reduced: Reduction, p: int) -> int:
    """Numbers that the contrasts of one problem hold."""
    groups = zip(reduced.groups, reduced.layout.K, strict=True)
    return sum(int((own.counts > 0.0).sum()) * K * K * (1 + p + p * p) for own, K in groups)


def _size(reduced: Reduction, p: int) -> int:
    """Numbers that one problem holds at a time, roughly."""
    return 8 * reduced.core.q**2 + 4 * contrast_sums(reduced, p) + 2 * reduced.layout.q + 500


def start_from(relcov: RelativeCovariance, theta: FloatArray | None) -> FloatArray:
    """Basis parameters inside the parameter space, near a theta if there is one, (m,)."""
    if theta is None:
        return np.where(relcov.diagonal, FIRST_START, 0.0)
    phi = np.asarray(relcov.to_basis @ theta)
    return np.where(relcov.diagonal, np.maximum(phi, LEAST_START), phi)


def _columns(block: TakenIn, kept: IntArray) -> TakenIn:
    """Some of the responses."""
    if len(kept) == len(block.scale):
        return block
    return replace(
        block,
        shift=block.shift[:, kept],
        scale=block.scale[kept],
        residual=block.residual[:, kept],
        Zty=block.Zty[:, kept],
        Qty=block.Qty[:, kept],
    )


def _nothing(count: int, m: int, p: int, *, with_spreads: bool) -> Estimates:
    """Room for estimates."""
    room = Spreads(np.full((count, m + 1, p, p), np.nan), np.full((count, m + 1, m + 1), np.nan))
    return Estimates(
        theta=np.full((count, m), np.nan),
        beta=np.full((count, p), np.nan),
        vcov_beta=np.full((count, p, p), np.nan),
        sigma2=np.full(count, np.nan),
        objective=np.full(count, np.nan),
        n_singular=np.zeros(count, dtype=np.intp),
        certified=np.zeros(count, dtype=bool),
        nit=np.zeros(count, dtype=np.intp),
        failures={},
        spreads=room if with_spreads else None,
    )


FIELDS = ("theta", "beta", "vcov_beta", "sigma2", "objective", "n_singular", "certified", "nit")


def _fill(found: Estimates, fits: BatchFits, kept: IntArray) -> None:
    """Put down the fits of some problems."""
    for name in FIELDS:
        getattr(found, name)[kept] = getattr(fits, name)
    settled = np.flatnonzero(fits.settled)
    if found.spreads is not None and len(settled):
        own = spreads(fits, settled)
        found.spreads.gradient[kept[settled]] = own.gradient
        found.spreads.vcov_varpar[kept[settled]] = own.vcov_varpar


def fill_alone(found: Estimates, j: int, fit: PLSFit) -> None:
    """Put down a fit that was found alone."""
    for name in ("theta", "beta", "vcov_beta", "sigma2", "objective"):
        getattr(found, name)[j] = getattr(fit, name)
    found.n_singular[j] = sum(directions.shape[1] for directions in fit.singular)
    found.certified[j], found.nit[j] = fit.certificate.certified, fit.optimum.nit
    if found.spreads is not None:
        found.spreads.gradient[j] = fit.vcov_beta_gradient()
        found.spreads.vcov_varpar[j] = varpar_covariances(fit.hessian_varpar()[None])[0]


def joined(parts: list[Estimates]) -> Estimates:
    """Estimates of several portions one after the other."""
    if len(parts) == 1:
        return parts[0]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS}
    failures: dict[int, Exception] = {}
    first = 0
    for part in parts:
        failures |= {first + j: error for j, error in part.failures.items()}
        first += len(part)
    own = [part.spreads for part in parts if part.spreads is not None]
    return Estimates(
        **arrays,
        failures=failures,
        spreads=Spreads(
            np.concatenate([one.gradient for one in own]), np.concatenate([one.vcov_varpar for one in own])
        )
        if own
        else None,
    )
