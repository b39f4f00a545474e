"""Several models side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from interlace.errors import ArgumentError
from interlace.fitted import Ddf, EstimatedModel

from .components import RESIDUAL, criterion_name, explained, spreads
from .numbers import decimals, fixed, share, significant, stars
from .sheet import Part, Sheet
from .single import METHODS

Format: TypeAlias = Literal["text", "markdown", "latex", "html", "frame"]

PARTS = ("Fixed effects", "Random effects", "Sizes", "Fit")
STARS = "* p < .05, ** p < .01, *** p < .001."


def summary_table(
    results: Sequence[EstimatedModel] | EstimatedModel,
    *,
    names: Sequence[str] | None = None,
    stars: bool = False,
    ddf: Ddf | None = None,
    format: Format = "text",
) -> str | pd.DataFrame:
    """Fits side by side, as papers compare them.

    Parameters
    ----------
    results : sequence of CrossedLMMResults
        The fits, to the same data or not.
    names : sequence of str, optional
        Headings of the columns; (1), (2), ... by default.
    stars : bool, default False
        Mark fixed effects by their p-values.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom behind the stars, and Kenward and Roger's standard errors; by default those that
        each model was fitted with.
    format : {"text", "markdown", "latex", "html", "frame"}, default "text"
        What is returned; LaTeX needs the package booktabs.

    Returns
    -------
    str or DataFrame
        Fixed effects with standard errors in parentheses, standard deviations and correlations of the
        random effects, number of observations and of levels, criterion, AIC, BIC and R squared (Nakagawa &
        Schielzeth). The frame has these as numbers: index (part, name), columns (model, quantity), the
        quantities being estimate and std_error.

    Raises
    ------
    ValueError
        If there is no fit, the names are not one for each, or the format is unknown.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> m1 = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    >>> m2 = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> print(interlace.summary_table([m1, m2]))
    Comparison of mixed models
    --------------------------------------------------------------
    Fixed effects                            (1)            (2)
    --------------------------------------------------------------
    Intercept                      251.41 (9.75)  251.41 (6.82)
    Days                            10.47 (0.80)   10.47 (1.55)
    --------------------------------------------------------------
    Random effects                           (1)            (2)
    --------------------------------------------------------------
    Subject: SD (Intercept)                37.12          24.74
    Subject: SD Days                                       5.92
    Subject: Cor (Intercept), Days                          .07
    Residual SD                            30.99          25.59
    --------------------------------------------------------------
    Sizes                                    (1)            (2)
    --------------------------------------------------------------
    Observations                             180            180
    Levels of Subject                         18             18
    --------------------------------------------------------------
    Fit                                      (1)            (2)
    --------------------------------------------------------------
    REML criterion                       1786.47        1743.63
    AIC                                  1794.47        1755.63
    BIC                                  1807.24        1774.79
    R² marginal                             .280           .279
    R² conditional                          .704           .799
    --------------------------------------------------------------
    Standard errors in parentheses.
    """
    fits = _checked(results)
    headings = _headings(names, len(fits))
    columns = [_entries(fit, fit.ddf if ddf is None else ddf) for fit in fits]
    if format == "frame":
        return _frame(columns, headings)
    return _sheet(columns, headings, _notes(fits, ddf, with_stars=stars), with_stars=stars).to(format)


def _checked(results: Sequence[EstimatedModel] | EstimatedModel) -> list[EstimatedModel]:
    fits: list[Any] = [results] if hasattr(results, "record") else list(results)
    if not fits:
        raise ArgumentError("there is no fit to tabulate; give a list of results, summary_table([m1, m2])")
    strangers = [type(fit).__name__ for fit in fits if not hasattr(fit, "record")]
    if strangers:
        raise ArgumentError(
            f"summary_table tabulates results of CrossedLMM.fit(); a {strangers[0]} was given"
        )
    return fits


def _headings(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [f"({number})" for number in range(1, count + 1)]
    if len(names) != count or len(set(names)) != count:
        raise ArgumentError(f"names={list(names)!r}; give {count} different names, one for each fit")
    return [str(name) for name in names]


# ---- What there is to say about one fit -------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One number of one model and how it is printed.

    Attributes
    ----------
    value : float
        The number.
    written : str
        The same as text.
    std_error, p : float
        Of a fixed effect; NaN for anything else.
    """

    value: float
    written: str
    std_error: float = np.nan
    p: float = np.nan


