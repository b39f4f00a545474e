"""From terms to a fit: the pieces of the room composed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.errors import ArgumentError
from interlace.pls.factor.iterative import PROBES
from interlace.pls.factor.level_sums import take_long
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.basis import FixedBasis
from interlace.pls.matrices.columns import width
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.matrices.triangular import inverse_from_upper
from interlace.pls.search.certificate import Certificate, certify
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion
from interlace.pls.search.exact import Rows, criterion_error
from interlace.pls.search.information import (
    EntryInformation,
    FixedEffectsInformation,
    average_hessian_varpar,
    entries_by_theta,
    entry_information,
    fixed_effects_information,
    hessian_varpar,
    vcov_beta_gradient,
)
from interlace.pls.search.optimize import Iteration, Optimum, minimize
from interlace.pls.search.sampled import MonteCarlo, SampledCriterion, minimize_sampled
from interlace.pls.search.several import Explored, Minimum, explore, given
from interlace.pls.search.start import moment_start

from .elsewhere import SAME_OPTIMUM, SUSPECT, Elsewhere, known_covariance, other_optimum, without_flat
from .raw_columns import factor_bases, modes, singular_directions
from .setting_up import profiled_criterion

# Columns of Z that are solved for together where not all are wanted.
SOLVED_TOGETHER = 256


@dataclass(frozen=True, eq=False)
class PLSFit:
    """A fitted model, as arrays.

    Attributes
    ----------
    reml : bool
        REML (True) or ML.
    n, p, q : int
        Rows, fixed effects, random effects.
    solver : str
        The factorization that ran.
    theta : ndarray of shape (m,)
        Covariance parameters relative to sigma, lme4's order; diagonal entries >= 0.
    objective : float
        ``-2 log`` likelihood: REML criterion or deviance.
    beta : ndarray of shape (p,)
        Fixed effects.
    vcov_beta : ndarray of shape (p, p)
        Their covariance, sigma^2 included.
    sigma2 : float
        Residual variance.
    pwrss, logdet_L2, logdet_RX2 : float
        Penalised weighted residual sum of squares; ``log |M|``; ``log |X' V0^-1 X|``.
    Lambda : tuple of ndarray of shape (k, k)
        Relative covariance factor of each term, on its raw columns.
    b : tuple of ndarray of shape (n_levels, k)
        Conditional modes of each term, on its raw columns.
    singular : tuple of ndarray of shape (k, r)
        Directions with zero variance of each term, on the term's orthonormal columns mapped back
        to raw ones; r = 0 where there are none.
    optimum : Optimum
        How the search went.
    certificate : Certificate
        What was checked at its end.
    criterion : ProfiledCriterion
        The criterion that was minimised.
    monte_carlo : MonteCarlo, optional
        The error that comes of sampling; None where nothing was sampled.
    minima : tuple of Minimum
        The minima that were met, lowest first.
    elsewhere : Elsewhere or None
        Other parameters that the criterion does not tell from these; None if the data determine all.

    Notes
    -----
    ``Sigma`` and ``vcov_beta`` are NaN where they are not the same elsewhere; theta, ``Lambda`` and ``b`` are
    those of one of the optima.
    """

    reml: bool
    n: int
    p: int
    q: int
    solver: str
    theta: FloatArray
    objective: float
    beta: FloatArray
    vcov_beta: FloatArray
    sigma2: float
    pwrss: float
    logdet_L2: float
    logdet_RX2: float
    Lambda: tuple[FloatArray, ...]
    b: tuple[FloatArray, ...]
    singular: tuple[FloatArray, ...]
    optimum: Optimum[Decomposition]
    certificate: Certificate
    criterion: ProfiledCriterion
    monte_carlo: MonteCarlo | None = None
    minima: tuple[Minimum, ...] = ()
    elsewhere: Elsewhere | None = None

    def __post_init__(self) -> None:
        for array in (self.theta, self.beta, self.vcov_beta, *self.Lambda, *self.b, *self.singular):
            array.flags.writeable = False

    @property
    def Sigma(self) -> tuple[FloatArray, ...]:
        """Covariance matrix of the random effects of each term, (k, k); NaN where not determined."""
        here = self.Sigma_at_theta
        return here if self.elsewhere is None else self.elsewhere.known(here)

    @property
    def Sigma_at_theta(self) -> tuple[FloatArray, ...]:
        """Covariance matrices at theta, whether the data determine them or not."""
        return tuple(self.sigma2 * block @ block.T for block in self.Lambda)

    @property
    def vcov_at_theta(self) -> FloatArray:
        """Covariance of the fixed effects at theta, whether the data determine it or not, (p, p)."""
        return self.vcov_beta if self.elsewhere is None else self.elsewhere.vcov_here

    def fit_elsewhere(self) -> PLSFit:
        """The fit at other parameters that the criterion does not tell from these.

        Returns
        -------
        PLSFit
            What is not the same there is not determined by the data.
        """
        return self if self.elsewhere is None else _at_other_parameters(self, self.elsewhere)

    @property
    def is_singular(self) -> bool:
        """Whether the covariance of some term is singular."""
        return any(directions.shape[1] for directions in self.singular)

    def without_criterion(self) -> PLSFit:
        """The numbers alone, for storage: a criterion holds a factor that lives in C."""
        gone: Any = None
        return replace(self, criterion=gone)

    @cached_property
    def _conditional(self) -> tuple[FloatArray, ...]:
        criterion = self.criterion.here()
        criterion.decompose(self.optimum.phi)
        blocks = criterion.factorization.conditional_blocks()
        back = factor_bases(criterion.relcov)
        return tuple(self.sigma2 * R @ T @ R.T for T, R in zip(blocks, back, strict=True))

    def condvar_factor(self) -> tuple[FloatArray, ...]:
        """Conditional covariance of each level's random effects, (n_levels, K, K) per *internal* factor.

        ``sigma^2 Lambda (M^-1)_ll Lambda'`` jointly for all terms on the factor (JSS eq. 58 ff.);
        the uncertainty of beta is not included, as in lme4's ``condVar``.
        """
        return self._conditional

    def condvar_of(self, f: int, levels: IntArray) -> FloatArray:
        """Conditional covariances of some levels of the *internal* factor f, (len(levels), K, K)."""
        relcov, factorization = self.criterion.relcov, self.criterion.factorization
        self.criterion.decompose(self.optimum.phi)
        K, at_once = relcov.layout.K[f], max(1, SOLVED_TOGETHER // relcov.layout.K[f])
        blocks = []
        for start in range(0, len(levels), at_once):
            own, order = np.unique(levels[start : start + at_once], return_inverse=True)
            columns = relcov.layout.starts[f] + (own[:, None] * K + np.arange(K)).ravel()
            T = factorization.conditional_among(columns).reshape(len(own), K, len(own), K)
            blocks.append(T[np.arange(len(own)), :, np.arange(len(own))][order])
        R = factor_bases(relcov)[f]
        return np.asarray(self.sigma2 * R @ np.concatenate(blocks) @ R.T)

    def condvar(self) -> tuple[FloatArray, ...]:
        """Conditional covariance of each level's random effects, (n_levels, k, k) per term."""
        relcov = self.criterion.relcov
        blocks = []
        for k, f, start in zip(relcov.term_k, relcov.term_factor, relcov.term_start, strict=True):
            own = slice(start, start + k)
            blocks.append(self._conditional[f][:, own, own])
        return tuple(blocks)

    @cached_property
    def average_information(self) -> bool:
        """Whether `hessian_varpar` is the average information: no factor, or it would take long."""
        return self.monte_carlo is not None or take_long(self.criterion.cp, self.criterion.relcov.layout)

    @cached_property
    def _second_order(self) -> tuple[EntryInformation, FloatArray]:
        """Information and Hessian out of one evaluation at the optimum."""
        criterion = self.criterion.here()
        at = criterion.decompose(self.optimum.phi)
        now = criterion.derivatives(at)
        entries = entry_information(criterion, at)
        H = hessian_varpar(criterion, at, now, entries)
        if self.elsewhere is not None:
            H = without_flat(criterion.relcov, at.phi, H, float(np.sqrt(self.sigma2)), self.elsewhere)
        return entries, H

    @cached_property
    def _on_average(self) -> tuple[FixedEffectsInformation, FloatArray]:
        """What of it takes no traces of pairs."""
        criterion = self.criterion.here()
        at = criterion.decompose(self.optimum.phi)
        now = criterion.derivatives(at)
        return fixed_effects_information(criterion, at), average_hessian_varpar(criterion, at, now)

    @property
    def entries(self) -> EntryInformation:
        """Traces and cross-products behind the expected information, however long they take."""
        return self._second_order[0]

    def hessian_varpar(self) -> FloatArray:
        """Hessian of the deviance in (theta, sigma) at the optimum, shape (m + 1, m + 1).

        Not profiled over sigma. Exact unless `average_information` says otherwise.
        """
        return (self._on_average if self.average_information else self._second_order)[1].copy()

    def vcov_beta_gradient(self) -> FloatArray:
        """Derivatives of the covariance of beta by (theta, sigma), shape (m + 1, p, p)."""
        by_theta = entries_by_theta(self.criterion.relcov, self.optimum.phi)
        information = (self._on_average if self.average_information else self._second_order)[0]
        return vcov_beta_gradient(information, by_theta, float(np.sqrt(self.sigma2)))


