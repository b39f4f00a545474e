"""Newton's method for the Laplace criterion, in covariance parameters, fixed effects and psi together.

As in the linear model (`interlace.pls.search.optimize`): no bounds, positive eigenvalues, principal axes,
secants near the end, rounding to the boundary and escape from it by the score matrix.  New are the modes:
what is known of their derivatives starts those of the next evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import OptimizationError
from interlace.pls.matrices.relcov import RelativeCovariance, axes, lower_factor
from interlace.pls.search.boundary import boundary_curvature, principal_axes
from interlace.pls.search.newton import Quadratic, TrustRegion, quadratic
from interlace.pls.search.secants import learned

from .criterion import Evaluation, Guess, LaplaceCriterion
from .measured import measured_hessian
from .separation import separated
from .slopes import Slopes

# Deviance still to gain at which the search ends, and below which an end counts as an optimum: parameters are
# then within 1e-5, or 3e-4, of their standard errors.
TOLERANCE, GOOD = 1e-10, 1e-7
# The same under separation, and where psi goes to infinity: there is no optimum to come near to.
SEPARATED = 1e-6
# Error of the criterion: of rounding, relative, and of the modes.
NOISE, NOISE_OF_MODES = 1e-12, 1e-10
# Share of a term's scale below which a singular value of Lambda_i is tried at zero, and deviance it may cost.
NEARLY_SINGULAR, ROUNDING_COST = 1e-2, 1e-8
# Predicted decrease below which differences of gradients improve the Hessian, above which they mislead.
LOCAL, FAR = 1.0, 3.0
# Slow local steps in a row after which the Hessian is measured.
PATIENCE = 4
# Deviance by which the quadratic model must say that a variance of zero is worse for it not to be tried.
DEAR = 8.0
# Standard deviation of a random effect, in units of eta, beyond which no maximum is to be expected.
DIVERGED = 60.0


@dataclass(frozen=True, eq=False)
class LaplaceIteration:
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
    rest : ndarray of shape (p + k,)
        Fixed effects on the basis of X, and psi.
    relcov : RelativeCovariance
        The template.
    """

    objective: float
    gradient_norm: float
    expected_decrease: float
    Lambda: Sequence[FloatArray]
    rest: FloatArray
    relcov: RelativeCovariance

    @property
    def theta(self) -> FloatArray:
        """lme4's parameters, shape (m,)."""
        return np.asarray(self.relcov.from_basis @ self.relcov.triangle(self.Lambda))


@dataclass(frozen=True, eq=False)
class LaplaceOptimum:
    """Where the search ended and how it got there.

    Attributes
    ----------
    at : Evaluation
        The optimum.
    slopes : Slopes
        Derivatives there.
    hessian : ndarray of shape (m + p + k, m + p + k)
        With what secants have taught.
    converged : bool
        Whether nothing more is promised.
    separated : bool
        Whether some fixed effects have no finite estimate.
    expected_decrease : float
        Deviance that could still be gained.
    nit, nfev, nfactor : int
        Accepted steps, evaluations, factorizations.
    path : tuple of LaplaceIteration
        Every accepted step, the start first.
    message : str
        Why the search ended.
    diverging : tuple of (int, float), or None
        Number of the term whose variance has no bound, with the standard deviation that was reached.
    """

    at: Evaluation
    slopes: Slopes
    hessian: FloatArray
    converged: bool
    separated: bool
    expected_decrease: float
    nit: int
    nfev: int
    nfactor: int
    path: tuple[LaplaceIteration, ...]
    message: str
    diverging: tuple[int, float] | None = None


