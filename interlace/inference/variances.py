"""Standard errors and tests of the estimates: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.pls.matrices.structures import unstructured

# A direction is called flat when its curvature is below this fraction of the largest, after scaling the
# Hessian to a unit diagonal: lmerTest drops eigenvalues below 1e-8 in the same place.
FLAT = 1e-8
# A covariance parameter counts as moving along a flat or forbidden direction above this share.
SHARE = 1e-6


def lower_triangle(k: int) -> tuple[IntArray, IntArray]:
    """Rows and columns of a k x k lower triangle, row by row (MixedLM's order of parameters)."""
    structure = unstructured(k)
    order = structure.row_by_row
    return structure.rows[order], structure.columns[order]


def natural_parameters(covariances: Sequence[FloatArray]) -> FloatArray:
    """Lower triangles of the terms' covariance matrices, row by row, one term after the other.

    Parameters
    ----------
    covariances : sequence of ndarray, shape (k, k)
        Covariance matrix of the random effects of each term, on the scale of the response.

    Returns
    -------
    ndarray of shape (n_theta,)
        Variances and covariances in the order of the summary's rows.

    Examples
    --------
    >>> natural_parameters([np.array([[4.0, 1.0], [1.0, 9.0]])])
    array([4., 1., 9.])
    """
    pieces = [Sigma[lower_triangle(len(Sigma))] for Sigma in covariances]
    return np.concatenate(pieces) if pieces else np.empty(0)


def relative_factors(natural: FloatArray, sizes: Sequence[int], sigma2: float) -> list[FloatArray] | None:
    """Lower triangular factors whose products, times ``sigma2``, have these variances and covariances.

    Parameters
    ----------
    natural : ndarray of shape (n_theta,)
        Variances and covariances in the order of :func:`natural_parameters`.
    sizes : sequence of int
        Number of columns of each term.
    sigma2 : float
        Residual variance.

    Returns
    -------
    list of ndarray, shape (k, k), or None
        None when a covariance matrix is not positive semidefinite: the parameters lie outside the model.
    """
    factors, start = [], 0
    for k in sizes:
        stop = start + unstructured(k).m
        factor = _semidefinite_factor(_symmetric(natural[start:stop], k) / sigma2)
        if factor is None:
            return None
        factors.append(factor)
        start = stop
    return factors


def _symmetric(entries: FloatArray, k: int) -> FloatArray:
    rows, columns = lower_triangle(k)
    matrix = np.empty((k, k))
    matrix[rows, columns] = entries
    matrix[columns, rows] = entries
    return matrix


def _semidefinite_factor(Sigma: FloatArray) -> FloatArray | None:
    """Cholesky factor that allows pivots of zero, or None if a pivot is negative."""
    k = len(Sigma)
    factor = np.zeros((k, k))
    # Pivots are judged against the variance they come from: rounding leaves a few units in the last place.
    tolerance = 1e-12 * np.diag(Sigma)
    for j in range(k):
        column = Sigma[j:, j] - factor[j:, :j] @ factor[j, :j]
        if column[0] > tolerance[j]:
            factor[j:, j] = column / np.sqrt(column[0])
        elif column[0] < -tolerance[j] or np.any(np.abs(column) > np.sqrt(tolerance[j] * np.diag(Sigma)[j:])):
            return None
    return factor


def column_major(factors: Sequence[FloatArray]) -> FloatArray:
    """Theta in lme4's order: lower triangles of the relative factors, column by column."""
    pieces = [unstructured(len(factor)).theta(factor) for factor in factors]
    return np.concatenate(pieces) if pieces else np.empty(0)


def natural_jacobian(factors: Sequence[FloatArray], sigma2: float) -> FloatArray:
    """Differentiate the variances and covariances by (theta, sigma).

    Parameters
    ----------
    factors : sequence of ndarray, shape (k, k)
        Relative covariance factors of the terms, lower triangular.
    sigma2 : float
        Residual variance.

    Returns
    -------
    ndarray of shape (n_theta, n_theta + 1)
        Rows in the order of :func:`natural_parameters`; columns are theta in lme4's order, then sigma.

    Notes
    -----
    With Sigma = sigma^2 Lambda Lambda', the derivative by entry (r, c) of Lambda is
    sigma^2 (e_r Lambda_c' + Lambda_c e_r'), Lambda_c being column c; by sigma it is 2 sigma Lambda Lambda'.
    """
    n_theta = sum(unstructured(len(factor)).m for factor in factors)
    jacobian = np.zeros((n_theta, n_theta + 1))
    start = 0
    for factor in factors:
        block = _term_jacobian(factor, sigma2)
        stop = start + len(block)
        jacobian[start:stop, start:stop] = block
        jacobian[start:stop, -1] = 2.0 * np.sqrt(sigma2) * (factor @ factor.T)[lower_triangle(len(factor))]
        start = stop
    return jacobian


def _term_jacobian(factor: FloatArray, sigma2: float) -> FloatArray:
    structure = unstructured(len(factor))
    moved = structure.jacobian(structure.theta(factor)) @ factor.T
    by_theta = structure.entries(moved + moved.transpose(0, 2, 1))  # one row for each parameter
    return sigma2 * by_theta[:, structure.row_by_row].T


def boundary_thetas(factors: Sequence[FloatArray], ranks_lost: Sequence[int]) -> BoolArray:
    """Entries of theta that the boundary of the parameter space holds at zero.

    Parameters
    ----------
    factors : sequence of ndarray, shape (k, k)
        Relative covariance factors of the terms.
    ranks_lost : sequence of int
        Number of directions of zero variance in each term.

    Returns
    -------
    ndarray of bool, shape (n_theta,)
        True for the columns of the factors whose pivot vanished, in lme4's order.
    """
    pieces = [
        _held_columns(f, lost)[unstructured(len(f)).columns]
        for f, lost in zip(factors, ranks_lost, strict=True)
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=bool)


def _held_columns(factor: FloatArray, lost: int) -> BoolArray:
    # The pivot is the part of a column's standard deviation that the columns before it do not explain;
    # as a share it does not depend on the units of the covariate.
    length = np.linalg.norm(factor, axis=1)
    share = np.divide(np.abs(np.diag(factor)), length, out=np.zeros(len(factor)), where=length > 0)
    held = np.zeros(len(factor), dtype=bool)
    held[np.argsort(share, kind="stable")[:lost]] = True
    return held


def boundary_entries(covariances: Sequence[FloatArray], directions: Sequence[FloatArray]) -> BoolArray:
    """Variances and covariances that involve a direction of zero variance: they have no standard error.

    Parameters
    ----------
    covariances : sequence of ndarray, shape (k, k)
        Covariance matrix of each term.
    directions : sequence of ndarray, shape (k, r)
        Directions with zero variance, as combinations of the term's columns.

    Returns
    -------
    ndarray of bool, shape (n_theta,)
        In the order of :func:`natural_parameters`.
    """
    pieces = []
    for Sigma, null in zip(covariances, directions, strict=True):
        touched = np.asarray(columns_in_null(Sigma, null).any(axis=1))
        rows, columns = lower_triangle(len(Sigma))
        pieces.append(touched[rows] | touched[columns])
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=bool)


