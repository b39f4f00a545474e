"""Exact deletion: the cross-products of some rows are subtracted, and the criterion minimised again.

The bases of X and of the terms and the scale of y stay those of all rows, so the covariance
parameters mean the same and the search starts at the old optimum, a few Newton steps from the new
one.  Levels that vanish with the rows add log 1 = 0 to the criterion: a few keep columns of zeros, many
leave the dense factor.
Only where X loses rank does the fit start from the rows again, without the dependent columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from interlace.arrays import FloatArray, IntArray, SparseArray
from interlace.errors import InterlaceError
from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.factor.factorization import Factorization
from interlace.pls.fit import PLSFit, fit, fit_criterion
from interlace.pls.matrices.basis import independent_columns
from interlace.pls.matrices.crossproducts import CrossProducts
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.search.criterion import ProfiledCriterion

from .weighted import Rows

# Share of a direction of X that must be left for its cross-products to have digits enough.
WELL_LEFT = 1e-6
# Share of the columns outside the largest factor up to which it pays to do without those that vanish.
MANY_LEFT = 0.95


@dataclass(frozen=True, eq=False)
class Deleted:
    """The fit without a case, or why there is none.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Fixed effects; NaN where the column of X depends on the others without the case.
    vcov_beta : ndarray of shape (p, p)
        Their covariance.
    Sigma : tuple of ndarray of shape (k, k)
        Covariance of the random effects of each term.
    sigma2, objective : float
        Residual variance; the criterion.
    theta : ndarray of shape (m,)
        Relative covariance parameters.
    certified : bool
        Whether the optimum is certified.
    failure : str
        Why the model cannot be fitted without the case; empty if it can.
    """

    beta: FloatArray
    vcov_beta: FloatArray
    Sigma: tuple[FloatArray, ...]
    sigma2: float
    objective: float
    theta: FloatArray
    certified: bool
    failure: str = ""


@dataclass(frozen=True, eq=False)
class Raw:
    """The arguments of the fit: needed again where the bases no longer serve."""

    factors: Sequence[GroupingFactor]
    terms: Sequence[RandomTerm]
    X: FloatArray
    y: FloatArray
    weights: FloatArray | None
    offset: FloatArray | None

    def fit(self, kept: IntArray, start: FloatArray, *, reml: bool) -> tuple[PLSFit, tuple[int, ...]]:
        """Fit to some rows from scratch, without dependent columns of X; the fit and the columns kept."""
        columns = independent_columns(self.X[kept])
        result = fit(
            [GroupingFactor(f.codes[kept], f.n_levels) for f in self.factors],
            [RandomTerm(t.factor, t.Xi[kept]) for t in self.terms],
            self.X[kept][:, list(columns)],
            self.y[kept],
            weights=None if self.weights is None else self.weights[kept],
            offset=None if self.offset is None else self.offset[kept],
            reml=reml,
            start=start,
        )
        return result, columns


def refit_without(pls_fit: PLSFit, rows: Rows, raw: Raw, own: IntArray) -> Deleted:
    """Estimate everything again without some rows.

    Parameters
    ----------
    pls_fit : PLSFit
        The fit to all rows.
    rows : Rows
        All rows in its bases.
    raw : Raw
        What it was fitted to.
    own : ndarray of int
        The rows to leave out.

    Returns
    -------
    Deleted
        With a ``failure`` instead of an exception where the rest does not identify the model.
    """
    try:
        with suitable_threads(rows.layout.rest):
            return _refit(pls_fit, rows, raw, own)
    except (InterlaceError, np.linalg.LinAlgError) as error:
        return _failed(pls_fit, f"{type(error).__name__}: {error}")


def _refit(pls_fit: PLSFit, rows: Rows, raw: Raw, own: IntArray) -> Deleted:
    p, criterion = pls_fit.p, without(pls_fit.criterion, rows, own)
    if p == 0 or np.linalg.eigvalsh(criterion.cp.C[:p, :p])[0] > WELL_LEFT:
        return _deleted(fit_criterion(criterion, start=pls_fit.optimum), tuple(range(p)), p)
    kept = np.delete(np.arange(rows.n), own)
    result, columns = raw.fit(kept, pls_fit.theta, reml=pls_fit.reml)
    return _deleted(result, columns, p)


def _deleted(result: PLSFit, columns: tuple[int, ...], p: int) -> Deleted:
    beta, vcov = np.full(p, np.nan), np.full((p, p), np.nan)
    beta[list(columns)] = result.beta
    vcov[np.ix_(columns, columns)] = result.vcov_beta
    return Deleted(
        beta=beta,
        vcov_beta=vcov,
        Sigma=result.Sigma,
        sigma2=result.sigma2,
        objective=result.objective,
        theta=result.theta,
        certified=result.certificate.certified,
    )


def _failed(pls_fit: PLSFit, reason: str) -> Deleted:
    return Deleted(
        beta=np.full(pls_fit.p, np.nan),
        vcov_beta=np.full((pls_fit.p,) * 2, np.nan),
        Sigma=tuple(np.full(Sigma.shape, np.nan) for Sigma in pls_fit.Sigma),
        sigma2=np.nan,
        objective=np.nan,
        theta=np.full(len(pls_fit.theta), np.nan),
        certified=False,
        failure=reason,
    )


def without(criterion: ProfiledCriterion, rows: Rows, own: IntArray) -> ProfiledCriterion:
    """The criterion for all rows but some, in the same bases.

    Parameters
    ----------
    criterion : ProfiledCriterion
        For all rows.
    rows : Rows
        All rows.
    own : ndarray of int
        The rows to leave out.

    Returns
    -------
    ProfiledCriterion
        Perhaps without the levels that vanish; the covariance parameters are the same.

    Raises
    ------
    InterlaceError
        If too few rows remain to estimate a residual variance.
    """
    left = criterion.cp.n - len(own)
    if left <= criterion.cp.p:
        raise InterlaceError(
            f"{left} rows remain for {criterion.cp.p} fixed effects and a residual variance; "
            "at least one row more than fixed effects is needed. Delete less."
        )
    cp, relcov = products_without(criterion, rows, own), criterion.relcov
    factorization: Factorization = criterion.factorization
    levels = _levels_left(rows, own) if isinstance(factorization, BlockedFactorization) else None
    if levels is None:
        factorization = factorization.with_products(cp)
    else:
        columns = relcov.layout.columns(levels)
        cp = replace(cp, A=cp.A[columns][:, columns], B=cp.B[columns])
        relcov = replace(relcov, layout=relcov.layout.of_levels(levels))
        factorization = BlockedFactorization(cp, relcov.layout)
    return criterion.variant(cp=cp, relcov=relcov, factorization=factorization)


def products_without(criterion: ProfiledCriterion, rows: Rows, own: IntArray) -> CrossProducts:
    """Cross-products of all rows but some, in the same bases; see `without`.

    Parameters
    ----------
    criterion, rows, own
        As there.

    Returns
    -------
    CrossProducts
    """
    return _left(criterion.cp, rows.take(own))


def _levels_left(rows: Rows, own: IntArray) -> list[IntArray] | None:
    """Levels of each factor that remain without some rows; None where few or none vanish."""
    levels = [
        np.flatnonzero(before > lost) for before, lost in zip(rows.counts, rows.counts_of(own), strict=True)
    ]
    left = sum(len(some) * K for some, K in zip(levels[1:], rows.layout.K[1:], strict=True))
    return levels if left < MANY_LEFT * rows.layout.rest else None


def _left(whole: CrossProducts, part: Rows) -> CrossProducts:
    """Cross-products of the whole less those of some rows, by the cheaper of two ways."""
    if not isinstance(whole.A, np.ndarray):
        return subtracted(whole, part.products())
    at, values = part.nonzeros()
    columns, place = np.unique(at, return_inverse=True)
    Z = np.zeros((part.n, len(columns)))
    Z[np.arange(part.n)[:, None], place.reshape(at.shape)] = values
    A, B = whole.A.copy(), whole.B.copy()
    A[columns[:, None], columns] -= Z.T @ Z
    B[columns] -= Z.T @ part.Qy
    lost = 0.0 if part.log_weights is None else float(part.log_weights.sum())
    return CrossProducts(
        A=A,
        B=B,
        C=whole.C - part.Qy.T @ part.Qy,
        n=whole.n - part.n,
        sum_log_weights=whole.sum_log_weights - lost,
    )


def subtracted(whole: CrossProducts, part: CrossProducts) -> CrossProducts:
    """Cross-products of the whole less a part, A stored as that of the whole: zeros included.

    Parameters
    ----------
    whole, part : CrossProducts
        Of all rows, and of some of them.

    Returns
    -------
    CrossProducts
    """
    A = sparse.coo_array(part.A)
    row, col = A.coords[0].astype(np.intp), A.coords[1].astype(np.intp)
    if isinstance(whole.A, np.ndarray):
        left = whole.A.copy()
        left[row, col] -= A.data
    else:
        left = whole.A.copy()
        left.data[_positions(whole.A, row, col)] -= A.data
    return replace(whole - replace(part, A=whole.A), A=left)


def _positions(A: SparseArray, row: IntArray, col: IntArray) -> IntArray:
    """Where the data of a CSR array with sorted indices hold some of its entries."""
    rows = np.repeat(np.arange(A.shape[0], dtype=np.intp), np.diff(A.indptr))
    entries = rows * A.shape[1] + A.indices
    return np.asarray(np.searchsorted(entries, row * A.shape[1] + col))
