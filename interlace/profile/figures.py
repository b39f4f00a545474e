"""Pictures of a profile, by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from scipy import interpolate, stats

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, MissingPackageError

# Confidence levels marked in the pictures.
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
SMOOTH = 201


def draw(kind: str, table: pd.DataFrame, names: Sequence[str], estimates: pd.Series, ax: Any = None) -> Any:
    """A figure of some parameters.

    Parameters
    ----------
    kind : {"zeta", "density", "pairs"}
        What to draw.
    table : DataFrame
        Points of the profile; see `Profile.table`.
    names : sequence of str
        Parameters.
    estimates : Series
        Where the profiles are zero.
    ax : matplotlib Axes, optional
        Where to draw the picture of one parameter; a new figure by default.

    Returns
    -------
    matplotlib.figure.Figure
    """
    painters: dict[str, Callable[..., Any]] = {"zeta": _zeta, "density": _density}
    if kind not in (*painters, "pairs"):
        raise ArgumentError(f'kind={kind!r} is no picture of a profile; give "zeta", "density" or "pairs"')
    if ax is not None:
        if kind == "pairs" or len(names) != 1:
            what = "pairs of parameters" if kind == "pairs" else f"{len(names)} parameters"
            raise ArgumentError(
                f"ax= takes the picture of one parameter, and {what} were asked for; name one by parm=, or "
                "leave ax out"
            )
        _panel(painters[kind], ax, table, names[0])
        return ax.figure
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise MissingPackageError(
            'plot() needs matplotlib, which is not installed. Install it (pip install "interlace[plots]")'
        ) from error
    if kind == "pairs":
        size = 2.0 * max(2, len(names))
        figure, axes = plt.subplots(
            len(names), len(names), figsize=(size, size), squeeze=False, layout="constrained"
        )
        _pairs(axes, table, names, estimates)
        return figure
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 2.6 * rows), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes.flat, names, strict=False):
        _panel(painters[kind], axis, table, name)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    return figure


def _panel(painter: Callable[..., Any], axis: Any, table: pd.DataFrame, name: str) -> None:
    painter(axis, *_points(table, name))
    axis.set_xlabel(name)


def _points(table: pd.DataFrame, name: str) -> tuple[FloatArray, FloatArray]:
    own = table[table["parameter"] == name]
    return own["value"].to_numpy(), own["zeta"].to_numpy()


def _smooth(value: FloatArray, zeta: FloatArray) -> tuple[FloatArray, FloatArray]:
    fine = np.linspace(value[0], value[-1], SMOOTH)
    return fine, interpolate.PchipInterpolator(value, zeta)(fine)


def _zeta(axis: Any, value: FloatArray, zeta: FloatArray) -> None:
    if len(value) > 1:
        axis.plot(*_smooth(value, zeta), color="C0")
    axis.plot(value, zeta, ".", color="C0", markersize=4)
    axis.axhline(0.0, color="0.6", linewidth=0.8)
    for level in LEVELS:
        reach = stats.norm.isf((1.0 - level) / 2.0)
        for sign in (-1.0, 1.0):
            if zeta[0] <= sign * reach <= zeta[-1]:
                at = float(np.interp(sign * reach, zeta, value))
                axis.vlines(at, 0.0, sign * reach, color="0.75", linewidth=0.8)
    axis.set_ylabel("ζ")


def _density(axis: Any, value: FloatArray, zeta: FloatArray) -> None:
    if len(value) > 2:
        spline = interpolate.make_interp_spline(value, zeta, k=min(3, len(value) - 1))
        fine = np.linspace(value[0], value[-1], SMOOTH)
        axis.plot(fine, stats.norm.pdf(spline(fine)) * np.maximum(spline(fine, nu=1), 0.0), color="C0")
    axis.set_ylim(bottom=0.0)
    axis.set_ylabel("density")


def _pairs(axes: Any, table: pd.DataFrame, names: Sequence[str], estimates: pd.Series) -> None:
    for (i, row), (j, column) in product(enumerate(names), enumerate(names)):
        axis = axes[i, j]
        if i == j:
            axis.text(0.5, 0.5, row.replace("|", "\n|"), ha="center", va="center", transform=axis.transAxes)
        if i <= j:
            axis.set_axis_off()
            continue
        _traces(axis, table, column, row)
        for level in LEVELS:
            contour = _contour(table, column, row, float(np.sqrt(stats.chi2.ppf(level, 2))))
            if contour is not None:
                axis.plot(*contour, color="0.55", linewidth=0.8)
        axis.plot(estimates[column], estimates[row], "+", color="k")
        if j == 0:
            axis.set_ylabel(row, fontsize="small")
        if i == len(names) - 1:
            axis.set_xlabel(column, fontsize="small")


def _traces(axis: Any, table: pd.DataFrame, x: str, y: str) -> None:
    for name, color in ((x, "C0"), (y, "C1")):
        own = table[table["parameter"] == name]
        axis.plot(own[x], own[y], color=color, linewidth=1.0)


def _contour(table: pd.DataFrame, x: str, y: str, reach: float) -> tuple[FloatArray, FloatArray] | None:
    """The curve on which both traces say the deviance is ``reach**2`` above its minimum.

    On the zeta scales a contour is near to a circle, and the traces meet it where its tangent is level
    or upright.  The two angles of a point there, halved sum and difference, are interpolated by a periodic
    spline (Bates & Watts 1988, Nonlinear Regression Analysis, appendix A6.3).
    """
    try:
        along = [_meets(table, x, y, sign * reach) for sign in (1.0, -1.0)]
        across = [_meets(table, y, x, sign * reach) for sign in (1.0, -1.0)]
    except ValueError:
        return None
    angles = []
    for sign, other in zip((1.0, -1.0), along, strict=True):
        angles.append((np.arccos(sign), np.arccos(np.clip(other / reach, -1.0, 1.0))))
    for sign, other in zip((1.0, -1.0), across, strict=True):
        angles.append((np.arccos(np.clip(other / reach, -1.0, 1.0)), np.arccos(sign)))
    mean = np.array([(a + b) / 2.0 for a, b in angles])
    half = np.array([a - b for a, b in angles])
    mean, half = np.where(half < 0, -mean, mean), np.abs(half)
    order = np.argsort(mean)
    mean, half = mean[order], half[order]
    if (np.diff(mean) <= 0).any():
        return None
    spline = interpolate.CubicSpline(
        np.append(mean, mean[0] + 2.0 * np.pi), np.append(half, half[0]), bc_type="periodic"
    )
    t = np.linspace(-np.pi, np.pi, SMOOTH)
    d = spline(t)
    zeta_x, zeta_y = reach * np.cos(t + d / 2.0), reach * np.cos(t - d / 2.0)
    return _back(table, x, zeta_x), _back(table, y, zeta_y)


def _meets(table: pd.DataFrame, along: str, other: str, target: float) -> float:
    """zeta of the other parameter where the trace along one has zeta = target."""
    own = table[table["parameter"] == along]
    zeta = own["zeta"].to_numpy()
    if not zeta[0] <= target <= zeta[-1]:
        raise ArgumentError("the profile does not reach that far")
    there = float(np.interp(target, zeta, own[other].to_numpy()))
    value, zeta_other = _points(table, other)
    return float(np.interp(there, value, zeta_other))


def _back(table: pd.DataFrame, name: str, zeta: FloatArray) -> FloatArray:
    """Values of a parameter from its zeta."""
    value, known = _points(table, name)
    keep = np.concatenate([[True], np.diff(known) > 0])
    return np.asarray(interpolate.PchipInterpolator(known[keep], value[keep])(zeta))
