"""What serves linear and generalised models alike: one call that fits, one that compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from interlace.errors import InferenceError
from interlace.formula.variables import one_frame_deeper
from interlace.glmm.comparisons import compared
from interlace.glmm.family import is_linear
from interlace.glmm.model import CrossedGLMM
from interlace.glmm.record import GeneralisedFit
from interlace.glmm.refusals import check_method, refuse
from interlace.inference import comparison
from interlace.lmm import one_call as linear

FOR_FIT = ("start_params", "maxiter", "disp", "nagq", "fast", "solver", "max_memory")
FOR_FORMULA = (
    "re_formula",
    "vc_formula",
    "offset",
    "exposure",
    "n_trials",
    "freq_weights",
    "subset",
    "missing",
    "rank",
    "safe_formula",
)


def fit(
    formula: str,
    data: Any,
    *,
    groups: Any = None,
    random: str | Sequence[str] | None = None,
    family: Any = None,
    method: str | None = None,
    eval_env: Any = 0,
    **options: Any,
) -> Any:
    """Fit a linear or generalised linear mixed model in one call.

    Parameters
    ----------
    formula : str
        ``"y ~ x + (1 + x | g)"``.
    data : DataFrame or dict of arrays
        The columns.
    groups, random : str or sequence of str, optional
        Random-effects terms outside the formula, see :meth:`CrossedLMM.from_formula`.
    family : statsmodels family or str, optional
        Makes the model a generalised one, see :class:`CrossedGLMM`; a Gaussian family with the identity link
        does not.
    method : {"REML", "ML"} or "laplace", optional
        Restricted maximum likelihood (the default of linear models) or maximum likelihood; "laplace" is the
        one method of generalised models, and REML is refused there.
    eval_env : int, mapping or patsy environment, default 0
        Where names that are no columns are looked up, see :meth:`CrossedLMM.from_formula`.
    **options
        Any other keyword of ``from_formula`` and of ``fit`` of :class:`CrossedLMM` (but for ``reml``) or
        :class:`CrossedGLMM`.

    Returns
    -------
    CrossedLMMResults or CrossedGLMMResults
        In statsmodels' wrapper.

    Examples
    --------
    >>> import interlace
    >>> penicillin = interlace.datasets.load_penicillin()
    >>> interlace.fit("diameter ~ 1", penicillin, groups=["plate", "sample"])
    <CrossedLMMResults REML: diameter, 144 rows, groups plate 24, sample 6; -2 log-likelihood 330.8606;
    regular>
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    <CrossedGLMMResults Poisson, log: y, 12 rows, groups g 4; -2 log-likelihood 48.1387; regular>
    """
    above = one_frame_deeper(eval_env)
    if family is None or is_linear(family):
        how: Any = "REML" if method is None else method
        return linear.fit(formula, data, groups=groups, random=random, method=how, eval_env=above, **options)
    check_method("laplace" if method is None else method)
    for_fit = {name: options.pop(name) for name in FOR_FIT if name in options}
    refuse("interlace.fit", {name: None for name in options if name not in FOR_FORMULA})
    model = CrossedGLMM.from_formula(
        formula, data, groups=groups, random=random, family=family, eval_env=above, **options
    )
    return model.fit(**for_fit)


def anova(*results: Any, refit: Any = "ml") -> pd.DataFrame:
    """Likelihood-ratio tests of nested models.

    Parameters
    ----------
    *results : CrossedLMMResults or CrossedGLMMResults
        Two or more fits to the same rows and response, all linear or all generalised.
    refit : "ml" or None, default "ml"
        Refit what was fitted by REML by maximum likelihood. None compares the likelihoods as they are, which
        is right for fits by REML only if their fixed parts are the same.

    Returns
    -------
    DataFrame
        One row per model in the order of the numbers of parameters, each tested against the one before:
        npar, loglik, aic, bic, deviance (minus twice the log-likelihood), chisq, df, p_value.

    Raises
    ------
    InferenceError
        If response, rows, weights or trials differ, families are not nested, or restricted likelihoods of
        different fixed parts would be compared.

    Examples
    --------
    >>> import interlace
    >>> sleep = interlace.datasets.load_sleepstudy()
    >>> small = interlace.fit("Reaction ~ Days + (1 | Subject)", sleep)
    >>> large = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    >>> interlace.anova(small, large)[["npar", "deviance", "chisq", "df"]].round(3).to_numpy().tolist()
    [[4.0, 1794.079, nan, nan], [6.0, 1751.939, 42.139, 2.0]]
    """
    plain = [getattr(result, "_results", result) for result in results]
    generalised = [isinstance(getattr(one, "record", None), GeneralisedFit) for one in plain]
    if len(plain) > 1 and all(generalised):
        return compared(plain)
    if len(plain) > 1 and any(generalised):
        raise InferenceError("anova compares linear models, or generalised ones, not one with the other")
    return comparison.anova(*results, refit=refit)
