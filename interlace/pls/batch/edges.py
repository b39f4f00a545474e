"""Where Lambda is singular, for many problems at once; see `pls.search.boundary` for one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.search.boundary import LARGEST_RISE_TRIED, NEARLY_SINGULAR, TRIED_SIZES
from interlace.pls.search.optimize import ROUNDING_COST, TOLERANCE

from .criterion import Points, evaluated, in_principal_axes, noise, points
from .problems import Problems
from .search import Minima

# Singular values of Lambda_i below this share of its scale count as zero, as in `relcov.null_space`.
ZERO = 1e-8
# Slope in a variance of zero from which an optimum is not called one, as in `pls.search.certificate`.
LEAST_SLOPE = -1e-2


def lower(problems: Problems, found: Minima) -> tuple[BoolArray, Points]:
    """Better places than those found, where gradients could not show them.

    Parameters
    ----------
    problems : Problems
        B problems.
    found : Minima
        Where their searches have ended.

    Returns
    -------
    moved : ndarray of bool, shape (B,)
        Which are to be searched again.
    here : Points
        From where, for all.
    """
    relcov = problems.relcov
    here, best = found.here, found.objective.copy()
    moved, here, best = _rounded(problems, here, best)
    error = noise(problems, evaluated(problems, here))
    for wanted, trial in (*_beyond_saddles(relcov, found, here), *_without_columns(relcov, found)):
        chosen = np.flatnonzero(wanted & (best <= found.objective + ROUNDING_COST))
        if not len(chosen):
            continue
        there = evaluated(problems.take(chosen), trial.take(chosen))
        down = chosen[there.objective < best[chosen] - error[chosen]]
        is_down = np.isin(np.arange(len(best)), down)
        best[down] = there.objective[np.isin(chosen, down)]
        here, moved = trial.where(is_down, here), moved | is_down
    return moved, here


def _rounded(problems: Problems, here: Points, objective: FloatArray) -> tuple[BoolArray, Points, FloatArray]:
    """Nearly vanishing singular values at zero where that costs nothing."""
    relcov = problems.relcov
    axes = in_principal_axes(relcov, here.Lambda)
    small = nearly(relcov, axes, NEARLY_SINGULAR) & (axes.phi != 0.0)
    moved = small.any(axis=1)
    if not moved.any():
        return moved, here, objective
    chosen = np.flatnonzero(moved)
    trial = points(relcov, np.where(small, 0.0, axes.phi), axes.gauge)
    value = evaluated(problems.take(chosen), trial.take(chosen)).objective
    moved[chosen] = value <= objective[chosen] + ROUNDING_COST
    objective = objective.copy()
    objective[chosen] = np.where(moved[chosen], value, objective[chosen])
    return moved, trial.where(moved, here), objective


def nearly(relcov: RelativeCovariance, axes: Points, share: float) -> BoolArray:
    """Which singular values, diagonal in principal axes, are below a share of their term's scale; (B, m)."""
    below = np.zeros(axes.phi.shape, dtype=bool)
    for structure, own in zip(relcov.structures, relcov.term_slices, strict=True):
        diagonal = np.arange(own.start, own.stop)[structure.diagonal]
        s = np.abs(axes.phi[:, diagonal])
        below[:, diagonal] = s <= share * np.maximum(1.0, s.max(axis=1, keepdims=True))
    return below