@dataclass
class _Search:
    """The moving part: where the search stands."""

    criterion: LaplaceCriterion
    callback: Callable[[LaplaceIteration], None] | None
    maxiter: int
    at: Evaluation
    now: Slopes
    secant: FloatArray
    region: TrustRegion = field(default_factory=TrustRegion)
    nfev: int = 1
    separated: bool = False
    path: list[LaplaceIteration] = field(default_factory=list)

    @property
    def noise(self) -> float:
        return NOISE * max(1.0, abs(self.at.objective)) + NOISE_OF_MODES

    def evaluate(self, x: FloatArray, gauge: Sequence[FloatArray] | None) -> Evaluation:
        """Evaluate, from modes predicted to first order where the gauge is that of the derivatives."""
        self.nfev += 1
        guess = self.at.guess
        if gauge is self.at.gauge:
            step = x - self.at.x
            guess = guess[0] + self.now.b_dot @ step, guess[1] + self.now.v_dot @ step
        return self.criterion.evaluate(x, gauge, guess)

    def model(self) -> Quadratic:
        """The criterion nearby."""
        return quadratic(self.now.gradient, self.now.hessian + self.secant)

    def step(self, model: Quadratic) -> bool:
        """One step within the trust region; False when none leads down."""
        x, gauge = self.at.x, self.at.gauge
        found = self.region.step(
            model,
            lambda change: self.evaluate(x + change, gauge),
            objective=self.at.objective,
            noise=self.noise,
        )
        if found is None:
            return False
        self.move(found.at, found.promised)
        return True

    def record(self, expected: float) -> None:
        """Put down where the search stands, with the deviance that the model still promises."""
        iteration = LaplaceIteration(
            objective=self.at.objective,
            gradient_norm=float(np.linalg.norm(self.now.gradient)),
            expected_decrease=expected,
            Lambda=self.at.Lambda,
            rest=self.at.x[len(self.at.phi) :],
            relcov=self.criterion.relcov,
        )
        if self.path and self.path[-1].Lambda is self.at.Lambda:
            self.path.pop()  # the same point, seen more sharply
        self.path.append(iteration)
        if self.callback is not None:
            self.callback(iteration)

    def move(self, new: Evaluation, predicted: float) -> None:
        """Accept a step, differentiate at its end, and learn if it was short."""
        if predicted > (FAR if self.secant.any() else LOCAL):
            self.jump(new)
            return
        before, step = self.now, new.x - self.at.x
        self.at, self.now = new, self.criterion.slopes(new)
        self.secant = learned(self.secant, before.pair, self.now.pair, step)

    def jump(self, new: Evaluation) -> None:
        """Accept an evaluation somewhere else: take its principal axes, forget what secants have taught."""
        self.at = principal_axes(self.criterion.relcov, new)
        self.now = self.criterion.slopes(self.at)
        self.secant = np.zeros_like(self.secant)

    def measure(self) -> None:
        """Replace what secants have learned by differences of the exact gradient."""
        measured = measured_hessian(self.criterion, self.at, self.now)
        self.nfev += len(measured)
        self.secant = measured - self.now.hessian


def minimize(
    criterion: LaplaceCriterion,
    start: FloatArray,
    guess: Guess | None = None,
    *,
    maxiter: int = 200,
    callback: Callable[[LaplaceIteration], None] | None = None,
) -> LaplaceOptimum:
    """Minimise the criterion.

    Parameters
    ----------
    criterion : LaplaceCriterion
        What to minimise.
    start : ndarray of shape (m + p + k,)
        phi without a gauge, gamma, psi.
    guess : tuple of ndarray of shape (q,), optional
        Modes there.
    maxiter : int
        Steps at most.
    callback : callable, optional
        Called with each `LaplaceIteration`.

    Returns
    -------
    LaplaceOptimum

    Raises
    ------
    OptimizationError
        If the criterion is not finite at the start.
    """
    at = principal_axes(criterion.relcov, criterion.evaluate(start, None, guess))
    if not np.isfinite(at.objective):
        raise OptimizationError(
            "the criterion is not finite at the starting values: the conditional modes were not found there. "
            "Wanted: a response that the family can produce near its start. Check the response, the offset "
            "and the scale of the covariates, or give start=."
        )
    zeros = np.zeros((len(start), len(start)))
    search = _Search(criterion, callback, maxiter, at, criterion.slopes(at), zeros)
    converged = _descend(search)
    for _ in range(4 + criterion.m):  # each round either ends or leaves a saddle or boundary for good
        if _round_to_boundary(search):
            converged = _descend(search)
        if not _escape(search) and not _drop(search):
            break
        converged = _descend(search)
    return _optimum(search, converged=converged)


def _optimum(search: _Search, *, converged: bool) -> LaplaceOptimum:
    expected = search.model().expected_decrease
    endless = search.separated or bool(search.criterion.family.limit(search.at.psi))
    done = converged or expected < GOOD + search.noise or (endless and expected < SEPARATED)
    return LaplaceOptimum(
        at=search.at,
        slopes=search.now,
        hessian=search.now.hessian + search.secant,
        converged=done and _diverging(search) is None,
        separated=search.separated,
        expected_decrease=expected,
        nit=len(search.path) - 1,
        nfev=search.nfev,
        nfactor=search.criterion.weighted.count,
        path=tuple(search.path),
        message=_message(search, done=done),
        diverging=_diverging(search),
    )


def _message(search: _Search, *, done: bool) -> str:
    diverging = _diverging(search)
    if diverging is not None:
        return (
            f"a standard deviation of random term {diverging[0] + 1} is {diverging[1]:.0f} on the scale of "
            "the linear predictor, and rises for ever"
        )
    if done:
        return "optimum certified"
    spent = len(search.path) > search.maxiter
    return f"no optimum within {search.maxiter} iterations" if spent else "no step leads further down"


def _diverging(search: _Search) -> tuple[int, float] | None:
    """The term with the largest standard deviation of all, if there is no maximum to be expected."""
    if search.criterion.family.link == "identity":
        return None
    blocks = search.criterion.relcov.of_terms(search.at.Lambda)
    sds = [float(axes(block)[1][0]) for block in blocks]
    largest = int(np.argmax(sds))
    return (largest, sds[largest]) if sds[largest] > DIVERGED else None


