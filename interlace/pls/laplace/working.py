"""The linear model that a generalised fit is near its modes: leverages, and deletion by one step.

With the weights w of the modes taken as known, ``V = W^-1 + Z D Z'`` and ``C = (X' V^-1 X)^-1``, a Newton
step of the joint penalised likelihood in fixed and random effects is a fit of that linear model (Pregibon
1981, Annals of Statistics 9; Xiang, Tse & Lee 2002, Computational Statistics & Data Analysis 40).  Variances,
and what the family estimates, are held; thresholds of ordered categories move together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.matrices.triangular import upper_solve
from interlace.pls.rows.weighted import quadratics

from .cells import Cells, cells_of
from .fit import LaplaceFit
from .pirls import Weighted
from .prediction import NewRows, _in_bases, linear_predictor

# Leverage from which a row alone holds a fixed effect, and share of the information that counts as none.
ALONE, NOTHING_LEFT = 1.0 - 1e-8, 1e-8


@dataclass(frozen=True, eq=False)
class Working:
    """Rows of a fit with their weights; the factorization of its own moves.

    Attributes
    ----------
    weighted : Weighted
        Rows in the bases of the fit, not aggregated; factorised at the weights.
    Lambda : sequence of ndarray of shape (K, K)
        Of the fit, per factor.
    R : ndarray of shape (p, p)
        Fixed effects of the bases are ``R beta``.
    s, w : ndarray of shape (n,)
        First and minus second derivative of each row's log-likelihood.
    """

    weighted: Weighted
    Lambda: Sequence[FloatArray]
    R: FloatArray
    s: FloatArray
    w: FloatArray

    @property
    def cells(self) -> Cells:
        """The rows."""
        return self.weighted.cells

    @cached_property
    def residual_columns(self) -> FloatArray:
        """``X - Z T Z'WX``, (n, p): ``W`` times it is ``V^-1 X``."""
        return self._residual_columns(self.w)

    def _residual_columns(self, w: FloatArray) -> FloatArray:
        T = self.weighted.factorization.conditional(self.cells.ZtWX(w))
        return np.asarray(self.cells.X - self.cells.Z @ T)

    @cached_property
    def C(self) -> FloatArray:
        """Covariance of the fixed effects on the bases, (p, p)."""
        return np.asarray(np.linalg.inv(self._information(self.w, self.residual_columns)), dtype=float)

    def _information(self, w: FloatArray, E: FloatArray) -> FloatArray:
        found = self.cells.X.T @ (E * w[:, None])
        return np.asarray((found + found.T) / 2.0)

    def beta(self, gamma: FloatArray) -> FloatArray:
        """Fixed effects on the columns of X, from rows of those of the bases."""
        p = len(self.R)
        return np.asarray(upper_solve(self.R, gamma[..., -p:].T).T)


def working(fit: LaplaceFit, rows: NewRows, y: FloatArray, m: FloatArray) -> Working:
    """Set up the linear model.

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    rows : NewRows
        The rows of the fit.
    y, m : ndarray of shape (n,)
        Response and trials, exposure or count of each, as a family takes them.

    Returns
    -------
    Working
    """
    own = _in_bases(fit, rows)
    _, s, w = fit.family.terms(y, m, linear_predictor(fit, rows), fit.psi)
    location = [np.ones((len(y), 1))] if fit.family.name == "ordinal" else []
    Qy = np.concatenate([*location, own.Qy[:, : fit.p], y[:, None]], axis=1)
    solver: Any = fit.solver if fit.solver in ("cholmod", "blocked") else "auto"
    weighted = Weighted(cells_of(replace(own, Qy=Qy), m, rows.fixed_offset), solver)
    weighted.factorise(w, fit.at.Lambda)
    return Working(weighted, fit.at.Lambda, fit.problem.R, s, w)


