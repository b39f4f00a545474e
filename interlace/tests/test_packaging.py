"""What a release holds and shows: links that lead somewhere on an index's page, one version, the extras."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import interlace

ROOT = Path(__file__).parents[2]


def script():
    spec = importlib.util.spec_from_file_location("absolute_links", ROOT / "packaging" / "absolute_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_link_of_the_readme_becomes_absolute():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = script().absolute(text, pages="https://a.example/blob", pictures="https://a.example/raw")
    outside = re.sub(r"^```.*?^```", "", found, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)\s]+)\)", outside) + re.findall(r'src="([^"]+)"', outside)
    assert len(targets) > 8
    assert [target for target in targets if not target.startswith("https://")] == []
    assert 'src="https://a.example/raw/docs/_static/caterpillar.png"' in found


def test_absolute_links_stay_and_pictures_have_their_own_address():
    given = '[a](https://x.org) ![b](c.png) [d](e.md) [f](#g) <img src="h.png">'
    expected = '[a](https://x.org) ![b](R/c.png) [d](P/e.md) [f](#g) <img src="R/h.png">'
    assert script().absolute(given, pages="P", pictures="R") == expected


@pytest.mark.parametrize("path", ["CITATION.cff", "packaging/conda/recipe.yaml"])
def test_version_is_the_same_everywhere(path):
    found = re.findall(
        r'^\s*version: "?([\d.]+)"?$', (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert interlace.__version__ in found


def test_conda_recipe_asks_for_what_the_package_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8").replace(" >=", ">=")
    assert [need for need in project["dependencies"] if f"- {need}\n" not in recipe] == []
