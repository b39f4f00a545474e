"""Formulas that run no code but names, numbers, operators and a list of functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import patsy
from patsy.eval import EvalEnvironment, VarLookupDict

from interlace.errors import FormulaError

# Functions of numpy that act value by value, so that a row does not depend on the others.
NUMPY = frozenset(
    [
        "abs",
        "absolute",
        "arccos",
        "arccosh",
        "arcsin",
        "arcsinh",
        "arctan",
        "arctan2",
        "arctanh",
        "cbrt",
        "ceil",
        "clip",
        "cos",
        "cosh",
        "deg2rad",
        "exp",
        "exp2",
        "expm1",
        "fabs",
        "floor",
        "floor_divide",
        "hypot",
        "isfinite",
        "isnan",
        "log",
        "log10",
        "log1p",
        "log2",
        "logaddexp",
        "maximum",
        "minimum",
        "mod",
        "nan_to_num",
        "negative",
        "positive",
        "power",
        "rad2deg",
        "reciprocal",
        "remainder",
        "rint",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "tan",
        "tanh",
        "trunc",
        "where",
    ]
)
NUMBERS = frozenset(("pi", "e", "nan", "inf"))
# patsy's functions and codings, and those of `variables.OWN_FUNCTIONS`.
FUNCTIONS = frozenset(
    [
        "I",
        "Q",
        "C",
        "abs",
        "bs",
        "cc",
        "center",
        "cr",
        "poly",
        "scale",
        "standardize",
        "te",
        "Treatment",
        "Sum",
        "Poly",
        "Helmert",
        "Diff",
    ]
)
_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Name, ast.Constant, ast.Call,
    ast.keyword, ast.Tuple, ast.List, ast.Attribute, ast.Load,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
# The largest power of a plain number: more would only serve to fill the memory.
LARGEST_POWER = 64


class SafeEnvironment(EvalEnvironment):
    """Names for formulas that may not run code: expressions are checked, Python's own names are absent."""

    def eval(self, expr: str, source_name: str = "<string>", inner_namespace: Any = None) -> Any:
        """Value of an expression that was checked before."""
        code = compile(expr, source_name, "eval", self.flags, dont_inherit=True)
        names = VarLookupDict([{} if inner_namespace is None else inner_namespace, *self._namespaces])
        return eval(code, {"__builtins__": {}}, names)

    def with_outer_namespace(self, outer_namespace: Mapping[str, Any]) -> SafeEnvironment:
        """The same with names that are looked up last."""
        return SafeEnvironment([*self._namespaces, outer_namespace], self.flags)

    def subset(self, names: Any) -> SafeEnvironment:
        """Some of the names."""
        found = VarLookupDict(self._namespaces)
        return SafeEnvironment([{name: found[name] for name in names}], self.flags)


def safe_environment(names: Any = None) -> SafeEnvironment:
    """Environment in which formulas see the listed functions, and numbers and texts among some names.

    Parameters
    ----------
    names : patsy.EvalEnvironment or mapping, optional
        What a formula might see besides; functions and other objects among them are not seen.

    Returns
    -------
    SafeEnvironment
    """
    namespace = names.namespace if isinstance(names, EvalEnvironment) else {} if names is None else names
    return SafeEnvironment([_Plain(namespace), {"np": np, "abs": np.abs}])


def guarded(names: Any, *, safe: bool) -> Any:
    """Names for a formula; with ``safe`` those among them with which it can run no code.

    Parameters
    ----------
    names : patsy.EvalEnvironment or mapping
        Names that are not in the data.
    safe : bool
        Whether the formula is to run no code.

    Returns
    -------
    patsy.EvalEnvironment or mapping
    """
    return names if isinstance(names, SafeEnvironment) or not safe else safe_environment(names)


class _Plain(Mapping[str, Any]):
    """The numbers and texts among some names."""

    def __init__(self, names: Any) -> None:
        self._names = names

    def __getitem__(self, name: str) -> Any:
        value = self._names[name]
        if not isinstance(value, bool | int | float | str | np.number):
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        try:
            self[str(name)]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


def check_safe(code: str) -> None:
    """Refuse an expression that is more than names, numbers, operators and listed functions.

    Parameters
    ----------
    code : str
        A Python expression.

    Raises
    ------
    FormulaError
        With what is not allowed.

    Examples
    --------
    >>> check_safe("np.log(x + 1)")
    >>> check_safe("x.to_csv('file')")
    Traceback (most recent call last):
    ...
    interlace.errors.FormulaError: the formula is evaluated without running code, and "x.to_csv('file')" holds
    x.to_csv, which is not on the list: names, numbers, operators, np.log and its like, center, poly, bs, C...
    """
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(f'"{code[:80]}" is not a Python expression: {error}') from error
    allowed = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not _is_safe(node, called=id(node) in allowed):
            raise FormulaError(
                f'the formula is evaluated without running code, and "{code[:80]}" holds '
                f"{ast.unparse(node)[:80]}, which is not on the list: names, numbers, operators, np.log and "
                "its like, center, poly, bs, C..."
            )


def _is_safe(node: ast.AST, *, called: bool) -> bool:
    if not isinstance(node, _NODES):
        return False
    if isinstance(node, ast.Attribute):
        known = NUMPY if called else NUMBERS
        return isinstance(node.value, ast.Name) and node.value.id == "np" and node.attr in known
    if isinstance(node, ast.Name):
        return node.id in FUNCTIONS if called else not node.id.startswith("__")
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name | ast.Attribute)
    if isinstance(node, ast.keyword):
        return node.arg is not None
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float | str | None)
    return _moderate(node) if isinstance(node, ast.BinOp) else True


def _moderate(node: ast.BinOp) -> bool:
    """Whether an operation cannot make something huge out of constants."""
    if isinstance(node.op, ast.MatMult | ast.LShift | ast.RShift):
        return False
    sides = (node.left, node.right)
    texts = (side for side in sides if isinstance(side, ast.Tuple | ast.List) or _is_text(side))
    if any(True for _ in texts):
        return False
    if not isinstance(node.op, ast.Pow) or any(_has_name(side) for side in sides):
        return True
    exponent = node.right.operand if isinstance(node.right, ast.UnaryOp) else node.right
    plain = isinstance(node.left, ast.Constant) and isinstance(exponent, ast.Constant)
    return plain and abs(float(exponent.value)) <= LARGEST_POWER  # type: ignore[attr-defined]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _has_name(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) for part in ast.walk(node))


def check_safe_query(query: str) -> None:
    """Refuse a query, as in ``subset="x > 2"``, that calls something.

    Parameters
    ----------
    query : str
        What pandas is to evaluate.

    Raises
    ------
    FormulaError
        If it calls a function or reaches into an object.
    """
    bare = re.sub(r"`[^`]*`", "column", query).replace("@", "")
    check_safe(bare)
    if any(
        isinstance(node, ast.Call | ast.Attribute) for node in ast.walk(ast.parse(bare.strip(), mode="eval"))
    ):
        raise FormulaError(
            f'subset="{query}" calls a function; without running code it may only compare columns'
        )


def is_patsys(name: str, value: object) -> bool:
    """Whether a name means patsy's own function of that name, or numpy."""
    own = {"np": np, "abs": abs}.get(name, getattr(patsy.builtins, name, None))
    return value is own and own is not None
