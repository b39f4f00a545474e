"""A response from outside, checked against the rows of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError, MissingValuesError
from interlace.fitted import EstimatedModel
from interlace.pls import ProfiledCriterion
from interlace.pls.rows.other_responses import Responses, responses
from interlace.pls.rows.weighted import rows_of


def responses_of(design: Design, criterion: ProfiledCriterion) -> Responses:
    """The rows of a fit, ready for other responses.

    Parameters
    ----------
    design : Design
        With its rows.
    criterion : ProfiledCriterion
        That was minimised.

    Returns
    -------
    Responses
    """
    rows = rows_of(criterion, *design.arrays, **design.weighting)
    return responses(criterion, rows, design.X, **design.weighting)


def responses_of_fit(self: EstimatedModel) -> Responses:
    """The rows of the fit, ready to take in other responses."""
    return responses_of(self.record.design, self.record.criterion)


def response_values(design: Design, y: Any) -> tuple[FloatArray, str]:
    """A response for the rows of a fit, and its name.

    Parameters
    ----------
    design : Design
        Of the fit.
    y : array_like of shape (n,) or Series
        A Series is aligned by its index; anything else is taken row by row.

    Returns
    -------
    values : ndarray of shape (n,)
        A copy.
    name : str
        The Series' name, or that of the response of the fit.

    Raises
    ------
    DesignError
        If there are too many or too few values, or if some are infinite.
    MissingValuesError
        If some are missing.
    """
    name = design.yname
    if isinstance(y, pd.Series):
        name = name if y.name is None else str(y.name)
        y = _aligned(y, design.index)
    values = np.array(y, dtype=float)
    if values.shape != design.index.shape:
        raise DesignError(
            f"the response has shape {values.shape}; the fit used {len(design.index)} rows. Give one number "
            "for each of them, or a Series with their labels"
        )
    if np.isnan(values).any():
        raise MissingValuesError(
            f"the response is missing in {int(np.isnan(values).sum())} rows; a refit keeps the rows of the "
            "fit. Fit the model to the rows that have one"
        )
    if not np.isfinite(values).all():
        raise DesignError("the response holds infinite values; remove or replace them")
    values.flags.writeable = False
    return values, name


def _aligned(y: pd.Series, index: pd.Index) -> Any:
    if y.index.equals(index):
        return y.to_numpy()
    if not y.index.is_unique or not index.isin(y.index).all():
        raise DesignError(
            "the index of the response does not hold the label of every row of the fit, once each; "
            "give an array with one number per row, or a Series with the labels of the data"
        )
    return y.loc[index].to_numpy()
