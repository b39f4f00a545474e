"""Names of MixedLM's models: what they hold of the groups and of the random effects.

With one grouping factor they are what MixedLM has; with several, tables or mappings by factor, as ``cov_re``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.inference import natural_parameters
from interlace.prediction.ranef import factor_columns, of_factor

from .likelihood import Likelihood


class DesignedModel(Protocol):
    """What the functions that stand in a model as its properties may read of it."""

    @property
    def design(self) -> Design:
        """The matrices and their labels."""

    def _likelihood(self, reml: bool) -> Likelihood: ...


def _one_or_all(by_factor: dict[str, Any]) -> Any:
    return next(iter(by_factor.values())) if len(by_factor) == 1 else by_factor


def groups(self: DesignedModel) -> Any:
    """Level of every row: an array, shape (nobs,); with several grouping factors a DataFrame."""
    design = self.design
    columns = {
        labels.name: np.asarray(labels.levels)[factor.codes]
        for labels, factor in zip(design.factor_labels, design.factors, strict=True)
    }
    one = _one_or_all(columns)
    return pd.DataFrame(columns, index=design.index) if isinstance(one, dict) else one


def n_groups(self: DesignedModel) -> int | dict[str, int]:
    """Number of levels; with several grouping factors a dict."""
    counts: int | dict[str, int] = _one_or_all(
        dict(zip(self.design.factor_names, self.design.n_levels, strict=True))
    )
    return counts


def group_labels(self: DesignedModel) -> list[Any] | dict[str, list[Any]]:
    """Levels in their order; with several grouping factors a dict of lists."""
    levels: list[Any] | dict[str, list[Any]] = _one_or_all(
        {labels.name: labels.levels.tolist() for labels in self.design.factor_labels}
    )
    return levels


def exog_re(self: DesignedModel) -> FloatArray | dict[str, FloatArray]:
    """Columns with random coefficients, shape (nobs, k); with several grouping factors a dict."""
    design = self.design
    columns = [term.Xi for term in design.terms]
    matrices: FloatArray | dict[str, FloatArray] = _one_or_all(
        {name: np.hstack(of_factor(design, f, columns)) for f, name in enumerate(design.factor_names)}
    )
    return matrices


def k_re(self: DesignedModel) -> int:
    """Random effects of one level, summed over the terms."""
    return sum(len(labels.columns) for labels in self.design.term_labels)


def k_vc(self: DesignedModel) -> int:
    """Number of variances, the length of ``vcomp``: as every one is that of a random effect, ``k_re``."""
    return k_re(self)


def get_scale(
    self: DesignedModel, fe_params: ArrayLike, cov_re: Any, vcomp: Any = None, *, reml: bool = True
) -> float:
    """Residual variance that maximises the likelihood, given all else in units of it.

    Parameters
    ----------
    fe_params : array_like of shape (k_fe,)
        Fixed effects.
    cov_re : array_like of shape (k, k), or mapping of str to them
        Covariance of the random effects of one level divided by the residual variance, as
        ``results.cov_re_unscaled``; with several grouping factors by factor.
    vcomp : None
        MixedLM's further variances; here they stand in ``cov_re``.
    reml : bool, default True
        Restricted likelihood or likelihood.

    Returns
    -------
    float

    Raises
    ------
    DesignError
        For matrices of other shapes, covariances between terms that are independent, a matrix that is not
        positive semidefinite, or ``vcomp``.

    Notes
    -----
    ``(y - X b)' V^-1 (y - X b) / nu``, where V is the covariance of the response in units of the residual
    variance and nu is ``nobs - k_fe`` for REML and ``nobs`` for maximum likelihood.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> round(fit.model.get_scale(fit.fe_params, fit.cov_re_unscaled), 2), round(fit.scale, 2)
    (654.94, 654.94)
    """
    if vcomp is not None and np.size(vcomp):
        raise DesignError("vcomp= was given; all variances stand in cov_re=, see results.cov_re_unscaled")
    given = cov_re if isinstance(cov_re, Mapping) else {self.design.factor_names[0]: cov_re}
    beta = np.asarray(fe_params, dtype=float)
    if beta.shape != (len(self.design.xnames),):
        raise DesignError(f"fe_params has shape {beta.shape}; wanted ({len(self.design.xnames)},)")
    relative = natural_parameters(_by_term(self.design, given))
    return self._likelihood(reml).scale(np.concatenate([beta, relative]))


def _by_term(design: Design, given: Mapping[str, Any]) -> list[FloatArray]:
    """Blocks of the factors' covariance matrices that belong to each term."""
    if set(given) != set(design.factor_names):
        raise DesignError(f"cov_re= is for {list(given)}; wanted matrices for {design.factor_names}")
    blocks: list[FloatArray] = []
    whole = {name: _checked(design, f, given[name]) for f, name in enumerate(design.factor_names)}
    used = dict.fromkeys(whole, 0)
    for labels in design.term_labels:
        name, k = design.factor_names[labels.factor], len(labels.columns)
        at = slice(used[name], used[name] + k)
        used[name] += k
        blocks.append(whole[name][at, at])
        rest = whole[name][at].copy()
        rest[:, at] = 0.0
        if rest.any():
            raise DesignError(f"cov_re= has covariances between independent terms of {name!r}; wanted zeros")
    return blocks


def _checked(design: Design, factor: int, matrix: Any) -> FloatArray:
    found, k = np.asarray(matrix, dtype=float), len(factor_columns(design, factor))
    if found.shape != (k, k):
        raise DesignError(
            f"cov_re= of {design.factor_names[factor]!r} has shape {found.shape}; wanted ({k}, {k})"
        )
    return found
