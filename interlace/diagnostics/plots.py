"""Pictures of a fit, in statsmodels' manner: ``ax=None``, the Figure is returned, nothing is shown.

The only importer of matplotlib, which is imported when a picture is asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.nonparametric.smoothers_lowess import lowess

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import MissingPackageError

# Okabe & Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREY, BLACK = "#0072B2", "#D55E00", "#8C8C8C", "#222222"
# Levels up to which every label is written; beyond, only the most extreme are named.
ALL_NAMED = 75
# How many of them.
NAMED = 8
# Columns of the frames as axes call them.
MEASURES = {
    "cooks_d": "Cook's distance",
    "dffits": "DFFITS",
    "hat_diag": "Leverage",
    "student_resid": "Studentized residual",
}


def new_axes(ax: Any = None, *, size: tuple[float, float] = (6.4, 4.8)) -> tuple[Any, Any]:
    """Figure and axes: those given, or new ones.

    Parameters
    ----------
    ax : matplotlib Axes, optional
        Where to draw.
    size : tuple of float
        Inches, of a new figure.

    Returns
    -------
    Figure, Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    if ax is not None:
        return ax.figure, ax
    figure = _figure(size)
    return figure, figure.add_subplot()


def panels(count: int, *, size: tuple[float, float] = (4.6, 4.0)) -> tuple[Any, list[Any]]:
    """A new figure with axes side by side, at most three in a row."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure = _figure((size[0] * columns, size[1] * rows))
    return figure, [figure.add_subplot(rows, columns, i + 1) for i in range(count)]


def _figure(size: tuple[float, float]) -> Any:
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise MissingPackageError(
            'plots need matplotlib, which is not installed; pip install "interlace[plots]". '
            "The frames behind the plots do not need it"
        ) from error
    return pyplot.figure(figsize=size, layout="constrained")


def tall(levels: int) -> tuple[float, float]:
    """Size of a figure with one line per level."""
    return (6.4, min(max(2.6, 0.21 * levels + 1.2), 9.0)) if levels <= ALL_NAMED else (6.4, 6.0)


def tidy(ax: Any, xlabel: str, ylabel: str, title: str = "") -> None:
    """Labels, and no box."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if title:
        ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def dot_size(count: int) -> float:
    """Area of a dot that leaves the dots apart."""
    return float(np.clip(4_000.0 / max(count, 1), 5.0, 24.0))


def scatter(ax: Any, x: FloatArray, y: FloatArray, color: Any = BLUE) -> None:
    """Dots; small and see-through where there are many."""
    alpha = 0.85 if len(x) <= 300 else float(np.clip(60.0 / np.sqrt(len(x)), 0.15, 0.6))
    ax.scatter(x, y, s=dot_size(len(x)), c=color, alpha=alpha, linewidths=0, rasterized=len(x) > 5_000)


def smooth(ax: Any, x: FloatArray, y: FloatArray) -> None:
    """A lowess curve through the dots."""
    if len(x) < 10 or np.ptp(x) == 0:
        return
    line = lowess(y, x, frac=0.6, it=1, delta=0.01 * np.ptp(x))
    ax.plot(line[:, 0], line[:, 1], color=ORANGE, lw=1.6)


def name_points(ax: Any, x: FloatArray, y: FloatArray, labels: Sequence[Any]) -> None:
    """Write labels beside points, far enough apart to be read, with a thin line to each point."""
    if not len(x):
        return
    ax.autoscale_view()  # the limits that the dots asked for, before places are computed from them
    to_axes = ax.transData + ax.transAxes.inverted()
    spots = np.clip(to_axes.transform(np.column_stack([x, y])), 0.0, 1.0)
    heights = spread(spots[:, 1], gap=0.045)
    for spot, height, xi, yi, label in zip(spots, heights, x, y, labels, strict=True):
        left = spot[0] > 0.5
        _name(ax, (xi, yi), (spot[0] - 0.05 if left else spot[0] + 0.05, height), label, left=left)


def _name(
    ax: Any,
    point: tuple[float, float],
    place: tuple[float, float],
    label: Any,
    *,
    left: bool = False,
    **text: Any,
) -> None:
    ax.annotate(
        str(label),
        point,
        xytext=place,
        textcoords="axes fraction",
        fontsize=7.5,
        color=BLACK,
        **{"ha": "right" if left else "left", "va": "center", **text},
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        arrowprops={"arrowstyle": "-", "color": BLACK, "lw": 0.4, "shrinkA": 0, "shrinkB": 2},
        zorder=5,
    )


