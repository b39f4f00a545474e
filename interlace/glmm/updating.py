"""The same generalised model with something changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interlace.formula.safe import guarded
from interlace.formula.updating import updated
from interlace.formula.variables import environment_above, one_frame_deeper

from .record import EstimatedGLMM
from .refusals import check_exposure, refuse

# Keywords of `fit`, and of `from_formula` with the names that the recipe of a model has for them.
FIT_OPTIONS = ("start_params", "maxiter", "disp", "method", "nagq", "fast", "solver")
UPDATED = {"freq_weights": "weights"} | {
    name: name for name in ("offset", "exposure", "n_trials", "subset", "missing", "rank")
}


def update(
    self: EstimatedGLMM, formula: str | None = None, data: Any = None, *, eval_env: Any = 0, **changes: Any
) -> Any:
    """Fit the model with another formula, other data or other options.

    Parameters
    ----------
    formula : str, optional
        ``"."`` stands for what was there: ``". ~ . - x"``, ``". ~ . + z + (1 | g)"``,
        ``". ~ . - (x | g) + (1 | g)"``. Random-effects terms are kept with the dot unless they are taken
        away.
    data : DataFrame or dict of arrays, optional
        Other data; by default those of the fit.
    eval_env : int, mapping or patsy environment, default 0
        Where names that are no columns are looked up: so many frames above the caller.
    **changes
        ``family`` (``distr`` of an ordinal model), ``offset``, ``exposure``, ``n_trials``, ``freq_weights``,
        ``subset``, ``missing``, ``rank`` and the keywords of ``model.fit``, such as ``nagq``; those not given
        stay as they were.

    Returns
    -------
    CrossedGLMMResults
        In the wrapper.

    Raises
    ------
    FormulaError
        If a random-effects term is taken away that is not there.
    DesignError
        If the model has no formula, or its data are gone and none are given.

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "x": [0, 1, 2] * 4, "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ x + (1 | g)", ticks, family="poisson")
    >>> fit.update(". ~ . - x", family="negativebinomial")  # doctest: +ELLIPSIS
    <CrossedGLMMResults NegativeBinomial, log: y, 12 rows, groups g 4; ...
    """
    above = one_frame_deeper(eval_env)
    for_fit = {name: changes.pop(name) for name in FIT_OPTIONS if name in changes}
    model = updated_model(self.model, formula, data, above, changes)
    return model.fit(**{"nagq": self.nagq, **for_fit})


def updated_model(model: Any, formula: str | None, data: Any, eval_env: Any, changes: dict[str, Any]) -> Any:
    """The model with another formula, data or options.

    Parameters
    ----------
    model : CrossedGLMM
        Not changed.
    formula : str or None
        In terms of the model's, see `interlace.formula.updating.updated`.
    data : table or None
        Other data.
    eval_env : int, mapping or patsy environment
        Where names that are no columns are looked up.
    changes : dict
        Keywords of ``from_formula`` that differ.

    Returns
    -------
    CrossedGLMM
    """
    old, frame = model._to_update(data)
    family = model._family_of(changes)
    refuse("update", {name: None for name in changes if name not in UPDATED})
    check_exposure(changes.get("exposure"), family)
    recipe = {"n_trials": None, **model.recipe, **{UPDATED[name]: value for name, value in changes.items()}}
    was = replace(old, response=recipe.pop("response", old.response))
    env = guarded(environment_above(eval_env), safe=bool(recipe.pop("safe", False)))
    new = updated(was, model._all_bars(), ". ~ ." if formula is None else formula)
    nothing = dict.fromkeys(("groups", "random", "re_formula", "vc_formula"))
    return model._built(str(new), frame, family, env, **nothing, **recipe)
