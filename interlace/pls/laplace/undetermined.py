"""Random effects of generalised models that cannot be told apart, whatever the response.

The likelihood knows the covariance parameters by the covariance of ``Z b`` alone: if that does not change
along a combination of them (two grouping factors that are one), none of them is determined.
"""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.elsewhere import SAME_OPTIMUM, SUSPECT, Elsewhere, open_entries
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.identified import moved_along, undetermined
from interlace.pls.matrices.triangular import eigen
from interlace.pls.raw_columns import modes

from .criterion import Evaluation
from .problem import Problem


def elsewhere(problem: Problem, at: Evaluation, hessian: FloatArray) -> Elsewhere | None:
    """Look for parameters that the criterion does not tell from those of an optimum.

    Parameters
    ----------
    problem : Problem
        The criterion.
    at : Evaluation
        The optimum, Lambda triangular.
    hessian : ndarray of shape (m + p + k, m + p + k)
        There.

    Returns
    -------
    Elsewhere or None
        None if the data determine all parameters.
    """
    criterion, relcov = problem.criterion, problem.criterion.relcov
    own = hessian[: relcov.m, : relcov.m]
    if eigen(own)[0][0] > SUSPECT * max(1.0, float(np.trace(own))):
        return None
    directions = undetermined(_products(problem), relcov, reml=False)
    if directions.shape[1]:
        phi, directions, _ = moved_along(relcov, at.phi, directions)
    if not directions.shape[1]:
        return None
    there = criterion.evaluate(np.concatenate([phi, at.x[relcov.m :]]), None, at.guess)
    criterion.evaluate(at.x, None, at.guess)
    # The modes, and with them the criterion, are solved for to some digits.
    if abs(there.objective - at.objective) > 10.0 * SAME_OPTIMUM * max(1.0, abs(at.objective)):
        return None
    nothing = np.zeros((criterion.p, criterion.p))
    return Elsewhere(
        directions=directions,
        in_covariance=np.zeros(directions.shape[1], dtype=bool),
        open=open_entries(relcov, at.phi, phi, 1.0),
        Lambda=tuple(relcov.term_blocks(relcov.from_basis @ phi)),
        sigma2=1.0,
        beta=problem.beta(at.gamma),
        b=modes(relcov, there.modes.b),
        vcov_here=nothing,
        vcov_there=nothing,
    )


def _products(problem: Problem) -> CrossProducts:
    """``Z'Z`` of the cells; no residual variance is among the parameters, so that rows do not count."""
    cells = problem.criterion.cells
    products = cells.products()
    return CrossProducts(products.A, products.B[:, -1:], products.C[-1:, -1:], 2**62, 0.0)
