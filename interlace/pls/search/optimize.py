"""Newton's method for a criterion in covariance parameters, without bounds.

The criterion is even in each column of Lambda, so the diagonal may turn negative on the way and
signs are settled at the end.  With bounds at zero, a step that hits zero would stay there: the
gradient vanishes by symmetry, minimum or not.

The method stops when the quadratic model promises no further decrease, then looks at what the
gradient cannot see: directions in which Lambda is singular (see `boundary`).  There the *score matrix*
decides (see `derivatives`), and an escape along a negative direction restarts the search.

Of the model behind the criterion it knows what `protocol.Criterion` says, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import OptimizationError
from interlace.pls.matrices.relcov import RelativeCovariance

from .boundary import Trial, beyond_saddle, grown, near_boundary, principal_axes, rounded, without_columns
from .newton import Quadratic, TrustRegion, quadratic
from .protocol import At, Criterion, Differentiated
from .secants import learned

# Deviance still to gain at which the search ends: it leaves theta within 8e-7 of its standard error.
TOLERANCE = 3e-13
# Deviance that a rounding of singular values to zero may cost.
ROUNDING_COST = 1e-9
# A step that promises less deviance than the first is short enough for the change of the gradient to improve
# the Hessian; after one that promises more than the second, what was learned so holds no more.
LEARN_BELOW, FORGET_ABOVE = 0.1, 3.0
# Deviance that may be promised where derivatives are taken from an inverse in single precision.
# On large designs their error promises 1e-14 or less; the last ones, and most often only these, are exact.
ROUGH_ABOVE = 1e-11
# Share of its promise that the first step is guessed to leave to the second.
FIRST_PROGRESS = 1e-3
# A warm search takes no derivatives after a step that promises less deviance than the first, if at the usual
# pace less than the second is left after it: theta is then within 1e-6 of its standard error.
LAST_STEP_PROMISES, LAST_STEP_LEAVES = 1e-8, 1e-12
# Steps after which a search ends whose criterion has an error above this, by a residual variance near zero.
LONG, FALLING_NOISE = 40, 1e-7
# Deviance still to gain up to which a search without further steps measures the error of the criterion, and
# the relative change of the parameters for it.
MEASURED_NOISE, LAST_PLACE = 1e-3, 2.0**-50
# Factors by which large standard deviations then grow, one the square of the other, and the deviance by which
# the criterion falls with the first at least, if it has no minimum.
GROWTHS, LEAST_FALL = (3.0, 9.0), 0.1
# Deviance still to gain from which a search looks whether it is near a minimum that is known, and the
# relative difference of covariances up to which it is.
NEAR, SAME = 1e-2, 0.1
# Slow local steps in a row after which the Hessian is measured by differences, and the step of these.
SLOW_STEPS = 3
DIFFERENCE_STEP = 1e-4


INTERPOLATING = (
    "the criterion keeps falling while the residual variance goes to 0: the random effects nearly reproduce "
    "the response, and the likelihood has no maximum"
)


@dataclass(frozen=True, eq=False)
class Iteration:
    """One accepted step.

    Attributes
    ----------
    objective : float
        The criterion.
    gradient_norm : float
        Euclidean norm of the gradient in basis coordinates, deviance units.
    expected_decrease : float
        Deviance that the quadratic model still promises.
    Lambda : sequence of ndarray of shape (K, K)
        Blocks of Lambda per factor, in the bases.
    relcov : RelativeCovariance
        The template.
    """

    objective: float
    gradient_norm: float
    expected_decrease: float
    Lambda: Sequence[FloatArray]
    relcov: RelativeCovariance

    @property
    def theta(self) -> FloatArray:
        """lme4's parameters, shape (m,)."""
        return np.asarray(self.relcov.from_basis @ self.relcov.triangle(self.Lambda))


