"""Random effects with their labels: conditional modes, their variances, the covariances behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import linalg

from interlace.design import Design
from interlace.inference import columns_in_null
from interlace.names import INTERCEPT, merged_columns

FloatArray: TypeAlias = NDArray[np.float64]
Labelled: TypeAlias = pd.Series | pd.DataFrame


def factor_columns(design: Design, factor: int) -> list[str]:
    """Columns of the random effects of one factor, all its terms together.

    Parameters
    ----------
    design : Design
        Labels of the terms.
    factor : int
        Position of the grouping factor.

    Returns
    -------
    list of str
        Unique names, one per column, in term order.
    """
    return merged_columns([column for t in design.term_labels if t.factor == factor for column in t.columns])


def of_factor(design: Design, factor: int, by_term: Sequence[FloatArray]) -> list[FloatArray]:
    """Those of the arrays, one per term, that belong to a factor.

    Parameters
    ----------
    design : Design
        Labels of the terms.
    factor : int
        Position of the grouping factor.
    by_term : sequence of ndarray
        One array per term.

    Returns
    -------
    list of ndarray
        In term order.
    """
    return [array for array, t in zip(by_term, design.term_labels, strict=True) if t.factor == factor]


def is_intercept(columns: Sequence[str]) -> bool:
    """Whether the random effects of a factor are an intercept and nothing else.

    Parameters
    ----------
    columns : sequence of str
        Columns of the factor.

    Returns
    -------
    bool
        True for the single column ``(Intercept)``.
    """
    return list(columns) == [INTERCEPT]


def by_level(design: Design, factor: int, values: FloatArray) -> Labelled:
    """One row per level: a Series for an intercept, a DataFrame for anything else.

    Parameters
    ----------
    design : Design
        Labels.
    factor : int
        Position of the grouping factor.
    values : ndarray of shape (n_levels, K)
        One column per random effect.

    Returns
    -------
    Series or DataFrame
        Indexed by the levels, as the data write them.
    """
    labels, columns = design.factor_labels[factor], factor_columns(design, factor)
    levels = labels.levels.rename(labels.name)
    if is_intercept(columns):
        return pd.Series(values[:, 0], index=levels, name=INTERCEPT)
    return pd.DataFrame(values, index=levels, columns=columns)


def by_level_and_column(design: Design, factor: int, values: FloatArray) -> Labelled:
    """Covariance matrices of all levels; ``.loc[level]`` is that of one level.

    Parameters
    ----------
    design : Design
        Labels.
    factor : int
        Position of the grouping factor.
    values : ndarray of shape (n_levels, K, K)
        One covariance matrix per level.

    Returns
    -------
    Series or DataFrame
        Variances indexed by level for an intercept; otherwise the matrices under one another, indexed by
        level and column.
    """
    columns = factor_columns(design, factor)
    if is_intercept(columns):
        return by_level(design, factor, values[:, :, 0])
    labels = design.factor_labels[factor]
    index = pd.MultiIndex.from_product([labels.levels, columns], names=[labels.name, None])
    return pd.DataFrame(values.reshape(-1, len(columns)), index=index, columns=columns)


def factor_covariance(design: Design, factor: int, covariances: Sequence[FloatArray]) -> pd.DataFrame:
    """Covariance matrix of the random effects of one level of a factor.

    Parameters
    ----------
    design : Design
        Labels.
    factor : int
        Position of the grouping factor.
    covariances : sequence of ndarray, shape (k, k)
        Covariance matrix of each term.

    Returns
    -------
    DataFrame of shape (K, K)
        Zero between different terms, which are independent.
    """
    columns = factor_columns(design, factor)
    blocks = of_factor(design, factor, covariances)
    return pd.DataFrame(linalg.block_diag(*blocks), index=columns, columns=columns)


def singular_sentences(
    design: Design, covariances: Sequence[FloatArray], directions: Sequence[FloatArray]
) -> tuple[str, ...]:
    """Say what is singular about a fit, one phrase per direction without variance.

    Parameters
    ----------
    design : Design
        Labels of the terms.
    covariances : sequence of ndarray, shape (k, k)
        Covariance matrix of each term.
    directions : sequence of ndarray, shape (k, r)
        Directions of zero variance of each term.

    Returns
    -------
    tuple of str
        Empty for a fit in the interior.
    """
    phrases = []
    for labels, Sigma, null in zip(design.term_labels, covariances, directions, strict=True):
        bar = f"({labels.lhs} | {design.factor_labels[labels.factor].name})"
        phrases += [f"in {bar} {phrase}" for phrase in _phrases(labels.columns, Sigma, null)]
    return tuple(phrases)


def _phrases(columns: Sequence[str], Sigma: FloatArray, null: FloatArray) -> list[str]:
    constant = np.diag(Sigma) == 0.0
    phrases = [f"the variance of {columns[i]} is 0" for i in np.flatnonzero(constant).tolist()]
    left = null.shape[1] - len(phrases)
    if left == 1:
        # What remains of the null space once the columns without variance are taken out is one direction.
        direction = np.linalg.svd(np.where(constant[:, None], 0.0, null))[0][:, 0]
        phrases.append(_combination(columns, Sigma, direction))
    elif left > 1:
        rank = len(columns) - null.shape[1]
        phrases.append(f"the covariance matrix of {len(columns)} effects has rank {rank}")
    return phrases


def _combination(columns: Sequence[str], Sigma: FloatArray, direction: FloatArray) -> str:
    involved = np.flatnonzero(columns_in_null(Sigma, direction[:, None])[:, 0]).tolist()
    if len(involved) == 2:
        sign = "-1" if direction[involved].prod() > 0 else "+1"
        return f"the correlation of {columns[involved[0]]} and {columns[involved[1]]} is {sign}"
    weights = direction / direction[involved[0]]
    return f"the combination {' '.join(f'{weights[i]:+.4g}*{columns[i]}' for i in involved)} has variance 0"
