"""Responses drawn from a fitted model, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arguments import whole_number
from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.fitted import EstimatedModel
from interlace.inference.undetermined import refuse_undetermined
from interlace.pls import PLSFit
from interlace.prediction.parts import conditional_mean, fixed_part


@dataclass(frozen=True, eq=False)
class Simulator:
    """Draws of the response given the estimates.

    Attributes
    ----------
    design : Design
        Rows and grouping.
    loc : ndarray of shape (n,)
        Expected response at random effects of zero, or at their modes if those are kept.
    factors : tuple of ndarray of shape (k, k)
        Root of the covariance of each term; empty if the random effects are kept.
    sigma : float
        Residual standard deviation.
    """

    design: Design
    loc: FloatArray
    factors: tuple[FloatArray, ...]
    sigma: float

    def draw(self, generators: Sequence[np.random.Generator]) -> FloatArray:
        """One response per generator.

        Parameters
        ----------
        generators : sequence of numpy.random.Generator
            Each draws the random effects of its response first, term by term, then the residuals.

        Returns
        -------
        ndarray of shape (n, len(generators))
        """
        n = len(self.loc)
        terms = self.design.terms[: len(self.factors)]
        sizes = [self.design.factors[term.factor].n_levels * term.k for term in terms]
        drawn = np.array([g.standard_normal(sum(sizes) + n) for g in generators]).reshape(-1, sum(sizes) + n)
        residual = self.sigma * drawn[:, sum(sizes) :].T
        if self.design.weights is not None:
            residual = residual / np.sqrt(self.design.weights)[:, None]
        response = self.loc[:, None] + residual
        start = 0
        for term, root, size in zip(terms, self.factors, sizes, strict=True):
            u = drawn[:, start : start + size].reshape(len(drawn), -1, term.k)
            add_random_part(response, self.design.factors[term.factor].codes, term.Xi, u @ root.T)
            start += size
        return response


def add_random_part(response: FloatArray, codes: IntArray, Xi: FloatArray, b: FloatArray) -> None:
    """Add ``Xi[i] @ b[r, codes[i]]`` to ``response[i, r]``.

    Parameters
    ----------
    response : ndarray of shape (n, r)
        Changed in place.
    codes : ndarray of int, shape (n,)
        Level of each row.
    Xi : ndarray of shape (n, k)
        Raw columns of the term.
    b : ndarray of shape (r, n_levels, k)
        Random effects.
    """
    by_level = np.ascontiguousarray(b.transpose(2, 1, 0))
    for a in range(Xi.shape[1]):
        response += Xi[:, a, None] * by_level[a][codes]


def simulate(self: EstimatedModel, nsim: int = 1, *, rng: Any = None, use_u: bool = False) -> pd.DataFrame:
    """Draw responses from the fitted model.

    Parameters
    ----------
    nsim : int, default 1
        Number of data sets.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes.
    use_u : bool, default False
        Keep the conditional modes of the random effects instead of drawing them anew.

    Returns
    -------
    DataFrame of shape (nobs, nsim)
        One response per column, on the index of the data.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.simulate(3, rng=1).shape
    (180, 3)
    """
    design = self.record.design
    source = simulator(design, self.pls_fit, use_u=use_u)
    drawn = source.draw(generators(seeds(rng, nsim)))
    return pd.DataFrame(drawn, index=design.index, columns=[f"sim_{j + 1}" for j in range(nsim)])


def simulator(design: Design, fit: PLSFit, *, use_u: bool = False) -> Simulator:
    """Prepare to draw from a fit.

    Parameters
    ----------
    design : Design
        Of the fit, with its rows.
    fit : PLSFit
        The estimates.
    use_u : bool
        Keep the conditional modes instead of drawing random effects anew.

    Returns
    -------
    Simulator
    """
    loc = fixed_part(design.X, fit.beta, design.offset)
    sigma = float(np.sqrt(fit.sigma2))
    if not use_u:
        if fit.elsewhere is not None and fit.elsewhere.in_covariance.any():
            refuse_undetermined(design, fit, "a simulation")
        return Simulator(design, loc, tuple(sigma * block for block in fit.Lambda), sigma)
    return Simulator(design, conditional_mean(design, fit, loc), (), sigma)


def seeds(rng: object, count: int) -> list[np.random.SeedSequence]:
    """Independent seeds, one per replicate, whoever draws from them and in whatever order.

    Parameters
    ----------
    rng : None, int, SeedSequence, BitGenerator or Generator
        As `numpy.random.default_rng` takes it (SPEC 7).
    count : int
        How many.

    Returns
    -------
    list of numpy.random.SeedSequence
    """
    count = whole_number("nsim", count, wanted="how many are drawn")
    sequence = np.random.default_rng(rng).bit_generator.seed_seq  # type: ignore[arg-type]
    return list(sequence.spawn(count))  # type: ignore[attr-defined]


def generators(seeds: Sequence[np.random.SeedSequence]) -> list[np.random.Generator]:
    """One generator per seed; faster than ``Generator.spawn``, and the same numbers."""
    return [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
