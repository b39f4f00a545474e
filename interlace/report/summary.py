"""The summary of a fit, in MixedLM's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.iolib.summary2 import Summary

from interlace.errors import ArgumentError
from interlace.fitted import Ddf, EstimatedModel
from interlace.inference import correlations, lower_triangle
from interlace.inference.sampling_error import sampling_note
from interlace.inference.wald import averaged_information

TITLES = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}
# The last line where the exact information would take longer than the fit.
AVERAGE = "Standard errors of variances, and degrees of freedom, from the average information (large model)."
TITLE = "Mixed Linear Model Regression Results"


class AlignedSummary(Summary):
    """A Summary whose tables are equally wide as text.

    statsmodels spreads missing width over the gaps between columns and counts one gap too few in tables with
    row labels; here the labels take it all.
    """

    def as_text(self) -> str:
        """Tables as text, with a rule as wide as the widest."""
        widths = [_width(table, setting) for table, setting in zip(self.tables, self.settings, strict=True)]
        even = Summary()
        even.title, even.extra_txt, even.settings = self.title, self.extra_txt, self.settings
        even.tables = [
            _widened(table, max(widths) - width) if setting["index"] else table
            for table, setting, width in zip(self.tables, self.settings, widths, strict=True)
        ]
        return even.as_text()


def _width(table: pd.DataFrame, setting: dict[str, Any]) -> int:
    alone = Summary()
    alone.tables, alone.settings = [table], [setting]
    return max(len(line) for line in alone.as_text().splitlines())


def _widened(table: pd.DataFrame, missing: int) -> pd.DataFrame:
    labels = [str(label) for label in table.index]
    width = missing + max(map(len, labels), default=0)
    return table.set_axis([label.ljust(width) for label in labels], axis=0)


def summary(
    self: EstimatedModel,
    yname: str | None = None,
    xname_fe: Sequence[str] | None = None,
    xname_re: Sequence[str] | None = None,
    title: str | None = None,
    alpha: float = 0.05,
    *,
    ddf: Ddf | None = None,
) -> Summary:
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
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom of the tests of fixed effects, by default those that :meth:`CrossedLMM.fit` was
        given. "normal" gives MixedLM's table.

    Returns
    -------
    statsmodels.iolib.summary2.Summary
        Prints as text; ``as_html()`` and ``as_latex()`` for the rest.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> print(fit.summary().tables[1].iloc[:2, :4])
                 Coef. Std.Err.    df       t
    Intercept  251.405    6.825  17.0  36.838
    Days        10.467    1.546  17.0   6.771
    """
    ddf = self.ddf if ddf is None else ddf
    names = renamed("xname_fe", xname_fe, self.fe_names) + renamed("xname_re", xname_re, self.variance_names)
    return assembled(
        self,
        title=TITLE if title is None else title,
        header=header_of(self, yname, method=self.method, kind={}, criteria={}),
        coefficients=as_text(coefficient_table(self, alpha=alpha, ddf=ddf), names),
        notes=_notes(self, ddf),
    )


def assembled(
    results: EstimatedModel,
    *,
    title: str,
    header: dict[str, str],
    coefficients: pd.DataFrame,
    notes: Sequence[str],
) -> AlignedSummary:
    """The parts of a summary in their order, linear or generalised."""
    found = AlignedSummary()
    found.add_title(title)
    found.add_dict(header)
    if len(results.ngroups) > 1:
        found.add_df(groups_table(results), align="r")
    found.add_df(coefficients, align="r")
    correlation = correlation_table(results)
    if len(correlation):
        found.add_df(correlation.map("{:.3f}".format), align="r")
    for note in notes:
        found.add_text(note)
    return found


def renamed(keyword: str, given: Sequence[str] | None, default: Sequence[str]) -> list[str]:
    """Names that the caller gave, or the default; refused if there are not as many."""
    if given is None:
        return list(default)
    if len(given) != len(default):
        raise ArgumentError(
            f"{keyword} has {len(given)} names; {len(default)} are needed, for {list(default)!r}"
        )
    return list(given)


def header_of(
    results: EstimatedModel,
    yname: str | None,
    *,
    method: str,
    kind: Mapping[str, str],
    criteria: Mapping[str, str],
) -> dict[str, str]:
    """The header: what was fitted to what on the left, how it went on the right.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    yname : str or None
        Name of the response, if another than the model's.
    method : str
        How it was fitted.
    kind, criteria : mapping of str to str
        Lines below the model's, and below the log-likelihood.

    Returns
    -------
    dict of str to str
    """
    left = {"Model:": type(results.model).__name__, **kind, "No. Observations:": f"{results.nobs:d}"}
    left |= group_lines(results)
    if results.n_dropped:
        left["Dropped rows:"] = f"{results.n_dropped:d}"
    right = {
        "Dependent Variable:": results.model.endog_names if yname is None else yname,
        "Method:": method,
        "Scale:": f"{results.scale:.4f}",
        "Log-Likelihood:": f"{results.llf:.4f}",
        **criteria,
        "Converged:": "Yes" if results.converged else "No",
    }
    return halves(left, right)


