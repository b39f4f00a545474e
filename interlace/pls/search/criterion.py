"""The profiled criterion: deviance or REML criterion as a function of the covariance parameters.

With ``T = Lambda M^-1 Lambda'``, ``G = [X y]' V0^-1 [X y] = C - B' T B = R' R`` and
``r^2 = R[p, p]^2`` (y appended to X, so the last diagonal element is the root of the penalised
residual sum of squares),

    d(theta) = log |M| + [REML] log |R_X|^2 + nu (1 + log(2 pi r^2 / nu)),

``nu = n - p`` for REML, n for ML (JSS eqs. 34 and 41).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import get_ident
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from interlace.arguments import LARGEST, numbers
from interlace.arrays import FloatArray
from interlace.errors import NotPositiveDefiniteError, arithmetic
from interlace.pls.factor.factorization import Factorization
from interlace.pls.matrices.basis import FixedBasis
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.triangular import upper_solve

from .derivatives import Derivatives, derivatives

# Error of an objective by rounding: relative to it, and, where r^2 is a difference, relative to y'y.
RELATIVE_NOISE, CANCELLATION_NOISE = 1e-13, 2.0**-51
# Deviance that is never put down to rounding.
LARGEST_NOISE = 1e-4
# Share of y'y below which r^2 consists of rounding errors: no residual variation is left.
LEAST_RESIDUAL_SHARE = 1e-14


@dataclass(frozen=True, eq=False)
class Decomposition:
    """What one evaluation of the criterion leaves behind, in basis coordinates.

    Attributes
    ----------
    phi : ndarray of shape (m,)
        Where: covariance parameters in basis coordinates, in the gauge.
    gauge : sequence of ndarray of shape (K, K), or None
        Orthogonal U_f of each factor; None stands for the identity.
    Psi : sequence of ndarray of shape (K, K)
        The triangles that phi fills, per factor.
    objective : float
        The criterion.
    Lambda : sequence of ndarray of shape (K, K)
        Blocks of Lambda, per factor: ``U Psi``.
    TB : ndarray of shape (q, p + 1)
        ``T Z'W [X y]``.
    R : ndarray of shape (p + 1, p + 1)
        Upper Cholesky factor of ``[X y]' V0^-1 [X y]`` (JSS eq. 50, y appended).
    logdet_L2 : float
        ``log |M|``.
    """

    phi: FloatArray
    gauge: Sequence[FloatArray] | None
    Psi: Sequence[FloatArray]
    objective: float
    Lambda: Sequence[FloatArray]
    TB: FloatArray
    R: FloatArray
    logdet_L2: float

    @property
    def x(self) -> FloatArray:
        """All parameters of the search: phi, since the others are profiled out."""
        return self.phi

    def in_gauge(
        self, phi: FloatArray, gauge: Sequence[FloatArray], Psi: Sequence[FloatArray]
    ) -> Decomposition:
        """The same evaluation, told in another gauge."""
        return replace(self, phi=phi, gauge=gauge, Psi=Psi)

    @property
    def pwrss(self) -> float:
        """r^2, in units of the scaled response."""
        return float(self.R[-1, -1] ** 2)

    @cached_property
    def gamma(self) -> FloatArray:
        """Fixed effects on the orthonormal basis (JSS eq. 51)."""
        p = len(self.R) - 1
        return upper_solve(self.R[:p, :p], self.R[:p, p])

    @property
    def modes(self) -> FloatArray:
        """Conditional modes ``b = Lambda u``, shape (q,), on the terms' bases (JSS eqs. 11 and 52)."""
        return np.asarray(self.TB[:, -1] - self.TB[:, :-1] @ self.gamma)


