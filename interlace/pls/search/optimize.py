"""Newton's method for the profiled criterion, without bounds.

The criterion is even in each column of Lambda, so the diagonal may turn negative on the way and
signs are settled at the end.  With bounds at zero, a step that hits zero would stay there: the
gradient vanishes by symmetry, minimum or not.

The method stops when the quadratic model promises no further decrease, then looks at what the
gradient cannot see: directions in which Lambda is singular.  There the *score matrix* decides
(see `derivatives`), and an escape along a negative direction restarts the search.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from interlace.errors import OptimizationError
from interlace.pls.matrices.relcov import RelativeCovariance, axes, lower_factor, null_space
from interlace.pls.matrices.terms import FloatArray
from interlace.pls.matrices.triangular import eigen

from .criterion import Decomposition, ProfiledCriterion
from .derivatives import Derivatives
from .secants import learned

# Deviance still to gain at which the search ends: it leaves theta within 8e-7 of its standard error.
TOLERANCE = 3e-13
# Share of a term's scale below which a singular value of Lambda_i is tried at exactly zero.
NEARLY_SINGULAR = 1e-2
# Deviance that rounding a singular value to zero may cost.
ROUNDING_COST = 1e-9
# Predicted decrease below which steps are local enough for differences of gradients to improve the Hessian,
# and above which what they have taught holds no more.
LOCAL, FAR = 0.1, 3.0
# Deviance that may be promised where derivatives are taken from an inverse in single precision.
# On large designs their error promises 1e-14 or less; the last ones, and most often only these, are exact.
ROUGH = 1e-11
# Share of the promise that the first step is guessed to leave to the second.
FIRST_PROGRESS = 1e-3
# Deviance that is left to gain at most where a warm search has its last derivatives, and one step later at
# the usual pace: theta is then within 1e-6 of its standard error.
SAFE, ENOUGH = 1e-8, 1e-12
# Slow local steps in a row after which the Hessian is measured, and the step to measure it with.
PATIENCE = 3
STRIDE = 1e-4
# Deviance by which the quadratic model must say that a variance of zero is worse for it not to be tried.
DEAR = 8.0
# Share of y'y below which r^2 is made of rounding errors: nothing is left for the residual.
NOTHING = 1e-14
# Rounding noise of the criterion, relative.
NOISE = 1e-13
EPSILON = 2.0**-51
# Deviance beyond which an optimum is not to be called one, noise or not.
MOST_NOISE = 1e-4


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
class Optimum:
    """Where the search ended and how it got there.

    Attributes
    ----------
    at : Decomposition
        The last evaluation, at the optimum.
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
    secant : ndarray of shape (m, m)
        What the search has learned about the part of the Hessian that ``derivatives`` lack, in the gauge.
    """

    at: Decomposition
    phi: FloatArray
    derivatives: Derivatives
    converged: bool
    expected_decrease: float
    nit: int
    nfev: int
    path: tuple[Iteration, ...]
    message: str
    secant: FloatArray


@dataclass
class _Search:
    """The moving part: where the search stands."""

    criterion: ProfiledCriterion
    callback: Callable[[Iteration], None] | None
    maxiter: int
    at: Decomposition
    now: Derivatives
    secant: FloatArray  # what the exact Hessian has beyond `now.hessian`, learned from gradients
    warm: bool = False  # whether the search began at the optimum for much the same data
    radius: float = 1.0  # longest step: parameters in orthonormal bases are of order one
    nfev: int = 1
    path: list[Iteration] = field(default_factory=list)

    @property
    def noise(self) -> float:
        """Error of the criterion by rounding: of its own size, and of r^2 as a difference from y'y."""
        cancelled = self.criterion.nu * float(self.criterion.cp.C[-1, -1]) / self.at.pwrss
        return min(NOISE * max(1.0, abs(self.at.objective)) + EPSILON * cancelled, MOST_NOISE)

    @property
    def progress(self) -> float:
        """Share of the promised deviance that the last step left to the next; a guess at first."""
        *before, now = (iteration.expected_decrease for iteration in self.path[-2:])
        return min(1.0, now / before[0]) if before and before[0] > 0.0 else FIRST_PROGRESS

    def evaluate(self, phi: FloatArray, gauge: Sequence[FloatArray] | None) -> Decomposition:
        self.nfev += 1
        return self.criterion.decompose(phi, gauge)

    def model(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Eigenvalues made positive, eigenvectors, gradient in their coordinates."""
        values, vectors = eigen(self.now.hessian + self.secant)
        floor = 1e-9 * max(float(np.abs(values).max()), 1e-300)
        return np.maximum(np.abs(values), floor), vectors, vectors.T @ self.now.gradient

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

    def move(self, new: Decomposition, predicted: float) -> None:
        """Accept a step that promised a decrease, differentiate at its end, and learn if it was short."""
        if predicted > (FAR if self.secant.any() else LOCAL):
            self.jump(new, rough=True)
            return
        before, step = self.now, new.phi - self.at.phi
        self.at = new
        # At the new point as much less will be promised as at the last one, if the pace is kept.
        rough = self.now.rough and (self.warm or predicted * self.progress > ROUGH)
        self.now = self.criterion.derivatives(new, rough=rough)
        if predicted < LOCAL:
            self.secant = learned(self.secant, before.slopes, self.now.slopes, step)

    def jump(self, new: Decomposition, *, rough: bool = False) -> None:
        """Accept an evaluation somewhere else: take its principal axes, forget what secants have taught."""
        self.at = _principal_axes(self.criterion.relcov, new)
        self.now = self.criterion.derivatives(self.at, rough=rough)
        self.secant = np.zeros_like(self.secant)

    def sharpen(self) -> None:
        """Exact derivatives in the place of rough ones; the factorization may stand at a trial."""
        self.criterion.decompose(self.at.phi, self.at.gauge)
        self.now = self.criterion.derivatives(self.at)

    def measure(self) -> None:
        """Replace what secants have learned by central differences of the exact gradient."""
        rows = []
        for unit in np.eye(len(self.at.phi)):
            ahead, behind = (
                self.criterion.derivatives(self.evaluate(self.at.phi + h * unit, self.at.gauge)).gradient
                for h in (STRIDE, -STRIDE)
            )
            rows.append((ahead - behind) / (2.0 * STRIDE))
        measured = np.array(rows)
        self.secant = (measured + measured.T) / 2.0 - self.now.hessian


def _principal_axes(relcov: RelativeCovariance, at: Decomposition) -> Decomposition:
    """The same evaluation, its parameters in the principal axes of each Lambda_i Lambda_i'."""
    if max(relcov.term_k) == 1:
        return at
    found = [axes(block) for block in relcov.of_terms(at.Lambda)]
    gauge = relcov.of_factors([U for U, _ in found])
    phi = np.zeros(relcov.m)
    phi[relcov.diagonal] = np.concatenate([s for _, s in found])
    return replace(at, phi=phi, gauge=gauge, Psi=relcov.Lambda(phi))


def minimize(
    criterion: ProfiledCriterion,
    start: FloatArray | Optimum,
    *,
    maxiter: int = 200,
    callback: Callable[[Iteration], None] | None = None,
) -> Optimum:
    """Minimise the criterion.

    The factorization is left wherever the last trial was.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What to minimise.
    start : ndarray of shape (m,), or Optimum
        Basis parameters; or the optimum for much the same data, for a warm search: it starts there with the
        Hessian that was learned on the way, and does without derivatives at the end of its last step.
    maxiter : int
        Steps at most.
    callback : callable, optional
        Called with each `Iteration`.

    Returns
    -------
    Optimum

    Raises
    ------
    OptimizationError
        If the criterion is not finite at the start or falls without bound.
    """
    if isinstance(start, Optimum):
        at, secant = criterion.decompose(start.at.phi, start.at.gauge), start.secant
    else:
        at = _principal_axes(criterion.relcov, criterion.decompose(start))
        secant = np.zeros((len(start), len(start)))
    if not np.isfinite(at.objective):
        raise OptimizationError(
            "the criterion is not finite at the starting values: the model reproduces the response exactly. "
            "Wanted: residual variation. Check the response, or drop a random term."
        )
    now = criterion.derivatives(at, rough=True)
    search = _Search(criterion, callback, maxiter, at, now, secant, warm=isinstance(start, Optimum))
    converged = _descend(search)
    for _ in range(4 + len(at.phi)):  # each round either ends or leaves a saddle or boundary for good
        _round_to_boundary(search)
        if not _escape(search) and not _drop(search):
            break
        converged = _descend(search)
    values, _, g = search.model()
    expected = float(g @ (g / values)) / 2.0
    done = converged or expected < 100.0 * TOLERANCE + search.noise
    spent = len(search.path) > maxiter
    end = f"no optimum within {maxiter} iterations" if spent else "no step leads further down"
    message = "optimum certified" if done else end
    return Optimum(
        at=search.at,
        phi=criterion.relcov.triangle(search.at.Lambda),
        derivatives=search.now,
        converged=done,
        expected_decrease=expected,
        nit=len(search.path) - 1,
        nfev=search.nfev,
        path=tuple(search.path),
        message=message,
        secant=search.secant,
    )


def _descend(search: _Search) -> bool:
    """Newton steps until the model promises nothing more; whether it got there."""
    best, slow = np.inf, 0
    while True:
        values, vectors, g = search.model()
        expected = float(g @ (g / values)) / 2.0
        search.record(expected)
        slow = slow + 1 if best / 3.0 < expected < LOCAL else 0
        best = best if slow else expected
        # In the noise Newton's steps no longer shrink, and would go on for ever.
        done = expected < TOLERANCE or (slow == PATIENCE - 1 and expected < search.noise)
        spent = len(search.path) > search.maxiter
        if slow == PATIENCE:  # the analytic Hessian is far from the exact one here, and secants do not help
            search.measure()
            slow = 0
        elif search.warm and _finished(search, expected, vectors @ (g / values)):
            return True
        elif done or spent or not _step(search, values, vectors, g):
            if not search.now.rough or (done and search.warm):
                return done or expected < max(100.0 * TOLERANCE, search.noise)
            search.sharpen()
            slow = 0


def _finished(search: _Search, expected: float, step: FloatArray) -> bool:
    """Take the last step without derivatives at its end, where it is safe to call it the last."""
    paceless = len(search.path) < 2
    if paceless or expected > SAFE or expected * search.progress > ENOUGH or _near_boundary(search):
        return False
    new = search.evaluate(search.at.phi - step, search.at.gauge)
    if new.objective > search.at.objective + search.noise:
        return False
    search.at = new
    return True


def _near_boundary(search: _Search) -> bool:
    found = (axes(block)[1] for block in search.criterion.relcov.of_terms(search.at.Lambda))
    return any(s[-1] < NEARLY_SINGULAR * max(1.0, float(s[0])) for s in found)


def _step(search: _Search, values: FloatArray, vectors: FloatArray, g: FloatArray) -> bool:
    """One step within the trust radius; False when none leads down."""
    for _ in range(60):
        step = _within(g, values, search.radius)
        predicted = float(g @ step - (step * values) @ step / 2.0)
        new = search.evaluate(search.at.phi - vectors @ step, search.at.gauge)
        gained = search.at.objective - new.objective
        if gained > 1e-4 * predicted or (predicted < search.noise and gained > -search.noise):
            length = float(np.linalg.norm(step))
            if gained > 0.75 * predicted:
                search.radius = max(search.radius, 3.0 * length)
            elif gained < 0.25 * predicted and predicted > search.noise:
                search.radius = 0.5 * length
            if new.pwrss < NOTHING * float(search.criterion.cp.C[-1, -1]):
                raise OptimizationError(
                    "the criterion falls without bound: the random effects reproduce the response exactly. "
                    "Wanted: residual variation within the levels. "
                    "Drop a random term, or check for duplicated rows."
                )
            search.move(new, predicted)
            return True
        if predicted < search.noise / 10.0:
            break
        search.radius = 0.25 * float(np.linalg.norm(step))
    return False


def _within(g: FloatArray, values: FloatArray, radius: float) -> FloatArray:
    """Newton step in eigenvector coordinates, damped so that it is no longer than the radius."""
    step = g / values
    damping = 0.0
    for _ in range(50):
        length = float(np.linalg.norm(step))
        if length <= 1.1 * radius:
            break
        # Newton on 1/length - 1/radius (More & Sorensen 1983) converges from below, monotonically.
        slope = float((step**2 / (values + damping)).sum()) / length**2
        damping += (length / radius - 1.0) / slope
        step = g / (values + damping)
    return np.asarray(step)


def _round_to_boundary(search: _Search) -> None:
    """Put nearly vanishing singular values of each Lambda_i at zero where that costs nothing."""
    relcov = search.criterion.relcov
    rounded, changed = [], False
    for block in relcov.of_terms(search.at.Lambda):
        U, s = axes(block)
        small = s < NEARLY_SINGULAR * max(1.0, float(s[0]))
        changed |= bool((small & (s > 0)).any())
        rounded.append(U * np.where(small, 0.0, s))
    if not changed:
        return
    new = search.evaluate(relcov.triangle(relcov.of_factors(rounded)), None)
    if new.objective > search.at.objective + ROUNDING_COST:
        return
    search.jump(new)
    values, _, g = search.model()
    search.record(float(g @ (g / values)) / 2.0)


def _escape(search: _Search) -> bool:
    """Leave a saddle: step along a direction of Lambda's null space in which the score is negative."""
    relcov = search.criterion.relcov
    blocks = relcov.of_terms(search.at.Lambda)
    for i, (lowest, direction) in enumerate(boundary_curvature(search.criterion, search.at, search.now)):
        if not lowest < -np.sqrt(TOLERANCE):
            continue
        for size in (0.3, 0.1, 0.03, 0.01, 1e-3):
            longer = lower_factor(np.column_stack([blocks[i], size * direction]))
            trial = relcov.of_factors([*blocks[:i], longer, *blocks[i + 1 :]])
            new = search.evaluate(relcov.triangle(trial), None)
            if new.objective < search.at.objective - search.noise:
                search.jump(new)
                search.radius = 1.0
                return True
    return False


def _drop(search: _Search) -> bool:
    """Leave a local minimum for a better one without one of the random effects.

    With few levels the likelihood may have two minima, one of them at a variance of zero.  A column
    of Lambda that the quadratic model calls dear to lose is not tried.
    """
    relcov = search.criterion.relcov
    for j in np.flatnonzero(relcov.diagonal):
        phi = np.where(relcov.same_column[j], 0.0, search.at.phi)
        lost = search.at.phi - phi
        if not lost.any() or lost @ (search.now.hessian @ lost) / 2.0 > DEAR:
            continue
        new = search.evaluate(phi, search.at.gauge)
        if new.objective < search.at.objective - search.noise:
            search.jump(new)
            search.radius = 1.0
            return True
    return False


def boundary_curvature(
    criterion: ProfiledCriterion, at: Decomposition, now: Derivatives
) -> list[tuple[float, FloatArray]]:
    """Per term, the least eigenvalue of its score matrix on the null space of Lambda_i, and its vector.

    Infinite where Lambda_i is regular.
    """
    relcov = criterion.relcov
    found = []
    for block, score in zip(relcov.of_terms(at.Lambda), relcov.of_terms(now.scores), strict=True):
        null = null_space(block)
        if not null.shape[1]:
            found.append((np.inf, np.zeros(len(block))))
            continue
        values, vectors = np.linalg.eigh(null.T @ score @ null)
        found.append((float(values[0]), null @ vectors[:, 0]))
    return found
