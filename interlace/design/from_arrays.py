"""The design of a model that is given by arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import DesignError
from interlace.formula.bars import collect_bars
from interlace.formula.coding import code_sides, parse_terms, plain_info, variables_of
from interlace.formula.grammar import Bar
from interlace.formula.variables import Variable, as_environment, evaluate
from interlace.frames.columns import (
    Columns,
    as_frame,
    as_pandas,
    check_columns,
    missing_rows,
    plain,
    unmasked,
)
from interlace.frames.levels import factorise
from interlace.frames.readings import warn_of_same_readings
from interlace.frames.used_rows import Missing, complete_rows, row_vector
from interlace.names import INTERCEPT

from .assembly import (
    ONLY_INTERCEPT,
    Block,
    Parts,
    Rank,
    assemble,
    offset_source,
    random_block,
)
from .record import Design


@dataclass(frozen=True, eq=False)
class NamedColumns:
    """A matrix that is some columns of a table, by name.

    Attributes
    ----------
    names : tuple of str
        The columns.
    constants : mapping of str to float
        Columns that were constant and had no name of their own: new data need not have them.
    """

    names: tuple[str, ...]
    constants: Mapping[str, float]

    def __call__(self, columns: Columns, ignored: BoolArray | None = None) -> FloatArray:  # noqa: ARG002
        """The columns of new data, shape (n, k); there are no levels that could be ignored."""
        check_columns([name for name in self.names if name not in self.constants], columns)
        n = columns.n_rows
        found = [
            np.asarray(columns[name], dtype=float) if name in columns else np.full(n, self.constants[name])
            for name in self.names
        ]
        return np.column_stack(found) if found else np.empty((n, 0))

    def design_info(self) -> Any:
        """Patsy's description: one term per column."""
        return plain_info(self.names)


@dataclass(frozen=True, eq=False)
class _Matrix:
    """A numeric matrix with names, and where the names came from."""

    values: FloatArray
    coding: NamedColumns


def design_from_arrays(
    endog: Any,
    exog: Any = None,
    *,
    groups: Any,
    exog_re: Any = None,
    random: str | Sequence[str] | None = None,
    weights: Any = None,
    offset: Any = None,
    missing: Missing = "none",
    rank: Rank = "drop",
    eval_env: Any = None,
) -> Design:
    """Matrices and labels of a model given by arrays.

    Parameters
    ----------
    endog : array of shape (n,)
        Response.
    exog : array or frame of shape (n, p), optional
        Fixed-effects model matrix; by default an intercept alone.
    groups : frame, mapping, Series, or array of shape (n,) or (n, f)
        Grouping columns.  Each one that neither ``exog_re`` nor ``random`` mentions gets a random
        intercept.
    exog_re : mapping of str to array or frame, optional
        For a factor, the columns of one correlated term; without the mapping, for the only factor.
    random : str or sequence of str, optional
        Terms such as ``"(1 + x | g)"`` on the columns of ``exog`` and ``groups``.
    weights, offset : Series or array, optional
        One number per row.
    missing : {"none", "drop", "raise"}, default "none"
        What to do with rows in which something is missing; "none" means that there are none.
    rank : {"drop", "error"}, default "drop"
        What to do with dependent columns of ``exog``.
    eval_env : patsy.EvalEnvironment or mapping, optional
        Names that bars use and that are not columns.

    Returns
    -------
    Design
        Names are those of the frames, or ``x1, x2, ...`` and ``const`` as in statsmodels.

    Raises
    ------
    DesignError
        With what was seen, what was wanted and what to do.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([1.0, 2.0, 4.0, 3.0, 5.0, 1.0])
    >>> design = design_from_arrays(y, groups={"g": list("aabbcc"), "h": [1, 2, 3, 1, 2, 3]})
    >>> [labels.name for labels in design.factor_labels]
    ['g', 'h']
    """
    endog, exog, groups, exog_re = (unmasked(given) for given in (endog, exog, groups, exog_re))
    grouping = _grouping_columns(as_pandas(groups))
    index = _common_index((endog, exog, groups, exog_re), len(as_pandas(endog)))
    n = len(index)
    response = _matrix(endog, n, "endog", stem="y")
    if response.values.shape[1] != 1:
        raise DesignError(f"endog has {response.values.shape[1]} columns; wanted one")
    fixed = _matrix(np.ones(n) if exog is None else exog, n, "exog", stem="x", constant="const")
    frame = _frame(grouping, fixed, index)
    given = _random_matrices(exog_re, list(grouping), n)
    columns, env = Columns(frame), as_environment(eval_env)
    bars = _bars(list(grouping), given, random, frame)

    codes = variables_of(parse_terms(bar.lhs) for bar in bars if bar.factors not in given)
    variables = {code: evaluate(code, columns, env) for code in codes}
    coded = {name: factorise(frame[name]) for bar in bars for name in bar.factors}
    for name, column in coded.items():
        warn_of_same_readings(name, column.levels)
    w = row_vector(weights, "weights", columns, index, None)
    o = row_vector(offset, "offset", columns, index, None)
    absent = {"endog": missing_rows(response.values), "exog": missing_rows(fixed.values)}
    absent |= {f"exog_re[{':'.join(f)!r}]": missing_rows(m.values) for f, m in given.items()}
    absent |= {code: variable.missing for code, variable in variables.items()}
    absent |= {name: column.codes < 0 for name, column in coded.items()}
    absent |= {what: np.isnan(v) for what, v in (("weights", w), ("offset", o)) if v is not None}
    kept = complete_rows(absent, n, missing)
    rows = np.arange(n) if kept is None else kept

    used = {code: variable.take(kept) for code, variable in variables.items()}
    parts = Parts(
        y=response.values[rows, 0],
        yname=response.coding.names[0],
        X=fixed.values[rows],
        coding=fixed.coding,
        blocks=[_block(bar, given.get(bar.factors), used, rows) for bar in bars],
        coded={name: column.take(kept) for name, column in coded.items()},
        weights=None if w is None else w[rows],
        offset=None if o is None else o[rows],
        index=index[rows],
        n_dropped=n - len(rows),
        offsets=offset_source(offset),
    )
    return assemble(parts, rank=rank)


