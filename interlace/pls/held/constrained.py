"""One search for every parameter of a model: the deviance with that parameter held fixed."""

from __future__ import annotations

from interlace.pls.search.criterion import ProfiledCriterion

from .covariance import FixedCorrelation, FixedSD, reordered
from .fixed import Conditional, FixedEffect, FixedSigma, as_ml


def held_parameters(
    criterion: ProfiledCriterion,
) -> list[FixedSD | FixedCorrelation | FixedSigma | FixedEffect]:
    """One search for every parameter: SDs and correlations column by column, sigma, fixed effects.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The deviance; see `as_ml`.

    Returns
    -------
    list
        In the order of theta, then sigma, then the columns of X.
    """
    found: list[FixedSD | FixedCorrelation | FixedSigma | FixedEffect] = []
    for term, structure in enumerate(criterion.relcov.structures):
        for row, column in zip(structure.rows.tolist(), structure.columns.tolist(), strict=True):
            if row == column:
                found.append(FixedSD(reordered(criterion, term, [row])))
            else:
                found.append(FixedCorrelation(reordered(criterion, term, [column, row])))
    found.append(FixedSigma(criterion))
    return found + [FixedEffect(criterion, j) for j in range(criterion.cp.p)]


__all__ = ["Conditional", "as_ml", "held_parameters"]
