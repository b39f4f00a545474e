"""Validate the docstring of every name in the reference by numpydoc's rules; exit with 1 if any fails.

The rules that are not ours are in pyproject.toml. Callables of the public API must have an example as well,
which the doctests run; the numerical room and the exceptions need none.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from numpydoc.validate import validate

HERE = Path(__file__).parent
NO_EXAMPLE = ("interlace.errors.", "interlace.pls.")
STATSMODELS = ("CrossedLMMResults.save", "CrossedLMMResults.load")
# Names that numpydoc takes for a folder of the package.
ELSEWHERE = {"interlace.design": "interlace.planning.layouts.design"}
# Densities and derivatives, for those who know them from statsmodels' other models.
FOR_EXPERTS = tuple(
    f"interlace.CrossedLMM.{name}"
    for name in ("predict", "loglike", "score", "hessian", "information", "get_distribution", "criterion")
)


def names() -> Iterator[str]:
    """Full names in the lists of docs/reference."""
    for page in sorted((HERE / "reference").glob("*.md")):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                module = found[1]
            elif found := re.match(r"   ([A-Za-z_][\w.]*)$", line):
                yield f"{module}.{found[1]}"


def faults(name: str, not_ours: set[str]) -> list[str]:
    """What is wrong with one docstring, a line per fault."""
    if name.endswith(STATSMODELS):
        return []
    checked = validate(ELSEWHERE.get(name, name))
    found = [f"{name}: {code} {text}" for code, text in checked["errors"] if code not in not_ours]
    called = checked["type"] in ("function", "type") and not name.startswith((*NO_EXAMPLE, *FOR_EXPERTS))
    without = called and "EX01" in {code for code, _ in checked["errors"]}
    return [*found, *([f"{name}: has no example"] if without else [])]


def main() -> int:
    """Print every fault."""
    settings = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    not_ours = set(settings["tool"]["numpydoc_validation"]["checks"]) - {"all"}
    found = [fault for name in sorted(set(names())) for fault in faults(name, not_ours)]
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
