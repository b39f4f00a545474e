"""Expected responses: fitted values, residuals, predictions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import apply_design
from interlace.errors import ArgumentError, DesignError
from interlace.fitted import EstimatedModel, Fitted
from interlace.streaming.record import StreamedDesign
from interlace.streaming.rows import StreamedRows
from interlace.streaming.sources import source_of

from .parts import (
    NewLevels,
    check_new_levels,
    chosen_factors,
    conditional_mean,
    determined_mean,
    fixed_part,
    mean_of_terms,
)
from .streamed import of_new_rows, of_own_rows, of_source


def fittedvalues_marginal(self: EstimatedModel) -> FloatArray | StreamedRows:
    """Fixed part and offset, at random effects of zero."""
    if isinstance(self.record.design, StreamedDesign):
        return of_own_rows(self.record, {"fittedvalues_marginal": "fittedvalues_marginal"})
    design = self.record.design
    return fixed_part(design.X, self.fe_params, design.offset)


def fittedvalues(self: EstimatedModel) -> FloatArray | StreamedRows:
    """Fixed part, offset and the conditional modes of the random effects; streamed where the rows are."""
    if isinstance(self.record.design, StreamedDesign):
        return of_own_rows(self.record, {"fittedvalues": "fittedvalues"})
    return conditional_mean(self.record.design, self.record.fit)


def resid(self: EstimatedModel) -> FloatArray | StreamedRows:
    """Response minus ``fittedvalues``; streamed where the rows are."""
    if isinstance(self.record.design, StreamedDesign):
        return of_own_rows(self.record, {"resid": "resid"})
    return self.record.design.y - self.fittedvalues


def resid_marginal(self: EstimatedModel) -> FloatArray | StreamedRows:
    """Response minus ``fittedvalues_marginal``."""
    if isinstance(self.record.design, StreamedDesign):
        return of_own_rows(self.record, {"resid_marginal": "resid_marginal"})
    return self.record.design.y - self.fittedvalues_marginal


def predict(
    self: EstimatedModel,
    data: Any = None,
    transform: bool = True,
    *,
    random: bool | str | Collection[str] = True,
    new_levels: NewLevels = "error",
    exog: Any = None,
) -> Any:
    """Compute expected responses, for the rows of the fit or for new data.

    Parameters
    ----------
    data : DataFrame, dict of arrays or source, optional
        New data with the columns of the formula and of the grouping factors; the rows of the fit if None. A
        source that is read in chunks (files, a lazy frame, ...) gives `StreamedRows`.
    transform : bool, default True
        Must be True: the formula is always applied to ``data``.
    random : bool or str or collection of str, default True
        Which random effects enter: all, none (the population mean, statsmodels' choice for MixedLM) or
        those of the grouping factors named.
    new_levels : {"error", "population"}, default "error"
        Refuse levels that the fit has not seen, or give them random effects of zero.
    exog : array_like of shape (m, k_fe), DataFrame or dict of arrays, optional
        MixedLM's spelling of a prediction without random effects: the fixed-effects model matrix, or the
        columns of the formula.

    Returns
    -------
    Series or StreamedRows
        On the index of the data, or in the order of the source; NaN where a used column is
        missing, and, with a warning, where the data of the fit do not determine the mean (empty cells).

    Raises
    ------
    LevelError
        For unseen levels, by default.
    DesignError
        For new rows, if a variable depends on all rows of the data: ``I(z - np.mean(z))``.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.predict({"Days": [0, 10]}, random=False).round(2).tolist()
    [251.41, 356.08]
    """
    if not transform:
        raise ArgumentError("transform=False is not offered: give data with the columns of the formula")
    check_new_levels(new_levels)
    if exog is not None:
        return _without_random_effects(self.record, data, exog, random)
    if isinstance(data, np.ndarray) and not data.dtype.names:
        raise DesignError(
            "data is an array without names; give a table, or predict(exog=array) for predictions without "
            "random effects from a fixed-effects model matrix"
        )
    chosen = chosen_factors(self.record.design.factor_names, random=random)
    if data is None and isinstance(self.record.design, StreamedDesign):
        return of_own_rows(self.record, {"predicted": "fittedvalues"}, chosen=chosen)
    source = None if data is None else source_of(data)
    if source is not None:
        return of_source(self.record, source, chosen, new_levels)
    if data is None:
        return pd.Series(_of_fitted_rows(self.record, chosen), index=self.record.design.index)
    new = apply_design(self.record.design, data, factors=chosen)
    return pd.Series(of_new_rows(self.record, new, chosen, new_levels), index=new.index)


def _without_random_effects(fitted: Fitted, data: Any, exog: Any, random: Any) -> pd.Series:
    if data is not None or not isinstance(random, bool):
        raise DesignError(
            "exog= gives predictions without random effects, and takes no data or factors beside it; write "
            "predict(data, random=...)"
        )
    matrix = np.asarray(exog) if isinstance(exog, np.ndarray | list | tuple) else None
    if matrix is None or matrix.dtype.names:
        new = apply_design(fitted.design, exog, factors=())
        return pd.Series(of_new_rows(fitted, new, (), "error"), index=new.index)
    k = len(fitted.fit.beta)
    X = matrix[:, None] if matrix.ndim == 1 and k == 1 else np.atleast_2d(matrix)
    if X.ndim != 2 or X.shape[1] != k:
        raise DesignError(
            f"exog has shape {matrix.shape}; wanted a column for each of {list(fitted.design.xnames)!r}"
        )
    if fitted.design.offsets:
        raise DesignError("the model has an offset, which an array does not hold; give a frame, or a dict")
    return pd.Series(X.astype(float) @ fitted.fit.beta)


def _of_fitted_rows(fitted: Fitted, chosen: Collection[str]) -> FloatArray:
    design = fitted.design
    codes, Xi = [factor.codes for factor in design.factors], [term.Xi for term in design.terms]

    def mean(beta: FloatArray, b: Sequence[FloatArray]) -> FloatArray:
        return mean_of_terms(fixed_part(design.X, beta, design.offset), design.schema, Xi, codes, b, chosen)

    return determined_mean(fitted.fit, mean)
