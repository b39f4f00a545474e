"""Variables of a formula: evaluated once, and remembered so that new data can follow.

A variable is what patsy calls a factor: ``x``, ``np.log(x)``, ``C(f, Sum)``.  What is remembered of
one are means, knots, and the names of the caller that it uses.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import patsy
from pandas.api import types
from patsy.eval import EvalEnvironment, EvalFactor

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import DesignError, FormulaError, UnknownColumnError
from interlace.frames.columns import Columns, missing_rows, plain, refuse_objects
from interlace.frames.readings import check_text_numbers, explain_text, warn_of_same_readings

from .orthogonal import Poly
from .rowwise import depends_on_other_rows, is_rowwise
from .safe import SafeEnvironment, check_safe, safe_environment
from .spelling import DOTTED, calls_in, function_advice, quoted_names, unknown_message
from .storage import check_restored, functions_in, names_in, restored_state, stored_state
from .tokens import no_deeper_than_python

NO_NAMES = EvalEnvironment([{}])
# What every formula may call beside patsy's own functions.
OWN_FUNCTIONS = {"poly": patsy.stateful_transform(Poly)}


def capture_environment(depth: int = 0) -> EvalEnvironment:
    """Names that a calling function sees.

    Parameters
    ----------
    depth : int, default 0
        0 for the function that calls this one, 1 for its caller, and so on.

    Returns
    -------
    patsy.EvalEnvironment
        Where formulas look for what is not in the data.
    """
    return EvalEnvironment.capture(depth, reference=1)


def environment_above(eval_env: Any) -> Any:
    """Names that the caller of a function sees, or of a function above it, as ``eval_env=`` asks for.

    Parameters
    ----------
    eval_env : int, mapping or patsy environment
        So many frames above the caller of the function that calls this one; -1 for no names at all, in
        which case no code is run either.

    Returns
    -------
    patsy.EvalEnvironment or mapping
    """
    if not isinstance(eval_env, int):
        return eval_env
    return safe_environment() if eval_env < 0 else capture_environment(eval_env + 2)


def one_frame_deeper(eval_env: Any) -> Any:
    """The same ``eval_env=`` for a function that is called one frame further down.

    Parameters
    ----------
    eval_env : int, mapping or patsy environment
        As given; -1 means no names, wherever it is said.

    Returns
    -------
    int, mapping or patsy environment
    """
    return eval_env + 1 if isinstance(eval_env, int) and eval_env >= 0 else eval_env


def as_environment(names: Any) -> EvalEnvironment:
    """Environment from what users may give as one.

    Parameters
    ----------
    names : EvalEnvironment, mapping or None
        Names and their values; None for no names at all.

    Returns
    -------
    patsy.EvalEnvironment
        The same thing, as patsy has it.
    """
    if isinstance(names, EvalEnvironment):
        return names
    return EvalEnvironment([dict(names)]) if names else NO_NAMES


# ---- expressions -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Expression:
    """Code of a variable and what it remembers of the data it was fitted to.

    Attributes
    ----------
    code : str
        As patsy spells it: ``"np.log(x)"``.
    state : dict or None
        patsy's memory of it; None for the plain name of a column.
    of_all_rows : bool
        Whether its value in a row depends on the others: then it means nothing for new rows.
    """

    code: str
    state: dict[str, Any] | None = None
    of_all_rows: bool = False

    def __call__(self, columns: Mapping[str, Any]) -> Any:
        """Value of the expression for some data."""
        if self.state is None:
            if self.code not in columns:
                raise UnknownColumnError(unknown_message([self.code], self.code, columns))
            return columns[self.code]
        check_restored(self.code, self.state)
        columns = _without_functions(self.code, columns, self.state["eval_env"])
        return _evaluated(EvalFactor(self.code), self.state, columns)

    def memory(self) -> dict[str, Any]:
        """State as patsy wants it, also of a plain name."""
        return remember(self.code, {}, NO_NAMES) if self.state is None else self.state

    def __getstate__(self) -> dict[str, Any]:
        state = None if self.state is None else stored_state(self.state)
        return {"code": self.code, "state": state, "of_all_rows": self.of_all_rows}

    def __setstate__(self, stored: dict[str, Any]) -> None:
        state = stored["state"]
        object.__setattr__(self, "code", stored["code"])
        object.__setattr__(self, "state", None if state is None else restored_state(state))
        object.__setattr__(self, "of_all_rows", stored.get("of_all_rows", False))

    def __deepcopy__(self, memo: dict[int, Any]) -> Expression:
        # Nothing writes to the state after the fit: copies can share it.
        return self


def learn(code: str, columns: Mapping[str, Any], env: EvalEnvironment) -> Expression:
    """Let an expression see the data it will be fitted to.

    Parameters
    ----------
    code : str
        The expression.
    columns : mapping
        The data.
    env : EvalEnvironment
        Names that are not in the data.

    Returns
    -------
    Expression
        With its memory filled.
    """
    if code in columns and code.isidentifier():
        return Expression(code)
    if isinstance(env, SafeEnvironment):
        check_safe(code)
    return Expression(code, remember(code, columns, env))


def remember(code: str, columns: Mapping[str, Any], env: EvalEnvironment) -> dict[str, Any]:
    """State of an expression in patsy's terms, after one look at the data.

    Parameters
    ----------
    code : str
        The expression.
    columns : mapping
        The data.
    env : EvalEnvironment
        Names that are not in the data.

    Returns
    -------
    dict
        The state that ``patsy.EvalFactor`` takes.
    """
    factor, state = EvalFactor(code), dict[str, Any]()
    everything, columns = columns, _without_functions(code, columns, env)
    env = env.with_outer_namespace(OWN_FUNCTIONS)
    try:
        with no_deeper_than_python(code):
            ast.parse(code.strip(), mode="eval")
        for which in range(factor.memorize_passes_needed(state, env)):
            factor.memorize_chunk(_without_gaps(state), which, columns)
            factor.memorize_finish(state, which)
    except SyntaxError as error:
        name = code.partition("(")[0].strip()
        advice = function_advice(name, code.partition("(")[2].partition(")")[0]) if name in DOTTED else ""
        raise FormulaError(advice or f'"{code[:80]}" is not a Python expression: {error.msg}') from error
    except patsy.PatsyError as error:
        raise _explained(code, everything, env, error) from error
    return state


def _without_functions(code: str, columns: Mapping[str, Any], env: EvalEnvironment) -> Mapping[str, Any]:
    """The data without columns that have the names of functions which the code calls: ``np``, ``C``."""
    try:
        hidden = [name for name in functions_in(code) if name in columns and _is_function(name, code, env)]
    except (SyntaxError, RecursionError, MemoryError):
        return columns  # said elsewhere
    return {name: columns[name] for name in columns if name not in hidden} if hidden else columns


def _is_function(name: str, code: str, env: EvalEnvironment) -> bool:
    """Whether a name that stands for a column too means a module, or a function that is called, here."""
    found = env.namespace.get(name) if name in env.namespace else getattr(patsy.builtins, name, None)
    return isinstance(found, ModuleType) or (callable(found) and name in [call for call, _ in calls_in(code)])


def _without_gaps(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "transforms": {name: CompleteRows(t) for name, t in state["transforms"].items()}}


class CompleteRows:
    """A transformation that learns its means and knots from the rows in which its arguments have values."""

    def __init__(self, transform: Any) -> None:
        self._transform = transform

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transform, name)

    def memorize_chunk(self, *arguments: Any, **options: Any) -> None:
        """Take some rows in, those with gaps left out."""
        sizes = [np.shape(argument)[:1] for argument in arguments]
        by_row = [size == sizes[0] != () for size in sizes]
        gaps = [missing_rows(argument) for argument, rows in zip(arguments, by_row, strict=True) if rows]
        if gaps and np.any(gaps):
            complete = ~np.any(gaps, axis=0)
            taken = zip(arguments, by_row, strict=True)
            arguments = tuple(np.asarray(a)[complete] if rows else a for a, rows in taken)
        self._transform.memorize_chunk(*arguments, **options)


def _evaluated(factor: EvalFactor, state: dict[str, Any], columns: Mapping[str, Any]) -> Any:
    try:
        return factor.eval(state, columns)
    except patsy.PatsyError as error:
        raise _explained(factor.code, columns, state["eval_env"], error) from error


def _explained(code: str, columns: Mapping[str, Any], env: EvalEnvironment, error: Exception) -> DesignError:
    """What to tell the user when an expression cannot be evaluated."""
    cause = error.__cause__
    names = [*names_in(code), *quoted_names(code)]
    absent = [name for name in names if name not in columns and not _visible(name, env)]
    if isinstance(cause, KeyError):
        absent = absent or [str(cause.args[0])]
    if isinstance(cause, NameError | KeyError) and absent:
        return UnknownColumnError(unknown_message(absent, code, columns))
    if isinstance(cause, DesignError):
        return DesignError(f"{cause}{explain_text(columns, names)}")
    told = f'cannot evaluate "{code}": {type(cause or error).__name__}: {cause or error}'
    return DesignError(told + explain_text(columns, names))


def _visible(name: str, env: EvalEnvironment) -> bool:
    return name in env.namespace or name in patsy.builtins.__all__ or hasattr(builtins, name)


# ---- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Variable:
    """An evaluated variable: numbers or categories.

    Attributes
    ----------
    expression : Expression
        Where it came from.
    values : ndarray of shape (n, k) or Categorical
        Numbers as floats; for categories NaN is code -1.
    contrast : object
        Coding asked for by ``C(f, contrast)``, or None for patsy's default, treatment coding.
    """

    expression: Expression
    values: FloatArray | pd.Categorical[Any]
    contrast: Any = None

    @property
    def missing(self) -> BoolArray:
        """Rows without a value, shape (n,)."""
        if isinstance(self.values, pd.Categorical):
            return np.asarray(self.values.codes < 0)
        return np.asarray(np.isnan(self.values).any(axis=1))

    def take(self, rows: IntArray | None) -> Variable:
        """The variable in some rows (None: all of them), without the levels that do not occur there."""
        values = self.values if rows is None else self.values[rows]
        if isinstance(values, pd.Categorical):
            values = _used(values)
        return self if values is self.values else Variable(self.expression, values, self.contrast)

    def for_patsy(self) -> Any:
        """What patsy is to code."""
        if self.contrast is None:
            return self.values
        return patsy.builtins.C(self.values, self.contrast)


def evaluate(code: str, columns: Columns, env: EvalEnvironment, *, numeric: bool = False) -> Variable:
    """Evaluate one variable of a formula.

    Parameters
    ----------
    code : str
        The variable.
    columns : Columns
        The data.
    env : EvalEnvironment
        Names that are not in the data.
    numeric : bool, default False
        Whether numbers are wanted, as for a response.

    Returns
    -------
    Variable
        With as many rows as the data.

    Raises
    ------
    UnknownColumnError
        If it names a column that is not there.
    DesignError
        If it does not give one number or category per row.
    """
    expression = learn(code, columns, env)
    value = expression(columns)
    variable = as_variable(expression, value, columns.n_rows)
    declared = hasattr(value, "contrast") or isinstance(getattr(value, "dtype", None), pd.CategoricalDtype)
    if isinstance(variable.values, pd.Categorical) and (numeric or not declared):
        check_text_numbers(code, variable.values, wanted=numeric)
        warn_of_same_readings(code, variable.values.categories)
    state = expression.state
    if state is None or is_rowwise(state["eval_code"], state["eval_env"].namespace):
        return variable
    if depends_on_other_rows(
        variable, lambda r: as_variable(expression, expression(columns.of_rows(r)), len(r))
    ):
        return replace(variable, expression=replace(expression, of_all_rows=True))
    return variable


def as_variable(expression: Expression, value: Any, n_rows: int) -> Variable:
    """Numbers or categories from what an expression returned.

    Parameters
    ----------
    expression : Expression
        For messages, and kept.
    value : object
        Series, array, list, frame or patsy's C(...).
    n_rows : int
        Rows there must be.

    Returns
    -------
    Variable
        Numbers as a float matrix, everything else as categories (as patsy has it, booleans too).
    """
    contrast, levels = None, None
    boxed = hasattr(value, "contrast") and hasattr(value, "levels")
    if boxed:
        value, contrast, levels = value.data, value.contrast, value.levels
    value = plain(value) if isinstance(value, pd.Series) else value
    value = np.asarray(value) if not hasattr(value, "dtype") else value
    if value.ndim == 0 or len(value) != n_rows:
        size = "one value" if value.ndim == 0 else f"{len(value)} values"
        raise DesignError(f'"{expression.code}" gives {size} for {n_rows} rows; wanted one per row')
    if boxed or not _is_numeric(expression.code, value):
        return Variable(expression, _categories(expression.code, value, levels), contrast)
    numbers = np.asarray(value, dtype=float)
    return Variable(expression, numbers if numbers.ndim == 2 else numbers[:, None])


# Columns of Python objects that hold times, in the words of pandas and the kinds of numpy.
_TIMES = {
    "date": "M",
    "datetime": "M",
    "datetime64": "M",
    "timedelta": "m",
    "timedelta64": "m",
    "complex": "c",
}


def _is_numeric(code: str, value: Any) -> bool:
    if isinstance(value.dtype if hasattr(value, "dtype") else None, pd.CategoricalDtype):
        return False
    kind: str = "M" if types.is_datetime64_any_dtype(value) else np.asarray(value).dtype.kind
    if kind == "O":
        kind = _TIMES.get(types.infer_dtype(value, skipna=True), kind)
    if kind == "O" and types.infer_dtype(value, skipna=True) == "integer":
        raise DesignError(
            f'"{code}" holds whole numbers that are too large for arithmetic; divide them, or write '
            f"C({code}) for categories"
        )
    if kind in "mMc":
        what = {"m": "time differences", "M": "dates", "c": "complex numbers"}[kind]
        raise DesignError(
            f'"{code}" holds {what}; convert them to real numbers first, or write C({code}) for categories'
        )
    return kind in "iuf"


def _categories(code: str, value: Any, levels: Iterable[Any] | None) -> pd.Categorical[Any]:
    """Categories of the values: their own, the given ones, or those that occur, sorted."""
    if value.ndim != 1:
        raise DesignError(f'"{code}" has several columns that are not numbers; wanted one')
    if levels is None:
        return value if isinstance(value, pd.Categorical) else _as_categorical(code, value)
    found = pd.Categorical(value, categories=list(levels))
    lost = pd.unique(np.asarray(value, dtype=object)[(found.codes < 0) & ~np.asarray(pd.isna(value))])
    if len(lost):
        raise DesignError(f'"{code}" has values outside its levels: {list(lost)}; add them to levels=')
    return found


def _as_categorical(code: str, value: Any) -> pd.Categorical[Any]:
    if isinstance(value, pd.Series) and isinstance(value.dtype, pd.CategoricalDtype):
        return pd.Categorical(value)
    if value.dtype == bool:
        return pd.Categorical.from_codes(np.asarray(value, dtype=np.int8), categories=pd.Index([False, True]))
    try:
        return pd.Categorical(value)
    except TypeError:
        refuse_objects(code, value)


def _used(values: pd.Categorical[Any]) -> pd.Categorical[Any]:
    """Without the categories that do not occur."""
    codes = values.codes
    counts = np.bincount(codes[codes >= 0], minlength=len(values.categories))
    return values if counts.all() else values.remove_unused_categories()
