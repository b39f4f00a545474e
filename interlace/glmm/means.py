"""Estimated marginal means of a generalised model, on the scale of the link or of the response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError
from interlace.family import Family
from interlace.inference.emmeans import Contrasts, EstimatedMarginalMeans, estimated_marginal_means
from interlace.modelling.options import check_choice

from .record import EstimatedGLMM
from .wald import check_ddf, normal

Scale = Literal["link", "response"]

# What the exponential of a difference is called, by link.
RATIOS = {"logit": "odds_ratio", "log": "ratio", "cloglog": "hazard_ratio"}


@dataclass(frozen=True, eq=False)
class GLMMMeans:
    """Means of the fixed part over a reference grid.

    Attributes
    ----------
    frame : DataFrame
        The variables asked about, then emmean, std_error, conf_low, conf_high, on the scale asked for.
    linear : EstimatedMarginalMeans
        The same on the scale of the link.
    type : {"link", "response"}
        The scale.
    link : str
        Name of the link.
    alpha : float
        The intervals have level ``1 - alpha``.

    Examples
    --------
    >>> import interlace
    >>> data = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": list("ab" * 6), "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ x + (1 | g)", data, family="poisson")
    >>> fit.emmeans("x", type="response").contrasts().round(3)[["contrast", "ratio", "p_value"]]
      contrast  ratio  p_value
    0    a / b  0.832     0.58
    """

    frame: pd.DataFrame
    linear: EstimatedMarginalMeans
    type: Scale
    link: str
    alpha: float

    def __repr__(self) -> str:
        return self.frame.to_string()

    def _repr_html_(self) -> str:
        return self.frame.to_html()

    def contrasts(self, kind: Contrasts = "pairwise", *, adjust: str | None = None) -> pd.DataFrame:
        """Compare the means: differences on the link, ratios on the response.

        Parameters
        ----------
        kind : {"pairwise", "treatment", "consecutive", "polynomial"}, default "pairwise"
            All differences; each minus the first; each minus the one before; orthogonal polynomials (on the
            link only).
        adjust : str, optional
            "none", "tukey", or a method of statsmodels' ``multipletests``; by default "tukey" for pairs,
            "holm" for the other differences.

        Returns
        -------
        DataFrame
            contrast, estimate, std_error, statistic, p_value; with ``type="response"`` and a link logit, log
            or cloglog ``odds_ratio``, ``ratio`` or ``hazard_ratio``, its standard error and limits (which are
            not adjusted). The tests are those on the link.
        """
        table = self.linear.contrasts(kind, adjust=adjust).drop(columns="df")
        if self.type == "link":
            return table
        if self.link not in RATIOS or kind == "polynomial":
            raise ArgumentError(
                f"contrasts of kind {kind!r} with the link {self.link} are no ratios; use "
                'emmeans(type="link").contrasts()'
            )
        reach = stats.norm.isf(self.alpha / 2.0) * table["std_error"]
        ratio = np.exp(table["estimate"])
        columns = {
            RATIOS[self.link]: ratio,
            "std_error": ratio * table["std_error"],
            "conf_low": np.exp(table["estimate"] - reach),
            "conf_high": np.exp(table["estimate"] + reach),
            "statistic": table["statistic"],
            "p_value": table["p_value"],
        }
        kept = table[[name for name in table.columns if name in self.linear.by]]
        names = table["contrast"].str.replace(" - ", " / ", regex=False)
        return pd.concat([kept, names, pd.DataFrame(columns)], axis=1)


def emmeans(
    self: EstimatedGLMM,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: Literal["equal", "proportional"] = "equal",
    *,
    type: Scale = "link",
    ddf: Any = None,
    alpha: float = 0.05,
) -> GLMMMeans:
    """Estimated marginal means: the fixed part over a grid of categories, covariates at their means.

    Parameters
    ----------
    specs : str or sequence of str
        Variables whose means are wanted.
    by : str or sequence of str, optional
        Variables within whose combinations contrasts compare.
    at : mapping of str to values, optional
        Values of covariates other than the mean, or some of the categories.
    weights : {"equal", "proportional"}, default "equal"
        Of the categories that are averaged over, on the scale of the link.
    type : {"link", "response"}, default "link"
        Means of the linear predictor, or those and their limits taken through the link: responses at random
        effects of zero.
    ddf : None or "normal"
        Refused otherwise: there are no degrees of freedom.
    alpha : float, default 0.05
        The intervals have level ``1 - alpha``.

    Returns
    -------
    GLMMMeans
        Its ``frame`` holds emmean, std_error, conf_low, conf_high; ``contrasts()`` compares them. The grid is
        that of linear models: see :meth:`CrossedLMMResults.emmeans`.

    Examples
    --------
    >>> import interlace
    >>> data = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": list("ab" * 6), "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ x + (1 | g)", data, family="poisson")
    >>> fit.emmeans("x", type="response").frame.round(2)
       x  emmean  std_error  conf_low  conf_high
    0  a    2.51       1.13      1.04       6.09
    1  b    3.02       1.35      1.25       7.27
    """
    check_ddf(ddf)
    check_choice("type", type, ("link", "response"))
    if type == "response" and self.family.name == "ordinal":
        raise ArgumentError(
            'type="response" has no meaning for ordered categories, which have no mean; use type="link", or '
            "predict(data, random=False)"
        )
    found = estimated_marginal_means(
        self.record.design,
        self.model.data.frame,
        self.fe_params,
        normal(self),
        specs,
        by=by,
        at=at,
        weights=weights,
        alpha=alpha,
    )
    frame = found.frame.drop(columns="df")
    family = self.family
    if type == "response":
        frame = _through_link(frame, family, self.record.fit.psi)
    return GLMMMeans(frame, found, type, family.link, alpha)


def _through_link(frame: pd.DataFrame, family: Family, psi: FloatArray) -> pd.DataFrame:
    def mean(name: str) -> FloatArray:
        return family.mean(frame[name].to_numpy(dtype=float), psi)

    slope = np.abs(family.mean_slope(frame["emmean"].to_numpy(dtype=float), psi))
    return frame.assign(
        emmean=mean("emmean"),
        std_error=slope * frame["std_error"],
        conf_low=mean("conf_low"),
        conf_high=mean("conf_high"),
    )