def fit(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    y: FloatArray,
    *,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
    reml: bool = True,
    start: FloatArray | None = None,
    starts: int | None = None,
    solver: Solver = "auto",
    max_memory: int | None = None,
    maxiter: int = 200,
    callback: Callable[[Iteration], None] | None = None,
    probes: int = PROBES,
    seed: int = 0,
) -> PLSFit:
    """Fit a linear mixed model by REML or ML.

    Parameters
    ----------
    factors, terms, X, y, weights, offset, reml, solver, max_memory, probes, seed
        As in `profiled_criterion`.
    start : ndarray of shape (m,), optional
        Starting theta. By default from second moments, see `start.moment_start`.
    starts : int, optional
        Searches from different starts. By default one where the data are many for each parameter or where
        ``start`` is given, and elsewhere as many as it takes, see `search.several`.
    maxiter : int
        Newton steps at most.
    callback : callable, optional
        Called with an `Iteration` after each step.

    Returns
    -------
    PLSFit

    Raises
    ------
    OptimizationError
        If the criterion has no minimum (the model reproduces the response exactly).
    ValueError
        For a ``start`` that is not m finite numbers.

    References
    ----------
    Bates, Maechler, Bolker & Walker (2015), Journal of Statistical Software 67(1), section 3.

    Examples
    --------
    >>> import numpy as np
    >>> codes = np.repeat(np.arange(3), 2)
    >>> y = np.array([1.0, 2.0, 4.0, 5.0, 1.0, 3.0])
    >>> result = fit([GroupingFactor(codes, 3)], [RandomTerm(0, np.ones((6, 1)))], np.ones((6, 1)), y)
    >>> round(result.sigma2, 6)  # balanced one-way layout: the within mean square
    1.0
    """
    columns = [factor.n_levels * width(terms, f) for f, factor in enumerate(factors)]
    with suitable_threads(sum(columns) - max(columns)):
        criterion = profiled_criterion(
            factors,
            terms,
            X,
            y,
            weights=weights,
            offset=offset,
            reml=reml,
            solver=solver,
            probes=probes,
            seed=seed,
            max_memory=max_memory,
        )
        rows = Rows(factors, terms, X, y if offset is None else y - offset, weights)
        return _fitted(criterion, start, maxiter, callback, starts, rows)


