"""Expected responses and residuals of rows that are streamed: a pass over their source each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import apply_design
from interlace.errors import DesignError
from interlace.fitted import Fitted
from interlace.formula.chunkwise import columns_of
from interlace.formula.variables import Expression
from interlace.pls.matrices.sums import Chunk
from interlace.streaming.record import StreamedDesign
from interlace.streaming.rows import OfChunk, StreamedRows
from interlace.streaming.sources import Source

from .parts import NewLevels, determined_mean, fixed_part, mean_of_terms, refuse_unseen

# What a row of the fit has: by name, a function of its fixed part, its expected response and its response.
KINDS: Mapping[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "fittedvalues": lambda _, fitted, __: fitted,
    "resid": lambda _, fitted, y: y - fitted,
    "fittedvalues_marginal": lambda fixed, _, __: fixed,
    "resid_marginal": lambda fixed, _, y: y - fixed,
}


@dataclass(frozen=True, eq=False)
class OwnRows:
    """Computes columns for the rows of a fit, chunk by chunk.

    Attributes
    ----------
    record : Fitted
        The fit, of a streamed design.
    kinds : dict of str to str
        Names of columns, and which of `KINDS` they hold.
    chosen : collection of str
        Grouping factors whose random effects enter.
    """

    record: Fitted
    kinds: Mapping[str, str]
    chosen: Collection[str]

    def __call__(self, frame: pd.DataFrame) -> OfChunk:
        """The columns of a chunk."""
        design: Any = self.record.design
        found, chunk = design.coder.read(frame)
        if chunk is None:
            return OfChunk(np.empty(0, dtype=np.intp), {name: np.empty(0) for name in self.kinds})
        fixed, fitted = self._means(design, chunk)
        values = {name: KINDS[kind](fixed, fitted, chunk.y) for name, kind in self.kinds.items()}
        return OfChunk(found.positions, values)

    def _means(self, design: StreamedDesign, chunk: Chunk) -> tuple[FloatArray, FloatArray]:
        fit = self.record.fit
        fixed = fixed_part(chunk.X[:, list(design.kept_columns)], fit.beta, chunk.offset)
        return fixed, mean_of_terms(fixed, design.schema, chunk.Xi, chunk.codes, fit.b, self.chosen)


def of_own_rows(
    record: Fitted, kinds: Mapping[str, str], *, chosen: Collection[str] | None = None, whole: bool = False
) -> StreamedRows:
    """Columns for the rows of a streamed fit.

    Parameters
    ----------
    record : Fitted
        The fit.
    kinds : dict of str to str
        Names of columns, and which of `KINDS` they hold.
    chosen : collection of str, optional
        Grouping factors whose random effects enter; all by default.
    whole : bool, default False
        Put all columns of the source before them.

    Returns
    -------
    StreamedRows
    """
    design: Any = record.design
    if not isinstance(design, StreamedDesign) or design.source is None:
        raise DesignError(
            "the source of the rows was not stored with the model, since only paths can be; give the data "
            "anew: predict(source)"
        )
    taken = [name for name in kinds if whole and name in design.source.columns]
    if taken:
        raise DesignError(f"the source has columns {taken} already; rename them, or use resid alone")
    reads = None if whole else design.coder.plan.columns
    work = OwnRows(record, kinds, design.factor_names if chosen is None else chosen)
    return StreamedRows(design.source, work, tuple(kinds), reads)


@dataclass(frozen=True, eq=False)
class NewRows:
    """Predicts the rows of a source, chunk by chunk; all of them, NaN where something is missing."""

    record: Fitted
    chosen: Collection[str]
    new_levels: NewLevels

    def __call__(self, frame: pd.DataFrame) -> OfChunk:
        """The predictions of a chunk."""
        fitted = self.record
        new = apply_design(fitted.design, frame, factors=self.chosen)
        return OfChunk(None, {"predicted": of_new_rows(fitted, new, self.chosen, self.new_levels)})


def of_source(record: Fitted, source: Source, chosen: Collection[str], new_levels: NewLevels) -> StreamedRows:
    """Predictions for the rows of a source.

    Parameters
    ----------
    record : Fitted
        The fit.
    source : Source
        New rows.
    chosen : collection of str
        Grouping factors whose random effects enter.
    new_levels : {"error", "population"}
        What to do about unseen levels.

    Returns
    -------
    StreamedRows
        The column ``predicted``.
    """
    known, schema = source.columns, record.design.schema
    codes = [code for coding in (schema.coding, *(t.coding for t in schema.term_labels)) if coding is not None
             for code in getattr(coding, "expressions", {})]  # fmt: skip
    codes += [own.code for own in schema.offsets if isinstance(own, Expression)]
    used = [name for code in codes for name in columns_of(code, known)]
    used += [name for labels in schema.factor_labels for name in labels.columns if name in known]
    reads = tuple(dict.fromkeys(used)) or tuple(known[:1])
    return StreamedRows(source, NewRows(record, chosen, new_levels), ("predicted",), reads)


def of_new_rows(fitted: Fitted, new: Any, chosen: Collection[str], new_levels: NewLevels) -> FloatArray:
    """Expected responses of new rows, (n,); unseen levels are refused or have random effects of zero."""
    for labels, unseen in zip(fitted.design.factor_labels, new.unseen, strict=True):
        if labels.name in chosen and new_levels == "error":
            refuse_unseen(labels.name, unseen, labels.levels, n_dropped=fitted.design.n_dropped)

    def mean(beta: FloatArray, b: Sequence[FloatArray]) -> FloatArray:
        fixed = fixed_part(new.X, beta, new.offset)
        return mean_of_terms(fixed, fitted.design.schema, new.Xi, new.codes, b, chosen)

    return determined_mean(fitted.fit, mean)
