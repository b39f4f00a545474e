"""The criterion from the rows, with the digits that cross-products lose.

Cross-products square the condition of the columns, and r^2 and ``log |X'V0^-1 X|`` are differences of them:
where random effects are a million times the residuals, few digits are left.  An orthogonal factorization of
the rows themselves,

    [ Z Lambda   X   y ]
    [    I       0   0 ]  =  Q R,

has them: ``log |M|``, ``log |X'V0^-1 X|`` and r^2 are in the diagonal of R (JSS eqs. 16-19, not squared).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.pls.matrices.basis import term_basis
from interlace.pls.matrices.columns import factor_columns, largest_first
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm

from .criterion import Decomposition, ProfiledCriterion, rounding_error
from .optimize import Optimum

# Multiplications up to which the factorization is made: a tenth of a second.
AFFORDABLE = 1e8
# Estimated error of the criterion, and relative standard deviation, from which the error is measured.
DOUBTFUL_ERROR, DOUBTFUL_SD = 1e-8, 1e3


def affordable(n: int, q: int) -> bool:
    """Whether the dense factorization takes little time and memory."""
    return float(n + q) * float(q) ** 2 < AFFORDABLE


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a fit, for an evaluation of the criterion that loses no digits.

    Attributes
    ----------
    factors, terms, X, weights
        As they were given to `pls.fit`.
    y : ndarray of shape (n,)
        Response less the offset.
    """

    factors: Sequence[GroupingFactor]
    terms: Sequence[RandomTerm]
    X: FloatArray
    y: FloatArray
    weights: FloatArray | None

    def objective(self, criterion: ProfiledCriterion, at: Decomposition) -> float:
        """The criterion where it was evaluated, from the rows."""
        root = None if self.weights is None else np.sqrt(self.weights)
        factors, terms = largest_first(self.factors, self.terms)
        bases = [term_basis(term, self.weights) for term in terms]
        columns = factor_columns(terms, bases, len(factors), root)
        Qy = criterion.basis.coordinates(self.X, self.y, root)
        return criterion_from_rows(criterion, factors, columns, Qy, at.Lambda)


def criterion_error(
    criterion: ProfiledCriterion, optimum: Optimum[Decomposition], rows: Rows | None
) -> float:
    """Error of the criterion at an optimum: estimated where it is small, else measured from the rows.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.
    optimum : Optimum
        Where it was minimised.
    rows : Rows or None
        Where there are none, or too many, the estimate has to do.

    Returns
    -------
    float
    """
    at = optimum.at
    estimate = max(optimum.error, criterion.noise(at), rounding_error(criterion, at, criterion.nu))
    doubtful = estimate > DOUBTFUL_ERROR or np.abs(optimum.phi).max(initial=0.0) > DOUBTFUL_SD
    if rows is None or not doubtful or not affordable(criterion.cp.n, criterion.relcov.layout.q):
        return estimate
    return max(optimum.error, abs(rows.objective(criterion, at) - at.objective))


def criterion_from_rows(
    criterion: ProfiledCriterion,
    factors: Sequence[GroupingFactor],
    columns: Sequence[FloatArray],
    Qy: FloatArray,
    Lambda: Sequence[FloatArray],
) -> float:
    """The criterion at blocks of Lambda.

    Parameters
    ----------
    criterion : ProfiledCriterion
        Of the same rows.
    factors : sequence of GroupingFactor
        In the order of the layout.
    columns : sequence of ndarray of shape (n, K)
        Each factor's weighted columns in their bases.
    Qy : ndarray of shape (n, p + 1)
        Basis of the weighted X, and the response.
    Lambda : sequence of ndarray of shape (K, K)
        Per factor.

    Returns
    -------
    float
        Infinite where the response is reproduced exactly.
    """
    q = criterion.relcov.layout.q
    top = np.hstack([_Z_Lambda(criterion.relcov, factors, columns, Lambda), Qy])
    stacked = np.vstack([top, np.eye(q, top.shape[1])])
    (R,) = linalg.qr(stacked, mode="r", check_finite=False)
    pivots = np.abs(np.diagonal(R))
    if not pivots.min() > 0.0:
        return np.inf
    return criterion.objective_of(np.diag(pivots[q:]), 2.0 * float(np.log(pivots[:q]).sum()))


def _Z_Lambda(
    relcov: RelativeCovariance,
    factors: Sequence[GroupingFactor],
    columns: Sequence[FloatArray],
    Lambda: Sequence[FloatArray],
) -> FloatArray:
    layout = relcov.layout
    n = len(columns[0])
    Z = np.zeros((n, layout.q))
    rows = np.arange(n)[:, None]
    for factor, own, block, start, K in zip(factors, columns, Lambda, layout.starts, layout.K, strict=False):
        Z[rows, start + factor.codes[:, None] * K + np.arange(K)] = own @ block
    return Z
