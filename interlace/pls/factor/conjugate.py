"""Conjugate gradients for many right-hand sides, and the quadratures that come with them.

The coefficients of the method are those of Lanczos' (Golub & Meurant 2010, Matrices, Moments and
Quadrature, section 6.7), so that ``z' log(S) z`` costs nothing beside ``S^-1 z``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from interlace.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Solved:
    """Solutions of ``S X = B``, column by column.

    Attributes
    ----------
    X : ndarray of shape (q, r)
        The solutions.
    steps : ndarray of int, shape (r,)
        Steps that each column took.
    squares : ndarray of shape (r,)
        ``b' b`` of each column.
    alpha, beta : ndarray of shape (most steps, r)
        Coefficients of the method.
    converged : bool
        Whether every residual is as small as was asked for.
    """

    X: FloatArray
    steps: IntArray
    squares: FloatArray
    alpha: FloatArray
    beta: FloatArray
    converged: bool

    def logarithms(self) -> FloatArray:
        """``b' log(S) b`` of each column by Gauss quadrature, shape (r,)."""
        return np.array([self._logarithm(j) for j in range(len(self.steps))])

    def quadratic_forms(self) -> FloatArray:
        """``b' S b`` of each column, shape (r,)."""
        taken = self.steps > 0
        first = self.alpha[0] if len(self.alpha) else np.ones(len(self.steps))
        return np.where(taken, self.squares / np.where(taken, first, 1.0), 0.0)

    def _logarithm(self, j: int) -> float:
        k = int(self.steps[j])
        if k == 0:
            return 0.0
        alpha, beta = self.alpha[:k, j], self.beta[: k - 1, j]
        diagonal = 1.0 / alpha
        diagonal[1:] += beta / alpha[:-1]
        nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(beta) / alpha[:-1])
        return float(self.squares[j] * (vectors[0] ** 2 @ np.log(nodes)))


@dataclass
class _Running:
    """The columns that have not converged yet: the moving part."""

    which: IntArray
    X: FloatArray
    residual: FloatArray
    direction: FloatArray
    rho: FloatArray

    def keep(self, going: BoolArray) -> _Running:
        """Those of them that still go on."""
        if going.all():
            return self
        return _Running(
            self.which[going],
            self.X[:, going],
            self.residual[:, going],
            self.direction[:, going],
            self.rho[going],
        )


def conjugate_gradients(
    product: Callable[[FloatArray], FloatArray], B: FloatArray, *, tolerance: float, most: int
) -> Solved:
    """Solve ``S X = B`` for a positive definite S of which only products are known.

    Parameters
    ----------
    product : callable
        From an array of shape (q, k) to S times it.
    B : ndarray of shape (q, r)
        Right-hand sides. Columns leave as they converge.
    tolerance : float
        Norm of a residual relative to that of its right-hand side.
    most : int
        Steps at most.

    Returns
    -------
    Solved

    References
    ----------
    Hestenes & Stiefel (1952), Journal of Research of the National Bureau of Standards 49.

    Examples
    --------
    >>> import numpy as np
    >>> S = np.diag([1.0, 2.0, 4.0])
    >>> found = conjugate_gradients(lambda V: S @ V, np.ones((3, 1)), tolerance=1e-12, most=10)
    >>> found.X[:, 0].round(12)
    array([1.  , 0.5 , 0.25])
    >>> bool(np.isclose(found.logarithms()[0], np.log(8.0)))
    True
    """
    squares = np.einsum("ij,ij->j", B, B)
    X = np.zeros_like(B)
    steps = np.zeros(B.shape[1], dtype=np.intp)
    alphas: list[FloatArray] = []
    betas: list[FloatArray] = []
    limit = tolerance**2 * squares
    start = np.flatnonzero(squares > 0.0)
    now = _Running(start, X[:, start], B[:, start].copy(), B[:, start].copy(), squares[start])
    while len(now.which) and len(alphas) < most:
        alpha, beta = np.ones(len(squares)), np.zeros(len(squares))
        going = _step(product, now, alpha, beta, limit)
        alphas.append(alpha)
        betas.append(beta)
        steps[now.which] += 1
        if not going.all():
            X[:, now.which[~going]] = now.X[:, ~going]
            now = now.keep(going)
    X[:, now.which] = now.X
    empty = np.zeros((0, len(squares)))
    return Solved(
        X=X,
        steps=steps,
        squares=squares,
        alpha=np.array(alphas) if alphas else empty,
        beta=np.array(betas) if betas else empty,
        converged=not len(now.which),
    )


def _step(
    product: Callable[[FloatArray], FloatArray],
    now: _Running,
    alpha: FloatArray,
    beta: FloatArray,
    limit: FloatArray,
) -> BoolArray:
    """One step of every running column, in place; which of them have still to go on."""
    image = product(now.direction)
    alpha[now.which] = own = now.rho / np.einsum("ij,ij->j", now.direction, image)
    now.X += own * now.direction
    now.residual -= own * image
    rho = np.einsum("ij,ij->j", now.residual, now.residual)
    beta[now.which] = ratio = rho / now.rho
    now.direction *= ratio
    now.direction += now.residual
    now.rho = rho
    return np.asarray(rho > limit[now.which])
