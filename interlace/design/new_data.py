"""The matrices of a model for rows that the fit has not seen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import UnknownColumnError
from interlace.frames.columns import Columns, as_frame, check_columns, column_of
from interlace.frames.levels import FactorLabels, codes_of_new

from .assembly import sum_of
from .record import Design, NewDesign, TermLabels


def apply_design(
    design: Design, data: Any, *, factors: Collection[str] | None = None, every_term: bool = False
) -> NewDesign:
    """Matrices for new rows, with columns, levels and remembered transformations of the fit.

    Parameters
    ----------
    design : Design
        That of the fit.
    data : table
        New rows, with the columns that the formula names.
    factors : collection of str, optional
        Grouping factors whose random effects are wanted; all of them by default.  The columns of
        the others need not be there.
    every_term : bool, default False
        Make the raw columns of all terms, also of those whose factor is not wanted.

    Returns
    -------
    NewDesign
        Rows in the order of the data.

    Raises
    ------
    UnknownColumnError
        If a column is not there.
    DesignError
        If a categorical variable of the fixed effects has a new level.

    Examples
    --------
    >>> from interlace.design import build_design
    >>> from interlace.formula.grammar import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0, 5.0, 1.0], "x": [0, 1, 0, 1, 0, 1], "g": list("aabbcc")}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> new = apply_design(design, {"x": [5, 5], "g": ["b", "z"]})
    >>> new.codes[0].tolist(), new.unseen
    ([1, -1], (['z'],))
    """
    frame = as_frame(data)
    columns = Columns(frame)
    X = design.coding(columns)[:, list(design.kept_columns)]
    offset = sum_of([_new_numbers(source(columns)) for source in design.offsets])
    wanted = [factors is None or labels.name in factors for labels in design.factor_labels]
    found = [
        _new_codes(labels, frame)
        if asked
        else (np.empty(0, dtype=np.intp), [], np.zeros(len(frame), dtype=bool))
        for labels, asked in zip(design.factor_labels, wanted, strict=True)
    ]
    incomplete = np.any([missing for _, _, missing in found], axis=0)
    if incomplete.any():
        # No level to look up: the prediction must be NaN, also where X has no columns to say so.
        offset = np.where(incomplete, np.nan, 0.0 if offset is None else offset)
    Xi = tuple(
        _raw_columns(labels, columns)
        if every_term or wanted[labels.factor]
        else np.empty((0, len(labels.columns)))
        for labels in design.term_labels
    )
    codes = tuple(codes for codes, _, _ in found)
    return NewDesign(X, Xi, codes, tuple(unseen for _, unseen, _ in found), offset, frame.index)


def _new_numbers(values: Any) -> FloatArray:
    numbers = np.asarray(values, dtype=float)
    return numbers.reshape(len(numbers))


def _new_codes(labels: FactorLabels, frame: pd.DataFrame) -> tuple[IntArray, list[Any], BoolArray]:
    try:
        check_columns(labels.columns, frame.columns)
    except UnknownColumnError as error:
        raise UnknownColumnError(
            f'{error} The random effects of "{labels.name}" need them; for predictions without random '
            "effects say random=False"
        ) from error
    return codes_of_new(labels, [column_of(frame, name) for name in labels.columns])


def _raw_columns(labels: TermLabels, columns: Columns) -> FloatArray:
    if labels.coding is None:
        return np.ones((columns.n_rows, 1))
    return np.asarray(labels.coding(columns))
