"""statsmodels' families and links, and strings, as records of the numerical room."""

from __future__ import annotations

from typing import Any, TypeAlias

from statsmodels.genmod import families as sm

from interlace.errors import ArgumentError
from interlace.family import Binomial, Family, Gamma, Gaussian, NegativeBinomial, Poisson

FamilyLike: TypeAlias = Any

# Links by the names that statsmodels' classes, R and the numerical room have for them.
LINKS = {
    "logit": "logit",
    "probit": "probit",
    "cloglog": "cloglog",
    "log": "log",
    "identity": "identity",
    "inversepower": "inverse",
}
KINDS: dict[str, type[Family]] = {
    "binomial": Binomial,
    "bernoulli": Binomial,
    "poisson": Poisson,
    "negativebinomial": NegativeBinomial,
    "nbinom2": NegativeBinomial,
    "gamma": Gamma,
    "gaussian": Gaussian,
}
DEFAULT_LINK: dict[type[Family], str] = {Binomial: "logit"}
TITLES = {
    "binomial": "Binomial",
    "poisson": "Poisson",
    "negative binomial": "NegativeBinomial",
    "gamma": "Gamma",
    "gaussian": "Gaussian",
    "ordinal": "Ordinal",
}
QUASI = (
    "{given} is a quasi-family: it has no likelihood to integrate over random effects. For counts that "
    'vary more than Poisson\'s take family="negativebinomial", or keep Poisson (or binomial with trials) and '
    "add an effect per row, (1 | row); for errors that do not rely on the variance, statsmodels' GEE has "
    "robust ones"
)
NO_INVERSE = (
    "Gamma's inverse link is not offered: with it random effects can make a mean negative. Use the "
    "logarithm, family=sm.families.Gamma(sm.families.links.Log())"
)
LINEAR = (
    "a Gaussian response with the identity link is a linear model: use CrossedLMM, or interlace.fit without "
    "family="
)
OFFERED = (
    "offered are binomial (logit, probit, cloglog), poisson (log), negativebinomial (log; its size is "
    "estimated), gamma (log) and gaussian (log)"
)


def family_of(given: FamilyLike) -> Family:
    """The family with its link that a user named.

    Parameters
    ----------
    given : statsmodels family, str, or Family
        ``sm.families.Binomial()``, its class, ``"binomial"``, ``"binomial(probit)"``, or a record of
        `interlace.family`.

    Returns
    -------
    Family

    Raises
    ------
    ValueError
        For a family or a link that is not offered, with what to use.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> family_of(sm.families.Binomial(sm.families.links.Probit())), family_of("poisson")
    (Binomial(link='probit'), Poisson(link='log'))
    """
    if isinstance(given, Family):
        return _record(type(given).__name__, given.link, given)
    name, link = _read(given) if isinstance(given, str) else _of_statsmodels(given)
    return _record(name, link, given)


def is_linear(given: FamilyLike) -> bool:
    """Whether a family is the normal distribution with the identity link: a linear model.

    Parameters
    ----------
    given : statsmodels family, str or Family
        As for `family_of`.

    Returns
    -------
    bool
    """
    if isinstance(given, Family):
        return given == Gaussian("identity")
    name, link = _read(given) if isinstance(given, str) else _of_statsmodels(given)
    return _plain(name) == "gaussian" and link in (None, "identity")


def _read(text: str) -> tuple[str, str | None]:
    """``"binomial(probit)"`` as name and link."""
    name, opened, rest = text.strip().partition("(")
    link = rest.strip().removesuffix(")").strip().strip("\"'").removeprefix("link=").strip("\"' ")
    return name, (link or None) if opened else None


def _of_statsmodels(given: Any) -> tuple[str, str | None]:
    if isinstance(given, type) and issubclass(given, sm.Family):
        given = given() if given is not sm.NegativeBinomial else given(alpha=1.0)
    if not isinstance(given, sm.Family):
        raise ArgumentError(
            f"family={given!r} is no family; give one of statsmodels', such as sm.families.Binomial(), or "
            f"its name. {OFFERED[0].upper()}{OFFERED[1:]}"
        )
    name = type(given).__name__
    link = None if given.link is None else type(given.link).__name__.lower()
    if name == "Gamma" and link == "inversepower":
        raise ArgumentError(NO_INVERSE)
    if name == "NegativeBinomial" and getattr(given, "alpha", 1.0) != 1.0:
        raise ArgumentError(
            f"sm.families.NegativeBinomial(alpha={given.alpha!r}) fixes the dispersion, which is estimated "
            'here; use family="negativebinomial" and read it from results.alpha'
        )
    return name, link


def _record(name: str, link: str | None, given: Any) -> Family:
    plain = _plain(name)
    if plain.startswith("quasi"):
        raise ArgumentError(QUASI.format(given=repr(given) if isinstance(given, str) else name))
    if plain not in KINDS:
        raise ArgumentError(f"family={given!r} is not offered; {OFFERED}")
    kind = KINDS[plain]
    wanted = _link(link, kind)
    if kind is Gaussian and wanted == "identity":
        raise ArgumentError(LINEAR)
    if kind is Gamma and wanted == "inverse":
        raise ArgumentError(NO_INVERSE)
    if wanted not in kind.links:
        links = ", ".join(link for link in kind.links if (kind, link) != (Gaussian, "identity"))
        raise ArgumentError(
            f"{TITLES[kind.name]} with the link {wanted!r} is not offered; give one of: {links}"
        )
    return kind(link=wanted)


def _link(link: str | None, kind: type[Family]) -> str:
    if link is None:
        return "identity" if kind is Gaussian else DEFAULT_LINK.get(kind, "log")
    return LINKS.get(_plain(link), link)


def _plain(name: str) -> str:
    return name.lower().replace(" ", "").replace("_", "").replace("-", "")
