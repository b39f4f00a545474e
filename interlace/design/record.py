"""The design of a model: a schema, which knows names, levels and codings, and rows, which are arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.errors import DesignError
from interlace.formula.coding import without_columns
from interlace.formula.grammar import MixedFormula
from interlace.frames.columns import Columns
from interlace.frames.levels import FactorLabels
from interlace.pls import PLSFit, ProfiledCriterion, fit, profiled_criterion
from interlace.pls.matrices.basis import Dependence
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm


@dataclass(frozen=True)
class GivenOffset:
    """Stands for an ``offset=`` that was an array: new data cannot have it."""

    def __call__(self, columns: Columns) -> Any:
        """Refuse."""
        raise DesignError(
            f"offset= was an array, which {columns.n_rows} new rows do not have; to predict for new data fit "
            "with offset= the name of a column, or with offset(column) in the formula"
        )


@dataclass(frozen=True)
class LogOf:
    """Stands for an ``exposure=``: its logarithm is an offset."""

    source: Callable[[Columns], Any]

    def __call__(self, columns: Columns) -> Any:
        """The logarithms of new data's exposures."""
        return log_exposure(np.asarray(self.source(columns), dtype=float))


def log_exposure(exposure: FloatArray) -> FloatArray:
    """Logarithms of exposures, (n,); NaN where one is missing.

    Parameters
    ----------
    exposure : ndarray of shape (n,)
        Positive.

    Returns
    -------
    ndarray of shape (n,)
    """
    if not (exposure[~np.isnan(exposure)] > 0).all():
        raise DesignError("exposure holds numbers that are not positive; its logarithm enters as an offset")
    return np.log(exposure)


ROWS_ARE_GONE = (
    "the rows of the data are gone (remove_data was called, or the file was saved without rows) and with "
    "them what this needs; ask for it before, or fit the model again"
)


@dataclass(frozen=True, eq=False)
class TermLabels:
    """Names of one random-effects term.

    Attributes
    ----------
    factor : int
        Position of its grouping factor.
    columns : tuple of str
        ``"(Intercept)"``, and otherwise patsy's names: ``"Days"``, ``"recipe[T.B]"``.
    lhs : str
        Left side of the bar.
    coding : Coding or None
        Makes the columns from new data; None for an intercept alone.
    """

    factor: int
    columns: tuple[str, ...]
    lhs: str
    coding: Any = None

    @property
    def design_info(self) -> Any:
        """Patsy's description of the columns; None for an intercept alone."""
        return None if self.coding is None else self.coding.design_info()


class Weighting(TypedDict):
    """Prior weights and the known part of the mean, (n,), where there are any."""

    weights: FloatArray | None
    offset: FloatArray | None


