"""Second-order information: expected information of the covariance, and the exact Hessian.

The variance ``V0 = W^-1 + Z D Z'`` is linear in the entries of ``D = Lambda Lambda'``.  For entry j
let ``E_j`` be its symmetric unit matrix, the same for every level of a factor.  With

    N0 = Z' V0^-1 Z = A - A T A,      L = Z' V0^-1 X R_X^-1      (R_X' R_X = X' V0^-1 X)

every trace that REML, Satterthwaite and Kenward & Roger need is a trace over the q columns of Z:

    tr(V0^-1 V_j V0^-1 V_k) = tr(N0 E_j N0 E_k),
    X' V0^-1 V_j V0^-1 V_k V0^-1 X  ~  L' E_j N0 E_k L,

and the projection off X is the low-rank correction ``N = N0 - L L'``.  No matrix has n rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.pls.factor.level_sums import level_sums
from interlace.pls.matrices.relcov import RelativeCovariance
from interlace.pls.matrices.triangular import upper_solve, upper_solve_right

from .criterion import Decomposition, ProfiledCriterion
from .derivatives import Derivatives


@dataclass(frozen=True, eq=False)
class FixedEffectsInformation:
    """How the covariance of the fixed effects depends on the entries of D; coordinates as below.

    Attributes
    ----------
    P : ndarray of shape (m, p, p)
        ``L' E_j L``.
    root : ndarray of shape (p, p)
        H such that ``H H' = (X' V0^-1 X)^-1`` on the user's columns: a contrast c becomes ``H' c``.
    """

    P: FloatArray
    root: FloatArray


@dataclass(frozen=True, eq=False)
class EntryInformation(FixedEffectsInformation):
    """Traces and cross-products of the entries of D, at one value of the parameters.

    Entry j is that of the covariance parameter j: row and column of the same place in D.  All is in the
    orthonormal bases and for ``sigma = 1``; the fixed effects are in coordinates in which
    ``X' V0^-1 X`` is the identity.

    Attributes
    ----------
    pairs : ndarray of shape (m, m)
        ``tr(N0 E_j N0 E_k)``.
    trace : ndarray of shape (m,)
        ``tr(N0 E_j)``.
    P, root : ndarray
        As in `FixedEffectsInformation`.
    Q : ndarray of shape (m, m, p, p)
        ``L' E_j N0 E_k L``.
    """

    pairs: FloatArray
    trace: FloatArray
    Q: FloatArray

    @property
    def pairs_projected(self) -> FloatArray:
        """``tr(N E_j N E_k)``: the expected information of REML, doubled; shape (m, m)."""
        return np.asarray(
            self.pairs
            - 2.0 * np.einsum("jkaa->jk", self.Q)
            + np.einsum("jab,kba->jk", self.P, self.P, optimize=True)
        )

    @property
    def trace_projected(self) -> FloatArray:
        """``tr(N E_j)``, shape (m,)."""
        return np.asarray(self.trace - np.einsum("jaa->j", self.P))


def entry_information(criterion: ProfiledCriterion, at: Decomposition) -> EntryInformation:
    """Traces and cross-products where the criterion was evaluated *last*.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.
    at : Decomposition
        Its last evaluation, without a gauge.

    Returns
    -------
    EntryInformation

    Notes
    -----
    The cost is that of the sums over pairs of levels, see `level_sums`.
    """
    relcov, p = criterion.relcov, criterion.cp.p
    fixed, EL = _fixed_effects(criterion, at)
    flat = EL.reshape(relcov.layout.q, -1)
    Q = (flat.T @ _times_N0(criterion, flat)).reshape(relcov.m, p, relcov.m, p)
    return EntryInformation(
        pairs=_pairs(criterion, at),
        trace=_traces(relcov, criterion.factorization.information()),
        P=fixed.P,
        Q=np.ascontiguousarray(Q.transpose(0, 2, 1, 3)),
        root=fixed.root,
    )


def fixed_effects_information(criterion: ProfiledCriterion, at: Decomposition) -> FixedEffectsInformation:
    """How the fixed effects' covariance depends on the entries of D, at any evaluation without a gauge.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.
    at : Decomposition
        The evaluation.

    Returns
    -------
    FixedEffectsInformation
    """
    return _fixed_effects(criterion, at)[0]


def _fixed_effects(
    criterion: ProfiledCriterion, at: Decomposition
) -> tuple[FixedEffectsInformation, FloatArray]:
    """The same, and the ``E_j L``, (q, m, p)."""
    relcov, p = criterion.relcov, criterion.cp.p
    R = at.R[:p, :p]
    L = upper_solve_right(criterion.cp.B[:, :p] - criterion.cp.A @ at.TB[:, :p], R)
    EL = np.stack([_unit_times(relcov, j, L) for j in range(relcov.m)], axis=1)
    root = upper_solve(criterion.basis.R, upper_solve(R, np.eye(p)))
    return FixedEffectsInformation(P=np.einsum("qa,qjb->jab", L, EL, optimize=True), root=root), EL


def _times_N0(criterion: ProfiledCriterion, B: FloatArray) -> FloatArray:
    if B.shape[1] == 0:
        return B
    AB = criterion.cp.A @ B
    return np.asarray(AB - criterion.cp.A @ criterion.factorization.conditional(AB))


def _unit_times(relcov: RelativeCovariance, j: int, B: FloatArray) -> FloatArray:
    """E_j B."""
    f, a, b = relcov.factor[j], relcov.row[j], relcov.col[j]
    out = np.zeros(B.shape)
    source, target = relcov.layout.by_level(B, f), relcov.layout.by_level(out, f)
    target[:, a] = source[:, b]
    target[:, b] = source[:, a]
    return out


def _traces(relcov: RelativeCovariance, sums: list[FloatArray]) -> FloatArray:
    """tr(N0 E_j) from the sums over levels of the diagonal blocks of N0."""
    traces = np.empty(relcov.m)
    for f, own in enumerate(relcov.of_factor):
        traces[own] = relcov.traces(sums[f], f)
    return traces


def _pairs(criterion: ProfiledCriterion, at: Decomposition) -> FloatArray:
    """tr(N0 E_j N0 E_k) for all pairs of entries."""
    relcov = criterion.relcov
    pairs = np.empty((relcov.m, relcov.m))
    sums = level_sums(criterion.cp, relcov.layout, at.Lambda, lambda B: _times_N0(criterion, B))
    for (f, g), T in sums.items():
        own, other = relcov.of_factor[f], relcov.of_factor[g]
        pairs[np.ix_(own, other)] = _contracted(relcov, T, own, other)
        pairs[np.ix_(other, own)] = pairs[np.ix_(own, other)].T
    return pairs


def _contracted(relcov: RelativeCovariance, T: FloatArray, own: IntArray, other: IntArray) -> FloatArray:
    """Sum over levels l, m of tr(N_ml E_j N_lm E_k) from T[a, c, b, d] = sum of N_lm[a, c] N_lm[b, d]."""
    a, b = relcov.row[own][:, None], relcov.col[own][:, None]
    c, d = relcov.row[other], relcov.col[other]
    # E_j has the entries (a, b) and (b, a), which are one entry on the diagonal.
    total = T[a, c, b, d] + T[a, d, b, c] + T[b, c, a, d] + T[b, d, a, c]
    halves = np.where(relcov.diagonal, 0.5, 1.0)
    return np.asarray(total * halves[own][:, None] * halves[other])


# ---- derivatives by theta and sigma -------------------------------------------------------------


def entries_by_theta(relcov: RelativeCovariance, phi: FloatArray) -> FloatArray:
    """Derivatives of the entries of D by theta, shape (m, m): row e holds that of entry e.

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi : ndarray of shape (m,)
        Basis parameters at which to differentiate.

    Returns
    -------
    ndarray of shape (m, m)
        ``D = Lambda Lambda'`` gives ``dD = e_a Lambda_c' + Lambda_c e_a'`` for the entry (a, c) of Lambda.
    """
    place = {
        (f, a, b): e
        for e, (f, a, b) in enumerate(
            zip(relcov.factor.tolist(), relcov.row.tolist(), relcov.col.tolist(), strict=True)
        )
    }
    by_phi = np.zeros((relcov.m, relcov.m))
    for (f, a, c), j in place.items():
        for (g, b, column), k in place.items():
            if g == f and column == c:  # Lambda[b, c] is phi[k]
                entry = place[f, max(a, b), min(a, b)]
                by_phi[entry, j] += phi[k] * (2.0 if a == b else 1.0)
    return by_phi @ relcov.to_basis


def hessian_varpar(
    criterion: ProfiledCriterion, at: Decomposition, now: Derivatives, entries: EntryInformation
) -> FloatArray:
    """Exact Hessian of the deviance in (theta, sigma), sigma not profiled out.

    Parameters
    ----------
    criterion : ProfiledCriterion
        The criterion.
    at, now, entries : Decomposition, Derivatives, EntryInformation
        The evaluation, its derivatives and its information, all at the same parameters, without a gauge.

    Returns
    -------
    ndarray of shape (m + 1, m + 1)
        Of ``log |V0| + log |X'V0^-1 X| + r^2 / sigma^2 + nu log(2 pi sigma^2)`` (the second term for REML).

    Notes
    -----
    With S the score matrices, ``w_j = dD_j Z'e`` and N0 in the place of N for ML,

        d2 = 2 w_j' N w_k / sigma^2 - tr(N dD_j N dD_k) + tr(S d2D_jk).
    """
    relcov = criterion.relcov
    curvature = _score_curvature(relcov, now.scores)
    by_theta = entries_by_theta(relcov, at.phi)
    pairs = entries.pairs_projected if criterion.reml else entries.pairs
    average = average_hessian_varpar(criterion, at, now)
    H = 2.0 * average
    H[:-1, :-1] -= relcov.to_basis.T @ curvature @ relcov.to_basis + by_theta.T @ pairs @ by_theta
    H[:, -1], H[-1] = average[:, -1], average[-1]
    return H


def average_hessian_varpar(criterion: ProfiledCriterion, at: Decomposition, now: Derivatives) -> FloatArray:
    """Hessian of the deviance in (theta, sigma) by average information, which takes no traces of pairs.

    Parameters
    ----------
    criterion, at, now
        As in `hessian_varpar`.

    Returns
    -------
    ndarray of shape (m + 1, m + 1)
        The mean of observed and expected information, plus what the scores contribute (Gilmour, Thompson &
        Cullis 1995, Biometrics 51). At a large sample's optimum all of these agree.
    """
    relcov, nu = criterion.relcov, criterion.nu
    m, sigma2 = relcov.m, at.pwrss / nu
    c = -now.pwrss_gradient / sigma2
    sigma = np.sqrt(sigma2) * criterion.basis.scale
    H = np.empty((m + 1, m + 1))
    H[:m, :m] = relcov.to_basis.T @ (now.hessian + np.outer(c, c) / nu) @ relcov.to_basis
    # r^2 / sigma^2 has slope -c in theta; sigma enters by its square.
    H[:m, m] = H[m, :m] = 2.0 * (relcov.to_basis.T @ c) / sigma
    H[m, m] = 4.0 * nu / sigma**2
    return H


def _score_curvature(relcov: RelativeCovariance, scores: list[FloatArray]) -> FloatArray:
    """tr(S d2D_jk) = 2 S[a, a'] for two entries (a, c), (a', c) of one column of Lambda."""
    curvature = np.zeros((relcov.m, relcov.m))
    for f, own in enumerate(relcov.of_factor):
        row = relcov.row[own]
        curvature[np.ix_(own, own)] = 2.0 * scores[f][row[:, None], row]
    return np.asarray(curvature * relcov.same_column)


def vcov_beta_gradient(entries: FixedEffectsInformation, by_theta: FloatArray, sigma: float) -> FloatArray:
    """Derivatives of cov(beta) by (theta, sigma), shape (m + 1, p, p).

    Parameters
    ----------
    entries : FixedEffectsInformation
        At the parameters wanted.
    by_theta : ndarray of shape (m, m)
        From `entries_by_theta`.
    sigma : float
        Residual standard deviation.

    Returns
    -------
    ndarray of shape (m + 1, p, p)
        ``sigma^2 H (L' dD_j L) H'``, and ``2 sigma H H'`` for sigma.
    """
    H = entries.root
    by_entry = H @ entries.P @ H.T
    out = np.empty((len(by_entry) + 1, *H.shape))
    out[:-1] = sigma**2 * np.einsum("ej,eab->jab", by_theta, by_entry)
    out[-1] = 2.0 * sigma * H @ H.T
    return out


__all__ = [
    "EntryInformation",
    "FixedEffectsInformation",
    "average_hessian_varpar",
    "entries_by_theta",
    "entry_information",
    "fixed_effects_information",
    "hessian_varpar",
    "vcov_beta_gradient",
]
