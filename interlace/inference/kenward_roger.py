"""Kenward and Roger's adjusted covariance and degrees of freedom, without an n x n matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.errors import InferenceError
from interlace.pls import PLSFit
from interlace.pls.search.information import EntryInformation

from .fstatistic import DEPENDENT, NOTHING_TO_TEST, FTest

# Expected information below this share of the largest, with a unit diagonal: redundant variances.
REDUNDANT = 1e-10
# Denominator degrees of freedom this close to 2 leave the F statistic unscaled, as in pbkrtest.
NEAR_TWO = 1e-2


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """Small-sample covariance of the fixed effects, and the F distribution that fits a scaled statistic.

    The variance is linear in its parameters gamma (the residual variance, and the variances and covariances
    of the random effects). All matrices are in coordinates in which the unadjusted covariance is
    ``sigma^2 I``; ``root`` leads back to the user's columns.

    Attributes
    ----------
    covariance : ndarray of shape (p, p)
        Adjusted for the bias of the plug-in covariance and for the variability of gamma.
    root : ndarray of shape (p, p)
        H; the unadjusted covariance is ``sigma^2 H H'``.
    W : ndarray of shape (m + 1, m + 1)
        Covariance of gamma from the expected information, for ``sigma = 1``.
    P : ndarray of shape (m + 1, p, p)
        ``X' V^-1 (dV / d gamma_j) V^-1 X``.

    References
    ----------
    Kenward & Roger (1997), Biometrics 53, section 2 and 3; Halekoh & Hojsgaard (2014), Journal of Statistical
    Software 59(9). The correction of Kenward & Roger (2009) for covariances that are not linear in their
    parameters does not arise: here they are linear.
    """

    covariance: FloatArray
    root: FloatArray
    W: FloatArray
    P: FloatArray
    name: str = "kenward-roger"

    def df(self, contrast: FloatArray) -> float:
        """Degrees of freedom of one contrast, shape (p,)."""
        if not contrast.any():
            return np.nan
        return self._scaled(contrast[None, :] @ self.root)[0]

    def f_test(self, contrasts: FloatArray, estimates: FloatArray) -> FTest:
        """Test contrasts, shape (r, p), jointly; the statistic is scaled (Kenward & Roger 1997, eq. 6)."""
        independent = _independent_rows(contrasts @ self.root)
        if not len(independent):
            return NOTHING_TO_TEST
        rows, values = contrasts[independent], estimates[independent]
        wald = values @ np.linalg.solve(rows @ self.covariance @ rows.T, values)
        df, scaling = self._scaled(rows @ self.root)
        return FTest(float(scaling * wald / len(rows)), len(rows), df, scaling)

    def _scaled(self, rows: FloatArray) -> tuple[float, float]:
        """Denominator degrees of freedom, and what the statistic is multiplied by; (q, p) whitened rows."""
        q = len(rows)
        basis = np.linalg.qr(rows.T)[0]
        P = basis.T @ self.P @ basis
        traces = np.einsum("jaa->j", P)
        A1 = float(traces @ self.W @ traces)
        A2 = float(np.einsum("jk,jab,kba->", self.W, P, P, optimize=True))
        B = (A1 + 6.0 * A2) / (2.0 * q)
        g = ((q + 1.0) * A1 - (q + 4.0) * A2) / ((q + 2.0) * A2)
        below = 3.0 * q + 2.0 * (1.0 - g)
        c1, c2, c3 = g / below, (q - g) / below, (q + 2.0 - g) / below
        ratio = _ratio(1.0 - A2 / q, 1.0 - c2 * B)
        rho = ratio**2 * (1.0 + c1 * B) / (1.0 - c3 * B) / q
        df = 4.0 + (q + 2.0) / (q * rho - 1.0)
        scaling = 1.0 if abs(df - 2.0) < NEAR_TWO else df * (1.0 - A2 / q) / (df - 2.0)
        return float(df), float(scaling)


KENWARD_ROGER_NEEDS_REML = (
    "Kenward and Roger's method rests on REML estimates and this is a fit by maximum likelihood; "
    'fit with reml=True, or use ddf="satterthwaite"'
)


def _ratio(above: float, below: float) -> float:
    """Quotient; 1 where both vanish, as they do together."""
    return 1.0 if abs(above) < 1e-14 and abs(below) < 1e-14 else above / below


def kenward_roger(fit: PLSFit) -> KenwardRoger:
    """Set up Kenward and Roger's method for a REML fit.

    Parameters
    ----------
    fit : PLSFit
        With its criterion.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    InferenceError
        For a fit by maximum likelihood.

    Notes
    -----
    The parameters of V may be replaced by linear combinations of them. Here the last direction is V itself
    rather than the residual part of it: ``V^-1 V V^-1 = V^-1``, and all its traces are those of N alone.
    """
    if not fit.reml:
        raise InferenceError(KENWARD_ROGER_NEEDS_REML)
    entries = fit.entries
    p = len(entries.root)
    W = _covariance_of_entries(entries, fit.n - p, _flat(fit))
    m = len(W) - 1
    spread = entries.Q - np.einsum("jab,kbc->jkac", entries.P, entries.P)  # L' E_j N E_k L
    U = np.einsum("jk,jkab->ab", W[:m, :m], spread)
    U = (U + U.T) / 2.0
    H = entries.root
    return KenwardRoger(
        covariance=fit.sigma2 * H @ (np.eye(p) + 2.0 * U) @ H.T,
        root=H,
        W=W,
        P=np.concatenate([entries.P, np.eye(p)[None]]),
    )


def _flat(fit: PLSFit) -> FloatArray:
    """Combinations of (entries of D, V0) that the data do not determine, shape (m + 1, r)."""
    if fit.elsewhere is None:
        return np.zeros((len(fit.theta) + 1, 0))
    relcov, directions = fit.criterion.relcov, fit.elsewhere.directions.copy()
    D = [block @ block.T for block in relcov.Lambda(fit.optimum.phi)]
    own = [D[f][a, b] for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True)]
    directions[:-1] -= np.outer(own, directions[-1])  # V0 is the identity and D's part
    return directions


def _covariance_of_entries(entries: EntryInformation, nu: int, flat: FloatArray) -> FloatArray:
    """Twice the inverse of the expected information of (entries of D, V0)."""
    trace = entries.trace_projected
    information = np.block([[entries.pairs_projected, trace[:, None]], [trace[None, :], np.full((1, 1), nu)]])
    root = np.sqrt(np.maximum(np.diag(information), 0.0))
    if flat.shape[1]:  # rounding errors must not pass for information
        root = np.sqrt(np.append(np.diag(entries.pairs), nu))
        basis = linalg.orth(flat * root[:, None])
        off = np.diag(1.0 / root) @ (np.eye(len(root)) - basis @ basis.T) @ np.diag(root)
        information = off.T @ information @ off
    scale = np.where(root > 0.0, root, 1.0)
    inverse = np.linalg.pinv(information / np.outer(scale, scale), rcond=REDUNDANT, hermitian=True)
    return np.asarray(2.0 * inverse / np.outer(scale, scale))


def _independent_rows(rows: FloatArray) -> list[int]:
    """Positions of rows that span all of them."""
    if not rows.any():
        return []
    _, R, order = linalg.qr(rows.T, mode="economic", pivoting=True)
    size = np.abs(np.diagonal(R))
    return sorted(order[: int((size > DEPENDENT**0.5 * size[0]).sum())].tolist())
