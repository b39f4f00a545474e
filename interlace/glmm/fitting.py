"""Fits of a model's design with something changed: other terms, another response, an offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.pls import GroupingFactor, RandomTerm
from interlace.pls.laplace import LaplaceFit, fit_laplace

from .response import counts_of


def fit_again(
    design: Design,
    fit: LaplaceFit,
    *,
    factors: Sequence[GroupingFactor] | None = None,
    terms: Sequence[RandomTerm] | None = None,
    X: FloatArray | None = None,
    counts: FloatArray | None = None,
    offset: FloatArray | None = None,
    start: FloatArray | None = None,
    nagq: int | None = None,
) -> LaplaceFit:
    """Fit what a fit was to, but for what is given.

    Parameters
    ----------
    design : Design
        With its rows.
    fit : LaplaceFit
        Its family, nodes and solver are used again.
    factors, terms, X, counts, offset : optional
        In place of the design's.
    start : ndarray, optional
        (theta, beta, psi) to start from.
    nagq : int, optional
        In place of the fit's.

    Returns
    -------
    LaplaceFit
    """
    solver: Any = fit.solver if fit.solver in ("cholmod", "blocked") else "auto"
    return fit_laplace(
        design.factors if factors is None else factors,
        design.terms if terms is None else terms,
        design.X if X is None else X,
        counts_of(design) if counts is None else counts,
        fit.family,
        weights=design.weights,
        trials=design.trials,
        offset=design.offset if offset is None else offset,
        nagq=fit.nagq if nagq is None else nagq,
        start=start,
        solver=solver,
    )


def warm(fit: LaplaceFit) -> FloatArray | None:
    """Estimates to start a similar fit from; None where they are a saddle of other criteria, or infinite."""
    if fit.is_singular or fit.separation is not None:
        return None
    return np.concatenate([fit.theta, fit.beta, fit.psi])
