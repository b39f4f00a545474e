"""Expected responses: fitted values, residuals, predictions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import NewDesign, apply_design
from interlace.errors import DesignError
from interlace.fitted import EstimatedModel, Fitted

from .parts import (
    NewLevels,
    check_new_levels,
    chosen_factors,
    conditional_mean,
    fixed_part,
    mean_of_terms,
    refuse_unseen,
)


def fittedvalues_marginal(self: EstimatedModel) -> FloatArray:
    """Fixed part and offset, at random effects of zero."""
    design = self.record.design
    return fixed_part(design.X, self.fe_params, design.offset)


def fittedvalues(self: EstimatedModel) -> FloatArray:
    """Fixed part, offset and the conditional modes of the random effects."""
    return conditional_mean(self.record.design, self.record.fit)


def resid(self: EstimatedModel) -> FloatArray:
    """Response minus ``fittedvalues``."""
    return self.record.design.y - self.fittedvalues


def resid_marginal(self: EstimatedModel) -> FloatArray:
    """Response minus ``fittedvalues_marginal``."""
    return self.record.design.y - self.fittedvalues_marginal


def predict(
    self: EstimatedModel,
    data: Any = None,
    transform: bool = True,
    *,
    random: bool | str | Collection[str] = True,
    new_levels: NewLevels = "error",
    exog: Any = None,
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
    exog : array_like of shape (m, k_fe), DataFrame or dict of arrays, optional
        MixedLM's spelling of a prediction without random effects: the fixed-effects model matrix, or the
        columns of the formula.

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
    if exog is not None:
        return _without_random_effects(self.record, data, exog, random)
    if isinstance(data, np.ndarray) and not data.dtype.names:
        raise DesignError(
            "data is an array without names; give a table, or predict(exog=array) for predictions without "
            "random effects from a fixed-effects model matrix"
        )
    chosen = chosen_factors(self.record.design.factor_names, random=random)
    if data is None:
        return pd.Series(_of_fitted_rows(self.record, chosen), index=self.record.design.index)
    new = apply_design(self.record.design, data, factors=chosen)
    return pd.Series(_of_new_rows(self.record, new, chosen, new_levels), index=new.index)


def _without_random_effects(fitted: Fitted, data: Any, exog: Any, random: Any) -> pd.Series:
    if data is not None or not isinstance(random, bool):
        raise DesignError(
            "exog= gives predictions without random effects, and takes no data or factors beside it; write "
            "predict(data, random=...)"
        )
    matrix = np.asarray(exog) if isinstance(exog, np.ndarray | list | tuple) else None
    if matrix is None or matrix.dtype.names:
        new = apply_design(fitted.design, exog, factors=())
        return pd.Series(_of_new_rows(fitted, new, (), "error"), index=new.index)
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
    design, fit = fitted.design, fitted.fit
    codes = [factor.codes for factor in design.factors]
    mean = fixed_part(design.X, fit.beta, design.offset)
    return mean_of_terms(mean, design.schema, [term.Xi for term in design.terms], codes, fit.b, chosen)


def _of_new_rows(
    fitted: Fitted, new: NewDesign, chosen: Collection[str], new_levels: NewLevels
) -> FloatArray:
    for labels, unseen in zip(fitted.design.factor_labels, new.unseen, strict=True):
        if labels.name in chosen and new_levels == "error":
            refuse_unseen(labels.name, unseen, labels.levels)
    mean = fixed_part(new.X, fitted.fit.beta, new.offset)
    return mean_of_terms(mean, fitted.design.schema, new.Xi, new.codes, fitted.fit.b, chosen)