def fit_criterion(
    criterion: ProfiledCriterion,
    *,
    start: FloatArray | Optimum[Decomposition] | None = None,
    starts: int | None = None,
    maxiter: int = 200,
    callback: Callable[[Iteration], None] | None = None,
) -> PLSFit:
    """Minimise a criterion and take the snapshot.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What to minimise.
    start : ndarray of shape (m,) or Optimum, optional
        As in `fit`; or the optimum for much the same data.
    starts, maxiter, callback
        As in `fit`.

    Returns
    -------
    PLSFit
    """
    with suitable_threads(criterion.relcov.layout.rest):
        return _fitted(criterion, start, maxiter, callback, starts)


def _fitted(
    criterion: ProfiledCriterion,
    start: FloatArray | Optimum[Decomposition] | None,
    maxiter: int,
    callback: Callable[[Iteration], None] | None,
    starts: int | None = None,
    rows: Rows | None = None,
) -> PLSFit:
    begin = _start(criterion, start)
    if isinstance(criterion, SampledCriterion):
        found = minimize_sampled(criterion, begin, maxiter=maxiter, callback=callback)
        return replace(_numbers(found.criterion, found.optimum), **found.verdict())
    optimum = minimize(criterion, begin, maxiter=maxiter, callback=callback)
    if start is not None and starts is None:
        explored = given(criterion, optimum)
    else:
        explored = explore(
            criterion,
            optimum,
            "moments" if start is None else "given",
            starts=starts,
            maxiter=maxiter,
            rows=rows,
        )
    return snapshot(criterion, explored.optimum, explored, rows)


