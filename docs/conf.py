"""Sphinx's settings: pages that are run when they are built, the reference made from the docstrings."""

import shutil
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

import interlace

HERE = Path(__file__).parent

project = "interlace"
author = "The interlace developers"
copyright = "2026, The interlace developers"
release = interlace.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
]
exclude_patterns = ["_build", "lme4"]
nitpicky = True  # a reference that leads nowhere is a warning, and a warning is an error
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|pandas|scipy|sklearn|statsmodels|joblib|matplotlib|typing|collections)\..*"),
]

# Pages that compute are computed when the documentation is built, and an error there is an error here.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

templates_path = ["_templates"]
autosummary_generate = True
toc_object_entries = False
autodoc_typehints = "none"  # the docstrings name the types, in words
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "interlace"
html_static_path = ["_static"]
html_css_files = ["interlace.css"]
html_show_sourcelink = False
html_sidebars = {page: [] for page in ("index", "install", "for-*")}  # these have no pages below them
html_theme_options = {
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_version_warning_banner": False,
}


def _measured(name: str) -> None:
    """Copy what the benchmarks wrote last to where the page on performance includes it."""
    measured = HERE.parent / "benchmarks" / "results" / name
    included = HERE / "_build" / f"performance-{name}"
    included.parent.mkdir(exist_ok=True)
    if measured.exists():
        shutil.copyfile(measured, included)
    else:
        included.write_text("Not measured yet: `make bench` does it.\n", encoding="utf-8")


_measured("table.md")
_measured("floor.md")


# Formulas are written as MathML when the site is built: browsers show it without a script from elsewhere.


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(convert(node.astext().strip(), display="block") + "</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register the MathML writer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
