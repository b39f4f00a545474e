"""The residual bootstrap: random effects and residuals of the fit, drawn with replacement.

Predicted random effects vary less than the estimated covariance says.  They are therefore centred and
stretched before they are drawn, and so are the residuals (Carpenter, Goldstein & Rasbash 2003, Journal of
the Royal Statistical Society C 52, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.pls import PLSFit
from interlace.prediction.parts import fixed_part, random_part

from .simulate import add_random_part

# Share of the largest variance below which there is none along a direction.
ZERO = 1e-12


@dataclass(frozen=True, eq=False)
class Resampler:
    """Responses put together from reflated random effects and residuals.

    Attributes
    ----------
    design : Design
        Rows and grouping.
    loc : ndarray of shape (n,)
        Expected response at random effects of zero.
    effects : tuple of ndarray of shape (n_levels, k)
        Reflated random effects of each term.
    residuals : ndarray of shape (n,)
        Reflated residuals, times the square root of the weights.
    """

    design: Design
    loc: FloatArray
    effects: tuple[FloatArray, ...]
    residuals: FloatArray

    def draw(self, generators: Sequence[np.random.Generator]) -> FloatArray:
        """One response per generator, shape (n, len(generators)).

        The levels are drawn factor by factor, all random effects of a level together; then the residuals.
        """
        n, counts = len(self.loc), [f.n_levels for f in self.design.factors]
        levels = [[g.integers(count, size=count) for count in counts] for g in generators]
        residual = np.array([self.residuals[g.integers(n, size=n)] for g in generators]).T
        if self.design.weights is not None:
            residual = residual / np.sqrt(self.design.weights)[:, None]
        response = self.loc[:, None] + residual
        for term, effects in zip(self.design.terms, self.effects, strict=True):
            drawn = np.array([effects[own[term.factor]] for own in levels])
            add_random_part(response, self.design.factors[term.factor].codes, term.Xi, drawn)
        return response


def resampler(design: Design, fit: PLSFit) -> Resampler:
    """Prepare the residual bootstrap of a fit.

    Parameters
    ----------
    design : Design
        Of the fit, with its rows.
    fit : PLSFit
        The estimates.

    Returns
    -------
    Resampler
    """
    loc = fixed_part(design.X, fit.beta, design.offset)
    residual = design.y - loc
    for term, b in zip(design.terms, fit.b, strict=True):
        residual = residual - random_part(design.factors[term.factor].codes, term.Xi, b)
    if design.weights is not None:
        residual = residual * np.sqrt(design.weights)
    return Resampler(
        design=design,
        loc=loc,
        effects=tuple(reflated(b, Sigma) for b, Sigma in zip(fit.b, fit.Sigma, strict=True)),
        residuals=reflated(residual[:, None], np.array([[fit.sigma2]]))[:, 0],
    )


def reflated(values: FloatArray, Sigma: FloatArray) -> FloatArray:
    """Centred values, stretched so that their covariance is Sigma.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        One draw per row.
    Sigma : ndarray of shape (k, k)
        Covariance wanted.

    Returns
    -------
    ndarray of shape (n, k)

    Notes
    -----
    With ``Sigma = L L'`` the values are turned into ``w = v L^-T``, multiplied by the symmetric root of the
    inverse of their covariance, and turned back: the result follows any linear change of the columns.
    """
    centred = values - values.mean(axis=0)
    variances, axes = _positive(Sigma)
    w = centred @ (axes / np.sqrt(variances))
    own, directions = _positive(w.T @ w / len(w))
    whitened = w @ (directions / np.sqrt(own)) @ directions.T
    return np.asarray(whitened @ (axes * np.sqrt(variances)).T)


def _positive(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of a positive semidefinite matrix that are not zero, (r,), and their vectors, (k, r)."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > ZERO * max(float(values.max(initial=0.0)), 1e-300)
    return values[kept], vectors[:, kept]
