"""Random generalised mixed models: what the fuzzer feeds to `interlace.fit`.

    python benchmarks/glmm_designs.py --n 2000 [--first 0] [--starts 2]

fits every design from the package's own start and from others, and reports whatever is not an answer or a
refusal in words: an exception that is not the package's, and an optimum that another start betters by more
than 1e-4 though the data determine the answer (no separation, no variance without bound, no flat direction).
"""

from __future__ import annotations

import argparse
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

import interlace

FAMILIES = (
    "binomial",
    "binomial",
    "trials",
    "probit",
    "cloglog",
    "poisson",
    "poisson",
    "negativebinomial",
    "gamma",
    "gaussian(log)",
    "ordinal",
)
SPELLED = {"trials": "binomial", "probit": "binomial(probit)", "cloglog": "binomial(cloglog)"}
# Shapes of random effects over the factors a, b and c, c within a.
RANDOM = (
    "(1 | a)",
    "(1 + x | a)",
    "(x || a)",
    "(1 | a) + (1 | b)",
    "(1 + x | a) + (1 | b)",
    "(1 + x | a) + (1 + x | b)",
    "(1 + x + z | a) + (1 | b)",
    "(x || a) + (1 | b)",
    "(1 | a) + (1 | c)",
    "(1 + x | a) + (1 | b) + (1 | c)",
    "(1 | a) + (1 | row)",
    "(0 + f | a) + (1 | b)",
)
FIXED = ("1", "x", "x + z", "f", "x * f", "x + f + z")
# Deviance by which another start may be lower.
WORSE = 1e-4
# Rows per parameter below which data determine little.
ROWS_PER_PARAMETER = 8
# Standard error, in units of eta per standard deviation of a column, beyond which data determine nothing.
UNDETERMINED = 30.0


@dataclass(frozen=True)
class GeneralisedDesign:
    """One random model.

    Attributes
    ----------
    seed : int
        Where it came from.
    formula, family : str
        For `interlace.fit`; the family "ordinal" stands for `interlace.CrossedOrdinal`.
    data : DataFrame
        Its rows.
    options : dict
        Other keywords: offset, trials, frequencies.
    """

    seed: int
    formula: str
    family: str
    data: pd.DataFrame = field(repr=False)
    options: dict[str, Any]

    def model(self) -> Any:
        """The model, not fitted."""
        if self.family == "ordinal":
            return interlace.CrossedOrdinal.from_formula(self.formula, self.data, **self.options)
        return interlace.CrossedGLMM.from_formula(self.formula, self.data, family=self.family, **self.options)


def random_design(seed: int) -> GeneralisedDesign:
    """Draw a design: sizes, imbalance, scale of everything, family and covariance structure."""
    rng = np.random.default_rng(seed)
    frame, eta = _rows(rng)
    kind, random, fixed = rng.choice(FAMILIES), rng.choice(RANDOM), rng.choice(FIXED)
    options: dict[str, Any] = {}
    if rng.random() < 0.15 and kind != "ordinal":
        options["offset"] = rng.normal(scale=0.5, size=len(frame))
        eta = eta + options["offset"]
    frame["y"], options = _response(rng, kind, eta, options)
    family = {"trials": "binomial", "probit": "binomial(probit)", "cloglog": "binomial(cloglog)"}.get(
        kind, kind
    )
    if kind not in ("trials", "ordinal") and rng.random() < 0.1:
        options["freq_weights"] = rng.integers(1, 4, size=len(frame)).astype(float)
    return GeneralisedDesign(seed, f"y ~ {fixed} + {random}", str(family), frame, options)


