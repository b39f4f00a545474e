"""Where Lambda is singular: what a search with gradients alone would not see there.

The gradient by a column of Lambda vanishes with the column, by symmetry.  So singular values that nearly
vanish are tried at zero; at zero the score matrix tells whether the criterion falls in the variance; and a
column whose loss the quadratic model does not call worse is tried without.

All trials are parameters and their gauge: searches evaluate them, and decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.relcov import RelativeCovariance, axes, lower_factor, null_space

from .protocol import At, Differentiated, Evaluation

Trial: TypeAlias = tuple[FloatArray, Sequence[FloatArray] | None]

# Share of a term's scale below which a singular value of Lambda_i is tried at exactly zero.
NEARLY_SINGULAR = 1e-2
# Relative standard deviation from which growth is tried where the residual variance nearly vanishes.
LARGE = 30.0
# Standard deviations, relative to sigma and on the basis, that are tried in the place of one of zero.
TRIED_SIZES = (0.3, 0.1, 0.03, 0.01, 1e-3)
# A column is not tried at zero if the quadratic model says that the deviance rises by more than this.
LARGEST_RISE_TRIED = 8.0


class OfModel(Protocol):
    """Anything with a template of Lambda."""

    @property
    def relcov(self) -> RelativeCovariance:
        """The template of Lambda."""


class Scored(Protocol):
    """Anything that knows the score matrices."""

    @property
    def scores(self) -> Sequence[FloatArray]:
        """Derivative with respect to ``Lambda Lambda'``, per factor, (K, K)."""


def principal_axes(relcov: RelativeCovariance, at: At) -> At:
    """The same evaluation, its parameters in the principal axes of each Lambda_i Lambda_i'."""
    if max(relcov.term_k) == 1:
        return at
    found = [axes(block) for block in relcov.of_terms(at.Lambda)]
    gauge = relcov.of_factors([U for U, _ in found])
    phi = np.zeros(relcov.m)
    phi[relcov.diagonal] = np.concatenate([s for _, s in found])
    return at.in_gauge(phi, gauge, relcov.Lambda(phi))


def near_boundary(relcov: RelativeCovariance, Lambda: Sequence[FloatArray]) -> bool:
    """Whether a singular value of some Lambda_i nearly vanishes."""
    found = (axes(block)[1] for block in relcov.of_terms(Lambda))
    return any(s[-1] < NEARLY_SINGULAR * max(1.0, float(s[0])) for s in found)


def rounded(relcov: RelativeCovariance, at: Evaluation) -> Trial | None:
    """All singular values that nearly vanish at zero; None where there are none."""
    blocks, changed = [], False
    for block in relcov.of_terms(at.Lambda):
        U, s = axes(block)
        small = s < NEARLY_SINGULAR * max(1.0, float(s[0]))
        changed |= bool((small & (s > 0)).any())
        blocks.append(U * np.where(small, 0.0, s))
    return _with_blocks(relcov, at, blocks) if changed else None


def grown(relcov: RelativeCovariance, at: Evaluation, growth: float) -> Trial | None:
    """Large singular values times ``growth``; None where there are none."""
    blocks, changed = [], False
    for block in relcov.of_terms(at.Lambda):
        U, s = axes(block)
        changed |= bool(s[0] > LARGE)
        blocks.append(U * np.where(s > LARGE, growth * s, s))
    return _with_blocks(relcov, at, blocks) if changed else None


def beyond_saddle(
    relcov: RelativeCovariance, at: Evaluation, now: Differentiated, *, least: float
) -> Iterator[Trial]:
    """Steps along null directions of Lambda in which the slope of the criterion is below ``least``."""
    blocks = relcov.of_terms(at.Lambda)
    for i, (lowest, direction) in enumerate(_lowest_scores(relcov, at, now)):
        if not lowest < least:
            continue
        for size in TRIED_SIZES:
            longer = lower_factor(np.column_stack([blocks[i], size * direction]))
            yield _with_blocks(relcov, at, [*blocks[:i], longer, *blocks[i + 1 :]])


def without_columns(relcov: RelativeCovariance, at: Evaluation, now: Differentiated) -> Iterator[Trial]:
    """Each column of Lambda at zero, unless the quadratic model says that this costs much.

    With few levels the likelihood may have two minima, one of them at a variance of zero.
    """
    m = relcov.m
    for j in np.flatnonzero(relcov.diagonal):
        x = at.x.copy()
        x[:m][relcov.same_column[j]] = 0.0
        lost = at.x - x
        if lost.any() and not lost @ (now.hessian @ lost) / 2.0 > LARGEST_RISE_TRIED:
            yield x, at.gauge


def _with_blocks(relcov: RelativeCovariance, at: Evaluation, blocks: Sequence[FloatArray]) -> Trial:
    """Other blocks per term, the rest of the parameters as it is."""
    return np.append(relcov.triangle(relcov.of_factors(blocks)), at.x[relcov.m :]), None


def boundary_curvature(criterion: OfModel, at: Evaluation, now: Scored) -> list[tuple[float, FloatArray]]:
    """Per term, the least eigenvalue of its score matrix on the null space of Lambda_i, and its vector.

    Infinite where Lambda_i is regular.
    """
    return _lowest_scores(criterion.relcov, at, now)


def _lowest_scores(relcov: RelativeCovariance, at: Evaluation, now: Scored) -> list[tuple[float, FloatArray]]:
    found = []
    for block, score in zip(relcov.of_terms(at.Lambda), relcov.of_terms(now.scores), strict=True):
        null = null_space(block)
        if not null.shape[1]:
            found.append((np.inf, np.zeros(len(block))))
            continue
        values, vectors = np.linalg.eigh(null.T @ score @ null)
        found.append((float(values[0]), null @ vectors[:, 0]))
    return found
