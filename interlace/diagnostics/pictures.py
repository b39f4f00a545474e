"""Which pictures there are: from a fitted model, or one of its measures, to a Figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import BoolArray
from interlace.errors import DesignError
from interlace.fitted import record_of
from interlace.formula.spelling import refuse_unknown

from .influence import cooks_distance
from .plot_frames import Cutoff, compare_influence_frame, dotplot_frame, qq_frame, ranef_frame, residual_frame
from .plots import (
    dotplot_figure,
    interval_panel,
    new_axes,
    panels,
    qq_panel,
    scatter,
    smooth,
    tall,
    tidy,
    versus_figure,
)
from .residuals import hlm_resid

# What draws a kind of picture, and its options.
Kinds = dict[str, tuple[Any, tuple[str, ...]]]

TITLES = {
    "cooks.distance": "Cook's distance",
    "cooksd": "Cook's distance",
    "cooks_d": "Cook's distance",
    "cooks_distance": "Cook's distance",
    "mdffits": "MDFFITS",
    "covratio": "COVRATIO",
    "covtrace": "COVTRACE",
    "rvc": "Relative variance change",
    "leverage": "Leverage",
}


def dotplot_diag(
    x: Any,
    name: str = "cooks.distance",
    *,
    cutoff: Cutoff = "internal",
    index: Any = None,
    ax: Any = None,
    level: Any = None,
    **unknown: object,
) -> Any:
    """Dots in order of a measure, those beyond a cutoff marked and named.

    Parameters
    ----------
    x : CrossedLMMResults, DataFrame, CaseDeletion, Series or array
        A fitted model, the frame that :func:`interlace.hlm_influence` returns, what
        :func:`interlace.case_delete` returned, or a measure, one value per case.
    name : {"cooks.distance", "mdffits", "covratio", "covtrace", "rvc", "leverage"} or a column of the frame
        Which; covratio and rvc are cut off on both sides.
    cutoff : "internal", number or None, default "internal"
        Three interquartile ranges above the third quartile (and below the first), a given upper limit,
        or none.
    index : array_like, optional
        Labels; those of the Series by default.
    ax : matplotlib Axes, optional
        Where to draw.
    level : 1, str, Series or array, optional
        The cases, for a fitted model: a grouping factor, or the observations, which are the default.
    **unknown
        Refused with a TypeError.

    Returns
    -------
    Figure

    See Also
    --------
    interlace.diagnostics.dotplot_frame : The numbers.

    References
    ----------
    Loy & Hofmann (2014), Journal of Statistical Software 56(5).

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> figure = interlace.dotplot_diag(fit, level="Subject")
    >>> figure = interlace.dotplot_diag(interlace.hlm_influence(fit, "Subject"), "covratio")
    """
    refuse_unknown("dotplot_diag", unknown)
    frame = dotplot_frame(x, name, cutoff=cutoff, index=index, level=level)
    return dotplot_figure(frame, title=TITLES.get(name, name), ax=ax)


def compare_influence(
    results: Any,
    parameter: str,
    *,
    level: str | None = None,
    method: Literal["one-step", "exact"] = "exact",
    n_jobs: int = 1,
    ax: Any = None,
) -> Any:
    """How one fixed effect and its confidence interval move when each group goes.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    parameter : str
        A fixed effect, or the beginning of its name.
    level : str, optional
        Grouping factor; a panel for each of them by default.
    method : {"one-step", "exact"}, default "exact"
        Variance components held fixed, or estimated again.
    n_jobs : int
        Processes for exact deletion.
    ax : matplotlib Axes, optional
        Where to draw; for one factor only.

    Returns
    -------
    Figure
        Broken line and band: estimate and interval from all rows. Orange: without the group the interval
        excludes 0 and with it it does not, or the other way round.

    See Also
    --------
    interlace.compare_influence_frame : The numbers.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> figure = interlace.compare_influence(fit, "Days", method="one-step")
    """
    frame = compare_influence_frame(results, parameter, level=level, method=method, n_jobs=n_jobs)
    record = record_of(results)
    design, fit = record.design, record.polished
    name = frame.index.get_level_values("parameter")[0]
    j = design.xnames.index(name)
    half = stats.norm.ppf(0.975)
    frame = frame.assign(
        lower=frame["estimate"] - half * frame["se"], upper=frame["estimate"] + half * frame["se"]
    )
    groups = list(frame.groupby(level="level", sort=False))
    figure, axes = _places(len(groups), ax, tall(max(len(own) for _, own in groups)))
    for place, (factor, own) in zip(axes, groups, strict=True):
        own = own.dropna().sort_values("estimate", kind="stable")
        labels = list(own.index.get_level_values("case"))
        title = f"without each {factor}"
        interval_panel(place, own, "estimate", labels, _turned(own, fit.beta[j], fit.vcov_beta[j, j]), title)
        _frame_by(place, own, float(fit.beta[j]), float(np.sqrt(fit.vcov_beta[j, j])))
        place.set_xlabel(name)
    return figure


def _turned(own: pd.DataFrame, estimate: float, variance: float) -> BoolArray:
    """Whether the interval excludes 0 without the group and not with it, or the other way round."""
    excluded = (own["lower"] > 0.0) | (own["upper"] < 0.0)
    return np.asarray(excluded != (abs(estimate) > stats.norm.ppf(0.975) * np.sqrt(variance)))


def _frame_by(ax: Any, own: pd.DataFrame, estimate: float, se: float) -> None:
    """The estimate from all rows and its interval behind the others."""
    half = stats.norm.ppf(0.975) * se
    ax.axvline(estimate, color="#222222", lw=1.0, ls="--")
    ax.axvspan(estimate - half, estimate + half, color="#0072B2", alpha=0.08, lw=0)
    edges = [own["lower"].min(), own["upper"].max(), estimate - half, estimate + half]
    margin = 0.04 * (max(edges) - min(edges))
    ax.set_xlim(min(edges) - margin, max(edges) + margin)


def _places(count: int, ax: Any, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    if ax is not None and count > 1:
        raise DesignError(f"ax= holds one picture and {count} were asked for; choose one, or leave ax= out")
    if count == 1:
        figure, ax = new_axes(ax, size=size)
        return figure, [ax]
    return panels(count, size=(min(size[0], 5.0), size[1]))


# ---- Kinds of r.plot ---------------------------------------------------------------------------------


def plot(results: Any, kind: str = "resid", ax: Any = None, **options: Any) -> Any:
    """Draw one of the pictures of a fitted model.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    kind : str
        "resid" (residuals against fitted values), "qq" (studentized residuals against the normal
        distribution), "scale-location", "quantile" (simulated quantile residuals), "ranef" (normal QQ of
        the random effects), "caterpillar" (random effects with 95 % intervals), "ranef-pairs",
        "influence" (Cook's distances of the groups), or "profile" (likelihood profiles of the parameters).
    ax : matplotlib Axes, optional
        Where to draw; kinds with several panels need ``factor=`` and ``effect=``, or ``parm=``, then.
    **options
        ``factor=``, ``effect=`` for the random effects, ``level=`` for "influence", ``nsim=``, ``rng=`` for
        "quantile", ``parm=``, ``picture=`` ("zeta", "density", "pairs") and ``n_jobs=`` for "profile".

    Returns
    -------
    Figure

    Raises
    ------
    DesignError
        If there is no such kind, or it takes no such option.
    ImportError
        Without matplotlib.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> figure = fit.plot("caterpillar")
    """
    return drawn(KINDS, results, kind, ax, options)


def drawn(kinds: Kinds, results: Any, kind: str, ax: Any, options: dict[str, Any]) -> Any:
    """Draw a picture out of a table of kinds; unknown kinds and options are refused."""
    if kind not in kinds:
        raise DesignError(f"kind={kind!r}; wanted one of {sorted(kinds)!r}")
    draw, known = kinds[kind]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise DesignError(f"the plot {kind!r} takes no {unknown!r}; its options are {sorted(known)!r}")
    return draw(results, ax=ax, **options)


def plot_resid(results: Any, *, ax: Any = None) -> Any:
    """Conditional residuals against fitted values."""
    return versus_figure(residual_frame(results), "fitted", "resid", ("Fitted value", "Residual"), ax=ax)


def plot_scale_location(results: Any, *, ax: Any = None) -> Any:
    """Roots of absolute studentized residuals against fitted values."""
    labels = ("Fitted value", "Root of |studentized residual|")
    return versus_figure(residual_frame(results), "fitted", "scale", labels, ax=ax)


def plot_qq(results: Any, *, ax: Any = None) -> Any:
    """Studentized residuals against the normal distribution."""
    figure, ax = new_axes(ax)
    qq_panel(
        ax, qq_frame(residual_frame(results)["studentized"]), ("Normal quantile", "Studentized residual")
    )
    return figure


def plot_quantile(results: Any, *, nsim: int = 250, rng: Any = None, ax: Any = None) -> Any:
    """Simulated quantile residuals: against the uniform distribution, and against the rank of the mean."""
    frame = hlm_resid(results, kind="quantile", nsim=nsim, rng=rng)
    figure, axes = _places(2, ax, (4.6, 4.0))
    values = frame[".quantile.resid"]
    qq_panel(axes[0], qq_frame(values, "uniform"), ("Uniform quantile", "Quantile residual"))
    rank = np.asarray(frame[".mar.fitted"].rank(pct=True), dtype=float)
    scatter(axes[1], rank, np.asarray(values))
    smooth(axes[1], rank, np.asarray(values))
    for height in (0.25, 0.5, 0.75):
        axes[1].axhline(height, color="#8C8C8C", lw=0.8, ls="--")
    tidy(axes[1], "Rank of the marginal fitted value", "Quantile residual")
    return figure


def plot_ranef(results: Any, *, factor: str | None = None, effect: str | None = None, ax: Any = None) -> Any:
    """Random effects against the normal distribution, a panel per factor and effect."""
    groups = list(ranef_frame(results, factor, effect).groupby(["factor", "effect"], sort=False))
    figure, axes = _places(len(groups), ax, (4.6, 4.0))
    for place, ((name, column), own) in zip(axes, groups, strict=True):
        modes = pd.Series(own["mode"].to_numpy(), index=own["level"].to_numpy())
        qq_panel(place, qq_frame(modes), ("Normal quantile", "Conditional mode"), f"{name}: {column}")
    return figure


def plot_caterpillar(
    results: Any, *, factor: str | None = None, effect: str | None = None, ax: Any = None
) -> Any:
    """Random effects in order, with 95 % intervals, a panel per factor and effect."""
    groups = list(ranef_frame(results, factor, effect).groupby(["factor", "effect"], sort=False))
    figure, axes = _places(len(groups), ax, tall(max(len(own) for _, own in groups)))
    for place, ((name, column), own) in zip(axes, groups, strict=True):
        away = np.asarray((own["lower"] > 0.0) | (own["upper"] < 0.0))
        interval_panel(place, own, "mode", list(own["level"]), away, f"{name}: {column}")
        place.set_xlabel("Conditional mode and 95 % interval")
    return figure


def plot_ranef_pairs(results: Any, *, factor: str | None = None, ax: Any = None) -> Any:
    """Random effects of one level against each other, a panel per pair."""
    frame = ranef_frame(results, factor)
    pairs = []
    for name, own in frame.groupby("factor", sort=False):
        wide = own.pivot_table(index="level", columns="effect", values="mode", sort=False, observed=True)
        columns = list(dict.fromkeys(own["effect"]))
        pairs += [(name, wide, a, b) for i, a in enumerate(columns) for b in columns[i + 1 :]]
    if not pairs:
        raise DesignError("no grouping factor has two random effects per level; there are no pairs to draw")
    figure, axes = _places(len(pairs), ax, (4.8, 4.4))
    for place, (name, wide, a, b) in zip(axes, pairs, strict=True):
        versus_figure(wide, a, b, (str(a), str(b)), ax=place)
        place.set_title(str(name), fontsize=10)
    return figure


def plot_influence(results: Any, *, level: Any = None, ax: Any = None) -> Any:
    """Cook's distances of the groups, one-step; a panel per grouping factor."""
    levels = [x.name for x in record_of(results).design.factor_labels] if level is None else [level]
    return dots([cooks_distance(results, own) for own in levels], ax)


def dots(measures: Sequence[pd.Series], ax: Any = None) -> Any:
    """Dots in order of some measures, a panel each."""
    figure, axes = _places(len(measures), ax, tall(max(len(own) for own in measures)))
    for place, own in zip(axes, measures, strict=True):
        dotplot_diag(own, ax=place)
    return figure


# Pictures of a profile.
PROFILES = ("zeta", "density", "pairs")


def plot_profile(
    results: Any, *, parm: Any = None, picture: str = "zeta", n_jobs: int | None = 1, ax: Any = None
) -> Any:
    """Likelihood profiles, a panel per parameter; the frame behind them is ``results.profile().table``."""
    if picture not in PROFILES:
        raise DesignError(f"picture={picture!r}; wanted one of {sorted(PROFILES)!r}")
    single = isinstance(parm, str | int) and parm not in ("theta_", "beta_") and picture != "pairs"
    if ax is not None and not single:
        raise DesignError(
            f"ax= takes the picture of one parameter, not parm={parm!r}, picture={picture!r}; name one, "
            'such as parm="sigma", or leave ax out'
        )
    return results.profile(parm, n_jobs=n_jobs).plot(picture, ax=ax)


KINDS: Kinds = {
    "resid": (plot_resid, ()),
    "qq": (plot_qq, ()),
    "scale-location": (plot_scale_location, ()),
    "quantile": (plot_quantile, ("nsim", "rng")),
    "ranef": (plot_ranef, ("factor", "effect")),
    "caterpillar": (plot_caterpillar, ("factor", "effect")),
    "ranef-pairs": (plot_ranef_pairs, ("factor",)),
    "influence": (plot_influence, ("level",)),
    "profile": (plot_profile, ("parm", "picture", "n_jobs")),
}
