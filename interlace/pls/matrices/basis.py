"""Orthonormal bases: the scale of y, of X and of the slopes must not matter.

Every quantity of the criterion is invariant under ``X -> X T`` and, term by term, under
``Xi -> Xi Ti`` with ``Lambda_i`` changed to match.  Working in orthonormal columns makes the
profiled criterion well conditioned whatever units the user chose, and keeps the digits that
``y'y - ...`` would lose when the mean of y is far from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from interlace.arrays import BoolArray, FloatArray

from .terms import RandomTerm
from .triangular import upper_solve, upper_solve_right

# R's qr() and with it lme4 call a column dependent when less than this part of its norm is new.
DEPENDENT = 1e-7
# A new row keeps to a dependence of the columns if it misses it by less than this, in root mean squares.
LEAST_BREACH = 1e-6
# A Gram matrix squares the condition: its Cholesky factor serves while pivots stay above this.
LEAST_GRAM_PIVOT = 1e-4
# Rows of a term that are copied at a time.
ROWS_AT_ONCE = 1 << 18


def independent_columns(X: FloatArray) -> tuple[int, ...]:
    """Positions of the columns of X that are kept, by lme4's rule.

    Going from left to right, a column is dropped when it depends on the kept ones before it:
    of every dependent set the *last* column goes.

    Parameters
    ----------
    X : ndarray of shape (n, p)
        Model matrix.

    Returns
    -------
    tuple of int
        Kept positions, in increasing order.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.arange(4.0)
    >>> independent_columns(np.column_stack([np.ones(4), a, 2 * a + 1, a**2]))
    (0, 1, 3)
    """
    n, p = X.shape
    if p == 0 or _gram_factor(X) is not None:
        return tuple(range(p))
    if n >= p and _all_new(X):
        return tuple(range(p))
    return _kept_one_by_one(X)


def _gram_factor(X: FloatArray) -> FloatArray | None:
    """Upper R with X'X = R'R if X is well conditioned, else None."""
    return factor_of_gram(X.T @ X)


def factor_of_gram(gram: FloatArray) -> FloatArray | None:
    """Upper R with R'R = gram, (p, p), if the columns behind it are well conditioned, else None."""
    norms = np.sqrt(np.diagonal(gram))
    if not norms.min() > 0.0:
        return None
    scaled, info = linalg.lapack.dpotrf(gram / (norms[:, None] * norms), lower=0, clean=1)
    if info or np.diagonal(scaled).min() ** 2 < LEAST_GRAM_PIVOT:
        return None
    return np.asarray(scaled * norms)


def _all_new(X: FloatArray) -> bool:
    (R,) = linalg.qr(X, mode="r", check_finite=False)
    norms = np.linalg.norm(X, axis=0)
    return bool((np.abs(np.diagonal(R)) > DEPENDENT * norms).all())


def _kept_one_by_one(X: FloatArray) -> tuple[int, ...]:
    n, p = X.shape
    Q = np.empty((n, min(n, p)))
    kept: list[int] = []
    for j in range(p):
        r = len(kept)
        if r == n:
            break
        new = X[:, j]
        # Twice is enough (Kahan): one pass of Gram-Schmidt leaves an error as large as the cancellation.
        for _ in range(2):
            new = new - Q[:, :r] @ (Q[:, :r].T @ new)
        if (norm := np.linalg.norm(new)) > DEPENDENT * np.linalg.norm(X[:, j]):
            Q[:, r] = new / norm
            kept.append(j)
    return tuple(kept)