@dataclass(frozen=True, eq=False)
class Schema:
    """What a model knows of its data without their rows: names, levels, and how to code new rows.

    Attributes
    ----------
    xnames, yname : tuple of str, str
        Names of the fixed effects, in lme4's order with patsy's spelling, and of the response.
    factor_labels : tuple of FactorLabels
        Grouping factors, in the order in which the terms first use them.
    term_labels : tuple of TermLabels
        Random-effects terms in lme4's order: by decreasing number of levels.
    n_dropped : int
        Rows left out because something was missing.
    dropped_columns : tuple of str
        Columns of X left out because they depend on those before them.
    formula : MixedFormula or None
        The formula, if there was one.
    coding : Coding
        Makes X, dropped columns included, from new data.
    kept_columns : tuple of int
        Positions of the columns of X among those of the coding.
    offsets : tuple of callable
        Make the offset from new data.
    dependence : Dependence or None
        How dropped columns depend on the kept ones; None if there are none.
    """

    xnames: tuple[str, ...]
    yname: str
    factor_labels: tuple[FactorLabels, ...]
    term_labels: tuple[TermLabels, ...]
    n_dropped: int
    dropped_columns: tuple[str, ...]
    formula: MixedFormula | None
    coding: Any
    kept_columns: tuple[int, ...]
    offsets: tuple[Callable[[Columns], Any], ...] = ()
    dependence: Dependence | None = None

    @property
    def factor_names(self) -> list[str]:
        """Names of the grouping factors."""
        return [labels.name for labels in self.factor_labels]

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Number of levels of every grouping factor."""
        return tuple(len(labels.levels) for labels in self.factor_labels)

    @property
    def design_info(self) -> Any:
        """Patsy's description of X, in the order of its columns.

        If columns were dropped it names columns and terms, but cannot be applied to data.
        """
        info = self.coding.design_info()
        return without_columns(info, self.kept_columns) if self.dropped_columns else info


@dataclass(frozen=True, eq=False)
class UsedRows:
    """The rows that enter a fit, as arrays that cannot be written to.

    Attributes
    ----------
    y : ndarray of shape (n,)
        Response.
    X : ndarray of shape (n, p)
        Fixed-effects model matrix, without dependent columns.
    factors, terms : tuples of GroupingFactor and RandomTerm
        Levels and raw columns, in the order of the schema's labels.
    weights, offset : ndarray of shape (n,) or None
        Prior weights (residual variance sigma^2 / w) and the known part of the mean.
    index : Index
        Labels of the rows.
    positions : ndarray of int, shape (n,), or None
        Where they stand in the data; None if all rows are used.
    trials : ndarray of shape (n,) or None
        Trials behind each row's proportion of successes.
    """

    y: FloatArray
    X: FloatArray
    factors: tuple[GroupingFactor, ...]
    terms: tuple[RandomTerm, ...]
    weights: FloatArray | None
    offset: FloatArray | None
    index: pd.Index
    positions: IntArray | None = None
    trials: FloatArray | None = None

    def __post_init__(self) -> None:
        codes, columns = (f.codes for f in self.factors), (t.Xi for t in self.terms)
        for array in (self.y, self.X, self.weights, self.offset, self.trials, *codes, *columns):
            if array is not None:
                array.flags.writeable = False


@dataclass(frozen=True, eq=False)
class Design:
    """Everything a fit needs to know of the data: a schema, and the rows while they are there.

    Fields of both can be read from the design itself.

    Attributes
    ----------
    schema : Schema
        Names, levels, codings.
    kept_rows : UsedRows or None
        None once the rows were forgotten; ``rows`` then refuses.
    """

    schema: Schema
    kept_rows: UsedRows | None

    xnames = property(attrgetter("schema.xnames"))
    yname = property(attrgetter("schema.yname"))
    factor_labels = property(attrgetter("schema.factor_labels"))
    factor_names = property(attrgetter("schema.factor_names"))
    n_levels = property(attrgetter("schema.n_levels"))
    term_labels = property(attrgetter("schema.term_labels"))
    n_dropped = property(attrgetter("schema.n_dropped"))
    dropped_columns = property(attrgetter("schema.dropped_columns"))
    formula = property(attrgetter("schema.formula"))
    coding = property(attrgetter("schema.coding"))
    kept_columns = property(attrgetter("schema.kept_columns"))
    offsets = property(attrgetter("schema.offsets"))
    dependence = property(attrgetter("schema.dependence"))
    design_info = property(attrgetter("schema.design_info"))

    y = property(attrgetter("rows.y"))
    X = property(attrgetter("rows.X"))
    factors = property(attrgetter("rows.factors"))
    terms = property(attrgetter("rows.terms"))
    weights = property(attrgetter("rows.weights"))
    offset = property(attrgetter("rows.offset"))
    index = property(attrgetter("rows.index"))
    positions = property(attrgetter("rows.positions"))
    trials = property(attrgetter("rows.trials"))

    @property
    def rows(self) -> UsedRows:
        """The rows; refused when they are gone."""
        if self.kept_rows is None:
            raise DesignError(ROWS_ARE_GONE)
        return self.kept_rows

    def without_rows(self) -> Design:
        """The schema alone: enough for new data."""
        return Design(self.schema, None)

    def with_rows(self, rows: UsedRows) -> Design:
        """The same schema on other rows."""
        return Design(self.schema, rows)

    def with_response(self, y: FloatArray, name: str) -> Design:
        """The same design with another response, shape (n,)."""
        return Design(replace(self.schema, yname=name), replace(self.rows, y=y))

    @property
    def n_rows(self) -> int:
        """Rows that enter the fit."""
        return len(self.y)

    @property
    def counts(self) -> tuple[IntArray, ...]:
        """Rows of each level, per factor."""
        return tuple(np.bincount(factor.codes, minlength=factor.n_levels) for factor in self.factors)

    @property
    def extras(self) -> list[str]:
        """Which of weights and offset there are."""
        return [name for name in ("weights", "offset") if getattr(self, name) is not None]

    def cells(self, first: int, second: int) -> int:
        """How many combinations of levels of two factors occur."""
        a, b = self.factors[first], self.factors[second]
        return len(np.unique(a.codes.astype(np.int64) * b.n_levels + b.codes))

    def criterion(self, *, reml: bool, **how: Any) -> ProfiledCriterion:
        """The criterion to be minimised; the keywords are those of `interlace.pls.profiled_criterion`."""
        return profiled_criterion(*self.arrays, **self.weighting, reml=reml, **how)

    def fit(self, *, reml: bool, **how: Any) -> PLSFit:
        """Fit the model; the keywords are those of `interlace.pls.fit`."""
        return fit(*self.arrays, **self.weighting, reml=reml, **how)

    @property
    def arrays(self) -> tuple[tuple[GroupingFactor, ...], tuple[RandomTerm, ...], FloatArray, FloatArray]:
        """Factors, terms, X and y: what the numerical room is given, together with ``weighting``."""
        return self.factors, self.terms, self.X, self.y

    @property
    def weighting(self) -> Weighting:
        """Weights and offset, by these names."""
        return {"weights": self.weights, "offset": self.offset}


@dataclass(frozen=True, eq=False)
class NewDesign:
    """Matrices for rows that the fit has not seen.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        Columns as in the fit; NaN in rows where something needed is missing.
    Xi : tuple of ndarray of shape (n, k)
        Raw columns of each term; no rows where the grouping factor was not asked for.
    codes : tuple of ndarray of int, shape (n,)
        For each factor, levels of the fit; -1 for levels that it has not seen; no rows where the
        factor was not asked for.
    unseen : tuple of list
        For each factor, those levels.
    offset : ndarray of shape (n,) or None
        Known part of the mean.
    index : Index
        That of the data.
    """

    X: FloatArray
    Xi: tuple[FloatArray, ...]
    codes: tuple[IntArray, ...]
    unseen: tuple[list[Any], ...]
    offset: FloatArray | None
    index: pd.Index
