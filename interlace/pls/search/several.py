"""The best of several minima: whether to look for others, where, and when to stop.

The likelihood of a mixed model may have several maxima: with and without a variance, with the one or the
other of two nearly collinear columns, where levels or rows are few.  With many levels for each parameter one
search is made, and nothing is spent on more.  Elsewhere searches begin from other places until minima not met
yet are improbable; and where there is one parameter, nothing lower is *proved* to exist (see `line`).

References
----------
Good (1953), Biometrika 40: the share of draws that would show something new is about that of what was drawn
once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeAlias

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import OptimizationError
from interlace.pls.factor.nested import diagonal_blocks

from .criterion import Decomposition, ProfiledCriterion
from .exact import Rows, criterion_error
from .line import line, variance
from .optimize import INTERPOLATING, Optimum, minimize
from .starts import Start, other_starts

# What is known of an optimum beyond its neighbourhood.
Knowledge: TypeAlias = Literal["proved", "agreed", "alone", "given", "several", "unsettled", "unbounded"]

# Deviance by which minima differ, beyond the error of the criterion.
DIFFERENT = 1e-6
# Levels (of equal weight) for each column of a factor, and rows for each random effect, from which one search
# is enough; with many levels fewer rows will do.
ENOUGH_LEVELS, ENOUGH_ROWS, MANY_LEVELS, FEW_ROWS = 6.0, 4.0, 50.0, 1.5
# Error of the criterion from which a lower minimum is none.
LARGE_ERROR = 1e-3
# Correlation of columns without a covariance from which it is not.
COLLINEAR = 0.5
# Searches that must agree, by half and by less than half of that; searches and steps of each at most.
AGREE, AGREE_WHERE_LITTLE, MOST, STEPS = 3, 8, 40, 60
# Share of further searches that would show something new, at which they end.
UNSEEN = 0.07
# Random effects from which the model is large, and searches there.
LARGE_MODEL, MOST_IN_LARGE = 600, 3


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum that a search ended in.

    Attributes
    ----------
    objective : float
        The criterion there.
    theta : ndarray of shape (m,)
        Where.
    start : str
        Where the search began that met it first: ``"moments"`` as every search by default, ``"given"``,
        ``"correlated"`` (moments of the model with all covariances), ``"term 2 outwards"`` (from outside of
        a variance that had vanished), ``"term 2 alone"``, ``"large"``, ``"small"``, ``"line"``, or
        ``"random 1"``.
    met : int
        How many searches ended there.
    """

    objective: float
    theta: FloatArray
    start: str
    met: int = 1

    def __post_init__(self) -> None:
        self.theta.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Explored:
    """What one or several searches have found.

    Attributes
    ----------
    optimum : Optimum
        The best of them.
    minima : tuple of Minimum
        All that were met, lowest first.
    searches : int
        How many there were.
    known : str
        What is known of the best beyond its neighbourhood: ``"proved"`` that nothing is lower; ``"agreed"``,
        that further searches would hardly show anything new; ``"alone"``, one search where the data are many
        for each parameter; ``"given"``, one search from where the caller said; ``"several"``, the lowest of
        as many as were asked for; ``"unsettled"``, that others may well be lower; ``"unbounded"``, that the
        criterion fell without bound from some start.
    """

    optimum: Optimum[Decomposition]
    minima: tuple[Minimum, ...]
    searches: int
    known: Knowledge


def explore(
    criterion: ProfiledCriterion,
    first: Optimum[Decomposition],
    name: str,
    *,
    starts: int | None = None,
    maxiter: int = STEPS,
    rows: Rows | None = None,
) -> Explored:
    """Look for minima other than the one that was found.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What was minimised.
    first : Optimum
        Where the first search ended.
    name : str
        Where it began.
    starts : int, optional
        Searches in all. By default as many as it takes, and one where the data are many.
    maxiter : int
        Steps of each at most, but no more than `STEPS`.
    rows : Rows, optional
        Tell minima from rounding errors where cross-products lose digits.

    Returns
    -------
    Explored
    """
    found = _Found(criterion, [first], [_minimum(criterion, first, name)], maxiter, rows)
    if starts is None and found.prove():
        return found.explored("proved")
    agree = starts or searches_wanted(criterion, first)
    if agree == 1:
        return found.explored("alone")
    large = criterion.relcov.layout.q > LARGE_MODEL
    most = starts or (MOST_IN_LARGE if large else MOST)
    others = other_starts(criterion.cp, criterion.relcov, first.at.Lambda, reml=criterion.reml)
    for start in islice(others, most - 1):
        found.search(start)
        if starts is None and found.enough(agree):
            break
    if found.unseen < UNSEEN:
        return found.explored("agreed")
    return found.explored("several" if starts or large else "unsettled")


def given(criterion: ProfiledCriterion, only: Optimum[Decomposition]) -> Explored:
    """The record of one search from where the caller said, such as the optimum for much the same data."""
    return _Found(criterion, [only], [_minimum(criterion, only, "given")], 0).explored("given")