class ProfiledCriterion:
    """The criterion and its derivatives; owns the factorization, the one part that moves.

    It belongs to the thread that made it; any other works with the one that `here` gives.

    Parameters
    ----------
    cp : CrossProducts
        The data.
    relcov : RelativeCovariance
        The template of Lambda.
    factorization : Factorization
        Of ``Lambda' A Lambda + I``.
    basis : FixedBasis
        Basis of X and scale of y.
    reml : bool
        REML criterion or deviance.
    """

    def __init__(
        self,
        cp: CrossProducts,
        relcov: RelativeCovariance,
        factorization: Factorization,
        basis: FixedBasis,
        *,
        reml: bool,
    ) -> None:
        self.cp = cp
        self.relcov = relcov
        self.factorization = factorization
        self.basis = basis
        self.reml = reml
        self._thread = get_ident()
        self.nu = cp.n - cp.p if reml else cp.n
        self._constant = self.nu * 2.0 * np.log(basis.scale) - cp.sum_log_weights
        if reml:
            self._constant += basis.logdet_R2

    def variant(self, **changes: Any) -> Self:
        """The same kind of criterion with other parts.

        Parameters
        ----------
        **changes
            Of ``cp``, ``relcov``, ``factorization``, ``basis`` and ``reml``, those that differ.

        Returns
        -------
        ProfiledCriterion
        """
        parts: dict[str, Any] = {
            "cp": self.cp,
            "relcov": self.relcov,
            "factorization": self.factorization,
            "basis": self.basis,
            "reml": self.reml,
        } | changes
        return type(self)(**parts)

    def __call__(self, theta: ArrayLike) -> float:
        """The criterion at lme4's theta."""
        with arithmetic():
            return self.here().decompose(self._phi(theta)).objective

    def gradient(self, theta: ArrayLike) -> FloatArray:
        """Exact gradient with respect to lme4's theta, shape (m,)."""
        own = self.here()
        with arithmetic():
            at = own.decompose(self._phi(theta))
            return np.asarray(self.relcov.to_basis.T @ own.derivatives(at).gradient)

    def _phi(self, theta: ArrayLike) -> FloatArray:
        are = "covariance parameters as results.theta has them"
        values = numbers("theta", theta, self.relcov.m, are=are, largest=LARGEST)
        return np.asarray(self.relcov.to_basis @ values)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _thread=get_ident())

    @property
    def is_here(self) -> bool:
        """Whether this thread may move the factorization."""
        return self._thread == get_ident()

    def here(self) -> Self:
        """The criterion itself in its own thread; in any other the same with a factorization apart."""
        if self.is_here:
            return self
        return self.variant(factorization=self.factorization.apart(self.cp))

    def decompose(self, phi: FloatArray, gauge: Sequence[FloatArray] | None = None) -> Decomposition:
        """Evaluate the criterion at basis parameters, keeping the pieces.

        The objective is infinite where the residual sum of squares vanishes in floating point.
        """
        return decomposed(self, phi, gauge, self.objective_of)

    def objective_of(self, R: FloatArray, logdet_L2: float) -> float:
        """The criterion from the factor of [X y]' V0^-1 [X y] and ``log |M|``."""
        diagonal = np.log(np.diagonal(R))
        logdet = logdet_L2 + (2.0 * float(diagonal[:-1].sum()) if self.reml else 0.0)
        profiled = 1.0 + np.log(2.0 * np.pi / self.nu) + 2.0 * diagonal[-1]  # 1 + log(2 pi r^2 / nu)
        return float(logdet + self.nu * profiled + self._constant)

    def derivatives(self, at: Decomposition, *, rough: bool = False) -> Derivatives:
        """Gradient, Hessian and score matrices where the criterion was evaluated *last*.

        Rough ones have some five digits, and are used only where they take less time than exact ones.
        """
        return derivatives(
            self.cp, self.relcov, self.factorization, at, nu=self.nu, reml=self.reml, rough=rough
        )

    def noise(self, at: Decomposition) -> float:
        """Error of the objective by rounding."""
        return rounding_noise(self, at, self.nu, reml=self.reml)

    def fault(self, at: Decomposition) -> str | None:
        """Why there is no minimum to be sought from here: no residual variation is left."""
        return saturated(self, at)


