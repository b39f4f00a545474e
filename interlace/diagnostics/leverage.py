"""Leverages: diagonals of the hat matrix and of its parts (Demidenko & Stukel 2005; Nobre & Singer 2011)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import DesignError
from interlace.fitted import generalised, record_of
from interlace.pls import PLSFit
from interlace.pls.matrices.triangular import upper_solve_right
from interlace.pls.rows.weighted import quadratics, whitened

from .cases import Cases, cases_of
from .fitted_rows import FittedRows, fitted_rows

PARTS = ("overall", "fixef", "ranef", "ranef.uc")


def leverage_of_rows(fitted: FittedRows) -> dict[str, FloatArray]:
    """The four leverages of every row.

    Parameters
    ----------
    fitted : FittedRows
        A fit.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        See `leverage`.
    """
    at, rows = fitted.at, fitted.rows
    p = len(at.R) - 1
    E = whitened(rows, at)[:, :p]  # V0^-1 X in coordinates where X' V0^-1 X = I
    Q = upper_solve_right(rows.Qy[:, :p], at.R[:p, :p])
    explained = quadratics(fitted.fit.criterion.factorization, rows)  # diagonal of Z D Z' V^-1
    fixef = np.einsum("np,np->n", Q, E)
    ranef = explained - np.einsum("np,np->n", Q - E, E)
    return {"overall": fixef + ranef, "fixef": fixef, "ranef": ranef, "ranef.uc": random_share(fitted)}


def random_share(fitted: FittedRows) -> FloatArray:
    """Variance of each row's random part relative to its residual variance, shape (n,)."""
    total = np.zeros(fitted.rows.n)
    for columns, Lambda in zip(fitted.rows.columns, fitted.at.Lambda, strict=True):
        total += ((columns @ Lambda) ** 2).sum(axis=1)
    return total


def leverage_frame(design: Design, fit: PLSFit, cases: Cases) -> pd.DataFrame:
    """Leverages of cases, without the prefix.

    Parameters
    ----------
    design, fit : Design, PLSFit
        A fit.
    cases : Cases
        Rows, or groups of rows: means over their rows.

    Returns
    -------
    DataFrame
        Columns overall, fixef, ranef, ranef.uc.
    """
    by_row = leverage_of_rows(fitted_rows(design, fit))
    return pd.DataFrame({part: cases.mean(h) for part, h in by_row.items()}, index=cases.labels)


def leverage(results: Any, level: Any = 1, *, parts: Sequence[str] = PARTS) -> pd.DataFrame:
    """Leverage of observations or groups.

    Parameters
    ----------
    results : CrossedLMMResults or CrossedGLMMResults
        A fitted model.
    level : 1, str or array, default 1
        1 for the observations, a grouping factor, or any partition of the rows: mean over a group's rows.
    parts : sequence of {"overall", "fixef", "ranef", "ranef.uc"}
        Columns wanted.

    Returns
    -------
    DataFrame
        ``fixef`` is the diagonal of H1 = X (X'V⁻¹X)⁻¹ X'V⁻¹, ``ranef`` that of H2 = ZDZ'V⁻¹(I - H1),
        ``overall`` their sum, and ``ranef.uc`` that of ZDZ' relative to the row's residual variance.

    References
    ----------
    Demidenko & Stukel (2005), Statistics in Medicine 24, 893-909; Nobre & Singer (2011), Journal of Applied
    Statistics 38, 1063-1072; names as in Loy & Hofmann (2014), Journal of Statistical Software 56(5).

    Examples
    --------
    >>> import interlace
    >>> r = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> interlace.leverage(r)["overall"].head(2).round(4).tolist()
    [0.2293, 0.1697]
    """
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise DesignError(f"parts= holds {sorted(unknown)}; wanted some of {list(PARTS)}")
    if (own := generalised(results)) is not None:
        found: pd.DataFrame = own.leverage(level)[list(parts)]
        return found
    record = record_of(results)
    design, fit = record.design, record.polished
    return leverage_frame(design, fit, cases_of(design, level, results.model.data.frame))[list(parts)]
