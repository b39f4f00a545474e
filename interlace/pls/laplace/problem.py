"""From terms, X and y to the Laplace criterion: bases, cells, checks of the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError
from interlace.family import Family
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.basis import _orthonormal, term_basis
from interlace.pls.matrices.columns import factor_columns, width
from interlace.pls.matrices.relcov import RelativeCovariance, relative_covariance
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.triangular import upper_solve
from interlace.pls.rows.weighted import Rows

from .aggregate import aggregated
from .cells import cells_of
from .criterion import LaplaceCriterion

# Share of a constant column that is new beside X below which X holds one.
REDUNDANT = 1e-14


@dataclass(frozen=True, eq=False)
class Problem:
    """A criterion and the way back to the user's columns.

    Attributes
    ----------
    criterion : LaplaceCriterion
        The criterion, in bases.
    R : ndarray of shape (p, p)
        Upper triangular, ``X = Q R`` with columns of Q of mean square 1.
    n : int
        Rows given.
    factor_order : tuple of int
        Which of the given factors each factor of the criterion is.
    """

    criterion: LaplaceCriterion
    R: FloatArray
    n: int
    factor_order: tuple[int, ...]

    def beta(self, gamma: FloatArray) -> FloatArray:
        """Fixed effects on the columns of X."""
        return upper_solve(self.R, gamma)

    def gamma(self, beta: FloatArray) -> FloatArray:
        """And back."""
        return np.asarray(self.R @ beta)

    @property
    def to_raw(self) -> FloatArray:
        """Derivatives of (theta, beta, psi) by the parameters without a gauge, square."""
        relcov, p, k = self.criterion.relcov, len(self.R), self.criterion.k
        m = relcov.m
        J = np.eye(m + p + k)
        J[:m, :m] = relcov.from_basis
        J[m : m + p, m : m + p] = upper_solve(self.R, np.eye(p))
        return J

    @property
    def from_raw(self) -> FloatArray:
        """Derivatives of the parameters without a gauge by (theta, beta, psi)."""
        relcov, p, k = self.criterion.relcov, len(self.R), self.criterion.k
        m = relcov.m
        J = np.eye(m + p + k)
        J[:m, :m] = relcov.to_basis
        J[m : m + p, m : m + p] = self.R
        return J


def laplace_problem(
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    y: FloatArray,
    family: Family,
    *,
    weights: FloatArray | None = None,
    trials: FloatArray | None = None,
    offset: FloatArray | None = None,
    solver: Solver = "auto",
    max_memory: int | None = None,
) -> Problem:
    """Set up the criterion of a generalised linear mixed model.

    Parameters
    ----------
    factors, terms, X, y, family, weights, trials, offset, solver, max_memory
        As in `fit.fit_laplace`.

    Returns
    -------
    Problem
    """
    y, X = np.asarray(y, dtype=float), np.asarray(X, dtype=float)
    n = len(y)
    weights, trials, offset = _checked(family, y, weights, trials, offset)
    order = sorted(range(len(factors)), key=lambda f: -factors[f].n_levels * width(terms, f))
    position = {f: i for i, f in enumerate(order)}
    factors = [factors[f] for f in order]
    terms = [replace(term, factor=position[term.factor]) for term in terms]
    bases = [term_basis(term, None) for term in terms]
    relcov = relative_covariance(factors, terms, bases)
    columns = factor_columns(terms, bases, len(factors), None)
    Q, R = _orthonormal(X)
    _refuse_constant(family, Q)
    codes = [np.asarray(factor.codes, dtype=np.intp) for factor in factors]
    found = aggregated(family, codes, [*(term.Xi for term in terms), X, offset], y, trials, weights)
    own = slice(None) if found.first is None else found.first
    rows = Rows(
        layout=relcov.layout,
        codes=tuple(each[own] for each in codes),
        columns=tuple(each[own] for each in columns),
        Qy=np.column_stack([Q[own] * np.sqrt(n), found.y]),
        log_weights=None,
    )
    criterion = _criterion(rows, found.m, offset[own], relcov, family, found.constant, solver, max_memory)
    return Problem(criterion, R / np.sqrt(n), n, tuple(order))


def _criterion(
    rows: Rows,
    m: FloatArray,
    offset: FloatArray,
    relcov: RelativeCovariance,
    family: Family,
    constant: float,
    solver: Solver,
    max_memory: int | None,
) -> LaplaceCriterion:
    cells = cells_of(rows, m, offset)
    return LaplaceCriterion(cells, relcov, family, constant, solver=solver, max_memory=max_memory)


def _refuse_constant(family: Family, Q: FloatArray) -> None:
    """Thresholds and a constant column would say the same."""
    if family.name == "ordinal":
        missing = 1.0 - Q @ Q.sum(axis=0)
        if float(missing @ missing) < REDUNDANT * len(Q):
            raise ArgumentError(
                "the columns of X hold a constant, and the thresholds of an ordinal model stand for it: one "
                "too many. Leave the constant out (or one level of a full set of indicators)."
            )


def _checked(
    family: Family,
    y: FloatArray,
    weights: FloatArray | None,
    trials: FloatArray | None,
    offset: FloatArray | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights, trials and offset of every row, or an error that says what is wrong."""
    n = len(y)
    if trials is not None and family.name != "binomial":
        raise ArgumentError(f"trials were given for a {family.name} response; only binomial rows have them.")
    ones = np.ones(n)
    weights = ones if weights is None else np.asarray(weights, dtype=float)
    trials = ones if trials is None else np.asarray(trials, dtype=float)
    offset = np.zeros(n) if offset is None else np.asarray(offset, dtype=float)
    for name, given in (("weights", weights), ("trials", trials), ("offset", offset)):
        if given.shape != (n,) or not np.isfinite(given).all():
            raise ArgumentError(f"{name} of shape {given.shape}; wanted {n} finite numbers, one per row.")
    if (weights <= 0).any():
        raise ArgumentError(
            "weights say how often a row occurs: wanted positive numbers; leave out rows of 0."
        )
    complaint = family.complaint(y, trials)
    if complaint:
        raise ArgumentError(complaint)
    return weights, trials, offset
