"""The design of a generalised model that is given by arrays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design, design_from_arrays
from interlace.design.record import GivenOffset, LogOf, log_exposure
from interlace.errors import DesignError
from interlace.family import Binomial, Family
from interlace.formula.variables import Variable

from .response import Response, checked_rows


def arrays_design(
    endog: Any,
    exog: Any,
    family: Family,
    *,
    exposure: Any = None,
    n_trials: Any = None,
    freq_weights: Any = None,
    **given: Any,
) -> Design:
    """Matrices and labels of a generalised model given by arrays; missing values are refused.

    Parameters
    ----------
    endog : array of shape (n,) or (n, 2)
        Response; successes and failures.
    exog : array or frame of shape (n, p), optional
        Fixed-effects model matrix.
    family : Family
        Of the response.
    exposure, n_trials, freq_weights : array of shape (n,), optional
        As in `interlace.CrossedGLMM`.
    **given
        Further arguments of `interlace.design.design_from_arrays`.

    Returns
    -------
    Design
    """
    pair = np.asarray(endog)
    counts = pair.ndim == 2 and pair.shape[1] == 2
    if counts and (n_trials is not None or not isinstance(family, Binomial)):
        raise DesignError("endog with two columns holds successes and failures: binomial, without n_trials=")
    if n_trials is not None and not isinstance(family, Binomial):
        raise DesignError(f"n_trials= is for a binomial response; the family is {family.name}")
    response = pair[:, 0].astype(float) if counts else endog
    trials = pair.sum(axis=1) if counts else n_trials
    design = design_from_arrays(response, exog, weights=freq_weights, missing="none", **given)
    n = len(design.y)
    rows = replace(design.rows, trials=None if trials is None else _vector(trials, "n_trials", n))
    schema = design.schema
    if exposure is not None:
        logs = log_exposure(_vector(exposure, "exposure", n))
        rows = replace(rows, offset=logs if rows.offset is None else rows.offset + logs)
        schema = replace(schema, offsets=(*schema.offsets, LogOf(GivenOffset())))
    own = Response("", schema.yname, trials, counts=counts, respond=_nothing)
    return checked_rows(Design(schema, rows), own, family)


def _nothing(_: Variable) -> FloatArray:
    return np.empty(0)


def _vector(given: Any, what: str, n: int) -> FloatArray:
    numbers = np.array(given, dtype=float)
    if numbers.shape != (n,) or not np.isfinite(numbers).all():
        raise DesignError(f"{what} has shape {numbers.shape}; wanted {n} finite numbers, one per row")
    return numbers
