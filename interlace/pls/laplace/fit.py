"""From terms to a generalised fit: the pieces composed, and the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, OptimizationError
from interlace.family import Family
from interlace.pls.elsewhere import Elsewhere
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.matrices.triangular import eigen, upper_solve
from interlace.pls.raw_columns import factor_bases, modes, singular_directions
from interlace.pls.search.certificate import Certificate

from .certificate import certify_laplace
from .criterion import Evaluation, LaplaceCriterion
from .joint import JointCriterion
from .measured import SHARP, measured_hessian
from .problem import Problem, laplace_problem
from .quadrature import QuadratureCriterion
from .search import LaplaceIteration, LaplaceOptimum, minimize, without_gauge
from .separation import Separation, proof
from .slopes import Slopes
from .start import LARGE, loose_start
from .undetermined import elsewhere

# Share of the largest curvature below which a direction has no variance that could be told.
NO_CURVATURE = 1e-9

Kind = Literal["full", "working"]


@dataclass(frozen=True, eq=False)
class LaplaceFit:
    """A fitted generalised linear mixed model, as arrays.

    Attributes
    ----------
    family : Family
        Family and link.
    nagq : int
        Nodes per random effect; 1 is the Laplace approximation.
    fast : bool
        Whether the fixed effects minimise the penalised likelihood only; see `fit_laplace`.
    n, cells, p, q : int
        Rows given, distinct ones, fixed effects, random effects.
    solver : str
        The factorization that ran.
    theta : ndarray of shape (m,)
        Covariance parameters in lme4's order, *not* relative to a residual: ``Lambda Lambda'`` is the
        covariance of the random effects. Diagonal entries >= 0.
    beta : ndarray of shape (p,)
        Fixed effects on the columns of X. Under separation some are as far as the search went; see
        ``separation``.
    psi : ndarray of shape (k,)
        Parameters of the family, named by ``family.psi_names``: logarithm of a size, shape or standard
        deviation; thresholds.
    objective : float
        ``-2 log`` likelihood, approximated; all constants are in, for every nagq.
    Lambda : tuple of ndarray of shape (k, k)
        Factor of the covariance of each term, on its raw columns, in the order of the given terms.
    b : tuple of ndarray of shape (n_levels, k)
        Conditional modes of each term, on its raw columns.
    singular : tuple of ndarray of shape (k, r)
        Combinations of each term's raw effects with zero variance; r = 0 where there are none.
    optimum : LaplaceOptimum
        How the search went.
    certificate : Certificate
        What was checked at its end.
    separation : Separation or None
        Proof that some fixed effects have no finite estimate, with their columns.
    problem : Problem
        The criterion that was minimised, and the way to the user's columns.
    at : Evaluation
        The optimum once more, Lambda triangular.
    elsewhere : Elsewhere or None
        Other parameters that the criterion does not tell from these; None if the data determine all.
    """

    family: Family
    nagq: int
    fast: bool
    n: int
    cells: int
    p: int
    q: int
    solver: str
    theta: FloatArray
    beta: FloatArray
    psi: FloatArray
    objective: float
    Lambda: tuple[FloatArray, ...]
    b: tuple[FloatArray, ...]
    singular: tuple[FloatArray, ...]
    optimum: LaplaceOptimum
    certificate: Certificate
    separation: Separation | None
    problem: Problem
    at: Evaluation
    elsewhere: Elsewhere | None = None

    def __post_init__(self) -> None:
        for array in (self.theta, self.beta, self.psi, *self.Lambda, *self.b, *self.singular):
            array.flags.writeable = False

    @property
    def Sigma(self) -> tuple[FloatArray, ...]:
        """Covariance matrix of the random effects of each term, (k, k); NaN where not determined."""
        here = tuple(block @ block.T for block in self.Lambda)
        return here if self.elsewhere is None else self.elsewhere.known(here)

    def here(self) -> LaplaceFit:
        """The fit itself in the thread that made it; in any other the same with a criterion of its own."""
        problem = self.problem
        if problem.criterion.is_here:
            return self
        return replace(self, problem=replace(problem, criterion=problem.criterion.here()))

    @property
    def is_singular(self) -> bool:
        """Whether the covariance of some term is singular."""
        return any(directions.shape[1] for directions in self.singular)

    @cached_property
    def slopes(self) -> Slopes:
        """Derivatives at the optimum in basis coordinates, Lambda triangular."""
        return self.problem.criterion.slopes(self.refreshed())

    def refreshed(self) -> Evaluation:
        """The optimum evaluated anew: the factorization stands there."""
        at = self.at
        return self.problem.criterion.evaluate(at.x, None, at.guess, tolerance=SHARP)

    @cached_property
    def basis_hessian(self) -> FloatArray:
        """Hessian of the criterion in (phi, gamma, psi), measured by differences of the exact gradient."""
        criterion = self.problem.criterion
        return measured_hessian(criterion, self.at, self.slopes, sharp=True)

    def hessian(self) -> FloatArray:
        """Hessian of ``objective`` in (theta, beta, psi), shape (m + p + k, m + p + k); lazy."""
        J = self.problem.from_raw
        return np.asarray(J.T @ self.basis_hessian @ J)

    @cached_property
    def basis_vcov(self) -> FloatArray:
        """Covariance of (phi, gamma, psi): twice the inverse Hessian, zero where it has no curvature."""
        return 2.0 * _inverse(self.basis_hessian)

    def vcov(self) -> FloatArray:
        """Covariance of the estimates of (theta, beta, psi), from the measured Hessian."""
        J = self.problem.to_raw
        return np.asarray(J @ self.basis_vcov @ J.T)

    def vcov_beta(self, kind: Kind = "full") -> FloatArray:
        """Covariance of the fixed effects, (p, p).

        Parameters
        ----------
        kind : {"full", "working"}
            From the whole measured Hessian; or from the working model with theta, psi and the weights taken
            as known, as glmer's ``use.hessian = FALSE``: cheap, and too small.
        """
        m, p = self.problem.criterion.m, self.p
        if kind == "full":
            return self.vcov()[m : m + p, m : m + p]
        if kind != "working":
            raise ArgumentError(f'kind={kind!r} is not known; wanted "full" or "working".')
        half = upper_solve(self.problem.R, 2.0 * _inverse(self.slopes.hessian[m : m + p, m : m + p]))
        return np.asarray(upper_solve(self.problem.R, half.T))

    @cached_property
    def _conditional(self) -> tuple[FloatArray, ...]:
        self.refreshed()
        criterion = self.problem.criterion
        blocks = criterion.weighted.factorization.conditional_blocks()
        back = factor_bases(criterion.relcov)
        return tuple(R @ T @ R.T for T, R in zip(blocks, back, strict=True))

    def condvar_factor(self) -> tuple[FloatArray, ...]:
        """Conditional covariance of all effects of a factor's levels, (n_levels, K, K) per factor given."""
        order, covariances = self.problem.factor_order, self._conditional
        return tuple(covariances[order.index(f)] for f in range(len(order)))

    def condvar(self) -> tuple[FloatArray, ...]:
        """Conditional covariance of each level's random effects, (n_levels, k, k) per term.

        Given the parameters, as lme4's ``condVar``.
        """
        relcov = self.problem.criterion.relcov
        found = []
        for k, f, start in zip(relcov.term_k, relcov.term_factor, relcov.term_start, strict=True):
            own = slice(start, start + k)
            found.append(self._conditional[f][:, own, own])
        return tuple(found)


