"""What a fit says of rows: linear predictor and its uncertainty, means over random effects, draws, residuals.

The uncertainty of ``eta^ = x'beta^ + z'b^`` has two parts: that of b given the parameters, ``z'T z``, and
that of the parameters, on which the modes depend as well: ``J Sigma J'`` with ``J = d eta^ / d(theta, beta,
psi)`` (Kass & Steffey 1989; Henderson 1975 where theta is taken as known).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from interlace.arrays import BoolArray, FloatArray, IntArray
from interlace.errors import ArgumentError
from interlace.pls.elsewhere import agree
from interlace.pls.matrices.relcov import lower_factor
from interlace.pls.matrices.terms import RandomTerm
from interlace.pls.matrices.triangular import upper_solve_right
from interlace.pls.rows.predictive import quadratic_forms
from interlace.pls.rows.weighted import Rows

from .fit import Kind, LaplaceFit, _inverse

Residual = Literal["response", "pearson", "deviance", "quantile"]
# A probability of 0 or 1 in floating point has no normal quantile.
LEAST = 1e-300


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows to predict, in the order and columns in which the model was given.

    Attributes
    ----------
    codes : sequence of ndarray of int, shape (n,)
        Level of each row, per factor; -1 where it has not been seen.
    terms : sequence of RandomTerm
        As the model's, with the rows' ``Xi``.
    X : ndarray of shape (n, p)
        Fixed-effects columns.
    offset : ndarray of shape (n,), or None
        Known part of eta.
    """

    codes: Sequence[IntArray]
    terms: Sequence[RandomTerm]
    X: FloatArray
    offset: FloatArray | None = None

    @property
    def fixed_offset(self) -> FloatArray:
        """The offset, or zeros."""
        return np.zeros(len(self.X)) if self.offset is None else self.offset

    def known(self, term: RandomTerm) -> BoolArray:
        """Rows whose level of the term's factor has been seen."""
        return np.asarray(self.codes[term.factor] >= 0)


def linear_predictor(fit: LaplaceFit, rows: NewRows, *, random: bool = True) -> FloatArray:
    """``x'beta + offset``, and ``z'b`` if asked for; levels not seen have b = 0.

    NaN where the data do not determine it: with the effects of one of two factors that are one.

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    rows : NewRows
        Rows to predict.
    random : bool
        Whether the conditional modes are added.

    Returns
    -------
    ndarray of shape (n,)
    """
    here = _linear(fit, fit.b, rows, random=random)
    if fit.elsewhere is None or not random:
        return here
    there = _linear(fit, fit.elsewhere.b, rows, random=random)
    return np.where(agree(here, there, 1.0), here, np.nan)


def _linear(fit: LaplaceFit, modes: Sequence[FloatArray], rows: NewRows, *, random: bool) -> FloatArray:
    eta = rows.X @ fit.beta + rows.fixed_offset
    if random:
        for term, b in zip(rows.terms, modes, strict=True):
            own = np.where(rows.known(term)[:, None], b[rows.codes[term.factor]], 0.0)
            eta = eta + (term.Xi * own).sum(axis=1)
    return np.asarray(eta)


def random_variance(fit: LaplaceFit, rows: NewRows, *, unseen: bool = False) -> FloatArray:
    """``z'Sigma z``: variance of eta over the random effects, of all levels or of those not seen, (n,)."""
    total = np.zeros(len(rows.X))
    for term, Sigma in zip(rows.terms, fit.Sigma, strict=True):
        own = np.einsum("na,ab,nb->n", term.Xi, Sigma, term.Xi)
        total += np.where(rows.known(term), 0.0, own) if unseen else own
    return total


def marginal_mean(fit: LaplaceFit, rows: NewRows) -> FloatArray:
    """Mean response integrated over all random effects, of one trial, (n,)."""
    eta = linear_predictor(fit, rows, random=False)
    return fit.family.marginal_mean(eta, random_variance(fit, rows), fit.psi)


def linear_variance(
    fit: LaplaceFit, rows: NewRows, *, random: bool = True, kind: Kind = "full"
) -> FloatArray:
    """Variance of the estimated linear predictor, shape (n,).

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    rows : NewRows
        Rows to predict. Levels not seen contribute their whole variance if ``random``.
    random : bool
        Whether the linear predictor has the conditional modes in it.
    kind : {"full", "working"}
        With the uncertainty of theta and psi, or those taken as known.

    Returns
    -------
    ndarray of shape (n,)
    """
    m, p = fit.problem.criterion.m, fit.p
    Sigma = fit.basis_vcov
    if kind == "working":
        now = fit.slopes
        Sigma = np.zeros_like(now.hessian)
        Sigma[m : m + p, m : m + p] = 2.0 * _inverse(now.hessian[m : m + p, m : m + p])
    J, own = sensitivity(fit, rows, random=random)
    return np.asarray(np.einsum("ni,ij,nj->n", J, Sigma, J) + own)


