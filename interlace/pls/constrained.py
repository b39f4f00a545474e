"""The deviance with one parameter held fixed, minimised over all the others.

*A fixed effect*: ``beta_j = b`` leaves p - 1 free directions in the orthonormal basis of X and moves the
response; the cross-products follow by a (p + 1) x p matrix, and what is left is an ordinary deviance.

*sigma*: ``d(theta; sigma) = log|M| + n log(2 pi sigma^2) + r^2 / sigma^2`` (JSS eq. 29 with beta and u
at their minimum).

*A standard deviation or correlation*: in an order of the term's columns in which those concerned come
first, the first row of Lambda_i holds only ``sd_a / sigma`` and the second one ``s (rho, sqrt(1 - rho^2))``.
Another order is another orthonormal basis: a *gauge* of the criterion.  With rho fixed, Lambda is linear
in the free parameters; with ``sd_a`` fixed it is so given sigma, which then is a parameter of the search.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from .basis import FixedBasis
from .criterion import Decomposition, ProfiledCriterion
from .derivatives import Derivatives, derivatives
from .optimize import minimize
from .relcov import lower_factor
from .terms import FloatArray

# Deviance still to gain at which a search ends: a limit then moves by less than 1e-8 of its SE.
TOLERANCE = 1e-11
# Deviance by which the quadratic model must say that losing a column of Lambda is worse for it not to be tried.
DEAR = 20.0
MAXITER = 100


@dataclass(frozen=True, eq=False)
class Conditional:
    """The minimum of the deviance given one parameter.

    Attributes
    ----------
    deviance : float
        There.
    x : ndarray
        Where, in the coordinates of the search: a start for the next one.
    Lambda : tuple of ndarray of shape (k, k)
        Per term, a root of the relative covariance, on raw columns.
    sigma : float
        Residual standard deviation.
    beta : ndarray of shape (p,)
        Fixed effects.
    """

    deviance: float
    x: FloatArray
    Lambda: tuple[FloatArray, ...]
    sigma: float
    beta: FloatArray


def as_ml(criterion: ProfiledCriterion) -> ProfiledCriterion:
    """The deviance of the same model and data, whatever the criterion was."""
    return ProfiledCriterion(
        criterion.cp, criterion.relcov, criterion.factorization, criterion.basis, reml=False
    )


def _conditional(
    criterion: ProfiledCriterion, at: Decomposition, x: FloatArray, sigma: float, gamma: FloatArray
) -> Conditional:
    roots = criterion.relcov.of_terms(at.Lambda)
    raw = tuple(inverse @ root for inverse, root in zip(criterion.relcov.term_inverses, roots, strict=True))
    return Conditional(at.objective, x, raw, sigma, criterion.basis.beta(gamma))


# ---- a fixed effect ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class FixedEffect:
    """Searches with one fixed effect held.

    Attributes
    ----------
    criterion : ProfiledCriterion
        The deviance.
    j : int
        Position of the fixed effect.
    """

    criterion: ProfiledCriterion
    j: int

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        return phi

    def minimum(self, value: float, x: FloatArray, near: float) -> Conditional:
        """The minimum with ``beta_j = value``, sought from x (found at the value ``near``)."""
        del near
        basis = self.criterion.basis
        p = len(basis.R)
        gamma0, null = self._within_rest(value)
        H = np.zeros((p + 1, p))
        H[:p, :-1], H[:p, -1], H[p, -1] = null, -gamma0, 1.0
        cp = self.criterion.cp
        reduced = replace(cp, B=cp.B @ H, C=H.T @ cp.C @ H)
        left = ProfiledCriterion(
            reduced, self.criterion.relcov, self.criterion.factorization, basis, reml=False
        )
        optimum = minimize(left, x)
        sigma = basis.scale * float(np.sqrt(optimum.at.pwrss / cp.n))
        gamma = gamma0 + null @ optimum.at.gamma
        return _conditional(self.criterion, optimum.at, optimum.phi, sigma, gamma)

    def _within_rest(self, value: float) -> tuple[FloatArray, FloatArray]:
        """A gamma with ``beta_j = value``, and an orthonormal basis of the directions that keep it."""
        basis: FixedBasis = self.criterion.basis
        p = len(basis.R)
        unit = np.zeros(p)
        unit[self.j] = 1.0
        a = linalg.solve_triangular(basis.R, unit, trans=1)  # beta_j = a'(shift + scale gamma)
        wanted = (value - a @ basis.shift) / basis.scale
        directions = linalg.qr(a[:, None])[0]
        return a * (wanted / (a @ a)), np.asarray(directions[:, 1:], dtype=float)


# ---- sigma -------------------------------------------------------------------------------------


class _AtSigma(ProfiledCriterion):
    """The deviance at a given sigma (in units of the scaled response)."""

    def __init__(self, criterion: ProfiledCriterion, s: float) -> None:
        super().__init__(criterion.cp, criterion.relcov, criterion.factorization, criterion.basis, reml=False)
        self.s = s

    def _objective(self, R: FloatArray, logdet_L2: float) -> float:
        n = self.cp.n
        constant = n * np.log(2.0 * np.pi * (self.s * self.basis.scale) ** 2) - self.cp.sum_log_weights
        return float(logdet_L2 + constant + (R[-1, -1] / self.s) ** 2)

    def derivatives(self, at: Decomposition) -> Derivatives:
        """Gradient and Hessian where the criterion was evaluated last."""
        nu = at.pwrss / self.s**2
        found = derivatives(self.cp, self.relcov, self.factorization, at, nu=nu, reml=False)
        c = -found.pwrss_gradient / self.s**2
        return replace(found, hessian=found.hessian + np.outer(c, c) / nu)  # sigma does not follow


@dataclass(frozen=True, eq=False)
class FixedSigma:
    """Searches with the residual standard deviation held."""

    criterion: ProfiledCriterion

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        return phi

    def minimum(self, value: float, x: FloatArray, near: float) -> Conditional:
        """The minimum with ``sigma = value``, sought from x (found at the value ``near``)."""
        at_sigma = _AtSigma(self.criterion, value / self.criterion.basis.scale)
        optimum = minimize(at_sigma, x * (near / value))  # the covariances stay about the same
        return _conditional(self.criterion, optimum.at, optimum.phi, value, optimum.at.gamma)


# ---- standard deviations and correlations --------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Reordered:
    """A term's columns in another order: the gauge, and what the search needs of the basis.

    Attributes
    ----------
    criterion : ProfiledCriterion
        The deviance.
    term : int
        Position of the term.
    gauge : sequence of ndarray of shape (K, K)
        Orthogonal, per factor.
    R : ndarray of shape (k, k)
        Lower triangular: ``R`` times raw effects in the new order are effects on the basis, up to the gauge.
    first : int
        Position in phi of the term's first parameter.
    """

    criterion: ProfiledCriterion
    term: int
    gauge: Sequence[FloatArray]
    R: FloatArray
    first: int

    def start(self, phi: FloatArray) -> FloatArray:
        """Basis parameters in the gauge, from those without."""
        relcov = self.criterion.relcov
        Lambda = [U.T @ block for U, block in zip(self.gauge, relcov.Lambda(phi), strict=True)]
        return relcov.triangle(Lambda)


def reordered(criterion: ProfiledCriterion, term: int, first: Sequence[int]) -> Reordered:
    """Put some columns of a term first.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The deviance.
    term : int
        Position of the term.
    first : sequence of int
        Columns of the term.

    Returns
    -------
    Reordered
    """
    relcov = criterion.relcov
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
    return Reordered(
        criterion=criterion,
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

    def minimum(self, value: float, x: FloatArray, near: float) -> Conditional:
        """The minimum with ``sd = value``, sought from x (found at the value ``near``)."""
        k = self.order.criterion.relcov.term_k[self.order.term]
        if near > 0.0 and k > 1:
            x = x.copy()  # the rest of its column moves with it, so that correlations stay the same
            x[self.order.first : self.order.first + k - 1] *= value / near
        scale = self.order.criterion.basis.scale
        found = _descend(_HeldSD(self.order, value * float(self.order.R[0, 0]) / scale), x)
        return _of_point(self.order.criterion, found, float(np.exp(found.x[-1])) * scale)


@dataclass(frozen=True, eq=False)
class FixedCorrelation:
    """Searches with one correlation held; x: the two scales, then the other parameters in the gauge."""

    order: Reordered

    def start(self, phi: FloatArray) -> FloatArray:
        """Coordinates of a point given by its basis parameters."""
        order = self.order
        inside = order.start(phi)
        k = order.criterion.relcov.term_k[order.term]
        f = order.first
        block = np.array([[inside[f], 0.0], [inside[f + 1], inside[f + k]]])
        raw = np.linalg.inv(order.R[:2, :2]) @ block
        scales = [raw[0, 0], np.hypot(raw[1, 0], raw[1, 1])]
        return np.append(scales, np.delete(inside, [f, f + 1, f + k]))

    def minimum(self, value: float, x: FloatArray, near: float) -> Conditional:
        """The minimum with ``rho = value``, sought from x (found at the value ``near``)."""
        del near
        order, criterion = self.order, self.order.criterion
        held = _HeldCorrelation(order, self._columns(value))
        metric = np.asarray(np.linalg.qr(held.columns, mode="r"), dtype=float)
        held = replace(held, columns=np.asarray(np.linalg.solve(metric.T, held.columns.T)).T)
        found = _descend(held, np.append(metric @ x[:2], x[2:]))
        sigma = criterion.basis.scale * float(np.sqrt(found.at.pwrss / criterion.cp.n))
        outer = replace(found, x=np.append(np.linalg.solve(metric, found.x[:2]), found.x[2:]))
        return _of_point(criterion, outer, sigma)

    def _columns(self, rho: float) -> FloatArray:
        """Derivatives of phi by the two scales, (m, 2)."""
        order, m = self.order, self.order.criterion.relcov.m
        k = order.criterion.relcov.term_k[order.term]
        f, columns = order.first, np.zeros((m, 2))
        columns[f : f + 2, 0] = order.R[:2, 0]
        columns[f + 1, 1] = order.R[1, 1] * rho
        columns[f + k, 1] = order.R[1, 1] * np.sqrt(max(0.0, 1.0 - rho**2))
        # The rows below stay free: their raw entries take up whatever these two columns put there.
        return columns


# ---- Newton's method in the free parameters -------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Point:
    """An evaluation of a constrained deviance."""

    x: FloatArray
    at: Decomposition

    @property
    def value(self) -> float:
        return self.at.objective


@dataclass(frozen=True, eq=False)
class _HeldCorrelation:
    """phi as a linear function of the free parameters."""

    order: Reordered
    columns: FloatArray

    def _map(self) -> FloatArray:
        m, k = len(self.columns), self.order.criterion.relcov.term_k[self.order.term]
        f = self.order.first
        others = np.delete(np.eye(m), [f, f + 1, f + k], axis=1)
        return np.hstack([self.columns, others])

    def evaluate(self, x: FloatArray) -> _Point:
        return _Point(x, self.order.criterion.decompose(self._map() @ x, self.order.gauge))

    def differentiate(self, point: _Point) -> tuple[FloatArray, FloatArray]:
        now, J = self.order.criterion.derivatives(point.at), self._map()
        return J.T @ now.gradient, J.T @ now.hessian @ J

    def without(self, j: int, x: FloatArray) -> FloatArray:
        """x without the column of Lambda that parameter j lies in."""
        relcov, tied = self.order.criterion.relcov, 2
        f, k = self.order.first, relcov.term_k[self.order.term]
        others = np.delete(np.arange(relcov.m), [f, f + 1, f + k])
        same = relcov.same_column[others[j - tied]][others] if j >= tied else np.zeros(len(others), bool)
        return np.append(x[:tied], np.where(same, 0.0, x[tied:]))


@dataclass(frozen=True, eq=False)
class _HeldSD:
    """phi with its first entry at ``held / s``; s is the exponential of the last parameter."""

    order: Reordered
    held: float

    def evaluate(self, x: FloatArray) -> _Point:
        s = float(np.exp(x[-1]))
        phi = np.insert(x[:-1], self.order.first, self.held / s)
        return _Point(x, _AtSigma(self.order.criterion, s).decompose(phi, self.order.gauge))

    def differentiate(self, point: _Point) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian in (the other phi, tau), tau = log s and d phi_0 / d tau = -phi_0."""
        s, f, n = float(np.exp(point.x[-1])), self.order.first, self.order.criterion.cp.n
        now = _AtSigma(self.order.criterion, s).derivatives(point.at)
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


