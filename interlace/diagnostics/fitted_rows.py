"""What every diagnostic starts from: the rows of a fit in the bases of its criterion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.names import INTERCEPT, merged_columns
from interlace.pls import PLSFit
from interlace.pls.matrices.structures import unstructured
from interlace.pls.rows.subtraction import Raw
from interlace.pls.rows.weighted import Rows, rows_of
from interlace.pls.search.criterion import Decomposition


@dataclass(frozen=True, eq=False)
class FittedRows:
    """A design, its fit, and the rows in the fit's bases; the factorization stands at the optimum.

    Attributes
    ----------
    design : Design
        The data, with labels.
    fit : PLSFit
        The estimates.
    at : Decomposition
        The criterion at the optimum.
    rows : Rows
        Weighted rows of Z, X and y.
    """

    design: Design
    fit: PLSFit
    at: Decomposition
    rows: Rows

    @property
    def raw(self) -> Raw:
        """The arguments of the fit."""
        return Raw(*self.design.arrays, **self.design.weighting)

    @property
    def scaled_sigma2(self) -> float:
        """Residual variance in units of the criterion's scaled response."""
        return self.at.pwrss / self.fit.criterion.nu


def fitted_rows(design: Design, fit: PLSFit) -> FittedRows:
    """Bring the factorization to the optimum and the rows into the fit's bases.

    Parameters
    ----------
    design : Design
        What was fitted to.
    fit : PLSFit
        The fit, with its criterion.

    Returns
    -------
    FittedRows
    """
    at = fit.criterion.decompose(fit.optimum.at.phi, fit.optimum.at.gauge)
    rows = rows_of(fit.criterion, *design.arrays, **design.weighting)
    return FittedRows(design, fit, at, rows)


def component_names(design: Design) -> list[str]:
    """Names of the variance components: the residual's, then lower triangles, column by column.

    Parameters
    ----------
    design : Design
        Labels of the terms.

    Returns
    -------
    list of str
        ``Residual``; ``factor`` where an intercept is the factor's only effect; otherwise
        ``factor.row.column``.
    """
    names = ["Residual"]
    for t, term in enumerate(design.term_labels):
        factor = design.factor_labels[term.factor].name
        own = _effects(design, t)
        alone = own == [INTERCEPT] and sum(x.factor == term.factor for x in design.term_labels) == 1
        structure = unstructured(len(own))
        pairs = zip(structure.rows, structure.columns, strict=True)
        names += [factor] if alone else [f"{factor}.{own[i]}.{own[j]}" for i, j in pairs]
    return names


def _effects(design: Design, t: int) -> list[str]:
    """Columns of a term, numbered where an earlier term of the factor has one of that name."""
    factor = design.term_labels[t].factor
    before = [c for term in design.term_labels[:t] if term.factor == factor for c in term.columns]
    return merged_columns([*before, *design.term_labels[t].columns])[len(before) :]


def components(sigma2: float, Sigma: tuple[FloatArray, ...]) -> FloatArray:
    """Variance components in the order of their names.

    Parameters
    ----------
    sigma2 : float
        Residual variance.
    Sigma : tuple of ndarray of shape (k, k)
        Covariance of the random effects of each term.

    Returns
    -------
    ndarray of shape (components,)
        A covariance that is zero but for rounding is zero.
    """
    parts = [np.array([sigma2])]
    for block in Sigma:
        scale = np.sqrt(np.abs(np.diagonal(block)))
        tiny = np.abs(block) <= 1e-12 * np.maximum(np.outer(scale, scale), sigma2 * 1e-12)
        parts.append(unstructured(len(block)).entries(np.where(tiny, 0.0, block)))
    return np.concatenate(parts)
