"""Warnings about how a search ended."""

from __future__ import annotations

import warnings

from statsmodels.tools.sm_exceptions import ConvergenceWarning

from interlace.errors import SingularFitWarning, callers_level

from .results import MixedResults


def warn_of_singularity(results: MixedResults) -> None:
    """Warn of a singular fit, with terms and directions."""
    if results.is_singular:
        message = (
            f"the fit is singular: {'; '.join(results.singular_directions)}. {results.certificate.maximum}; "
            "if the variation is known to exist, the data say little about it."
        )
        warnings.warn(message, SingularFitWarning, stacklevel=callers_level())


def warn_of_no_optimum(results: MixedResults) -> None:
    """Warn of an optimum that is not certified."""
    if not results.converged:
        warnings.warn(results.certificate.sentence, ConvergenceWarning, stacklevel=callers_level())
