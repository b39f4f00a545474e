"""R squared and intraclass correlation of a generalised model, on the scale of the link."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from interlace.design import Design
from interlace.errors import UndefinedError
from interlace.inference.explained import VarianceShares, shares_of_variance
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.prediction import marginal_mean

from .record import EstimatedGLMM
from .rows import rows_of_fit

# Variance of the distribution behind a link of a binary or ordered response.
LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


def variance_shares(self: EstimatedGLMM) -> VarianceShares:
    """Variance on the scale of the link by origin: fixed, random (mean over the rows), and the family's own.

    Notes
    -----
    The family's own variance: ``pi^2/3`` (logit), 1 (probit), ``pi^2/6`` (cloglog); with the link log the
    variance of a lognormal variable with the response's coefficient of variation, ``log(1 + 1/mu)`` for
    Poisson, ``log(1 + 1/mu + 1/size)`` for a negative binomial response, ``log(1 + 1/shape)`` for Gamma and
    ``log(1 + sigma^2/mu^2)`` for a Gaussian one, mu being the mean over the rows of the mean integrated over
    the random effects. Terms with an effect per row are counted there, not among the random ones.

    References
    ----------
    Nakagawa, Johnson & Schielzeth (2017), Journal of the Royal Society Interface 14, 20170213.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> shares = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").variance_shares()
    >>> round(shares.random, 3), round(shares.residual, 3)
    (0.582, 0.24)
    """
    design, fit = _with_repeated_rows(self.record.design), self.record.fit
    n = len(self.record.design.y)
    per_row = [design.n_levels[labels.factor] >= n for labels in design.term_labels]
    split = {
        own: shares_of_variance(
            design.X,
            fit.beta,
            [t for t, single in zip(design.terms, per_row, strict=True) if single is own],
            [S for S, single in zip(fit.Sigma, per_row, strict=True) if single is own],
            0.0,
        )
        for own in (False, True)
    }
    mu = float(np.mean(marginal_mean(fit, rows_of_fit(design)))) if fit.family.link == "log" else np.nan
    return VarianceShares(split[False].fixed, split[False].random, split[True].random + own_variance(fit, mu))


def _with_repeated_rows(design: Design) -> Design:
    """Every row as often as it occurs."""
    if design.weights is None:
        return design
    times = design.weights.astype(int)
    rows = design.rows
    offset = None if rows.offset is None else np.repeat(rows.offset, times)
    return design.with_rows(
        replace(
            rows,
            y=np.repeat(rows.y, times),
            X=np.repeat(rows.X, times, axis=0),
            factors=tuple(replace(f, codes=np.repeat(f.codes, times)) for f in rows.factors),
            terms=tuple(replace(t, Xi=np.repeat(t.Xi, times, axis=0)) for t in rows.terms),
            offset=offset,
        )
    )


def own_variance(fit: LaplaceFit, mu: float) -> float:
    """Variance of the family on the scale of its link, at the mean mu."""
    family = fit.family
    if family.link in LATENT:
        return float(LATENT[family.link])
    squared_cv = {
        "poisson": lambda: 1.0 / mu,
        "negative binomial": lambda: 1.0 / mu + float(np.exp(-fit.psi[0])),
        "gamma": lambda: float(np.exp(-fit.psi[0])),
        "gaussian": lambda: float(np.exp(2.0 * fit.psi[0])) / mu**2,
    }
    if family.name not in squared_cv:
        raise UndefinedError(f"R squared is not defined for {family.name} with the link {family.link}")
    return float(np.log1p(squared_cv[family.name]()))


def r2(self: EstimatedGLMM) -> pd.Series:
    """Nakagawa's R squared on the scale of the link: ``marginal`` (fixed part) and ``conditional``.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").r2().round(3).to_dict()
    {'marginal': 0.0, 'conditional': 0.708}
    """
    shares = variance_shares(self)
    return pd.Series({"marginal": shares.r2_marginal, "conditional": shares.r2_conditional})


def icc(self: EstimatedGLMM) -> pd.Series:
    """Intraclass correlation on the scale of the link: ``adjusted`` for the fixed part, or not.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").icc().round(3).to_dict()
    {'adjusted': 0.708, 'unadjusted': 0.708}
    """
    shares = variance_shares(self)
    return pd.Series({"adjusted": shares.icc_adjusted, "unadjusted": shares.icc_unadjusted})
