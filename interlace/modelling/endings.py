"""Warnings about how a search ended."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from statsmodels.tools.sm_exceptions import ConvergenceWarning

from interlace.errors import IdentificationWarning, SingularFitWarning, callers_level

from .results import MixedResults


def warn_of_singularity(results: MixedResults, spanned: str = "") -> None:
    """Warn of a singular fit, with terms and directions, and perhaps with a reason for some of them."""
    if results.is_singular:
        message = (
            f"the fit is singular: {'; '.join(results.singular_directions)}. {results.certificate.maximum}; "
            f"if the variation is known to exist, the data say little about it.{spanned}"
        )
        warnings.warn(message, SingularFitWarning, stacklevel=callers_level())


def warn_of_the_undetermined(sentences: Sequence[str]) -> None:
    """Warn of variances that the data do not determine, whatever the response."""
    if sentences:
        message = (
            f"the data do not identify every variance: {'; '.join(sentences)}. Whatever the response, the "
            "criterion is the same for many values of it. It is NaN, and so are the standard errors, tests, "
            "degrees of freedom and uncertainties of predictions that depend on it; leave a term out of the "
            "model to be told these"
        )
        warnings.warn(message, IdentificationWarning, stacklevel=callers_level())


def warn_of_no_optimum(results: MixedResults) -> None:
    """Warn of an optimum that is not certified."""
    if not results.converged:
        warnings.warn(results.certificate.sentence, ConvergenceWarning, stacklevel=callers_level())
