"""The three ways of testing fixed effects, by name."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from interlace.pls import PLSFit

from .fstatistic import Approximation, FTest, Normal
from .kenward_roger import kenward_roger
from .satterthwaite import satterthwaite

Ddf: TypeAlias = Literal["satterthwaite", "kenward-roger", "normal"]


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
        raise ValueError(f"ddf={ddf!r} is not offered; give one of {', '.join(map(repr, get_args(Ddf)))}")
    if ddf == "satterthwaite":
        return satterthwaite(fit)
    return kenward_roger(fit) if ddf == "kenward-roger" else Normal(fit.vcov_beta)


__all__ = ["Approximation", "Ddf", "FTest", "Normal", "approximation"]