_Held = _HeldSD | _HeldCorrelation


def _of_point(criterion: ProfiledCriterion, found: _Point, sigma: float) -> Conditional:
    return _conditional(criterion, found.at, found.x, sigma, found.at.gamma)


def _descend(held: _Held, x: FloatArray) -> _Point:
    """The minimum, from x; saddles and local minima at a lost column of Lambda are left."""
    point = _newton(held, held.evaluate(x))
    for _ in range(len(x) + 1):
        lower = _beyond_saddle(held, point) or _without_column(held, point)
        if lower is None:
            break
        point = _newton(held, lower)
    return point


def _newton(held: _Held, point: _Point) -> _Point:
    """Newton steps in a trust region; the Hessian's missing part is learned from gradients."""
    point = held.evaluate(point.x)
    g, H = held.differentiate(point)
    secant, radius = np.zeros_like(H), 1.0
    for _ in range(MAXITER):
        values, vectors = np.linalg.eigh(H + secant)
        values = np.maximum(np.abs(values), 1e-9 * max(float(np.abs(values).max()), 1e-300))
        along = vectors.T @ g
        if float(along @ (along / values)) / 2.0 < TOLERANCE:
            break
        step = along / values
        length = float(np.linalg.norm(step))
        if length > radius:
            step *= radius / length
        predicted = float(along @ step - (step * values) @ step / 2.0)
        trial = held.evaluate(point.x - vectors @ step)
        gained = point.value - trial.value
        noise = 1e-13 * max(1.0, abs(point.value))
        if not gained > 1e-4 * predicted - noise:
            if predicted < noise:
                break
            radius = 0.25 * float(np.linalg.norm(step))
            continue
        radius = max(radius, 3.0 * length) if gained > 0.75 * predicted else radius
        before, last = (g, H), point
        point = trial
        g, H = held.differentiate(point)
        secant = _learned(secant, before, (g, H), point.x - last.x)
    return held.evaluate(point.x)


