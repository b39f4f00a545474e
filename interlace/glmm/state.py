"""What a generalised fit says of itself: separation by name, and whether Laplace's approximation will do."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

from interlace.design import Design
from interlace.errors import LaplaceWarning, callers_level
from interlace.modelling.endings import warn_of_no_optimum, warn_of_singularity, warn_of_the_undetermined
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.adequacy import adequacy

from .record import EstimatedGLMM

# Nodes that stand for the exact integral in the check, and the deviance they may promise. A promise of 0.25
# is estimates half a standard error away.
NODES, PROMISE = 25, 0.25
# Standard deviation of a random effect from which several terms are checked at the end of a fit.
LARGE = 2.0


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

    Of several terms it is the one that quadrature would move the estimates most for, the others at their
    modes: an indicator, since several can not be integrated at once.

    Attributes
    ----------
    term : str
        The term, such as ``(1 | g)``.
    alone : bool
        Whether it is a single scalar term, which can be fitted by quadrature.
    nagq : int
        Nodes compared with.
    difference : float
        Deviance by quadrature minus that by Laplace's approximation, at the estimates.
    promise : float
        Deviance by quadrature that one Newton step from the estimates promises to gain: the squared distance,
        in standard errors, to where quadrature would put them.
    """

    term: str
    alone: bool
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
        far = f"the estimates would move by about {np.sqrt(self.promise):.1f} standard errors"
        if self.alone:
            return (
                f"Laplace's approximation is poor here: by quadrature with {self.nagq} nodes {far}. "
                f"Use fit(nagq={self.nagq})"
            )
        return (
            f"Laplace's approximation is poor here: by quadrature over {self.term}, the other random effects "
            f"given, {far}. Quadrature is for a single scalar random effect: bootstrap() shows how far these "
            "estimates are off, and more responses per level make them better"
        )


def laplace_check(self: EstimatedGLMM) -> LaplaceCheck | None:
    """Laplace's approximation against quadrature; None where quadrature was used, or under separation."""
    design = self.record.design
    check: LaplaceCheck | None = self.record.once("laplace", lambda: _checked(design, self.record.present()))
    return check


def _checked(design: Design, fit: LaplaceFit) -> LaplaceCheck | None:
    if fit.nagq > 1 or fit.separation is not None:
        return None
    found = adequacy(fit.problem.criterion, fit.refreshed(), fit.slopes, NODES)
    worst = int(np.argmax([each.promise for each in found]))
    alone = len(found) == 1 and fit.Lambda[0].shape == (1, 1)
    return LaplaceCheck(_bar(design, worst), alone, NODES, found[worst].difference, found[worst].promise)


def _bar(design: Design, term: int) -> str:
    labels = design.term_labels[term]
    return f"({labels.lhs} | {design.factor_labels[labels.factor].name})"


def _suspicious(fit: LaplaceFit) -> bool:
    """Whether the check is worth its time: for a single scalar term, and where levels differ a lot."""
    sds = [float(np.sqrt(np.diag(Sigma).max())) for Sigma in fit.Sigma]
    return (len(sds) == 1 and fit.Lambda[0].shape == (1, 1)) or max(sds) > LARGE


def warn(results: Any) -> None:
    """Warn of what a user must know of a fit, each thing once."""
    warn_of_singularity(results)
    warn_of_the_undetermined(results.undetermined)
    if results.separation is not None:
        warnings.warn(results.separation.sentence, PerfectSeparationWarning, stacklevel=callers_level())
    elif results.record.fit.optimum.diverging is not None:
        warnings.warn(_diverging(results), ConvergenceWarning, stacklevel=callers_level())
    elif not results.converged:
        warn_of_no_optimum(results)
    elif not _suspicious(results.record.fit):
        return
    elif results.laplace_check is not None and results.laplace_check.poor:
        warnings.warn(results.laplace_check.sentence, LaplaceWarning, stacklevel=callers_level())


def _diverging(results: Any) -> str:
    """The term whose variance has no bound, in the user's words."""
    design, (term, sd) = results.record.design, results.record.fit.optimum.diverging
    return (
        f"there is no optimum: a standard deviation of {_bar(design, term)} has reached {sd:.0f} on the "
        "scale of the linear predictor, and the likelihood still rises. Most of its levels respond always "
        "alike, so that the data set no bound to how they differ. Leave the term out, sum up over it, or "
        "collect more responses per level; no estimate of this fit is to be trusted."
    )
