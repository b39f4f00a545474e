"""Writing a fit to a file."""

from __future__ import annotations

from typing import Any

from interlace.errors import ArgumentError
from interlace.fitted import EstimatedModel

from .container import to_bytes, write
from .fits import fit_apart, kept_apart, rows_apart
from .plain import Packer
from .schemas import schema_apart


def save(
    self: EstimatedModel, fname: Any, remove_data: bool | None = None, *, rows: bool | None = None
) -> None:
    """Write the fit to a file of numbers and text, from which `interlace.load` reads it without running code.

    Parameters
    ----------
    fname : str, path or file open for bytes
        A file that is there is replaced once the new one is complete.
    remove_data : bool, optional
        statsmodels' way of saying ``rows=not remove_data``; this object keeps its data either way.
    rows : bool, default False
        Store the arrays with an entry per row too: fitted values, residuals, simulations and refits then work
        after loading. Without them the size of the file does not depend on the number of rows.

    Raises
    ------
    DesignError
        If rows are asked for that are gone.
    StorageError
        If levels of a factor are objects that have no plain form.
    OSError
        If the file cannot be written; what was there is then as it was.

    Examples
    --------
    >>> import interlace, tempfile, pathlib
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "fit.interlace"
    >>> fit.save(path)
    >>> interlace.load(path).predict({"Days": [3], "Subject": ["308"]}).round(2).tolist()
    [312.66]
    """
    if rows is not None and remove_data is not None and rows == bool(remove_data):
        raise ArgumentError(
            f"rows={rows} and remove_data={remove_data} contradict each other; give rows= alone"
        )
    kept = bool(rows) if remove_data is None else not remove_data
    self._settle()
    packer = Packer()
    tree = _apart(self, packer, rows=kept)
    write(fname, to_bytes(tree, packer.arrays))


def _apart(results: Any, packer: Packer, *, rows: bool) -> dict[str, Any]:
    record, model = results.record, results.model
    return {
        "kind": "linear",
        "schema": schema_apart(record.design.schema, packer),
        "fit": fit_apart(record.fit, packer),
        "kept": kept_apart(record.kept, packer),
        "rows": rows_apart(record.design.rows, packer) if rows else None,
        "ddf": record.ddf,
        "full_output": bool(results.full_output),
        "group_sizes": packer.pack(results.group_sizes.to_numpy()),
        "model": {
            "formula": getattr(model, "formula", None),
            "const_idx": packer.pack(model.data.const_idx),
            "k_constant": int(model.k_constant),
            "labelled": bool(model.data.labelled),
        },
    }
