"""Formula, data and estimates of a linear model in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from interlace.formula.spelling import refuse_unknown
from interlace.formula.variables import one_frame_deeper
from interlace.modelling.options import check_choice

from .model import FIT_OPTIONS, CrossedLMM
from .wrapper import CrossedLMMResultsWrapper

Likelihoods: TypeAlias = Literal["REML", "ML"]

FORMULA_OPTIONS = (
    "re_formula", "vc_formula", "weights", "offset", "subset", "missing", "rank", "safe_formula",
)  # fmt: skip


def fit(
    formula: str,
    data: Any,
    *,
    groups: Any = None,
    random: str | Sequence[str] | None = None,
    method: Likelihoods = "REML",
    eval_env: Any = 0,
    **options: Any,
) -> CrossedLMMResultsWrapper:
    """Fit a linear mixed model in one call.

    Parameters
    ----------
    formula : str
        ``"y ~ x + (1 + x | g)"``.
    data : DataFrame or dict of arrays
        The columns.
    groups, random : str or sequence of str, optional
        Random-effects terms outside the formula, see :meth:`CrossedLMM.from_formula`.
    method : {"REML", "ML"}, default "REML"
        Restricted maximum likelihood or maximum likelihood.
    eval_env : int, mapping or patsy environment, default 0
        Where names that are no columns are looked up, see :meth:`CrossedLMM.from_formula`.
    **options
        Any other keyword of :meth:`CrossedLMM.from_formula` and of :meth:`CrossedLMM.fit` (but for ``reml``).

    Returns
    -------
    CrossedLMMResults
        In statsmodels' wrapper.

    Examples
    --------
    >>> import interlace
    >>> penicillin = interlace.datasets.load_penicillin()
    >>> interlace.fit("diameter ~ 1", penicillin, groups=["plate", "sample"])
    <CrossedLMMResults REML: diameter, 144 rows, groups plate 24, sample 6; -2 log-likelihood 330.8606;
    regular>
    """
    check_choice("method", method, ("REML", "ML"))
    for_fit = {name: options.pop(name) for name in FIT_OPTIONS if name in options}
    above = one_frame_deeper(eval_env)
    refuse_unknown("interlace.fit", {name: None for name in options if name not in FORMULA_OPTIONS})
    model = CrossedLMM.from_formula(formula, data, groups=groups, random=random, eval_env=above, **options)
    return model.fit(reml=method == "REML", **for_fit)
