"""The certificate of a generalised fit: the same evidence as for the linear model, in all its parameters."""

from __future__ import annotations

import numpy as np

from interlace.arrays import FloatArray
from interlace.pls.matrices.triangular import eigen
from interlace.pls.search.certificate import Certificate, _flat

from .problem import Problem
from .search import LaplaceOptimum, lowest_scores, without_gauge


def certify_laplace(problem: Problem, optimum: LaplaceOptimum, *, fast: bool = False) -> Certificate:
    """Check first- and second-order conditions, on the boundary too.

    Parameters
    ----------
    problem : Problem
        What was minimised.
    optimum : LaplaceOptimum
        Where the search ended.
    fast : bool
        Whether fixed effects were profiled out: the criterion then has no curvature by them.

    Returns
    -------
    Certificate
        Its gradient is by (theta, beta, psi).
    """
    lowest = tuple(value for value, _ in lowest_scores(problem.criterion, optimum.at, optimum.slopes))
    curvatures = eigen(_sought(problem, optimum.hessian) if fast else optimum.hessian)[0]
    inside = all(value > -1e-2 for value in lowest)
    certified = optimum.converged and inside and not optimum.separated
    return Certificate(
        certified=certified,
        gradient=_gradient(problem, optimum),
        expected_decrease=optimum.expected_decrease,
        least_eigenvalue=float(curvatures.min(initial=np.inf)),
        boundary=lowest,
        sentence=_sentence(
            optimum,
            lowest,
            certified=certified,
            flat=_flat(curvatures),
            limit=problem.criterion.family.limit(optimum.at.psi),
        ),
    )


def _sought(problem: Problem, hessian: FloatArray) -> FloatArray:
    """A Hessian without the fixed effects."""
    m, p = problem.criterion.m, problem.criterion.p
    own = np.r_[0:m, m + p : len(hessian)]
    return np.asarray(hessian[own[:, None], own])


def _gradient(problem: Problem, optimum: LaplaceOptimum) -> FloatArray:
    criterion, now = problem.criterion, optimum.slopes
    relcov, m = criterion.relcov, criterion.m
    Lambda = relcov.Lambda(without_gauge(criterion, optimum.at)[:m])
    blocks = [2.0 * S @ block for S, block in zip(now.scores, Lambda, strict=True)]
    by_phi = [blocks[f][a, b] for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True)]
    return np.asarray(problem.from_raw.T @ np.concatenate([by_phi, now.gradient[m:]]))


def _sentence(
    optimum: LaplaceOptimum, lowest: tuple[float, ...], *, certified: bool, flat: bool, limit: str
) -> str:
    on_boundary = [value for value in lowest if np.isfinite(value)]
    size = float(np.linalg.norm(optimum.slopes.gradient))
    found = f"gradient {size:.1e}, at most {optimum.expected_decrease:.1e} of deviance still to gain"
    if on_boundary:
        found += f"; {len(on_boundary)} term(s) on the boundary, slope there {min(on_boundary):+.2g}"
    if limit:
        found += f"; {limit}"
    elif certified and flat:
        found += "; flat in some direction, so that not every parameter is identified"
    if certified:
        return f"Certified optimum after {optimum.nit} iterations: {found}."
    if optimum.separated:
        return (
            f"No optimum, by separation: some fixed effects have no finite estimate. The search ended after "
            f"{optimum.nit} iterations: {found}."
        )
    return f"Not a certified optimum after {optimum.nit} iterations ({optimum.message}): {found}."
