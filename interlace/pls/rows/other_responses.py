"""Other responses for the same design: only the response's cross-products change.

A, its factorization's pattern and the bases of X and of the terms are those of the first fit.  A new
response needs its least-squares residual, ``Z'W`` times it, and two numbers; for many responses at once
these are matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interlace.arrays import FloatArray, SparseArray
from interlace.errors import OptimizationError
from interlace.pls.matrices.basis import FixedBasis
from interlace.pls.matrices.crossproducts import DENSE_Z
from interlace.pls.matrices.relcov import null_space
from interlace.pls.matrices.triangular import upper_solve_right
from interlace.pls.search.certificate import certify
from interlace.pls.search.criterion import ProfiledCriterion
from interlace.pls.search.optimize import minimize
from interlace.pls.search.start import moment_start

from .weighted import Rows

# Share of a response's size below which what X leaves of it is rounding noise.
NOTHING_LEFT = 1e-13


@dataclass(frozen=True, eq=False)
class Responses:
    """The rows of a design, ready to take in responses.

    Attributes
    ----------
    criterion : ProfiledCriterion
        For any response of the design.
    Q : ndarray of shape (n, p)
        Orthonormal basis of ``sqrt(W) X``, that of the criterion.
    Zt : ndarray or sparse CSR array of shape (q, n)
        ``Z' sqrt(W)`` in the bases of the terms.
    root_weights, offset : ndarray of shape (n,) or None
        Square roots of the weights, and the known part of the response.
    """

    criterion: ProfiledCriterion
    Q: FloatArray
    Zt: FloatArray | SparseArray
    root_weights: FloatArray | None
    offset: FloatArray | None

    def take_in(self, Y: FloatArray) -> TakenIn:
        """Cross-products of many responses at once.

        Parameters
        ----------
        Y : ndarray of shape (n, r)
            One response per column.

        Returns
        -------
        TakenIn
        """
        Y = Y if self.offset is None else Y - self.offset[:, None]
        Y = Y if self.root_weights is None else Y * self.root_weights[:, None]
        shift = self.Q.T @ Y
        residual = Y - self.Q @ shift
        again = self.Q.T @ residual  # as in `fixed_basis`: digits lost when |mean(y)| >> sd(y)
        residual -= self.Q @ again
        scale = np.sqrt(np.einsum("nr,nr->r", residual, residual) / len(Y))
        scale[~(scale > NOTHING_LEFT * np.abs(Y).max(axis=0, initial=0.0))] = 0.0
        residual /= np.where(scale > 0.0, scale, 1.0)
        return TakenIn(
            design=self,
            shift=shift + again,
            scale=scale,
            residual=residual,
            Zty=np.asarray(self.Zt @ residual),
            Qty=self.Q.T @ residual,
        )


@dataclass(frozen=True, eq=False)
class TakenIn:
    """Many responses as the criterion sees them, one per column.

    Attributes
    ----------
    design : Responses
        What they are responses to.
    shift, scale : ndarray of shape (p, r) and (r,)
        Coefficients on Q, and root mean squares of the least-squares residuals.
    residual : ndarray of shape (n, r)
        These residuals, scaled.
    Zty, Qty : ndarray of shape (q, r) and (p, r)
        Cross-products of the residuals with Z and Q.
    """

    design: Responses
    shift: FloatArray
    scale: FloatArray
    residual: FloatArray
    Zty: FloatArray
    Qty: FloatArray

    def criterion(self, j: int) -> ProfiledCriterion:
        """Criterion of response j; all share one factorization, so use one at a time.

        Parameters
        ----------
        j : int
            Column.

        Returns
        -------
        ProfiledCriterion

        Raises
        ------
        OptimizationError
            If X reproduces the response exactly.
        """
        if self.scale[j] == 0.0:
            raise OptimizationError(
                "the fixed effects reproduce the response exactly; there is no variation left to divide into "
                "variance components. Check the response and the formula."
            )
        old, Q, y = self.design.criterion, self.design.Q, self.residual[:, j]
        p = Q.shape[1]
        B, C = old.cp.B.copy(), old.cp.C.copy()
        B[:, p] = self.Zty[:, j]
        C[:p, p] = C[p, :p] = self.Qty[:, j]
        C[p, p] = y @ y
        basis = FixedBasis(
            R=old.basis.R,
            shift=self.shift[:, j],
            scale=float(self.scale[j]),
        )
        return old.variant(cp=replace(old.cp, B=B, C=C), basis=basis)


@dataclass(frozen=True, eq=False)
class Estimates:
    """The part of a fit that a bootstrap keeps.

    Attributes
    ----------
    beta : ndarray of shape (p,)
        Fixed effects.
    Sigma : tuple of ndarray of shape (k, k)
        Covariance of the random effects of each term, on raw columns.
    sigma2 : float
        Residual variance.
    is_singular, certified : bool
        As in `PLSFit` and its certificate.
    """

    beta: FloatArray
    Sigma: tuple[FloatArray, ...]
    sigma2: float
    is_singular: bool
    certified: bool


def estimates(criterion: ProfiledCriterion, start: FloatArray | None) -> Estimates:
    """Minimise a criterion and keep the estimates only.

    Parameters
    ----------
    criterion : ProfiledCriterion
        What to minimise.
    start : ndarray of shape (m,), optional
        Theta to start from.

    Returns
    -------
    Estimates
    """
    relcov, basis = criterion.relcov, criterion.basis
    phi = (
        moment_start(criterion.cp, relcov, reml=criterion.reml) if start is None else relcov.to_basis @ start
    )
    optimum = minimize(criterion, phi)
    sigma2 = optimum.at.pwrss * basis.scale**2 / criterion.nu
    blocks = relcov.term_blocks(optimum.phi)
    raw = [inverse @ block for inverse, block in zip(relcov.term_inverses, blocks, strict=True)]
    singular = any(null_space(block).shape[1] for block in blocks)
    return Estimates(
        beta=basis.beta(optimum.at.gamma),
        Sigma=tuple(sigma2 * block @ block.T for block in raw),
        sigma2=sigma2,
        is_singular=singular,
        # Inside the parameter space the search has checked all that there is.
        certified=certify(criterion, optimum).certified if singular else optimum.converged,
    )


def responses(
    criterion: ProfiledCriterion,
    rows: Rows,
    X: FloatArray,
    weights: FloatArray | None = None,
    offset: FloatArray | None = None,
) -> Responses:
    """Prepare a design for other responses.

    Parameters
    ----------
    criterion : ProfiledCriterion
        Of the design with some response.
    rows : Rows
        Its rows; see `rows_of`.
    X, weights, offset
        As they were given to `profiled_criterion`.

    Returns
    -------
    Responses
    """
    root = None if weights is None else np.sqrt(weights)
    Z = rows.Z()
    dense = Z.shape[0] * Z.shape[1] <= DENSE_Z
    return Responses(
        criterion=criterion,
        Q=upper_solve_right(X if root is None else X * root[:, None], criterion.basis.R),
        Zt=np.ascontiguousarray(Z.toarray().T) if dense else Z.T.tocsr(),
        root_weights=root,
        offset=offset,
    )