def _learned(
    secant: FloatArray,
    before: tuple[FloatArray, FloatArray],
    now: tuple[FloatArray, FloatArray],
    step: FloatArray,
) -> FloatArray:
    """Symmetric rank-one update of what the analytic Hessian misses."""
    missed = now[0] - before[0] - (now[1] + secant) @ step
    along = float(missed @ step)
    if abs(along) < 1e-3 * np.linalg.norm(missed) * np.linalg.norm(step) or along == 0.0:
        return secant
    updated = secant + np.outer(missed, missed) / along
    least = np.linalg.eigvalsh(now[1])[0]
    return np.asarray(updated) if np.linalg.eigvalsh(now[1] + updated)[0] > 0.1 * least else secant


def _beyond_saddle(held: _Held, point: _Point) -> _Point | None:
    """A lower point along the Hessian's most negative direction, where there is one."""
    point = held.evaluate(point.x)
    values, vectors = np.linalg.eigh(held.differentiate(point)[1])
    if values[0] > -1e-6 * max(1.0, float(values[-1])):
        return None
    for size in (0.3, -0.3, 0.1, -0.1, 0.03, -0.03, 0.01, -0.01):
        trial = held.evaluate(point.x + size * vectors[:, 0])
        if trial.value < point.value - 1e-9:
            return trial
    return None