def name_beside(ax: Any, lower: FloatArray, upper: FloatArray, y: FloatArray, labels: Sequence[Any]) -> None:
    """Write the labels of increasing intervals where no interval is: right of high, left of low ones."""
    ax.margins(x=0.2)
    ax.autoscale_view()
    low, high = ax.get_ylim()
    heights = spread((y - low) / (high - low), gap=0.045)
    for height, left, right, yi, label in zip(heights, lower, upper, y, labels, strict=True):
        top = yi > (low + high) / 2
        _name(ax, (right if top else left, yi), (0.98 if top else 0.02, height), label, left=top)


def name_below(ax: Any, x: FloatArray, y: FloatArray, labels: Sequence[Any]) -> None:
    """Hang the labels of an increasing sequence under its end, upright and in the order of the points."""
    ax.autoscale_view()
    spots = (ax.transData + ax.transAxes.inverted()).transform(np.column_stack([x, y]))
    for place, xi, yi, label in zip(spread(spots[:, 0], gap=0.04), x, y, labels, strict=True):
        _name(ax, (xi, yi), (place, 0.88), label, rotation=90, ha="center", va="top")


def spread(heights: FloatArray, *, gap: float) -> FloatArray:
    """Heights in 0 to 1, moved as little as a greedy pass needs to keep them a gap apart."""
    order = np.argsort(heights, kind="stable")
    placed = np.clip(heights[order], 0.02, 0.98)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    for i in range(len(placed) - 1, -1, -1):
        ceiling = 0.98 if i == len(placed) - 1 else placed[i + 1] - gap
        placed[i] = min(placed[i], ceiling)
    out = np.empty(len(placed))
    out[order] = placed
    return out


def most_extreme(values: FloatArray, count: int = NAMED) -> IntArray:
    """Positions of the values farthest from their median; none where too many are equally far."""
    if not len(values):
        return np.empty(0, dtype=np.intp)
    distance = np.abs(values - np.median(values))
    order = np.argsort(-distance, kind="stable")
    tied = len(values) > count and distance[order[0]] - distance[order[count]] <= 1e-9 * np.abs(values).max()
    return np.sort(order[: 0 if tied else count])


def largest(values: FloatArray, count: int) -> IntArray:
    """Positions of the largest of values that cannot be negative, such as distances."""
    return np.sort(np.argsort(-values, kind="stable")[:count])


def remarkable(values: FloatArray, count: int = NAMED) -> IntArray:
    """Positions of the values to name: the largest if none is negative, else the farthest from the median."""
    return largest(values, count) if len(values) and values.min() >= 0 else most_extreme(values, count)


def label_levels(ax: Any, y: FloatArray, labels: Sequence[Any]) -> bool:
    """Write all labels along the axis, if they can be read there; whether they could."""
    few = len(labels) <= ALL_NAMED
    size = 8.0 if len(labels) <= 25 else 6.5 if len(labels) <= 45 else 6.0
    ax.set_yticks(y if few else [], [str(label) for label in labels] if few else [], fontsize=size)
    return few


def dotplot_figure(frame: pd.DataFrame, *, title: str, ax: Any = None) -> Any:
    """Draw the frame of `dotplot_frame`."""
    figure, ax = new_axes(ax, size=tall(len(frame)))
    value, rank = frame["value"].to_numpy(), frame["rank"].to_numpy(dtype=float)
    flagged = frame["flagged"].to_numpy()
    if len(frame) <= ALL_NAMED:
        ax.hlines(rank, value.min(initial=np.inf), value, color="#DDDDDD", lw=0.7, zorder=0)
    scatter(ax, value[~flagged], rank[~flagged])
    ax.scatter(value[flagged], rank[flagged], s=26, c=ORANGE, marker="D", linewidths=0, zorder=3)
    for limit in (frame.attrs["low"], frame.attrs["high"]):
        if np.isfinite(limit) and limit <= value.max(initial=-np.inf) * 1.5 + 1e-12:
            ax.axvline(limit, color=GREY, ls="--", lw=1.0)
    ax.set_ylim(0.2 if len(frame) <= ALL_NAMED else -0.02 * len(frame), 1.02 * len(frame) + 0.5)
    labels, beyond = list(frame.index), np.flatnonzero(flagged)
    if not label_levels(ax, rank, labels):
        named = beyond[most_extreme(value[beyond])] if len(beyond) else largest(value, 4)
        write = name_below if value[named].min() >= np.median(value) else name_points
        write(ax, value[named], rank[named], [labels[i] for i in named])
    tidy(ax, title, str(frame.index.name or "") or "case", "")
    return figure


