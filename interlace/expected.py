"""Results as expected responses: fitted values, residuals, predictions."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from interlace.design import NewDesign, apply_design
from interlace.prediction import (
    NewLevels,
    check_new_levels,
    chosen_factors,
    fixed_part,
    random_part,
    refuse_unseen,
)
from interlace.reports import Reports

FloatArray = NDArray[np.float64]


class Expected(Reports):
    """The part of the results that computes expected responses, with and without random effects."""

    @cached_property
    def fittedvalues_marginal(self) -> FloatArray:
        """Fixed part and offset, at random effects of zero."""
        design = self._design_with_rows()
        return fixed_part(design.X, self.fe_params, design.offset)

    @cached_property
    def fittedvalues(self) -> FloatArray:
        """Fixed part, offset and the conditional modes of the random effects."""
        design = self._design_with_rows()
        fitted = self.fittedvalues_marginal.copy()
        for term, b in zip(design.terms, self.pls_fit.b, strict=True):
            fitted += random_part(design.factors[term.factor].codes, term.Xi, b)
        return fitted

    @cached_property
    def resid(self) -> FloatArray:
        """Response minus ``fittedvalues``."""
        return self._design_with_rows().y - self.fittedvalues

    @cached_property
    def resid_marginal(self) -> FloatArray:
        """Response minus ``fittedvalues_marginal``."""
        return self._design_with_rows().y - self.fittedvalues_marginal

    def _design_with_rows(self) -> Any:
        if self.model.endog is None:
            raise ValueError("the rows of the data are gone (remove_data was called); fit the model again")
        return self.model.design

    def predict(
        self,
        data: Any = None,
        transform: bool = True,
        *,
        random: bool | str | Collection[str] = True,
        new_levels: NewLevels = "error",
    ) -> pd.Series:
        """Compute expected responses, for the rows of the fit or for new data.

        Parameters
        ----------
        data : DataFrame or dict of arrays, optional
            New data with the columns of the formula and of the grouping factors; the rows of the fit if None.
        transform : bool, default True
            Must be True: the formula is always applied to ``data``.
        random : bool or str or collection of str, default True
            Which random effects enter: all, none (the population mean, statsmodels' choice for MixedLM) or
            those of the grouping factors named.
        new_levels : {"error", "population"}, default "error"
            Refuse levels that the fit has not seen, or give them random effects of zero.

        Returns
        -------
        Series
            On the index of the data; NaN where a used column is missing.

        Raises
        ------
        LevelError
            For unseen levels, by default.

        Examples
        --------
        >>> import interlace
        >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
        >>> fit.predict({"Days": [0, 10]}, random=False).round(2).tolist()
        [251.41, 356.08]
        """
        if not transform:
            raise ValueError("transform=False is not offered: give data with the columns of the formula")
        check_new_levels(new_levels)
        chosen = chosen_factors(self._factor_names(), random=random)
        if data is None:
            return self._predict_fitted_rows(chosen)
        new = apply_design(self.model.design, data, factors=chosen)
        return self._predict_new(new, chosen, new_levels)

    def _factor_names(self) -> list[str]:
        return [labels.name for labels in self.model.design.factor_labels]

    def _predict_fitted_rows(self, chosen: Collection[str]) -> pd.Series:
        design = self._design_with_rows()
        terms = zip(design.terms, design.term_labels, self.pls_fit.b, strict=True)
        mean = self.fittedvalues_marginal.copy()
        for term, labels, b in terms:
            if design.factor_labels[labels.factor].name in chosen:
                mean += random_part(design.factors[term.factor].codes, term.Xi, b)
        return pd.Series(mean, index=design.index)

    def _predict_new(self, new: NewDesign, chosen: Collection[str], new_levels: NewLevels) -> pd.Series:
        mean = fixed_part(new.X, self.fe_params, new.offset)
        names = self._factor_names()
        for labels, Xi, b in zip(self.model.design.term_labels, new.Xi, self.pls_fit.b, strict=True):
            name, codes = names[labels.factor], new.codes[labels.factor]
            if name not in chosen or Xi is None or codes is None:
                continue
            if new_levels == "error":
                known = self.model.design.factor_labels[labels.factor].levels
                refuse_unseen(name, new.unseen[labels.factor], known)
            mean += random_part(codes, Xi, b)
        return pd.Series(mean, index=new.index)
