"""Cluster-robust covariance of a generalised fit: the sandwich of the scores of its clusters."""

from __future__ import annotations

from copy import copy
from typing import Any, Literal

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import UndefinedError
from interlace.inference.robust import cluster_codes
from interlace.inference.variances import sandwich_of_variances
from interlace.modelling.options import check_choice
from interlace.pls.laplace import LaplaceFit
from interlace.pls.laplace.clusters import cluster_scores, clusters_of_cells

from .record import EstimatedGLMM, delta_method

CROSSED = (
    "the levels of {factor} have rows in several clusters: the likelihood is no product over these, which "
    "a robust covariance needs. Give groups= in which all grouping factors are nested, or use bootstrap()"
)


def get_robustcov_results(
    self: EstimatedGLMM,
    cov_type: Literal["cluster"] = "cluster",
    *,
    groups: Any,
    kind: Literal["CR0", "CR1"] = "CR1",
) -> Any:
    """Results with cluster-robust standard errors of all parameters.

    Parameters
    ----------
    cov_type : "cluster"
        Rows may depend on each other in any way within clusters.
    groups : str or array_like of shape (nobs,)
        A grouping factor of the model, or the cluster of every row. Clusters must be independent: every
        grouping factor is nested in them.
    kind : {"CR0", "CR1"}, default "CR1"
        The sandwich as it is, or times G / (G - 1) for G clusters.

    Returns
    -------
    CrossedGLMMResults
        In the wrapper: the same estimates with another covariance. Tests and Wald intervals use it;
        profiles, predictions and random effects remain those of the model.

    Notes
    -----
    ``H^-1 (sum over clusters of g g') H^-1`` with the Hessian H and scores g of the approximated
    log-likelihood (White 1982, Econometrica 50).

    Examples
    --------
    >>> import interlace
    >>> ticks = {"y": [2, 3, 1, 8, 9, 6, 0, 1, 1, 4, 3, 5], "g": list("aaabbbcccddd")}
    >>> fit = interlace.fit("y ~ 1 + (1 | g)", ticks, family="poisson")
    >>> fit.get_robustcov_results(groups="g").bse.round(3).to_dict()
    {'Intercept': 0.525, 'g Var': 0.441}
    """
    check_choice("cov_type", cov_type, ("cluster",))
    check_choice("kind", kind, ("CR0", "CR1"))
    record = self.record
    fit = record.present()
    scores = -0.5 * cluster_scores(fit, _of_cells(record.design, fit, cluster_codes(record.design, groups)))
    robust = sandwich_of_variances(fit.hessian(), *delta_method(fit), scores)
    count = len(scores)
    found = self.model.results_of(fit)
    plain = found._results
    plain.record.once("covariance", lambda: robust * (count / (count - 1.0) if kind == "CR1" else 1.0))
    plain.cov_type, plain.cov_kwds = "cluster", {"groups": copy(groups), "kind": kind}
    return found


def _of_cells(design: Design, fit: LaplaceFit, clusters: IntArray) -> IntArray:
    """Cluster of every cell; refused where a level has rows in several."""
    cells: FloatArray | IntArray | None = None
    for factor, labels in enumerate(design.factor_labels):
        cells = clusters_of_cells(fit, design.factors[factor].codes, clusters, factor)
        if cells is None:
            raise UndefinedError(CROSSED.format(factor=labels.name))
    return np.asarray(cells, dtype=np.intp)
