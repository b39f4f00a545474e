"""What a model was asked for beside formula and data, for an update of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from interlace.design.assembly import Rank
from interlace.formula.spelling import refuse_unknown
from interlace.frames.used_rows import Missing


@dataclass(frozen=True, eq=False)
class Recipe:
    """What `CrossedLMM.from_formula` was given beside formula and data, for an update of the model."""

    weights: Any = None
    offset: Any = None
    subset: Any = None
    missing: Missing = "drop"
    rank: Rank = "drop"
    safe_formula: bool = False


def known_changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Changes to a recipe; anything else is refused."""
    offered = [field.name for field in fields(Recipe)]
    refuse_unknown("update", {name: None for name in changes if name not in offered})
    return changes
