"""The reference grid: every combination of categories, covariates at their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import linalg

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import ArgumentError, InferenceError
from interlace.formula.storage import names_in

from .fixed_terms import coded_matrix, rows_of_fit


@dataclass(frozen=True, eq=False)
class ReferenceGrid:
    """Combinations at which the fixed part is evaluated.

    Attributes
    ----------
    values : dict of str to list
        Values of every variable of the fixed part.
    categorical : frozenset of str
        The variables that are averaged over by their categories.
    frame : DataFrame
        One row per combination.
    X : ndarray of shape (rows, p)
        Fixed-effects columns of the combinations; NaN where the data do not determine them.
    rows : DataFrame
        The rows of the fit, for the frequencies of the categories.
    """

    values: Mapping[str, list[Any]]
    categorical: frozenset[str]
    frame: pd.DataFrame
    X: FloatArray
    rows: pd.DataFrame


def reference_grid(
    design: Design, frame: Any, at: Mapping[str, Any] | None, wanted: Iterable[str]
) -> ReferenceGrid:
    """Lay out the grid.

    Parameters
    ----------
    design : Design
        Of the fit.
    frame : table
        The data.
    at : mapping of str to values, optional
        Values of some variables, for means or categories.
    wanted : iterable of str
        Variables that must be there.

    Returns
    -------
    ReferenceGrid

    Raises
    ------
    InferenceError
        If a variable is not one of the fixed part, or a value not one of its categories.
    """
    rows = rows_of_fit(design, frame)
    kinds = _variables(design, rows)
    given = {name: _listed(value) for name, value in (at or {}).items()}
    unknown = [name for name in [*wanted, *given] if name not in kinds]
    if unknown:
        raise InferenceError(f"{unknown} are no variables of the fixed part; those are {list(kinds)}")
    values = {}
    for name, is_category in kinds.items():
        values[name] = _categories(rows[name]) if is_category else [float(rows[name].mean())]
        if name in given:
            values[name] = _chosen(name, given[name], values[name] if is_category else None)
    grid = _product(values, rows)
    X = coded_matrix(design, grid)
    if design.dropped_columns:
        X = np.where(_is_estimable(design, rows, grid)[:, None], X, np.nan)
    return ReferenceGrid(values, frozenset(n for n, k in kinds.items() if k), grid, X, rows)


def _variables(design: Design, rows: pd.DataFrame) -> dict[str, bool]:
    """Columns of the data that the fixed part uses, and whether as categories."""
    kinds: dict[str, bool] = {}
    for factor, known in design.coding.info.factor_infos.items():
        for name in names_in(factor.name()):
            if name in rows.columns:
                kinds[name] = kinds.get(name, False) or known.type == "categorical"
    return kinds


def _categories(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.dropna())
        return [level for level in column.cat.categories if level in present]
    return sorted(column.dropna().unique().tolist())


def _listed(value: Any) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    return list(value)


def _chosen(name: str, given: list[Any], known: list[Any] | None) -> list[Any]:
    wrong = [] if known is None else [value for value in given if value not in known]
    if wrong or not given:
        raise InferenceError(f"at: {wrong} are no categories of {name!r}; those are {known}")
    return given


def _product(values: Mapping[str, list[Any]], rows: pd.DataFrame) -> pd.DataFrame:
    if not values:
        return pd.DataFrame(index=[0])
    grid = pd.DataFrame(list(product(*values.values())), columns=list(values))
    for name in values:
        kind = rows[name].dtype
        if isinstance(kind, pd.CategoricalDtype):
            grid[name] = pd.Categorical(grid[name], dtype=kind)
    return grid


def _is_estimable(design: Design, rows: pd.DataFrame, grid: pd.DataFrame) -> Any:
    """Whether the data determine each combination, dropped columns or not."""
    coded = range(len(design.coding.names))
    X = coded_matrix(design, rows, coded)
    length = np.linalg.norm(X, axis=0)
    scale = np.where(length > 0.0, length, 1.0)
    free = linalg.null_space(X / scale, rcond=1e-8)
    return np.abs((coded_matrix(design, grid, coded) * scale) @ free).max(axis=1, initial=0.0) < 1e-6


def averaging_rows(grid: ReferenceGrid, over: Sequence[str], weights: str) -> tuple[pd.DataFrame, FloatArray]:
    """Average the grid over the variables that are not asked about.

    Parameters
    ----------
    grid : ReferenceGrid
        The grid.
    over : sequence of str
        Variables that are kept.
    weights : {"equal", "proportional"}
        Weights of the categories averaged over: equal, or by how often their combinations occur.

    Returns
    -------
    labels : DataFrame
        Values of the kept variables.
    contrasts : ndarray of shape (r, p)
        Rows whose products with the fixed effects are the means.
    """
    if weights not in ("equal", "proportional"):
        raise ArgumentError(f"weights={weights!r} is not offered; give 'equal' or 'proportional'")
    share = _shares(grid, [name for name in grid.values if name not in over], weights)
    labels = pd.DataFrame(list(product(*(grid.values[name] for name in over))), columns=list(over))
    total = np.zeros((max(len(labels), 1), len(share)))
    total[_positions(grid, labels), np.arange(len(share))] = share
    rows = total @ np.nan_to_num(grid.X) / total.sum(axis=1, keepdims=True)
    unknown = np.isnan(grid.X).any(axis=1).astype(float)
    return labels, np.where((total @ unknown > 0.0)[:, None], np.nan, rows)


def _shares(grid: ReferenceGrid, averaged: Sequence[str], weights: str) -> FloatArray:
    """Weight of each combination of the grid: 1, or how often its categories averaged over occur."""
    counted = [name for name in averaged if name in grid.categorical]
    if weights == "equal" or not counted:
        return np.ones(len(grid.frame))
    counts = grid.rows.groupby(counted, observed=True).size()
    keys = grid.frame[counted].itertuples(index=False, name=None)
    return np.array([counts.get(key if len(counted) > 1 else key[0], 0) for key in keys], dtype=float)


def _positions(grid: ReferenceGrid, labels: pd.DataFrame) -> IntArray:
    """Which row of the labels each combination of the grid belongs to."""
    if not len(labels.columns):
        return np.zeros(len(grid.frame), dtype=np.intp)
    position = {key: at for at, key in enumerate(labels.itertuples(index=False, name=None))}
    keys = grid.frame[list(labels.columns)].itertuples(index=False, name=None)
    return np.array([position[key] for key in keys], dtype=np.intp)