def _inverse(hessian: FloatArray) -> FloatArray:
    values, vectors = eigen(hessian)
    kept = values > NO_CURVATURE * float(np.abs(values).max(initial=1e-300))
    return np.asarray((vectors[:, kept] / values[kept]) @ vectors[:, kept].T)


def fit_laplace(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    y: FloatArray,
    family: Family,
    *,
    weights: FloatArray | None = None,
    trials: FloatArray | None = None,
    offset: FloatArray | None = None,
    nagq: int = 1,
    fast: bool = False,
    start: FloatArray | None = None,
    solver: Solver = "auto",
    max_memory: int | None = None,
    maxiter: int = 200,
    callback: Callable[[LaplaceIteration], None] | None = None,
) -> LaplaceFit:
    """Fit a generalised linear mixed model by maximum likelihood, Laplace's approximation.

    Parameters
    ----------
    factors : sequence of GroupingFactor
        Distinct grouping factors.
    terms : sequence of RandomTerm
        Random-effects terms; theta follows their order.
    X : ndarray of shape (n, p)
        Fixed-effects model matrix of full column rank. An ordinal model's must not hold a constant: the
        thresholds stand for it.
    y : ndarray of shape (n,)
        Response: successes; counts; positive numbers; categories 0, 1, ... (`family.Ordinal`).
    family : Family
        A record of `interlace.family`.
    weights : ndarray of shape (n,), optional
        How often each row occurs. A row of weight 2 is exactly the same as the row twice.
    trials : ndarray of shape (n,), optional
        Trials of binomial rows, 1 by default; ``y`` counts successes, never proportions.
    offset : ndarray of shape (n,), optional
        Known part of the linear predictor; for exposures of a log link their logarithms.
    nagq : int
        Nodes of adaptive Gauss-Hermite quadrature; more than 1 for a single scalar term only.
    fast : bool
        glmer's ``nAGQ=0``: the fixed effects minimise the penalised likelihood together with the modes, and
        the covariance parameters the criterion there. Fixed effects and deviance are off by little for counts
        and many trials, by more for binary rows: the notes say how. Standard errors are those of Laplace's
        criterion at the estimates.
    start : ndarray of shape (m + p + k,), optional
        Starting (theta, beta, psi). By default a small covariance and one loose joint iteration.
    solver : {"auto", "cholmod", "blocked"}
        Factorization.
    max_memory : int, optional
        Bytes that it may take; by default what the machine has.
    maxiter : int
        Newton steps at most.
    callback : callable, optional
        Called with a `LaplaceIteration` after each step.

    Returns
    -------
    LaplaceFit
        Frozen and picklable. Its Hessian, covariances and conditional variances are computed when asked for.
        Under separation ``certificate.certified`` is false and ``separation`` names the columns of X.

    Raises
    ------
    ValueError
        For a response that the family cannot produce, for weights, trials, offset or start of a wrong shape
        or value, for ``nagq > 1`` with anything but one scalar term or with ``fast``, or for a
        constant among the columns of an ordinal model.
    OptimizationError
        If the criterion is not finite at the start.
    MemoryLimitError
        If the factorization would not fit.

    Notes
    -----
    Rows equal in levels, columns and offset (and response, unless these add up) are aggregated, so the time
    follows the distinct ones; ``objective`` keeps the constants of the rows as given, so that Bernoulli rows
    stay Bernoulli rows. See `criterion`, `slopes` and `search` for the equations.

    With ``fast=True`` log |M| has no say in beta: its gradient ``X'(r - ...)`` is left out. Where levels have
    little information, beta is drawn towards zero, by some hundredths of itself for binary responses, and
    variances follow; the search has only the covariance parameters to move. See `joint`.

    References
    ----------
    Tierney & Kadane (1986), Journal of the American Statistical Association 81; Pinheiro & Chao (2006),
    Journal of Computational and Graphical Statistics 15; Bates, Maechler, Bolker & Walker (2015), Journal of
    Statistical Software 67(1).

    Examples
    --------
    >>> import numpy as np
    >>> from interlace.family import Poisson
    >>> codes = np.repeat(np.arange(4), 3)
    >>> y = np.array([2.0, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5])
    >>> found = fit_laplace(
    ...     [GroupingFactor(codes, 4)], [RandomTerm(0, np.ones((12, 1)))], np.ones((12, 1)), y, Poisson()
    ... )
    >>> round(float(found.beta[0]), 4), round(float(found.theta[0]), 4), round(found.objective, 4)
    (1.0117, 0.763, 48.1387)
    """
    columns = [
        factor.n_levels * sum(term.k for term in terms if term.factor == f)
        for f, factor in enumerate(factors)
    ]
    with suitable_threads(sum(columns) - max(columns)):
        problem = laplace_problem(
            factors,
            terms,
            X,
            y,
            family,
            weights=weights,
            trials=trials,
            offset=offset,
            solver=solver,
            max_memory=max_memory,
        )
        return fit_problem(problem, nagq=nagq, fast=fast, start=start, maxiter=maxiter, callback=callback)