@dataclass(frozen=True, eq=False)
class Optimum(Generic[At]):
    """Where the search ended and how it got there.

    Attributes
    ----------
    at : evaluation
        The last one, at the optimum.
    phi : ndarray of shape (m,)
        Basis parameters of the optimum without a gauge, diagonal >= 0.
    derivatives : Derivatives
        At the optimum; of a warm search to some five digits, and perhaps one last Newton step away from it.
    converged : bool
        Whether the quadratic model and the score matrices promise nothing more.
    expected_decrease : float
        Deviance that could still be gained where the derivatives were taken.
    nit, nfev : int
        Accepted steps and evaluations of the criterion.
    path : tuple of Iteration
        Every accepted step, the start first.
    message : str
        Why the search ended.
    secant : ndarray of shape (m, m), or larger by the rest
        What the search has learned about the part of the Hessian that ``derivatives`` lack, in the gauge.
    error : float
        Error of the criterion as it was measured, where the search ended in it; else 0.
    """

    at: At
    phi: FloatArray
    derivatives: Differentiated
    converged: bool
    expected_decrease: float
    nit: int
    nfev: int
    path: tuple[Iteration, ...]
    message: str
    secant: FloatArray
    error: float = 0.0


@dataclass
class _Search(Generic[At]):
    """The moving part: where the search stands."""

    criterion: Criterion[At]
    callback: Callable[[Iteration], None] | None
    maxiter: int
    at: At
    now: Differentiated
    secant: FloatArray  # what the exact Hessian has beyond `now.hessian`, learned from gradients
    warm: bool = False  # whether the search began at the optimum for much the same data
    region: TrustRegion = field(default_factory=TrustRegion)
    known: Sequence[Optimum[At]] = ()
    arrived: Optimum[At] | None = None
    nfev: int = 1
    path: list[Iteration] = field(default_factory=list)

    @property
    def noise(self) -> float:
        """Error of the criterion."""
        return self.criterion.noise(self.at)

    @property
    def progress(self) -> float:
        """Share of the promised deviance that the last step left to the next; a guess at first."""
        *before, now = (iteration.expected_decrease for iteration in self.path[-2:])
        return min(1.0, now / before[0]) if before and before[0] > 0.0 else FIRST_PROGRESS

    def evaluate(self, x: FloatArray, gauge: Sequence[FloatArray] | None) -> At:
        self.nfev += 1
        return self.criterion.decompose(x, gauge)

    def displaced(self, change: FloatArray) -> At:
        """The criterion at a change of the parameters, in the present gauge."""
        return self.evaluate(self.at.x + change, self.at.gauge)

    def model(self) -> Quadratic:
        """The criterion nearby."""
        return quadratic(self.now.gradient, self.now.hessian + self.secant)

    def record(self, expected: float) -> None:
        """Put down where the search stands, with the deviance that the model still promises."""
        iteration = Iteration(
            objective=self.at.objective,
            gradient_norm=float(np.linalg.norm(self.now.gradient)),
            expected_decrease=expected,
            Lambda=self.at.Lambda,
            relcov=self.criterion.relcov,
        )
        if self.path and self.path[-1].Lambda is self.at.Lambda:
            self.path.pop()  # the same point, seen more sharply
        self.path.append(iteration)
        if self.callback is not None:
            self.callback(iteration)

    def step(self, model: Quadratic) -> bool:
        """One step within the trust region; False when none leads down."""
        found = self.region.step(model, self.displaced, objective=self.at.objective, noise=self.noise)
        if found is None:
            return False
        _refuse(self.criterion, found.at)
        self.move(found.at, found.promised)
        return True

    def move(self, new: At, promised: float) -> None:
        """Accept a step that promised a decrease, differentiate at its end, and learn if it was short."""
        if promised > (FORGET_ABOVE if self.secant.any() else LEARN_BELOW):
            self.jump(new, rough=True)
            return
        before, step = self.now, new.x - self.at.x
        self.at = new
        # At the new point as much less will be promised as at the last one, if the pace is kept.
        rough = self.now.rough and (self.warm or promised * self.progress > ROUGH_ABOVE)
        self.now = self.criterion.derivatives(new, rough=rough)
        if promised < LEARN_BELOW:
            self.secant = learned(self.secant, before.slopes, self.now.slopes, step)

    def jump(self, new: At, *, rough: bool = False) -> None:
        """Accept an evaluation somewhere else: take its principal axes, forget what secants have taught."""
        self.at = principal_axes(self.criterion.relcov, new)
        self.now = self.criterion.derivatives(self.at, rough=rough)
        self.secant = np.zeros_like(self.secant)

    def sharpen(self) -> None:
        """Exact derivatives in the place of rough ones; the factorization may stand at a trial."""
        self.criterion.decompose(self.at.x, self.at.gauge)
        self.now = self.criterion.derivatives(self.at)

    def measure(self) -> None:
        """Replace what secants have learned by central differences of the exact gradient."""
        rows = []
        for unit in np.eye(len(self.at.x)):
            ahead, behind = (
                self.criterion.derivatives(self.displaced(h * unit)).gradient
                for h in (DIFFERENCE_STEP, -DIFFERENCE_STEP)
            )
            rows.append((ahead - behind) / (2.0 * DIFFERENCE_STEP))
        measured = np.array(rows)
        self.secant = (measured + measured.T) / 2.0 - self.now.hessian


