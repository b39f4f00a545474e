"""What a generalised fit says of itself: separation by name, and whether Laplace's approximation will do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

from interlace.errors import LaplaceWarning, callers_level
from interlace.modelling.endings import warn_of_no_optimum, warn_of_singularity
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.quadrature import QuadratureCriterion
from interlace.pls.matrices.triangular import eigen

from .record import EstimatedGLMM

# Nodes that stand for the exact integral in the check, and the deviance they may promise. A promise of 0.25
# is estimates half a standard error away.
NODES, PROMISE = 25, 0.25


@dataclass(frozen=True, eq=False)
class SeparationReport:
    """Fixed effects that have no finite estimate.

    Attributes
    ----------
    columns : tuple of str
        Their names: infinite, or undetermined once others are.
    direction : Series
        Combination of the fixed effects along which the likelihood rises for ever.
    n_rows : int
        Distinct rows whose linear predictor goes to infinity along it.
    """

    columns: tuple[str, ...]
    direction: pd.Series
    n_rows: int

    @property
    def sentence(self) -> str:
        """What the warning says."""
        return (
            f"the response is separated: {', '.join(self.columns)} have no finite maximum-likelihood "
            "estimate (the likelihood rises for ever in a direction that results.separation gives). Their "
            "estimates are infinite and have no z test; leave them out, join categories, or test "
            "them with drop1()"
        )


def separation(self: EstimatedGLMM) -> SeparationReport | None:
    """Proof that some fixed effects have no finite estimate, with their names; None otherwise."""
    found = self.record.fit.separation
    if found is None:
        return None
    names = tuple(self.fe_names[j] for j in found.columns)
    return SeparationReport(names, pd.Series(found.direction, index=self.fe_names), found.n_rows)


@dataclass(frozen=True)
class LaplaceCheck:
    """Laplace's approximation against quadrature, at the estimates.

    Attributes
    ----------
    nagq : int
        Nodes compared with.
    difference : float
        Deviance by quadrature minus that by Laplace's approximation, at the estimates.
    promise : float
        Deviance by quadrature that one Newton step from the estimates promises to gain: the squared distance,
        in standard errors, to where quadrature would put them.
    """

    nagq: int
    difference: float
    promise: float

    @property
    def poor(self) -> bool:
        """Whether the estimates would move by more than half a standard error."""
        return not self.promise < PROMISE

    @property
    def sentence(self) -> str:
        """What the warning says."""
        return (
            f"Laplace's approximation is poor here: by quadrature with {self.nagq} nodes the estimates would "
            f"move by about {np.sqrt(self.promise):.1f} standard errors. Use fit(nagq={self.nagq})"
        )


def laplace_check(self: EstimatedGLMM) -> LaplaceCheck | None:
    """Laplace's approximation against quadrature; None where quadrature is not to be had, or was used."""
    check: LaplaceCheck | None = self.record.once("laplace", lambda: _checked(self.record.present()))
    return check


def _checked(fit: LaplaceFit) -> LaplaceCheck | None:
    terms = fit.Lambda
    if fit.nagq > 1 or len(terms) != 1 or len(terms[0]) != 1 or fit.separation is not None:
        return None
    criterion = QuadratureCriterion(fit.problem.criterion, NODES)
    at = criterion.evaluate(fit.at.x, None, fit.at.guess)
    now = criterion.slopes(at)
    values, vectors = eigen(now.hessian)
    along = vectors.T @ now.gradient
    curved = values > 1e-9 * float(values[-1])
    # The deviance is twice minus the log-likelihood: g'H^-1 g / 2 is gained, and distances are (H / 2)^-1.
    promise = 0.5 * float((along[curved] ** 2 / values[curved]).sum())
    return LaplaceCheck(NODES, at.objective - fit.objective, promise)


def warn(results: Any) -> None:
    """Warn of what a user must know of a fit, each thing once."""
    warn_of_singularity(results)
    if results.separation is not None:
        warnings.warn(results.separation.sentence, PerfectSeparationWarning, stacklevel=callers_level())
    elif results.record.fit.optimum.diverging is not None:
        warnings.warn(_diverging(results), ConvergenceWarning, stacklevel=callers_level())
    elif not results.converged:
        warn_of_no_optimum(results)
    elif results.laplace_check is not None and results.laplace_check.poor:
        warnings.warn(results.laplace_check.sentence, LaplaceWarning, stacklevel=callers_level())


def _diverging(results: Any) -> str:
    """The term whose variance has no bound, in the user's words."""
    design, (term, sd) = results.record.design, results.record.fit.optimum.diverging
    labels = design.term_labels[term]
    bar = f"({labels.lhs} | {design.factor_labels[labels.factor].name})"
    return (
        f"there is no optimum: a standard deviation of {bar} has reached {sd:.0f} on the scale of the linear "
        "predictor, and the likelihood still rises. Most of its levels respond always alike, so that the "
        "data set no bound to how they differ. Leave the term out, sum up over it, or collect more "
        "responses per level; no estimate of this fit is to be trusted."
    )
