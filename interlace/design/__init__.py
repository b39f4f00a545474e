"""The data of a model as arrays and labels, made from a formula and a table or from arrays."""

from .from_arrays import design_from_arrays
from .from_formula import apply_design, build_design, random_columns
from .record import Block, Design, NewDesign, TermLabels

__all__ = [
    "Block",
    "Design",
    "NewDesign",
    "TermLabels",
    "apply_design",
    "build_design",
    "design_from_arrays",
    "random_columns",
]
