"""The three ways of testing fixed effects, by name."""

from __future__ import annotations

from typing import get_args

from interlace.errors import ArgumentError
from interlace.fitted import Ddf, EstimatedModel
from interlace.pls import PLSFit

from .fstatistic import Approximation, FTest, Normal, PartlyKnown
from .kenward_roger import kenward_roger
from .satterthwaite import satterthwaite


def approximation(fit: PLSFit, ddf: Ddf) -> Approximation:
    """How the fixed effects of a fit are taken to vary.

    Parameters
    ----------
    fit : PLSFit
        With its criterion, unless ``ddf`` is "normal".
    ddf : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom.

    Returns
    -------
    Approximation

    Raises
    ------
    ValueError
        For another name.
    InferenceError
        For Kenward-Roger degrees of freedom of a fit by maximum likelihood.
    """
    if ddf not in get_args(Ddf):
        raise ArgumentError(f"ddf={ddf!r} is not offered; give one of {', '.join(map(repr, get_args(Ddf)))}")
    if ddf == "satterthwaite":
        return satterthwaite(fit)
    return kenward_roger(fit) if ddf == "kenward-roger" else Normal(fit.vcov_at_theta)


def approximation_of(results: EstimatedModel, ddf: Ddf | None = None) -> Approximation:
    """The method of that name for some results, set up once.

    Parameters
    ----------
    results : CrossedLMMResults
        A fit.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        By default that of the fit.

    Returns
    -------
    Approximation
    """
    record, ddf = results.record, results.ddf if ddf is None else ddf
    if ddf == "normal":
        here = approximation(record.fit, ddf)
    else:
        here = record.once(ddf, lambda: approximation(record.complete, ddf))
    other = record.fit.elsewhere
    if other is None:
        return here
    if ddf == "normal":
        there: Approximation = Normal(other.vcov_there)
    else:
        there = record.once(f"{ddf} elsewhere", lambda: approximation(record.elsewhere.complete, ddf))
    return PartlyKnown(here, there, record.fit.beta - other.beta)


__all__ = ["Approximation", "Ddf", "FTest", "Normal", "approximation", "approximation_of"]
