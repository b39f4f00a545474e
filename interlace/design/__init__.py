"""The data of a model as arrays and labels, made from a formula and a table or from arrays."""

from .from_arrays import design_from_arrays
from .from_formula import build_design
from .new_data import apply_design, refusal_of_other_rows, whole_sample_variables
from .record import Design, NewDesign, Schema, TermLabels, UsedRows

__all__ = [
    "Design",
    "NewDesign",
    "Schema",
    "TermLabels",
    "UsedRows",
    "apply_design",
    "build_design",
    "design_from_arrays",
    "refusal_of_other_rows",
    "whole_sample_variables",
]
