"""A fit in a paragraph, in the style of the American Psychological Association (7th edition)."""

from __future__ import annotations

import pandas as pd

from interlace.fitted import Ddf, EstimatedModel

from .components import explained, spreads
from .numbers import decimals, degrees, fixed, p_value, share, significant

METHODS = {
    "satterthwaite": "with Satterthwaite's degrees of freedom",
    "kenward-roger": "with Kenward and Roger's standard errors and degrees of freedom",
    "normal": "by the normal distribution",
}
LIKELIHOODS = {"REML": "restricted maximum likelihood", "ML": "maximum likelihood"}


def report(self: EstimatedModel, *, ddf: Ddf | None = None, alpha: float = 0.05) -> str:
    """One paragraph in APA style: model, estimates, intervals, tests, variance components, R squared.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "normal"}, optional
        Degrees of freedom; by default those that the model was fitted with.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    str
        A paragraph without line breaks.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("diameter ~ 1 + (1 | plate)", interlace.datasets.load_penicillin())
    >>> print(fit.report())  # doctest: +ELLIPSIS
    A linear mixed model of diameter was fitted by restricted maximum likelihood to 144 observations ...
    """
    ddf = self.ddf if ddf is None else ddf
    sentences = [_model(self), _fixed(self, ddf, alpha), _random(self), _explained(self)]
    if self.is_singular:
        sentences.append(f"The fit is singular: {'; '.join(self.singular_directions)}.")
    return " ".join(sentence for sentence in sentences if sentence)


def _model(results: EstimatedModel) -> str:
    levels = listed([f"{count:d} levels of {name}" for name, count in results.ngroups.items()])
    dropped = f" ({results.n_dropped:d} more had missing values)" if results.n_dropped else ""
    return (
        f"A linear mixed model of {results.model.endog_names} was fitted by {LIKELIHOODS[results.method]} "
        f"to {results.nobs:d} observations{dropped} from {levels}: {results.model.formula_text}."
    )


def _fixed(results: EstimatedModel, ddf: Ddf, alpha: float) -> str:
    table = results.coef_table(ddf, alpha=alpha)
    if table.empty:
        return ""
    level = f"{100 * (1 - alpha):g}%"
    effects = "; ".join(_effect(str(name), row, level, ddf) for name, row in table.iterrows())
    return f"Fixed effects, tested {METHODS[ddf]}, were {effects}."


def _effect(name: str, row: pd.Series, level: str, ddf: Ddf) -> str:
    places = decimals(row["std_error"])
    b, se, low, high = (fixed(row[key], places) for key in ("estimate", "std_error", "conf_low", "conf_high"))
    letter = "z" if ddf == "normal" else f"t({degrees(row['df'])})"
    probability = p_value(row["p_value"])
    p = f"p < {probability[1:]}" if probability.startswith("<") else f"p = {probability}"
    statistic = fixed(row["statistic"])
    return f"{name}, b = {b}, SE = {se}, {level} CI [{low}, {high}], {letter} = {statistic}, {p}"


def _random(results: EstimatedModel) -> str:
    residual = spreads(results)[-1]
    size = significant(residual.value)
    return f"Standard deviations were {random_words(results)}, and {size} for the residual."


def random_words(results: EstimatedModel) -> str:
    """Standard deviations and correlations of the random effects, without the residual."""
    said = []
    for spread in spreads(results):
        if len(spread.effects) == 1:
            said.append(f"{significant(spread.value)} for {spread.effects[0]} by {spread.factor}")
        elif len(spread.effects) == 2:
            value = share(spread.value) or "undefined"
            said.append(f"(correlation of {spread.effects[0]} and {spread.effects[1]} {value})")
    return ", ".join(said).replace(", (", " (")


def _explained(results: EstimatedModel) -> str:
    shares = explained(results)
    if shares is None:
        return ""
    fixed_part, whole = (f"{100 * r2:.1f}% of the variance" for r2 in shares)
    marginal, conditional = map(share, shares)
    return (
        f"The fixed effects explained {fixed_part} (marginal R² = {marginal}), fixed and random effects "
        f"together {whole} (conditional R² = {conditional})."
    )


def listed(words: list[str]) -> str:
    """Words with commas, and "and" before the last."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
