"""The parameters of a fit on the scale that people report: standard deviations and correlations."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import UnknownParameterError
from interlace.names import sd_cor_names
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.matrices.structures import unstructured

IntervalMethod = Literal["wald", "profile", "bootstrap"]

# Share of sigma that a random effect must add to the responses for its variance not to be called zero.
NEGLIGIBLE = 1e-8


def parameter_names(design: Design) -> list[str]:
    """Names of all parameters: standard deviations and correlations, ``sigma``, fixed effects.

    Parameters
    ----------
    design : Design
        Of the model.

    Returns
    -------
    list of str
        In the order of lme4's ``confint``.
    """
    labels = design.factor_labels
    terms = [(labels[term.factor].name, term.columns) for term in design.term_labels]
    return [*sd_cor_names(terms), "sigma", *design.xnames]


class Estimated(Protocol):
    """What is needed of a fit; `interlace.pls.PLSFit` has it."""

    @property
    def Sigma(self) -> tuple[FloatArray, ...]:
        """Covariance matrix of the random effects of each term."""

    @property
    def sigma2(self) -> float:
        """Residual variance."""

    @property
    def beta(self) -> FloatArray:
        """Fixed effects."""


def parameter_values(fit: PLSFit) -> FloatArray:
    """Estimates in the order of `parameter_names`.

    Parameters
    ----------
    fit : PLSFit
        A fit.

    Returns
    -------
    ndarray of shape (m + 1 + p,)
        Correlations are NaN beside a standard deviation of zero.
    """
    sizes = None if fit.criterion is None else column_sizes(fit.criterion)
    return parameter_table([fit], sizes)[0]


def parameter_table(fits: Sequence[Estimated], sizes: Sequence[FloatArray] | None = None) -> FloatArray:
    """Estimates of many fits of one model, in the order of `parameter_names`.

    Parameters
    ----------
    fits : sequence of fits
        At least one.
    sizes : sequence of ndarray of shape (k,), optional
        From `column_sizes`: tells variances that are zero but for rounding.

    Returns
    -------
    ndarray of shape (len(fits), m + 1 + p)
    """
    covariances = [np.array(own) for own in zip(*(fit.Sigma for fit in fits), strict=True)]
    sigma2, beta = np.array([fit.sigma2 for fit in fits]), np.array([fit.beta for fit in fits])
    return parameter_arrays(covariances, sigma2, beta, sizes)


def parameter_arrays(
    covariances: Sequence[FloatArray],
    sigma2: FloatArray,
    beta: FloatArray,
    sizes: Sequence[FloatArray] | None = None,
) -> FloatArray:
    """Estimates of many fits of one model as `parameter_table` has them, from arrays.

    Parameters
    ----------
    covariances : sequence of ndarray of shape (B, k, k)
        Covariance matrices of the random effects of each term.
    sigma2 : ndarray of shape (B,)
        Residual variances.
    beta : ndarray of shape (B, p)
        Fixed effects.
    sizes : sequence of ndarray of shape (k,), optional
        From `column_sizes`.

    Returns
    -------
    ndarray of shape (B, m + 1 + p)
    """
    sigma = np.sqrt(sigma2)
    least = None if sizes is None else [NEGLIGIBLE * sigma[:, None] / size for size in sizes]
    random = sds_and_correlations(covariances, least)
    return np.hstack([random, sigma[:, None], beta])


def column_sizes(criterion: ProfiledCriterion) -> list[FloatArray]:
    """Root mean square of each random effect's column, per term, (k,)."""
    return [np.linalg.norm(np.linalg.inv(inverse), axis=0) for inverse in criterion.relcov.term_inverses]


def sds_and_correlations(
    covariances: Sequence[FloatArray], least: Sequence[FloatArray] | None = None
) -> FloatArray:
    """Standard deviations and correlations of the terms, lower triangles column by column.

    Parameters
    ----------
    covariances : sequence of ndarray of shape (..., k, k)
        Covariance matrix of each term.
    least : sequence of ndarray of shape (..., k), optional
        Standard deviations below these are taken as zero.

    Returns
    -------
    ndarray of shape (..., m)
        Correlations are NaN beside a standard deviation of zero.

    Examples
    --------
    >>> sds_and_correlations([np.array([[4.0, 3.0], [3.0, 9.0]])])
    array([2. , 0.5, 3. ])
    """
    pieces = []
    for i, Sigma in enumerate(covariances):
        sds = np.sqrt(np.einsum("...kk->...k", Sigma))
        if least is not None:
            sds = np.where(sds < least[i], 0.0, sds)
        scale = sds[..., :, None] * sds[..., None, :]
        matrix = np.divide(Sigma, scale, out=np.full(Sigma.shape, np.nan), where=scale > 0.0)
        matrix = np.clip(matrix, -1.0, 1.0)
        k = np.arange(Sigma.shape[-1])
        matrix[..., k, k] = sds
        pieces.append(unstructured(len(k)).entries(matrix))
    return np.concatenate(pieces, axis=-1)


def positions(parm: str | int | Sequence[str | int] | None, names: Sequence[str]) -> list[int]:
    """Positions of the parameters asked for.

    Parameters
    ----------
    parm : str, int, sequence of them or None
        Names or positions; None asks for all. ``"theta_"`` stands for the standard deviations,
        correlations and sigma, ``"beta_"`` for the fixed effects, as in lme4.
    names : sequence of str
        Those there are.

    Returns
    -------
    list of int

    Raises
    ------
    UnknownParameterError
        If a name or a position is not among them.
    """
    if parm is None:
        return list(range(len(names)))
    n_theta = list(names).index("sigma") + 1 if "sigma" in names else 0
    groups = {"theta_": list(range(n_theta)), "beta_": list(range(n_theta, len(names)))}
    found: list[int] = []
    for one in [parm] if isinstance(parm, str | int) else parm:
        if isinstance(one, str):
            if one not in names and one not in groups:
                raise UnknownParameterError(
                    f"parm={one!r} is not a parameter of the model; those are {list(names)!r}"
                )
            found += [list(names).index(one)] if one in names else groups[one]
        else:
            found.append(_place(one, names))
    return found


def _place(given: object, names: Sequence[str]) -> int:
    try:
        return range(len(names))[operator.index(given)]  # type: ignore[arg-type]
    except (IndexError, TypeError):
        raise UnknownParameterError(
            f"parm={given!r} is no position of a parameter; there are {len(names)}, {list(names)!r}"
        ) from None
