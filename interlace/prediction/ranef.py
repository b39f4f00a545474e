"""Random effects with their labels: conditional modes, their variances, the covariances behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import linalg

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError
from interlace.fitted import EstimatedModel
from interlace.inference import columns_in_null
from interlace.names import INTERCEPT, merged_columns
from interlace.pls.elsewhere import agree

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


def random_effects(self: EstimatedModel) -> dict[str, pd.Series | pd.DataFrame]:
    """Conditional modes: factor to Series (intercepts only) or DataFrame (one column per effect)."""
    design, b = self.record.design, determined_modes(self.record.fit)
    return {
        labels.name: by_level(design, f, np.hstack(of_factor(design, f, b)))
        for f, labels in enumerate(design.factor_labels)
    }


def determined_modes(fit: Any) -> tuple[FloatArray, ...]:
    """Conditional modes of each term, (n_levels, k); NaN where the data do not determine them."""
    other = getattr(fit, "elsewhere", None)
    if other is None:
        modes: tuple[FloatArray, ...] = fit.b
        return modes
    found = []
    for own, there, Sigma in zip(fit.b, other.b, other.Sigma, strict=True):
        sd = np.sqrt(np.diag(Sigma))
        found.append(np.where(agree(own, there, sd), own, np.nan))
    return tuple(found)


def random_effects_cov(self: EstimatedModel) -> dict[str, pd.Series | pd.DataFrame]:
    """Conditional variances (intercepts only) or covariance matrices, ``[factor].loc[level]``.

    Given the estimates: as in lme4 they hold no uncertainty of the fixed effects.
    """
    design = self.record.design
    return {
        labels.name: by_level_and_column(design, f, covariances)
        for f, (labels, covariances) in enumerate(
            zip(design.factor_labels, conditional_covariances(self), strict=True)
        )
    }


def random_effects_se(self: EstimatedModel) -> dict[str, pd.Series | pd.DataFrame]:
    """Conditional standard deviations, in the shape of ``random_effects``."""
    design = self.record.design
    return {
        labels.name: by_level(design, f, np.sqrt(np.einsum("lkk->lk", covariances)))
        for f, (labels, covariances) in enumerate(
            zip(design.factor_labels, conditional_covariances(self), strict=True)
        )
    }


def random_effects_of(self: EstimatedModel, factor: str, levels: Sequence[Any]) -> pd.DataFrame:
    """Conditional modes and standard deviations of some levels, by any solver: one solve for each effect.

    Parameters
    ----------
    factor : str
        Name of the grouping factor.
    levels : sequence
        Levels, as the data write them.

    Returns
    -------
    DataFrame
        Indexed by level; columns ``effect``, ``mode`` and ``sd``, one row per effect of each level.

    Raises
    ------
    KeyError
        For a factor or a level that the fit has not seen.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin())
    >>> fit.random_effects_of("sample", ["A", "F"]).round(3)
                 effect   mode     sd
    sample
    A       (Intercept)  2.187  0.202
    F       (Intercept) -3.004  0.202
    """
    design = self.record.design
    if factor not in design.factor_names:
        raise KeyError(f"{factor!r} is no grouping factor of this model; it has {design.factor_names!r}")
    f = design.factor_names.index(factor)
    known = design.factor_labels[f].levels
    places = known.get_indexer(pd.Index(levels))
    if (places < 0).any():
        unknown = [level for level, place in zip(levels, places, strict=True) if place < 0]
        raise KeyError(f"{factor} has no level {unknown[0]!r} among those of the fit")
    covariances = self.record.conditional_covariances_of(f, places)
    modes = np.hstack(of_factor(design, f, self.record.fit.b))[places]
    columns = factor_columns(design, f)
    return pd.DataFrame(
        {
            "effect": np.tile(columns, len(places)),
            "mode": modes.ravel(),
            "sd": np.sqrt(np.einsum("lkk->lk", covariances)).ravel(),
        },
        index=pd.Index(np.repeat(known[places], len(columns)), name=factor),
    )


def conditional_covariances(results: EstimatedModel) -> tuple[FloatArray, ...]:
    """Conditional covariances per grouping factor, in the design's order of factors; computed once.

    Parameters
    ----------
    results : CrossedLMMResults
        A fit.

    Returns
    -------
    tuple of ndarray of shape (n_levels, K, K)
    """
    return results.record.conditional_covariances()


def random_effects_by_group(self: EstimatedModel, factor: str | None = None) -> dict[Any, pd.Series]:
    """Conditional modes in MixedLM's shape: level to Series.

    Parameters
    ----------
    factor : str, optional
        Name of the grouping factor; may be left out if there is only one.

    Returns
    -------
    dict
        One Series per level, indexed by the effects.

    Raises
    ------
    ValueError
        If there are several factors and none is named.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.random_effects_by_group()["308"].round(2).to_dict()
    {'(Intercept)': 2.26, 'Days': 9.2}
    """
    if factor is None and len(self.random_effects) > 1:
        raise ArgumentError(
            f"the model has several grouping factors; name one of {list(self.random_effects)!r}"
        )
    effects = next(iter(self.random_effects.values())) if factor is None else self.random_effects[factor]
    frame = effects.to_frame() if isinstance(effects, pd.Series) else effects
    return {level: frame.loc[level] for level in frame.index}


def varcov(self: EstimatedModel) -> dict[str, pd.DataFrame]:
    """Covariance matrix of the random effects of every factor, all its terms together."""
    design = self.record.design
    return {
        labels.name: factor_covariance(design, f, self.term_covariances)
        for f, labels in enumerate(design.factor_labels)
    }


def cov_re_unscaled(self: EstimatedModel) -> pd.DataFrame | dict[str, pd.DataFrame]:
    """``cov_re`` in units of the residual variance; by factor where there are several."""
    relative = {name: Sigma / self.scale for name, Sigma in self.varcov.items()}
    return next(iter(relative.values())) if len(relative) == 1 else relative


def vcomp(self: EstimatedModel) -> pd.Series:
    """Variances of the random effects, named as in the summary; no covariances, no residual."""
    names = self.variance_names
    named = zip(names, self.params[self.k_fe : self.k_fe + len(names)], strict=True)
    return pd.Series({name: value for name, value in named if name.endswith(" Var")}, dtype=float)


def variance_components(self: EstimatedModel) -> dict[str, float | pd.DataFrame]:
    """Variance (intercepts only) or covariance matrix by factor, and the ``"Residual"`` variance."""
    components: dict[str, float | pd.DataFrame] = {
        name: float(Sigma.to_numpy()[0, 0]) if is_intercept(list(Sigma.columns)) else Sigma
        for name, Sigma in self.varcov.items()
    }
    return components | {"Residual": self.scale}


def singular_directions(self: EstimatedModel) -> tuple[str, ...]:
    """In words, the term and the direction of every zero variance."""
    return singular_sentences(self.record.design, self.term_covariances, self.record.fit.singular)