def leverages(model: Working) -> dict[str, FloatArray]:
    """Diagonals of the hat matrix and of its parts, (n,) each.

    Parameters
    ----------
    model : Working
        At the fit's weights.

    Returns
    -------
    dict of str to ndarray
        overall, fixef (``X C X'V^-1``), ranef (their difference), and ranef.uc, the variance of the random
        part relative to ``1 / w``.
    """
    E, X, w, C, rows = model.residual_columns, model.cells.X, model.w, model.C, model.cells.rows
    spread = quadratics(model.weighted.factorization, rows)
    overall = w * (spread + np.einsum("np,pq,nq->n", E, C, E))
    fixef = w * np.einsum("np,pq,nq->n", X, C, E)
    free = np.zeros(len(w))
    for columns, Lambda in zip(rows.columns, model.Lambda, strict=True):
        free += ((columns @ Lambda) ** 2).sum(axis=1)
    return {"overall": overall, "fixef": fixef, "ranef": overall - fixef, "ranef.uc": w * free}


@dataclass(frozen=True, eq=False)
class Removed:
    """What one step makes of the fixed effects without each case; NaN where they are not identified.

    Attributes
    ----------
    change : ndarray of shape (cases, p)
        Full minus deleted estimates.
    growth : ndarray of shape (cases, p, p)
        Growth of their covariance.
    """

    change: FloatArray
    growth: FloatArray


def without_rows(model: Working) -> Removed:
    """Delete every single row, in closed form.

    Parameters
    ----------
    model : Working
        At the fit's weights.

    Returns
    -------
    Removed
    """
    h = leverages(model)["overall"]
    lost = h >= ALONE
    left = np.where(lost, np.nan, 1.0 - h)
    B = model.residual_columns @ model.C
    slope = model.cells.X.T @ model.s
    change = B * ((model.s - model.w * (B @ slope)) / left)[:, None]
    root = model.beta(B * np.sqrt(np.maximum(model.w, 0.0) / left)[:, None])
    return Removed(model.beta(change), np.einsum("ni,nj->nij", root, root))


def without_cases(model: Working, cases: Sequence[IntArray]) -> Removed:
    """Delete groups of rows, each by a factorization without it.

    Parameters
    ----------
    model : Working
        Its factorization is brought back to the fit's weights at the end.
    cases : sequence of ndarray of int
        Rows of each case.

    Returns
    -------
    Removed
    """
    whole = model.C @ (model.cells.X.T @ model.s)
    before = _raw(model, model.C)
    p = len(model.R)
    change, growth = np.full((len(cases), p), np.nan), np.full((len(cases), p, p), np.nan)
    for i, own in enumerate(cases):
        found = _step_without(model, own)
        if found is not None:
            change[i] = model.beta(whole - found[0])
            growth[i] = _raw(model, found[1]) - before
    model.weighted.factorise(model.w, model.Lambda)
    return Removed(change, growth)


def _raw(model: Working, C: FloatArray) -> FloatArray:
    """A covariance on the columns of X."""
    return model.beta(model.beta(C).T)


def _step_without(model: Working, own: IntArray) -> tuple[FloatArray, FloatArray] | None:
    """Newton's step, and the covariance, without some rows; None where something is not identified."""
    w, s = model.w.copy(), model.s.copy()
    w[own], s[own] = 0.0, 0.0
    if not model.weighted.factorise(w, model.Lambda):
        return None
    E = model._residual_columns(w)
    information = model._information(w, E)
    if np.linalg.eigvals(model.C @ information).real.min(initial=1.0) < NOTHING_LEFT:
        return None
    # At the modes Z's = v: what is left of the gradient by b is minus that of the rows removed.
    gone = np.zeros(len(s))
    gone[own] = model.s[own]
    pull = model.cells.ZtWX(w).T @ model.weighted.factorization.conditional(-model.cells.sums(gone)[:, None])
    C = np.asarray(np.linalg.inv(information), dtype=float)
    return C @ (model.cells.X.T @ s - pull[:, 0]), C
