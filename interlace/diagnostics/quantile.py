"""Simulated quantile residuals: where a response lies among responses that the model would have given."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.pls import PLSFit
from interlace.prediction.parts import fixed_part, random_part

Seed = int | np.random.Generator | np.random.SeedSequence | None


def quantile_residuals(design: Design, fit: PLSFit, *, nsim: int = 250, rng: Seed = None) -> pd.DataFrame:
    """Randomised rank of each response among ``nsim`` simulated ones.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit.
    nsim : int
        Simulated responses, each with random effects and errors of its own.
    rng : int, Generator, SeedSequence or None
        For :func:`numpy.random.default_rng`.

    Returns
    -------
    DataFrame
        ``.quantile.resid``, uniform on (0, 1) under the model; ``.mar.fitted``, the mean.

    Raises
    ------
    DesignError
        If ``nsim`` is no positive number.
    """
    if not nsim >= 1:
        raise DesignError(f"nsim={nsim}; at least 1 simulated response is needed, and some 250 to see much")
    draws = np.random.default_rng(rng)
    mean = fixed_part(design.X, fit.beta, design.offset)
    below, equal = np.zeros(len(mean)), np.zeros(len(mean))
    for _ in range(int(nsim)):
        simulated = mean + _deviation(design, fit, draws)
        below += simulated < design.y
        equal += simulated == design.y
    rank = below + draws.uniform(size=len(mean)) * (equal + 1.0)
    return pd.DataFrame({".quantile.resid": rank / (nsim + 1.0), ".mar.fitted": mean}, index=design.index)


def _deviation(design: Design, fit: PLSFit, draws: np.random.Generator) -> FloatArray:
    sigma = np.sqrt(fit.sigma2)
    noise = sigma * draws.standard_normal(len(design.y))
    total = noise if design.weights is None else noise / np.sqrt(design.weights)
    for term, Lambda in zip(design.terms, fit.Lambda, strict=True):
        factor = design.factors[term.factor]
        b = sigma * draws.standard_normal((factor.n_levels, term.k)) @ Lambda.T
        total = total + random_part(factor.codes, term.Xi, b)
    return total
