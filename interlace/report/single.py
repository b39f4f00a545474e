"""The table of one model."""

from __future__ import annotations

import pandas as pd

from interlace.fitted import Ddf, EstimatedModel

from .components import criterion_name, explained, spreads
from .numbers import decimals, degrees, fixed, p_value, share, significant
from .sheet import Part, Sheet

METHODS = {
    "satterthwaite": "Degrees of freedom: Satterthwaite.",
    "kenward-roger": "Degrees of freedom: Kenward and Roger.",
    "normal": "Tests by the normal distribution.",
}


def single_sheet(results: EstimatedModel, *, ddf: Ddf, alpha: float) -> Sheet:
    """Fixed effects, random effects, sizes and fit of one model.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.
    ddf : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom.
    alpha : float
        The intervals have level ``1 - alpha``.

    Returns
    -------
    Sheet
    """
    title = f"{results.method} fit of {results.model.formula_text}"
    notes = [METHODS[ddf]]
    if results.is_singular:
        notes.append(f"Singular fit: {'; '.join(results.singular_directions)}.")
    if results.undetermined:
        notes.append(f"Not determined by the data: {'; '.join(results.undetermined)}.")
    parts = (_fixed(results, ddf, alpha), _random(results), _fit(results))
    return Sheet(title, tuple(part for part in parts if part.rows), tuple(notes))


def _fixed(results: EstimatedModel, ddf: Ddf, alpha: float) -> Part:
    table = results.coef_table(ddf, alpha=alpha)
    letter = "z" if ddf == "normal" else "t"
    df = () if ddf == "normal" else ("df",)
    columns = ("Estimate", "SE", f"{100 * (1 - alpha):g}% CI", *df, letter, "p")
    rows = [_fixed_row(str(name), row, with_df=bool(df)) for name, row in table.iterrows()]
    return Part("Fixed effects", columns, tuple(rows))


def _fixed_row(name: str, row: pd.Series, *, with_df: bool) -> tuple[str, ...]:
    places = decimals(row["std_error"])
    interval = f"[{fixed(row['conf_low'], places)}, {fixed(row['conf_high'], places)}]"
    df = (degrees(row["df"]),) if with_df else ()
    estimate, se = fixed(row["estimate"], places), fixed(row["std_error"], places)
    return (name, estimate, se, interval, *df, fixed(row["statistic"]), p_value(row["p_value"]))


def _random(results: EstimatedModel) -> Part:
    rows = [
        (spread.label, share(spread.value) if len(spread.effects) == 2 else significant(spread.value))
        for spread in spreads(results)
    ]
    return Part("Random effects", ("Estimate",), tuple(rows))


def _fit(results: EstimatedModel) -> Part:
    rows = [("Observations", f"{results.nobs:d}")]
    rows += [(f"Levels of {name}", f"{count:d}") for name, count in results.ngroups.items()]
    rows += [(criterion_name(results), fixed(results.objective))]
    rows += [("AIC", fixed(results.aic)), ("BIC", fixed(results.bic))]
    if shares := explained(results):
        rows += [("R² marginal", share(shares[0], 3)), ("R² conditional", share(shares[1], 3))]
    return Part("Fit", ("Value",), tuple(rows))


def to_latex(self: EstimatedModel, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
    r"""A table of the fit for a paper, in LaTeX; needs the package booktabs.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom; by default those that the model was fitted with.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    str
        A ``table`` environment.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
    >>> fit.to_latex().splitlines()[3]
    '\\begin{tabular}{lrrrrrr}'
    """
    return str(_sheet_of(self, ddf, alpha).to_latex())


def to_html(self: EstimatedModel, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
    """A table of the fit for a paper, in HTML.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom; by default those that the model was fitted with.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    str
        A ``<table>``.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
    >>> fit.to_html().splitlines()[0]
    '<table class="interlace">'
    """
    return str(_sheet_of(self, ddf, alpha).to_html())


def to_markdown(self: EstimatedModel, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
    """A table of the fit for a paper, in Markdown.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom; by default those that the model was fitted with.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    str
        A table under a title in bold.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
    >>> print(fit.to_markdown().splitlines()[2])
    | Fixed effects | Estimate | SE | 95% CI | df | t | p |
    """
    return str(_sheet_of(self, ddf, alpha).to_markdown())


def in_notebook(self: EstimatedModel) -> str:
    """What a notebook shows of a fit: `to_html`."""
    return to_html(self)


def _sheet_of(results: EstimatedModel, ddf: Ddf | None, alpha: float) -> Sheet:
    return single_sheet(results, ddf=results.ddf if ddf is None else ddf, alpha=alpha)
