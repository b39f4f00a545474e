"""Labels for the arrays of generalised results."""

from __future__ import annotations

from statsmodels.base.wrapper import populate_wrapper

from interlace.modelling.wrapper import MixedResultsWrapper

from .results import CrossedGLMMResults


class CrossedGLMMResultsWrapper(MixedResultsWrapper):
    """Results whose arrays carry the names of parameters and rows; the plain object is ``_results``."""

    _wrap_attrs = MixedResultsWrapper._wrap_attrs | {"resid_pearson": "rows", "resid_deviance": "rows"}


populate_wrapper(CrossedGLMMResultsWrapper, CrossedGLMMResults)
