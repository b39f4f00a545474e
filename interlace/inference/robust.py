"""Cluster-robust covariance of the fixed effects, from q-space: never an n x n matrix."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import ArgumentError, DesignError, MissingValuesError
from interlace.fitted import EstimatedModel, Fitted
from interlace.frames.used_rows import aligned
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.elsewhere import matrices_agree
from interlace.pls.matrices.triangular import inverse_from_upper
from interlace.pls.rows.weighted import rows_of

Kind = Literal["CR0", "CR2"]

# Rows of the largest cluster for CR2, which takes a root of a matrix with a row for each of them.
LARGEST = 5_000


def get_robustcov_results(
    self: EstimatedModel, cov_type: Literal["cluster"] = "cluster", *, groups: Any, kind: Kind = "CR2"
) -> Any:
    """Results with cluster-robust standard errors of the fixed effects.

    Parameters
    ----------
    cov_type : "cluster"
        Residuals may be correlated in any way within clusters, and have any variance.
    groups : str or array_like of shape (nobs,)
        A grouping factor of the model, or the cluster of every row.
    kind : {"CR0", "CR2"}, default "CR2"
        The sandwich as it is, or adjusted so that it is unbiased if the model is true.

    Returns
    -------
    CrossedLMMResults
        In the wrapper: the same estimates with another covariance of the fixed effects. Tests use the
        normal distribution.

    References
    ----------
    Pustejovsky & Tipton (2018), Journal of Business & Economic Statistics 36, 672-683.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> fit.get_robustcov_results(groups="Subject").bse_fe.round(3).to_dict()
    {'Intercept': 6.825, 'Days': 1.546}
    """
    if cov_type != "cluster":
        raise ArgumentError(f'cov_type={cov_type!r} is not offered; give "cluster"')
    robustified = self.model.results_of(robust_fit(self.record, groups, kind))
    plain = robustified._results
    plain.ddf, plain.cov_type = "normal", "cluster"
    plain.cov_kwds = {"groups": copy(groups), "kind": kind}
    return robustified


def robust_fit(fitted: Fitted, groups: Any, kind: Kind) -> PLSFit:
    """The fit with a cluster-robust covariance of the fixed effects.

    Parameters
    ----------
    fitted : Fitted
        With the rows of the fit.
    groups : str or array_like of shape (n,)
        A grouping factor of the model, or the cluster of every row.
    kind : {"CR0", "CR2"}
        Without or with the adjustment for few clusters.

    Returns
    -------
    PLSFit
        Its ``vcov_beta`` is the robust one.
    """
    if kind not in ("CR0", "CR2"):
        raise ArgumentError(f'kind={kind!r} is not offered; give "CR0" or "CR2"')
    clusters = cluster_codes(fitted.design, groups)
    fit = fitted.fit
    vcov = cluster_covariance(fitted.design, fit, fitted.criterion, clusters, kind)
    if fit.elsewhere is None:
        return replace(fit, vcov_beta=vcov)
    there = cluster_covariance(fitted.design, fitted.elsewhere.fit, fitted.criterion, clusters, kind)
    known = np.where(matrices_agree(vcov, there), vcov, np.nan)
    other = replace(fit.elsewhere, vcov_here=vcov, vcov_there=there)
    return replace(fit, vcov_beta=known, elsewhere=other)


def cluster_codes(design: Design, groups: Any) -> IntArray:
    """Cluster of every row, as codes.

    Parameters
    ----------
    design : Design
        Of the fit.
    groups : str, Series or array_like of shape (n,)
        A grouping factor of the model, or values.

    Returns
    -------
    ndarray of int, shape (n,)
    """
    if isinstance(groups, str):
        names = [labels.name for labels in design.factor_labels]
        if groups not in names:
            raise DesignError(
                f"groups={groups!r} is no grouping factor of the model; those are {names!r}. Give one of "
                "them, or an array with the cluster of every row"
            )
        return design.factors[names.index(groups)].codes
    values = aligned(groups, "groups", design.index) if isinstance(groups, pd.Series) else groups
    codes, _ = pd.factorize(np.asarray(values))
    if codes.shape != design.index.shape:
        raise DesignError(
            f"groups= has shape {codes.shape}; wanted the cluster of each of the {len(design.index)} rows"
        )
    if (codes < 0).any():
        raise MissingValuesError("groups= has missing values; every row must belong to a cluster")
    return np.asarray(codes, dtype=np.intp)


def cluster_covariance(
    design: Design, fit: PLSFit, criterion: ProfiledCriterion, clusters: IntArray, kind: Kind
) -> FloatArray:
    """Sandwich covariance of the fixed effects.

    Parameters
    ----------
    design, fit, criterion : Design, PLSFit, ProfiledCriterion
        The fit, with its rows.
    clusters : ndarray of int, shape (n,)
        Cluster of every row.
    kind : {"CR0", "CR2"}
        CR2 is unbiased if the model is true.

    Returns
    -------
    ndarray of shape (p, p)

    Notes
    -----
    ``M [sum_g H_g' A_g r_g r_g' A_g' H_g] M`` with ``H = V0^-1 X``, marginal residuals r and
    ``M = (X' V0^-1 X)^-1``.  For CR2 ``A_g = D' B^{+1/2} D``, ``B = D (V_g - X_g M X_g') D'`` and
    ``V_g = D' D`` (Pustejovsky & Tipton 2018, Journal of Business & Economic Statistics 36, eq. 10, with
    the model's own covariance as the working one).  With crossed factors the weights V0^-1 reach over
    the clusters; the residuals are taken as independent between them.
    """
    p = criterion.cp.p
    at = criterion.decompose(criterion.relcov.to_basis @ fit.theta)
    rows = rows_of(criterion, *design.arrays, **design.weighting)
    root = np.ones(len(clusters)) if design.weights is None else np.sqrt(design.weights)
    H = (rows.Qy[:, :p] - rows.times(at.TB[:, :p])) * root[:, None]
    residual = design.y - design.X @ fit.beta
    residual = residual if design.offset is None else residual - design.offset
    M = inverse_from_upper(at.R[:p, :p])
    scores = []
    for own in _members(clusters):
        r = residual[own]
        if kind == "CR2":
            columns = rows.take(own)
            V = np.diag(1.0 / root[own] ** 2)
            for codes, values, Lambda in zip(columns.codes, columns.columns, at.Lambda, strict=True):
                half = (values / root[own, None]) @ Lambda
                V += (half @ half.T) * (codes[:, None] == codes)
            r = _adjustment(V, columns.Qy[:, :p] / root[own, None], M) @ r
        scores.append(H[own].T @ r)
    half = np.array(scores) @ M
    return criterion.basis.vcov(half.T @ half)


def _members(clusters: IntArray) -> Iterator[IntArray]:
    order = np.argsort(clusters, kind="stable")
    ends = np.flatnonzero(np.diff(clusters[order])) + 1
    yield from np.split(order, ends)


def _adjustment(V: FloatArray, X: FloatArray, M: FloatArray) -> FloatArray:
    if len(V) > LARGEST:
        raise DesignError(
            f'a cluster has {len(V)} rows; kind="CR2" takes at most {LARGEST}. Use kind="CR0", which needs '
            "no correction with clusters that large"
        )
    D = np.linalg.cholesky(V).T
    values, vectors = np.linalg.eigh(D @ (V - X @ M @ X.T) @ D.T)
    positive = values > 1e-10 * values[-1]
    root = (vectors[:, positive] / np.sqrt(values[positive])) @ vectors[:, positive].T
    return np.asarray(D.T @ root @ D)
