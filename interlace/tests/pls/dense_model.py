"""Criterion and derivatives BY DEFINITION, in the basis coordinates of a fitted criterion."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.pls import ProfiledCriterion
from interlace.pls.matrices.basis import term_basis
from interlace.tests.strategies import SmallDesign


class DenseModel:
    """``V0 = W^-1 + sum of Z_f (I x D_f) Z_f'`` and what follows, from rows; D_f is any symmetric matrix.

    Factors are those of the criterion: in decreasing number of columns. The tests' designs list
    them in that order.
    """

    def __init__(self, design: SmallDesign, criterion: ProfiledCriterion) -> None:
        self.relcov, self.reml = criterion.relcov, design.reml
        n = len(design.y)
        self.X = design.X
        self.nu = n - design.X.shape[1] * design.reml
        self.y = design.y if design.offset is None else design.y - design.offset
        self.W_inverse = np.diag(np.ones(n) if design.weights is None else 1.0 / design.weights)
        self.scale = criterion.basis.scale
        columns: list[list[FloatArray]] = [[] for _ in design.factors]
        for term in design.terms:
            columns[term.factor].append(term.Xi @ np.linalg.inv(term_basis(term, design.weights)))
        self.Z = [
            np.einsum("nl,nk->nlk", np.eye(factor.n_levels)[factor.codes], np.hstack(own))
            for factor, own in zip(design.factors, columns, strict=True)
        ]

    def change(self, f: int, dD: FloatArray) -> FloatArray:
        """Change of V0 when D_f changes by dD."""
        return np.einsum("nlj,jk,mlk->nm", self.Z[f], dD, self.Z[f], optimize=True)

    def at(self, D: Sequence[FloatArray]) -> SimpleNamespace:
        V = self.W_inverse + sum(self.change(f, block) for f, block in enumerate(D))
        V_inverse = np.linalg.inv(V)
        XtVX = self.X.T @ V_inverse @ self.X
        P = V_inverse - V_inverse @ self.X @ np.linalg.solve(XtVX, self.X.T @ V_inverse)
        Py = P @ self.y
        pwrss = float(self.y @ Py)
        logdets = np.linalg.slogdet(V)[1] + self.reml * np.linalg.slogdet(XtVX)[1]
        return SimpleNamespace(
            objective=logdets + self.nu * (1.0 + np.log(2.0 * np.pi * pwrss / self.nu)),
            P=P,
            P0=P if self.reml else V_inverse,
            Py=Py,
            pwrss=pwrss,
            sigma2=pwrss / self.nu,
        )

    def score(self, D: Sequence[FloatArray], f: int) -> FloatArray:
        """Derivative of the criterion with respect to D_f, (K, K)."""
        at, Z = self.at(D), self.Z[f]
        own = np.einsum("nlj,nm,mlk->jk", Z, at.P0, Z, optimize=True)
        modes = np.einsum("nlk,n->lk", Z, at.Py)
        return own - modes.T @ modes / at.sigma2

    def directions(self, phi: FloatArray, gauge: Sequence[FloatArray]) -> list[tuple[int, FloatArray]]:
        """For each parameter: its factor, and dD_f / dphi_j."""
        found = []
        Psi = self.relcov.Lambda(phi)
        for f, row, col in zip(self.relcov.factor, self.relcov.row, self.relcov.col, strict=True):
            half = np.zeros_like(Psi[f])
            half[row] = Psi[f][:, col]
            found.append((f, gauge[f] @ (half + half.T) @ gauge[f].T))
        return found

    def second_order(self, phi: FloatArray, gauge: Sequence[FloatArray]) -> SimpleNamespace:
        """The ingredients of every Hessian: average information, expected information, curvature."""
        Lambda = [U @ block for U, block in zip(gauge, self.relcov.Lambda(phi), strict=True)]
        D = [block @ block.T for block in Lambda]
        at = self.at(D)
        dV = [self.change(f, dD) for f, dD in self.directions(phi, gauge)]
        m = len(dV)
        c = np.array([at.Py @ dV_j @ at.Py for dV_j in dV]) / at.sigma2
        average, trace, curvature = np.empty((m, m)), np.empty((m, m)), np.zeros((m, m))
        S = [U.T @ self.score(D, f) @ U for f, U in enumerate(gauge)]
        factor, row, col = self.relcov.factor, self.relcov.row, self.relcov.col
        for j in range(m):
            for k in range(m):
                average[j, k] = at.Py @ dV[j] @ at.P @ dV[k] @ at.Py / at.sigma2
                trace[j, k] = np.trace(at.P0 @ dV[j] @ at.P0 @ dV[k])
                if factor[j] == factor[k] and col[j] == col[k]:
                    curvature[j, k] = 2.0 * S[factor[j]][row[j], row[k]]
        profiled = np.outer(c, c) / self.nu
        return SimpleNamespace(
            average=average - profiled,
            expected=trace - profiled,
            curvature=curvature,
            pwrss_gradient=-at.sigma2 * c,
        )


def rotations(rng: np.random.Generator, K: Sequence[int]) -> list[FloatArray]:
    """Random orthogonal matrices: a gauge."""
    return [linalg.qr(rng.normal(size=(k, k)))[0] for k in K]
