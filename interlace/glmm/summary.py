"""The summary of a generalised fit, in the layout of the linear one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from interlace.report.summary import (
    AlignedSummary,
    as_text,
    correlation_table,
    group_lines,
    groups_table,
    halves,
    renamed,
)

from .family import TITLES
from .record import EstimatedGLMM, shared
from .wald import check_ddf

TITLE = "Generalized Linear Mixed Model Regression Results"


def summary(
    self: EstimatedGLMM,
    yname: str | None = None,
    xname_fe: Sequence[str] | None = None,
    xname_re: Sequence[str] | None = None,
    title: str | None = None,
    alpha: float = 0.05,
    *,
    ddf: object = None,
) -> AlignedSummary:
    """Tables of the fit, in MixedLM's layout.

    Parameters
    ----------
    yname : str, optional
        Name of the response.
    xname_fe, xname_re : sequence of str, optional
        Other names for the fixed effects and for the variance parameters.
    title : str, optional
        Replaces the default title.
    alpha : float, default 0.05
        The confidence intervals have level ``1 - alpha``.
    ddf : None or "normal"
        Refused otherwise: there are no degrees of freedom.

    Returns
    -------
    statsmodels.iolib.summary2.Summary
        Prints as text; ``as_html()`` and ``as_latex()`` for the rest.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> print(fit.summary().tables[1].iloc[:, :4])
               Coef. Std.Err.      z  P>|z|
    Intercept  1.012    0.433  2.336  0.020
    g Var      0.582    0.545
    """
    check_ddf(ddf)
    names = renamed("xname_fe", xname_fe, self.fe_names)
    names += renamed("xname_re", xname_re, self.variance_names)
    found = AlignedSummary()
    found.add_title(TITLE if title is None else title)
    found.add_dict(halves(*_header(self, yname)))
    if len(self.ngroups) > 1:
        found.add_df(groups_table(shared(self)), align="r")
    table = coefficient_table(self, alpha=alpha)
    found.add_df(_written(table, [*names, *self.model.data.more_names]), align="r")
    correlation = correlation_table(shared(self))
    if len(correlation):
        found.add_df(correlation.map("{:.3f}".format), align="r")
    for note in _notes(self):
        found.add_text(note)
    return found


def _header(results: EstimatedGLMM, yname: str | None) -> tuple[dict[str, str], dict[str, str]]:
    left = {
        "Model:": type(results.model).__name__,
        "Family:": TITLES[results.family.name],
        "Link:": results.family.link,
        "No. Observations:": f"{results.nobs:d}",
        **group_lines(shared(results)),
    }
    if results.n_dropped:
        left["Dropped rows:"] = f"{results.n_dropped:d}"
    right = {
        "Dependent Variable:": results.model.endog_names if yname is None else yname,
        "Method:": "ML (Laplace)" if results.nagq == 1 else f"ML ({results.nagq} nodes)",
        "Scale:": f"{results.scale:.4f}",
        "Log-Likelihood:": f"{results.llf:.4f}",
        "AIC:": f"{results.aic:.4f}",
        "Converged:": "Yes" if results.converged else "No",
    }
    return left, right


def coefficient_table(results: EstimatedGLMM, *, alpha: float = 0.05) -> pd.DataFrame:
    """Estimates, standard errors, z tests and intervals; NaN where a column does not apply.

    Parameters
    ----------
    results : CrossedGLMMResults
        The fit.
    alpha : float, default 0.05
        The confidence intervals have level ``1 - alpha``.

    Returns
    -------
    DataFrame
        One row per parameter. Variances and the family's parameters have an estimate and a standard error
        only.
    """
    tests = results.coef_table(alpha=alpha).drop(columns="df")
    rest = pd.DataFrame(
        {"estimate": results.params[results.k_fe :], "std_error": results.bse[results.k_fe :]},
        index=[*results.variance_names, *results.model.data.more_names],
    )
    names = {
        "estimate": "Coef.",
        "std_error": "Std.Err.",
        "statistic": "z",
        "p_value": "P>|z|",
        "conf_low": f"[{alpha / 2:g}",
        "conf_high": f"{1 - alpha / 2:g}]",
    }
    whole = pd.concat([tests, rest]) if results.k_fe else rest.reindex(columns=list(tests.columns))
    return whole.rename(columns=names)


def _written(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    text = as_text(table, names)
    infinite = np.isinf(table["Coef."].to_numpy())
    text["Coef."] = np.where(infinite, np.where(table["Coef."] > 0, "inf", "-inf"), text["Coef."])
    return text


def _notes(results: EstimatedGLMM) -> list[str]:
    notes = []
    if results.is_singular:
        notes.append(f"Singular fit: {'; '.join(results.singular_directions)}.")
    if results.separation is not None:
        columns = ", ".join(results.separation.columns)
        notes.append(f"Separation: no finite estimate and no test of {columns}.")
    if len(results.dropped):
        notes.append(f"Left out, being linear combinations of other columns: {', '.join(results.dropped)}.")
    return notes