def columns_in_null(Sigma: FloatArray, null: FloatArray) -> BoolArray:
    """Which columns each direction of zero variance loads on, judged without units; shape (k, r)."""
    sd = np.sqrt(np.maximum(np.diag(Sigma), 0.0))
    loading = np.abs(null) * sd[:, None]
    largest = loading.max(axis=0, initial=0.0)
    without_variance = np.asarray(sd == 0.0)[:, None] & (null != 0.0)
    return np.asarray(without_variance | (loading > SHARE * np.where(largest > 0, largest, np.inf)))


def covariance_of_variances(
    hessian: FloatArray, jacobian: FloatArray, held: BoolArray, undefined: BoolArray
) -> FloatArray:
    """Carry the curvature over to the variance parameters by the delta method.

    Parameters
    ----------
    hessian : ndarray of shape (m + 1, m + 1)
        Hessian of the deviance (or of the REML criterion) in (theta, sigma) at the optimum.
    jacobian : ndarray of shape (m, m + 1)
        Derivative of the parameters by (theta, sigma), see :func:`natural_jacobian`.
    held : ndarray of bool, shape (m + 1,)
        Entries of (theta, sigma) held by the boundary.
    undefined : ndarray of bool, shape (m,)
        Parameters that get NaN whatever the curvature says.

    Returns
    -------
    ndarray of shape (m, m)
        ``J (H / 2)^-1 J'`` over the free entries; NaN in the rows and columns of undefined parameters and
        of those that change along a direction in which the criterion is flat.

    Notes
    -----
    The deviance is minus twice the log likelihood: the information is half its Hessian. The inverse is over
    the free directions only, as in lmerTest (Kuznetsova et al., 2017, JSS 82(13), section 2).
    """
    half, values, curved, _ = _spectrum(hessian, jacobian, held)
    covariance = 2.0 * (half[:, curved] / values[curved]) @ half[:, curved].T
    return _blanked(covariance, undefined | _moves(half, ~curved))


