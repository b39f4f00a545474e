"""Ordered categories: the cumulative model with crossed random effects, named as OrderedModel's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, NoReturn, Self, TypeAlias

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError, ArgumentTypeError, DesignError, UndefinedError
from interlace.family import Family, Ordinal
from interlace.formula.safe import guarded
from interlace.formula.variables import environment_above
from interlace.modelling.options import check_choice
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.prediction import linear_predictor
from interlace.report.tidying import data_of_rows

from .categories import get_prediction
from .model import CrossedGLMM
from .predict import RandomPart, target
from .record import EstimatedGLMM
from .refusals import refuse
from .response import Response, categories_of, checked_rows
from .results import CrossedGLMMResults
from .rows import NewLevels

Missing: TypeAlias = Literal["drop", "raise", "none"]
Which = Literal["prob", "cumulative", "linear", "marginal"]

# Nodes over the normal distribution of the random effects.
NODES = 101


class CrossedOrdinal(CrossedGLMM):
    """Cumulative model of ordered categories with crossed, nested or partially crossed random effects.

    ``P(Y <= k) = F(tau_k - x'beta - z'b)``, F logistic or normal: positive coefficients make high categories
    more likely, as in statsmodels' ``OrderedModel`` and R's ``clmm``. Build it by `from_formula`.

    Parameters
    ----------
    *_ : object
        Arrays are refused; use `from_formula`.
    **__ : object
        As above.

    Examples
    --------
    >>> import interlace
    >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    >>> interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit().params.index.tolist()
    ['g Var', '0/1', '1/2']
    """

    categories: list[Any]

    def __init__(self, *_: object, **__: object) -> None:
        raise ArgumentTypeError(
            "CrossedOrdinal is built from a formula: CrossedOrdinal.from_formula(formula, data)"
        )

    @classmethod
    def from_formula(  # type: ignore[override]
        cls,
        formula: str,
        data: Any,
        groups: Any = None,
        random: str | Sequence[str] | None = None,
        *,
        distr: Literal["logit", "probit"] = "logit",
        re_formula: str | None = None,
        vc_formula: Mapping[str, str] | None = None,
        offset: Any = None,
        freq_weights: Any = None,
        subset: Any = None,
        missing: Missing = "drop",
        rank: Literal["drop", "error"] = "drop",
        eval_env: Any = 0,
        safe_formula: bool = False,
        **unknown: object,
    ) -> Self:
        """Model from a formula and a data frame.

        Parameters
        ----------
        formula : str
            ``"rating ~ x + (1 + x | g)"``. The response is an ordered pandas.Categorical, lowest first, or
            numbers. There is no intercept: the thresholds stand for it.
        data : DataFrame or dict of arrays
            The columns. Never modified.
        groups, random : str or sequence of str, optional
            Random-effects terms, see :meth:`CrossedGLMM.from_formula`.
        distr : {"logit", "probit"}, default "logit"
            Distribution behind the categories.
        re_formula, vc_formula : optional
            MixedLM's spelling of random-effects terms.
        offset, freq_weights, subset, missing, rank, eval_env, safe_formula : optional
            See :meth:`CrossedGLMM.from_formula`.
        **unknown
            Refused with a TypeError.

        Returns
        -------
        CrossedOrdinal
            Not fitted yet. Categories that do not occur have no threshold.

        Examples
        --------
        >>> import interlace
        >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
        >>> interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings)
        <CrossedOrdinal: y ~ 1 + (1 | g); Ordinal, logit; 12 rows>
        """
        refuse("CrossedOrdinal.from_formula", unknown)
        check_choice("distr", distr, ("logit", "probit"))
        return cls._built(
            formula,
            data,
            Ordinal(distr),
            guarded(environment_above(eval_env), safe=safe_formula),
            groups=groups,
            random=random,
            re_formula=re_formula,
            vc_formula=vc_formula,
            n_trials=None,
            weights=freq_weights,
            offset=offset,
            subset=subset,
            missing=missing,
            rank=rank,
        )

    def _suited(
        self, design: Design, response: Response, family: Family, data: Any, env: Any
    ) -> tuple[Design, Family]:
        frame, rows = data, design.positions
        self.categories = categories_of(response.code, frame, env, rows)
        if len(self.categories) < 2:
            raise DesignError(
                f'the response "{response.name}" has {len(self.categories)} category; wanted 2 or more'
            )
        own = Ordinal(family.link, len(self.categories))
        return checked_rows(_without_intercept(design), response, own), own

    def _psi_names(self, _family: Family) -> tuple[str, ...]:
        names = [str(category) for category in self.categories]
        return tuple(f"{low}/{high}" for low, high in pairwise(names))

    def _family_of(self, changes: dict[str, Any]) -> Family:
        distr = changes.pop("distr", self.family.link)
        check_choice("distr", distr, ("logit", "probit"))
        return Ordinal(distr)

    def _results(self, found: LaplaceFit) -> CrossedOrdinalResults:
        return CrossedOrdinalResults(self, found)


def _without_intercept(design: Design) -> Design:
    names = design.xnames
    if "Intercept" not in names:
        raise DesignError(
            "the formula of an ordinal model must not leave out the intercept (0 + or - 1): the thresholds "
            "stand for it, and categories of predictors are coded as differences"
        )
    at = names.index("Intercept")
    schema = replace(
        design.schema,
        xnames=names[:at] + names[at + 1 :],
        kept_columns=design.kept_columns[:at] + design.kept_columns[at + 1 :],
    )
    return Design(schema, replace(design.rows, X=np.delete(design.rows.X, at, axis=1)))


def predict(
    self: EstimatedGLMM,
    data: Any = None,
    transform: bool = True,
    *,
    which: Which = "prob",
    random: RandomPart = None,
    new_levels: NewLevels = "error",
) -> Any:
    """Probabilities of the categories, for the rows of the fit or for new data.

    Parameters
    ----------
    data : DataFrame or dict of arrays, optional
        New data; the rows of the fit if None.
    transform : bool, default True
        Must be True.
    which : {"prob", "cumulative", "linear", "marginal"}, default "prob"
        Probability of every category given the random effects; of it or a lower one; the linear predictor; or
        probabilities integrated over the random effects that do not enter.
    random : bool or str or collection of str, optional
        Which random effects enter at their conditional modes: all, and none for "marginal", by default.
    new_levels : {"error", "population", "integrate"}, default "error"
        Refuse levels that the fit has not seen, give them random effects of zero, or average over them.

    Returns
    -------
    DataFrame or Series
        One column per category; the linear predictor is a Series.

    Examples
    --------
    >>> import interlace
    >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    >>> fit = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit()
    >>> fit.predict({"g": ["a"]}).sum(axis=1).round(6).tolist()
    [1.0]
    """
    if not transform:
        raise ArgumentError("transform=False is not offered: give data with the columns of the formula")
    check_choice("which", which, ("prob", "cumulative", "linear", "marginal"))
    own = target(self, data, which, random, new_levels)
    fit = self.record.fit
    eta = linear_predictor(fit, own.rows)
    if which == "linear":
        return own.series(eta)
    variance = own.variance(fit.Sigma, of_unseen=new_levels == "integrate", of_others=which == "marginal")
    found = _probabilities(fit.family, eta, variance, fit.psi)
    return own.frame(np.cumsum(found, axis=1) if which == "cumulative" else found, self.model.categories)


def _probabilities(family: Any, eta: FloatArray, variance: FloatArray, psi: FloatArray) -> FloatArray:
    if not variance.any():
        return np.asarray(family.probabilities(eta, psi))
    x, weights = np.polynomial.hermite_e.hermegauss(NODES)
    spread = eta[:, None] + np.sqrt(variance)[:, None] * x
    found = family.probabilities(spread.ravel(), psi).reshape(*spread.shape, -1)
    return np.asarray(np.einsum("nkc,k->nc", found, weights / weights.sum()))


class CrossedOrdinalResults(CrossedGLMMResults):
    """A fitted cumulative model: what `CrossedGLMMResults` has, with probabilities of categories.

    ``params`` holds fixed effects, variances and covariances, then the thresholds themselves, named
    ``"low/high"`` by their categories. (OrderedModel's parameters are the first threshold and logarithms of
    the differences.) ``simulate`` and ``refit`` number the categories from 0.

    Examples
    --------
    >>> import interlace
    >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
    >>> fit = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit()
    >>> fit.thresholds.index.tolist()
    ['0/1', '1/2']
    """

    predict = predict  # type: ignore[assignment]

    @property
    def thresholds(self) -> pd.Series:
        """Thresholds between the categories on the latent scale."""
        return self.family_params

    @property
    def fittedvalues(self) -> NoReturn:
        """Refused: a category has no mean; use ``predict()``."""
        raise UndefinedError("ordered categories have no mean; predict() has the probabilities of the rows")

    @property
    def resid(self) -> NoReturn:
        """Refused: a category has no mean; use ``resid_quantile()``."""
        raise UndefinedError("ordered categories have no difference to a mean; use resid_quantile()")

    get_prediction = get_prediction  # type: ignore[assignment]

    def augment(self, data: Any = None) -> pd.DataFrame:
        """The data with the probability of every category in columns ``.prob_<category>``.

        Parameters
        ----------
        data : DataFrame, optional
            New rows; those of the fit by default.

        Returns
        -------
        DataFrame

        Examples
        --------
        >>> import interlace
        >>> ratings = {"y": [0, 0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 2], "g": list("aaabbbcccddd")}
        >>> fit = interlace.CrossedOrdinal.from_formula("y ~ 1 + (1 | g)", ratings).fit()
        >>> fit.augment().filter(like=".prob").columns.tolist()
        ['.prob_0', '.prob_1', '.prob_2']
        """
        found = self.predict(data)
        base = (
            data_of_rows(self, self.record.design) if data is None else pd.DataFrame(data, index=found.index)
        )
        return base.join(found.rename(columns=lambda category: f".prob_{category}"))
