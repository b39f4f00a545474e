"""statsmodels' view of a design: names, row labels and how to attach them to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base.data import PandasData

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.names import variance_names
from interlace.streaming.record import StreamedDesign
from interlace.streaming.rows import StreamedRows


class DesignData(PandasData):
    """The ``data`` attribute of a model: a :class:`~interlace.design.Design` seen by statsmodels.

    The base class would copy, re-check and re-label matrices that the design has already checked and
    labelled; this one takes them over.

    Parameters
    ----------
    design : Design
        Matrices and labels.
    formula : str or None
        The formula as the user wrote it, bars included.
    frame : object
        The data the formula was evaluated in, kept as a reference.
    labelled : bool, default True
        Whether results are labelled; those of a model given by plain arrays are plain arrays.
    more_names : sequence of str
        Names of the parameters after those of the variances.
    """

    # Of models stored before there was a choice.
    labelled = True

    def __init__(
        self,
        design: Design,
        *,
        formula: str | None = None,
        frame: object = None,
        labelled: bool = True,
        more_names: Sequence[str] = (),
    ) -> None:
        self.design = design
        self.labelled = labelled
        self.more_names = tuple(more_names)
        self.formula = formula
        self.frame = frame
        self.endog: FloatArray | None = None
        self.exog: FloatArray | None = None
        if isinstance(design, StreamedDesign):
            self.const_idx, spans = design.constant
        else:
            self.endog, self.exog = design.y, design.X
            self.const_idx = _constant_column(design.X)
            spans = self.const_idx is not None or _spans_constant(design.X)
        self.k_constant = int(spans)
        self._cache: dict[str, Any] = {}

    @property
    def ynames(self) -> str:
        """Name of the response."""
        return self.design.yname

    @property
    def xnames(self) -> list[str]:
        """Names of the fixed effects."""
        return list(self.design.xnames)

    @cached_property
    def variance_names(self) -> list[str]:
        """Names of the variance parameters."""
        factors = self.design.factor_labels
        return list(variance_names([(factors[t.factor].name, t.columns) for t in self.design.term_labels]))

    @property
    def param_names(self) -> list[str]:
        """Names of the fixed effects, of the variance parameters, and of what a family adds."""
        return [*self.xnames, *self.variance_names, *self.more_names]

    @property
    def cov_names(self) -> list[str]:
        """Labels of ``cov_params()``: those of ``params``."""
        return self.param_names

    @property
    def row_labels(self) -> pd.Index:
        """Index of the rows that entered the fit."""
        return self.design.index

    @property
    def model_spec(self) -> Any:
        """Description of the fixed effects by patsy, None without a formula (statsmodels >= 0.15)."""
        return self.design.design_info

    @property
    def design_info(self) -> Any:
        """Description of the fixed effects by patsy, None without a formula (statsmodels 0.14)."""
        return self.design.design_info

    @property
    def orig_endog(self) -> pd.Series:
        """The response with its name and row labels."""
        return pd.Series(self.endog, index=self.row_labels, name=self.ynames)

    @property
    def orig_exog(self) -> pd.DataFrame:
        """The fixed-effects model matrix with its labels."""
        return pd.DataFrame(self.exog, index=self.row_labels, columns=self.xnames)

    def wrap_output(self, obj: Any, how: str = "columns", names: Any = None) -> Any:
        """Label an array, unless the model was given by plain arrays, or the rows carry their own labels."""
        if isinstance(obj, StreamedRows) or not self.labelled:
            return obj
        return super().wrap_output(obj, how, names)

    def attach_cov(self, result: FloatArray) -> Any:
        """Label a covariance of all the parameters; leave that of a contrast as it is."""
        size = len(self.cov_names)
        return super().attach_cov(result) if np.shape(result) == (size, size) else result

    def with_response(self, design: Design) -> DesignData:
        """A copy for a design that differs in the response alone; without the frame, which holds another."""
        other = copy(self)
        other.design, other.endog, other.frame, other._cache = design, design.y, None, {}
        return other

    def without_rows(self) -> None:
        """Forget the frame and everything with one entry per row."""
        self.design = self.design.without_rows()
        self.frame = self.endog = self.exog = None

    @classmethod
    def of_stored(
        cls,
        design: Design,
        *,
        formula: str | None,
        const_idx: int | None,
        k_constant: int,
        labelled: bool = True,
        more_names: Sequence[str] = (),
    ) -> DesignData:
        """The data of a model that was read from a file, with or without its rows."""
        data = cls.__new__(cls)
        data.design, data.formula, data.frame = design, formula, None
        data.labelled, data.more_names = labelled, tuple(more_names)
        rows = design.kept_rows
        data.endog, data.exog = (None, None) if rows is None else (rows.y, rows.X)
        data.const_idx, data.k_constant, data._cache = const_idx, k_constant, {}
        return data

    # statsmodels leaves patsy's objects out of the pickle and evaluates the formula anew when loading, in
    # whatever namespace happens to call; a design knows how to store itself.
    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self.design, StreamedDesign) and not isinstance(self.frame, str | Path | list | tuple):
            return {**self.__dict__, "frame": None}  # a query or a function: it stays where it was made
        return self.__dict__

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


def _constant_column(X: FloatArray) -> int | None:
    constant = [j for j in range(X.shape[1]) if np.ptp(X[:, j]) == 0 and X[0, j] != 0]
    return constant[0] if constant else None


def _spans_constant(X: FloatArray) -> bool:
    """Whether the columns add up to a constant without one of them being constant."""
    if X.shape[1] == 0:
        return False
    ones = np.ones(len(X))
    length = np.linalg.norm(X, axis=0)
    scaled = X / np.where(length > 0, length, 1.0)
    remainder = ones - scaled @ np.linalg.lstsq(scaled, ones, rcond=None)[0]
    return bool(np.abs(remainder).max() < 1e-8)
