"""The work of the bootstrap: data sets drawn and fitted, one task after the other or in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from interlace import pls
from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import RankDeficiencyError
from interlace.inference.parameters import column_sizes, parameter_arrays, parameter_table, parameter_values
from interlace.pls import PLSFit
from interlace.pls.batch.many import Estimates as Stacked
from interlace.pls.batch.many import Together, together
from interlace.pls.matrices.basis import independent_columns
from interlace.pls.rows.other_responses import Estimates, Responses

from .case_bootstrap import Cases, with_levels
from .refit import estimates_of, fits, warm_start
from .residual_bootstrap import Resampler
from .simulate import Simulator, generators

Statistic = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class Replicate:
    """One refit.

    Attributes
    ----------
    values : ndarray of shape (k,) or None
        The statistics; None if there are none.
    singular, certified : bool
        State of the refit.
    failure : str
        Why there are no statistics; empty if there are.
    """

    values: FloatArray | None
    singular: bool = False
    certified: bool = True
    failure: str = ""


@dataclass(frozen=True, eq=False)
class Engine:
    """Everything a worker needs to make replicates.

    Attributes
    ----------
    model : CrossedLMM
        The model, with its rows; makes the results that a statistic is a function of.
    fit : PLSFit
        Its fit; the criterion is in ``responses``.
    responses : Responses
        The rows, ready for other responses.
    source : Simulator, Resampler or Cases
        What draws responses, or names the factor whose levels are drawn.
    statistic : callable or None
        Of a result; None for all parameters.
    """

    model: Any
    fit: PLSFit
    responses: Responses
    source: Simulator | Resampler | Cases
    statistic: Statistic | None

    @cached_property
    def together(self) -> Together | None:
        """The design, if its responses are quicker fitted together."""
        return together(self.responses)

    def __call__(self, seeds: Sequence[np.random.SeedSequence]) -> list[Replicate]:
        """One replicate per seed."""
        drawing = generators(seeds)
        if isinstance(self.source, Cases):
            return [self._from_cases(self.source.factor, g) for g in drawing]
        Y = self.source.draw(drawing)
        if self.statistic is None and self.together is not None:
            return _of_stack(self.together.estimates(Y, self.fit.theta), self.responses)
        own = _with_own_factorization(self.responses)
        if self.statistic is None:
            return _of_estimates(estimates_of(own, Y, warm_start(self.fit)), own)
        found = fits(own, Y, warm_start(self.fit))
        return [self._replicate(fit, partial(self._responding, Y, j)) for j, fit in enumerate(found)]

    def _responding(self, Y: FloatArray, j: int) -> Any:
        return self.model.with_response(np.ascontiguousarray(Y[:, j]), self.model.design.yname)

    def _from_cases(self, factor: int, generator: np.random.Generator) -> Replicate:
        levels = self.model.design.factors[factor].n_levels
        return self.with_levels(factor, generator.integers(levels, size=levels))

    def with_levels(self, factor: int, levels: Sequence[int] | IntArray) -> Replicate:
        """Replicate for some levels of a factor."""
        design = with_levels(self.model.design, factor, levels)
        try:
            fit: PLSFit | Exception = _fit_design(design, self.fit)
        except (ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError) as error:
            fit = error
        return self._replicate(fit, lambda: self.model.with_design(design))

    def _replicate(self, fit: PLSFit | Exception, model: Callable[[], Any]) -> Replicate:
        if isinstance(fit, Exception):
            return _failed(fit)
        try:
            values = self.evaluate(fit, model)
        except Exception as error:  # the statistic is the user's: whatever it raises is one failed replicate
            return _failed(error)
        return Replicate(values, singular=fit.is_singular, certified=fit.certificate.certified)

    def evaluate(self, fit: PLSFit, model: Callable[[], Any]) -> FloatArray:
        """Compute the statistics of a fit."""
        if self.statistic is None:
            return parameter_values(fit)
        return np.asarray(as_series(self.statistic(model().results_of(fit))), dtype=float)

    def left_out(self) -> FloatArray:
        """Statistics without each level of each factor (for cases: of the factor drawn), (g, k)."""
        design = self.model.design
        chosen = [self.source.factor] if isinstance(self.source, Cases) else range(len(design.factors))
        found = []
        for f in chosen:
            everyone = np.arange(design.factors[f].n_levels)
            found += [self.with_levels(f, np.delete(everyone, level)).values for level in everyone]
        return np.array([values for values in found if values is not None])


def _failed(error: Exception) -> Replicate:
    return Replicate(None, failure=f"{type(error).__name__}: {error}")


def _of_stack(found: Stacked, responses: Responses) -> list[Replicate]:
    """Replicates of all parameters of responses that were fitted together."""
    criterion = responses.criterion
    covariances = found.Sigma(criterion.relcov)
    table = parameter_arrays(covariances, found.sigma2, found.beta, column_sizes(criterion))
    return [
        _failed(found.failures[j])
        if j in found.failures
        else Replicate(table[j], singular=bool(found.n_singular[j]), certified=bool(found.certified[j]))
        for j in range(len(found))
    ]


def _of_estimates(found: Sequence[Estimates | Exception], responses: Responses) -> list[Replicate]:
    """Replicates of all parameters; the table is made at once."""
    fitted = [one for one in found if not isinstance(one, Exception)]
    table = iter(parameter_table(fitted, column_sizes(responses.criterion)) if fitted else ())
    return [
        _failed(one)
        if isinstance(one, Exception)
        else Replicate(next(table), singular=one.is_singular, certified=one.certified)
        for one in found
    ]


def _with_own_factorization(responses: Responses) -> Responses:
    """A copy whose criterion may move while another thread works on the original."""
    old = responses.criterion
    return replace(responses, criterion=old.variant(factorization=deepcopy(old.factorization)))


def _fit_design(design: Design, fit: PLSFit) -> PLSFit:
    if len(independent_columns(design.X)) < design.X.shape[1]:
        raise RankDeficiencyError("the rows drawn do not identify all the fixed effects")
    return pls.fit(*design.arrays, **design.weighting, reml=fit.reml, start=warm_start(fit))


def as_series(value: Any) -> pd.Series:
    """Statistics with names, from whatever a user's function returns.

    Parameters
    ----------
    value : Series, mapping, number or sequence of numbers
        What it returned.

    Returns
    -------
    Series
        Of floats.
    """
    if isinstance(value, pd.Series):
        return value.astype(float)
    if isinstance(value, Mapping):
        return pd.Series(dict(value), dtype=float)
    numbers = np.atleast_1d(np.asarray(value, dtype=float)).ravel()
    names = ["statistic"] if len(numbers) == 1 else [f"statistic{i + 1}" for i in range(len(numbers))]
    return pd.Series(numbers, index=names)
