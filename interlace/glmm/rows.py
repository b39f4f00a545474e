"""Rows to predict, as the numerical room wants them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import BoolArray, FloatArray
from interlace.design import Design, apply_design
from interlace.pls.laplace.prediction import NewRows
from interlace.pls.matrices.terms import RandomTerm
from interlace.prediction.parts import refuse_unseen

NewLevels = Literal["error", "population", "integrate"]


@dataclass(frozen=True, eq=False)
class Target:
    """Complete rows to predict, and where they stand.

    Attributes
    ----------
    rows : NewRows
        Complete rows; levels of factors that are not chosen, or not seen, have code -1.
    chosen : tuple of bool
        For each term, whether its random effects enter.
    complete : ndarray of bool, shape (n,)
        Rows in which nothing needed is missing.
    index : Index
        Of all rows.
    """

    rows: NewRows
    chosen: tuple[bool, ...]
    complete: BoolArray
    index: pd.Index

    def series(self, values: FloatArray, name: str | None = None) -> pd.Series:
        """Values of the complete rows as a column; NaN elsewhere."""
        whole = np.full(len(self.index), np.nan)
        whole[self.complete] = values
        return pd.Series(whole, index=self.index, name=name)

    def frame(self, values: FloatArray, columns: Any) -> pd.DataFrame:
        """The same for several columns."""
        whole = np.full((len(self.index), values.shape[1]), np.nan)
        whole[self.complete] = values
        return pd.DataFrame(whole, index=self.index, columns=columns)

    def variance(self, Sigmas: tuple[FloatArray, ...], *, of_unseen: bool, of_others: bool) -> FloatArray:
        """``z'Sigma z`` summed over chosen terms of unseen levels, and over terms not chosen, (n,)."""
        total = np.zeros(len(self.rows.X))
        for term, Sigma, enters in zip(self.rows.terms, Sigmas, self.chosen, strict=True):
            own = np.einsum("na,ab,nb->n", term.Xi, Sigma, term.Xi)
            if enters and of_unseen:
                total += np.where(self.rows.known(term), 0.0, own)
            if not enters and of_others:
                total += own
        return total


def rows_of_fit(design: Design) -> NewRows:
    """The rows of a fit, all their levels known."""
    return NewRows([f.codes for f in design.factors], design.terms, design.X, design.offset)


def target_of(design: Design, data: Any, chosen: Collection[str], new_levels: str, *, others: bool) -> Target:
    """Rows of the fit or of new data.

    Parameters
    ----------
    design : Design
        Of the fit.
    data : table or None
        New data; None for the rows of the fit.
    chosen : collection of str
        Grouping factors whose random effects enter.
    new_levels : {"error", "population", "integrate"}
        Whether unseen levels are refused.
    others : bool
        Whether the columns of the other factors' terms are needed.

    Returns
    -------
    Target
    """
    names = design.factor_names
    enters = tuple(names[labels.factor] in chosen for labels in design.term_labels)
    if data is None:
        rows = rows_of_fit(design)
        index, complete = design.index, np.ones(len(design.index), dtype=bool)
    else:
        rows, complete, index = _new(design, data, chosen, new_levels, others=others)
    none = np.full(len(rows.X), -1)
    codes = [own if name in chosen else none for own, name in zip(rows.codes, names, strict=True)]
    return Target(replace(rows, codes=codes), enters, complete, index)


def _new(
    design: Design, data: Any, chosen: Collection[str], new_levels: str, *, others: bool
) -> tuple[NewRows, BoolArray, pd.Index]:
    new = apply_design(design, data, factors=chosen, every_term=others)
    if new_levels == "error":
        for labels, unseen in zip(design.factor_labels, new.unseen, strict=True):
            if labels.name in chosen:
                refuse_unseen(labels.name, unseen, labels.levels, n_dropped=design.n_dropped)
    n = len(new.index)
    Xi = tuple(own if len(own) == n else np.zeros((n, own.shape[1])) for own in new.Xi)
    offset = np.zeros(n) if new.offset is None else new.offset
    complete = np.asarray(np.isfinite(np.column_stack([new.X, offset, *Xi])).all(axis=1))
    codes = [own[complete] if len(own) else np.full(int(complete.sum()), -1) for own in new.codes]
    terms = tuple(
        RandomTerm(labels.factor, columns[complete])
        for labels, columns in zip(design.term_labels, Xi, strict=True)
    )
    return NewRows(codes, terms, new.X[complete], offset[complete]), complete, new.index


def without(design: Design, keep: BoolArray) -> Design:
    """The rows to keep of a design; levels keep their numbers."""
    rows = design.rows
    part: Any = {
        name: None if getattr(rows, name) is None else getattr(rows, name)[keep]
        for name in ("y", "X", "weights", "offset", "trials", "positions")
    }
    return design.with_rows(
        replace(
            rows,
            **part,
            factors=tuple(replace(factor, codes=factor.codes[keep]) for factor in rows.factors),
            terms=tuple(replace(term, Xi=term.Xi[keep]) for term in rows.terms),
            index=rows.index[keep],
        )
    )
