"""The reference grid: every combination of categories, covariates at their means.

Which variables are averaged over by their values, and which factors are nested in others, is decided as by
R's emmeans: a number that the formula turns into categories is still a number, unless it is nothing but
``C(x)``; a covariate with two values is kept at both; of a factor nested in another only those combinations
are there that occur in the data.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design, refusal_of_other_rows, whole_sample_variables
from interlace.errors import ArgumentError, DataWarning, InferenceError, callers_level
from interlace.formula.spelling import column_coded, quoted_names
from interlace.formula.storage import names_in
from interlace.frames.columns import plain

from .fixed_terms import coded_matrix, rows_of_fit

# Combinations that are laid out at most.
LARGEST_GRID = 1_000_000


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
    nests : dict of str to tuple of str
        Variables that are nested in others: each of their values occurs with one combination of those.
    """

    values: Mapping[str, list[Any]]
    categorical: frozenset[str]
    frame: pd.DataFrame
    X: FloatArray
    rows: pd.DataFrame
    nests: Mapping[str, tuple[str, ...]]


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
        known = _two_values(rows[name]) if not is_category else _categories(rows[name])
        values[name] = [float(rows[name].mean())] if known is None else known
        if name in given:
            values[name] = _chosen(name, given[name], values[name] if is_category else None)
        kinds[name] = is_category or (known is not None and name not in given)
    nests = _nests(rows, [name for name, counted in kinds.items() if counted])
    grid = _occurring(_product(values, rows), rows, nests)
    X = _determined_matrix(design, grid)
    return ReferenceGrid(values, frozenset(n for n, k in kinds.items() if k), grid, X, rows, nests)


def _variables(design: Design, rows: pd.DataFrame) -> dict[str, bool]:
    """Columns of the data that the fixed part uses, and whether as categories."""
    kinds: dict[str, bool] = {}
    for factor, known in design.coding.info.factor_infos.items():
        code = factor.name()
        for name in dict.fromkeys([*names_in(code), *quoted_names(code)]):
            if name in rows.columns:
                as_it_is = known.type == "categorical" and column_coded(code) == name
                kinds[name] = kinds.get(name, False) or as_it_is or not _is_number(rows[name])
    return kinds


def _is_number(column: pd.Series) -> bool:
    kind = plain(column).dtype
    return bool(pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind))


def _two_values(column: pd.Series) -> list[Any] | None:
    """Both values of a covariate that has no more; None for any other."""
    found = pd.unique(column.dropna())
    return sorted(found.tolist()) if len(found) == 2 else None


def _nests(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Variables each value of which occurs with one value only of others, and those others."""
    codes = {name: pd.factorize(rows[name])[0] for name in names}
    codes = {name: own for name, own in codes.items() if own.max(initial=0) > 0}
    nests: dict[str, tuple[str, ...]] = {}
    for name, own in codes.items():
        others = (other for other in codes if other != name and name not in nests.get(other, ()))
        inside = tuple(other for other in others if _is_function(codes[other], own))
        if inside:
            nests[name] = inside
    return nests


def _is_function(values: IntArray, of: IntArray) -> bool:
    """Whether one code tells the other."""
    first = np.full(int(of.max()) + 1, -1)
    first[of] = values
    return bool((first[of] == values).all())


def _occurring(grid: pd.DataFrame, rows: pd.DataFrame, nests: Mapping[str, tuple[str, ...]]) -> pd.DataFrame:
    """The combinations in which nested variables are where they occur."""
    for name, others in nests.items():
        for other in others:
            pairs = set(zip(rows[name], rows[other], strict=True))
            kept = [pair in pairs for pair in zip(grid[name], grid[other], strict=True)]
            grid = grid[kept].reset_index(drop=True)
    return grid


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
    size = prod(map(len, values.values()))
    if size > LARGEST_GRID:
        counts = {name: len(own) for name, own in values.items() if len(own) > 1}
        raise InferenceError(
            f"the reference grid would have {size} combinations of the values {counts}; say with at= at "
            "which values of some of them the means are wanted"
        )
    grid = pd.DataFrame(list(product(*values.values())), columns=list(values))
    for name in values:
        kind = rows[name].dtype
        if isinstance(kind, pd.CategoricalDtype):
            grid[name] = pd.Categorical(grid[name], dtype=kind)
    return grid


def _determined_matrix(design: Design, grid: pd.DataFrame) -> FloatArray:
    """Fixed-effects columns of the combinations; NaN where the data do not determine them."""
    blamed = whole_sample_variables([design.coding])
    if blamed:
        _warn(f"the means are NaN: a grid of combinations has no values of {refusal_of_other_rows(blamed)}")
        return np.full((len(grid), len(design.xnames)), np.nan)
    coded = coded_matrix(design, grid, range(len(design.coding.names)))
    X = coded[:, list(design.kept_columns)]
    return X if design.dependence is None else np.where(design.dependence.holds(coded)[:, None], X, np.nan)


def _warn(message: str) -> None:
    warnings.warn(message, DataWarning, stacklevel=callers_level())


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
    there = np.asarray(total.any(axis=1))  # a nested variable has no mean where it does not occur
    labels, total = labels[there[: len(labels)]].reset_index(drop=True), total[there]
    rows = total @ np.nan_to_num(grid.X) / total.sum(axis=1, keepdims=True)
    unknown = np.isnan(grid.X).any(axis=1).astype(float)
    return labels, np.where((total @ unknown > 0.0)[:, None], np.nan, rows)


def _shares(grid: ReferenceGrid, averaged: Sequence[str], weights: str) -> FloatArray:
    """Weight of each combination of the grid: 1, or how often its categories averaged over occur."""
    counted = [name for name in averaged if name in grid.categorical]
    if weights == "equal" or not counted:
        return _equal_shares(grid, averaged)
    counts = grid.rows.groupby(counted, observed=True).size()
    keys = grid.frame[counted].itertuples(index=False, name=None)
    return np.array([counts.get(key if len(counted) > 1 else key[0], 0) for key in keys], dtype=float)


def _equal_shares(grid: ReferenceGrid, averaged: Sequence[str]) -> FloatArray:
    """Equal weights; values of a nested variable share those of what they are nested in."""
    share = np.ones(len(grid.frame))
    for name, others in grid.nests.items():
        if name in averaged:
            within = grid.frame.groupby(list(others), observed=True)[name]
            share /= within.transform("nunique").to_numpy(dtype=float)
    return share


def _positions(grid: ReferenceGrid, labels: pd.DataFrame) -> IntArray:
    """Which row of the labels each combination of the grid belongs to."""
    if not len(labels.columns):
        return np.zeros(len(grid.frame), dtype=np.intp)
    position = {key: at for at, key in enumerate(labels.itertuples(index=False, name=None))}
    keys = grid.frame[list(labels.columns)].itertuples(index=False, name=None)
    return np.array([position[key] for key in keys], dtype=np.intp)
