"""Fits as papers print them: a table of one model, of several side by side, and a paragraph of text."""

from .comparison import summary_table
from .methods import Publication
from .sheet import Part, Sheet

__all__ = ["Part", "Publication", "Sheet", "summary_table"]
