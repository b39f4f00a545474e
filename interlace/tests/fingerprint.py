"""The numbers of every reference fit, bit for bit: whether a change that moves code moved a number.

python -m interlace.tests.fingerprint before.json   # on the old code
python -m interlace.tests.fingerprint after.json    # on the new code, same machine, one thread
cmp before.json after.json
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from interlace import CrossedLMM, case_delete, hlm_influence, hlm_resid

from .bank import MODELS


def first_factor(fit: Any) -> str:
    """Name of the first grouping factor."""
    return str(fit.model.design.factor_labels[0].name)


# What is asked of every fit, and of those that are small enough for refits.
ASKED: dict[str, Callable[[Any], Any]] = {
    "params": lambda fit: fit.params,
    "theta": lambda fit: fit.theta,
    "objective": lambda fit: fit.objective,
    "path": lambda fit: [step.objective for step in fit.pls_fit.optimum.path],
    "bse": lambda fit: fit.bse,
    "random_effects": lambda fit: list(fit.random_effects.values()),
    "random_effects_se": lambda fit: list(fit.random_effects_se.values()),
    "fittedvalues": lambda fit: fit.fittedvalues,
    "summary": lambda fit: str(fit.summary()),
}
ASKED_OF_SMALL: dict[str, Callable[[Any], Any]] = {
    "anova": lambda fit: fit.anova(),
    "tidy": lambda fit: fit.tidy().select_dtypes("number"),
    "prediction": lambda fit: fit.get_prediction().summary_frame(),
    "simulate": lambda fit: fit.simulate(2, rng=1),
    "residuals": lambda fit: hlm_resid(fit, include_ls=False).select_dtypes("number"),
    "influence": lambda fit: hlm_influence(fit).select_dtypes("number"),
    "deletion": lambda fit: case_delete(fit, first_factor(fit), progress=False).fixed_effects,
    "bootstrap": lambda fit: fit.bootstrap(3, rng=1, progress=False).replicates,
    "robust": lambda fit: fit.get_robustcov_results(groups=first_factor(fit)).bse,
    "profile": lambda fit: fit.profile("sigma").table.select_dtypes("number"),
}
SMALL = 1000


def digest(value: Any) -> str:
    """Hash of all bits of numbers, arrays, frames or text, or of lists of them."""
    if isinstance(value, str):
        return hashlib.sha256(value.encode()).hexdigest()[:16]
    if isinstance(value, list) and value and not np.isscalar(value[0]):
        return digest(" ".join(digest(part) for part in value))
    array = np.ascontiguousarray(np.asarray(value, dtype=float))
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def fingerprint(name: str) -> dict[str, str]:
    """What one reference model answers to everything that is asked."""
    model = MODELS[name]
    fit = CrossedLMM.from_formula(**model.arguments).fit(reml=model.reml)
    asked = ASKED | (ASKED_OF_SMALL if fit.nobs <= SMALL else {})
    return {question: _answer(ask, fit) for question, ask in asked.items()}


def _answer(ask: Callable[[Any], Any], fit: Any) -> str:
    try:
        return digest(ask(fit))
    except Exception as refusal:  # a refusal is an answer too, and must stay the same
        return f"{type(refusal).__name__}: {refusal}"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = {name: fingerprint(name) for name in sorted(MODELS)}
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(answers, file, indent=1)
