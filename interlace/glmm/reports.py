"""A generalised fit as tidy frames and as a paragraph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from interlace.errors import ArgumentError
from interlace.inference.parameters import sds_and_correlations
from interlace.report.components import explained
from interlace.report.numbers import decimals, fixed, p_value, share
from interlace.report.paragraph import listed, random_words
from interlace.report.tidying import data_of_rows, random_rows

from .family import TITLES
from .record import EstimatedGLMM, shared
from .wald import check_ddf

# What the exponential of a fixed effect is called, by link.
RATIOS = {"logit": ("odds ratios", "OR"), "log": ("ratios", "ratio"), "cloglog": ("hazard ratios", "HR")}


def check_exponentiate(results: EstimatedGLMM, *, exponentiate: bool) -> None:
    """Refuse exponentials that mean nothing."""
    if exponentiate and results.family.link not in RATIOS:
        raise ArgumentError(f"exponentiate=True has no meaning with the link {results.family.link}")


def tidy(
    self: EstimatedGLMM,
    conf_int: bool = False,
    alpha: float = 0.05,
    *,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """One row per parameter, as broom.mixed's ``tidy``.

    Parameters
    ----------
    conf_int : bool, default False
        Add ``conf_low`` and ``conf_high``, Wald's.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.
    exponentiate : bool, default False
        Fixed effects as odds ratios (logit), ratios (log) or hazard ratios (cloglog); standard errors by the
        delta method.

    Returns
    -------
    DataFrame
        ``effect, group, term, estimate, std_error, statistic, p_value``: fixed effects, standard deviations
        and correlations, then the family's parameters.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.tidy(exponentiate=True)[["effect", "group", "term", "estimate"]].round(3)
         effect group             term  estimate
    0     fixed              Intercept     2.750
    1  ran_pars     g  sd__(Intercept)     0.763
    """
    check_exponentiate(self, exponentiate=exponentiate)
    table = self.coef_table(alpha=alpha).drop(columns="df")
    if exponentiate:
        ratio = np.exp(table["estimate"])
        limits = np.exp(table[["conf_low", "conf_high"]])
        table = table.assign(estimate=ratio, std_error=ratio * table["std_error"]).assign(**limits)
    extra = list(self.model.data.more_names)
    described = random_rows(self.record.design)
    keys = [("fixed", "", name) for name in table.index]
    keys += [("ran_pars", *pair) for pair in described] + [("family", "", name) for name in extra]
    frame = pd.DataFrame(keys, columns=["effect", "group", "term"])
    rest = np.full((len(described) + len(extra), table.shape[1]), np.nan)
    first = len(self.params) - len(extra)
    rest[:, 0] = np.concatenate([sds_and_correlations(self.term_covariances), self.params[first:]])
    rest[len(described) :, 1] = self.bse[first:]
    frame[list(table.columns)] = np.vstack([table.to_numpy(float), rest])
    return frame if conf_int else frame.drop(columns=["conf_low", "conf_high"])


def glance(self: EstimatedGLMM) -> pd.DataFrame:
    """One row for the model, as broom.mixed's ``glance``.

    Returns
    -------
    DataFrame
        ``nobs, loglik, aic, bic, deviance, df_residual, is_singular, converged``.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson").glance()[["nobs", "loglik"]].round(3)
       nobs  loglik
    0    12 -24.069
    """
    row = {
        "nobs": self.nobs,
        "loglik": self.llf,
        "aic": self.aic,
        "bic": self.bic,
        "deviance": self.deviance,
        "df_residual": self.df_resid,
        "is_singular": self.is_singular,
        "converged": self.converged,
    }
    return pd.DataFrame([row])


def augment(self: EstimatedGLMM, data: Any = None) -> pd.DataFrame:
    """The data with fitted values and residuals, as broom.mixed's ``augment``.

    Parameters
    ----------
    data : DataFrame, optional
        New rows: they get ``.fitted`` and ``.fixed`` only.

    Returns
    -------
    DataFrame
        A copy of the rows used, with ``.fitted`` (means), ``.fixed`` (means at random effects of zero),
        ``.resid``, ``.pearson`` and ``.deviance``.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.augment()[[".fitted", ".resid"]].head(2).round(2)
       .fitted  .resid
    0     2.14   -0.14
    1     2.14    0.86
    """
    if data is not None:
        predicted = self.predict(data)
        added = {".fitted": predicted, ".fixed": self.predict(data, random=False)}
        return pd.DataFrame(data, index=predicted.index).assign(**added)
    return data_of_rows(shared(self), self.record.design).assign(
        **{
            ".fitted": self.fittedvalues,
            ".fixed": self.predict(random=False).to_numpy(),
            ".resid": self.resid,
            ".pearson": self.resid_pearson,
            ".deviance": self.resid_deviance,
        }
    )


def report(
    self: EstimatedGLMM, *, exponentiate: bool = False, alpha: float = 0.05, ddf: object = None
) -> str:
    """One paragraph in APA style: model, estimates, intervals, tests, variance components, R squared.

    Parameters
    ----------
    exponentiate : bool, default False
        Fixed effects as odds ratios (logit), ratios (log) or hazard ratios (cloglog), with their intervals.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.
    ddf : None or "normal"
        Refused otherwise: there are no degrees of freedom.

    Returns
    -------
    str
        A paragraph without line breaks.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> print(fit.report(exponentiate=True))  # doctest: +ELLIPSIS
    A generalised linear mixed model (Poisson, link log) of y was fitted by maximum likelihood ...
    """
    check_ddf(ddf)
    check_exponentiate(self, exponentiate=exponentiate)
    words = random_words(shared(self))
    sentences = [
        _model(self),
        _fixed(self, alpha, exponentiate=exponentiate),
        f"Standard deviations on the scale of the link were {words}.",
        _explained(self),
    ]
    if self.is_singular:
        sentences.append(f"The fit is singular: {'; '.join(self.singular_directions)}.")
    if self.separation is not None:
        sentences.append(f"There is no finite estimate of {', '.join(self.separation.columns)} (separation).")
    return " ".join(sentence for sentence in sentences if sentence)


def _model(results: EstimatedGLMM) -> str:
    levels = listed([f"{count:d} levels of {name}" for name, count in results.ngroups.items()])
    dropped = f" ({results.n_dropped:d} more had missing values)" if results.n_dropped else ""
    how = "Laplace's approximation" if results.nagq == 1 else f"{results.nagq}-point adaptive quadrature"
    return (
        f"A generalised linear mixed model ({TITLES[results.family.name]}, link {results.family.link}) of "
        f"{results.model.endog_names} was fitted by maximum likelihood ({how}) to {results.nobs:d} "
        f"observations{dropped} from {levels}: {results.model.formula_text}."
    )


def _fixed(results: EstimatedGLMM, alpha: float, *, exponentiate: bool) -> str:
    table = results.coef_table(alpha=alpha)
    known = table[np.isfinite(table["std_error"])]
    if known.empty:
        return ""
    level = f"{100 * (1 - alpha):g}%"
    name = RATIOS[results.family.link] if exponentiate else ("", "b")
    effects = "; ".join(_effect(str(key), row, level, name[1]) for key, row in known.iterrows())
    kind = f"Fixed effects as {name[0]}" if exponentiate else "Fixed effects"
    return f"{kind}, tested by the normal distribution, were {effects}."


def _effect(name: str, row: pd.Series, level: str, letter: str) -> str:
    estimate, low, high, se = (row[key] for key in ("estimate", "conf_low", "conf_high", "std_error"))
    error = f", SE = {fixed(se, decimals(se))}"
    if letter != "b":
        estimate, low, high = np.exp([estimate, low, high])
        se, error = se * estimate, ""
    b, lower, upper = (fixed(float(number), decimals(float(se))) for number in (estimate, low, high))
    found = p_value(row["p_value"])
    p = f"p < {found[1:]}" if found.startswith("<") else f"p = {found}"
    return f"{name}, {letter} = {b}{error}, {level} CI [{lower}, {upper}], z = {fixed(row['statistic'])}, {p}"


def _explained(results: EstimatedGLMM) -> str:
    shares = explained(shared(results))
    if shares is None:
        return ""
    marginal, conditional = map(share, shares)
    return (
        f"On the scale of the link the fixed effects explained {100 * shares[0]:.1f}% of the variance "
        f"(marginal R² = {marginal}), fixed and random effects together {100 * shares[1]:.1f}% "
        f"(conditional R² = {conditional})."
    )