def _rows(rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Covariates, levels, and a linear predictor of all of them."""
    n = int(rng.integers(20, 300))
    a_levels, b_levels = int(rng.integers(3, max(4, n // 4))), int(rng.integers(2, 15))
    skew = rng.choice([0.5, 5.0])
    a = rng.choice(a_levels, n, p=rng.dirichlet(np.full(a_levels, skew)))
    b = rng.choice(b_levels, n, p=rng.dirichlet(np.full(b_levels, skew)))
    x = rng.normal(size=n) if rng.random() < 0.6 else rng.choice([-0.5, 0.5], n)
    if rng.random() < 0.1:
        x = 1000.0 + 50.0 * x
    frame = pd.DataFrame(
        {
            "x": x,
            "z": rng.normal(size=n),
            "f": rng.choice(list("uvw"), n),
            "a": a,
            "b": b,
            "c": a % 5,
            "row": range(n),
        }
    )
    scaled = (x - x.mean()) / max(x.std(), 1e-12)
    eta = rng.normal(scale=1.5) + rng.normal(scale=0.7) * scaled
    for codes, levels in ((a, a_levels), (b, b_levels)):
        sd = rng.choice([0.0, 0.3, 1.0, 3.0], p=[0.2, 0.4, 0.3, 0.1])
        eta = eta + rng.normal(scale=max(sd, 1e-12), size=levels)[codes]
        eta = eta + scaled * rng.normal(scale=max(rng.choice([0.0, 0.4]), 1e-12), size=levels)[codes]
    return frame, np.clip(eta, -6.0, 6.0)


def _response(
    rng: np.random.Generator, kind: str, eta: np.ndarray, options: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    n, mean = len(eta), np.exp(np.clip(eta, -4.0, 4.0))
    if kind in ("binomial", "probit", "cloglog"):
        return (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(float), options
    if kind == "trials":
        trials = rng.integers(1, 30, size=n)
        return rng.binomial(trials, 1.0 / (1.0 + np.exp(-eta))) / trials, {**options, "n_trials": trials}
    if kind == "poisson":
        return rng.poisson(mean).astype(float), options
    if kind == "negativebinomial":
        size = rng.choice([0.7, 3.0, 1e6])
        return rng.poisson(mean * rng.gamma(size, 1.0 / size, n)).astype(float), options
    if kind == "gaussian(log)":
        mean = np.exp(np.clip(eta, -0.5, 4.0))  # well above zero, or the logarithm is a guess
        return mean * (1.0 + rng.normal(scale=rng.choice([0.02, 0.2]), size=n)), options
    if kind == "gamma":
        shape = rng.choice([0.5, 2.0, 20.0])
        return mean * rng.gamma(shape, 1.0 / shape, n) + 1e-12, options
    cuts = np.sort(rng.normal(size=int(rng.integers(1, 4))))
    return np.searchsorted(cuts, 0.5 * eta + rng.logistic(size=n)).astype(float), options


# -- the hunt -----------------------------------------------------------------------------------------------


def look(design: GeneralisedDesign, starts: int) -> tuple[str, str]:
    """What a design gives: one word, and what is to be told of it."""
    try:
        fit = design.model().fit()
        _ = fit.bse, fit.summary().as_text()
    except interlace.errors.InterlaceError as error:
        return "refused", str(error)
    except ValueError as error:
        return "refused", str(error)
    except Exception:
        return "raw exception", traceback.format_exc(limit=-4)
    return _judged(design, fit, starts)


def _judged(design: GeneralisedDesign, fit: Any, starts: int) -> tuple[str, str]:
    record = fit.record.fit
    determined = record.separation is None and record.optimum.diverging is None and _is_determined(record)
    best, rng = record.objective, np.random.default_rng(design.seed)
    for _ in range(starts):
        try:
            other = design.model().fit(start_params=_elsewhere(record, rng)).record.fit
        except interlace.errors.OptimizationError:
            continue  # not finite there
        except Exception:
            return "raw exception", traceback.format_exc(limit=-4)
        if other.separation is None and other.optimum.diverging is None:
            best = min(best, other.objective)
    if determined and record.objective > best + WORSE:
        return "worse", f"{record.objective:.6f} against {best:.6f}"
    if determined and not fit.converged:
        return "not certified", fit.certificate.sentence
    return ("determined", "") if determined else ("undetermined", fit.certificate.sentence)


def _is_determined(record: Any) -> bool:
    sd = np.sqrt(np.maximum(np.diag(record.basis_vcov), 0.0))
    m = record.problem.criterion.m
    finite = np.isfinite(record.objective) and record.n >= ROWS_PER_PARAMETER * len(sd)
    return bool(finite and sd.max(initial=0.0) < UNDETERMINED and (sd[m:] > 0).all())


def _elsewhere(record: Any, rng: np.random.Generator) -> np.ndarray:
    """Another start: Lambda anew, of any size; fixed effects and psi jolted by two standard errors."""
    problem = record.problem
    relcov = problem.criterion.relcov
    scale = rng.choice([0.1, 1.0, 2.0])
    phi = np.where(relcov.diagonal, scale, scale * rng.normal(scale=0.5, size=relcov.m))
    sd = np.sqrt(np.maximum(np.diag(record.basis_vcov), 0.0))[relcov.m :]
    rest = np.concatenate([problem.gamma(record.beta), record.psi]) + 2.0 * np.minimum(sd, 1.0) * rng.normal(
        size=len(sd)
    )
    if record.family.name == "ordinal":
        rest[-len(record.psi) :] = np.sort(rest[-len(record.psi) :])
    return np.concatenate([relcov.from_basis @ phi, problem.beta(rest[: record.p]), rest[record.p :]])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--starts", type=int, default=2)
    arguments = parser.parse_args()
    found: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.n):
        design = random_design(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            word, told = look(design, arguments.starts)
        found[word] += 1
        if word in ("raw exception", "worse", "not certified", "refused"):
            print(
                f"{seed} {design.family} {design.formula} {len(design.data)} rows: {word}: {told}", flush=True
            )
    print(dict(found))


if __name__ == "__main__":
    main()
