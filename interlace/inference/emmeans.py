"""Estimated marginal means and contrasts among them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import ArgumentError, RankDeficiencyWarning, callers_level

from .adjustment import adjusted
from .anova import contrast_table
from .fstatistic import Approximation
from .reference_grid import averaging_rows, reference_grid

Contrasts: TypeAlias = Literal["pairwise", "treatment", "consecutive", "polynomial"]
DEFAULT_ADJUSTMENT = {"pairwise": "tukey", "treatment": "holm", "consecutive": "holm", "polynomial": "none"}
DEGREES = ("linear", "quadratic", "cubic", "quartic")


@dataclass(frozen=True, eq=False)
class EstimatedMarginalMeans:
    """Means of the fixed part over a reference grid.

    Attributes
    ----------
    frame : DataFrame
        The variables asked about, then emmean, std_error, df, conf_low, conf_high.
    specs, by : tuple of str
        Variables whose means are compared, and within which.
    rows : ndarray of shape (r, p)
        What the fixed effects are multiplied by.
    beta : ndarray of shape (p,)
        Fixed effects.
    method : Approximation
        Standard errors and degrees of freedom.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("strength ~ cask + (1 | batch)", interlace.datasets.load_pastes())
    >>> fit.emmeans("cask").contrasts().round(3)[["contrast", "estimate", "p_value"]]
      contrast  estimate  p_value
    0    a - b    -0.850    0.584
    1    a - c    -1.425    0.228
    2    b - c    -0.575    0.780
    """

    frame: pd.DataFrame
    specs: tuple[str, ...]
    by: tuple[str, ...]
    rows: FloatArray
    beta: FloatArray
    method: Approximation

    def __repr__(self) -> str:
        return self.frame.to_string()

    def _repr_html_(self) -> str:
        return self.frame.to_html()

    def contrasts(self, kind: Contrasts = "pairwise", *, adjust: str | None = None) -> pd.DataFrame:
        """Compare the means, within the combinations of the ``by`` variables.

        Parameters
        ----------
        kind : {"pairwise", "treatment", "consecutive", "polynomial"}, default "pairwise"
            All differences; each minus the first; each minus the one before; orthogonal polynomials.
        adjust : str, optional
            "none", "tukey", or a method of statsmodels' ``multipletests`` ("holm", "bonferroni", "fdr_bh");
            by default "tukey" for pairs, "holm" for the other differences, "none" for polynomials.

        Returns
        -------
        DataFrame
            The ``by`` variables, contrast, estimate, std_error, df, statistic, p_value.
        """
        if kind not in DEFAULT_ADJUSTMENT:
            raise ArgumentError(f"kind={kind!r} is not offered; give one of {list(DEFAULT_ADJUSTMENT)}")
        tables = [self._compared(own, kind, adjust) for own in self._groups()]
        return pd.concat(tables, ignore_index=True)

    def _groups(self) -> Iterator[IntArray]:
        """Positions of the means within each combination of the ``by`` variables."""
        if not self.by:
            yield np.arange(len(self.frame))
            return
        for own in self.frame.groupby(list(self.by), observed=True, sort=False).indices.values():
            yield np.sort(own)

    def _compared(self, own: IntArray, kind: str, adjust: str | None) -> pd.DataFrame:
        labels = [" ".join(map(str, key)) for key in self.frame[list(self.specs)].to_numpy(dtype=object)[own]]
        names, weights = contrast_weights(kind, labels)
        known = ~np.isnan(self.rows[own]).any(axis=1)
        rows = weights[:, known] @ self.rows[own][known]
        rows[(weights[:, ~known] != 0.0).any(axis=1)] = np.nan
        table = contrast_table(names, rows, self.beta, self.method)
        columns = {name: self.frame[name].iloc[own[0]] for name in self.by}
        p_values = adjusted(
            table["p_value"].to_numpy(),
            table["statistic"].to_numpy(),
            table["df"].to_numpy(),
            DEFAULT_ADJUSTMENT[kind] if adjust is None else adjust,
            int(known.sum()),
        )
        kept = table[["estimate", "std_error", "df", "statistic"]].reset_index(drop=True)
        return pd.DataFrame({**columns, "contrast": names, **kept, "p_value": p_values})


def contrast_weights(kind: str, labels: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Names and weights of the contrasts of some means.

    Parameters
    ----------
    kind : {"pairwise", "treatment", "consecutive", "polynomial"}
        Which contrasts.
    labels : sequence of str
        Names of the means.

    Returns
    -------
    names : list of str
        Of the contrasts.
    weights : ndarray of shape (r, k)
        One row per contrast.

    Examples
    --------
    >>> contrast_weights("consecutive", ["a", "b", "c"])[0]
    ['b - a', 'c - b']
    """
    k = len(labels)
    if kind == "polynomial":
        return _polynomials(k)
    pairs = {
        "pairwise": [(i, j) for i in range(k) for j in range(i + 1, k)],
        "treatment": [(i, 0) for i in range(1, k)],
        "consecutive": [(i, i - 1) for i in range(1, k)],
    }[kind]
    weights = np.zeros((len(pairs), k))
    for row, (plus, minus) in enumerate(pairs):
        weights[row, plus], weights[row, minus] = 1.0, -1.0
    return [f"{labels[plus]} - {labels[minus]}" for plus, minus in pairs], weights


