"""Likelihood-ratio tests: of nested models, of fixed terms, of random terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from interlace import pls
from interlace.arrays import FloatArray
from interlace.design import Design, TermLabels
from interlace.errors import InferenceError
from interlace.pls import GroupingFactor, PLSFit, RandomTerm
from interlace.pls.search.sampled import error_of_mean
from interlace.streaming.record import StreamedDesign

from .fixed_terms import coded_matrix, complete_spans, fixed_terms, has_intercept, rows_of_fit

# How far Monte-Carlo error may move a p-value, by two standard deviations on either side; below the least p
# it does not matter how far.
TWICE, MOST_MOVED, LEAST_P = 2.0, 0.005, 0.001
LIKELIHOOD_COLUMNS = ["npar", "loglik", "aic", "bic", "deviance", "chisq", "df", "p_value"]


@dataclass(frozen=True)
class Maximum:
    """A maximised likelihood: minus twice its logarithm, the parameters and the rows behind it."""

    deviance: float
    npar: int
    n: int
    drawn: tuple[float, ...] = ()  # the deviance by each probe, but for a constant, where it was sampled

    @classmethod
    def of(cls, fit: PLSFit) -> Maximum:
        """That of a fit; the residual variance counts as a parameter."""
        drawn = () if fit.monte_carlo is None else tuple(fit.monte_carlo.drawn.tolist())
        return cls(fit.objective, fit.p + len(fit.theta) + 1, fit.n, drawn)


def as_ml(fit: PLSFit) -> PLSFit:
    """Refit by maximum likelihood, from the cross-products that the fit holds.

    Parameters
    ----------
    fit : PLSFit
        With its criterion; not changed.

    Returns
    -------
    PLSFit
        The fit itself if it is one by maximum likelihood.
    """
    if not fit.reml:
        return fit
    criterion = fit.criterion.variant(reml=False)
    return pls.fit_criterion(criterion, start=None if fit.is_singular else fit.theta)


def check_comparable(designs: Sequence[Design]) -> None:
    """Refuse models that were not fitted to the same response and rows.

    Parameters
    ----------
    designs : sequence of Design
        Of the models.

    Raises
    ------
    InferenceError
        With what differs.
    """
    first = designs[0]
    for position, other in enumerate(designs[1:], start=2):
        what = _difference(first, other)
        if what:
            raise InferenceError(
                f"model {position} differs from model 1 in {what}: likelihoods of different data cannot be "
                "compared. Fit both to the same rows (missing values in a variable of one model drop rows)"
            )


def _difference(first: Design, other: Design) -> str:
    if isinstance(first, StreamedDesign) or isinstance(other, StreamedDesign):
        return _difference_of_streamed(first, other)
    if len(first.y) != len(other.y):
        return f"the number of rows ({len(other.y)}, not {len(first.y)})"
    if not np.array_equal(first.y, other.y):
        return f"the response ({other.yname}, not {first.yname}), or in the rows used"
    w1, w2 = (np.ones(len(d.y)) if d.weights is None else d.weights for d in (first, other))
    return "" if np.array_equal(w1, w2) else "the weights"


def _difference_of_streamed(first: Design, other: Design) -> str:
    if not (isinstance(first, StreamedDesign) and isinstance(other, StreamedDesign)):
        return "where its rows are: those of one were read in chunks, those of the other are in memory"
    if first.n_rows != other.n_rows:
        return f"the number of rows ({other.n_rows}, not {first.n_rows})"
    return "" if first.identity == other.identity else "the response, the weights, or in the rows used"


def comparison_table(names: Sequence[str], maxima: Sequence[Maximum]) -> pd.DataFrame:
    """Each model against the one before it, in the order of their numbers of parameters.

    Parameters
    ----------
    names : sequence of str
        Of the models.
    maxima : sequence of Maximum
        Their likelihoods.

    Returns
    -------
    DataFrame
        Columns npar, loglik, aic, bic, deviance, chisq, df, p_value.
    """
    order = sorted(range(len(maxima)), key=lambda i: maxima[i].npar)
    ordered = [maxima[i] for i in order]
    tests = [(np.nan, np.nan, np.nan)]
    tests += [_test(small, large) for small, large in pairwise(ordered)]
    return _table([names[i] for i in order], ordered, tests)


def deletion_table(names: Sequence[str], full: Maximum, reduced: Sequence[Maximum]) -> pd.DataFrame:
    """A model, named ``<none>``, and models that lack one term each.

    Parameters
    ----------
    names : sequence of str
        What each reduced model lacks.
    full : Maximum
        Likelihood of the model.
    reduced : sequence of Maximum
        Likelihoods of the reduced models.

    Returns
    -------
    DataFrame
        Columns npar, loglik, aic, bic, deviance, chisq, df, p_value.
    """
    tests = [(np.nan, np.nan, np.nan), *(_test(small, full) for small in reduced)]
    return _table(["<none>", *names], [full, *reduced], tests)


def _test(small: Maximum, large: Maximum) -> tuple[float, float, float]:
    chisq, df = max(small.deviance - large.deviance, 0.0), large.npar - small.npar
    _refuse_what_sampling_hides(chisq, df, _error_of_difference(small.drawn, large.drawn))
    return chisq, float(df), float(stats.chi2.sf(chisq, df)) if df > 0 else np.nan


def _error_of_difference(small: Sequence[float], large: Sequence[float]) -> float:
    """Standard deviation of a difference of sampled deviances; what the same probes say of both cancels."""
    if len(small) == len(large):
        return error_of_mean(np.subtract(large, small))
    return float(np.hypot(error_of_mean(np.asarray(small)), error_of_mean(np.asarray(large))))


def _refuse_what_sampling_hides(chisq: float, df: int, error: float) -> None:
    """Raise where the p-value would depend on the probes of the iterative solver."""
    if error == 0.0 or df <= 0:
        return
    low, high = (float(stats.chi2.sf(max(chisq + z * error, 0.0), df)) for z in (TWICE, -TWICE))
    if high - low > MOST_MOVED and high > LEAST_P:
        raise InferenceError(
            f"the iterative solver samples the likelihood: chi-squared is {chisq:.3f} with a Monte-Carlo "
            f"error of {error:.2g}, and p lies between {low:.3g} and {high:.3g}. Fit with more probes "
            '(probes=...), or with solver="cholmod" or "blocked"; or test fixed effects by anova(result)'
        )


def _table(
    names: Sequence[str], maxima: Sequence[Maximum], tests: Sequence[tuple[float, float, float]]
) -> pd.DataFrame:
    rows = []
    for at, test in zip(maxima, tests, strict=True):
        aic, bic = at.deviance + 2.0 * at.npar, at.deviance + np.log(at.n) * at.npar
        rows.append([at.npar, -0.5 * at.deviance, aic, bic, at.deviance, *test])
    return pd.DataFrame(rows, index=list(names), columns=LIKELIHOOD_COLUMNS).astype({"npar": int})


# ---- terms left out ----------------------------------------------------------------------------


def without_fixed_terms(design: Design, frame: Any, fit: PLSFit) -> Iterator[tuple[str, Maximum]]:
    """Likelihoods of the models that lack one term of the fixed part, by maximum likelihood.

    Parameters
    ----------
    design : Design
        Of the model.
    frame : table or None
        The data; needed if columns of X were dropped, which may come back.
    fit : PLSFit
        By maximum likelihood.

    Yields
    ------
    tuple of str and Maximum
        Terms that other terms contain stay, as in R.
    """
    for name, X in reduced_fixed_parts(design, frame):
        if X.shape[1] == fit.p:
            yield name, Maximum.of(fit)
        else:
            yield name, _maximum(design, design.factors, design.terms, X, reml=False)


def reduced_fixed_parts(design: Design, frame: Any) -> Iterator[tuple[str, FloatArray]]:
    """The columns of the models that lack one term of the fixed part which no other term contains.

    Parameters
    ----------
    design : Design
        Of the model.
    frame : table or None
        The data; needed if columns of X were dropped, which may come back.

    Yields
    ------
    tuple of str and ndarray of shape (n, p')
        The term, and independent columns of the rest.
    """
    terms = fixed_terms(design)
    complete = None if has_intercept(design) else complete_spans(design, frame)
    coded, X = _all_columns(design, frame) if complete is None else (design.kept_columns, design.X)
    for term in terms:
        if any(term.factors < other.factors for other in terms):
            continue
        if complete is None:
            rest = X[:, [at for at, j in enumerate(coded) if j not in term.coded]]
        else:  # the columns that are left would not span what the terms that are left do
            rest = np.hstack([X[:, :0], *(own for name, own in complete.items() if name != term.name)])
        yield term.name, rest[:, list(pls.independent_columns(rest))]


def _all_columns(design: Design, frame: Any) -> tuple[Sequence[int], FloatArray]:
    if not design.dropped_columns or design.formula is None:
        return design.kept_columns, design.X
    coded = range(len(design.coding.names))
    return coded, coded_matrix(design, rows_of_fit(design, frame), coded)


def _maximum(
    design: Design,
    factors: Sequence[GroupingFactor],
    terms: Sequence[RandomTerm],
    X: FloatArray,
    *,
    reml: bool,
) -> Maximum:
    fit = pls.fit(factors, terms, X, design.y, weights=design.weights, offset=design.offset, reml=reml)
    return Maximum.of(fit)


def without_random_terms(design: Design, fit: PLSFit, *, reduce: bool) -> Iterator[tuple[str, Maximum]]:
    """Likelihoods of the models that lack one random-effects term, or one variable of it.

    Parameters
    ----------
    design : Design
        Of the model.
    fit : PLSFit
        The fit; REML fits are compared by their restricted likelihoods.
    reduce : bool
        From a term such as ``(1 + x | g)`` take ``x`` rather than the whole term.

    Yields
    ------
    tuple of str and Maximum
    """
    for name, factors, terms in reduced_random_parts(design, reduce=reduce):
        if terms:
            yield name, _maximum(design, factors, terms, design.X, reml=fit.reml)
        else:  # what is left is a linear model: the criterion at zero variances
            deviance = fit.criterion(np.zeros(len(fit.theta)))
            yield name, Maximum(float(deviance), fit.p + 1, fit.n)


def reduced_random_parts(
    design: Design, *, reduce: bool
) -> Iterator[tuple[str, Sequence[GroupingFactor], Sequence[RandomTerm]]]:
    """Factors and terms of the models that lack one random-effects term, or one variable of it.

    Parameters
    ----------
    design : Design
        Of the model.
    reduce : bool
        From a term such as ``(1 + x | g)`` take ``x`` rather than the whole term.

    Yields
    ------
    tuple of str, sequence of GroupingFactor and sequence of RandomTerm
        What is left out, and the rest: nothing for the last term.
    """
    for at, labels in enumerate(design.term_labels):
        bar = f"({labels.lhs} | {design.factor_labels[labels.factor].name})"
        parts = _removable(labels) if reduce else {}
        for name, columns in parts.items():
            kept = [j for j in range(len(labels.columns)) if j not in columns]
            reduced = replace(design.terms[at], Xi=design.terms[at].Xi[:, kept])
            yield f"{name} in {bar}", design.factors, (*design.terms[:at], reduced, *design.terms[at + 1 :])
        if not parts:
            yield bar, *_without_term(design, at)


def _removable(labels: TermLabels) -> dict[str, range]:
    """Variables that a term can lose and remain a term, with their columns; those others contain stay."""
    if labels.coding is None or not hasattr(labels.coding, "info"):
        return {}
    slices = {
        frozenset(factor.name() for factor in term.factors): (term.name(), range(span.start, span.stop))
        for term, span in labels.coding.info.term_slices.items()
    }
    if len(slices) == 1:
        return {}
    top = [names for names in slices if names and not any(names < other for other in slices)]
    return {slices[names][0]: slices[names][1] for names in top}


def _without_term(design: Design, at: int) -> tuple[Sequence[GroupingFactor], Sequence[RandomTerm]]:
    terms = [*design.terms[:at], *design.terms[at + 1 :]]
    used = sorted({term.factor for term in terms})
    return [design.factors[f] for f in used], [replace(t, factor=used.index(t.factor)) for t in terms]


__all__ = [
    "Maximum",
    "as_ml",
    "check_comparable",
    "comparison_table",
    "deletion_table",
    "reduced_fixed_parts",
    "reduced_random_parts",
    "without_fixed_terms",
    "without_random_terms",
]
