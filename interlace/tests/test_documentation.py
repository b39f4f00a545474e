"""The pages that are not built by Sphinx, and what Sphinx does not ask: output, links, completeness."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import interlace

from .test_examples import run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    if "_build" not in path.parts
)
# statsmodels' own machinery, inherited: it works, and statsmodels documents it.
INHERITED = ("statsmodels", "builtins")
# What models and results call on each other; a user has `update`, `refit` and `remove_data`.
PLUMBING = {
    *(f"CrossedLMM.{name}" for name in ("present_design", "results_of", "updated", "with_design")),
    *(f"CrossedLMM.{name}" for name in ("with_response", "without_frame", "without_rows")),
    *(f"CrossedLMMResults.{name}" for name in ("fit_with_criterion", "record", "responses")),
    "CrossedGLMMResults.f_test",  # refused
    *(f"CrossedGLMM.{name}" for name in ("results_of", "with_counts", "with_design", "without_rows")),
    "CrossedGLMM.recipe",
    *(f"CrossedGLMM.{name}" for name in ("describe", "term_columns", "formula_text", "design")),
}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_readme_runs_and_prints_what_it_says(tmp_path):
    output = run(["-c", "\n".join(blocks(README, "python"))], tmp_path)
    assert output.rstrip() == blocks(README, "text")[0].rstrip()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_that_is_shown_as_code_is_run(page):
    # In docs/ a cell is run when the site is built; a plain fence would only look like one.
    assert page.name == "README.md" or not blocks(page.read_text(encoding="utf-8"), "python")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    paths = [target.partition("#")[0] for target in targets if "://" not in target]
    assert [path for path in paths if path and not (page.parent / path).exists()] == []


def reference_names():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference").glob("*.md")))
    return set(re.findall(r"^   ([A-Za-z_][\w.]*)$", pages, flags=re.MULTILINE))


def public_members(cls):
    """Names that the class or its parents in this package define, private ones apart."""
    for name, member in inspect.getmembers(cls):
        owner = next(base for base in cls.__mro__ if name in vars(base)).__module__
        if not name.startswith("_") and owner.split(".")[0] not in INHERITED:
            yield name, member


def public_names():
    yield from (name for name in interlace.__all__ if name not in ("__version__", "datasets"))
    yield from interlace.datasets.__all__
    pairs = (interlace.CrossedLMM, interlace.CrossedLMMResults, interlace.CrossedGLMM)
    for cls in (*pairs, interlace.CrossedGLMMResults):
        # Plain class attributes (defaults such as ``ddf``) are described with the class.
        documented = (name for name, member in public_members(cls) if getattr(member, "__doc__", None))
        plain = {name for name, member in public_members(cls) if isinstance(member, str | int | float)}
        yield from (f"{cls.__name__}.{name}" for name in documented if name not in plain)


def test_reference_lists_every_public_name():
    assert sorted(set(public_names()) - PLUMBING - reference_names()) == []
