"""Does the model produce data like these? Residuals and checks by simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from interlace.arguments import whole_number
from interlace.arrays import FloatArray
from interlace.diagnostics.plots import panels
from interlace.errors import DesignError, UndefinedError
from interlace.pls.laplace.prediction import marginal_mean
from interlace.resampling.simulate import seeds

from .record import EstimatedGLMM
from .resampling import check_no_frequencies, draw
from .response import counts_of
from .rows import rows_of_fit


@dataclass(frozen=True)
class SimulationTest:
    """A figure of the data against the same figure of simulated data.

    Attributes
    ----------
    observed : float
        In the data.
    expected : float
        Mean over the simulations.
    ratio : float
        Observed over expected: more than 1 is more than the model allows for.
    p_value : float
        Two-sided, by the rank of the data among the simulations.
    nsim : int
        Number of simulations.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").check_zeros(99, rng=1).observed
    1.0
    """

    observed: float
    expected: float
    ratio: float
    p_value: float
    nsim: int


def _tested(observed: float, simulated: FloatArray) -> SimulationTest:
    nsim, expected = len(simulated), float(simulated.mean())
    above, below = int((simulated >= observed).sum()), int((simulated <= observed).sum())
    p = min(1.0, 2.0 * (min(above, below) + 1.0) / (nsim + 1.0))
    ratio = observed / expected if expected > 0 else (np.nan if observed == 0 else np.inf)
    return SimulationTest(observed, expected, float(ratio), p, nsim)


def _simulations(self: EstimatedGLMM, nsim: int, rng: Any, what: str) -> FloatArray:
    design, fit = self.record.design, self.record.fit
    check_no_frequencies(design, what)
    nsim = whole_number("nsim", nsim, least=2, wanted="the number of simulations")
    return np.column_stack([draw(design, fit, seed) for seed in seeds(rng, nsim)])


def check_dispersion(self: EstimatedGLMM, nsim: int = 250, *, rng: Any = None) -> SimulationTest:
    """Whether responses scatter more, or less, than the model's.

    Parameters
    ----------
    nsim : int, default 250
        Number of simulated data sets, random effects drawn anew.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes.

    Returns
    -------
    SimulationTest
        Of the sum of squared Pearson residuals around the means given the conditional modes, for which every
        simulated data set is fitted anew: slow, and right. A ratio above 1 with a small p-value is
        overdispersion.

    Raises
    ------
    UndefinedError
        For responses of 0 and 1, which cannot be overdispersed.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.check_dispersion(19, rng=1).nsim
    19
    """
    design = self.record.design
    if self.family.name == "ordinal" or (
        self.family.name == "binomial" and (design.trials is None or (design.trials == 1).all())
    ):
        raise UndefinedError(
            "responses of 0 and 1 and ordered categories cannot be overdispersed: their means fix their "
            "variances. Sum them up to counts over equal rows, or look at simulated_residuals()"
        )
    Y = _simulations(self, nsim, rng, "check_dispersion()")
    found = [float((self.refit(y).resid_pearson ** 2).sum()) for y in Y.T]
    return _tested(float((self.resid_pearson**2).sum()), np.array(found))


def check_zeros(self: EstimatedGLMM, nsim: int = 250, *, rng: Any = None) -> SimulationTest:
    """Whether there are more zeros, or fewer, than the model has.

    Parameters
    ----------
    nsim : int, default 250
        Number of simulated data sets, random effects drawn anew.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes.

    Returns
    -------
    SimulationTest
        Of the number of rows with a response of zero.

    Raises
    ------
    UndefinedError
        For responses that are not counts.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> round(fit.check_zeros(199, rng=1).expected, 1)
    1.7
    """
    if self.family.name not in ("poisson", "negative binomial", "binomial"):
        raise UndefinedError(f"zeros are counted in counts; the family is {self.family.name}")
    Y = _simulations(self, nsim, rng, "check_zeros()")
    return _tested(float((counts_of(self.record.design) == 0).sum()), (Y == 0).sum(axis=0).astype(float))


@dataclass(frozen=True, eq=False)
class SimulatedResiduals:
    """Ranks of the responses among simulated ones.

    Attributes
    ----------
    scaled : Series
        Uniform between 0 and 1 if the model is right; ties are broken at random.
    fitted : Series
        Mean of every response, integrated over the random effects.
    nsim : int
        Number of simulations.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.simulated_residuals(99, rng=1).scaled.between(0, 1).all().item()
    True
    """

    scaled: pd.Series
    fitted: pd.Series
    nsim: int

    @property
    def normal(self) -> pd.Series:
        """The same as standard normal residuals."""
        return pd.Series(special.ndtri(self.scaled.to_numpy()), index=self.scaled.index)

    def uniformity(self) -> pd.Series:
        """Kolmogorov and Smirnov's test of the scaled residuals: ``statistic`` and ``p_value``.

        Rows that share random effects move together: with few levels the p-value is too small.
        """
        found = stats.kstest(self.scaled.to_numpy(), "uniform")
        return pd.Series({"statistic": float(found.statistic), "p_value": float(found.pvalue)})

    def plot(self, ax: Any = None) -> Any:
        """Quantiles of the scaled residuals, and the residuals against the ranks of the fitted means.

        Parameters
        ----------
        ax : None
            Two panels need a figure of their own: refused otherwise.

        Returns
        -------
        matplotlib.figure.Figure
        """
        if ax is not None:
            raise DesignError("ax= holds one picture and this one has two panels; leave ax= out")
        figure, (quantiles, against) = panels(2)
        n = len(self.scaled)
        quantiles.plot((np.arange(n) + 0.5) / n, np.sort(self.scaled.to_numpy()), ".")
        quantiles.axline((0.0, 0.0), slope=1.0, color="0.5")
        quantiles.set(xlabel="uniform quantile", ylabel="scaled residual", xlim=(0, 1), ylim=(0, 1))
        ranks = stats.rankdata(self.fitted.to_numpy()) / n
        against.plot(ranks, self.scaled.to_numpy(), ".")
        for level in (0.25, 0.5, 0.75):
            against.axhline(level, color="0.5", linestyle=":")
        against.set(xlabel="rank of the fitted mean", ylabel="scaled residual", xlim=(0, 1), ylim=(0, 1))
        return figure


def simulated_residuals(self: EstimatedGLMM, nsim: int = 250, *, rng: Any = None) -> SimulatedResiduals:
    """Ranks of the responses among responses simulated from the fit, random effects drawn anew.

    Parameters
    ----------
    nsim : int, default 250
        Number of simulated data sets.
    rng : int, numpy.random.Generator or similar, optional
        Whatever ``numpy.random.default_rng`` takes; ties are broken with it too.

    Returns
    -------
    SimulatedResiduals
        With ``scaled``, ``normal``, ``uniformity()`` and ``plot()``.

    References
    ----------
    Dunn & Smyth (1996), Journal of Computational and Graphical Statistics 5; Gelman & Hill (2007), Data
    Analysis Using Regression and Multilevel/Hierarchical Models, chapter 8.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> list(fit.simulated_residuals(99, rng=1).uniformity().index)
    ['statistic', 'p_value']
    """
    design = self.record.design
    generator = np.random.default_rng(rng)
    Y = _simulations(self, nsim, generator, "simulated_residuals()")
    y = counts_of(design)[:, None]
    below, ties = (y > Y).sum(axis=1), (y == Y).sum(axis=1)
    scaled = (below + generator.uniform(size=len(y)) * (ties + 1.0)) / (nsim + 1.0)
    fitted = marginal_mean(self.record.fit, rows_of_fit(design))
    return SimulatedResiduals(pd.Series(scaled, design.index), pd.Series(fitted, design.index), nsim)
