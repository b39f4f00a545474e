"""The public surface as text: every public name, what it has and how it is called.

``python -m interlace.tests.surface`` writes it anew; the difference belongs in the change that wanted it.
Annotations are left out: they name modules, and modules may move.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import interlace
from interlace import datasets, diagnostics, errors, pls

PINNED = Path(__file__).parent / "reference" / "surface.json"
ROOMS = {"interlace": interlace, "datasets": datasets, "diagnostics": diagnostics, "pls": pls}


def surface() -> dict[str, Any]:
    """Every public name, with its members where it is a class or a fitted model."""
    described = {f"{room}.{name}": _member(getattr(module, name)) for room, module, name in _exported()}
    described["errors"] = sorted(name for name, thing in vars(errors).items() if _is_error(thing))
    for name, thing in _fitted().items():
        described[f"{name} object"] = members(thing)
    return described


def _exported() -> Iterator[tuple[str, Any, str]]:
    return ((room, module, name) for room, module in ROOMS.items() for name in module.__all__)


def _is_error(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception) and thing.__module__ == errors.__name__


def _fitted() -> dict[str, Any]:
    """A fit and what its methods hand over; members of instances are called without ``self``."""
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", datasets.load_sleepstudy())
    return {
        "model": fit.model,
        "results": fit._results,
        "wrapper": fit,
        "influence": fit.get_influence("Subject"),
        "profile": fit.profile("sigma"),
        "bootstrap": fit.bootstrap(2, rng=1, progress=False),
        "prediction": fit.get_prediction(),
        "deletion": interlace.case_delete(fit, "Subject", progress=False),
        **_generalised(),
    }


def _generalised() -> dict[str, Any]:
    """The same for counts and ordered categories."""
    data = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    counts = interlace.fit("y ~ 1 + (1 | g)", data, family="poisson")
    ordered = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", data).fit()
    return {
        "generalised model": counts.model,
        "generalised results": counts._results,
        "generalised prediction": counts.get_prediction(),
        "simulated residuals": counts.simulated_residuals(9, rng=1),
        "ordinal results": ordered._results,
    }


def members(thing: Any) -> dict[str, str]:
    """Public names of an object and how each is called; "data" for what is not called."""
    names = [name for name in dir(thing) if not name.startswith("_")]
    return {name: _use(thing, name) for name in names}


def _use(thing: Any, name: str) -> str:
    # Only what is defined as a function is looked up: some properties cost a fit, some are refused.
    wrapped = inspect.getattr_static(type(getattr(thing, "_results", thing)), name, None)
    defined = inspect.getattr_static(type(thing), name, wrapped)
    routine = inspect.isfunction(defined) or isinstance(defined, staticmethod | classmethod)
    return signature(getattr(thing, name)) if routine else "data"


def _member(thing: Any) -> Any:
    return signature(thing) if callable(thing) else type(thing).__name__


def signature(thing: Any) -> str:
    """Names, kinds and defaults of the parameters."""
    given = inspect.signature(thing)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in given.parameters.values()]
    return str(given.replace(parameters=bare, return_annotation=inspect.Signature.empty))


if __name__ == "__main__":
    PINNED.write_text(json.dumps(surface(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
