"""Variances that the data do not determine, in words, and what cannot be had then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import InferenceError
from interlace.pls import PLSFit
from interlace.pls.elsewhere import Elsewhere, agree
from interlace.pls.matrices.identified import undetermined
from interlace.pls.matrices.structures import unstructured


def undetermined_sentences(design: Design, fit: Any) -> tuple[str, ...]:
    """Say which covariance parameters the data leave open, and why.

    Parameters
    ----------
    design : Design
        Labels of the terms.
    fit : PLSFit or LaplaceFit
        A fit.

    Returns
    -------
    tuple of str
        Empty if the data determine all.
    """
    other = getattr(fit, "elsewhere", None)
    if other is None:
        return ()
    pairs = zip(other.directions.T, other.in_covariance, strict=True)
    told = [_sentence(design, fit, c, in_covariance=bool(seen)) for c, seen in pairs]
    return tuple(dict.fromkeys(told))


def _sentence(design: Design, fit: Any, direction: FloatArray, *, in_covariance: bool) -> str:
    terms = _terms(direction, [len(block) for block in fit.Lambda])
    bars = [_bar(design, i) for i in terms]
    if direction[-1]:
        return f"{' and '.join(bars) or 'the rest'} cannot be told from the residual variance"
    if len(terms) > 1:
        return (
            f"the random effects of {' and '.join(bars)} cannot be told apart, and only a combination of "
            "their variances is determined, such as the sum"
        )
    Sigma = fit.Sigma[terms[0]]
    columns = [
        name
        for name, v in zip(design.term_labels[terms[0]].columns, np.diag(Sigma), strict=True)
        if np.isnan(v)
    ]
    what = f"the variance of {' and '.join(columns)}" if columns else "the covariances"
    if in_covariance:
        return f"in {bars[0]} {what}: the fixed effects span its columns"
    return (
        f"in {bars[0]} {what}: its columns do not vary enough within the levels to tell its variances apart"
    )


def _terms(direction: FloatArray, sizes: Sequence[int]) -> list[int]:
    """Terms that take part in a direction."""
    ends = np.cumsum([unstructured(k).m for k in sizes]).tolist()
    return [i for i, (a, b) in enumerate(zip([0, *ends[:-1]], ends, strict=True)) if direction[a:b].any()]


def _bar(design: Design, i: int) -> str:
    labels = design.term_labels[i]
    return f"({labels.lhs} | {design.factor_labels[labels.factor].name})"


def spanned_terms(design: Design, fit: PLSFit) -> tuple[str, ...]:
    """Terms without variance in a fit by maximum likelihood because the fixed effects span their columns.

    Parameters
    ----------
    design : Design
        Labels of the terms.
    fit : PLSFit
        By maximum likelihood, with its criterion.

    Returns
    -------
    tuple of str
        Their bars.
    """
    criterion = fit.criterion
    directions = undetermined(criterion.cp, criterion.relcov, reml=True)
    found: list[int] = []
    for c in directions.T:
        terms = _terms(c, [len(block) for block in fit.Lambda])
        if len(terms) == 1 and fit.singular[terms[0]].shape[1]:
            found += terms
    return tuple(_bar(design, i) for i in dict.fromkeys(found))


def determined_scale(fit: PLSFit) -> float:
    """Residual variance; NaN if the data do not determine it."""
    other: Elsewhere | None = fit.elsewhere
    known = other is None or agree(np.array(fit.sigma2), np.array(other.sigma2)).all()
    return float(fit.sigma2) if known else np.nan


def refuse_undetermined(design: Design, fit: PLSFit, what: str) -> None:
    """Refuse what needs variances that the data do not determine.

    Parameters
    ----------
    design, fit : Design, PLSFit
        The fit.
    what : str
        What was asked for.

    Raises
    ------
    InferenceError
        If there are such variances.
    """
    if fit.elsewhere is not None:
        raise InferenceError(
            f"{what} needs variances that the data do not determine: "
            f"{'; '.join(undetermined_sentences(design, fit))}. Leave a term out and fit again"
        )