def _descend(search: _Search, hopeless: float = np.inf) -> bool:
    """Newton steps until the model promises nothing more; whether it got there.

    It gives up where less than ``objective - hopeless`` is promised.
    """
    best, slow = np.inf, 0
    while True:
        model = search.model()
        expected = model.expected_decrease
        search.record(expected)
        slow = slow + 1 if best / 3.0 < expected < LOCAL else 0
        best = best if slow else expected
        if expected < TOLERANCE or _enough(search, expected):
            return True
        if expected < LOCAL and search.at.objective - 4.0 * expected > hopeless:
            return False
        if len(search.path) > search.maxiter or _diverging(search) is not None:
            return False
        if slow == PATIENCE:
            search.measure()
            slow = 0
        elif not search.step(model):
            return expected < max(GOOD, search.noise)


def _enough(search: _Search, expected: float) -> bool:
    """Whether there is no optimum to come nearer to, and so no reason to go on."""
    if expected > SEPARATED:
        return False
    if search.criterion.family.limit(search.at.psi):
        return True
    if not search.separated:
        search.separated = separated(search.criterion, search.now.by_beta) is not None
    return search.separated


def _with_Lambda(search: _Search, blocks: Sequence[FloatArray]) -> Evaluation:
    """Evaluate at other blocks per term, the rest as it is."""
    relcov = search.criterion.relcov
    phi = relcov.triangle(relcov.of_factors(blocks))
    return search.evaluate(np.concatenate([phi, search.at.gamma, search.at.psi]), None)


def _round_to_boundary(search: _Search) -> bool:
    """Put nearly vanishing singular values of each Lambda_i at zero where that costs nothing; whether any."""
    rounded, changed = [], False
    for block in search.criterion.relcov.of_terms(search.at.Lambda):
        U, s = axes(block)
        small = s < NEARLY_SINGULAR * max(1.0, float(s[0]))
        changed |= bool((small & (s > 0)).any())
        rounded.append(U * np.where(small, 0.0, s))
    if not changed:
        return False
    new = _with_Lambda(search, rounded)
    if new.objective > search.at.objective + ROUNDING_COST:
        return False
    search.jump(new)
    return True


def _escape(search: _Search) -> bool:
    """Leave a saddle: step along a direction of Lambda's null space in which the score is negative."""
    blocks = search.criterion.relcov.of_terms(search.at.Lambda)
    for i, (lowest, direction) in enumerate(lowest_scores(search.criterion, search.at, search.now)):
        if not lowest < -np.sqrt(TOLERANCE):
            continue
        for size in (0.3, 0.1, 0.03, 0.01, 1e-3):
            longer = lower_factor(np.column_stack([blocks[i], size * direction]))
            new = _with_Lambda(search, [*blocks[:i], longer, *blocks[i + 1 :]])
            if new.objective < search.at.objective - search.noise:
                search.jump(new)
                search.region = TrustRegion()
                return True
    return False


def lowest_scores(criterion: LaplaceCriterion, at: Evaluation, now: Slopes) -> list[tuple[float, FloatArray]]:
    """Per term, the least eigenvalue of its score matrix on the null space of Lambda_i, and its vector."""
    return boundary_curvature(criterion, at, now)


def _drop(search: _Search) -> bool:
    """Leave a local minimum for a better one without one of the random effects.

    A column of Lambda that the quadratic model calls dear to lose is not tried; the others are searched
    without it for as long as that promises more than what is already had.
    """
    relcov, before = search.criterion.relcov, (search.at, search.now, search.secant, list(search.path))
    m = search.criterion.m
    for j in np.flatnonzero(relcov.diagonal):
        phi = np.where(relcov.same_column[j], 0.0, search.at.phi)
        lost = search.at.phi - phi
        if not lost.any() or lost @ (search.now.hessian[:m, :m] @ lost) / 2.0 > DEAR:
            continue
        had = search.at.objective - search.noise
        new = search.evaluate(np.concatenate([phi, search.at.x[m:]]), search.at.gauge)
        if np.isfinite(new.objective):
            search.jump(new)
            search.region = TrustRegion()
            _descend(search, hopeless=had)
            if search.at.objective < had:
                return True
        search.at, search.now, search.secant, search.path = before[0], before[1], before[2], list(before[3])
    return False


def without_gauge(criterion: LaplaceCriterion, at: Evaluation) -> FloatArray:
    """The parameters of an evaluation with triangular Lambda, diagonal >= 0."""
    return np.concatenate([criterion.relcov.triangle(at.Lambda), at.gamma, at.psi])


__all__ = ["LaplaceIteration", "LaplaceOptimum", "minimize", "without_gauge"]
