"""Models whose parameters are assumed, not estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.fitted import record_of
from interlace.lmm.model import CrossedLMM
from interlace.pls.matrices.relcov import lower_factor
from interlace.resampling.simulate import Simulator, generators, seeds

# The name of the response that does not exist yet.
NO_RESPONSE = "no_response"


@dataclass(frozen=True, eq=False)
class AssumedModel:
    """A linear mixed model with parameters that were assumed, or taken from a fit.

    Attributes
    ----------
    design : Design
        Rows, fixed effects and grouping; its response means nothing.
    beta : ndarray of shape (p,)
        Fixed effects.
    roots : tuple of ndarray of shape (k, k)
        Lower triangular root of the covariance of each term's random effects.
    sigma : float
        Residual standard deviation.
    formula : str
        For display.

    Examples
    --------
    >>> import interlace
    >>> plan = interlace.design(subjects=10, within={"day": range(5)})
    >>> study = plan.assume("y ~ day + (1 | subject)", fixed={"day": 2}, random={"subject": 3}, sigma=1)
    >>> study.simulate(2, rng=1).shape
    (50, 2)
    """

    design: Design
    beta: FloatArray
    roots: tuple[FloatArray, ...]
    sigma: float
    formula: str = ""

    def __repr__(self) -> str:
        return f"<AssumedModel: {self.formula}; {len(self.design.index)} rows>"

    @property
    def theta(self) -> FloatArray:
        """Relative covariance parameters in lme4's order."""
        terms = zip(self.design.terms, self.roots, strict=True)
        return np.concatenate([term.structure.theta(root / self.sigma) for term, root in terms])

    @property
    def simulator(self) -> Simulator:
        """What draws responses."""
        loc = self.design.X @ self.beta
        if self.design.offset is not None:
            loc = loc + self.design.offset
        return Simulator(self.design, loc, self.roots, self.sigma)

    def simulate(self, nsim: int = 1, *, rng: Any = None) -> pd.DataFrame:
        """Draw responses.

        Parameters
        ----------
        nsim : int, default 1
            Number of data sets.
        rng : int, numpy.random.Generator or similar, optional
            Whatever ``numpy.random.default_rng`` takes.

        Returns
        -------
        DataFrame of shape (rows, nsim)
        """
        drawn = self.simulator.draw(generators(seeds(rng, nsim)))
        return pd.DataFrame(drawn, index=self.design.index, columns=[f"sim_{j + 1}" for j in range(nsim)])


def of_fit(results: Any) -> AssumedModel:
    """A fit as if its estimates were the truth.

    Parameters
    ----------
    results : CrossedLMMResults or AssumedModel
        A fitted model with its rows, or an assumed one, which is returned as it is.

    Returns
    -------
    AssumedModel
    """
    if isinstance(results, AssumedModel):
        return results
    record = record_of(results)
    fit = record.fit
    sigma = float(np.sqrt(fit.sigma2))
    text = results.model.formula_text
    return AssumedModel(record.design, fit.beta, tuple(sigma * own for own in fit.Lambda), sigma, text)


def assumed(
    frame: pd.DataFrame,
    formula: str,
    fixed: Mapping[str, float],
    random: Mapping[str, Any],
    sigma: float,
    correlations: Mapping[str, Any] | None,
) -> AssumedModel:
    """A model with assumed parameters; see `layouts.StudyDesign.assume`.

    Parameters
    ----------
    frame : DataFrame
        Rows of the study.
    formula : str
        The left side is not looked up.
    fixed, random, sigma, correlations
        The parameters.

    Returns
    -------
    AssumedModel
    """
    if not (np.isfinite(sigma) and sigma > 0.0):
        raise DesignError(f"sigma={sigma!r}; the residual standard deviation is a number above 0")
    anything = np.random.default_rng(0).standard_normal(len(frame))
    right = formula.rpartition("~")[2]
    own = frame.assign(**{NO_RESPONSE: anything})
    model = CrossedLMM.from_formula(f"{NO_RESPONSE} ~{right}", own, eval_env=1, rank="error")
    design = model.design
    _refuse_unknown("fixed", fixed, design.xnames)
    factors = [labels.name for labels in design.factor_labels]
    _refuse_unknown("random", random, factors)
    _refuse_unknown("correlations", correlations or {}, factors)
    if missing := [name for name in factors if name not in random]:
        raise DesignError(f"random= says nothing of {missing!r}; give standard deviations, 0 for none")
    beta = np.array([float(fixed.get(name, 0.0)) for name in design.xnames])
    roots = [
        _root(factors[term.factor], term.columns, random[factors[term.factor]], correlations or {})
        for term in design.term_labels
    ]
    _refuse_unused(design, factors, random)
    return AssumedModel(design, beta, tuple(roots), float(sigma), formula)


def _refuse_unknown(argument: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    if unknown := [name for name in given if name not in known]:
        raise DesignError(
            f"{argument}= names {unknown!r}, which the model does not have; it has {list(known)!r}"
        )


def _refuse_unused(design: Design, factors: Sequence[str], random: Mapping[str, Any]) -> None:
    for f, name in enumerate(factors):
        columns = [column for term in design.term_labels if term.factor == f for column in term.columns]
        if isinstance(random[name], Mapping):
            _refuse_unknown(f"random[{name!r}]", random[name], columns)


def _root(factor: str, columns: Sequence[str], given: Any, correlations: Mapping[str, Any]) -> FloatArray:
    """Root of the covariance of one term's random effects."""
    if not isinstance(given, Mapping):
        if len(columns) > 1:
            raise DesignError(
                f"random[{factor!r}] is one number for the random effects {list(columns)!r}; give a dict "
                "with one per effect"
            )
        given = {columns[0]: given}
    sds = np.array([float(given.get(name, 0.0)) for name in columns])
    if not (np.isfinite(sds) & (sds >= 0.0)).all():
        raise DesignError(f"random[{factor!r}] holds {sds.tolist()}; standard deviations are 0 or more")
    rho = np.asarray(correlations.get(factor, 0.0), dtype=float)
    k = len(columns)
    matrix = np.where(np.eye(k, dtype=bool), 1.0, rho) if rho.ndim == 0 or k == 1 else rho
    values, vectors = np.linalg.eigh(matrix) if matrix.shape == (k, k) else (np.array([-1.0]), matrix)
    if values[0] < -1e-10 or _is_not_unit(matrix):
        raise DesignError(f"correlations[{factor!r}] is no correlation matrix of {k} random effects")
    return lower_factor(sds[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))


def _is_not_unit(matrix: FloatArray) -> bool:
    """Whether a matrix is not symmetric with ones on its diagonal."""
    return not (np.allclose(np.diagonal(matrix), 1.0) and np.allclose(matrix, matrix.T))
