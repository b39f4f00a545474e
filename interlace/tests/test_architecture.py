"""Who may import whom, read off the source text: rooms in one order, and arrows that only point back.

Importing a module and looking would not do: importing ``interlace.pls`` runs ``interlace/__init__.py`` first,
which brings in everything. Imports for type checkers only count like any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]

# Every folder, and every module of the root, may import those before it in this order, and itself.
ORDER = [
    "arrays",
    "errors",
    "arguments",
    "parallel",
    "datasets",
    # the numerical room: arrays only
    "family",
    "pls.matrices",
    "pls.factor",
    "pls.search",
    "pls",
    "pls.held",
    "pls.rows",
    "pls.batch",
    "pls.laplace",
    # from tables and text to arrays with labels
    "names",
    "frames",
    "formula",
    "design",
    "streaming",
    "fitted",
    # statistics of a fit
    "inference",
    "prediction",
    "profile",
    "resampling",
    "diagnostics",
    "report",
    # files
    "storage",
    # what users hold
    "modelling",
    "lmm",
    "glmm",
    "planning",
    "front",
    "__init__",
    # bridges, imported by nobody
    "neighbours",
    "sklearn",
]

# Neighbours that stand in one order but know nothing of each other.
APART = {("glmm", "lmm")}

# Libraries that have few doors, and those that the numerical room may use at all.
DOORS = {
    "patsy": {"formula.chunkwise", "formula.coding", "formula.safe", "formula.storage", "formula.variables"},
    "sksparse": {"pls.factor.cholmod"},
    "sklearn": {"sklearn.regressor"},
    "stargazer": {"neighbours.stargazer"},
    "marginaleffects": {"neighbours.marginaleffects"},
    "polars": {"neighbours.marginaleffects"},
}
NUMERICAL = {"numpy", "scipy", "sksparse", "threadpoolctl"}

# Drawing is asked for, never a condition of importing.
ON_DEMAND = {"matplotlib"}

Import = tuple[str, int, bool]  # what, on which line, inside a function


def imports(tree: ast.Module, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module as a dotted absolute name, and whether it stands inside a function."""
    parts = f"interlace.{module}".split(".")
    here = parts if is_package else parts[:-1]

    def walk(node: ast.AST, *, in_function: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, in_function) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            # `from interlace.lmm import model` imports a module, `from interlace.lmm.model import X` a name.
            for alias in node.names:
                yield (
                    f"{source}.{alias.name}" if is_room(f"{source}.{alias.name}") else source,
                    node.lineno,
                    in_function,
                )
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, in_function=inside)

    return walk(tree, in_function=False)


def is_room(name: str) -> bool:
    """Whether a dotted name is a module or folder of this package."""
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return name.startswith("interlace.") and (place.is_dir() or place.with_suffix(".py").is_file())


def room_of(module: str) -> str:
    """Folder of a module of the package, or the module itself where it stands at the root."""
    folder = PACKAGE.joinpath(*module.split(".")).is_dir()
    return module if folder or "." not in module else module.rpartition(".")[0]


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Rules that the source text of ``interlace.<module>`` breaks, one sentence each."""
    room = room_of(module)
    if room not in ORDER:
        return [f"{module}: its folder {room} has no place in the order; add it to ORDER"]
    found = set()
    for name, line, in_function in imports(ast.parse(source), module, is_package=is_package):
        top, _, rest = name.partition(".")
        where = f"{module}:{line}"
        if top == "interlace":
            if in_function:
                found.add(f"{where}: imports {name} inside a function")
            if not rest:
                found.add(f"{where}: imports the whole package")
            elif room_of(rest) not in ORDER[: ORDER.index(room) + 1] or (room, room_of(rest)) in APART:
                found.add(f"{where}: may not import {name}")
            continue
        if module not in DOORS.get(top, {module}):
            found.add(f"{where}: {top} is imported in {sorted(DOORS[top])} only")
        if module.split(".")[0] in {"family", "pls"} and top not in NUMERICAL | sys.stdlib_module_names:
            found.add(f"{where}: {top} has no place in the numerical room")
        if top in ON_DEMAND and not in_function:
            found.add(f"{where}: {top} is imported when it is asked for, not with the package")
    return sorted(found)


def modules() -> list[tuple[str, Path]]:
    paths = [path for path in PACKAGE.rglob("*.py") if "tests" not in path.relative_to(PACKAGE).parts]
    return sorted((_name(path), path) for path in paths)


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


@pytest.mark.parametrize(
    ("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_module_keeps_the_rules(module, path):
    found = violations(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py")
    assert found == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("pls.matrices.terms", "import pandas as pd", "pandas has no place in the numerical room"),
        (
            "pls.matrices.terms",
            "from statsmodels.api import OLS",
            "statsmodels has no place in the numerical room",
        ),
        ("pls.matrices.terms", "from interlace.design import Design", "may not import interlace.design"),
        (
            "pls.search.criterion",
            "import sksparse.cholmod",
            "sksparse is imported in ['pls.factor.cholmod'] only",
        ),
        (
            "pls.search.criterion",
            "def f():\n    from sksparse import cholmod",
            "sksparse is imported in ['pls.factor.cholmod'] only",
        ),
        ("pls.search.criterion", "from interlace.pls import fit", "may not import interlace.pls"),
        ("formula.grammar", "from interlace.design import Design", "may not import interlace.design"),
        ("formula.grammar", "import patsy", "patsy is imported in ["),
        (
            "inference.anova",
            "from interlace.lmm.results import CrossedLMMResults",
            "may not import interlace.lmm.results",
        ),
        (
            "inference.anova",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from interlace.lmm.results import R",
            "may not import interlace.lmm.results",
        ),
        ("inference.anova", "import interlace.lmm.model", "may not import interlace.lmm.model"),
        ("glmm.model", "from interlace.lmm.model import CrossedLMM", "may not import interlace.lmm.model"),
        ("lmm.model", "from interlace.glmm.model import CrossedGLMM", "may not import interlace.glmm.model"),
        ("lmm.results", "from interlace.tests.oracle import gls", "may not import interlace.tests.oracle"),
        ("lmm.results", "from interlace import CrossedLMM", "imports the whole package"),
        ("lmm.results", "import interlace", "imports the whole package"),
        (
            "lmm.model",
            "def f():\n    from interlace.lmm.results import R",
            "imports interlace.lmm.results inside a function",
        ),
        ("lmm.results", "import matplotlib.pyplot as plt", "imported when it is asked for"),
        (
            "lmm.results",
            "try:\n    import matplotlib\nexcept ImportError:\n    pass",
            "imported when it is asked for",
        ),
        ("surprise", "", "has no place in the order"),
    ],
)
def test_checker_catches(module, source, complaint):
    found = violations(source, module)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pls.factor.cholmod", "from sksparse import cholmod\nfrom .factorization import Factorization"),
        ("pls.matrices.terms", "import numpy as np\nfrom interlace.errors import InterlaceError"),
        ("formula.coding", "import patsy\nfrom interlace import names"),
        ("lmm.results", "def plot():\n    import matplotlib.pyplot as plt"),
    ],
)
def test_checker_lets_pass(module, source):
    assert violations(source, module) == []


def test_checker_resolves_a_folder_from_its_init():
    assert violations("from .fit import PLSFit", "pls", is_package=True) == []
    assert violations("from ..errors import DesignError", "pls", is_package=True) == []
    assert violations("from ..diagnostics import leverage", "pls", is_package=True) != []