Entries: TypeAlias = dict[tuple[str, str], Entry]


def _entries(fit: EstimatedModel, ddf: Ddf) -> Entries:
    return {**_fixed(fit, ddf), **_random(fit), **_sizes(fit), **_fit(fit)}


def _fixed(fit: EstimatedModel, ddf: Ddf) -> Entries:
    entries: Entries = {}
    for name, row in fit.coef_table(ddf).iterrows():
        places = decimals(row["std_error"])
        written = f"{fixed(row['estimate'], places)} ({fixed(row['std_error'], places)})"
        entries[PARTS[0], str(name)] = Entry(row["estimate"], written, row["std_error"], row["p_value"])
    return entries


def _random(fit: EstimatedModel) -> Entries:
    writers: tuple[Callable[[float], str], ...] = (significant, share)
    return {
        (PARTS[1], spread.label): Entry(spread.value, writers[len(spread.effects) == 2](spread.value))
        for spread in spreads(fit)
    }


def _sizes(fit: EstimatedModel) -> Entries:
    levels = {f"Levels of {name}": int(count) for name, count in fit.ngroups.items()}
    counts = {"Observations": fit.nobs, **levels}
    return {(PARTS[2], label): Entry(count, f"{count:d}") for label, count in counts.items()}


def _fit(fit: EstimatedModel) -> Entries:
    criteria = {criterion_name(fit): fit.objective, "AIC": fit.aic, "BIC": fit.bic}
    entries: Entries = {(PARTS[3], name): Entry(value, fixed(value)) for name, value in criteria.items()}
    if shares := explained(fit):
        named = zip(("R² marginal", "R² conditional"), shares, strict=True)
        entries |= {(PARTS[3], name): Entry(value, share(value, 3)) for name, value in named}
    return entries


# ---- All of them ------------------------------------------------------------------------------------


def _labels(columns: Sequence[Entries]) -> list[tuple[str, str]]:
    """Every (part, name) once: by part, then as the fits have them; the residual after all random effects."""
    seen = dict.fromkeys(label for entries in columns for label in entries)
    return sorted(seen, key=lambda label: (PARTS.index(label[0]), label[1] == RESIDUAL))


def _frame(columns: Sequence[Entries], headings: Sequence[str]) -> pd.DataFrame:
    labels = _labels(columns)
    missing = Entry(np.nan, "")
    values = {
        (heading, quantity): [getattr(entries.get(label, missing), attribute) for label in labels]
        for heading, entries in zip(headings, columns, strict=True)
        for quantity, attribute in (("estimate", "value"), ("std_error", "std_error"))
    }
    index = pd.MultiIndex.from_tuples(labels, names=["part", "name"])
    frame = pd.DataFrame(values, index=index, dtype=float)
    return frame.rename_axis(columns=["model", "quantity"])


def _sheet(
    columns: Sequence[Entries], headings: Sequence[str], notes: Sequence[str], *, with_stars: bool
) -> Sheet:
    parts = []
    for title in PARTS:
        rows = [
            (name, *(_cell(entries.get((part, name)), with_stars=with_stars) for entries in columns))
            for part, name in _labels(columns)
            if part == title
        ]
        parts.append(Part(title, tuple(headings), tuple(rows)))
    return Sheet("Comparison of mixed models", tuple(part for part in parts if part.rows), tuple(notes))


def _cell(entry: Entry | None, *, with_stars: bool) -> str:
    if entry is None:
        return ""
    return entry.written + (stars(entry.p) if with_stars else "")


def _notes(fits: Sequence[EstimatedModel], ddf: Ddf | None, *, with_stars: bool) -> list[str]:
    notes = ["Standard errors in parentheses."]
    if with_stars:
        methods = dict.fromkeys(METHODS[fit.ddf if ddf is None else ddf] for fit in fits)
        notes += [STARS, *methods]
    return notes