def fit_problem(
    problem: Problem,
    *,
    nagq: int = 1,
    fast: bool = False,
    start: FloatArray | None = None,
    maxiter: int = 200,
    callback: Callable[[LaplaceIteration], None] | None = None,
) -> LaplaceFit:
    """Minimise the criterion of a problem and take the snapshot.

    Parameters
    ----------
    problem : Problem
        From `problem.laplace_problem`.
    nagq, fast, start, maxiter, callback
        As in `fit_laplace`.

    Returns
    -------
    LaplaceFit
    """
    if fast and nagq > 1:
        raise ArgumentError(
            f"fast=True with nagq={nagq}: it is a shortcut of Laplace's approximation, nagq=1."
        )
    if nagq != int(nagq) or nagq < 1:
        raise ArgumentError(f"nagq={nagq!r}; wanted a positive number of nodes.")
    if nagq > 1:
        problem = replace(problem, criterion=QuadratureCriterion(problem.criterion, int(nagq)))
    criterion = problem.criterion
    sought = JointCriterion(criterion) if fast else criterion
    if start is None:
        x, guess = loose_start(criterion)
    else:
        x, guess = _given(problem, start), None
    optimum = minimize(sought, x, guess, maxiter=maxiter, callback=callback)
    if start is None and not criterion.family.concave:
        optimum = _lower(sought, optimum, maxiter, callback)
    return snapshot(problem, optimum, nagq, fast=fast)


