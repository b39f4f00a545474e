"""The parameters of a fit on the scale that people report: standard deviations and correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from interlace.design import Design
from interlace.inference import correlations
from interlace.names import sd_cor_names
from interlace.pls import PLSFit, ProfiledCriterion

FloatArray = NDArray[np.float64]

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
    sigma = float(np.sqrt(fit.sigma2))
    least = None if fit.criterion is None else least_sds(fit.criterion, sigma)
    return np.concatenate([sds_and_correlations(fit.Sigma, least), [sigma], fit.beta])


def least_sds(criterion: ProfiledCriterion, sigma: float) -> list[FloatArray]:
    """Standard deviations, per term, that change no response by more than rounding: they count as zero.

    Parameters
    ----------
    criterion : ProfiledCriterion
        It knows the size of every random effect's column.
    sigma : float
        Residual standard deviation.

    Returns
    -------
    list of ndarray of shape (k,)
    """
    sizes = [np.linalg.norm(np.linalg.inv(inverse), axis=0) for inverse in criterion.relcov.term_inverses]
    return [NEGLIGIBLE * sigma / size for size in sizes]


def sds_and_correlations(
    covariances: Sequence[FloatArray], least: Sequence[FloatArray] | None = None
) -> FloatArray:
    """Standard deviations and correlations of the terms, lower triangles column by column.

    Parameters
    ----------
    covariances : sequence of ndarray of shape (k, k)
        Covariance matrix of each term.
    least : sequence of ndarray of shape (k,), optional
        Standard deviations below these are taken as zero, see `least_sds`.

    Returns
    -------
    ndarray of shape (m,)
        Correlations are NaN beside a standard deviation of zero.

    Examples
    --------
    >>> sds_and_correlations([np.array([[4.0, 3.0], [3.0, 9.0]])])
    array([2. , 0.5, 3. ])
    """
    pieces = []
    for i, Sigma in enumerate(covariances):
        sds = np.sqrt(np.diag(Sigma))
        if least is not None:
            sds = np.where(sds < least[i], 0.0, sds)
        matrix = np.ones((1, 1))
        if len(Sigma) > 1:
            matrix = correlations(np.where(np.outer(sds, sds) > 0.0, Sigma, 0.0))
        np.fill_diagonal(matrix, sds)
        pieces.append(matrix.T[np.triu_indices(len(Sigma))])
    return np.concatenate(pieces) if pieces else np.empty(0)


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
    KeyError
        If a name is not among them.
    """
    if parm is None:
        return list(range(len(names)))
    n_theta = list(names).index("sigma") + 1 if "sigma" in names else 0
    groups = {"theta_": list(range(n_theta)), "beta_": list(range(n_theta, len(names)))}
    found: list[int] = []
    for one in [parm] if isinstance(parm, str | int) else parm:
        if isinstance(one, str):
            if one not in names and one not in groups:
                raise KeyError(f"parm={one!r} is not a parameter of the model; those are {list(names)!r}")
            found += [list(names).index(one)] if one in names else groups[one]
        else:
            found.append(range(len(names))[one])
    return found