@dataclass(frozen=True, eq=False)
class Dependence:
    """How the columns that were left out of X depend on those that were kept.

    Attributes
    ----------
    kept, dropped : tuple of int
        Their positions.
    size : ndarray of shape (k,)
        Root mean square of every column, 1 for one of zeros.
    weights : ndarray of shape (kept, dropped)
        ``dropped = kept @ weights``, all columns over their sizes.
    slack : float
        How far a row may be from that: the rows of the fit are.
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    size: FloatArray
    weights: FloatArray
    slack: float

    def holds(self, X: FloatArray) -> BoolArray:
        """Whether the columns of new rows depend on one another as they did in the fit.

        Parameters
        ----------
        X : ndarray of shape (n, k)
            All columns of some rows, dropped ones included.

        Returns
        -------
        ndarray of bool, shape (n,)
            Only where it is True is the mean of a row a function of what the data determine. False where
            something is NaN.
        """
        if not self.dropped:
            return np.ones(len(X), dtype=bool)
        scaled = X / self.size
        breach = np.abs(scaled[:, self.dropped] - scaled[:, self.kept] @ self.weights).max(axis=1)
        return np.asarray(breach <= self.slack * (1.0 + np.abs(scaled).max(axis=1)))


def dependence(X: FloatArray, kept: Sequence[int]) -> Dependence:
    """Find how dropped columns depend on the kept ones.

    Parameters
    ----------
    X : ndarray of shape (n, k)
        Model matrix.
    kept : sequence of int
        From `independent_columns`.

    Returns
    -------
    Dependence

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0)
    >>> found = dependence(np.column_stack([np.ones(4), x, 2 * x]), (0, 1))
    >>> found.holds(np.array([[1.0, 9.0, 18.0], [1.0, 9.0, 2.0]]))
    array([ True, False])
    """
    dropped = tuple(j for j in range(X.shape[1]) if j not in set(kept))
    size = np.sqrt(np.einsum("ij,ij->j", X, X) / max(len(X), 1))
    size[size == 0.0] = 1.0
    if not dropped:
        return Dependence(tuple(kept), (), size, np.zeros((len(kept), 0)), LEAST_BREACH)
    scaled = X / size
    weights = np.linalg.lstsq(scaled[:, list(kept)], scaled[:, dropped], rcond=None)[0]
    left = np.abs(scaled[:, dropped] - scaled[:, list(kept)] @ weights).max(initial=0.0)
    return Dependence(tuple(kept), dropped, size, weights, max(LEAST_BREACH, 2.0 * float(left)))


@dataclass(frozen=True, eq=False)
class FixedBasis:
    """The way from X and y to orthonormal coordinates and back; it keeps no rows.

    Attributes
    ----------
    R : ndarray of shape (p, p)
        Upper triangular, ``sqrt(W) X = Q R``.
    shift : ndarray of shape (p,)
        Coefficients of y on Q.
    scale : float
        Root mean square of the least-squares residual.
    """

    R: FloatArray
    shift: FloatArray
    scale: float

    def coordinates(self, X: FloatArray, y: FloatArray, sqrt_weights: FloatArray | None) -> FloatArray:
        """Rows in orthonormal coordinates: what `fixed_basis` gave for the same X and y.

        Returns
        -------
        ndarray of shape (n, p + 1)
            Orthonormal basis of the columns of ``sqrt(W) X``; last, the residual of the weighted
            least-squares fit of y, divided by ``scale``.
        """
        if sqrt_weights is not None:
            X, y = X * sqrt_weights[:, None], y * sqrt_weights
        Q = upper_solve_right(X, self.R)
        residual = y - Q @ self.shift
        residual -= Q @ (Q.T @ residual)
        return np.column_stack([Q, residual / (self.scale or 1.0)])

    def beta(self, gamma: FloatArray) -> FloatArray:
        """Fixed effects on the columns of X from coefficients on Q of the scaled residual."""
        return self._solve(self.shift + self.scale * gamma)

    def change_of_beta(self, change: FloatArray) -> FloatArray:
        """Changes of the fixed effects on the columns of X from those on Q, (p, r)."""
        return self._solve(self.scale * change)

    def vcov(self, G_inverse: FloatArray) -> FloatArray:
        """R^-1 G^-1 R^-T: unscaled covariance of the fixed effects on the columns of X."""
        half = self._solve(G_inverse)
        return np.asarray(self._solve(half.T))

    def _solve(self, rhs: FloatArray) -> FloatArray:
        return upper_solve(self.R, rhs)

    @property
    def logdet_R2(self) -> float:
        """log |R'R|: what REML's log |X'V^-1 X| loses by the change of basis."""
        return float(2.0 * np.log(np.abs(np.diagonal(self.R))).sum())


def fixed_basis(
    X: FloatArray, y: FloatArray, sqrt_weights: FloatArray | None
) -> tuple[FixedBasis, FloatArray]:
    """Orthonormalise the (full rank) model matrix and take out of y what X explains.

    Returns
    -------
    basis : FixedBasis
        The way back.
    Qy : ndarray of shape (n, p + 1)
        The rows in the new coordinates, see `FixedBasis.coordinates`.
    """
    n, p = X.shape
    if sqrt_weights is not None:
        X, y = X * sqrt_weights[:, None], y * sqrt_weights
    Qy = np.empty((n, p + 1), order="F")
    Q, R = _orthonormal(X)
    Qy[:, :p] = Q
    shift = Q.T @ y
    residual = y - Q @ shift
    again = Q.T @ residual  # the second pass restores the digits lost when |mean(y)| >> sd(y)
    residual -= Q @ again
    scale = float(np.sqrt(residual @ residual / n))
    if not scale > 1e-13 * float(np.abs(y).max(initial=0.0)):
        scale = 0.0
    Qy[:, p] = residual / (scale or 1.0)
    return FixedBasis(R=R, shift=shift + again, scale=scale), Qy


def _orthonormal(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    if X.shape[1] == 0:
        return X, np.zeros((0, 0))
    R = _gram_factor(X)
    if R is None:
        Q, upper = linalg.qr(X, mode="economic", check_finite=False)
        return np.asarray(Q), np.asarray(upper)
    return upper_solve_right(X, R), R


def term_basis(term: RandomTerm, weights: FloatArray | None) -> FloatArray:
    """Lower triangular R of shape (k, k) such that ``Xi R^-1`` has orthonormal columns in mean square.

    Lower rather than upper: then ``R Lambda_i`` is lower triangular too, and theta goes back and
    forth between the user's columns and the orthonormal ones by a matrix product.
    """
    n, k = term.Xi.shape
    parts = [slice(start, start + ROWS_AT_ONCE) for start in range(0, n, ROWS_AT_ONCE)]
    squares = [np.einsum("ij,ij->j", Xi, Xi) for Xi in (_weighted(term, weights, own) for own in parts)]
    scale = np.sqrt(sum(squares[1:], squares[0]) / n)
    scale[scale == 0.0] = 1.0
    if k == 1:
        return np.diag(scale)
    units = scale[::-1] * np.sqrt(n)
    uppers = [np.linalg.qr(_weighted(term, weights, own)[:, ::-1] / units, mode="r") for own in parts]
    upper = np.asarray(uppers[0] if len(parts) == 1 else np.linalg.qr(np.concatenate(uppers), mode="r"))
    lower = upper[:k, :k][::-1, ::-1] * scale  # reversing rows and columns turns upper into lower
    pivots = np.diagonal(lower)
    if lower.shape != (k, k) or (np.abs(pivots) < DEPENDENT * scale).any():
        return np.diag(scale)  # redundant columns: only their scale can be settled
    return np.asarray(lower * np.sign(pivots)[:, None])


def _weighted(term: RandomTerm, weights: FloatArray | None, own: slice) -> FloatArray:
    """Some rows of a term times the square root of their weights."""
    Xi = term.Xi[own]
    return Xi if weights is None else Xi * np.sqrt(weights[own])[:, None]
