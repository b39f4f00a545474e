"""Triangular solves and eigenvalues straight through LAPACK: checks cost more than small systems do."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from interlace.arrays import FloatArray


def upper_solve(R: FloatArray, B: FloatArray) -> FloatArray:
    """R^-1 B for upper triangular R of shape (p, p); B of shape (p,) or (p, r)."""
    if R.size == 0:
        return B
    solution, _ = lapack.dtrtrs(R, B)
    return np.asarray(solution)


def upper_solve_right(B: FloatArray, R: FloatArray) -> FloatArray:
    """B R^-1 for upper triangular R of shape (p, p) and B of shape (n, p)."""
    if R.size == 0:
        return B
    solution, _ = lapack.dtrtrs(R, B.T, trans=1)
    return np.asarray(solution.T)


def lower_solve_right(B: FloatArray, R: FloatArray) -> FloatArray:
    """B R^-1 for lower triangular R of shape (k, k) and B of shape (n, k)."""
    solution, _ = lapack.dtrtrs(R, B.T, lower=1, trans=1)
    return np.asarray(solution.T)


def inverse_from_upper(R: FloatArray) -> FloatArray:
    """(R' R)^-1 for upper triangular R."""
    if R.size == 0:
        return R
    upper, _ = lapack.dpotri(R)
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T)


def symmetric_from_lower(lower: FloatArray) -> FloatArray:
    """The symmetric matrix whose lower triangle is given; the upper one must hold zeros."""
    full = lower + lower.T
    full.flat[:: len(full) + 1] *= 0.5
    return np.asarray(full)


def eigen(symmetric: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues, increasing, and eigenvectors of a symmetric matrix."""
    values, vectors, info = lapack.dsyev(symmetric)
    if info:
        raise np.linalg.LinAlgError("the eigenvalues of a symmetric matrix did not converge.")
    return np.asarray(values), np.asarray(vectors)
