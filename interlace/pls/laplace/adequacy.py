"""How good Laplace's approximation is for each random term: quadrature over one, the others at their modes.

Given the random effects of the other terms the levels of one are independent, and along the principal axis of
its covariance the integral has one dimension: it is done at many nodes and at one.  By how much their
gradients differ says how far the estimates would move.  For a single scalar term nothing is given, and the
answer is that of quadrature; for crossed terms it is an indicator: their uncertainties are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.basis import term_basis
from interlace.pls.matrices.relcov import axes, relative_covariance
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.triangular import eigen
from interlace.pls.rows.weighted import Rows

from .cells import cells_of
from .criterion import Evaluation, LaplaceCriterion
from .quadrature import QuadratureCriterion
from .slopes import Slopes

# Share of the largest curvature below which a direction has no distance.
NO_CURVATURE = 1e-9


@dataclass(frozen=True)
class Adequacy:
    """Of one term.

    Attributes
    ----------
    difference : float
        Deviance by quadrature minus that by Laplace's approximation.
    promise : float
        Squared distance, in standard errors of the fit, to where quadrature would put the estimates.
    """

    difference: float
    promise: float


def adequacy(criterion: LaplaceCriterion, at: Evaluation, now: Slopes, nodes: int) -> list[Adequacy]:
    """The indicator of every term, in the order of the given terms.

    Parameters
    ----------
    criterion : LaplaceCriterion
        What was minimised.
    at, now : Evaluation, Slopes
        Its optimum without a gauge, and the derivatives there.
    nodes : int
        Nodes of the quadrature.

    Returns
    -------
    list of Adequacy
        Zeros for a term without variance.
    """
    blocks = criterion.relcov.of_terms(at.Lambda)
    return [_of_term(criterion, at, now, i, block, nodes) for i, block in enumerate(blocks)]


def _of_term(
    criterion: LaplaceCriterion, at: Evaluation, now: Slopes, i: int, block: FloatArray, nodes: int
) -> Adequacy:
    U, sd = axes(block)
    if sd[0] <= 0.0:
        return Adequacy(0.0, 0.0)
    alone, scale = _alone(criterion, at, i, U[:, 0])
    x = np.concatenate([[sd[0] / scale], at.gamma, at.psi])
    one, many = alone.evaluate(x), QuadratureCriterion(alone, nodes)
    gradient = -alone.gradient(one)
    several = many.evaluate(x, None, one.guess)
    gradient += many.gradient(several)
    g = np.zeros(len(now.gradient))
    g[criterion.m :] = gradient[1:]
    own = criterion.relcov.term_slices[i]
    towards = np.outer(U[:, 0], U[:, 0] @ block) / sd[0]  # d Lambda / d sd along the axis
    row, col = criterion.relcov.row[own], criterion.relcov.col[own]
    start = criterion.relcov.term_start[i]
    g[own] = gradient[0] / scale * towards[row - start, col - start]
    return Adequacy(several.objective - one.objective, _distance(now.hessian, g))


def _distance(hessian: FloatArray, g: FloatArray) -> float:
    values, vectors = eigen(hessian)
    along, curved = vectors.T @ g, values > NO_CURVATURE * float(values[-1])
    # The deviance is twice minus the log-likelihood: g'H^-1 g / 2 is gained, and distances are (H / 2)^-1.
    return 0.5 * float((along[curved] ** 2 / values[curved]).sum())


def _alone(
    criterion: LaplaceCriterion, at: Evaluation, i: int, axis: FloatArray
) -> tuple[LaplaceCriterion, float]:
    """The model with this term alone, along one axis, all else in the offset; and the scale of its basis."""
    cells, relcov = criterion.cells, criterion.relcov
    f, start, k = relcov.term_factor[i], relcov.term_start[i], relcov.term_k[i]
    codes, n_levels = cells.rows.codes[f], relcov.layout.n_levels[f]
    column = cells.rows.columns[f][:, start : start + k] @ axis
    b = at.modes.b[relcov.layout.slices[f]].reshape(n_levels, -1)[:, start : start + k] @ axis
    factor, term = GroupingFactor(codes, n_levels), RandomTerm(0, column[:, None])
    basis = term_basis(term, None)
    template = relative_covariance([factor], [term], [basis])
    scale = float(template.term_inverses[0][0, 0])
    rows = Rows(template.layout, (codes,), (column[:, None] * scale,), cells.rows.Qy, None)
    offset = at.modes.eta - cells.X @ at.gamma - column * b[codes]
    found = cells_of(rows, cells.m, offset)
    return LaplaceCriterion(found, template, criterion.family, criterion.constant), scale
