"""Where the search begins: a small covariance, and one loose joint iteration for everything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.arrays import FloatArray

from .criterion import Guess, LaplaceCriterion
from .pirls import HALVINGS

# Standard deviation of every random effect in its basis, in units of eta; and the other one that a search is
# begun from where the likelihood of a row is not concave, so that there may be two optima.
SMALL, LARGE = 0.5, 2.0
# Rounds at most, and change of eta that ends them: under separation a tight iteration runs off to infinity.
ROUNDS, LOOSE = 8, 0.1
# Share of the largest curvature that stands for none.
FLOOR = 1e-8


def loose_start(criterion: LaplaceCriterion, sd: float = SMALL) -> tuple[FloatArray, Guess]:
    """Starting parameters and the modes there.

    Parameters
    ----------
    criterion : LaplaceCriterion
        The criterion.
    sd : float
        Standard deviation of every random effect in its basis, in units of eta.

    Returns
    -------
    x : ndarray of shape (m + p + k,)
        phi without a gauge, gamma, psi.
    guess : tuple of ndarray of shape (q,)
        Modes b and v.
    """
    cells, family = criterion.cells, criterion.family
    psi = family.start_psi(cells.y, cells.m)
    unit = float(np.exp(psi[0])) if family.link == "identity" else 1.0
    phi = np.where(criterion.relcov.diagonal, sd * unit, 0.0)
    gamma = _regression(criterion)
    joint = Joint(criterion, criterion.relcov.Lambda(phi), gamma, psi)
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is halved
        for _ in range(ROUNDS):
            if joint.step() < LOOSE * unit:
                break
    return np.concatenate([phi, joint.gamma, psi]), (joint.b, joint.v)


def _regression(criterion: LaplaceCriterion) -> FloatArray:
    """Half the coefficients of the rows' own linear predictors: extreme ones are mostly chance."""
    cells = criterion.cells
    target = criterion.family.start_eta(cells.y, cells.m) - cells.offset
    root = np.sqrt(cells.m)
    found = np.linalg.lstsq(cells.X * root[:, None], target * root, rcond=None)[0]
    return np.asarray(0.5 * found)


class Joint:
    """Newton's method in (u, beta) at fixed covariance.

    Parameters
    ----------
    criterion : LaplaceCriterion
        The criterion.
    Lambda : sequence of ndarray of shape (K, K)
        Blocks of Lambda per factor.
    gamma, psi : ndarray
        Fixed effects to begin with, and the parameters of the family.
    guess : tuple of ndarray of shape (q,), optional
        Modes to begin with; zeros by default.
    slack : float
        Rise of the penalised likelihood, relative, that is taken for rounding.
    """

    def __init__(
        self,
        criterion: LaplaceCriterion,
        Lambda: Sequence[FloatArray],
        gamma: FloatArray,
        psi: FloatArray,
        guess: Guess | None = None,
        *,
        slack: float = 0.0,
    ) -> None:
        self.criterion, self.psi, self.Lambda, self.slack = criterion, psi, Lambda, slack
        b, v = (np.zeros(criterion.relcov.layout.q),) * 2 if guess is None else guess
        self._place(gamma, b, v, criterion.cells.fixed(gamma) + criterion.cells.random(b))

    def _place(self, gamma: FloatArray, b: FloatArray, v: FloatArray, eta: FloatArray) -> None:
        cells = self.criterion.cells
        self.gamma, self.b, self.v, self.eta = gamma, b, v, eta
        value, self.s, self.w = self.criterion.family.terms(cells.y, cells.m, eta, self.psi)
        self.penalised = float(b @ v - 2.0 * value.sum())

    def step(self, *, fresh: bool = True) -> float:
        """One step; how far eta moved, at most.

        Parameters
        ----------
        fresh : bool
            Whether to factorise at the present weights; or a chord step with those of an earlier one.
        """
        if fresh:
            self._factorise()
        d_gamma, db, dv, d_eta = self._newton()
        before, gamma, b, v, eta = self.penalised, self.gamma, self.b, self.v, self.eta
        size = 1.0
        for _ in range(HALVINGS):
            self._place(gamma + size * d_gamma, b + size * db, v + size * dv, eta + size * d_eta)
            if self.penalised < before + self.slack * abs(before):
                return size * float(np.abs(d_eta).max(initial=0.0))
            size *= 0.5
        self._place(gamma, b, v, eta)
        return 0.0

    def _factorise(self) -> None:
        cells, weighted, w = self.criterion.cells, self.criterion.weighted, self.w
        if not weighted.factorise(w, self.Lambda):  # not concave here: their positive part still leads down
            w = np.maximum(w, 0.0)
            weighted.factorise(w, self.Lambda)
        self._ZtWX = cells.ZtWX(w)
        self._TX = weighted.factorization.conditional(self._ZtWX) if cells.p else self._ZtWX
        self._G = cells.X.T @ (cells.X * w[:, None]) - self._ZtWX.T @ self._TX

    def _newton(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        cells, weighted = self.criterion.cells, self.criterion.weighted
        lacking = cells.sums(self.s) - self.v
        Tr = weighted.factorization.conditional(lacking[:, None])[:, 0]
        d_gamma = _damped(self._G, cells.X.T @ self.s - self._ZtWX.T @ Tr)
        db = Tr - self._TX @ d_gamma
        Zdb = cells.random(db)
        dv = lacking - self._ZtWX @ d_gamma - weighted.times_A(Zdb)
        return d_gamma, db, dv, Zdb + cells.X @ d_gamma


def _damped(G: FloatArray, right: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((G + G.T) / 2.0)
    floor = FLOOR * float(values.max(initial=1e-300))
    return np.asarray(vectors @ ((vectors.T @ right) / np.maximum(values, floor)))