def lowest_scores(
    relcov: RelativeCovariance, axes: Points, scores: list[FloatArray]
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Per term, the least eigenvalue of its score on the null space of Lambda_i, and its direction.

    Yields
    ------
    term : int
        Which.
    lowest : ndarray of shape (B,)
        Infinite where Lambda_i is regular.
    direction : ndarray of shape (B, k)
        In the term's basis.
    """
    singular = nearly(relcov, axes, ZERO)
    places = zip(relcov.term_k, relcov.term_factor, relcov.term_start, relcov.term_slices, strict=True)
    for i, (k, f, first, own) in enumerate(places):
        null = singular[:, np.arange(own.start, own.stop)[relcov.structures[i].diagonal]]
        if not null.any():
            continue
        at = slice(first, first + k)
        U, S = axes.gauge[f][:, at, at], scores[f][:, at, at]
        inside = U.transpose(0, 2, 1) @ S @ U
        # What is not in the null space is put out of the way.
        both = null[:, :, None] & null[:, None]
        far = np.eye(k) * np.where(null, 0.0, 1.0 + np.abs(inside).max(axis=(1, 2))[:, None] * k)[:, None]
        values, vectors = np.linalg.eigh(np.where(both, inside, 0.0) + far)
        lowest = np.where(null.any(axis=1), values[:, 0], np.inf)
        yield i, lowest, (U @ vectors[:, :, :1])[:, :, 0]


def _beyond_saddles(
    relcov: RelativeCovariance, found: Minima, here: Points
) -> Iterator[tuple[BoolArray, Points]]:
    """Steps along null directions of Lambda in which the criterion falls."""
    axes = in_principal_axes(relcov, here.Lambda)
    for i, lowest, direction in lowest_scores(relcov, axes, found.scores):
        wanted = lowest < -np.sqrt(TOLERANCE)
        if not wanted.any():
            continue
        f, at = relcov.term_factor[i], slice(relcov.term_start[i], relcov.term_start[i] + relcov.term_k[i])
        for size in TRIED_SIZES:
            blocks = [own.copy() for own in here.Lambda]
            longer = np.concatenate([blocks[f][:, at, at], size * direction[:, :, None]], axis=2)
            blocks[f][:, at, at] = lower_factors(longer)
            yield wanted, in_principal_axes(relcov, blocks)


def _without_columns(relcov: RelativeCovariance, found: Minima) -> Iterator[tuple[BoolArray, Points]]:
    """Each column of Lambda at zero, unless the quadratic model says that this costs much."""
    for j in np.flatnonzero(relcov.diagonal):
        lost = found.here.phi * relcov.same_column[j]
        rise = (lost * (found.hessian @ lost[:, :, None])[:, :, 0]).sum(axis=1) / 2.0
        wanted = lost.any(axis=1) & ~(rise > LARGEST_RISE_TRIED)
        if wanted.any():
            yield wanted, points(relcov, found.here.phi - lost, found.here.gauge)


def lower_factors(roots: FloatArray) -> FloatArray:
    """Lower triangular L, diagonal >= 0, with ``L L' = root root'``, of (B, k, r)."""
    B, k = roots.shape[:2]
    if k == 1:
        return np.asarray(np.sqrt((roots**2).sum(axis=2, keepdims=True)))
    R = np.asarray(np.linalg.qr(roots.transpose(0, 2, 1), mode="r"))
    lower = np.zeros((B, k, k))
    lower[:, :, : R.shape[1]] = R.transpose(0, 2, 1)
    return np.asarray(lower * np.where(np.einsum("bkk->bk", lower) < 0, -1.0, 1.0)[:, None])


def triangles(relcov: RelativeCovariance, here: Points) -> FloatArray:
    """Basis parameters without a gauge, diagonals >= 0, (B, m)."""
    phi = np.empty(here.phi.shape)
    places = zip(relcov.term_k, relcov.term_factor, relcov.term_start, relcov.term_slices, strict=True)
    for i, (k, f, first, own) in enumerate(places):
        at = slice(first, first + k)
        phi[:, own] = relcov.structures[i].entries(lower_factors(here.Lambda[f][:, at, at]))
    return phi


def certain(relcov: RelativeCovariance, found: Minima) -> tuple[BoolArray, IntArray]:
    """Whether each zero variance is where the score says it belongs, and how many directions have none."""
    axes = in_principal_axes(relcov, found.here.Lambda)
    inside = np.ones(len(found.objective), dtype=bool)
    for _, lowest, _ in lowest_scores(relcov, axes, found.scores):
        inside &= lowest > LEAST_SLOPE
    return inside, nearly(relcov, axes, ZERO).sum(axis=1)
