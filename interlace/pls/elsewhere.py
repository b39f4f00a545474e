"""Fits whose covariance parameters the data do not determine: another optimum, and what differs there.

Where the criterion is flat for every response (see `matrices.identified`), a fit is one of many with the same
criterion.  A second one, some way along, tells what is known: whatever is not the same there is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from interlace.arrays import BoolArray, FloatArray
from interlace.pls.matrices.identified import (
    changes_covariance,
    flat_projector,
    moved_along,
    on_columns,
    undetermined,
)
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.structures import unstructured
from interlace.pls.search.criterion import ProfiledCriterion
from interlace.pls.search.information import entries_by_theta

# Numbers of two optima of one criterion that agree to this share are one number.
AGREE = 1e-6
# Curvature below this share of the largest is worth a look: the search's own Hessian may have five digits.
SUSPECT = 1e-4
# Deviance by which two optima of one criterion may differ, as a share of it.
SAME_OPTIMUM = 1e-7


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Parameters that the criterion does not tell from those of a fit, and what belongs to them.

    Attributes
    ----------
    directions : ndarray of shape (m + 1, r)
        Combinations that are not determined, from `matrices.identified.undetermined`.
    in_covariance : ndarray of bool, shape (r,)
        Whether the covariance of the rows changes along each.
    open : tuple of ndarray of bool, shape (k, k)
        Entries of each term's covariance matrix that are others.
    Lambda : tuple of ndarray of shape (k, k)
        Relative covariance factors.
    sigma2 : float
        Residual variance.
    beta : ndarray of shape (p,)
        Fixed effects.
    b : tuple of ndarray of shape (n_levels, k)
        Conditional modes.
    vcov_here, vcov_there : ndarray of shape (p, p)
        Covariance of the fixed effects at the parameters of the fit, and at these.
    """

    directions: FloatArray
    in_covariance: BoolArray
    open: tuple[BoolArray, ...]
    Lambda: tuple[FloatArray, ...]
    sigma2: float
    beta: FloatArray
    b: tuple[FloatArray, ...]
    vcov_here: FloatArray
    vcov_there: FloatArray

    @property
    def Sigma(self) -> tuple[FloatArray, ...]:
        """Covariance matrix of the random effects of each term, (k, k)."""
        return tuple(self.sigma2 * block @ block.T for block in self.Lambda)

    def known_theta(self, theta: FloatArray) -> FloatArray:
        """Covariance parameters in lme4's order, (m,), with NaN where they are others elsewhere."""
        lost = [own | np.diag(own) for own in self.open]
        places = [unstructured(len(own)).theta(own.astype(float)) for own in lost]
        return np.where(np.concatenate(places).astype(bool), np.nan, theta)

    def known(self, here: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        """Covariance matrices of the terms, (k, k), with NaN where they are others elsewhere."""
        return tuple(np.where(lost, np.nan, own) for own, lost in zip(here, self.open, strict=True))

    def touched(self, relcov: RelativeCovariance) -> list[bool]:
        """Whether parameters of each term take part."""
        return [bool(self.directions[:-1][own].any()) for own in relcov.term_slices]


class Numbers(Protocol):
    """What is needed of a fit."""

    @property
    def reml(self) -> bool:
        """REML or ML."""

    @property
    def beta(self) -> FloatArray:
        """Fixed effects."""

    @property
    def vcov_beta(self) -> FloatArray:
        """Their covariance."""

    @property
    def sigma2(self) -> float:
        """Residual variance."""


def other_optimum(criterion: ProfiledCriterion, phi: FloatArray, fit: Numbers) -> Elsewhere | None:
    """Look for parameters that the criterion does not tell from those of a fit.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.
    phi : ndarray of shape (m,)
        Where the fit is.
    fit : PLSFit
        Its numbers.

    Returns
    -------
    Elsewhere or None
        None if the data determine all parameters.
    """
    cp, relcov = criterion.cp, criterion.relcov
    directions = undetermined(cp, relcov, reml=fit.reml)
    if directions.shape[1]:
        moved, directions, factor = moved_along(relcov, phi, directions)
    if not directions.shape[1]:
        return None
    return Elsewhere(
        directions=directions,
        in_covariance=changes_covariance(cp, relcov, directions),
        open=open_entries(relcov, phi, moved, factor),
        Lambda=tuple(relcov.term_blocks(relcov.from_basis @ moved)),
        sigma2=fit.sigma2 * factor,
        beta=fit.beta,
        b=(),
        vcov_here=fit.vcov_beta,
        vcov_there=fit.vcov_beta,
    )


def open_entries(
    relcov: RelativeCovariance, phi: FloatArray, moved: FloatArray, factor: float
) -> tuple[BoolArray, ...]:
    """Entries of the terms' covariance matrices that differ between two parameters.

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi, moved : ndarray of shape (m,)
        Basis parameters.
    factor : float
        By which the residual variance is larger at the second.

    Returns
    -------
    tuple of ndarray of bool, shape (k, k)
        On the scale of the residual variance or, where larger, of the entries.
    """
    found = []
    for here, there in zip(on_columns(relcov, phi), on_columns(relcov, moved), strict=True):
        size = np.maximum(1.0, np.sqrt(np.maximum(np.diag(here), np.diag(there))))
        found.append(np.abs(here - factor * there) > AGREE * np.outer(size, size))
    return tuple(found)


def known_covariance(fit: Numbers, there: Numbers) -> FloatArray:
    """Covariance of the fixed effects; NaN where it, or the estimates, are others elsewhere, (p, p)."""
    se = np.sqrt(np.diag(fit.vcov_beta))
    same = np.abs(there.beta - fit.beta) <= AGREE * se
    known = np.abs(there.vcov_beta - fit.vcov_beta) <= AGREE * np.outer(se, se)
    return np.where(known & same[:, None] & same, fit.vcov_beta, np.nan)


def without_flat(
    relcov: RelativeCovariance, phi: FloatArray, hessian: FloatArray, sigma: float, other: Elsewhere
) -> FloatArray:
    """The Hessian in (theta, sigma) with exact zeros where the criterion is flat for every response.

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi : ndarray of shape (m,)
        Where it was taken.
    hessian : ndarray of shape (m + 1, m + 1)
        Its entries there consist of rounding errors, which say nothing.
    sigma : float
        Residual standard deviation.
    other : Elsewhere
        Knows the directions.

    Returns
    -------
    ndarray of shape (m + 1, m + 1)
    """
    m = relcov.m
    entries_by_phi = entries_by_theta(relcov, phi) @ relcov.from_basis
    P = flat_projector(relcov, phi, other.directions, entries_by_phi)
    into, back = np.eye(m + 1), np.eye(m + 1)
    into[:m, :m], into[m, m] = relcov.from_basis, sigma
    back[:m, :m], back[m, m] = relcov.to_basis, 1.0 / sigma
    return np.asarray(back.T @ P @ (into.T @ hessian @ into) @ P @ back)


def agree(here: FloatArray, there: FloatArray, size: FloatArray | float = 0.0) -> BoolArray:
    """Where numbers of two optima are the same.

    Parameters
    ----------
    here, there : ndarray
        Of one shape.
    size : ndarray or float
        What counts as large, if that is more than the numbers themselves.

    Returns
    -------
    ndarray of bool
    """
    size = np.maximum(size, np.maximum(np.abs(here), np.abs(there)))
    return np.asarray(np.abs(here - there) <= AGREE * size)


def matrices_agree(here: FloatArray, there: FloatArray) -> BoolArray:
    """Where covariance matrices, (..., k, k), are the same, in units of their standard deviations.

    Parameters
    ----------
    here, there : ndarray of shape (..., k, k)
        Covariance matrices.

    Returns
    -------
    ndarray of bool, shape (..., k, k)
    """
    root = np.sqrt(np.maximum(*(np.einsum("...kk->...k", np.abs(M)) for M in (here, there))))
    return np.asarray(np.abs(here - there) <= AGREE * root[..., :, None] * root[..., None, :])
