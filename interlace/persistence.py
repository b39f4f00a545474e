"""Pickling designs: patsy's objects, which refuse it, and the modules that formulas use."""

from __future__ import annotations

import importlib
import io
import pickle
from types import ModuleType
from typing import Any


class _DesignPickler(pickle.Pickler):
    """Pickles instances of patsy's classes by their attributes and modules by their name.

    patsy gives its classes a ``__getstate__`` that raises (patsy issue 26: the format is not settled). Their
    attributes are plain, and what a stored design needs of them is that the same version reads them back.
    """

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, ModuleType):
            return importlib.import_module, (obj.__name__,)
        cls = type(obj)
        if cls.__module__.partition(".")[0] == "patsy" and hasattr(obj, "__dict__"):
            return _blank, (cls,), dict(obj.__dict__)
        return NotImplemented


def _blank(cls: type) -> Any:
    """Instance without attributes."""
    return cls.__new__(cls)


def dumps(design: object) -> bytes:
    """Bytes from which :func:`loads` restores a design, patsy's objects included.

    Parameters
    ----------
    design : object
        What to store.

    Returns
    -------
    bytes
        A pickle that any unpickler reads.

    Raises
    ------
    TypeError, AttributeError, pickle.PicklingError
        If the formula uses a function that cannot be stored, such as a lambda.
    """
    buffer = io.BytesIO()
    try:
        _DesignPickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(design)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        error.add_note(
            "The formula uses an object that cannot be stored. Functions in a formula must be importable: "
            "define them at the top level of a module, not as a lambda or inside another function."
        )
        raise
    return buffer.getvalue()


def loads(stored: bytes) -> Any:
    """Object stored by :func:`dumps`.

    Parameters
    ----------
    stored : bytes
        A pickle; never load one from a source you do not trust.

    Returns
    -------
    object
        The design.
    """
    return pickle.loads(stored)
