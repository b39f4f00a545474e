"""Storing what patsy remembers of a variable, which patsy's own objects refuse.

Each piece is stored by itself, so that one function that cannot be stored does not lose the fit.
"""

from __future__ import annotations

import ast
import importlib
import pickle
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from patsy.eval import EvalEnvironment

from interlace.errors import DesignError


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


@dataclass(frozen=True)
class Lost:
    """Stands for something that a formula used and that could not be stored or found again."""

    reason: str


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
                "define it in a module that can be imported, fit and save again"
            )
