"""Comparison of fitted models by their likelihoods."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.design import Design
from interlace.errors import ArgumentError, InferenceError
from interlace.streaming.record import StreamedDesign

from .likelihood_ratio import Maximum, as_ml, check_comparable, comparison_table


def anova(*results: Any, refit: Literal["ml"] | None = "ml") -> pd.DataFrame:
    """Likelihood-ratio tests of nested models.

    Parameters
    ----------
    *results : CrossedLMMResults
        Two or more fits to the same rows and response.
    refit : "ml" or None, default "ml"
        Refit what was fitted by REML by maximum likelihood. None compares the likelihoods as they are, which
        is right for fits by REML only if their fixed parts are the same.

    Returns
    -------
    DataFrame
        One row per model in the order of the numbers of parameters, each tested against the one before:
        npar, loglik, aic, bic, deviance, chisq, df, p_value.

    Raises
    ------
    InferenceError
        If response, rows or weights differ, or restricted likelihoods of different fixed parts would be
        compared.

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
    if len(plain) < 2:
        raise InferenceError(f"anova compares fitted models and was given {len(plain)}; give two or more")
    if refit not in ("ml", None):
        raise ArgumentError(f"refit={refit!r} is not offered; give 'ml' or None")
    designs = [result.record.design for result in plain]
    check_comparable(designs)
    fits = [result.pls_fit if refit is None else as_ml(result.record.complete) for result in plain]
    if len({fit.reml for fit in fits}) > 1:
        raise InferenceError("some fits are by REML and some by maximum likelihood; use refit='ml'")
    if fits[0].reml and any(not _same_fixed(designs[0], design) for design in designs[1:]):
        raise InferenceError(
            "restricted likelihoods of models with different fixed parts cannot be compared; use refit='ml'"
        )
    names = [result.model.formula_text for result in plain]
    return comparison_table(names, [Maximum.of(fit) for fit in fits])


def _same_fixed(first: Design, other: Design) -> bool:
    # Rows that were read in chunks are not there; the columns' triangular factor and names stand for them.
    if isinstance(first, StreamedDesign) and isinstance(other, StreamedDesign):
        a, b, same = first.products.basis.R, other.products.basis.R, first.xnames == other.xnames
    else:
        a, b, same = first.X, other.X, True
    return same and a.shape == b.shape and bool(np.allclose(a, b))
