"""Fits as papers print them: a table of one model, of several side by side, and a paragraph of text."""

from .methods import Publication
from .sheet import Part, Sheet
from .side_by_side import summary_table

__all__ = ["Part", "Publication", "Sheet", "summary_table"]
