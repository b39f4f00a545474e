"""Fits in words: summaries, tidy frames, tables of one model or several side by side, a paragraph."""

from .sheet import Part, Sheet
from .side_by_side import summary_table

__all__ = ["Part", "Sheet", "summary_table"]