def versus_figure(frame: pd.DataFrame, x: str, y: str, labels: tuple[str, str], *, ax: Any = None) -> Any:
    """Two columns as dots with a smooth curve, the most extreme named."""
    figure, ax = new_axes(ax)
    horizontal, vertical = frame[x].to_numpy(), frame[y].to_numpy()
    scatter(ax, horizontal, vertical)
    if vertical.min() < 0:
        ax.axhline(0.0, color=GREY, lw=0.8)
    smooth(ax, horizontal, vertical)
    named = remarkable(vertical, 3)
    name_points(ax, horizontal[named], vertical[named], list(frame.index[named]))
    tidy(ax, *labels)
    return figure


def qq_panel(ax: Any, frame: pd.DataFrame, labels: tuple[str, str], title: str = "") -> None:
    """Quantiles against quantiles, with the line through the quartiles (or the diagonal, for uniforms)."""
    x, y = frame["theoretical"].to_numpy(), frame["sample"].to_numpy()
    quartiles = np.quantile(x, [0.25, 0.75]), np.quantile(y, [0.25, 0.75])
    if np.ptp(quartiles[0]) > 0 and np.ptp(quartiles[1]) > 0:
        slope = np.ptp(quartiles[1]) / np.ptp(quartiles[0])
        ax.axline((quartiles[0].mean(), quartiles[1].mean()), slope=slope, color=GREY, lw=1.0)
    scatter(ax, x, y)
    ends = np.unique(np.r_[np.arange(min(2, len(x))), np.arange(max(len(x) - 2, 0), len(x))])
    name_points(ax, x[ends], y[ends], list(frame.index[ends]))
    tidy(ax, *labels, title)


def interval_panel(
    ax: Any, frame: pd.DataFrame, value: str, labels: Sequence[Any], away: BoolArray, title: str
) -> None:
    """Values with intervals, one line per row of the frame; those of ``away`` in orange; a line at 0."""
    middle, at = frame[value].to_numpy(), np.arange(1, len(frame) + 1, dtype=float)
    lower, upper = frame["lower"].to_numpy(), frame["upper"].to_numpy()
    many = len(frame) > ALL_NAMED
    for own, color in ((~away, BLUE), (away, ORANGE)):
        width = 0.6 * 430.0 / max(len(frame), 430.0) if many else 1.3
        ax.hlines(at[own], lower[own], upper[own], color=color, lw=width, alpha=0.45 if many else 0.9)
        ax.scatter(middle[own], at[own], s=dot_size(len(frame)), c=color, linewidths=0, zorder=3)
    ax.axvline(0.0, color=GREY, lw=1.0)
    ax.set_ylim(0.2 if not many else -0.02 * len(frame), 1.02 * len(frame) + 0.5)
    if not label_levels(ax, at, labels):
        named = most_extreme(middle)
        name_beside(ax, lower[named], upper[named], at[named], [labels[i] for i in named])
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def index_figure(values: pd.Series, *, ax: Any = None) -> Any:
    """One measure against the position of the case, the most extreme named."""
    figure, ax = new_axes(ax)
    at, height = np.arange(len(values), dtype=float), values.to_numpy()
    if len(at) <= 1_000:
        ax.vlines(at, 0.0, height, color=BLUE, lw=0.8, alpha=0.6)
    scatter(ax, at, height)
    ax.axhline(0.0, color=GREY, lw=0.8)
    named = remarkable(height, 5)
    name_points(ax, at[named], height[named], list(values.index[named]))
    tidy(ax, "Position", MEASURES.get(str(values.name), str(values.name)))
    return figure


def influence_figure(frame: pd.DataFrame, *, criterion: str, ax: Any = None) -> Any:
    """Leverage against studentized residual or Cook's distance; areas show the criterion."""
    figure, ax = new_axes(ax)
    y = "student_resid" if "student_resid" in frame else "cooks_d"
    x, height = frame["hat_diag"].to_numpy(), frame[y].to_numpy()
    weight = np.ones(len(frame))
    if criterion != "none":
        weight = np.abs(frame["cooks_d" if criterion == "cooks" else "dffits"].to_numpy())
    area = 6.0 + 300.0 * weight / max(float(np.nanmax(weight)), 1e-300) if criterion != "none" else 20.0
    ax.scatter(x, height, s=area, c=BLUE, alpha=0.45, linewidths=0.4, edgecolors=BLACK)
    named = remarkable(weight if criterion != "none" else height, 5)
    name_points(ax, x[named], height[named], list(frame.index[named]))
    tidy(ax, "Leverage", "Studentized residual" if y == "student_resid" else "Cook's distance")
    return figure
