"""Labels for the arrays of linear results."""

from __future__ import annotations

from copy import copy
from typing import Any

from statsmodels.base.wrapper import populate_wrapper

from interlace.modelling.wrapper import MixedResultsWrapper

from .results import CrossedLMMResults


class CrossedLMMResultsWrapper(MixedResultsWrapper):
    """Results whose arrays carry the names of parameters and rows; the plain object is ``_results``."""

    _wrap_attrs = MixedResultsWrapper._wrap_attrs | {
        "fittedvalues_marginal": "rows",
        "resid_marginal": "rows",
    }

    def save(self, fname: Any, remove_data: bool | None = None, *, rows: bool | None = None) -> None:
        """Write the fit to a file; see the plain method."""
        self._results.save(fname, remove_data, rows=rows)


populate_wrapper(CrossedLMMResultsWrapper, CrossedLMMResults)


def labelled(results: CrossedLMMResultsWrapper) -> CrossedLMMResultsWrapper:
    """The same results with labels, also where the model was given by plain arrays.

    Parameters
    ----------
    results : CrossedLMMResultsWrapper
        A fitted model; not changed.

    Returns
    -------
    CrossedLMMResultsWrapper
    """
    if results.model.data.labelled:
        return results
    plain = copy(results._results)
    plain.model = copy(plain.model)
    plain.model.data = copy(plain.model.data)
    plain.model.data.labelled = True
    return CrossedLMMResultsWrapper(plain)
