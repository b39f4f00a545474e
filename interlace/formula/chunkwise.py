"""Variables of a formula learnt from chunks of rows that are never there all at once.

patsy's transformations take their means in several passes, chunk by chunk; those that keep every value for it
(knots by quantiles, orthogonal polynomials) are refused, unless what they need is given.  Functions of all
rows (a rank, ``x - x.mean()``) would quietly be functions of a chunk; they are found by evaluating halves.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import patsy
from patsy.eval import EvalEnvironment, EvalFactor

from interlace.errors import DesignError, FormulaError
from interlace.frames.columns import Columns
from interlace.frames.readings import explain_text

from .orthogonal import Poly
from .safe import SafeEnvironment, check_safe
from .spelling import quoted_names
from .storage import names_in
from .variables import OWN_FUNCTIONS, CompleteRows, Expression, Variable, as_variable

# Relative difference between a chunk and its halves that vector instructions may make.
ROUNDING = 1e-9
# Functions that patsy and this package evaluate row by row, once their memory is filled.
_ROW_BY_ROW = {"I", "Q", "C", "center", "standardize", "scale", "bs", "poly"}
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.Constant, ast.Name, ast.Load, ast.operator,
    ast.unaryop, ast.cmpop, ast.Call, ast.Attribute, ast.keyword, ast.Tuple, ast.List,
)  # fmt: skip


def columns_of(code: str, known: Collection[str]) -> list[str]:
    """Columns of the data that a variable reads.

    Parameters
    ----------
    code : str
        The variable.
    known : collection of str
        Columns that there are.

    Returns
    -------
    list of str

    Examples
    --------
    >>> columns_of("np.log(x) + Q('a b')", ["x", "a b", "z"])
    ['x', 'a b']
    """
    if code in known:
        return [code]
    try:
        names = [*names_in(code), *quoted_names(code)]
    except SyntaxError as error:
        raise FormulaError(f'"{code}" is not a Python expression: {error.msg}') from error
    return [name for name in dict.fromkeys(names) if name in known]


@dataclass(frozen=True, eq=False)
class Learner:
    """A variable that is being learnt.

    Attributes
    ----------
    code : str
        The variable.
    state : dict or None
        patsy's memory, which fills; None for the plain name of a column.
    passes : int
        Passes over the data that it takes.
    """

    code: str
    state: dict[str, Any] | None
    passes: int

    def see(self, columns: Columns, which: int) -> None:
        """Take a chunk in, in one of the passes."""
        if self.state is None or which >= self.passes:
            return
        try:
            EvalFactor(self.code).memorize_chunk(_by_chunks(self.code, self.state), which, columns)
        except patsy.PatsyError as error:
            cause = error.__cause__ or error
            if isinstance(cause, DesignError):
                raise DesignError(str(cause)) from error
            told = f'cannot evaluate "{self.code}": {type(cause).__name__}: {cause}'
            raise DesignError(told + explain_text(columns, names_in(self.code))) from error

    def finish(self, which: int) -> None:
        """End a pass."""
        if self.state is not None and which < self.passes:
            EvalFactor(self.code).memorize_finish(self.state, which)

    @property
    def expression(self) -> Expression:
        """The variable as it is evaluated, once all passes are over."""
        return Expression(self.code, self.state)


def learner(code: str, known: Collection[str], env: EvalEnvironment) -> Learner:
    """Begin to learn a variable.

    Parameters
    ----------
    code : str
        The variable.
    known : collection of str
        Columns of the data.
    env : EvalEnvironment
        Names that are not in the data.

    Returns
    -------
    Learner
    """
    if code in known and code.isidentifier():
        return Learner(code, None, 0)
    if isinstance(env, SafeEnvironment):
        check_safe(code)
    state: dict[str, Any] = {}
    try:
        passes = EvalFactor(code).memorize_passes_needed(state, env.with_outer_namespace(OWN_FUNCTIONS))
    except SyntaxError as error:
        raise FormulaError(f'"{code}" is not a Python expression: {error.msg}') from error
    except patsy.PatsyError as error:
        raise FormulaError(f'cannot read "{code}": {error.message}') from error
    return Learner(code, state, passes)


# ---- transformations -------------------------------------------------------------------------


def _by_chunks(code: str, state: dict[str, Any]) -> dict[str, Any]:
    wrapped = {name: CompleteRows(_Reduced(code, t)) for name, t in state["transforms"].items()}
    return {**state, "transforms": wrapped}


class _Reduced:
    """A transformation that is shown no more of a chunk than it needs, or refused."""

    def __init__(self, code: str, transform: Any) -> None:
        self._code, self._transform = code, transform

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transform, name)

    def memorize_chunk(self, *arguments: Any, **options: Any) -> None:
        if arguments and np.shape(arguments[0])[:1] == (0,):
            return
        reduce = _reduction(self._code, self._transform, arguments, options)
        shown = arguments if reduce is None else (reduce(np.asarray(arguments[0])), *arguments[1:])
        self._transform.memorize_chunk(*shown, **options)


def _reduction(
    code: str, transform: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> Callable[[Any], Any] | None:
    """What a transformation needs of a chunk's values; None for all, where it keeps none of them."""
    kind = type(transform)
    if kind is Poly:
        if options.get("raw"):
            degree = int(options.get("degree", arguments[1] if len(arguments) > 1 else 1))
            return lambda x: np.unique(x)[: degree + 1]
        raise DesignError(
            f'"{code}" makes polynomials orthogonal over all rows at once, and those of a source are never '
            "all there; write powers of centred values, center(x) + I(center(x)**2), or poly(x, 2, raw=True)"
        )
    if kind.__module__ == "patsy.splines":
        if options.get("knots", arguments[2] if len(arguments) > 2 else None) is not None:
            return lambda x: np.array([x.min(), x.max()])
        raise DesignError(
            f'"{code}" places its knots by the quantiles of all rows, and those of a source are never all '
            "there; give the knots: bs(x, knots=(1, 2))"
        )
    if kind.__module__.startswith("patsy.mgcv"):
        raise DesignError(
            f'"{code}" needs all rows at once for knots and constraints, and those of a source are never all '
            "there; use bs(x, knots=(1, 2)), or collect the data first"
        )
    return None


