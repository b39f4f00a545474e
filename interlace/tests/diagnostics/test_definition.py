"""Every measure against dense matrices, for cases of any shape: weights, offsets, crossed and nested."""

import warnings

import numpy as np
import pytest
from scipy import linalg

import interlace
from interlace.diagnostics import resid_marginal
from interlace.diagnostics.cases import cases_of
from interlace.diagnostics.fitted_rows import fitted_rows
from interlace.diagnostics.influence import one_step
from interlace.errors import SingularFitWarning
from interlace.fitted import record_of
from interlace.pls.rows import one_step as one_step_module
from interlace.pls.rows import whitening
from interlace.tests.oracle import lower_triangles

# All matrices are of order some hundreds and well conditioned: rounding errors stay below this.
ROUNDING = 1e-9


def frames():
    rng = np.random.default_rng(5)
    sleep = interlace.datasets.load_sleepstudy().sample(frac=1.0, random_state=1)
    sleep = sleep.assign(w=rng.uniform(0.5, 2.0, len(sleep)), known=sleep["Days"] ** 2 / 10.0)
    reading = interlace.datasets.make_reading_times(18, 12, rng=1)
    reading = reading.assign(w=rng.uniform(0.5, 2.0, len(reading)))
    return sleep, reading


SLEEP, READING = frames()
FITS = {
    "weights and offset": lambda: interlace.fit(
        "Reaction ~ Days + (Days | Subject)", SLEEP, weights="w", offset="known"
    ),
    "two terms": lambda: interlace.fit("Reaction ~ Days + (Days || Subject)", SLEEP),
    "crossed": lambda: interlace.fit(
        "rt ~ condition + (condition | subject) + (1 | item)", READING, weights="w"
    ),
    "crossed, CHOLMOD": lambda: interlace.CrossedLMM.from_formula(
        "rt ~ condition + (1 | subject) + (condition | item)", READING
    ).fit(solver="cholmod"),
    "nested": lambda: interlace.fit("strength ~ 1 + (1 | batch/cask)", interlace.datasets.load_pastes()),
    "ML": lambda: interlace.CrossedLMM.from_formula(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin()
    ).fit(reml=False),
}


@pytest.fixture(scope="module", params=FITS)
def fit(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return FITS[request.param]()


def dense(result):
    """V, C, e and P by definition at the estimates."""
    record = record_of(result)
    design, fit = record.design, record.polished
    n = len(design.y)
    V = np.diag(1.0 / (np.ones(n) if design.weights is None else design.weights))
    for term, block in zip(design.terms, lower_triangles(design.terms, fit.theta), strict=True):
        factor = design.factors[term.factor]
        Z = np.einsum("nl,nk->nlk", np.eye(factor.n_levels)[factor.codes], term.Xi).reshape(n, -1)
        V += Z @ np.kron(np.eye(factor.n_levels), block @ block.T) @ Z.T
    V = fit.sigma2 * V
    inverse, X = np.linalg.inv(V), design.X
    C = np.linalg.inv(X.T @ inverse @ X)
    y = design.y if design.offset is None else design.y - design.offset
    e = y - X @ (C @ X.T @ inverse @ y)
    return V, inverse, C, e, inverse - inverse @ X @ C @ X.T @ inverse, X


def by_definition(result, own):
    _, inverse, C, e, P, X = dense(result)
    U = C @ X.T @ inverse[:, own]
    middle = np.linalg.inv(P[np.ix_(own, own)])
    d, deleted, p = U @ middle @ inverse[own] @ e, C + U @ middle @ U.T, len(C)
    return np.concatenate(
        [
            d,
            np.sqrt(np.diag(deleted)),
            [
                d @ np.linalg.solve(C, d) / p,
                d @ np.linalg.solve(deleted, d) / p,
                abs(np.trace(np.linalg.solve(C, deleted)) - p),
                np.linalg.det(deleted) / np.linalg.det(C),
            ],
        ]
    )


def check(result, level):
    record = record_of(result)
    design, fit = record.design, record.polished
    cases = cases_of(design, level, result.model.data.frame)
    step = one_step(fitted_rows(design, fit), cases)
    ours = np.column_stack(
        [step.change, step.se_deleted, step.cooksd, step.mdffits, step.covtrace, step.covratio]
    )
    theirs = np.array([by_definition(result, own) for own in cases.rows()])
    assert (np.abs(ours - theirs) <= ROUNDING * np.abs(theirs).max(axis=0)).all()


def test_observations(fit):
    check(fit, 1)


def test_factors(fit):
    for labels in fit.model.design.factor_labels:
        check(fit, labels.name)


def test_an_arbitrary_partition(fit):
    # Seven parts of very different size, each of rows from everywhere.
    draws = np.random.default_rng(2).choice(7, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.02], size=int(fit.nobs))
    check(fit, draws)


def test_rows_as_cases_of_one_row(fit):
    check(fit, np.arange(int(fit.nobs)))


def test_cases_too_large_for_a_matrix(fit, monkeypatch):
    monkeypatch.setattr(one_step_module, "LARGE_CASE", 0)
    check(fit, np.arange(int(fit.nobs)) % 3)


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
def test_combination_of_a_factor_and_a_column():
    check(FITS["crossed"](), "subject:condition")


def test_cholesky_residuals_in_portions(fit, monkeypatch):
    V, _, _, e, _, _ = dense(fit)
    theirs = linalg.solve_triangular(np.linalg.cholesky(V), e, lower=True)
    for size in (800, 7):
        monkeypatch.setattr(whitening, "DENSE_ROWS", size)
        assert np.abs(resid_marginal(fit, "cholesky") - theirs).max() < 1e-8


def test_leverages_with_weights(fit):
    V, inverse, C, _, _, X = dense(fit)
    record = record_of(fit)
    design, estimates = record.design, record.polished
    n, w = len(design.y), 1.0 if design.weights is None else design.weights
    H1 = X @ C @ X.T @ inverse
    ZDZ = V - np.diag(np.full(n, estimates.sigma2) / w)
    H2 = ZDZ @ inverse @ (np.eye(n) - H1)
    theirs = [np.diag(H1 + H2), np.diag(H1), np.diag(H2), np.diag(ZDZ) * w / estimates.sigma2]
    assert np.abs(interlace.leverage(fit).to_numpy().T - theirs).max() < ROUNDING