def _polynomials(k: int) -> tuple[list[str], FloatArray]:
    """Orthogonal polynomials over equally spaced means, in the smallest whole numbers."""
    x = np.arange(k) - (k - 1) / 2.0
    Q, R = np.linalg.qr(np.vander(x, min(k, 6), increasing=True))
    columns = (Q * np.sign(np.diagonal(R))).T[1:]
    names = [DEGREES[d] if d < len(DEGREES) else f"degree {d + 1}" for d in range(len(columns))]
    return names, np.array([_whole(column) for column in columns]).reshape(-1, k)


def _whole(column: FloatArray) -> FloatArray:
    smallest = np.abs(column[np.abs(column) > 1e-10]).min()
    for times in range(1, 400):
        scaled = column / smallest * times
        if np.abs(scaled - np.round(scaled)).max() < 1e-6:
            return np.round(scaled)
    return column


def estimated_marginal_means(
    design: Design,
    frame: Any,
    beta: FloatArray,
    method: Approximation,
    specs: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: Literal["equal", "proportional"] = "equal",
    alpha: float = 0.05,
) -> EstimatedMarginalMeans:
    """Means of the fixed part at the combinations of some variables.

    Parameters
    ----------
    design, frame : Design, table
        Of the fit, and its data.
    beta : ndarray of shape (p,)
        Fixed effects.
    method : Approximation
        Standard errors and degrees of freedom.
    specs, by : str or sequence of str
        Variables whose means are wanted, and within which they will be compared.
    at : mapping, optional
        Values of variables other than their categories or their mean.
    weights : {"equal", "proportional"}, default "equal"
        Of the categories averaged over.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    EstimatedMarginalMeans
        A known offset of the rows enters by its mean.
    """
    compared, within = _names(specs), _names(by)
    over = [*within, *(name for name in compared if name not in within)]
    grid = reference_grid(design, frame, at, over)
    labels, rows = averaging_rows(grid, over, weights)
    _warn_of_missing(design, rows)
    table = contrast_table([str(i) for i in range(len(rows))], rows, beta, method, alpha=alpha)
    shift = 0.0 if design.offset is None else float(np.mean(design.offset))
    columns = {
        "emmean": table["estimate"].to_numpy() + shift,
        "std_error": table["std_error"].to_numpy(),
        "df": table["df"].to_numpy(),
        "conf_low": table["conf_low"].to_numpy() + shift,
        "conf_high": table["conf_high"].to_numpy() + shift,
    }
    found = pd.concat([labels, pd.DataFrame(columns)], axis=1)
    specs_only = tuple(name for name in compared if name not in within)
    return EstimatedMarginalMeans(found, specs_only, within, rows, beta, method)


def _warn_of_missing(design: Design, rows: FloatArray) -> None:
    lost = int(np.isnan(rows).any(axis=1).sum())
    if lost and design.dropped_columns:
        warnings.warn(
            f"{lost} of {len(rows)} means are NaN: the data do not determine them. Some combinations that "
            f"they average over do not occur, and {list(design.dropped_columns)} had to be left out of "
            "the fit; average over fewer with at=, or leave interactions out of the formula",
            RankDeficiencyWarning,
            stacklevel=callers_level(),
        )


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)
