"""Which covariance parameters the data determine, whatever the response.

The covariance of the rows is linear in sigma^2 and in the entries d_e of ``sigma^2 D``, D being
``Lambda Lambda'``,

    V = sigma^2 W^-1 + sum_e d_e Z E_e Z',

and REML sees it through the projector M off the columns of X only.  Along a combination c of these
parameters with ``M (c_0 W^-1 + sum_e c_e Z E_e Z') M = 0`` the criterion is flat for every response: if X
spans the columns of a random-effects term, or if two grouping factors are one.  For maximum likelihood M is
the identity.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from interlace.arrays import BoolArray, FloatArray, IntArray

from .crossproducts import CrossProducts
from .relcov import RelativeCovariance, lower_factor

# Share of its size without X below which an image is rounding errors: it is of fourth order in the angle
# between a column of Z and those of X.
NOTHING = 1e-11
# An entry of a direction below this share of the largest is none.
NO_PART = 1e-6
# Halvings of a move before a direction is called closed by the boundary.
HALVINGS = 12
# So that one move does not take another back.
SHORTER = 0.37


def undetermined(cp: CrossProducts, relcov: RelativeCovariance, *, reml: bool) -> FloatArray:
    """Combinations of covariance parameters that the criterion does not depend on.

    Parameters
    ----------
    cp : CrossProducts
        The data.
    relcov : RelativeCovariance
        Where each parameter stands.
    reml : bool
        REML or maximum likelihood.

    Returns
    -------
    ndarray of shape (m + 1, r)
        Columns span the combinations of the entries of ``sigma^2 D``, on the orthonormal bases in the order
        of the parameters, and last sigma^2; r is 0 for an ordinary model.

    Notes
    -----
    The combinations are those that take random vectors to zero, vector after vector until nothing more is
    ruled out. For an ordinary model the first one rules out all.
    """
    q, m, nu = relcov.layout.q, relcov.m, cp.n - cp.p if reml else cp.n
    L = cp.B[:, : cp.p] if reml else cp.B[:, :0]
    rng = np.random.default_rng(20)
    z = rng.standard_normal(q)
    size = _sizes(relcov, _images(cp, relcov, L[:, :0], z))
    # sigma^2 can take part only if Z, off X, spans all that X leaves; the traces tell whether it does.
    found = np.eye(m + 1)[:, : m + int(q >= nu)]
    trace = np.append(_traces(cp, relcov, L), nu) / size
    while found.shape[1]:
        rows = np.vstack([_images(cp, relcov, L, z) / size, trace / np.abs(trace).max()])
        rows = rows[:-1] if q < nu else rows
        _, values, Vt = linalg.svd(rows @ found)
        kept = Vt[int((values > NOTHING).sum()) :].T
        if kept.shape[1] == found.shape[1]:
            break
        found, z = found @ kept, rng.standard_normal(q)
    return _tidy(relcov, found / size[:, None])


def _sizes(relcov: RelativeCovariance, images: FloatArray) -> FloatArray:
    """How large images are that nothing cancels, (m + 1,): for a covariance by its variances."""
    norms = np.linalg.norm(images, axis=0)
    norms[norms == 0.0] = norms.max()
    variance = {
        (f, a): norms[e]
        for e, (f, a, b) in enumerate(zip(relcov.factor, relcov.row, relcov.col, strict=True))
        if a == b
    }
    places = zip(relcov.factor, relcov.row, relcov.col, strict=True)
    return np.append([np.sqrt(variance[f, a] * variance[f, b]) for f, a, b in places], norms[-1])


def _images(cp: CrossProducts, relcov: RelativeCovariance, L: FloatArray, z: FloatArray) -> FloatArray:
    """``N E_e N z`` for every entry and, last, ``N z``, with ``N = Z'M Z = A - L L'``; shape (q, m + 1)."""
    u = cp.A @ z - L @ (L.T @ z)
    moved = np.zeros((len(z), relcov.m))
    for e, (f, a, b) in enumerate(zip(relcov.factor, relcov.row, relcov.col, strict=True)):
        source = relcov.layout.by_level(u[:, None], f)[:, :, 0]
        target = relcov.layout.by_level(moved, f)[:, :, e]
        target[:, a] = source[:, b]
        target[:, b] = source[:, a]
    return np.column_stack([cp.A @ moved - L @ (L.T @ moved), u])


def _traces(cp: CrossProducts, relcov: RelativeCovariance, L: FloatArray) -> FloatArray:
    """``tr(N E_e)``, shape (m,)."""
    traces = np.empty(relcov.m)
    for e, (f, a, b) in enumerate(zip(relcov.factor, relcov.row, relcov.col, strict=True)):
        first = relcov.layout.starts[f] + np.arange(relcov.layout.n_levels[f]) * relcov.layout.K[f]
        diagonal = np.asarray(_entries(cp, first + a, first + b)) - (L[first + a] * L[first + b]).sum(axis=1)
        traces[e] = float(diagonal.sum()) * (1.0 if a == b else 2.0)
    return traces


def _entries(cp: CrossProducts, rows: IntArray, columns: IntArray) -> FloatArray:
    return np.asarray(cp.A[rows, columns]).ravel()


def _tidy(relcov: RelativeCovariance, directions: FloatArray) -> FloatArray:
    """The same span by columns that have as few parts as possible on the columns of the user."""
    r = directions.shape[1]
    if not r:
        return directions
    raw = _raw(relcov)
    own = np.asarray(raw @ directions)
    _, _, order = linalg.qr(own.T, mode="economic", pivoting=True)
    tidy = np.asarray(linalg.solve(own[order[:r]].T, own.T).T)
    tidy = np.where(np.abs(tidy) > NO_PART * np.abs(tidy).max(axis=0), tidy, 0.0)
    return np.asarray(linalg.solve(raw, tidy))


def _raw(relcov: RelativeCovariance) -> FloatArray:
    """From entries of D on the bases to those on the user's columns, scaled alike; (m + 1, m + 1)."""
    back = relcov.of_factors(_scaled_inverses(relcov))
    raw = np.eye(relcov.m + 1)
    for e, unit in enumerate(np.eye(relcov.m)):
        moved = [R @ block @ R.T for R, block in zip(back, _blocks(relcov, unit), strict=True)]
        raw[:-1, e] = [moved[g][c, d] for g, c, d in zip(relcov.factor, relcov.row, relcov.col, strict=True)]
    return raw