def is_matrix(random: Any) -> bool:
    """Whether numbers were given where the text of random-effects terms was wanted.

    Parameters
    ----------
    random : object
        What was given.

    Returns
    -------
    bool
        True for arrays, frames, Series and mappings, and for lists that hold anything but text.
    """
    if random is None or isinstance(random, str):
        return False
    if isinstance(as_pandas(random), np.ndarray | pd.Series | pd.DataFrame | Mapping):
        return True
    return isinstance(random, Sequence) and bool(random) and not any(isinstance(r, str) for r in random)


# ---- arrays with names -----------------------------------------------------------------------


def _matrix(given: Any, n: int, what: str, *, stem: str, constant: str = "") -> _Matrix:
    """Numbers with names: those of the frame, or made up from the stem."""
    given = as_pandas(given)
    if isinstance(given, pd.Series):
        given = given.to_frame(stem if given.name is None else given.name)
    named = isinstance(given, pd.DataFrame)
    columns = (
        [plain(given[name]) for name in given.columns] if named else list(np.atleast_2d(np.asarray(given).T))
    )
    numbers = [_real_numbers(column, what) for column in columns]
    values = np.column_stack(numbers) if numbers else np.empty((n, 0))
    if len(values) != n:
        raise DesignError(f"{what} has {len(values)} rows and endog has {n}; wanted the same number")
    if named:
        return _Matrix(values, NamedColumns(tuple(map(str, given.columns)), {}))
    return _Matrix(values, _made_up_names(values, stem, constant))


def _real_numbers(column: Any, what: str) -> FloatArray:
    if np.asarray(column).dtype.kind == "c":
        raise DesignError(f"{what} holds complex numbers; wanted real ones")
    try:
        return np.asarray(column, dtype=float)
    except (TypeError, ValueError) as error:
        raise DesignError(
            f"{what} holds values that are not numbers ({error}); code categories first, or use a formula"
        ) from error


def _made_up_names(values: FloatArray, stem: str, constant: str) -> NamedColumns:
    """``x1, x2, ...``; a first constant column gets its own name, as in statsmodels."""
    if values.shape[1] == 1 and not constant:
        return NamedColumns((stem,), {})
    fixed: Any = np.flatnonzero((values == values[:1]).all(axis=0) & (values[0] != 0)) if constant else []
    names = [f"{stem}{j + 1}" for j in range(values.shape[1])]
    if len(fixed) == 0:
        return NamedColumns(tuple(names), {})
    at = int(fixed[0])
    names = [*names[:at], constant, *names[at:-1]]
    return NamedColumns(tuple(names), {constant: float(values[0, at])})


