"""What every table and paragraph says about a fit beside its fixed effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.fitted import EstimatedModel
from interlace.inference import correlations
from interlace.pls.matrices.structures import unstructured

RESIDUAL = "Residual SD"


@dataclass(frozen=True)
class Spread:
    """A standard deviation of random effects, or a correlation of two.

    Attributes
    ----------
    factor : str
        Grouping factor; empty for the residual.
    effects : tuple of str
        One column, or the two that are correlated.
    value : float
        NaN for a correlation with an effect that does not vary.
    """

    factor: str
    effects: tuple[str, ...]
    value: float

    @property
    def label(self) -> str:
        """Name in a table."""
        if not self.factor:
            return RESIDUAL
        kind = "SD" if len(self.effects) == 1 else "Cor"
        return f"{self.factor}: {kind} {', '.join(self.effects)}"


def spreads(results: EstimatedModel) -> list[Spread]:
    """Standard deviations and correlations term by term, the residual last.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.

    Returns
    -------
    list of Spread
    """
    design = results.record.design
    found = []
    for labels, covariance in zip(design.term_labels, results.term_covariances, strict=True):
        factor = design.factor_labels[labels.factor].name
        found += _of_term(factor, labels.columns, np.asarray(covariance))
    return [*found, Spread("", (), results.sigma)]


def _of_term(factor: str, columns: tuple[str, ...], covariance: np.ndarray) -> list[Spread]:
    sd, cor = np.sqrt(np.diag(covariance)), correlations(covariance)
    single = [Spread(factor, (name,), float(value)) for name, value in zip(columns, sd, strict=True)]
    structure = unstructured(len(columns))
    pairs = [
        Spread(factor, (columns[j], columns[i]), float(cor[i, j]))
        for i, j in zip(structure.rows, structure.columns, strict=True)
        if i != j
    ]
    return single + pairs


def explained(results: EstimatedModel) -> tuple[float, float] | None:
    """Marginal and conditional R squared, or None where the rows are gone.

    Parameters
    ----------
    results : CrossedLMMResults
        The fit.

    Returns
    -------
    tuple of float or None
    """
    if results.record.design.kept_rows is None:
        return None
    r2 = results.r2()
    return float(r2["marginal"]), float(r2["conditional"])


def criterion_name(results: EstimatedModel) -> str:
    """Name of what was minimised: minus twice the log-likelihood."""
    return "REML criterion" if results.reml else "Deviance"
