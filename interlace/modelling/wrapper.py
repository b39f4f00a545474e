"""Labels for the arrays of the results: statsmodels' wrapper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper

from interlace.inference.parameters import positions


class MixedResultsWrapper(LikelihoodResultsWrapper):
    """Results whose arrays carry the names of parameters and rows; the plain object is ``_results``."""

    _wrap_attrs = LikelihoodResultsWrapper._wrap_attrs | {
        "fe_params": ("generic_columns", "xnames"),
        "bse_fe": ("generic_columns", "xnames"),
        "bse_re": ("generic_columns", "variance_names"),
    }
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