def _common_index(given: Sequence[Any], n: int) -> pd.Index:
    """Index of the pandas objects among the arrays, which must agree."""
    if n == 0:
        raise DesignError("endog has no rows; wanted one number per row")
    tables = [part for thing in given for part in (thing.values() if isinstance(thing, dict) else (thing,))]
    indices = [table.index for table in tables if isinstance(table, pd.Series | pd.DataFrame)]
    if not indices:
        return pd.RangeIndex(n)
    if any(len(index) == n and not index.equals(indices[0]) for index in indices):
        raise DesignError("the indices of endog, exog and groups differ; align them, or give arrays")
    return indices[0]


def _grouping_columns(groups: Any) -> dict[str, Any]:
    """Grouping columns by name; without names ``group``, or ``group1, group2, ...``."""
    if groups is None or isinstance(groups, str):
        raise DesignError(f"groups={groups!r}; wanted the grouping columns: a frame, a Series or an array")
    if isinstance(groups, pd.Series):
        return {"group" if groups.name is None else str(groups.name): groups}
    if isinstance(groups, Mapping | pd.DataFrame) or hasattr(groups, "to_pandas"):
        frame = as_frame(groups)
        return {str(name): frame[name] for name in frame.columns}
    array = groups if isinstance(groups, pd.Categorical) else np.asarray(groups)
    if array.dtype.kind in "US" and isinstance(groups, list | tuple):
        array = np.asarray(groups, dtype=object)  # numpy would write 1 and "1" alike
    if array.ndim == 1:
        return {"group": array}
    if array.ndim != 2:
        raise DesignError(f"groups has {array.ndim} dimensions; wanted one column or several")
    return {f"group{j + 1}": array[:, j] for j in range(array.shape[1])}


def _frame(grouping: Mapping[str, Any], fixed: _Matrix, index: pd.Index) -> pd.DataFrame:
    """One frame with the grouping columns and those of exog."""
    n = len(index)
    if not grouping:
        raise DesignError("groups has no columns; wanted at least one")
    wrong = {name: len(column) for name, column in grouping.items() if len(column) != n}
    if len(wrong) == n:
        raise DesignError(f"groups has {n} columns, as many as endog has rows; give its transpose, or a dict")
    if wrong:
        raise DesignError(f"columns of groups have other lengths than endog ({n}): {wrong}")
    plain_columns = {name: getattr(column, "array", column) for name, column in grouping.items()}
    numbers = {
        name: fixed.values[:, j] for j, name in enumerate(fixed.coding.names) if name not in plain_columns
    }
    return pd.DataFrame({**plain_columns, **numbers}, index=index)


# ---- random effects --------------------------------------------------------------------------


def _random_matrices(exog_re: Any, names: Sequence[str], n: int) -> dict[tuple[str, ...], _Matrix]:
    if exog_re is None:
        return {}
    if not isinstance(exog_re, Mapping):
        if len(names) != 1:
            raise DesignError(
                f"exog_re is one matrix for {len(names)} factors; wanted a dict: {{{names[0]!r}: ...}}"
            )
        exog_re = {names[0]: exog_re}
    check_columns(exog_re, names, where="groups")
    return {(name,): _matrix(m, n, "exog_re", stem="re", constant=INTERCEPT) for name, m in exog_re.items()}


def _bars(
    grouping: Sequence[str],
    given: Mapping[tuple[str, ...], _Matrix],
    random: str | Sequence[str] | None,
    frame: pd.DataFrame,
) -> list[Bar]:
    """Terms for exog_re, those of ``random=``, and intercepts for the factors that are left."""
    written = collect_bars([], frame.columns, random=random) if random is not None else ()
    matrices = [Bar(" + ".join(["0", *m.coding.names]), factors) for factors, m in given.items()]
    twice = [bar for bar in written if bar.factors in given]
    if twice:
        raise DesignError(
            f"exog_re and {twice[0]} both give random effects of {twice[0].group}; wanted one of them"
        )
    mentioned = {name for bar in (*written, *matrices) for name in bar.factors}
    intercepts = {name: Bar("1", (name,)) for name in grouping if name not in mentioned}
    by_factor = {bar.factors[0]: bar for bar in matrices} | intercepts
    return [*(by_factor[name] for name in grouping if name in by_factor), *written]


def _block(bar: Bar, given: _Matrix | None, variables: Mapping[str, Variable], rows: IntArray) -> Block:
    if given is not None:
        return Block(bar, given.coding.names, given.values[rows], given.coding)
    terms, n = parse_terms(bar.lhs), len(rows)
    if terms == ONLY_INTERCEPT:
        return random_block(bar, None, n)
    return random_block(bar, code_sides([terms], {c: variables[c] for c in variables_of([terms])}, n)[0], n)
