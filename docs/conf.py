"""Sphinx's settings: pages in Markdown, the reference made from the docstrings."""

import interlace

project = "interlace"
author = "The interlace developers"
copyright = "2026, The interlace developers"
release = interlace.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
]
exclude_patterns = ["_build"]

# Pages that compute are computed when the documentation is built, and an error there is an error here.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
myst_enable_extensions = ["dollarmath"]

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings name the types, in words
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_show_sourcelink = False
