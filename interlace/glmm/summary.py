"""The summary of a generalised fit, in the layout of the linear one."""

from __future__ import annotations

from collections.abc import Sequence

from interlace.report.summary import (
    AlignedSummary,
    as_text,
    assembled,
    coefficient_table,
    common_notes,
    header_of,
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
    table = coefficient_table(shared(self), alpha=alpha, ddf="normal")
    return assembled(
        shared(self),
        title=TITLE if title is None else title,
        header=_header(self, yname),
        coefficients=as_text(table, [*names, *self.model.data.more_names]),
        notes=_notes(self),
    )


def _header(results: EstimatedGLMM, yname: str | None) -> dict[str, str]:
    return header_of(
        shared(results),
        yname,
        method=_method(results),
        kind={"Family:": TITLES[results.family.name], "Link:": results.family.link},
        criteria={"AIC:": f"{results.aic:.4f}"},
    )


def _notes(results: EstimatedGLMM) -> list[str]:
    if results.separation is None:
        return common_notes(shared(results))
    columns = ", ".join(results.separation.columns)
    return common_notes(shared(results), f"Separation: no finite estimate and no test of {columns}.")


def _method(results: EstimatedGLMM) -> str:
    if results.nagq > 1:
        return f"ML ({results.nagq} nodes)"
    return "ML (Laplace, fast)" if results.record.fit.fast else "ML (Laplace)"
