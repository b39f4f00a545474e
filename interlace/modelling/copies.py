"""What is computed once and handed out so that nobody can write into it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd


class table(property):  # noqa: N801 - used as `property` is
    """A property that is computed once and handed out as a copy: writing into it changes nothing."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None, /) -> Any:
        if instance is None:
            return self
        kept = vars(instance).setdefault("_tables", {})
        if self._name not in kept:
            kept.setdefault(self._name, super().__get__(instance, owner))
        return copied(kept[self._name])

    def __set__(self, instance: Any, value: Any, /) -> None:
        vars(instance).setdefault("_tables", {})[self._name] = value


def copied(value: Any) -> Any:
    """A copy of a table, or of a mapping of tables; anything else as it is."""
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.copy()
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    return value


class read_only(cached_property):  # noqa: N801 - used as `cached_property` is
    """A cached property whose array cannot be written to."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        value = super().__get__(instance, owner)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
        return value
