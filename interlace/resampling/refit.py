"""Estimates for another response, without formula or design work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from interlace import pls
from interlace.pls.matrices.threads import suitable_threads
from interlace.pls.rows.other_responses import Estimates, estimates

from .response import response_values

if TYPE_CHECKING:
    from interlace.lmm.results import CrossedLMMResults
    from interlace.lmm.wrapper import CrossedLMMResultsWrapper
    from interlace.pls import PLSFit, ProfiledCriterion
    from interlace.pls.rows.other_responses import Responses


FloatArray = NDArray[np.float64]
Fit = TypeVar("Fit")


def refit(results: CrossedLMMResults, y: Any) -> CrossedLMMResultsWrapper:
    """Fit the model of some results to another response.

    Parameters
    ----------
    results : CrossedLMMResults
        Where the search starts.
    y : array_like of shape (n,) or Series
        The response, see `response_values`.

    Returns
    -------
    CrossedLMMResults
        In the wrapper.
    """
    values, name = response_values(results.model.design, y)
    criterion = results.responses.take_in(values[:, None]).criterion(0)
    fit = pls.fit_criterion(criterion, start=warm_start(results.pls_fit))
    return results.model.with_response(values, name).results_of(fit, ddf=results.ddf)


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
