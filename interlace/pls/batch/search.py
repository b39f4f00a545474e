"""Minima of many criteria at once; see `pls.search.optimize` for one.

Every problem takes its own Newton steps, with exact Hessians, in its own trust region; those that have
arrived leave the stack.  What gradients do not see is tried for all that have arrived together: singular
values of Lambda that nearly vanish at zero, directions in which the score matrix is negative, columns left
out.  A problem that does not arrive is reported, and spoils no other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.search.criterion import LEAST_RESIDUAL_SHARE
from interlace.pls.search.optimize import LEARN_BELOW, TOLERANCE

from .criterion import Evaluations, Points, evaluated, in_principal_axes, noise, ungauged
from .derivatives import Slopes, differentiated
from .problems import Problems
from .steps import Quadratics, accepted, quadratics, radii

# Deviance still to gain at which Newton's last step is taken without looking back: with the exact Hessian it
# leaves the square of a ten thousandth of a standard error.
LAST_STEP = 1e-10
MAXITER = 100


@dataclass(eq=False)
class Minima:
    """Where the searches have ended; arrays lead with the problem.

    Attributes
    ----------
    here : Points
        The parameters.
    objective : ndarray of shape (B,)
        The criterion, one step before.
    scores : list of ndarray of shape (B, K, K)
        Score matrices there.
    hessian : ndarray of shape (B, m, m)
        Hessian there, in the gauge.
    expected : ndarray of shape (B,)
        Deviance that was promised for the last step.
    converged : ndarray of bool, shape (B,)
        Whether nothing more is promised.
    nit : ndarray of int, shape (B,)
        Accepted steps.
    """

    here: Points
    objective: FloatArray
    scores: list[FloatArray]
    hessian: FloatArray
    expected: FloatArray
    converged: BoolArray
    nit: IntArray

    def put(self, chosen: IntArray, other: Minima) -> None:
        """Overwrite some of them."""
        self.here.phi[chosen] = other.here.phi
        pairs = [*zip(self.here.gauge, other.here.gauge, strict=True)]
        pairs += [*zip(self.here.Lambda, other.here.Lambda, strict=True)]
        pairs += [*zip(self.scores, other.scores, strict=True)]
        for own, new in pairs:
            own[chosen] = new
        self.objective[chosen], self.hessian[chosen] = other.objective, other.hessian
        self.expected[chosen], self.converged[chosen] = other.expected, other.converged
        self.nit[chosen] += other.nit

    def take(self, chosen: IntArray | BoolArray) -> Minima:
        """Some of them."""
        return Minima(
            Points(
                self.here.phi[chosen],
                tuple(own[chosen] for own in self.here.gauge),
                tuple(own[chosen] for own in self.here.Lambda),
            ),
            self.objective[chosen],
            [own[chosen] for own in self.scores],
            self.hessian[chosen],
            self.expected[chosen],
            self.converged[chosen],
            self.nit[chosen],
        )


def _nowhere(problems: Problems) -> Minima:
    """Room for the minima of problems, none of them found."""
    B, m, K = len(problems), problems.relcov.m, problems.relcov.layout.K
    blocks = [tuple(np.full((B, k, k), np.nan) for k in K) for _ in range(3)]
    return Minima(
        here=Points(np.full((B, m), np.nan), blocks[0], blocks[1]),
        objective=np.full(B, np.inf),
        scores=list(blocks[2]),
        hessian=np.full((B, m, m), np.nan),
        expected=np.full(B, np.inf),
        converged=np.zeros(B, dtype=bool),
        nit=np.zeros(B, dtype=np.intp),
    )


@dataclass(eq=False)
class _Moving:
    """The problems that have not arrived yet."""

    problems: Problems
    index: IntArray
    here: Points
    at: Evaluations
    slopes: Slopes
    scores: list[FloatArray]
    radius: FloatArray
    nit: IntArray

    def take(self, chosen: BoolArray) -> _Moving:
        """Some of them, at least one."""
        slopes = Slopes(*(own[chosen] for own in vars(self.slopes).values()))
        return _Moving(
            self.problems.take(chosen),
            self.index[chosen],
            self.here.take(chosen),
            self.at.take(chosen),
            slopes,
            [own[chosen] for own in self.scores],
            self.radius[chosen],
            self.nit[chosen],
        )


def descended(problems: Problems, here: Points) -> Minima:
    """Newton's steps from given parameters until nothing more is promised.

    Parameters
    ----------
    problems : Problems
        B problems.
    here : Points
        As many points, or one for all.

    Returns
    -------
    Minima
    """
    found, at = _nowhere(problems), evaluated(problems, here)
    ready = np.isfinite(at.objective) & (at.pwrss >= LEAST_RESIDUAL_SHARE * problems.yy)
    if not ready.any():
        return found
    if not ready.all():
        problems, here, at = problems.take(ready), here.take(ready), at.take(ready)
    slopes, scores = differentiated(problems, here, at)
    count = len(problems)
    moving = _Moving(
        problems, np.flatnonzero(ready), here, at, slopes, scores, np.ones(count), np.zeros(count, np.intp)
    )
    for _ in range(MAXITER):
        left = _round(moving, found)
        if left is None:
            break
        moving = left
    return found


def _round(moving: _Moving, found: Minima) -> _Moving | None:
    """One step of everyone; those that have arrived are put down and leave."""
    model = quadratics(moving.slopes.gradient, moving.slopes.hessian)
    arrived = model.expected < LAST_STEP
    if arrived.any():
        _put_down(moving, model, arrived, found, stepping=True)
        if arrived.all():
            return None
        moving, model = moving.take(~arrived), model.take(~arrived)
    step = model.within(moving.radius)
    promised = model.promised(step)
    trial = moving.here.displaced(moving.problems.relcov, model.change(step))
    there = evaluated(moving.problems, trial)
    gained, error = moving.at.objective - there.objective, noise(moving.problems, moving.at)
    down = accepted(gained, promised, error)
    stuck = ~down & (promised < error / 10.0)
    length = np.sqrt((step**2).sum(axis=1))
    moving.radius = radii(moving.radius, length, gained, promised, error)
    moving.nit = moving.nit + down
    if stuck.any():
        _put_down(moving, model, stuck, found, stepping=False)
    here, there = trial.where(down, moving.here), there.where(down, moving.at)
    lost = there.pwrss < LEAST_RESIDUAL_SHARE * moving.problems.yy
    staying = ~(stuck | lost)
    if not staying.any():
        return None
    moving.here, moving.at = _in_new_axes(moving.problems, here, promised > LEARN_BELOW), there
    if not staying.all():
        moving = moving.take(staying)
    moving.slopes, moving.scores = differentiated(moving.problems, moving.here, moving.at)
    return moving


def _in_new_axes(problems: Problems, here: Points, far: BoolArray) -> Points:
    """Principal axes for those that have moved far."""
    if max(problems.relcov.term_k) == 1 or not far.any():
        return here
    return in_principal_axes(problems.relcov, here.Lambda).where(far, here)


def _put_down(
    moving: _Moving, model: Quadratics, arrived: BoolArray, found: Minima, *, stepping: bool
) -> None:
    """Take the last step of those that have arrived, and record where it leads."""
    here, expected, relcov = moving.here, model.expected, moving.problems.relcov
    if stepping:
        here = here.displaced(relcov, model.change(model.newton))
    error = noise(moving.problems, moving.at)
    count = len(moving.index)
    full = [np.broadcast_to(own, (count, *own.shape[1:])) for own in (here.phi, *here.gauge, *here.Lambda)]
    f = len(here.gauge)
    end = Minima(
        Points(full[0], tuple(full[1 : f + 1]), tuple(full[f + 1 :])),
        moving.at.objective,
        moving.scores,
        moving.slopes.hessian,
        expected,
        expected < np.maximum(LAST_STEP if stepping else 100.0 * TOLERANCE, error),
        moving.nit,
    )
    found.put(moving.index[arrived], end.take(arrived))


def start(problems: Problems, phi: FloatArray) -> Points:
    """Where to begin: one set of parameters for all, (1, m), or one each, (B, m)."""
    relcov = problems.relcov
    return in_principal_axes(relcov, ungauged(relcov, phi).Lambda)
