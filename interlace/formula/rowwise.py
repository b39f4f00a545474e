"""Whether a variable's value in a row depends on that row alone, so that new rows can follow.

``I(z - np.mean(z))`` or ``z.rank()`` look at all rows there are: for new rows they would mean something else
than in the fit.  Most code is seen to work row by row from its text; the rest is tried on a few rows.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray

# Values computed twice agree to this share of the largest; those of other rows' means differ by far more.
SAME = 1e-9
# Rows that are tried alone: with different values, since what looks at all rows tends to give one row one.
TRIED = 4

_SAFE_NODES = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Constant,
    ast.Name,
    ast.List,
    ast.Tuple,
    ast.keyword,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
)

Values = Any


class Evaluated(Protocol):
    """What is needed of a variable."""

    @property
    def values(self) -> FloatArray | pd.Categorical[Any]:
        """Numbers, (n, k), or categories."""


def is_rowwise(code: str, names: Mapping[str, Any]) -> bool:
    """Whether code is seen to work row by row.

    Parameters
    ----------
    code : str
        A Python expression, its remembered transformations as patsy writes them.
    names : mapping
        What its names mean, unless they are columns.

    Returns
    -------
    bool
        True for operators, NumPy's universal functions, patsy's own and those that remember; False for
        everything else, which may still work row by row.

    Examples
    --------
    >>> is_rowwise("np.log(x) ** 2", {"np": np}), is_rowwise("x - np.mean(x)", {"np": np})
    (True, False)
    """
    return _is_safe(ast.parse(code.strip(), mode="eval"), names)


def _is_safe(node: ast.AST, names: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.Call):
        inner = [*node.args, *(keyword.value for keyword in node.keywords)]
        return _is_known(node.func, names) and all(_is_safe(part, names) for part in inner)
    if isinstance(node, ast.Attribute):
        return _is_known(node, names)
    return isinstance(node, _SAFE_NODES) and all(_is_safe(part, names) for part in ast.iter_child_nodes(node))


def _is_known(node: ast.expr, names: Mapping[str, Any]) -> bool:
    """Whether this is a function that works row by row, or a number of a module."""
    if isinstance(node, ast.Name):
        found = names.get(node.id)
        return isinstance(found, np.ufunc) or str(getattr(found, "__module__", "")).startswith("patsy")
    if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
        return False
    owner = names.get(node.value.id)
    if isinstance(owner, ModuleType):
        return isinstance(getattr(owner, node.attr, None), np.ufunc | float)
    return node.value.id.startswith("_patsy_stobj") and node.attr == "transform"


def depends_on_other_rows(whole: Evaluated, of_rows: Callable[[IntArray], Evaluated]) -> bool:
    """Whether some rows by themselves have other values than among all rows.

    Parameters
    ----------
    whole : Variable
        Evaluated in all rows.
    of_rows : callable
        Evaluates it in the rows at some positions.

    Returns
    -------
    bool
        True also if it cannot be evaluated there.
    """
    positions = _tried(whole.values)
    trials = [*positions[:, None], positions] if len(positions) > 1 else [positions]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return any(not _same(whole.values, rows, of_rows(rows).values) for rows in trials)
        except Exception:  # whatever users' functions raise
            return True


def _tried(values: Values) -> IntArray:
    """Positions of a few rows with different values."""
    numbers = values.codes if isinstance(values, pd.Categorical) else values[:, 0]
    present = np.flatnonzero(numbers >= 0 if isinstance(values, pd.Categorical) else ~np.isnan(numbers))
    if not len(present):
        return np.zeros(0, dtype=np.intp)
    own = numbers[present]
    chosen = [int(own.argmin()), int(own.argmax()), len(own) // 2, 0]
    return present[np.unique(chosen[:TRIED])]


def _same(whole: Values, rows: IntArray, alone: Values) -> bool:
    if isinstance(whole, pd.Categorical) or isinstance(alone, pd.Categorical):
        among, found = (np.asarray(v, dtype=object).ravel() for v in (whole[rows], alone))
        return len(among) == len(found) and all(map(_equal, among, found))
    if whole[rows].shape != alone.shape:
        return False
    scale = float(np.abs(whole).max(initial=0.0, where=np.isfinite(whole)))
    return np.allclose(whole[rows], alone, rtol=SAME, atol=SAME * scale, equal_nan=True)


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b) or bool(pd.isna(a) and pd.isna(b))