def _without_column(held: _Held, point: _Point) -> _Point | None:
    """A lower point without one of the columns of Lambda, where there is one."""
    point = held.evaluate(point.x)
    hessian = held.differentiate(point)[1]
    for j in range(len(point.x)):
        x = held.without(j, point.x)
        lost = point.x - x
        if not lost.any() or lost @ hessian @ lost / 2.0 > DEAR:
            continue
        trial = held.evaluate(x)
        if trial.value < point.value - 1e-9:
            return trial
    return None


def held_parameters(
    criterion: ProfiledCriterion,
) -> list[FixedSD | FixedCorrelation | FixedSigma | FixedEffect]:
    """One search for every parameter: SDs and correlations column by column, sigma, fixed effects.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The deviance; see `as_ml`.

    Returns
    -------
    list
        In the order of theta, then sigma, then the columns of X.
    """
    found: list[FixedSD | FixedCorrelation | FixedSigma | FixedEffect] = []
    for term, k in enumerate(criterion.relcov.term_k):
        for a in range(k):
            found.append(FixedSD(reordered(criterion, term, [a])))
            found += [FixedCorrelation(reordered(criterion, term, [a, b])) for b in range(a + 1, k)]
    found.append(FixedSigma(criterion))
    return found + [FixedEffect(criterion, j) for j in range(criterion.cp.p)]


__all__ = ["Conditional", "as_ml", "held_parameters", "lower_factor"]
