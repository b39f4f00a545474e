"""Tables of the reference figures, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from interlace.arrays import FloatArray
from interlace.tests.bank import MODELS, REFERENCE, load

NAMES = [name for name in MODELS if list((REFERENCE / "inference").glob(f"{name}.json*"))]


def having(key: str) -> list[str]:
    """Models whose reference figures hold a table."""
    return [name for name in NAMES if load("inference", name).get(key)]


def reference(name: str, key: str) -> Any:
    return load("inference", name)[key]


def column(table: dict[str, Any], name: str) -> FloatArray:
    """A column of numbers; null is NaN."""
    return np.array([np.nan if value is None else value for value in table["columns"][name]], dtype=float)
