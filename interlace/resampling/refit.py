"""Estimates for another response, without formula or design work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np

from interlace import pls
from interlace.arrays import FloatArray
from interlace.fitted import EstimatedModel
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.rows.other_responses import Estimates, Responses, estimates

from .response import response_values

Fit = TypeVar("Fit")


def refit(self: EstimatedModel, y: Any) -> Any:
    """Fit the same model to another response.

    Parameters
    ----------
    y : array_like of shape (nobs,) or Series
        A Series is aligned by its index.

    Returns
    -------
    CrossedLMMResults
        In the wrapper, as from ``model.fit``. Nothing is done for the formula: only
        the response's cross-products are computed anew, and the search starts at this fit's optimum.

    Raises
    ------
    DesignError, MissingValuesError
        If there is not one finite number for every row of the fit.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> fit.refit(2 * sleep["Reaction"]).fe_params.round(3).to_dict()
    {'Intercept': 502.81, 'Days': 20.935}
    """
    values, name = response_values(self.record.design, y)
    criterion = self.responses.take_in(values[:, None]).criterion(0)
    fit = pls.fit_criterion(criterion, start=warm_start(self.pls_fit))
    return self.model.with_response(values, name).results_of(fit, ddf=self.ddf)


def warm_start(fit: PLSFit) -> FloatArray | None:
    """Theta to start a refit from; None where the fit is singular, which is a saddle for other responses."""
    return None if fit.is_singular else fit.theta


def fits(responses: Responses, Y: FloatArray, start: FloatArray | None) -> Iterator[PLSFit | Exception]:
    """Fits to many responses, or why there is none.

    Parameters
    ----------
    responses : Responses
        The design.
    Y : ndarray of shape (n, r)
        One response per column.
    start : ndarray or None
        Theta to start from.

    Yields
    ------
    PLSFit or Exception
    """
    return _each(responses, Y, partial(pls.fit_criterion, start=start))


def estimates_of(
    responses: Responses, Y: FloatArray, start: FloatArray | None
) -> list[Estimates | Exception]:
    """The same, without what only a single fit is asked for."""
    with suitable_threads(responses.criterion.relcov.layout.rest):
        return list(_each(responses, Y, partial(estimates, start=start)))


def _each(
    responses: Responses, Y: FloatArray, fit: Callable[[ProfiledCriterion], Fit]
) -> Iterator[Fit | Exception]:
    block = responses.take_in(Y)
    for j in range(Y.shape[1]):
        try:
            yield fit(block.criterion(j))
        except (ArithmeticError, RuntimeError, np.linalg.LinAlgError) as error:
            yield error
