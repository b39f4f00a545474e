"""The terms of the fixed part: their columns, which contain which, and the rows they were coded from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import InferenceError
from interlace.frames.columns import Columns, as_frame
from interlace.streaming.record import StreamedDesign


@dataclass(frozen=True)
class FixedTerm:
    """One term of the fixed part.

    Attributes
    ----------
    name : str
        As patsy writes it.
    factors, numerics : frozenset of str
        Its variables, and those of them that are numeric.
    columns : tuple of int
        Its columns of X; fewer than it asked for where columns were dropped.
    coded : tuple of int
        Its columns among those coded from the data, dropped ones included.
    is_plain : bool
        Whether its columns are indicators of categories times numeric variables.
    """

    name: str
    factors: frozenset[str]
    numerics: frozenset[str]
    columns: tuple[int, ...]
    coded: tuple[int, ...]
    is_plain: bool = True

    def is_contained_in(self, other: FixedTerm) -> bool:
        """Whether the other term has the same numeric variables and these and more categorical ones."""
        return self.factors < other.factors and self.numerics == other.numerics


def fixed_terms(design: Design) -> tuple[FixedTerm, ...]:
    """Terms of the fixed part in their order, the intercept left out.

    Parameters
    ----------
    design : Design
        With a formula, or from arrays: then every column but a constant one is a term.

    Returns
    -------
    tuple of FixedTerm
    """
    place = {coded: at for at, coded in enumerate(design.kept_columns)}
    if design.formula is None:
        return tuple(_from_column(name, j, place) for j, name in _varying(design))
    info = design.coding.info
    kinds = {factor.name(): known.type for factor, known in info.factor_infos.items()}
    found = []
    for term, span in info.term_slices.items():
        names = frozenset(factor.name() for factor in term.factors)
        if names:
            coded = tuple(range(span.start, span.stop))
            columns = tuple(place[j] for j in coded if j in place)
            numerics = frozenset(name for name in names if kinds[name] == "numerical")
            plain = len(columns) == 1 or _is_treatment(info.term_codings[term])
            found.append(FixedTerm(term.name(), names, numerics, columns, coded, plain))
    return tuple(found)


def has_intercept(design: Design) -> bool:
    """Whether an intercept is among the terms, or no categories are there that would stand for one.

    Parameters
    ----------
    design : Design
        Of a model.

    Returns
    -------
    bool
        True as well for designs from arrays, whose columns are what they are.
    """
    if design.formula is None:
        return True
    info = design.coding.info
    kinds = {known.type for known in info.factor_infos.values()}
    return "categorical" not in kinds or any(not term.factors for term in info.term_slices)


def _is_treatment(subterms: Sequence[Any]) -> bool:
    codings = [coding for subterm in subterms for coding in subterm.contrast_matrices.values()]
    return all(_is_indicator(coding) for coding in codings)


def _is_indicator(coding: Any) -> bool:
    """Whether the columns are indicators of categories, of all or of all but one."""
    matrix = np.asarray(coding.matrix)
    return bool(np.isin(matrix, (0.0, 1.0)).all() and (matrix.sum(axis=0) == 1.0).all())


def _varying(design: Design) -> list[tuple[int, str]]:
    constants = getattr(design.coding, "constants", {})
    names = enumerate(design.coding.names)
    return [(j, name) for j, name in names if name not in constants and not _is_constant(design, j)]


def _is_constant(design: Design, coded: int) -> bool:
    if coded not in design.kept_columns or not len(design.X):
        return False
    return bool(np.ptp(design.X[:, design.kept_columns.index(coded)]) == 0.0)


def _from_column(name: str, j: int, place: dict[int, int]) -> FixedTerm:
    own = frozenset([name])
    return FixedTerm(name, own, own, (place[j],) if j in place else (), (j,))


def rows_of_fit(design: Design, frame: Any) -> pd.DataFrame:
    """Rows of the data that the fit used.

    Parameters
    ----------
    design : Design
        Of the fit.
    frame : table or None
        The data that the model was built from.

    Returns
    -------
    DataFrame

    Raises
    ------
    InferenceError
        If the data are gone, or no longer what they were.
    """
    if isinstance(design, StreamedDesign):
        _ = design.rows  # refused, with the reason
    if design.formula is None or frame is None:
        missing = "the model was built from arrays" if design.formula is None else "the data were removed"
        raise InferenceError(
            f"this needs the variables of the formula, and {missing}; build the model from a formula and "
            "keep its data"
        )
    rows = as_frame(frame)
    rows = rows if design.positions is None else rows.iloc[design.positions]
    if len(rows) != len(design.X) or not np.allclose(coded_matrix(design, rows), design.X, equal_nan=True):
        raise InferenceError("the data have changed since the fit; build the model again")
    return rows


def complete_spans(design: Design, frame: Any) -> dict[str, FloatArray]:
    """Columns of every term with an indicator for each category, (n, K), by the term's name.

    Parameters
    ----------
    design : Design
        With a formula.
    frame : table
        The data.

    Returns
    -------
    dict of str to ndarray
        The intercept, if there is one, is ``""``.
    """
    coding = design.coding.with_every_category()
    matrix = coding(Columns(rows_of_fit(design, frame)))
    names = {term.factors: term.name for term in fixed_terms(design)}
    return {
        names.get(frozenset(f.name() for f in term.factors), ""): matrix[:, span]
        for term, span in coding.info.term_slices.items()
    }


def coded_matrix(design: Design, rows: pd.DataFrame, columns: Sequence[int] | None = None) -> FloatArray:
    """Fixed-effects columns for some rows, shape (n, k).

    Parameters
    ----------
    design : Design
        Of the fit.
    rows : DataFrame
        With the variables of the formula.
    columns : sequence of int, optional
        Columns among the coded ones; those of X by default.

    Returns
    -------
    ndarray of shape (n, k)
    """
    wanted = design.kept_columns if columns is None else columns
    return np.asarray(design.coding(Columns(rows))[:, list(wanted)])
