"""Who may import whom, read off the source text: two rooms, and arrows that only point down.

Importing a module and looking would not do: importing ``interlace.pls`` runs ``interlace/__init__.py`` first,
which brings in everything.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]

# A module or folder of the package, and what it may import of the package beside itself.
BASE = {"errors", "names"}
TEXT_AND_FRAMES = {*BASE, "formula", "frames"}
MATRICES = {*TEXT_AND_FRAMES, "bars", "grouping", "model_matrix", "pls", "rows", "variables"}
ARITHMETIC = {"inference", "likelihood", "prediction", "ranef", "simulation"}
MAY_IMPORT = {
    "errors": set(),
    "names": set(),
    "parallel": set(),
    "family": {"errors"},
    "pls": {"errors", "family"},
    "datasets": {*BASE},
    # from text and frames to matrices
    "tokens": {*BASE},
    "formula": {*BASE, "tokens"},
    "frames": {*BASE},
    "rows": {*BASE, "frames"},
    "storage": {*BASE},
    "variables": {*BASE, "frames", "storage"},
    "grouping": {*BASE, "frames", "pls"},
    "model_matrix": {*TEXT_AND_FRAMES, "variables"},
    "bars": {*TEXT_AND_FRAMES, "model_matrix"},
    "assembly": {*MATRICES},
    "array_design": {*MATRICES, "assembly"},
    "design": {*MATRICES, "array_design", "assembly"},
    "modeldata": {*BASE, "design", "pls"},
    # arrays in, arrays out; at the edge, labels
    "inference": {*BASE, "design", "frames", "pls", "storage"},
    "likelihood": {*BASE, "inference", "pls"},
    "prediction": {*BASE, "design", "pls"},
    "ranef": {*BASE, "design", "inference", "pls"},
    "simulation": {*BASE, "design", "pls", "prediction"},
    "wald": {*BASE, "inference", "pls"},
    "contrasts": {*BASE, "inference", "model_matrix", "pls", "wald"},
    "effects": {*BASE, "contrasts", "inference"},
    "comparison": {*BASE, "inference"},
    "parameters": {*BASE, "design", "inference", "pls"},
    "robust": {*BASE, "design", "pls", "rows"},
    "uncertainty": {*BASE, "design", "frames", "inference", "pls", "prediction", "rows"},
    "resampling": {*BASE, "design", "parallel", "parameters", "pls", "prediction"},
    "profile": {*BASE, "parallel", "parameters", "pls"},
    "updating": {*TEXT_AND_FRAMES, "bars", "model_matrix", "tokens"},
    "diagnostics": {
        *BASE,
        "design",
        "frames",
        "grouping",
        "inference",
        "parallel",
        "pls",
        "prediction",
        "ranef",
    },
    # words
    "describe": {*BASE, "design", "pls"},
    "summary": {*BASE, "inference", "ranef"},
    "tidying": {*BASE, "diagnostics", "parameters"},
    "publication": {*BASE, "inference"},
    # what users hold
    "refits": {*BASE, "effects", "parameters", "profile", "resampling"},
    "reports": {*BASE, "prediction", "refits", "robust", "tidying", "uncertainty"},
    "expected": {*BASE, "design", "prediction", "reports"},
    "diagnosis": {*BASE, "diagnostics"},
    "results": {
        *BASE,
        *ARITHMETIC,
        "describe",
        "design",
        "diagnosis",
        "effects",
        "expected",
        "modeldata",
        "pls",
        "publication",
        "summary",
        "wald",
    },
    "wrapper": {*BASE, "parameters", "results"},
    "marginal": {*BASE, *ARITHMETIC, "design", "pls"},
    "model": {
        *MATRICES,
        *ARITHMETIC,
        "describe",
        "design",
        "marginal",
        "modeldata",
        "results",
        "updating",
        "wrapper",
    },
    "many": {*BASE, "frames", "model", "model_matrix", "resampling", "variables"},
    "__init__": {
        "comparison",
        "datasets",
        "diagnostics",
        "errors",
        "many",
        "model",
        "publication",
        "results",
    },
}

# Libraries that have few doors, and those that the numerical room may use at all.
DOORS = {
    "patsy": {"model_matrix", "storage", "variables"},
    "sksparse": {"pls.cholmod"},
}
NUMERICAL = {"numpy", "scipy", "sksparse", "threadpoolctl"}

# Drawing is asked for, never a condition of importing.
ON_DEMAND = {"matplotlib"}

Import = tuple[str, int, bool]  # what, on which line, inside a function


def imports(tree: ast.Module, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """Every import of a module as a dotted absolute name; those for type checkers only are left out."""
    parts = f"interlace.{module}".split(".")
    here = parts if is_package else parts[:-1]

    def walk(node: ast.AST, *, in_function: bool) -> Iterator[Import]:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, in_function) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*start, *([node.module] if node.module else [])])
            # `from interlace import model` imports a module, `from interlace.model import X` a name in one.
            names = [f"{source}.{alias.name}" for alias in node.names] if source == "interlace" else [source]
            yield from ((name, node.lineno, in_function) for name in names)
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, in_function=inside)

    return walk(tree, in_function=False)


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Rules that the source text of ``interlace.<module>`` breaks, one sentence each."""
    room = module.split(".")[0]
    if room not in MAY_IMPORT:
        return [f"{module}: no rule says what it may import; add it to MAY_IMPORT"]
    found = []
    for name, line, in_function in imports(ast.parse(source), module, is_package=is_package):
        top, *rest = name.split(".")
        where = f"{module}:{line}"
        if top == "interlace":
            if in_function:
                found.append(f"{where}: imports {name} inside a function")
            if rest and rest[0] not in {room, *MAY_IMPORT[room]}:
                found.append(f"{where}: may not import {name}")
            if not rest:
                found.append(f"{where}: imports the whole package")
            continue
        if module not in DOORS.get(top, {module}):
            found.append(f"{where}: {top} is imported in {sorted(DOORS[top])} only")
        if room in {"family", "pls"} and top not in NUMERICAL | sys.stdlib_module_names:
            found.append(f"{where}: {top} has no place in the numerical room")
        if top in ON_DEMAND and not in_function:
            found.append(f"{where}: {top} is imported when it is asked for, not with the package")
    return found


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
    assert violations(path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("pls.terms", "import pandas as pd", "pandas has no place in the numerical room"),
        ("pls.terms", "from statsmodels.api import OLS", "statsmodels has no place in the numerical room"),
        ("pls.terms", "from interlace.design import Design", "may not import interlace.design"),
        ("pls.terms", "from ..design import Design", "may not import interlace.design"),
        ("pls.criterion", "import sksparse.cholmod", "sksparse is imported in ['pls.cholmod'] only"),
        (
            "pls.criterion",
            "def f():\n    from sksparse import cholmod",
            "sksparse is imported in ['pls.cholmod'] only",
        ),
        ("formula", "from interlace.design import Design", "may not import interlace.design"),
        ("formula", "import patsy", "patsy is imported in ['model_matrix', "),
        ("inference", "from interlace.results import CrossedLMMResults", "may not import interlace.results"),
        ("results", "import interlace.model", "may not import interlace.model"),
        ("results", "from interlace import model", "may not import interlace.model"),
        ("results", "from . import model", "may not import interlace.model"),
        ("results", "from interlace import CrossedLMM", "may not import interlace.CrossedLMM"),
        ("results", "from interlace.tests.oracle import gls", "may not import interlace.tests.oracle"),
        ("results", "import interlace", "imports the whole package"),
        (
            "model",
            "def f():\n    from interlace.results import R",
            "imports interlace.results inside a function",
        ),
        ("model", "class C:\n    def f(self):\n        from .results import R", "inside a function"),
        ("results", "import matplotlib.pyplot as plt", "imported when it is asked for"),
        (
            "results",
            "try:\n    import matplotlib\nexcept ImportError:\n    pass",
            "imported when it is asked for",
        ),
        ("surprise", "", "no rule says what it may import"),
    ],
)
def test_checker_catches(module, source, complaint):
    found = violations(source, module)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pls.cholmod", "from sksparse import cholmod\nfrom .terms import FloatArray"),
        ("pls.terms", "import numpy as np\nfrom interlace.errors import InterlaceError"),
        ("model_matrix", "import patsy\nfrom interlace import frames"),
        ("design", "from interlace.pls import RandomTerm\nfrom interlace import frames"),
        ("results", "def plot():\n    import matplotlib.pyplot as plt"),
        (
            "summary",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from interlace.results import R",
        ),
    ],
)
def test_checker_lets_pass(module, source):
    assert violations(source, module) == []


def test_checker_resolves_a_folder_from_its_init():
    assert violations("from .terms import RandomTerm", "pls", is_package=True) == []
    assert violations("from ..model import CrossedLMM", "pls", is_package=True) != []
