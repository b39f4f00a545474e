"""The Laplace criterion with one parameter held, minimised over all the others.

A standard deviation is an entry of Lambda in an order of its term's columns in which that column comes
first; there, in the order's gauge, holding it leaves a linear space of parameters.  So does a correlation,
given the two scales (see `interlace.pls.held.covariance`, whose equations these are with sigma = 1), a fixed
effect, or a parameter of the family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from interlace.arrays import BoolArray, FloatArray
from interlace.errors import OptimizationError
from interlace.pls.held.covariance import OFF_THE_EDGE, Order, ordered
from interlace.pls.search.descent import Point, descend

from .criterion import Evaluation, Guess, LaplaceCriterion
from .problem import Problem

# Deviance still to gain at which a search ends: a limit then moves by 1e-8 of its standard error or less.
TOLERANCE = 1e-9
# Error of the criterion, relative: of rounding, and of the modes.
NOISE = 1e-12
# Added to the diagonal of Lambda where a search must not begin at a saddle.
NUDGE = 0.05


@dataclass(frozen=True, eq=False)
class LaplaceConditional:
    """The minimum of the criterion given one parameter.

    Attributes
    ----------
    deviance : float
        There.
    x : ndarray
        Where, in the coordinates of the search: a start for the next one.
    Lambda : tuple of ndarray of shape (k, k)
        Per term, a root of the covariance, on raw columns.
    beta : ndarray of shape (p,)
        Fixed effects.
    psi : ndarray of shape (k,)
        Parameters of the family.
    """

    deviance: float
    x: FloatArray
    Lambda: tuple[FloatArray, ...]
    beta: FloatArray
    psi: FloatArray


@dataclass
class _Tied:
    """The criterion at ``origin + J x``: what `descend` minimises; the last modes start the next ones."""

    criterion: LaplaceCriterion
    gauge: Sequence[FloatArray] | None
    origin: FloatArray
    J: FloatArray
    same: BoolArray
    guess: Guess | None = None

    def evaluate(self, x: FloatArray) -> Point[Evaluation]:
        at = self.criterion.evaluate(self.origin + self.J @ x, self.gauge, self.guess)
        if np.isfinite(at.objective):
            self.guess = at.guess
        return Point(x, at)

    def differentiate(self, point: Point[Evaluation]) -> tuple[FloatArray, FloatArray]:
        now = self.criterion.slopes(point.at)
        return self.J.T @ now.gradient, self.J.T @ now.hessian @ self.J

    def without(self, j: int, x: FloatArray) -> FloatArray:
        return np.where(self.same[j], 0.0, x)


@dataclass
class _Search:
    """What searches of one kind share."""

    problem: Problem
    guess: Guess | None = field(default=None, kw_only=True)

    @property
    def criterion(self) -> LaplaceCriterion:
        return self.problem.criterion

    def _minimum(
        self, x: FloatArray, gauge: Sequence[FloatArray] | None, origin: FloatArray, J: FloatArray
    ) -> Point[Evaluation]:
        tied = _Tied(self.criterion, gauge, origin, J, self._same(J), self.guess)
        if not np.isfinite(tied.evaluate(x).objective):
            raise OptimizationError("the criterion is not finite where the search for a profile begins")
        found = descend(tied, x, tolerance=TOLERANCE, noise=NOISE)
        self.guess = found.at.guess
        return found

    def _same(self, J: FloatArray) -> BoolArray:
        """Which free parameters lie in one column of Lambda, (r, r); none where one is tied to others."""
        size, m = len(J), self.criterion.m
        whole = np.zeros((size, size), dtype=bool)
        whole[:m, :m] = self.criterion.relcov.same_column
        entry = np.where((J != 0).sum(axis=0) == 1, np.argmax(J != 0, axis=0), size - 1)
        same: BoolArray = whole[np.ix_(entry, entry)]
        same[(J != 0).sum(axis=0) != 1] = False
        return same

    def _found(self, point: Point[Evaluation], x: FloatArray) -> LaplaceConditional:
        relcov, at = self.criterion.relcov, point.at
        roots = relcov.of_terms(at.Lambda)
        raw = tuple(inverse @ root for inverse, root in zip(relcov.term_inverses, roots, strict=True))
        return LaplaceConditional(at.objective, x, raw, self.problem.beta(at.gamma), at.psi)


@dataclass
class HeldEntry(_Search):
    """Searches with one coordinate held, in a gauge: a standard deviation, or a parameter of the family."""

    position: int
    order: Order | None = None

    def start(self, x: FloatArray) -> FloatArray:
        """Coordinates of a point given by all parameters without a gauge."""
        return np.delete(_in_order(x, self.order), self.position)

    def minimum(self, value: float, x: FloatArray) -> LaplaceConditional:
        """The minimum with the parameter at a value, sought from x."""
        size = len(x) + 1
        scale = 1.0 if self.order is None else float(self.order.R[0, 0])
        origin = np.insert(np.zeros(size - 1), self.position, value * scale)
        J = np.delete(np.eye(size), self.position, axis=1)
        found = self._minimum(x, None if self.order is None else self.order.gauge, origin, J)
        return self._found(found, found.x)

    def rescaled(self, x: FloatArray, near: float, value: float) -> FloatArray:
        """Where to begin at a value, from x found at the value ``near``."""
        if self.order is None:
            return self._shifted(x, value - near)
        if not near > 0.0:
            return x
        k = self.criterion.relcov.term_k[self.order.term]
        x = x.copy()  # the rest of its column moves with it, so that correlations stay the same
        x[self.position : self.position + k - 1] *= value / near
        return x

    def _shifted(self, x: FloatArray, change: float) -> FloatArray:
        """Thresholds must stay in their order: all move with the one that is held."""
        if self.criterion.family.name != "ordinal":
            return x
        x = x.copy()
        x[self.criterion.m + self.criterion.p :] += change
        return x


def _in_order(x: FloatArray, order: Order | None) -> FloatArray:
    if order is None:
        return x
    m = order.relcov.m
    return np.concatenate([order.start(x[:m]), x[m:]])


@dataclass
class HeldEffect(_Search):
    """Searches with a fixed effect held; x: the other parameters, raw fixed effects among them."""

    j: int

    def start(self, x: FloatArray) -> FloatArray:
        """Coordinates of a point given by all parameters without a gauge."""
        phi, gamma, psi = self.criterion.split(x)
        return np.concatenate([phi, self._null.T @ gamma, psi])

    @cached_property
    def _normal(self) -> FloatArray:
        """``beta_j`` as a linear function of gamma, (p,)."""
        row: FloatArray = self.problem.beta(np.eye(self.criterion.p))[self.j]
        return row

    @cached_property
    def _null(self) -> FloatArray:
        """Orthonormal directions that leave ``beta_j``, (p, p - 1)."""
        Q = np.linalg.qr(self._normal[:, None], mode="complete")[0]
        return np.asarray(Q[:, 1:], dtype=float)

    def minimum(self, value: float, x: FloatArray) -> LaplaceConditional:
        """The minimum with ``beta_j = value``, sought from x."""
        m, p, a = self.criterion.m, self.criterion.p, self._normal
        size = len(x) + 1
        origin = np.zeros(size)
        origin[m : m + p] = a * (value / (a @ a))
        J = np.zeros((size, size - 1))
        J[:m, :m] = np.eye(m)
        J[m : m + p, m : m + p - 1] = self._null
        J[m + p :, m + p - 1 :] = np.eye(self.criterion.k)
        found = self._minimum(x, None, origin, J)
        return self._found(found, found.x)


@dataclass
class HeldCorrelation(_Search):
    """Searches with one correlation held; x: the two scales, then the other parameters in the gauge.

    Attributes
    ----------
    order : Order
        The two columns first.
    columns : tuple of int
        Which they are.
    near : ndarray of shape (m + p + k,)
        A point, without a gauge, from which the edges are sought.
    """

    order: Order
    columns: tuple[int, int]
    near: FloatArray

    def start(self, x: FloatArray) -> FloatArray:
        """Coordinates of a point given by all parameters without a gauge."""
        inside = _in_order(x, self.order)
        return np.append(self.order.scales(inside), np.delete(inside, self.order.held_by_correlation))

    def minimum(self, value: float, x: FloatArray) -> LaplaceConditional:
        """The minimum with ``rho = value``, sought from x."""
        found, edge = self._along(value, np.append(np.abs(x[:2]), x[2:])), self._edge
        if not _one_sign(found, value):
            inside = np.abs(edge.x[:2])
            inside = np.maximum(inside, OFF_THE_EDGE * inside.max())
            found = self._along(value, np.append(inside, edge.x[2:]))
        # Two scales of opposite signs are the model with the correlation -rho.
        return edge if not _one_sign(found, value) or edge.deviance < found.deviance else found

    def _along(self, rho: float, x: FloatArray) -> LaplaceConditional:
        size = len(x) + 1
        columns = np.vstack([self.order.by_scales(rho), np.zeros((size - self.criterion.m, 2))])
        metric = np.asarray(np.linalg.qr(columns, mode="r"), dtype=float)
        straight = np.asarray(np.linalg.solve(metric.T, columns.T)).T
        J = np.hstack([straight, np.delete(np.eye(size), self.order.held_by_correlation, axis=1)])
        begin = np.append(metric @ x[:2], x[2:])
        found = self._minimum(begin, self.order.gauge, np.zeros(size), J)
        return self._found(found, np.append(np.linalg.solve(metric, found.x[:2]), found.x[2:]))

    @cached_property
    def _edge(self) -> LaplaceConditional:
        """The minimum where one of the two scales is zero: whatever rho is."""
        relcov = self.order.relcov
        own = [ordered(relcov, self.order.term, [column]) for column in self.columns]
        searches = [HeldEntry(self.problem, order.first, order, guess=self.guess) for order in own]
        edges = [search.minimum(0.0, search.start(self.near)) for search in searches]
        best = min(edges, key=lambda one: one.deviance)
        return replace(best, x=self.start(self._whole(best)))

    def _whole(self, found: LaplaceConditional) -> FloatArray:
        """All parameters without a gauge."""
        relcov = self.criterion.relcov
        pairs = zip(relcov.term_inverses, found.Lambda, strict=True)
        phi = relcov.triangle(relcov.of_factors([np.linalg.inv(inverse) @ root for inverse, root in pairs]))
        return np.concatenate([phi, self.problem.gamma(found.beta), found.psi])


def _one_sign(found: LaplaceConditional, rho: float) -> bool:
    """Whether the scales are standard deviations."""
    return bool(rho == 0.0 or found.x[0] * found.x[1] > 0.0)


Held = HeldEntry | HeldCorrelation | HeldEffect


def held_parameters(problem: Problem, near: FloatArray, guess: Guess | None = None) -> list[Held]:
    """A search for each parameter: standard deviations and correlations, fixed effects, psi.

    Parameters
    ----------
    problem : Problem
        The criterion, which the searches move.
    near : ndarray of shape (m + p + k,)
        A point without a gauge, such as the optimum.
    guess : tuple of ndarray of shape (q,), optional
        Modes there.

    Returns
    -------
    list
        In the order of (theta, beta, psi).
    """
    criterion, relcov = problem.criterion, problem.criterion.relcov
    found: list[Held] = []
    regular = near + np.append(NUDGE * relcov.diagonal, np.zeros(criterion.p + criterion.k))
    for term, structure in enumerate(relcov.structures):
        for row, column in zip(structure.rows.tolist(), structure.columns.tolist(), strict=True):
            order = ordered(relcov, term, [row] if row == column else [column, row])
            if row == column:
                found.append(HeldEntry(problem, order.first, order, guess=guess))
            else:
                found.append(HeldCorrelation(problem, order, (column, row), regular, guess=guess))
    found += [HeldEffect(problem, j, guess=guess) for j in range(criterion.p)]
    first = criterion.m + criterion.p
    return found + [HeldEntry(problem, first + i, guess=guess) for i in range(criterion.k)]


__all__ = ["LaplaceConditional", "held_parameters"]
