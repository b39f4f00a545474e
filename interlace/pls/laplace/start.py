"""Where the search begins: a small covariance, and one loose joint iteration for everything else."""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray

from .criterion import Guess, LaplaceCriterion
from .pirls import HALVINGS

# Standard deviation of every random effect in its basis, in units of eta.
SMALL = 0.5
# Rounds at most, and change of eta that ends them: under separation a tight iteration runs off to infinity.
ROUNDS, LOOSE = 8, 0.1
# Share of the largest curvature that stands for none.
FLOOR = 1e-8


def loose_start(criterion: LaplaceCriterion) -> tuple[FloatArray, Guess]:
    """Starting parameters and the modes there.

    Parameters
    ----------
    criterion : LaplaceCriterion
        The criterion.

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
    phi = np.where(criterion.relcov.diagonal, SMALL * unit, 0.0)
    gamma = _regression(criterion)
    joint = _Joint(criterion, phi, gamma, psi)
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


class _Joint:
    """Newton's method in (u, beta) at fixed covariance."""

    def __init__(
        self, criterion: LaplaceCriterion, phi: FloatArray, gamma: FloatArray, psi: FloatArray
    ) -> None:
        self.criterion, self.psi = criterion, psi
        self.Lambda = criterion.relcov.Lambda(phi)
        zero = np.zeros(criterion.relcov.layout.q)
        self._place(gamma, zero, zero, criterion.cells.fixed(gamma))

    def _place(self, gamma: FloatArray, b: FloatArray, v: FloatArray, eta: FloatArray) -> None:
        cells = self.criterion.cells
        self.gamma, self.b, self.v, self.eta = gamma, b, v, eta
        value, self.s, self.w = self.criterion.family.terms(cells.y, cells.m, eta, self.psi)
        self.penalised = float(b @ v - 2.0 * value.sum())

    def step(self) -> float:
        """One step; how far eta moved, at most."""
        d_gamma, db, dv = self._newton()
        cells = self.criterion.cells
        d_eta = cells.random(db) + cells.X @ d_gamma
        before, gamma, b, v, eta = self.penalised, self.gamma, self.b, self.v, self.eta
        size = 1.0
        for _ in range(HALVINGS):
            self._place(gamma + size * d_gamma, b + size * db, v + size * dv, eta + size * d_eta)
            if self.penalised < before:
                return size * float(np.abs(d_eta).max(initial=0.0))
            size *= 0.5
        self._place(gamma, b, v, eta)
        return 0.0

    def _newton(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        cells, weighted = self.criterion.cells, self.criterion.weighted
        w = np.maximum(self.w, 0.0)
        weighted.factorise(w, self.Lambda)
        lacking, ZtWX = cells.sums(self.s) - self.v, cells.ZtWX(w)
        solved = weighted.factorization.conditional(np.column_stack([ZtWX, lacking]))
        TX, Tr = solved[:, :-1], solved[:, -1]
        G = cells.X.T @ (cells.X * w[:, None]) - ZtWX.T @ TX
        d_gamma = _damped(G, cells.X.T @ self.s - ZtWX.T @ Tr)
        db = Tr - TX @ d_gamma
        return d_gamma, db, lacking - ZtWX @ d_gamma - weighted.times_A(cells.random(db))


def _damped(G: FloatArray, right: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((G + G.T) / 2.0)
    floor = FLOOR * float(values.max(initial=1e-300))
    return np.asarray(vectors @ ((vectors.T @ right) / np.maximum(values, floor)))