def minimize(
    criterion: Criterion[At],
    start: FloatArray | Optimum[At],
    *,
    maxiter: int = 200,
    callback: Callable[[Iteration], None] | None = None,
    known: Sequence[Optimum[At]] = (),
) -> Optimum[At]:
    """Minimise the criterion.

    The factorization is left wherever the last trial was.

    Parameters
    ----------
    criterion : Criterion
        What to minimise, for instance a `ProfiledCriterion`.
    start : ndarray of shape (m,), or Optimum
        Basis parameters, and the rest where there is one; or the optimum for much the same data, for a
        warm search: it starts there with the Hessian that was learned on the way, and does without
        derivatives at the end of its last step.
    maxiter : int
        Steps at most.
    callback : callable, optional
        Called with each `Iteration`.
    known : sequence of Optimum
        Minima that were found before: the search ends with one of these as soon as it comes near it.

    Returns
    -------
    Optimum

    Raises
    ------
    OptimizationError
        If the criterion is not finite at the start or falls without bound.
    """
    if isinstance(start, Optimum):
        at, secant = criterion.decompose(start.at.x, start.at.gauge), start.secant
    else:
        at = principal_axes(criterion.relcov, criterion.decompose(start))
        secant = np.zeros((len(start), len(start)))
    _refuse(criterion, at)
    now = criterion.derivatives(at, rough=True)
    search = _Search(criterion, callback, maxiter, at, now, secant, warm=isinstance(start, Optimum))
    search.known = known
    converged = _descend(search)
    for _ in range(4 + len(at.x)):  # each round either ends or leaves a saddle or boundary for good
        if search.arrived is not None:
            return search.arrived
        _round_to_boundary(search)
        if not _leave_saddle(search) and not _drop_column(search):
            break
        converged = _descend(search)
    return _optimum(search, converged=converged)


def _optimum(search: _Search[At], *, converged: bool) -> Optimum[At]:
    """What the search has found, and whether it is to be called an optimum."""
    expected = search.model().expected_decrease
    done, error = converged or expected < 100.0 * TOLERANCE + search.noise, 0.0
    if not done and expected < MEASURED_NOISE:
        error = _measured_noise(search)
        done = expected < error
    falling = search.noise > FALLING_NOISE / 100.0 and _falls(search)
    done = done and not falling
    spent = len(search.path) > search.maxiter
    end = f"no optimum within {search.maxiter} iterations" if spent else "no step leads further down"
    end = INTERPOLATING if falling else end
    return Optimum(
        at=search.at,
        phi=search.criterion.relcov.triangle(search.at.Lambda),
        derivatives=search.now,
        converged=done,
        expected_decrease=expected,
        nit=len(search.path) - 1,
        nfev=search.nfev,
        path=tuple(search.path),
        message="optimum certified" if done else end,
        secant=search.secant,
        error=error,
    )


def _measured_noise(search: _Search[At]) -> float:
    """Error of the criterion, from changes of the parameters in the last place."""
    changes = (sign * ulps * LAST_PLACE for ulps in (1.0, 2.0) for sign in (1.0, -1.0))
    objectives = [search.displaced(search.at.x * change).objective for change in changes]
    return max(abs(objective - search.at.objective) for objective in objectives)