def halves(left: dict[str, str], right: dict[str, str]) -> dict[str, str]:
    """Two halves of a header as statsmodels wants them: it splits the entries in the middle."""
    left, right = dict(left), dict(right)
    # The shorter half is filled up, so that the split falls between the two.
    for number in range(len(left) - len(right)):
        right[" " * (number + 1)] = ""
    for number in range(len(right) - len(left)):
        left[" " * (number + 1)] = ""
    return left | right


def group_lines(results: EstimatedModel) -> dict[str, str]:
    """Numbers of groups, and their sizes if there is one factor."""
    if len(results.ngroups) > 1:
        return {"No. Groups:": " + ".join(str(count) for count in results.ngroups)}
    sizes = results.group_sizes.iloc[0]
    return {
        "No. Groups:": f"{results.ngroups.iloc[0]:d}",
        "Min. group size:": f"{sizes['min']:.0f}",
        "Max. group size:": f"{sizes['max']:.0f}",
        "Mean group size:": f"{sizes['mean']:.1f}",
    }


def groups_table(results: EstimatedModel) -> pd.DataFrame:
    """Tabulate the number of groups and of rows per group of every factor, as text.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.

    Returns
    -------
    DataFrame
        One row per grouping factor.
    """
    sizes = results.group_sizes
    columns = {
        "No. Groups": [f"{count:d}" for count in results.ngroups],
        "Min. size": [f"{size:.0f}" for size in sizes["min"]],
        "Max. size": [f"{size:.0f}" for size in sizes["max"]],
        "Mean size": [f"{size:.1f}" for size in sizes["mean"]],
    }
    return pd.DataFrame(columns, index=list(results.ngroups.index))


def coefficient_table(
    results: EstimatedModel, *, alpha: float = 0.05, ddf: Ddf = "satterthwaite"
) -> pd.DataFrame:
    """Estimates, standard errors, tests and intervals; NaN where a column does not apply.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    alpha : float, default 0.05
        The confidence intervals have level ``1 - alpha``.
    ddf : {"satterthwaite", "kenward-roger", "normal"}, default "satterthwaite"
        "normal" gives MixedLM's columns; the others have one for the degrees of freedom.

    Returns
    -------
    DataFrame
        One row per parameter. Variance parameters have an estimate and a standard error only: their
        sampling distribution is skewed and a variance of 0 lies on the boundary.
    """
    tests = results.coef_table(ddf, alpha=alpha)
    k_fe = results.k_fe
    variances = pd.DataFrame(
        {"estimate": results.params[k_fe:], "std_error": results.bse[k_fe:]},
        index=results.model.data.param_names[k_fe:],
    )
    letter = "z" if ddf == "normal" else "t"
    names = {
        "estimate": "Coef.",
        "std_error": "Std.Err.",
        "df": "df",
        "statistic": letter,
        "p_value": f"P>|{letter}|",
        "conf_low": f"[{alpha / 2:g}",
        "conf_high": f"{1 - alpha / 2:g}]",
    }
    table = pd.concat([tests, variances]) if results.k_fe else variances.reindex(columns=list(tests.columns))
    return (table.drop(columns="df") if ddf == "normal" else table).rename(columns=names)


def as_text(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Numbers with three decimals under the names given."""
    texts = table.map(lambda number: "" if np.isnan(number) else f"{number:.3f}")
    if "df" in table:
        texts["df"] = [f"{number:.1f}" if np.isfinite(number) else "" for number in table["df"]]
    # Two parameters may be given the same name by the caller: set the index without looking it up.
    texts.index = pd.Index(list(names))
    return texts


def correlation_table(results: EstimatedModel) -> pd.DataFrame:
    """Correlations of the random effects within a term.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.

    Returns
    -------
    DataFrame
        One column, one row per covariance, named as the covariance with ``Corr`` for ``Cov``; NaN beside a
        variance of 0. Empty if no term has two columns.
    """
    values = [correlations(Sigma)[lower_triangle(len(Sigma))] for Sigma in results.term_covariances]
    by_name = zip(results.variance_names, np.concatenate(values), strict=True)
    rows = {name.removesuffix("Cov") + "Corr": value for name, value in by_name if name.endswith(" Cov")}
    return pd.DataFrame({"Correlation": pd.Series(rows, dtype=float)})


def _notes(results: EstimatedModel, ddf: Ddf) -> list[str]:
    notes = [] if ddf == "normal" else [f"Degrees of freedom: {TITLES[ddf]}."]
    averaged = [AVERAGE] if averaged_information(results) else []
    return [*notes, *common_notes(results), *averaged, *sampling_note(results)]


def common_notes(results: EstimatedModel, *more: str) -> list[str]:
    """Sentences below a summary: a singular fit, what else there is to say, columns left out."""
    notes = [f"Singular fit: {'; '.join(results.singular_directions)}."] if results.is_singular else []
    notes += more
    if results.undetermined:
        told = "; ".join(results.undetermined)
        notes.append(f"Not determined by the data (NaN, with what depends on it): {told}.")
    if len(results.dropped):
        notes.append(f"Left out, being linear combinations of other columns: {', '.join(results.dropped)}.")
    return notes
