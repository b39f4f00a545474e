"""The matrices of a model for rows that the fit has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray
from interlace.errors import DesignError, RankDeficiencyWarning, UnknownColumnError, callers_level
from interlace.frames.columns import Columns, as_frame, check_columns, column_of
from interlace.frames.levels import FactorLabels, codes_of_new, levels_in

from .assembly import sum_of
from .record import Design, NewDesign, Schema, TermLabels

_NO_CODES = np.empty(0, dtype=np.intp), np.empty(0, dtype=bool)


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
        If a categorical variable of the fixed effects has a new level, or a variable depends on all rows of
        the data.

    Warns
    -----
    RankDeficiencyWarning
        Where columns were dropped in the fit and rows have a mean that the data do not determine: NaN.

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
    wanted = [factors is None or labels.name in factors for labels in design.factor_labels]
    coded_terms = [labels for labels in design.term_labels if every_term or wanted[labels.factor]]
    sources = [design.coding, *design.offsets, *(labels.coding for labels in coded_terms)]
    blamed = whole_sample_variables(sources)
    if blamed and not _may_be_of_fit(design, len(frame)):
        raise DesignError(f"cannot predict new rows from {refusal_of_other_rows(blamed)}")
    offset = sum_of([_new_numbers(source(columns)) for source in design.offsets])
    grouping = [
        _grouping_columns(labels, frame) if asked else None
        for labels, asked in zip(design.factor_labels, wanted, strict=True)
    ]
    found = [
        _NO_CODES if own is None else codes_of_new(labels, own)
        for labels, own in zip(design.factor_labels, grouping, strict=True)
    ]
    incomplete = np.zeros(len(frame), dtype=bool) if offset is None else np.isnan(offset)
    incomplete = np.any([incomplete, *(missing for _, missing in found if len(missing))], axis=0)
    coded = design.coding(columns, incomplete)
    X = _determined(design.schema, coded)
    Xi = tuple(
        _raw_columns(labels, columns, incomplete)
        if labels in coded_terms
        else np.empty((0, len(labels.columns)))
        for labels in design.term_labels
    )
    if blamed and not _are_of_fit(design, coded, Xi, offset):
        raise DesignError(f"cannot predict new rows from {refusal_of_other_rows(blamed)}")
    # Whatever its level, the prediction of such a row is NaN.
    gaps = np.any([incomplete, *(np.isnan(M).any(axis=1) for M in (coded, *Xi) if len(M))], axis=0)
    unseen = tuple(
        [] if own is None else levels_in(own, (codes < 0) & ~gaps)
        for own, (codes, _) in zip(grouping, found, strict=True)
    )
    if incomplete.any():
        # No level to look up: the prediction must be NaN, also where X has no columns to say so.
        offset = np.where(incomplete, np.nan, 0.0 if offset is None else offset)
    return NewDesign(X, Xi, tuple(codes for codes, _ in found), unseen, offset, frame.index)


def whole_sample_variables(sources: Iterable[Any]) -> list[str]:
    """Code of the variables whose values depend on all rows of the data.

    Parameters
    ----------
    sources : iterable
        Codings and expressions of a model; others are passed over.

    Returns
    -------
    list of str
        Each once.
    """
    found = [e for own in sources for e in getattr(own, "expressions", {"": own}).values()]
    return list(dict.fromkeys(e.code for e in found if getattr(e, "of_all_rows", False)))


def refusal_of_other_rows(codes: Sequence[str]) -> str:
    """Why variables that depend on all rows have no values in new ones, and what to write.

    Parameters
    ----------
    codes : sequence of str
        The variables.

    Returns
    -------
    str
    """
    return (
        f"{', '.join(map(repr, codes))}: the value in one row depends on the other rows (a mean, a standard "
        "deviation, ranks, quantiles of the data), which are others in new data than in the fit. Write "
        "center(x), standardize(x), bs(x, df=4) or poly(x, 2), which remember the rows of the fit, or "
        "compute the column before"
    )


def _may_be_of_fit(design: Design, n: int) -> bool:
    """Whether so many rows may be the data of the fit."""
    if design.kept_rows is None or n != len(design.y) + design.n_dropped:
        return False
    return n == len(design.y) if design.positions is None else len(design.positions) == len(design.y)


def _are_of_fit(
    design: Design, coded: FloatArray, Xi: Sequence[FloatArray], offset: FloatArray | None
) -> bool:
    """Whether as many rows as the data of the fit have are these, as far as their columns tell."""
    own = np.arange(len(coded)) if design.positions is None else design.positions
    pairs = [(coded[:, list(design.kept_columns)], design.X)]
    pairs += [(new, term.Xi) for new, term in zip(Xi, design.terms, strict=True) if len(new)]
    pairs += [] if offset is None or design.offset is None else [(offset, design.offset)]
    return all(np.allclose(new[own], old, equal_nan=True) for new, old in pairs)


def _determined(schema: Schema, coded: FloatArray) -> FloatArray:
    """X for some rows; NaN, with a warning, in those whose mean the data of the fit do not determine."""
    X = coded[:, list(schema.kept_columns)]
    if schema.dependence is None:
        return X
    lost = ~schema.dependence.holds(coded) & ~np.isnan(coded).any(axis=1)
    if lost.any():
        warnings.warn(
            f"{int(lost.sum())} of {len(X)} rows have no prediction (NaN): the data of the fit do not "
            f"determine it. There the columns {list(schema.dropped_columns)} depended on the others and were "
            "left out; here they do not (an empty cell, or a collinearity that does not hold)",
            RankDeficiencyWarning,
            stacklevel=callers_level(),
        )
        X[lost] = np.nan
    return X


def _new_numbers(values: Any) -> FloatArray:
    numbers = np.asarray(values, dtype=float)
    return numbers.reshape(len(numbers))


def _grouping_columns(labels: FactorLabels, frame: pd.DataFrame) -> list[pd.Series]:
    try:
        check_columns(labels.columns, frame.columns)
    except UnknownColumnError as error:
        raise UnknownColumnError(
            f'{error} The random effects of "{labels.name}" need them; for predictions without random '
            "effects say random=False"
        ) from error
    return [column_of(frame, name) for name in labels.columns]


def _raw_columns(labels: TermLabels, columns: Columns, ignored: BoolArray) -> FloatArray:
    if labels.coding is None:
        return np.ones((columns.n_rows, 1))
    return np.asarray(labels.coding(columns, ignored))
