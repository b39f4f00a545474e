"""Inference from a fitted model: tests, intervals and what they rest on."""

from __future__ import annotations

from .approximation import Approximation, Ddf, FTest, approximation, approximation_of
from .variances import (
    boundary_entries,
    boundary_thetas,
    column_major,
    columns_in_null,
    correlations,
    covariance_of_variances,
    lower_triangle,
    natural_jacobian,
    natural_parameters,
    quadratic_form,
    relative_factors,
)

__all__ = [
    "Approximation",
    "Ddf",
    "FTest",
    "approximation",
    "approximation_of",
    "boundary_entries",
    "boundary_thetas",
    "column_major",
    "columns_in_null",
    "correlations",
    "covariance_of_variances",
    "lower_triangle",
    "natural_jacobian",
    "natural_parameters",
    "quadratic_form",
    "relative_factors",
]