class Parts(Protocol):
    """The parts of which criteria of a linear model are made."""

    @property
    def cp(self) -> CrossProducts:
        """The data."""

    @property
    def relcov(self) -> RelativeCovariance:
        """The template of Lambda."""

    @property
    def factorization(self) -> Factorization:
        """Of ``Lambda' A Lambda + I``; it moves."""


def decomposed(
    parts: Parts,
    phi: FloatArray,
    gauge: Sequence[FloatArray] | None,
    objective: Callable[[FloatArray, float], float],
) -> Decomposition:
    """Factorise at basis parameters and keep the pieces.

    Parameters
    ----------
    parts : Parts
        Of the criterion.
    phi : ndarray of shape (m,)
        Basis parameters in the gauge.
    gauge : sequence of ndarray of shape (K, K), or None
        Orthogonal U_f of each factor.
    objective : callable
        Of R and ``log |M|``. Where the residual sum of squares vanishes in floating point, infinity is put in
        its place.

    Returns
    -------
    Decomposition
    """
    Psi = parts.relcov.Lambda(phi)
    Lambda = Psi if gauge is None else [U @ block for U, block in zip(gauge, Psi, strict=True)]
    try:
        parts.factorization.update(Lambda)
    except (NotPositiveDefiniteError, np.linalg.LinAlgError):
        p1 = len(parts.cp.C)
        nowhere = np.full(parts.cp.B.shape, np.nan), np.full((p1, p1), np.nan)
        return Decomposition(phi, gauge, Psi, np.inf, Lambda, *nowhere, logdet_L2=np.inf)
    TB = parts.factorization.conditional(parts.cp.B)
    R, info = linalg.lapack.dpotrf(parts.cp.C - parts.cp.B.T @ TB, lower=0, clean=1)
    logdet_L2 = parts.factorization.logdet()
    return Decomposition(
        phi=phi,
        gauge=gauge,
        Psi=Psi,
        objective=np.inf if info else objective(R, logdet_L2),
        Lambda=Lambda,
        TB=TB,
        R=R,
        logdet_L2=logdet_L2,
    )


def rounding_noise(parts: Parts, at: Decomposition, nu: float, *, reml: bool = False) -> float:
    """Error by rounding: of the objective's own size, and of the logarithms of differences.

    These are ``nu log r^2``, r^2 a difference from y'y, and for REML ``log |X'V0^-1 X|``, one from the
    identity.
    """
    diagonal = np.diagonal(at.R)
    cancelled = nu * float(parts.cp.C[-1, -1]) / float(diagonal[-1]) ** 2
    if reml:
        cancelled += float((diagonal[:-1] ** -2.0).sum())
    own = RELATIVE_NOISE * max(1.0, abs(at.objective))
    return min(own + CANCELLATION_NOISE * cancelled, LARGEST_NOISE)


def rounding_error(parts: Parts, at: Decomposition, nu: float) -> float:
    """Error by rounding of ``nu log r^2`` alone, without a limit: for what is claimed, not for a search."""
    return CANCELLATION_NOISE * nu * float(parts.cp.C[-1, -1]) / at.pwrss


def saturated(parts: Parts, at: Decomposition) -> str | None:
    """What to tell users if no residual variation is left at an evaluation; None if some is."""
    if not np.isfinite(at.objective):
        return (
            "the criterion is not finite at the starting values: the model reproduces the response exactly. "
            "Wanted: residual variation. Check the response, or drop a random term."
        )
    if at.pwrss < LEAST_RESIDUAL_SHARE * float(parts.cp.C[-1, -1]):
        return (
            "the criterion falls without bound: the random effects reproduce the response exactly. "
            "Wanted: residual variation within the levels. Drop a random term, or check for duplicated rows."
        )
    return None
