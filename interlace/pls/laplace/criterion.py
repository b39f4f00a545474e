"""The Laplace criterion: minus twice the log-likelihood, the modes put in the place of the random effects.

    d(theta, beta, psi) = min over u of { -2 l(y | eta) + u'u } + log |M|,    M = Lambda' Z'WZ Lambda + I,

W the observed weights at the mode (Tierney & Kadane 1986; Pinheiro & Chao 2006).  All constants of l are in.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from threading import get_ident
from typing import Any, Self

import numpy as np

from interlace.arrays import FloatArray
from interlace.family import Family
from interlace.pls.factor.solvers import Solver
from interlace.pls.matrices.relcov import RelativeCovariance

from .cells import Cells
from .pirls import TOLERANCE, Modes, Weighted, find_modes
from .slopes import Slopes, first_order, slopes

Guess = tuple[FloatArray, FloatArray]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What one evaluation of the criterion leaves behind, in basis coordinates.

    Attributes
    ----------
    phi : ndarray of shape (m,)
        Covariance parameters, in the gauge.
    gauge : sequence of ndarray of shape (K, K), or None
        Orthogonal U_f of each factor; None stands for the identity.
    Psi : sequence of ndarray of shape (K, K)
        The triangles that phi fills, per factor.
    Lambda : sequence of ndarray of shape (K, K)
        ``U Psi``, per factor.
    gamma : ndarray of shape (p,)
        Fixed effects on the basis of X.
    psi : ndarray of shape (k,)
        Parameters of the family.
    objective : float
        The criterion; infinite where it cannot be had.
    logdet_L2 : float
        ``log |M|``.
    modes : Modes
        Conditional modes.
    """

    phi: FloatArray
    gauge: Sequence[FloatArray] | None
    Psi: Sequence[FloatArray]
    Lambda: Sequence[FloatArray]
    gamma: FloatArray
    psi: FloatArray
    objective: float
    logdet_L2: float
    modes: Modes

    @property
    def x(self) -> FloatArray:
        """All parameters: phi in the gauge, gamma, psi."""
        return np.concatenate([self.phi, self.gamma, self.psi])

    def in_gauge(self, phi: FloatArray, gauge: Sequence[FloatArray], Psi: Sequence[FloatArray]) -> Evaluation:
        """The same evaluation, told in another gauge."""
        return replace(self, phi=phi, gauge=gauge, Psi=Psi)

    @property
    def guess(self) -> Guess:
        """Modes for a start nearby."""
        return self.modes.b, self.modes.v


class LaplaceCriterion:
    """The criterion; owns the factorization, the one part that moves.

    It belongs to the thread that made it; any other works with the one that `here` gives.

    Parameters
    ----------
    cells : Cells
        The data.
    relcov : RelativeCovariance
        The template of Lambda.
    family : Family
        Family and link.
    constant : float
        What the log-likelihood of the rows has beside that of the cells.
    solver : {"auto", "cholmod", "blocked"}
        Factorization.
    max_memory : int, optional
        Bytes that it may take; by default what the machine has.
    """

    def __init__(
        self,
        cells: Cells,
        relcov: RelativeCovariance,
        family: Family,
        constant: float,
        *,
        solver: Solver = "auto",
        max_memory: int | None = None,
    ) -> None:
        self.cells, self.relcov, self.family, self.constant = cells, relcov, family, constant
        self.weighted = Weighted(cells, solver, max_memory=max_memory)
        self.m, self.p, self.k = relcov.m, cells.p, len(family.psi_names)
        self._thread = get_ident()

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
        other = copy(self)
        other.weighted, other._thread = self.weighted.apart(), get_ident()
        return other

    def split(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Phi, gamma and psi of all parameters."""
        m, p = self.m, self.p
        return x[:m], x[m : m + p], x[m + p :]

    def evaluate(
        self,
        x: FloatArray,
        gauge: Sequence[FloatArray] | None = None,
        guess: Guess | None = None,
        *,
        tolerance: float = TOLERANCE,
    ) -> Evaluation:
        """Evaluate the criterion.

        Parameters
        ----------
        x : ndarray of shape (m + p + k,)
            phi in the gauge, gamma, psi.
        gauge : sequence of ndarray, optional
            Orthogonal U_f of each factor.
        guess : tuple of ndarray, optional
            Modes b and v to begin with.
        tolerance : float
            Of the modes, in units of eta.

        Returns
        -------
        Evaluation
        """
        phi, gamma, psi = self.split(x)
        Psi = self.relcov.Lambda(phi)
        Lambda = Psi if gauge is None else [U @ block for U, block in zip(gauge, Psi, strict=True)]
        zero = np.zeros(self.relcov.layout.q)
        with np.errstate(over="ignore", invalid="ignore"):  # far trials: refused by what is not finite
            modes = find_modes(
                self.weighted,
                self.family,
                psi,
                Lambda,
                self.cells.fixed(gamma),
                (zero, zero) if guess is None else guess,
                tolerance=tolerance,
            )
        logdet = self.weighted.factorization.logdet() if modes.found else np.inf
        objective = modes.penalised + logdet - 2.0 * self.constant if modes.found else np.inf
        return Evaluation(phi, gauge, Psi, Lambda, gamma, psi, float(objective), logdet, modes)

    def slopes(self, at: Evaluation) -> Slopes:
        """Gradient, Hessian and scores where the criterion was evaluated *last*."""
        return slopes(self.weighted, self.relcov, self.family, at)

    def gradient(self, at: Evaluation) -> FloatArray:
        """The exact gradient alone, where the criterion was evaluated *last*."""
        return first_order(self.weighted, self.relcov, self.family, at).gradient
