"""A design and its generalised fit: the record from which every statistic starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.optimize import linprog

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.design import Design
from interlace.fitted import EstimatedModel, Remembering
from interlace.inference import boundary_entries, boundary_thetas, natural_jacobian
from interlace.inference.likelihood_ratio import Maximum
from interlace.inference.variances import covariance_of_variances, natural_parameters
from interlace.pls.laplace import LaplaceFit

# An element of a direction of recession below this is zero: the programme is right to 1e-7.
CLEAR = 1e-6


class EstimatedGLMM(Protocol):
    """What the functions that stand in a results object as its methods may read of it."""

    model: Any
    params: FloatArray
    nobs: int
    k_fe: int

    @property
    def record(self) -> GeneralisedFit:
        """Design and numbers."""

    def __getattr__(self, name: str) -> Any:
        """What the class lists besides: other functions of this kind."""


def shared(results: EstimatedGLMM) -> EstimatedModel:
    """The same results, for functions of linear models that read nothing which only those have."""
    same: Any = results
    model: EstimatedModel = same
    return model


@dataclass(frozen=True, eq=False)
class GeneralisedFit(Remembering):
    """What every statistic starts from.

    Attributes
    ----------
    design : Design
        Labels, and rows while they are there.
    fit : LaplaceFit
        The numbers.
    """

    design: Design
    fit: LaplaceFit

    def present(self) -> LaplaceFit:
        """The fit with its criterion, in other threads with one that is theirs; refused when it is gone."""
        _ = self.design.rows  # its refusal says what to do
        return self.fit if self.fit.problem.criterion.is_here else self.in_thread("fit", self.fit.here)

    def covariance(self) -> FloatArray:
        """Covariance of fixed effects, variances and covariances, psi; NaN where a parameter has none."""
        return self.once("covariance", lambda: covariance(self.present()))

    def conditional_covariances(self) -> tuple[FloatArray, ...]:
        """Of the random effects of each grouping factor, in the design's order, (n_levels, K, K)."""
        return self.once("conditional covariances", self._conditional_covariances)

    def _conditional_covariances(self) -> tuple[FloatArray, ...]:
        fit = self.present()
        found = fit.condvar_factor()
        lost = [] if fit.elsewhere is None else [own.any() for own in fit.elsewhere.open]
        factors = {
            labels.factor for labels, open_ in zip(self.design.term_labels, lost, strict=bool(lost)) if open_
        }
        return tuple(np.full(T.shape, np.nan) if f in factors else T for f, T in enumerate(found))

    def conditional_covariances_of(self, f: int, levels: IntArray) -> FloatArray:
        """Of some levels of factor f, by their positions, (len(levels), K, K)."""
        return self.conditional_covariances()[f][levels]

    def maximum(self) -> Maximum:
        """The likelihood that was maximised, with the parameters and rows behind it."""
        fit = self.fit
        return Maximum(fit.objective, npar_of(fit), self.once("n", lambda: n_of(self.design)))

    def settle(self) -> None:
        """Compute what an emptied record can no longer compute."""
        if self.design.kept_rows is not None:
            self.covariance()
            self.recession_signs()
            self.working_covariance()
            self.conditional_covariances()
            self.maximum()

    def recession_signs(self) -> FloatArray:
        """Sign of each fixed effect wherever the likelihood rises for ever, (p,); 0 where it has none."""
        return self.once("signs", lambda: recession_signs(self.present()))

    def working_covariance(self) -> FloatArray:
        """Covariance of the fixed effects with the variances taken as known."""
        return self.once("working", lambda: self.present().vcov_beta("working"))

    def without_rows(self) -> GeneralisedFit:
        """The record once the rows are forgotten."""
        self.settle()
        gone: Any = None
        slim = replace(
            self.fit, problem=gone, at=gone, optimum=replace(self.fit.optimum, at=gone, slopes=gone)
        )
        return GeneralisedFit(self.design.without_rows(), slim).keeping(self._kept)


def n_of(design: Design) -> int:
    """Rows, counted as often as they occur."""
    return len(design.y) if design.weights is None else int(design.weights.sum())


def npar_of(fit: LaplaceFit) -> int:
    """Parameters of a fit."""
    return len(fit.theta) + fit.p + len(fit.psi)


def covariance(fit: LaplaceFit) -> FloatArray:
    """Covariance of (fixed effects, variances and covariances, psi) from the whole Hessian.

    Parameters
    ----------
    fit : LaplaceFit
        With its criterion.

    Returns
    -------
    ndarray of shape (p + m + k, p + m + k)
        NaN for fixed effects without a finite estimate and for variances on the boundary.

    Notes
    -----
    The delta method from theta to variances; entries of theta that the boundary holds at zero are left out.
    """
    return covariance_of_variances(fit.hessian(), *delta_method(fit))


def delta_method(fit: LaplaceFit) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Derivatives of the parameters by (theta, beta, psi); entries held at zero; parameters without error."""
    m, p, k = len(fit.theta), fit.p, len(fit.psi)
    J = np.zeros((p + m + k, m + p + k))
    J[:p, m : m + p] = np.eye(p)
    J[p : p + m, :m] = natural_jacobian(fit.Lambda, 1.0)[:, :-1]
    J[p + m :, m + p :] = np.eye(k)
    held = np.zeros(m + p + k, dtype=bool)
    held[:m] = boundary_thetas(fit.Lambda, [null.shape[1] for null in fit.singular])
    undefined = np.zeros(p + m + k, dtype=bool)
    undefined[list(infinite_columns(fit))] = True
    undefined[p : p + m] = boundary_entries(fit.Sigma, fit.singular) | np.isnan(natural_parameters(fit.Sigma))
    return J, held, undefined


def infinite_columns(fit: LaplaceFit) -> tuple[int, ...]:
    """Fixed effects that have no finite estimate."""
    return () if fit.separation is None else fit.separation.columns


def recession_signs(fit: LaplaceFit) -> FloatArray:
    """Sign that a fixed effect has in all directions of recession in which it is not zero, (p,).

    Parameters
    ----------
    fit : LaplaceFit
        With its criterion.

    Returns
    -------
    ndarray of shape (p,)
        1 or -1 where the estimate is infinite and its sign known, 0 elsewhere.

    Notes
    -----
    The directions of recession are a cone; a linear programme for each column finds the least and the largest
    element there (Albert & Anderson 1984, Biometrika 71).
    """
    signs = np.zeros(fit.p)
    columns = infinite_columns(fit)
    if not columns:
        return signs
    cells, R = fit.problem.criterion.cells, fit.problem.R
    X = cells.X @ R
    down, up = fit.family.recedes(cells.y, cells.m)
    towards = np.unique(np.concatenate([X[up & ~down], -X[down & ~up]]), axis=0)
    middle = np.unique(X[~(down | up)], axis=0)
    for j in columns:
        low, high = (_extreme(towards, middle, sign * np.eye(fit.p)[j]) * sign for sign in (1.0, -1.0))
        signs[j] = float(high > CLEAR and low > -CLEAR) - float(low < -CLEAR and high < CLEAR)
    return signs


def _extreme(towards: FloatArray, middle: FloatArray, objective: FloatArray) -> float:
    """Least value of a combination over the cone ``towards v >= 0, middle v = 0`` within a box."""
    found = linprog(
        objective,
        A_ub=-towards,
        b_ub=np.zeros(len(towards)),
        A_eq=middle if len(middle) else None,
        b_eq=np.zeros(len(middle)) if len(middle) else None,
        bounds=(-1.0, 1.0),
    )
    return -np.inf if found.fun is None else float(found.fun)
