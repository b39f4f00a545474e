"""Along one parameter: the signed root of the deviance, and where it takes a given value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy import optimize

from interlace.arrays import FloatArray
from interlace.errors import InterlaceError

# Part of the distance from the estimate to which a limit is found.
RELATIVE = 1e-10
# Doublings of a step after which a profile is said never to cross.
STEPS = 60


class Held(Protocol):
    """A search with one parameter held; see `pls.held.constrained` and `pls.laplace.held`."""

    def minimum(self, value: float, x: FloatArray) -> Any:
        """The minimum at a value of the parameter, sought from x."""


@runtime_checkable
class HeldScale(Protocol):
    """A search with a standard deviation held: others move with it."""

    def rescaled(self, x: FloatArray, near: float, value: float) -> FloatArray:
        """Where to begin at a value, from what was found at the value ``near``."""


@dataclass
class Walk:
    """Minima found so far along one parameter; every new search starts at the nearest of them.

    Attributes
    ----------
    held : Held
        The search.
    estimate : float
        Where the deviance is least; for a correlation without a value, where to start.
    least : float
        Deviance there.
    lower, upper : float
        Ends of the parameter's range.
    scale : float
        A first guess of a standard error.
    endless : float
        Direction in which the deviance falls for ever; 0 if in none.
    relative : float
        Part of the distance from the estimate to which limits are found.
    points : dict of float to Conditional or LaplaceConditional
        What was found, by value.
    """

    held: Held
    estimate: float
    least: float
    lower: float
    upper: float
    scale: float
    endless: float = 0.0
    relative: float = RELATIVE
    points: dict[float, Any] = field(default_factory=dict)

    def begin(self, x: FloatArray, best: Any) -> None:
        """Put the estimate among the points, with its coordinates in this search."""
        self.points[self.estimate] = replace(best, x=x)

    def at(self, value: float) -> Any:
        """The minimum with the parameter at a value."""
        value = float(value)
        if value not in self.points:
            near = min(self.points, key=lambda known: abs(known - value))
            x = self.points[near].x
            begin = self.held.rescaled(x, near, value) if isinstance(self.held, HeldScale) else x
            self.points[value] = self.held.minimum(value, begin)
        return self.points[value]

    def zeta(self, value: float) -> float:
        """Signed root of what the deviance loses at a value; infinite where there is no minimum."""
        try:
            lost = self.at(value).deviance - self.least
        except (InterlaceError, np.linalg.LinAlgError):
            lost = np.inf
        return float(np.copysign(np.sqrt(max(lost, 0.0)), value - self.estimate))

    def crossing(self, target: float, relative: float | None = None) -> tuple[float, bool]:
        """Where zeta takes a value.

        Parameters
        ----------
        target : float
            Negative below the estimate.
        relative : float, optional
            Error allowed, in place of ``self.relative``.

        Returns
        -------
        value : float
            NaN if the profile never gets there.
        at_bound : bool
            Whether it is the end of the parameter's range, where zeta is still nearer to 0.
        """
        if target * self.endless > 0.0:
            return float(np.copysign(np.inf, target)), True
        bound = self.lower if target < 0 else self.upper
        inside = self.estimate
        if inside == bound:
            return bound, True
        step = np.copysign(self._slope() * abs(target), target)
        for _ in range(STEPS):
            outside = inside + step
            if (outside - bound) * np.sign(target) >= 0:
                outside = bound
            reached = self.zeta(outside)
            if abs(reached) >= abs(target):
                return self._root(inside, outside, target, relative or self.relative), False
            if outside == bound:
                return bound, True
            # Straight on from the estimate, and a little further: the next step should bracket.
            growth = abs(target) / max(abs(reached), 1e-3 * abs(target))
            step = (outside - self.estimate) * min(1.1 * growth, 4.0) + self.estimate - outside
            inside = outside
        return np.nan, False

    def _slope(self) -> float:
        """Change of the parameter per unit of zeta near the estimate, from the points there are."""
        known = [
            abs((value - self.estimate) / z)
            for value in self.points
            if value != self.estimate and np.isfinite(z := self.zeta(value)) and abs(z) > 0.1
        ]
        return min(known, default=self.scale)

    def _root(self, inside: float, outside: float, target: float, relative: float) -> float:
        def miss(value: float) -> float:
            return float(np.clip(self.zeta(value) - target, -1e3, 1e3))

        if miss(outside) == 0.0:
            return outside
        tolerance = relative * abs(outside - self.estimate)
        return float(optimize.brentq(miss, inside, outside, xtol=tolerance, rtol=1e-14))
