"""Storing what patsy remembers of a variable, which patsy's own objects refuse.

Each piece is stored by itself, so that one function that cannot be stored does not lose the fit.
"""

from __future__ import annotations

import ast
import importlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from patsy.eval import EvalEnvironment, EvalFactor

from interlace.errors import DesignError, FormulaError, StorageError

from .safe import SafeEnvironment, check_safe, is_patsys


def names_in(code: str) -> list[str]:
    """Variables that an expression refers to.

    Parameters
    ----------
    code : str
        A Python expression.

    Returns
    -------
    list of str
        Names, once each.

    Examples
    --------
    >>> names_in("np.log(x + shift)")
    ['np', 'x', 'shift']
    """
    nodes = (node for node in ast.walk(ast.parse(code.strip(), mode="eval")) if isinstance(node, ast.Name))
    return list(dict.fromkeys(node.id for node in nodes))


@lru_cache(maxsize=512)
def functions_in(code: str) -> frozenset[str]:
    """Names that an expression uses only to call them, or something in them.

    Parameters
    ----------
    code : str
        A Python expression.

    Returns
    -------
    frozenset of str

    Examples
    --------
    >>> sorted(functions_in("np.log(x) + C(C, Sum)"))
    ['np']
    """
    nodes = list(ast.walk(ast.parse(code.strip(), mode="eval")))
    roots = {id(_root(node.func)) for node in nodes if isinstance(node, ast.Call)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    values = {node.id for node in names if id(node) not in roots}
    return frozenset(node.id for node in names if id(node) in roots) - values


def _root(node: ast.expr) -> ast.expr:
    """What attributes are taken from."""
    return _root(node.value) if isinstance(node, ast.Attribute) else node


@dataclass(frozen=True)
class Lost:
    """Stands for something that a formula used and that could not be stored or found again."""

    reason: str
    advice: str = "define it in a module that can be imported, fit and save again"


@dataclass(frozen=True)
class ModuleName:
    """Stands for a module, which pickle does not take."""

    name: str


def stored_state(state: dict[str, Any]) -> dict[str, Any]:
    """What patsy remembers of a variable, in parts that can be pickled.

    Parameters
    ----------
    state : dict
        patsy's memory of an expression.

    Returns
    -------
    dict
        Code, names and transformations; what cannot be pickled is :class:`Lost`.
    """
    namespace = state["eval_env"].namespace
    names = [name for name in names_in(state["eval_code"]) if name in namespace]
    return {
        "eval_code": state["eval_code"],
        "flags": state["eval_env"].flags,
        "names": {name: _stored_object(namespace[name]) for name in names},
        "transforms": {
            name: _stored_object((type(transform), dict(vars(transform))))
            for name, transform in state["transforms"].items()
        },
    }


def _stored_object(thing: Any) -> ModuleName | Lost | bytes:
    if isinstance(thing, ModuleType):
        return ModuleName(thing.__name__)
    if isinstance(thing, Lost):
        return thing
    try:
        return pickle.dumps(thing)
    except (pickle.PicklingError, TypeError, AttributeError, NotImplementedError) as error:
        return Lost(str(error))


def restored_state(stored: dict[str, Any]) -> dict[str, Any]:
    """The memory of an expression, from its parts.

    Parameters
    ----------
    stored : dict
        From :func:`stored_state`.

    Returns
    -------
    dict
        What ``patsy.EvalFactor.eval`` needs; what is not found any more is :class:`Lost`.
    """
    names = {name: _restored_object(thing) for name, thing in stored["names"].items()}
    return {
        "eval_code": stored["eval_code"],
        "eval_env": EvalEnvironment([names], stored["flags"]),
        "transforms": {name: _restored_transform(thing) for name, thing in stored["transforms"].items()},
    }


def _restored_object(thing: ModuleName | Lost | bytes) -> Any:
    if isinstance(thing, Lost):
        return thing
    try:
        return importlib.import_module(thing.name) if isinstance(thing, ModuleName) else pickle.loads(thing)
    except (pickle.UnpicklingError, AttributeError, ImportError, TypeError) as error:
        return Lost(str(error))


def _restored_transform(thing: Lost | bytes) -> Any:
    found = _restored_object(thing)
    if isinstance(found, Lost):
        return found
    cls, attributes = found
    transform = cls.__new__(cls)
    vars(transform).update(attributes)
    return transform


def check_restored(code: str, state: dict[str, Any]) -> None:
    """Refuse to evaluate an expression that lost something.

    Parameters
    ----------
    code : str
        The expression.
    state : dict
        Its memory.

    Raises
    ------
    DesignError
        If a function or transformation could not be stored or found again.
    """
    namespace = state["eval_env"].namespace
    used = {name: namespace[name] for name in names_in(state["eval_code"]) if name in namespace}
    for name, thing in (used | state["transforms"]).items():
        if isinstance(thing, Lost):
            raise DesignError(
                f'"{code}" needs {name}, which could not be stored with the model ({thing.reason}); '
                f"{thing.advice}"
            )


# ---- without pickle --------------------------------------------------------------------------


def plain_state(code: str, state: dict[str, Any], pack: Callable[[Any], Any]) -> dict[str, Any]:
    """What patsy remembers of a variable, as plain data.

    Parameters
    ----------
    code : str
        The expression.
    state : dict
        patsy's memory of it.
    pack : callable
        Turns a value into plain data, or raises `StorageError`.

    Returns
    -------
    dict
        Attributes of the transformations, and numbers and texts from outside the data; names of anything else
        stand under ``"absent"``.
    """
    namespace = state["eval_env"].namespace
    used = [name for name in names_in(code) if name in namespace and not is_patsys(name, namespace[name])]
    own = [name for name in used if not hasattr(namespace[name], "__patsy_stateful_transform__")]
    packed, absent = _packed({name: namespace[name] for name in own}, pack)
    transforms, lost = _packed({name: dict(vars(t)) for name, t in state["transforms"].items()}, pack)
    return {"names": packed, "transforms": transforms, "absent": absent + lost}


def _packed(things: dict[str, Any], pack: Callable[[Any], Any]) -> tuple[dict[str, Any], list[str]]:
    packed, absent = {}, []
    for name, thing in things.items():
        try:
            packed[name] = pack(thing)
        except StorageError:
            absent.append(name)
    return packed, absent


def state_from_plain(
    code: str, stored: dict[str, Any], unpack: Callable[[Any], Any], env: EvalEnvironment
) -> dict[str, Any]:
    """patsy's memory of a variable, from plain data.

    Parameters
    ----------
    code : str
        The expression.
    stored : dict
        From :func:`plain_state`.
    unpack : callable
        Turns plain data into values.
    env : patsy.EvalEnvironment
        Names that are not in the data; a :class:`~interlace.formula.safe.SafeEnvironment` runs no code.

    Returns
    -------
    dict
        What ``patsy.EvalFactor.eval`` needs.  Where the expression may not be evaluated, or a function is not
        there, it holds :class:`Lost`.
    """
    if isinstance(env, SafeEnvironment):
        try:
            check_safe(code)
        except FormulaError as error:
            return _lost(code, f"{error}")
    names = {name: unpack(value) for name, value in stored["names"].items()}
    state: dict[str, Any] = {}
    EvalFactor(code).memorize_passes_needed(state, env.with_outer_namespace(names))
    for name, transform in state["transforms"].items():
        if name not in stored["transforms"]:
            return _lost(code, f"what {name} had learned from the data was not stored")
        vars(transform).update(unpack(stored["transforms"][name]))
    return state


def _lost(code: str, reason: str) -> dict[str, Any]:
    advice = (
        "if you trust the file, interlace.load(path, safe_formula=False) where its functions are defined "
        "evaluates it"
    )
    name = next(iter(names_in(code)), code)
    return {
        "eval_code": code,
        "eval_env": EvalEnvironment([{name: Lost(reason, advice)}]),
        "transforms": {},
    }