# ---- functions of all rows -------------------------------------------------------------------


def surely_by_row(expression: Expression) -> bool:
    """Whether the text alone says that a variable's value in a row depends on that row only.

    Parameters
    ----------
    expression : Expression
        The variable.

    Returns
    -------
    bool
        True for arithmetic, NumPy's elementwise functions and transformations with a memory.
    """
    if expression.state is None:
        return True
    namespace = expression.state["eval_env"].namespace
    nodes = list(ast.walk(ast.parse(expression.code.strip(), mode="eval")))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    functions = {id(call.func) for call in calls}
    loose = [node for node in nodes if isinstance(node, ast.Attribute) and id(node) not in functions]
    known = all(isinstance(node, _NODES) for node in nodes) and not loose
    return known and all(_elementwise(call.func, namespace) for call in calls)


def _elementwise(function: ast.expr, namespace: Any) -> bool:
    if isinstance(function, ast.Name) and function.id in namespace:
        found = namespace[function.id]
        known = OWN_FUNCTIONS | vars(patsy.builtins)
        return isinstance(found, np.ufunc) or (function.id in _ROW_BY_ROW and found is known[function.id])
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        module = function.value.id
        found = getattr(namespace[module], function.attr, None) if module in namespace else None
        return isinstance(found, np.ufunc)
    return False


def check_by_row(expression: Expression, frame: pd.DataFrame, whole: Variable) -> None:
    """Refuse a variable whose values change when half of the rows are looked at alone.

    Parameters
    ----------
    expression : Expression
        The variable.
    frame : DataFrame
        A chunk.
    whole : Variable
        Its values there.

    Raises
    ------
    DesignError
        If a row's value depends on other rows.
    """
    half = len(frame) // 2
    for rows in (slice(0, half), slice(half, None)) if half else ():
        part = frame.iloc[rows]
        columns = Columns(part)
        alone = as_variable(expression, expression(columns), len(part))
        if not _same(alone.values, whole.values[rows]):
            raise DesignError(
                f'"{expression.code}" takes other values when half of the rows are looked at: it depends on '
                "all rows, and those of a source are never all there. Use a transformation that remembers "
                "(center, standardize), make the column beforehand, or collect the data first"
            )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, pd.Categorical) or isinstance(b, pd.Categorical):
        left, right = (pd.Series(np.asarray(x, dtype=object)) for x in (a, b))
        return left.equals(right)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=ROUNDING, atol=0.0, equal_nan=True))
