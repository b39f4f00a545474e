"""Keywords that mean something in other models: refused with the reason and what to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlace.errors import ArgumentError, ArgumentTypeError, DesignError
from interlace.family import Family
from interlace.formula.spelling import refuse_unknown
from interlace.modelling.options import check_choice

from .family import FamilyLike, family_of

REFUSED = {
    "weights": (
        "weights= could mean several things here: give n_trials= for the trials behind proportions, "
        "freq_weights= for how often a row occurs, or exposure= for amounts that counts are relative to"
    ),
    "var_weights": (
        "var_weights= divide a dispersion that generalised mixed models with a likelihood do not have; give "
        "n_trials= for the trials behind proportions, or freq_weights= for how often a row occurs"
    ),
    "reml": (
        "reml= has no meaning for a generalised model: there is no residual likelihood. Fits are by maximum "
        "likelihood; leave it out"
    ),
    "ddf": (
        "ddf= has no meaning for a generalised model: no residual variance is estimated that degrees of "
        "freedom would belong to. Tests are z tests; for small samples use anova(), or "
        'conf_int(method="profile" or "bootstrap")'
    ),
}


def refuse(where: str, unknown: Mapping[str, object]) -> None:
    """Refuse keywords: with the reason where they mean something in other models."""
    for name in unknown:
        if name in REFUSED:
            raise ArgumentTypeError(REFUSED[name])
    refuse_unknown(where, unknown)


def check_method(method: object) -> None:
    """Refuse REML with its reason, and whatever else is not offered."""
    if isinstance(method, str) and method.upper() == "REML":
        raise ArgumentError(f'method="REML" is refused. {REFUSED["reml"]}')
    check_choice("method", method, ("laplace",))


def wanted_family(family: FamilyLike) -> Family:
    """The family, which must be given."""
    if family is None:
        raise ArgumentError(
            'family= is needed, such as family=sm.families.Binomial() or family="poisson"; for a normal '
            "response use CrossedLMM"
        )
    return family_of(family)


def check_exposure(exposure: Any, family: Family) -> None:
    """Refuse an exposure with a link that is not the logarithm."""
    if exposure is not None and family.link != "log":
        raise DesignError(
            f"exposure= is for the link log, where its logarithm is an offset; the link is {family.link}. "
            "For trials give n_trials="
        )