def searches_wanted(criterion: ProfiledCriterion, optimum: Optimum[Decomposition]) -> int:
    """How many searches are to agree, by how many levels and rows there are for the parameters.

    One that ends where it began, at an estimate from moments, needs no other: as in balanced data.
    """
    relcov, cp = criterion.relcov, criterion.cp
    if optimum.nit == 0 and optimum.converged:
        return 1
    plenty, collinear, many = np.inf, False, True
    for f, K in enumerate(relcov.layout.K):
        blocks = diagonal_blocks(cp.A, relcov.layout, f)
        levels = _effective_levels(blocks) / K
        plenty, many = min(plenty, levels / ENOUGH_LEVELS), many and levels > MANY_LEVELS
        collinear |= relcov.term_factor.count(f) > 1 and _collinear(blocks)
    plenty = min(plenty, cp.n / relcov.layout.q / (FEW_ROWS if many else ENOUGH_ROWS))
    if plenty >= 1.0:
        return AGREE if collinear else 1
    return AGREE if plenty >= 0.5 else AGREE_WHERE_LITTLE


def _effective_levels(blocks: FloatArray) -> float:
    """How many levels of equal weight would tell as much, of the column that has the fewest."""
    weights = np.diagonal(blocks, axis1=1, axis2=2)
    return float((weights.sum(axis=0) ** 2 / np.maximum((weights**2).sum(axis=0), 1e-300)).min())


def _collinear(blocks: FloatArray) -> bool:
    gram = np.abs(blocks.sum(axis=0))
    scale = np.sqrt(np.diagonal(gram))
    return bool((np.triu(gram, 1) > COLLINEAR * np.outer(scale, scale)).any())


def _minimum(criterion: ProfiledCriterion, optimum: Optimum[Decomposition], name: str) -> Minimum:
    return Minimum(optimum.at.objective, criterion.relcov.from_basis @ optimum.phi, name)


@dataclass
class _Found:
    """The moving part: what was found so far, the first search's first."""

    criterion: ProfiledCriterion
    optima: list[Optimum[Decomposition]]
    minima: list[Minimum]
    maxiter: int
    rows: Rows | None = None
    searches: int = 1
    unbounded: bool = False

    @property
    def best(self) -> Optimum[Decomposition]:
        """The lowest that does not fall for ever; the lowest if all do."""
        ended = [optimum for optimum in self.optima if optimum.message != INTERPOLATING] or self.optima
        return min(ended, key=lambda optimum: optimum.at.objective)

    @property
    def unseen(self) -> float:
        """Share of further searches that would end in a minimum not met yet."""
        return sum(minimum.met == 1 for minimum in self.minima) / sum(minimum.met for minimum in self.minima)

    def enough(self, agree: int) -> bool:
        """Whether further searches would hardly show anything new, or nothing of use."""
        if self.unbounded:
            return self.searches >= AGREE
        return self.searches >= agree and self.unseen < UNSEEN

    def search(self, start: Start) -> None:
        """Search from somewhere else."""
        self.searches += 1
        known = [optimum for optimum in self.optima if optimum.converged]
        try:
            new = minimize(self.criterion, start.phi, maxiter=min(self.maxiter, STEPS), known=known)
            if not new.converged and new.at.objective < self.best.at.objective - DIFFERENT:
                new = minimize(self.criterion, new, maxiter=self.maxiter)
        except OptimizationError:
            self.unbounded = True
            return
        self.unbounded |= new.message == INTERPOLATING
        self._add(new, start.name)

    def _add(self, new: Optimum[Decomposition], name: str) -> None:
        """Put an optimum down unless it was met before; one that did not converge only if it is lower."""
        if not new.converged and new.at.objective > self.best.at.objective - DIFFERENT:
            return
        lower = new.at.objective < self.best.at.objective
        if lower and criterion_error(self.criterion, new, self.rows) > LARGE_ERROR:
            return  # lower where the criterion is not known
        for i, (old, minimum) in enumerate(zip(self.optima, self.minima, strict=True)):
            noise = max(self.criterion.noise(new.at), self.criterion.noise(old.at), new.error, old.error)
            if abs(old.at.objective - new.at.objective) < DIFFERENT + noise:
                self.minima[i] = replace(minimum, met=minimum.met + 1)
                if new.converged and not old.converged:
                    self.optima[i] = new
                return
        self.optima.append(new)
        self.minima.append(_minimum(self.criterion, new, name))

    def prove(self) -> bool:
        """Prove that nothing is lower where there is one parameter, after going where something was."""
        along = line(self.criterion)
        for _ in range(5 if along is not None else 0):
            best = self.best
            lower = along.lower_than(variance(best.at)) if along is not None and best.converged else None
            if lower is None:
                return False
            if lower == variance(best.at):
                return True
            self.search(Start("line", np.array([lower**0.5])))
            if self.best is best:
                return False
        return False

    def explored(self, known: Knowledge) -> Explored:
        """The record."""
        best = self.best
        lowest = min(optimum.at.objective for optimum in self.optima)
        if self.unbounded or best.message == INTERPOLATING:
            known = "unbounded"
        elif best.at.objective > lowest + DIFFERENT:
            known = "unsettled"
        order = sorted(self.minima, key=lambda minimum: minimum.objective)
        return Explored(best, tuple(order), self.searches, known)