def moved_along(
    relcov: RelativeCovariance, phi: FloatArray, directions: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Other parameters that differ in undetermined directions only.

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi : ndarray of shape (m,)
        Basis parameters.
    directions : ndarray of shape (m + 1, r)
        From `undetermined`.

    Returns
    -------
    phi : ndarray of shape (m,)
        Moved along every direction that the boundary leaves open.
    open : ndarray of shape (m + 1, r')
        Those directions. A variance of zero that can only be exchanged for a negative one is determined.
    factor : float
        What sigma^2 is multiplied by.
    """
    D = [block @ block.T for block in relcov.Lambda(phi)]
    residual, free = 1.0, list[FloatArray]()
    upwards = [(c, 1.0) for c in _upwards(relcov, directions)]
    still = [*upwards, *((c, SHORTER) for c in directions.T)]
    for _ in range(2):  # a move along one direction may open another
        closed = []
        for c, share in still:
            found = _moved(relcov, D, residual, c / np.abs(c).max(), share)
            if found is None:
                closed.append((c, share))
            else:
                (D, residual), free = found, [*free, c]
        still = closed
    root = [linalg.eigh(block / residual) for block in relcov.of_terms(D)]
    factors = [lower_factor(U * np.sqrt(np.maximum(s, 0.0))) for s, U in root]
    return relcov.pack(factors), _spanned(directions, free), residual


def _upwards(relcov: RelativeCovariance, directions: FloatArray) -> list[FloatArray]:
    """What larger variances of each term are along the directions: at a boundary they alone may be open."""
    raw = _raw(relcov)
    own = linalg.orth(raw @ directions)
    found = []
    for place in relcov.term_slices:
        larger = np.zeros(relcov.m + 1)
        larger[place] = relcov.diagonal[place]
        along = own @ (own.T @ larger)
        if np.linalg.norm(along) > NO_PART:
            found.append(np.asarray(linalg.solve(raw, along)))
    return found


def _spanned(directions: FloatArray, free: list[FloatArray]) -> FloatArray:
    """Those of the directions that moves took, or took part in."""
    if not free:
        return directions[:, :0]
    coefficients = linalg.lstsq(directions, np.array(free).T)[0]
    part = np.abs(coefficients).max(axis=1)
    return directions[:, part > NO_PART * part.max()]


def _moved(
    relcov: RelativeCovariance, D: list[FloatArray], residual: float, c: FloatArray, share: float
) -> tuple[list[FloatArray], float] | None:
    """The longest of some moves, either way, that leaves covariance matrices; None if none does."""
    E = _blocks(relcov, c[:-1])
    touched = [np.abs(block).max() for block, own in zip(D, E, strict=True) if own.any()]
    length = share * (1.0 + max(touched, default=0.0))
    for halvings in range(HALVINGS):
        for sign in (1.0, -1.0):
            t = sign * length / 2.0**halvings
            tried, left = [block + t * own for block, own in zip(D, E, strict=True)], residual + t * c[-1]
            if left > 0.1 * residual and all(map(_is_covariance, relcov.of_terms(tried))):
                return tried, left
    return None


def _is_covariance(block: FloatArray) -> bool:
    return float(np.linalg.eigvalsh(block)[0]) >= -1e-12 * max(1.0, float(np.abs(block).max()))


def on_columns(relcov: RelativeCovariance, phi: FloatArray) -> tuple[FloatArray, ...]:
    """``D`` of each term on the user's columns scaled to mean square 1, (k, k).

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi : ndarray of shape (m,)
        Basis parameters.

    Returns
    -------
    tuple of ndarray of shape (k, k)
    """
    halves = (R @ block for R, block in zip(_scaled_inverses(relcov), relcov.term_blocks(phi), strict=True))
    return tuple(half @ half.T for half in halves)


def _scaled_inverses(relcov: RelativeCovariance) -> list[FloatArray]:
    """From the bases of the terms to the user's columns, these scaled to mean square 1, (k, k)."""
    return [R * np.linalg.norm(np.linalg.inv(R), axis=0)[:, None] for R in relcov.term_inverses]


def _blocks(relcov: RelativeCovariance, entries: FloatArray) -> list[FloatArray]:
    """Symmetric matrices of each factor, (K, K), from their entries."""
    lower = relcov.Lambda(entries)
    return [block + np.tril(block, -1).T for block in lower]


def flat_projector(
    relcov: RelativeCovariance, phi: FloatArray, directions: FloatArray, entries_by_phi: FloatArray
) -> FloatArray:
    """Projector off the moves of (phi, log sigma) that change undetermined combinations only.

    Parameters
    ----------
    relcov : RelativeCovariance
        The template of Lambda.
    phi : ndarray of shape (m,)
        Basis parameters.
    directions : ndarray of shape (m + 1, r)
        From `undetermined`.
    entries_by_phi : ndarray of shape (m, m)
        Derivatives of the entries of D.

    Returns
    -------
    ndarray of shape (m + 1, m + 1)
    """
    D = [block @ block.T for block in relcov.Lambda(phi)]
    m = relcov.m
    J = np.zeros((m + 1, m + 1))
    J[:m, :m] = entries_by_phi
    J[:m, m] = [2.0 * D[f][a, b] for f, a, b in zip(relcov.factor, relcov.row, relcov.col, strict=True)]
    J[m, m] = 2.0
    basis = linalg.orth(directions)
    flat = linalg.null_space(J - basis @ (basis.T @ J), rcond=1e-9)
    P = np.eye(m + 1) - flat @ flat.T
    return np.where(np.abs(P) > 1e-9, P, 0.0)


def changes_covariance(cp: CrossProducts, relcov: RelativeCovariance, directions: FloatArray) -> BoolArray:
    """Whether the covariance of the rows changes along directions that REML does not see; shape (r,).

    Parameters
    ----------
    cp, relcov : CrossProducts, RelativeCovariance
        The model.
    directions : ndarray of shape (m + 1, r)
        From `undetermined`.

    Returns
    -------
    ndarray of bool, shape (r,)
    """
    z = np.random.default_rng(21).standard_normal(relcov.layout.q)
    images = _images(cp, relcov, cp.B[:, :0], z)
    size = _sizes(relcov, images) @ np.abs(directions)
    changed = np.linalg.norm(images @ directions, axis=0) > NOTHING * size
    return np.asarray(changed | (directions[-1] != 0.0))