def _start(
    criterion: ProfiledCriterion, start: FloatArray | Optimum[Decomposition] | None
) -> FloatArray | Optimum[Decomposition]:
    """Where the search begins, in basis parameters."""
    relcov = criterion.relcov
    if start is None:
        return moment_start(criterion.cp, relcov, reml=criterion.reml)
    if isinstance(start, Optimum):
        return start
    if np.shape(start) != (relcov.m,) or not np.isfinite(start).all():
        raise ArgumentError(
            f"start is {start!r}; wanted {relcov.m} finite covariance parameters, one per theta."
        )
    return np.asarray(relcov.to_basis @ np.asarray(start, dtype=float))


def snapshot(
    criterion: ProfiledCriterion,
    optimum: Optimum[Decomposition],
    explored: Explored | None = None,
    rows: Rows | None = None,
) -> PLSFit:
    """Everything that a fit is asked for, in the user's columns and units.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What was minimised.
    optimum : Optimum
        Where.
    explored : Explored, optional
        The minima that were met.
    rows : Rows, optional
        From which the error of the criterion is known.

    Returns
    -------
    PLSFit
    """
    fit = _numbers(criterion, optimum, explored, rows)
    flat = fit.certificate.least_eigenvalue < SUSPECT * max(1.0, float(np.trace(optimum.derivatives.hessian)))
    other = other_optimum(criterion, optimum.phi, fit) if flat else None
    if other is None:
        return fit
    there = _at_other_parameters(fit, other)
    criterion.decompose(optimum.phi)
    if abs(there.objective - fit.objective) > SAME_OPTIMUM * max(1.0, abs(fit.objective)):
        return fit
    open_ = other.touched(criterion.relcov)
    return replace(
        fit,
        vcov_beta=known_covariance(fit, there),
        singular=tuple(d[:, :0] if o else d for d, o in zip(fit.singular, open_, strict=True)),
        elsewhere=there.elsewhere and replace(there.elsewhere, vcov_here=fit.vcov_beta),
    )


def _at_other_parameters(fit: PLSFit, other: Elsewhere) -> PLSFit:
    criterion = fit.criterion.here()
    at = criterion.decompose(criterion.relcov.to_basis @ criterion.relcov.pack(other.Lambda))
    optimum = replace(fit.optimum, at=at, phi=at.phi, derivatives=criterion.derivatives(at))
    there = _numbers(criterion, optimum)
    # It knows what is flat, and nothing to be compared with.
    own = {name: getattr(there, name) for name in ("Lambda", "sigma2", "beta", "b")}
    same = replace(other, **own, vcov_here=there.vcov_beta, vcov_there=there.vcov_beta)
    return replace(there, elsewhere=same)


def _numbers(
    criterion: ProfiledCriterion,
    optimum: Optimum[Decomposition],
    explored: Explored | None = None,
    rows: Rows | None = None,
) -> PLSFit:
    at, relcov, basis, cp = optimum.at, criterion.relcov, criterion.basis, criterion.cp
    p = cp.p
    scale2 = basis.scale**2
    sigma2 = at.pwrss * scale2 / criterion.nu
    R = at.R[:p, :p]
    G_inverse = inverse_from_upper(R)
    phi = optimum.phi
    theta = relcov.from_basis @ phi
    return PLSFit(
        reml=criterion.reml,
        n=cp.n,
        p=p,
        q=relcov.layout.q,
        solver=criterion.factorization.solver,
        theta=theta,
        objective=at.objective,
        beta=basis.beta(at.gamma),
        vcov_beta=sigma2 * basis.vcov(G_inverse),
        sigma2=sigma2,
        pwrss=at.pwrss * scale2,
        logdet_L2=at.logdet_L2,
        logdet_RX2=float(2.0 * np.log(np.diagonal(R)).sum()) + basis.logdet_R2,
        Lambda=tuple(relcov.term_blocks(theta)),
        b=modes(relcov, at.modes * basis.scale),
        singular=singular_directions(relcov, phi),
        optimum=optimum,
        certificate=certify(
            criterion,
            optimum,
            explored=explored,
            error=None if explored is None else criterion_error(criterion, optimum, rows),
            share=at.pwrss / float(cp.C[-1, -1]),
        ),
        criterion=criterion,
        minima=() if explored is None else explored.minima,
    )


__all__ = ["CrossProducts", "FixedBasis", "PLSFit", "fit", "fit_criterion", "profiled_criterion"]
