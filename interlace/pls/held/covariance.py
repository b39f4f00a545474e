"""The deviance with a standard deviation or correlation held, minimised over all the other parameters.

In an order of the term's columns in which those concerned come first, the first row of Lambda_i holds
only ``sd_a / sigma`` and the second one ``s (rho, sqrt(1 - rho^2))``.  Another order is another orthonormal
basis: a *gauge* of the criterion.  With rho fixed, Lambda is linear in the free parameters; with ``sd_a``
fixed it is so given sigma, which then is a parameter of the search.  There are no bounds, but with rho fixed
two scales of opposite signs are another model, the one with ``-rho``: such ends are not taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.search.criterion import Decomposition, ProfiledCriterion
from interlace.pls.search.descent import Point, descend
from interlace.pls.search.start import moment_start

from .fixed import AtSigma, Conditional, conditional

# Share of the other scale at which a search begins inside the edge where one is zero.
OFF_THE_EDGE = 0.1


@dataclass(frozen=True, eq=False)
class Order:
    """A term's columns in another order: the gauge, and what a search needs of the basis.

    Attributes
    ----------
    relcov : RelativeCovariance
        Of the criterion.
    term : int
        Position of the term.
    gauge : sequence of ndarray of shape (K, K)
        Orthogonal, per factor.
    R : ndarray of shape (k, k)
        Lower triangular: ``R`` times raw effects in the new order are effects on the basis, up to the gauge.
    first : int
        Position in phi of the term's first parameter.
    """

    relcov: RelativeCovariance
    term: int
    gauge: Sequence[FloatArray]
    R: FloatArray
    first: int

    def start(self, phi: FloatArray) -> FloatArray:
        """Basis parameters in the gauge, from those without."""
        Lambda = [U.T @ block for U, block in zip(self.gauge, self.relcov.Lambda(phi), strict=True)]
        return self.relcov.triangle(Lambda)

    @property
    def held_by_correlation(self) -> list[int]:
        """Positions in phi of what a correlation of the first two columns ties, with their scales."""
        return [self.first, self.first + 1, self.first + self.relcov.term_k[self.term]]

    def by_scales(self, rho: float) -> FloatArray:
        """Derivatives of phi by the scales of the first two columns, their correlation held, (m, 2)."""
        tied = self.held_by_correlation
        columns = np.zeros((self.relcov.m, 2))
        columns[tied[:2], 0] = self.R[:2, 0]
        columns[tied[1], 1] = self.R[1, 1] * rho
        columns[tied[2], 1] = self.R[1, 1] * np.sqrt(max(0.0, 1.0 - rho**2))
        # The rows below stay free: their raw entries take up whatever these two columns put there.
        return columns

    def scales(self, inside: FloatArray) -> FloatArray:
        """Standard deviations of the first two columns, from basis parameters in the gauge."""
        diagonal, below, beside = self.held_by_correlation
        block = np.array([[inside[diagonal], 0.0], [inside[below], inside[beside]]])
        raw = np.linalg.inv(self.R[:2, :2]) @ block
        return np.array([raw[0, 0], np.hypot(raw[1, 0], raw[1, 1])])


@dataclass(frozen=True, eq=False)
class Reordered(Order):
    """An order of columns, with the deviance of a linear model.

    Attributes
    ----------
    criterion : ProfiledCriterion
        The deviance.
    """

    criterion: ProfiledCriterion


def reordered(criterion: ProfiledCriterion, term: int, first: Sequence[int]) -> Reordered:
    """Put some columns of a term first, with the deviance; see `ordered`."""
    return Reordered(**vars(ordered(criterion.relcov, term, first)), criterion=criterion)


def ordered(relcov: RelativeCovariance, term: int, first: Sequence[int]) -> Order:
    """Put some columns of a term first.

    Parameters
    ----------
    relcov : RelativeCovariance
        Of the criterion.
    term : int
        Position of the term.
    first : sequence of int
        Columns of the term.

    Returns
    -------
    Order
    """
    k = relcov.term_k[term]
    order = [*first, *(a for a in range(k) if a not in first)]
    inverse = relcov.term_inverses[term]
    shuffled = np.linalg.inv(inverse)[:, order]
    # QR from the last column on gives a lower triangle.
    Q, R = linalg.qr(shuffled[:, ::-1])
    U, lower = Q[:, ::-1], R[::-1, ::-1]
    signs = np.where(np.diagonal(lower) < 0, -1.0, 1.0)
    blocks = [np.eye(size) for size in relcov.term_k]
    blocks[term] = U * signs
    return Order(
        relcov=relcov,
        term=term,
        gauge=relcov.of_factors(blocks),
        R=lower * signs[:, None],
        first=relcov.term_slices[term].start,
    )


@dataclass(frozen=True, eq=False)
class FixedSD:
    """Searches with one standard deviation held; x: the other parameters in the gauge, then log sigma."""

    order: Reordered

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        criterion = self.order.criterion
        s = np.sqrt(criterion.decompose(phi).pwrss / criterion.cp.n)
        return np.append(np.delete(self.order.start(phi), self.order.first), np.log(s))

    def rescaled(self, x: FloatArray, near: float, value: float) -> FloatArray:
        """Where to begin at ``sd = value``, from x found at ``near``."""
        k = self.order.criterion.relcov.term_k[self.order.term]
        if near > 0.0 and k > 1:
            x = x.copy()  # the rest of its column moves with it, so that correlations stay the same
            x[self.order.first : self.order.first + k - 1] *= value / near
        return x

    def minimum(self, value: float, x: FloatArray) -> Conditional:
        """The minimum with ``sd = value``, sought from x."""
        scale = self.order.criterion.basis.scale
        found = descend(_HeldSD(self.order, value * float(self.order.R[0, 0]) / scale), x)
        return _of_point(self.order.criterion, found, float(np.exp(found.x[-1])) * scale)


@dataclass(frozen=True, eq=False)
class FixedCorrelation:
    """Searches with one correlation held; x: the two scales, then the other parameters in the gauge."""

    order: Reordered

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        inside = self.order.start(phi)
        return np.append(self.order.scales(inside), np.delete(inside, self.order.held_by_correlation))

    def minimum(self, value: float, x: FloatArray) -> Conditional:
        """The minimum with ``rho = value``, sought from x."""
        criterion, edge = self.order.criterion, self._edge
        x = np.append(np.abs(x[:2]), x[2:])
        found = self._search(value, x, (0, 1))
        if not _one_sign(found, value):
            inside = np.abs(edge.x[:2])
            inside = np.maximum(inside, OFF_THE_EDGE * inside.max())
            found = self._search(value, np.append(inside, edge.x[2:]), (0, 1))
        if not _one_sign(found, value) or edge.objective < found.objective:
            found = edge
        sigma = criterion.basis.scale * float(np.sqrt(found.at.pwrss / criterion.cp.n))
        return _of_point(criterion, found, sigma)

    @cached_property
    def _edge(self) -> Point[Decomposition]:
        """The minimum where one of the two scales is zero: whatever rho is."""
        criterion = self.order.criterion
        x = self.start(moment_start(criterion.cp, criterion.relcov, reml=criterion.reml))
        lost = (np.where(np.arange(len(x)) == a, 0.0, x) for a in (0, 1))
        edges = [self._search(0.0, start, (kept,)) for start, kept in zip(lost, (1, 0), strict=True)]
        return min(edges, key=lambda point: point.objective)

    def _search(self, value: float, x: FloatArray, free: tuple[int, ...]) -> Point[Decomposition]:
        """The nearest minimum over the free ones of the two scales and over all else."""
        columns, scales = self.order.by_scales(value)[:, free], list(free)
        metric = np.asarray(np.linalg.qr(columns, mode="r"), dtype=float)
        held = _HeldCorrelation(self.order, np.asarray(np.linalg.solve(metric.T, columns.T)).T)
        found = descend(held, np.append(metric @ x[scales], x[2:]))
        outer = np.append(np.zeros(2), found.x[len(scales) :])
        outer[scales] = np.linalg.solve(metric, found.x[: len(scales)])
        return replace(found, x=outer)


def _one_sign(point: Point[Decomposition], rho: float) -> bool:
    """Whether the scales are standard deviations; if their signs differ the correlation is ``-rho``."""
    return bool(rho == 0.0 or point.x[0] * point.x[1] > 0.0)


@dataclass(frozen=True, eq=False)
class _HeldCorrelation:
    """phi as a linear function of the free parameters."""

    order: Reordered
    columns: FloatArray

    def _map(self) -> FloatArray:
        others = np.delete(np.eye(len(self.columns)), self.order.held_by_correlation, axis=1)
        return np.hstack([self.columns, others])

    def evaluate(self, x: FloatArray) -> Point[Decomposition]:
        return Point(x, self.order.criterion.decompose(self._map() @ x, self.order.gauge))

    def differentiate(self, point: Point[Decomposition]) -> tuple[FloatArray, FloatArray]:
        now, J = self.order.criterion.derivatives(point.at), self._map()
        return J.T @ now.gradient, J.T @ now.hessian @ J

    def without(self, j: int, x: FloatArray) -> FloatArray:
        """x without the column of Lambda that parameter j lies in."""
        relcov, tied = self.order.criterion.relcov, self.columns.shape[1]
        others = np.delete(np.arange(relcov.m), self.order.held_by_correlation)
        same = relcov.same_column[others[j - tied]][others] if j >= tied else np.zeros(len(others), bool)
        return np.append(x[:tied], np.where(same, 0.0, x[tied:]))


@dataclass(frozen=True, eq=False)
class _HeldSD:
    """phi with its first entry at ``held / s``; s is the exponential of the last parameter."""

    order: Reordered
    held: float

    def evaluate(self, x: FloatArray) -> Point[Decomposition]:
        s = float(np.exp(x[-1]))
        phi = np.insert(x[:-1], self.order.first, self.held / s)
        return Point(x, AtSigma(self.order.criterion, s).decompose(phi, self.order.gauge))

    def differentiate(self, point: Point[Decomposition]) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian in (the other phi, tau), tau = log s and d phi_0 / d tau = -phi_0."""
        s, f, n = float(np.exp(point.x[-1])), self.order.first, self.order.criterion.cp.n
        now = AtSigma(self.order.criterion, s).derivatives(point.at)
        c = -now.pwrss_gradient / s**2
        share, phi0 = point.at.pwrss / s**2, float(point.at.phi[f])
        H = np.empty((len(now.gradient) + 1,) * 2)
        H[:-1, :-1] = now.hessian
        H[:-1, -1] = H[-1, :-1] = 2.0 * c
        H[-1, -1] = 4.0 * share
        g = np.append(now.gradient, 2.0 * (n - share))
        J = np.delete(np.eye(len(g)), f, axis=1)
        J[f, -1] = -phi0
        gradient, hessian = J.T @ g, J.T @ H @ J
        hessian[-1, -1] += phi0 * g[f]
        return gradient, hessian

    def without(self, j: int, x: FloatArray) -> FloatArray:
        """x without the column of Lambda that parameter j lies in."""
        relcov = self.order.criterion.relcov
        if j == len(x) - 1:
            return x
        others = np.delete(np.arange(relcov.m), self.order.first)
        same = relcov.same_column[others[j]][others]
        return np.append(np.where(same, 0.0, x[:-1]), x[-1])


def _of_point(criterion: ProfiledCriterion, found: Point[Decomposition], sigma: float) -> Conditional:
    return conditional(criterion, found.at, found.x, sigma, found.at.gamma)
