"""The certificate of an optimum: what was checked, and what could still be gained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen

from .boundary import boundary_curvature
from .optimize import Optimum
from .protocol import At, Criterion
from .several import Explored, Knowledge

# What is known elsewhere that forbids to call an optimum certified.
NOT_CERTIFIED = ("unsettled", "unbounded")
# Error of the criterion above which no optimum is certified, and above which it is told.
LARGEST_ERROR, TOLD_ERROR = 1e-3, 1e-7
# Share of the response's sum of squares below which the rest is told.
NEARLY_INTERPOLATED = 1e-7
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
    known : str
        What is known of the criterion elsewhere, see `several.Explored`.
    error : float
        Error of the criterion, by rounding: no promise is made below it.
    """

    certified: bool
    gradient: FloatArray
    expected_decrease: float
    least_eigenvalue: float
    boundary: tuple[float, ...]
    sentence: str
    known: Knowledge = "alone"
    error: float = 0.0

    def __str__(self) -> str:
        return self.sentence

    @property
    def maximum(self) -> str:
        """What may be said of the likelihood there, without the figures."""
        if not self.certified:
            return "Whether this is the maximum of the likelihood is not certain"
        return {
            "proved": "This is the maximum of the likelihood",
            "agreed": "This is the highest maximum of the likelihood that several searches found",
            "several": "This is the highest maximum of the likelihood that several searches found",
        }.get(self.known, "This is a local maximum of the likelihood")


def certify(
    criterion: Criterion[At],
    optimum: Optimum[At],
    *,
    explored: Explored | None = None,
    error: float | None = None,
    share: float = 1.0,
) -> Certificate:
    """Check first- and second-order conditions, on the boundary too.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    optimum : Optimum
        Where the search ended.
    explored : Explored, optional
        What other searches have shown.
    error : float, optional
        Error of the criterion, where more is known of it than its own estimate.
    share : float
        Residual sum of squares as a share of the response's.

    Returns
    -------
    Certificate
    """
    now = optimum.derivatives
    boundary = tuple(lowest for lowest, _ in boundary_curvature(criterion, optimum.at, now))
    curvatures = eigen(now.hessian)[0]
    # A slope of -0.01 per unit of relative variance promises less than 1e-6 of deviance.
    inside = all(lowest > -1e-2 for lowest in boundary)
    if error is None:
        error = 0.0 if explored is None else max(optimum.error, criterion.noise(optimum.at))
    known = "alone" if explored is None else explored.known
    certified = optimum.converged and inside and known not in NOT_CERTIFIED and error < LARGEST_ERROR
    words = [
        _found(optimum, boundary),
        *_error(error, share),
        *(
            ["flat in some direction, so that not every covariance parameter is identified"]
            if certified and _flat(curvatures)
            else []
        ),
        *([] if explored is None else [_elsewhere(explored)]),
    ]
    return Certificate(
        certified=certified,
        gradient=_gradient_theta(criterion, optimum),
        expected_decrease=optimum.expected_decrease,
        least_eigenvalue=float(curvatures[0]),
        boundary=boundary,
        sentence=_sentence(optimum, "; ".join(words), certified=certified),
        known=known,
        error=error,
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


def _sentence(optimum: Optimum[At], found: str, *, certified: bool) -> str:
    if certified:
        return f"Certified optimum after {optimum.nit} iterations: {found}."
    reason = "" if optimum.converged else f" ({optimum.message})"
    return f"Not a certified optimum after {optimum.nit} iterations{reason}: {found}."


def _found(optimum: Optimum[At], boundary: tuple[float, ...]) -> str:
    """What was found where the search ended."""
    on_boundary = [b for b in boundary if np.isfinite(b)]
    size = float(np.linalg.norm(optimum.derivatives.gradient))
    found = f"gradient {size:.1e}, at most {optimum.expected_decrease:.1e} of deviance still to gain"
    if on_boundary:
        found += f"; {len(on_boundary)} term(s) on the boundary, slope there {min(on_boundary):+.2g}"
    return found


def _error(error: float, share: float) -> list[str]:
    """What rounding and interpolation leave of it."""
    words = [f"rounding leaves an error of {error:.0e} in the criterion"] if error > TOLD_ERROR else []
    if share < NEARLY_INTERPOLATED:
        words.append(
            f"near interpolation, the residual variance being {share:.0e} of that about the fixed effects"
        )
    return words


def _elsewhere(explored: Explored) -> str:
    """What is known of the rest of the parameter space."""
    searches, minima = explored.searches, len(explored.minima)
    return {
        "proved": "proved to be the lowest of all minima",
        "agreed": f"the lowest of {searches} searches from different starts",
        "alone": "a local minimum; with so many data for each parameter no other was looked for",
        "given": "a local minimum, next to the start that was given",
        "several": f"the lowest of {searches} searches, which ended in {minima} minima",
        "unsettled": f"{searches} searches ended in {minima} minima, and others may be lower",
        "unbounded": "from some starts the criterion falls without bound: the likelihood has no maximum",
    }[explored.known]
