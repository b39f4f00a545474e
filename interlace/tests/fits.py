"""Each reference model fitted once per solver and session, whoever asks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from interlace import CrossedLMM, pls
from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.pls.factor.solvers import Solver

from .bank import MODELS


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit through the public API, with every warning that it raised."""

    result: Any
    warnings: tuple[type[Warning], ...]

    @property
    def design(self) -> Design:
        """The arrays and labels that the model was built from."""
        return self.result.model.design

    @cached_property
    def condsd(self) -> dict[str, FloatArray]:
        """Conditional standard deviations, factor by factor, shape (levels, columns)."""
        return {name: as_table(value) for name, value in self.result.random_effects_se.items()}


@cache
def fitted(name: str, solver: Solver = "auto") -> Fitted:
    """Fit a reference model from its formula, from the default start, with nothing tuned."""
    model = MODELS[name]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = CrossedLMM.from_formula(**model.arguments).fit(reml=model.reml, solver=solver)
    return Fitted(result=result, warnings=tuple(warning.category for warning in seen))


@cache
def criterion(name: str, solver: Solver) -> pls.ProfiledCriterion:
    """Set up the profiled criterion of a reference model, a function of lme4's theta."""
    design = fitted(name).design
    return pls.profiled_criterion(
        design.factors,
        design.terms,
        design.X,
        design.y,
        weights=design.weights,
        offset=design.offset,
        reml=MODELS[name].reml,
        solver=solver,
    )


def as_table(value: pd.Series | pd.DataFrame | float) -> FloatArray:
    """Two-dimensional array of a Series (one column), of a DataFrame or of a number."""
    array = np.asarray(value, dtype=float)
    return array.reshape(-1, 1) if array.ndim < 2 else array