def sensitivity(fit: LaplaceFit, rows: NewRows, *, random: bool) -> tuple[FloatArray, FloatArray]:
    """How the linear predictor depends on the parameters, and its variance given them.

    Parameters
    ----------
    fit, rows, random
        As in `linear_variance`.

    Returns
    -------
    J : ndarray of shape (n, m + p + k)
        Derivatives by all parameters in the bases, whose covariance is ``fit.basis_vcov``.
    variance : ndarray of shape (n,)
        Of the random effects given the parameters.
    """
    m, p = fit.problem.criterion.m, fit.p
    now, own = fit.slopes, _in_bases(fit, rows)
    J = own.times(now.b_dot) if random else np.zeros((own.n, m + p + fit.problem.criterion.k))
    J[:, m : m + p] += own.Qy[:, :p]
    if not random:
        return J, np.zeros(own.n)
    fit.refreshed()
    factorization = fit.problem.criterion.weighted.factorization
    return J, quadratic_forms(factorization, own) + random_variance(fit, rows, unseen=True)


def _in_bases(fit: LaplaceFit, rows: NewRows) -> Rows:
    """The rows in the criterion's bases and order of factors; zeros where a level is not known."""
    relcov, problem = fit.problem.criterion.relcov, fit.problem
    n = len(rows.X)
    columns = [np.zeros((n, K)) for K in relcov.layout.K]
    places = zip(relcov.term_factor, relcov.term_start, relcov.term_inverses, strict=True)
    for term, (f, start, inverse) in zip(rows.terms, places, strict=True):
        own = (term.Xi @ inverse) * rows.known(term)[:, None]
        columns[f][:, start : start + term.k] = own
    return Rows(
        layout=relcov.layout,
        codes=tuple(np.maximum(rows.codes[f], 0) for f in problem.factor_order),
        columns=tuple(columns),
        Qy=np.column_stack([upper_solve_right(rows.X, problem.R), np.zeros(n)]),
        log_weights=None,
    )


def draws(
    fit: LaplaceFit,
    rows: NewRows,
    rng: np.random.Generator,
    *,
    trials: FloatArray | None = None,
    conditional: bool = False,
) -> FloatArray:
    """A response for every row, from the fitted model.

    Parameters
    ----------
    fit : LaplaceFit
        The fit.
    rows : NewRows
        Rows; with ``conditional`` levels not seen have b = 0.
    rng : numpy.random.Generator
        Source of chance.
    trials : ndarray of shape (n,), optional
        Trials of binomial rows.
    conditional : bool
        Whether the random effects are the conditional modes, or drawn anew for every level.

    Returns
    -------
    ndarray of shape (n,)
    """
    eta = linear_predictor(fit, rows, random=conditional)
    if not conditional:
        for term, Sigma, b in zip(rows.terms, fit.Sigma, fit.b, strict=True):
            codes = rows.codes[term.factor]
            levels = max(len(b), int(codes.max(initial=-1)) + 1)
            drawn = rng.standard_normal((levels + 1, term.k)) @ lower_factor(_root(Sigma)).T
            eta = eta + (term.Xi * drawn[codes]).sum(axis=1)
    m = np.ones(len(eta)) if trials is None else trials
    return fit.family.draw(rng, m, eta, fit.psi)


def _root(Sigma: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(Sigma)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def residuals(
    fit: LaplaceFit,
    eta: FloatArray,
    y: FloatArray,
    kind: Residual,
    *,
    trials: FloatArray | None = None,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """Residuals given a linear predictor, shape (n,).

    Parameters
    ----------
    fit : LaplaceFit
        The fit: its family and psi.
    eta, y : ndarray of shape (n,)
        Linear predictor and response.
    kind : {"response", "pearson", "deviance", "quantile"}
        ``y - E y``; over the standard deviation; signed root of the lacking log-likelihood; normal quantile
        of the distribution function, drawn uniformly within its jump at y (Dunn & Smyth 1996).
    trials : ndarray of shape (n,), optional
        Trials of binomial rows.
    rng : numpy.random.Generator, optional
        For quantile residuals.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        For another kind, or quantile residuals without ``rng``.
    """
    family, psi = fit.family, fit.psi
    m = np.ones(len(y)) if trials is None else trials
    if kind == "response":
        return np.asarray(y - m * family.mean(eta, psi))
    if kind == "pearson":
        return family.pearson(y, m, eta, psi)
    if kind == "deviance":
        return family.deviance_residuals(y, m, eta, psi)
    if kind != "quantile" or rng is None:
        raise ArgumentError(
            f"kind={kind!r}, rng={rng!r}; wanted response, pearson, deviance, or quantile with a generator."
        )
    before, at = family.cumulative(y, m, eta, psi)
    u = before + rng.uniform(size=len(y)) * (at - before)
    return np.asarray(special.ndtri(np.clip(u, LEAST, 1.0 - 2.0**-53)))
