"""What the search asks of a criterion: `optimize.minimize` knows no more of the model than this.

The parameters ``x`` are the m covariance parameters phi, in the gauge, and after them the *rest*, which has
no gauge: nothing in a linear model, whose fixed effects and sigma are profiled out.  Three facts the search
takes for granted:

* the criterion depends on phi by ``Lambda Lambda'`` only, and so is even in each column of Lambda;
* its derivative with respect to ``Lambda Lambda'``, the score matrix, exists where Lambda is singular, too;
* parameters are of order one: columns are orthonormal, the response has unit residual variance.

Implementations: `criterion.ProfiledCriterion`, the deviance and the REML criterion with sigma profiled out,
and `held.fixed.AtSigma`, the deviance at a given sigma.  A Laplace approximation would be another, the rest
being the fixed effects on their basis and the family's parameters: its evaluations find the conditional modes
by iteration, for which the last evaluation that was differentiated is a good place to begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

from interlace.arrays import FloatArray
from interlace.pls.matrices.relcov import RelativeCovariance

At = TypeVar("At", bound="Evaluation")


class Evaluation(Protocol):
    """What one evaluation of a criterion leaves behind."""

    @property
    def x(self) -> FloatArray:
        """All parameters: phi in the gauge, then the rest."""

    @property
    def gauge(self) -> Sequence[FloatArray] | None:
        """Orthogonal U_f of each factor, (K, K); None stands for the identity."""

    @property
    def Lambda(self) -> Sequence[FloatArray]:
        """Blocks of Lambda per factor, (K, K), in the bases."""

    @property
    def objective(self) -> float:
        """The criterion; infinite where it cannot be had."""

    def in_gauge(self, phi: FloatArray, gauge: Sequence[FloatArray], Psi: Sequence[FloatArray]) -> Self:
        """The same evaluation, told in another gauge: ``Lambda_f Lambda_f' = U_f Psi_f Psi_f' U_f'``."""


class Differentiated(Protocol):
    """Derivatives of a criterion by x, in the gauge of the evaluation."""

    @property
    def gradient(self) -> FloatArray:
        """Exact, but for `rough` ones."""

    @property
    def hessian(self) -> FloatArray:
        """Near the exact one; what it lacks is learned from gradients."""

    @property
    def slopes(self) -> tuple[FloatArray, FloatArray]:
        """Gradient and Hessian."""

    @property
    def scores(self) -> Sequence[FloatArray]:
        """Derivative with respect to ``Lambda Lambda'``, per factor, (K, K), not in the gauge."""

    @property
    def rough(self) -> bool:
        """Whether all of these have some five digits only."""


class Criterion(Protocol[At]):
    """A criterion that `optimize.minimize` can minimise."""

    @property
    def relcov(self) -> RelativeCovariance:
        """The template of Lambda."""

    def decompose(self, x: FloatArray, gauge: Sequence[FloatArray] | None = None, /) -> At:
        """Evaluate the criterion, keeping the pieces."""

    def derivatives(self, at: At, *, rough: bool = False) -> Differentiated:
        """Differentiate where the criterion was evaluated *last*; five digits will do if ``rough``."""

    def noise(self, at: At) -> float:
        """Error of the objective by rounding, and by whatever else is not solved exactly."""

    def fault(self, at: At) -> str | None:
        """Why no minimum is to be sought from here, as a sentence for users; None where one is."""
