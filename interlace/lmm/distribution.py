"""Draws from a linear mixed model with given parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls import GroupingFactor, RandomTerm
from interlace.prediction.parts import random_part


@dataclass(frozen=True, eq=False)
class MarginalDistribution:
    """Distribution of the response when the random effects are drawn anew.

    Attributes
    ----------
    loc : ndarray of shape (n,)
        Expected response: fixed part and offset.
    scale : float
        Residual variance.
    weights : ndarray of shape (n,) or None
        The residual variance of row r is ``scale / weights[r]``.
    factors : tuple of GroupingFactor
        Grouping factors.
    terms : tuple of RandomTerm
        Random-effects terms.
    covariances : tuple of ndarray, shape (k, k)
        Covariance matrix of the random effects of each term.
    """

    loc: FloatArray
    scale: float
    weights: FloatArray | None
    factors: Sequence[GroupingFactor]
    terms: Sequence[RandomTerm]
    covariances: Sequence[FloatArray]

    def mean(self) -> FloatArray:
        """Return the expected response; shape (n,)."""
        return self.loc

    def var(self) -> FloatArray:
        """Return the variance of the response, row by row; shape (n,)."""
        variance = np.full(len(self.loc), self.scale) if self.weights is None else self.scale / self.weights
        for term, Sigma in zip(self.terms, self.covariances, strict=True):
            variance = variance + np.einsum("rj,jk,rk->r", term.Xi, Sigma, term.Xi)
        return variance

    def std(self) -> FloatArray:
        """Return the standard deviation of the response, row by row; shape (n,)."""
        return np.sqrt(self.var())

    def rvs(self, size: int | None = None, *, rng: int | np.random.Generator | None = None) -> FloatArray:
        """Draw responses: random effects first, residuals on top.

        Parameters
        ----------
        size : int, optional
            Number of data sets.
        rng : int or numpy.random.Generator, optional
            Seed or generator.

        Returns
        -------
        ndarray of shape (n,) or (size, n)
            One response per row of the data.
        """
        generator = np.random.default_rng(rng)
        if size is None:
            return self._draw(generator)
        return np.array([self._draw(generator) for _ in range(size)]).reshape(size, len(self.loc))

    def _draw(self, generator: np.random.Generator) -> FloatArray:
        residual = np.sqrt(self.scale) * generator.standard_normal(len(self.loc))
        response = self.loc + (residual if self.weights is None else residual / np.sqrt(self.weights))
        for term, Sigma in zip(self.terms, self.covariances, strict=True):
            factor = self.factors[term.factor]
            b = generator.multivariate_normal(np.zeros(term.k), Sigma, size=factor.n_levels, method="eigh")
            response += random_part(factor.codes, term.Xi, b)
        return response
