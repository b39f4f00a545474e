"""What is asked of one nasty design: each answer that is wrong is a finding."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

import interlace
from interlace.errors import InterlaceError
from interlace.tests.longdouble import LONGER, criterion
from interlace.tests.nasty import Nasty, nasty

# Deviance by which another start must be better, or another order, name or unit other, to be a finding.
WORSE = 1e-4
# The criterion itself, relative: what its own arithmetic may lose against a longer one.
WRONG = 1e-8
# Designs above this condition are counted apart.
ILL = 1e8
STARTS = (0.05, 1.0, 20.0)
# Rows up to which the criterion is evaluated in longer arithmetic, and columns for the condition.
FEW_ROWS = 90
SECONDS = 60


@dataclass
class Trial:
    """What happened to one design.

    Attributes
    ----------
    number : int
        Of the design.
    kinds : tuple of str
        What was nasty.
    outcome : str
        "certified", "not certified", "refused: ...", "raw exception".
    condition : float
        Of the matrices that are factorised at the optimum, columns of one length; NaN without an optimum.
    findings : dict
        Kind of fault to what was seen.
    """

    number: int
    kinds: tuple[str, ...]
    outcome: str = ""
    condition: float = np.nan
    findings: dict[str, str] = field(default_factory=dict)

    @property
    def well_conditioned(self) -> bool:
        return self.condition < ILL


class TooLongError(Exception):
    """A fit that did not end."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TooLongError(f"no end within {seconds} s of the processor")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of the processor, not of the clock on the wall
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def model_of(design: Nasty) -> Any:
    if design.family is None:
        return interlace.CrossedLMM.from_formula(design.formula, design.frame, weights=design.weights)
    if design.family == "ordinal":
        return interlace.CrossedOrdinal.from_formula(design.formula, design.frame)
    return interlace.CrossedGLMM.from_formula(design.formula, design.frame, family=design.family)


def fitted(design: Nasty, model: Any = None, **options: Any) -> Any:
    if design.family is None:
        options["reml"] = design.reml
    return quietly(lambda: (model_of(design) if model is None else model).fit(**options))


def try_design(seed: int, number: int, *, family: str | None = None) -> Trial:
    """Fit one design in every way, and say what was wrong."""
    design = nasty(seed, number, family=family)
    trial = Trial(number, design.kinds)
    try:
        with limited(SECONDS):
            _ask(trial, design, np.random.default_rng([seed, number, 1]))
    except TooLongError as error:
        trial.outcome = trial.outcome or "no end"
        trial.findings["no end"] = str(error)
    return trial


def _ask(trial: Trial, design: Nasty, rng: np.random.Generator) -> None:
    result = _guarded(trial, "", lambda: fitted(design))
    if result is None:
        return
    trial.outcome = "certified" if result.converged else "not certified"
    trial.condition = _condition(result) if design.family is None else 1.0
    if design.family is None:
        _against_longer_arithmetic(trial, result)
    best = -2.0 * float(result.llf)
    for scale in STARTS if result.converged else (1.0,):
        other = _guarded(
            trial, f"start {scale}", lambda s=scale: fitted(design, result.model, **_start(result, design, s))
        )
        if other is not None and not _separated(other, result) and -2.0 * other.llf < best - WORSE:
            kind = "beaten by another start" + ("" if result.converged else ", not certified")
            trial.findings[kind] = f"{best:.6f}, and {-2.0 * other.llf:.6f} from {scale}"
    if result.converged:  # an answer that was not promised may depend on anything
        _changed(trial, design, result, rng)


def _changed(trial: Trial, design: Nasty, result: Any, rng: np.random.Generator) -> None:
    rescaled, shift = design.rescaled(rng)
    changes = {"order": (design.permuted(rng), 0.0), "names": (design.renamed(rng), 0.0)}
    if design.family is None:
        changes["units"] = (rescaled, shift)
    for what, (changed, added) in changes.items():
        _compare(trial, f"depends on {what}", result, lambda own=changed: fitted(own), added)
    for solver in ("blocked", "cholmod") if find_spec("sksparse") else ():
        _compare(
            trial, f"depends on the solver: {solver}", result, lambda s=solver: fitted(design, solver=s), 0.0
        )


def _guarded(trial: Trial, where: str, call: Callable[[], Any]) -> Any:
    """A result, or None: what interlace refuses is its right, anything else a finding."""
    try:
        return call()
    except TooLongError:
        raise
    except InterlaceError as error:
        outcome = f"refused: {type(error).__name__}"
        if where:
            trial.findings[f"refused elsewhere: {type(error).__name__}"] = f"{where}: {error}"[:300]
    except Exception as error:
        outcome = "raw exception"
        trial.findings["raw exception"] = f"{where}: {type(error).__name__}: {error}"[:300]
    trial.outcome = trial.outcome or outcome
    return None


def _start(result: Any, design: Nasty, scale: float) -> dict[str, Any]:
    """Triangles of equal standard deviations, as large as the scale says in the units of the columns."""
    labels, terms = result.model.design.term_labels, result.model.design.terms
    theta: list[float] = []
    for _, term in zip(labels, terms, strict=True):
        size = np.sqrt((term.Xi**2).mean(axis=0))
        for column in range(term.k):
            theta += [scale / (size[column] or 1.0), *[0.0] * (term.k - 1 - column)]
    if design.family is None:
        return {"start_params": theta}
    return {"start_params": np.concatenate([theta, result.record.fit.beta, result.record.fit.psi])}


def _separated(*results: Any) -> bool:
    """Whether a maximum lies at infinity: how far a search goes there is its own affair."""
    fits = [getattr(result.record, "fit", None) for result in results]
    return any(getattr(fit, "separation", None) is not None for fit in fits)


def _compare(trial: Trial, what: str, result: Any, call: Callable[[], Any], added: float) -> None:
    other = _guarded(trial, what, call)
    if other is None or not (result.converged and other.converged) or _separated(result, other):
        return
    one, two = -2.0 * float(result.llf) + added, -2.0 * float(other.llf)
    if not abs(one - two) < WORSE + 1e-12 * abs(one):
        trial.findings[what] = f"{one:.6f} against {two:.6f}"


def _against_longer_arithmetic(trial: Trial, result: Any) -> None:
    design = result.model.design
    if not LONGER or len(design.y) > FEW_ROWS:
        return
    reml, own = result.method == "REML", -2.0 * float(result.llf)
    exact = criterion(*design.arrays, result.pls_fit.theta, **design.weighting, reml=reml)
    if not abs(own - exact) < WRONG * max(1.0, abs(exact)):
        trial.findings["criterion off"] = f"{own:.9f}, in longer arithmetic {exact:.9f}"


def _condition(result: Any) -> float:
    """Of X with columns of one length, squared, and of M, both as they are factorised."""
    design = result.model.design
    root = np.ones(len(design.y)) if design.weights is None else np.sqrt(design.weights)
    X = design.X * root[:, None]
    X = X / np.sqrt((X**2).sum(axis=0))
    half = []
    for term, Lambda in zip(design.terms, result.pls_fit.Lambda, strict=True):
        factor = design.factors[term.factor]
        columns = (term.Xi * root[:, None]) @ Lambda
        block = np.zeros((len(root), factor.n_levels, term.k))
        block[np.arange(len(root)), factor.codes] = columns
        half.append(block.reshape(len(root), -1))
    Z = np.hstack(half)
    singular = np.linalg.svd(Z, compute_uv=False)
    return float(np.linalg.cond(X) ** 2 * (1.0 + singular[0] ** 2))