def _falls(search: _Search[At]) -> bool:
    """Whether the criterion falls by as much again when all that is large grows again and again.

    So it does where the response is interpolated: r^2 then falls with the square of what grows.
    """
    fell = []
    for growth in GROWTHS:
        trial = grown(search.criterion.relcov, search.at, growth)
        if trial is None:
            return False
        fell.append(search.at.objective - search.evaluate(*trial).objective)
    return fell[0] > LEAST_FALL and fell[1] - fell[0] > 0.8 * fell[0]


def _refuse(criterion: Criterion[At], at: At) -> None:
    fault = criterion.fault(at)
    if fault is not None:
        raise OptimizationError(fault)


def _descend(search: _Search[At]) -> bool:
    """Newton steps until the model promises nothing more; whether it got there."""
    best, slow = np.inf, 0
    while True:
        model = search.model()
        expected = model.expected_decrease
        search.record(expected)
        search.arrived = _near(search, expected) if search.known else None
        if search.arrived is not None:
            return True
        slow = slow + 1 if best / 3.0 < expected < LEARN_BELOW else 0
        best = best if slow else expected
        # In the noise Newton's steps no longer shrink, and would go on for ever.
        done = expected < TOLERANCE or (slow == SLOW_STEPS - 1 and expected < search.noise)
        spent = len(search.path) > search.maxiter
        if slow == SLOW_STEPS:  # the analytic Hessian is far from the exact one here, and secants do not help
            search.measure()
            slow = 0
        elif len(search.path) > LONG and search.noise > FALLING_NOISE:
            return False  # down a valley without a floor: the residual variance goes to zero
        elif search.warm and _finished(search, model, expected):
            return True
        elif done or spent or not search.step(model):
            if not search.now.rough or (done and search.warm):
                return done or expected < max(100.0 * TOLERANCE, search.noise)
            search.sharpen()
            slow = 0


def _near(search: _Search[At], expected: float) -> Optimum[At] | None:
    """The known minimum that the search is about to reach, if there is one."""
    if expected > NEAR:
        return None
    here = [block @ block.T for block in search.at.Lambda]
    for old in search.known:
        above = search.at.objective - old.at.objective
        if not above < 3.0 * expected + NEAR**2:
            continue
        there = [block @ block.T for block in old.at.Lambda]
        if all(
            np.abs(D - E).max() < SAME * (1e-2 + float(np.abs(E).max()))
            for D, E in zip(here, there, strict=True)
        ):
            return old
    return None


def _finished(search: _Search[At], model: Quadratic, expected: float) -> bool:
    """Take the last step without derivatives at its end, where it is certain to be the last."""
    paceless = len(search.path) < 2
    if paceless or expected > LAST_STEP_PROMISES or expected * search.progress > LAST_STEP_LEAVES:
        return False
    if near_boundary(search.criterion.relcov, search.at.Lambda):
        return False
    new = search.displaced(-(model.vectors @ model.newton))
    if new.objective > search.at.objective + search.noise:
        return False
    search.at = new
    return True


def _round_to_boundary(search: _Search[At]) -> None:
    """Put nearly vanishing singular values of each Lambda_i at zero where that costs nothing."""
    trial = rounded(search.criterion.relcov, search.at)
    if trial is None:
        return
    new = search.evaluate(*trial)
    if new.objective > search.at.objective + ROUNDING_COST:
        return
    search.jump(new)
    search.record(search.model().expected_decrease)


def _leave_saddle(search: _Search[At]) -> bool:
    """Step along a direction of Lambda's null space in which the score is negative; whether there was one."""
    least = -float(np.sqrt(TOLERANCE))
    return _first_lower(search, beyond_saddle(search.criterion.relcov, search.at, search.now, least=least))


def _drop_column(search: _Search[At]) -> bool:
    """Leave a local minimum for a better one without one of the random effects; whether there was one."""
    return _first_lower(search, without_columns(search.criterion.relcov, search.at, search.now))


def _first_lower(search: _Search[At], trials: Iterable[Trial]) -> bool:
    """Go to the first of some trials that is lower than where the search stands."""
    for trial in trials:
        new = search.evaluate(*trial)
        if new.objective < search.at.objective - search.noise:
            search.jump(new)
            search.region = TrustRegion()
            return True
    return False
