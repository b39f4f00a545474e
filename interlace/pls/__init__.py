"""Penalised least squares."""

from __future__ import annotations

from .basis import independent_columns
from .criterion import ProfiledCriterion
from .fit import PLSFit, fit, fit_criterion, profiled_criterion
from .terms import GroupingFactor, RandomTerm

__all__ = [
    "GroupingFactor",
    "PLSFit",
    "ProfiledCriterion",
    "RandomTerm",
    "fit",
    "fit_criterion",
    "independent_columns",
    "profiled_criterion",
]
