"""How the engines fit generalised models: standard errors are part of what is timed.

Each answers minus twice the log-likelihood, all constants in, by Laplace's approximation.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pandas as pd
from peers import Bars, Outcome, formula


class Adapter(Protocol):
    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars, family: str) -> Callable[[], Any]: ...

    def outcome(self, fitted: Any) -> Outcome: ...


class Interlace:
    def __init__(self) -> None:
        self.engine = importlib.import_module("interlace")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars, family: str) -> Callable[[], Any]:
        text = formula(fixed, bars)
        return lambda: self._with_errors(text, frame, family)

    def _with_errors(self, text: str, frame: pd.DataFrame, family: str) -> Any:
        fitted = self.engine.fit(text, frame, family=family)
        _ = fitted.bse  # measured when asked for
        return fitted

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.llf), int(fitted.record.fit.optimum.nfev)


class Glmm:
    def __init__(self) -> None:
        self.engine = importlib.import_module("glmm")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars, family: str) -> Callable[[], Any]:
        text = formula(fixed, bars)
        return lambda: self.engine.fit(frame, text, family=family)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.loglik), int(fitted.n_eval)


class MixedLM:
    def __init__(self) -> None:
        self.engine = importlib.import_module("mixedlm")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars, family: str) -> Callable[[], Any]:
        text, kind = formula(fixed, bars), getattr(self.engine.families, family.capitalize())
        return lambda: self._with_errors(text, frame, kind())

    def _with_errors(self, text: str, frame: pd.DataFrame, family: Any) -> Any:
        fitted = self.engine.glmer(text, frame, family=family)
        fitted.vcov()
        return fitted

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.logLik().value), None


class GPBoost:
    """Random intercepts of several factors; it reads arrays."""

    LIKELIHOOD = {"binomial": "bernoulli_logit", "poisson": "poisson"}  # noqa: RUF012

    def __init__(self) -> None:
        self.engine = importlib.import_module("gpboost")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars, family: str) -> Callable[[], Any]:
        response, _, right = (part.strip() for part in fixed.partition("~"))
        names = [name.strip() for name in right.split("+") if name.strip() != "1"]
        X = np.column_stack([np.ones(len(frame)), *(frame[name].to_numpy(float) for name in names)])
        groups = np.column_stack([frame[group].cat.codes.to_numpy() for _, group in bars])
        return lambda: self._with_errors(frame[response].to_numpy(float), X, groups, self.LIKELIHOOD[family])

    def _with_errors(self, y: np.ndarray, X: np.ndarray, groups: np.ndarray, likelihood: str) -> Any:
        model = self.engine.GPModel(group_data=groups, likelihood=likelihood, num_parallel_threads=1)
        model.fit(y=y, X=X)
        model.get_coef(std_err=True)
        return model

    def outcome(self, fitted: Any) -> Outcome:
        return 2.0 * float(fitted.get_current_neg_log_likelihood()), None


GENERALISED: dict[str, Callable[[], Adapter]] = {
    "interlace": Interlace,
    "glmm": Glmm,
    "mixedlm": MixedLM,
    "gpboost": GPBoost,
}