def _lower(
    criterion: LaplaceCriterion,
    optimum: LaplaceOptimum,
    maxiter: int,
    callback: Callable[[LaplaceIteration], None] | None,
) -> LaplaceOptimum:
    """An optimum, or that of a search from large variances if it is lower, or the only one."""
    x, guess = loose_start(criterion, LARGE)
    try:
        other = minimize(criterion, x, guess, maxiter=maxiter, callback=callback)
    except OptimizationError:  # not finite there
        return optimum
    return min(optimum, other, key=lambda found: (not found.converged, found.at.objective))


def _given(problem: Problem, start: FloatArray) -> FloatArray:
    size = len(problem.from_raw)
    if np.shape(start) != (size,) or not np.isfinite(start).all():
        raise ArgumentError(
            f"start is {start!r}; wanted {size} finite numbers: covariance parameters, fixed effects, psi."
        )
    return np.asarray(problem.from_raw @ np.asarray(start, dtype=float))


def snapshot(problem: Problem, optimum: LaplaceOptimum, nagq: int, *, fast: bool = False) -> LaplaceFit:
    """Everything that a fit is asked for, in the user's columns and units."""
    criterion, relcov = problem.criterion, problem.criterion.relcov
    at = criterion.evaluate(without_gauge(criterion, optimum.at), None, optimum.at.guess)
    theta = relcov.from_basis @ at.phi
    to_beta = upper_solve(problem.R, np.eye(len(problem.R)))
    other = elsewhere(problem, at, optimum.slopes.hessian)
    open_ = [False] * len(relcov.term_k) if other is None else other.touched(relcov)
    null = singular_directions(relcov, at.phi)
    return LaplaceFit(
        family=criterion.family,
        nagq=nagq,
        fast=fast,
        n=problem.n,
        cells=criterion.cells.n,
        p=criterion.p,
        q=relcov.layout.q,
        solver=criterion.weighted.factorization.solver,
        theta=theta,
        beta=problem.beta(at.gamma),
        psi=at.psi.copy(),
        objective=at.objective,
        Lambda=tuple(relcov.term_blocks(theta)),
        b=modes(relcov, at.modes.b),
        singular=tuple(d[:, :0] if o else d for d, o in zip(null, open_, strict=True)),
        optimum=optimum,
        certificate=certify_laplace(problem, optimum, fast=fast),
        separation=proof(criterion, optimum.slopes.by_beta, to_beta),
        problem=problem,
        at=at,
        elsewhere=other,
    )
