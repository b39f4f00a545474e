"""Labels for the arrays of the results: statsmodels' wrapper."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper
from statsmodels.base.wrapper import populate_wrapper

from interlace.inference.parameters import positions

from .results import CrossedLMMResults


class CrossedLMMResultsWrapper(LikelihoodResultsWrapper):
    """Results whose arrays carry the names of parameters and rows; the plain object is ``_results``."""

    _attrs: ClassVar[dict[str, Any]] = {
        "fe_params": ("generic_columns", "xnames"),
        "bse_fe": ("generic_columns", "xnames"),
        "bse_re": ("generic_columns", "variance_names"),
        "fittedvalues_marginal": "rows",
        "resid_marginal": "rows",
    }
    _wrap_attrs = LikelihoodResultsWrapper._wrap_attrs | _attrs
    # conf_int is written out below: some of its rows may be asked for.
    _wrap_methods: ClassVar[dict[str, str]] = {"cov_params": "cov"}

    def __repr__(self) -> str:
        return repr(self._results)

    def conf_int(
        self, alpha: float = 0.05, cols: Sequence[int] | None = None, *, parm: Any = None, **options: Any
    ) -> pd.DataFrame:
        """Confidence intervals with the names of the parameters; see the plain method."""
        limits = self._results.conf_int(alpha=alpha, cols=cols, parm=parm, **options)
        if isinstance(limits, pd.DataFrame) or not self._results.model.data.labelled:
            return limits
        names = np.asarray(self._results.model.data.param_names, dtype=object)
        chosen = positions(parm if cols is None else list(cols), list(names))
        return pd.DataFrame(limits, index=names[chosen])


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
