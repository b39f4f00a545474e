"""The pictures of a generalised fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.diagnostics.pictures import (
    dots,
    drawn,
    plot_caterpillar,
    plot_profile,
    plot_ranef,
    plot_ranef_pairs,
)
from interlace.diagnostics.plot_frames import qq_frame
from interlace.diagnostics.plots import new_axes, qq_panel, versus_figure

from .predict import linear_fitted
from .record import EstimatedGLMM


def plot(self: EstimatedGLMM, kind: str = "resid", ax: Any = None, **options: Any) -> Any:
    """Draw one of the pictures of a fitted generalised model.

    Parameters
    ----------
    kind : str
        "resid" (randomised quantile residuals against the linear predictor), "qq" (these against the normal
        distribution), "scale-location", "quantile" (residuals by simulation, see ``simulated_residuals``),
        "ranef" (normal QQ of the random effects), "caterpillar" (random effects with 95 % intervals),
        "ranef-pairs", "influence" (Cook's distances of the groups, one step), or "profile".
    ax : matplotlib Axes, optional
        Where to draw; kinds with several panels need ``factor=`` and ``effect=``, or ``parm=``, then.
    **options
        ``factor=``, ``effect=`` for the random effects, ``level=`` for "influence", ``rng=`` for residuals,
        ``nsim=`` for "quantile", ``parm=``, ``picture=`` ("zeta", "density", "pairs") and ``n_jobs=`` for
        "profile".

    Returns
    -------
    Figure

    Raises
    ------
    DesignError
        If there is no such kind, or it takes no such option.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> figure = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").plot("caterpillar")
    """
    return drawn(KINDS, self, kind, ax, options)


def _quantile(results: EstimatedGLMM, rng: Any) -> pd.DataFrame:
    resid: pd.Series = results.resid_quantile(rng=rng)
    eta: FloatArray = linear_fitted(results)
    return pd.DataFrame({"eta": eta, "resid": resid, "scale": np.sqrt(np.abs(resid))}, index=resid.index)


def plot_resid(results: EstimatedGLMM, *, rng: Any = None, ax: Any = None) -> Any:
    """Quantile residuals against the linear predictor."""
    labels = ("Linear predictor", "Quantile residual")
    return versus_figure(_quantile(results, rng), "eta", "resid", labels, ax=ax)


def plot_scale_location(results: EstimatedGLMM, *, rng: Any = None, ax: Any = None) -> Any:
    """Roots of absolute quantile residuals against the linear predictor."""
    labels = ("Linear predictor", "Root of |quantile residual|")
    return versus_figure(_quantile(results, rng), "eta", "scale", labels, ax=ax)


def plot_qq(results: EstimatedGLMM, *, rng: Any = None, ax: Any = None) -> Any:
    """Quantile residuals against the normal distribution."""
    figure, ax = new_axes(ax)
    qq_panel(ax, qq_frame(_quantile(results, rng)["resid"]), ("Normal quantile", "Quantile residual"))
    return figure


def plot_simulated(results: EstimatedGLMM, *, nsim: int = 250, rng: Any = None, ax: Any = None) -> Any:
    """Residuals by simulation: uniform quantiles, and against the rank of the mean."""
    return results.simulated_residuals(nsim, rng=rng).plot(ax=ax)


def plot_influence(results: EstimatedGLMM, *, level: Any = None, ax: Any = None) -> Any:
    """Cook's distances of the groups, one step; a panel per grouping factor."""
    levels = list(results.ngroups.index) if level is None else [level]
    return dots([results.influence(own)["cooksd"] for own in levels], ax)


KINDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "resid": (plot_resid, ("rng",)),
    "qq": (plot_qq, ("rng",)),
    "scale-location": (plot_scale_location, ("rng",)),
    "quantile": (plot_simulated, ("nsim", "rng")),
    "ranef": (plot_ranef, ("factor", "effect")),
    "caterpillar": (plot_caterpillar, ("factor", "effect")),
    "ranef-pairs": (plot_ranef_pairs, ("factor",)),
    "influence": (plot_influence, ("level",)),
    "profile": (plot_profile, ("parm", "picture", "n_jobs")),
}