def sandwich_of_variances(
    hessian: FloatArray, jacobian: FloatArray, held: BoolArray, undefined: BoolArray, scores: FloatArray
) -> FloatArray:
    """The same between which the scores of independent clusters stand.

    Parameters
    ----------
    hessian, jacobian, held, undefined
        As of `covariance_of_variances`.
    scores : ndarray of shape (clusters, m + 1)
        Gradients of the log likelihood of each.

    Returns
    -------
    ndarray of shape (m, m)
        ``J (H / 2)^-1 G'G (H / 2)^-1 J'`` over the free entries.
    """
    half, values, curved, vectors = _spectrum(hessian, jacobian, held)
    moved = (scores[:, ~held] @ vectors)[:, curved] @ (2.0 * half[:, curved] / values[curved]).T
    return _blanked(moved.T @ moved, undefined | _moves(half, ~curved))


def _spectrum(
    hessian: FloatArray, jacobian: FloatArray, held: BoolArray
) -> tuple[FloatArray, FloatArray, BoolArray, FloatArray]:
    """Derivatives along the eigenvectors of the scaled Hessian, eigenvalues, which curve, the vectors."""
    free = ~held
    H, J = hessian[np.ix_(free, free)], jacobian[:, free]
    root = np.sqrt(np.abs(np.diag(H)))
    scale = np.where(root > 0, root, 1.0)
    values, vectors = np.linalg.eigh(H / np.outer(scale, scale))
    curved = values > FLAT * max(values.max(initial=0.0), FLAT)
    return (J / scale) @ vectors, values, np.asarray(curved), vectors / scale[:, None]


def _blanked(covariance: FloatArray, lost: BoolArray) -> FloatArray:
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    return np.asarray(covariance)


def _moves(half: FloatArray, flat: BoolArray) -> BoolArray:
    along_flat = np.linalg.norm(half[:, flat], axis=1)
    return np.asarray(along_flat > SHARE * np.linalg.norm(half, axis=1))


def quadratic_form(left: FloatArray, covariance: FloatArray, right: FloatArray) -> FloatArray:
    """``left @ covariance @ right.T`` where a zero weight cancels an undefined (NaN) covariance.

    Parameters
    ----------
    left, right : ndarray of shape (..., k)
        Contrasts.
    covariance : ndarray of shape (k, k)
        Covariance of the estimates; NaN where undefined.

    Returns
    -------
    ndarray
        NaN only where a contrast gives weight to a parameter without a standard error.

    Examples
    --------
    >>> quadratic_form(np.array([1.0, 0.0]), np.diag([4.0, np.nan]), np.array([1.0, 0.0]))
    array(4.)
    """
    rows, columns = np.atleast_2d(left), np.atleast_2d(right)
    missing = np.isnan(np.diag(covariance))
    filled = np.where(np.isnan(covariance), 0.0, covariance)
    form = rows @ filled @ columns.T
    blind = np.any(rows[:, missing] != 0, axis=1)[:, None] | np.any(columns[:, missing] != 0, axis=1)[None, :]
    shape = left.shape[:-1] + right.shape[:-1]
    return np.where(blind, np.nan, form).reshape(shape)


def correlations(Sigma: FloatArray) -> FloatArray:
    """Correlation matrix of a covariance matrix; NaN beside a variance of zero.

    Parameters
    ----------
    Sigma : ndarray of shape (k, k)
        Covariance matrix.

    Returns
    -------
    ndarray of shape (k, k)
        Correlations, within [-1, 1] whatever the rounding.
    """
    sd = np.sqrt(np.maximum(np.diag(Sigma), 0.0))
    scale = np.outer(sd, sd)
    ratio = np.divide(Sigma, scale, out=np.full(Sigma.shape, np.nan), where=scale > 0)
    return np.clip(ratio, -1.0, 1.0)
