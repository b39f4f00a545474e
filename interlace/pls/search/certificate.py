"""The certificate of an optimum: what was checked, and what could still be gained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen

from .boundary import boundary_curvature
from .optimize import Optimum
from .protocol import At, Criterion

# Share of the largest curvature below which a direction counts as flat.
FLAT = 1e-8


@dataclass(frozen=True, eq=False)
class Certificate:
    """Evidence that an optimum is one.

    Attributes
    ----------
    certified : bool
        True if nothing below promises a decrease of the criterion.
    gradient : ndarray of shape (m,)
        Gradient with respect to theta, in deviance units per unit of theta.
    expected_decrease : float
        Deviance that the quadratic model still promises.
    least_eigenvalue : float
        Of the Hessian in the orthonormal bases; negative at a saddle.
    boundary : tuple of float
        Per term, the least eigenvalue of the score matrix on the null space of Lambda_i: the
        slope of the criterion in a variance that is estimated as zero.  Infinite where Lambda_i is
        regular, negative where the zero is wrong.
    sentence : str
        The same in English.
    """

    certified: bool
    gradient: FloatArray
    expected_decrease: float
    least_eigenvalue: float
    boundary: tuple[float, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def certify(criterion: Criterion[At], optimum: Optimum[At]) -> Certificate:
    """Check first- and second-order conditions, on the boundary too.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    optimum : Optimum
        Where the search ended.

    Returns
    -------
    Certificate
    """
    now = optimum.derivatives
    boundary = tuple(lowest for lowest, _ in boundary_curvature(criterion, optimum.at, now))
    curvatures = eigen(now.hessian)[0]
    # A slope of -0.01 per unit of relative variance promises less than 1e-6 of deviance.
    inside = all(lowest > -1e-2 for lowest in boundary)
    certified = optimum.converged and inside
    return Certificate(
        certified=certified,
        gradient=_gradient_theta(criterion, optimum),
        expected_decrease=optimum.expected_decrease,
        least_eigenvalue=float(curvatures[0]),
        boundary=boundary,
        sentence=_sentence(optimum, boundary, certified=certified, flat=_flat(curvatures)),
    )


def _flat(curvatures: FloatArray) -> bool:
    """Whether one of them, in orthonormal bases and increasing, is none but for rounding."""
    return bool(curvatures[0] < FLAT * max(1.0, float(curvatures[-1])))


def _gradient_theta(criterion: Criterion[At], optimum: Optimum[At]) -> FloatArray:
    relcov = criterion.relcov
    blocks = [
        S @ Lambda for S, Lambda in zip(optimum.derivatives.scores, relcov.Lambda(optimum.phi), strict=True)
    ]
    phi_gradient = np.array(
        [2.0 * blocks[f][a, b] for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True)]
    )
    return np.asarray(relcov.to_basis.T @ phi_gradient)


def _sentence(optimum: Optimum[At], boundary: tuple[float, ...], *, certified: bool, flat: bool) -> str:
    on_boundary = [b for b in boundary if np.isfinite(b)]
    size = float(np.linalg.norm(optimum.derivatives.gradient))
    found = f"gradient {size:.1e}, at most {optimum.expected_decrease:.1e} of deviance still to gain"
    if on_boundary:
        found += f"; {len(on_boundary)} term(s) on the boundary, slope there {min(on_boundary):+.2g}"
    if certified and flat:
        found += "; flat in some direction, so that not every covariance parameter is identified"
    if certified:
        return f"Certified optimum after {optimum.nit} iterations: {found}."
    return f"Not a certified optimum after {optimum.nit} iterations ({optimum.message}): {found}."
