"""One table, written once and read by every engine: a folder with one binary file per column.

Text would cost minutes for a million rows, and digits besides. R reads the same files with ``readBin``
(``worker.R``). Numbers are little-endian float64; a grouping column is int32 codes (zero-based) and a text
file with its levels, one a line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write_table(folder: Path, frame: pd.DataFrame, model: dict[str, Any]) -> None:
    """Write the columns, their kinds (``columns.tsv``) and the model (``model.json``, ``formula.txt``)."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = [f"{name}\t{_write_column(folder, str(name), frame[name])}" for name in frame.columns]
    (folder / "columns.tsv").write_text("\n".join(kinds) + "\n")
    (folder / "formula.txt").write_text(model["formula"] + "\n")
    (folder / "family.txt").write_text(model["family"] + "\n")
    record = json.dumps({**model, "rows": len(frame)})
    (folder / "model.json").write_text(record)  # last: its presence says that the table is whole


def _write_column(folder: Path, name: str, column: pd.Series) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column.cat.codes.to_numpy().astype("<i4").tofile(folder / f"{name}.bin")
        (folder / f"{name}.levels").write_text("\n".join(map(str, column.cat.categories)) + "\n")
        return "factor"
    column.to_numpy(dtype="<f8").tofile(folder / f"{name}.bin")
    return "number"


def read_table(folder: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the frame (numbers and categories) and the model."""
    lines = (folder / "columns.tsv").read_text().split("\n")
    kinds = dict(line.split("\t") for line in lines if line)
    frame = pd.DataFrame({name: _read_column(folder, name, kind) for name, kind in kinds.items()})
    return frame, json.loads((folder / "model.json").read_text())


def _read_column(folder: Path, name: str, kind: str) -> Any:
    if kind == "number":
        return np.fromfile(folder / f"{name}.bin", dtype="<f8")
    levels = (folder / f"{name}.levels").read_text().split("\n")[:-1]
    return pd.Categorical.from_codes(np.fromfile(folder / f"{name}.bin", dtype="<i4"), categories=levels)
