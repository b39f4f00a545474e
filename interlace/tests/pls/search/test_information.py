"""Expected information and exact Hessian, against dense definitions and differences of the gradient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from interlace import CrossedLMM, pls
from interlace.pls.factor import level_sums as sums
from interlace.pls.matrices import crossproducts as storages
from interlace.pls.search.information import _times_N0, entries_by_theta, entry_information
from interlace.report.summary import AVERAGE
from interlace.tests.bank import SMALL
from interlace.tests.fits import fitted


def by_differences(fit):
    """Hessian of the deviance in (theta, sigma): the block in theta by Richardson from the exact gradient."""
    criterion, theta = fit.criterion, fit.theta
    m, sigma2, nu = len(theta), fit.sigma2, fit.criterion.nu

    def pwrss(x):
        return criterion.decompose(criterion.relcov.to_basis @ x).pwrss * criterion.basis.scale**2

    profiled, slope = np.empty((m, m)), np.empty(m)
    for j, unit in enumerate(np.eye(m)):
        step = 1e-3 * max(abs(theta[j]), 0.1 / criterion.relcov.to_basis[j, j])
        near, far = (
            (criterion.gradient(theta + h * unit) - criterion.gradient(theta - h * unit)) / (2 * h)
            for h in (step, 2 * step)
        )
        profiled[j] = (4 * near - far) / 3
        near, far = ((pwrss(theta + h * unit) - pwrss(theta - h * unit)) / (2 * h) for h in (step, 2 * step))
        slope[j] = (4 * near - far) / 3
    H = np.empty((m + 1, m + 1))
    H[:m, :m] = (profiled + profiled.T) / 2 + np.outer(slope, slope) / (sigma2 * fit.pwrss)
    H[:m, m] = H[m, :m] = -2 * slope / sigma2**1.5
    H[m, m] = 4 * nu / sigma2
    return H


@pytest.mark.parametrize("name", [*SMALL, "inst_service"])
def test_hessian_is_the_slope_of_the_gradient(name):
    fit = fitted(name).result.pls_fit
    exact, differences = fit.hessian_varpar(), by_differences(fit)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)).clip(1e-300))
    # Fourth-order differences of a gradient that is good to 1e-11.
    assert_allclose(exact / scale, differences / scale, atol=2e-7)


@pytest.fixture(scope="module")
def crossed():
    rng = np.random.default_rng(0)
    n = 500
    data = pd.DataFrame({c: rng.integers(0, k, n) for c, k in (("a", 40), ("b", 15), ("c", 3))})
    data["x"], data["w"] = rng.normal(size=n), rng.uniform(0.5, 2.0, n)
    random = rng.normal(size=(40, 2))[data.a] + rng.normal(size=(15, 2))[data.b]
    data["y"] = random[:, 0] + data.x * random[:, 1] + np.array([-1.0, 0.0, 1.0])[data.c] + rng.normal(size=n)
    return data


def test_traces_by_definition(crossed):
    """Every member of the information from V0 and the derivatives of V0, all n x n."""
    formula = "y ~ x + (1 + x | a) + (1 + x || b) + (1 | c)"
    result = CrossedLMM.from_formula(formula, crossed, weights="w").fit()
    fit, design = result.pls_fit, result.model.design
    relcov = fit.criterion.relcov
    V0 = np.diag(1.0 / design.weights)
    derivatives = []
    # The criterion orders factors by size, as this model does; E_j lives on the orthonormal columns.
    for term, block, own, k in zip(design.terms, fit.Lambda, relcov.term_slices, relcov.term_k, strict=True):
        levels = np.eye(design.factors[term.factor].n_levels)[design.factors[term.factor].codes]
        V0 += (levels @ levels.T) * (term.Xi @ block @ block.T @ term.Xi.T)
        basis = term.Xi @ relcov.from_basis[own, own][:k, :k]
        for a, b in zip(*np.triu_indices(k), strict=True):
            E = np.zeros((k, k))
            E[a, b] = E[b, a] = 1.0
            derivatives.append((levels @ levels.T) * (basis @ E @ basis.T))
    inverse = np.linalg.inv(V0)
    X = design.X
    P = inverse - inverse @ X @ np.linalg.inv(X.T @ inverse @ X) @ X.T @ inverse
    entries, H = fit.entries, fit.entries.root
    pairs = [[np.trace(inverse @ A @ inverse @ B) for B in derivatives] for A in derivatives]
    projected = [[np.trace(P @ A @ P @ B) for B in derivatives] for A in derivatives]
    first = [H.T @ X.T @ inverse @ A @ inverse @ X @ H for A in derivatives]
    # Inverses of 500 x 500 matrices.
    assert_allclose(entries.pairs, pairs, rtol=1e-9, atol=1e-12)
    assert_allclose(entries.pairs_projected, projected, rtol=1e-9, atol=1e-12)
    assert_allclose(entries.trace, [np.trace(inverse @ A) for A in derivatives], rtol=1e-9, atol=1e-9)
    assert_allclose(entries.trace_projected, [np.trace(P @ A) for A in derivatives], rtol=1e-9, atol=1e-9)
    assert_allclose(entries.P, first, rtol=1e-8, atol=1e-9)
    assert_allclose(fit.sigma2 * H @ H.T, fit.vcov_beta, rtol=1e-10)


def big(random):
    rng = np.random.default_rng(2)
    n = 6000
    data = pd.DataFrame({c: rng.integers(0, k, n) for c, k in (("a", 300), ("b", 120), ("c", 9))})
    data["x"] = rng.normal(size=n)
    data["y"] = (
        rng.normal(size=300)[data.a] * (1 + data.x) + rng.normal(size=120)[data.b] + rng.normal(size=n)
    )
    return CrossedLMM.from_formula("y ~ x", data, random=random).criterion()


@pytest.mark.parametrize(
    "random", [["(1 | a)", "(1 | b)", "(1 | c)"], ["(1 + x | a)", "(1 + x || b)"], ["(1 | a)", "(1 + x | b)"]]
)
def test_elimination_and_probing_agree(random):
    criterion = big(random)
    at = criterion.decompose(0.5 * criterion.relcov.diagonal)
    layout = criterion.relcov.layout
    probed = sums.by_probing(layout, sums._components(criterion.cp.A), lambda B: _times_N0(criterion, B))
    eliminated = sums.by_elimination(criterion.cp, layout, at.Lambda)
    assert probed.keys() == eliminated.keys()
    for pair, T in probed.items():
        assert_allclose(eliminated[pair], T, rtol=1e-10, atol=1e-10 * np.abs(T).max())


def test_components_are_probed_together():
    """Levels of a nested factor share a probe with those of other parents; the sums are the same."""
    nested = pd.DataFrame({"outer": np.repeat(np.arange(200), 20)})
    nested["inner"] = np.repeat(np.arange(800), 5)
    nested["y"] = np.random.default_rng(1).normal(size=4000)
    criterion = CrossedLMM.from_formula("y ~ 1", nested, groups=["inner", "outer"]).criterion()
    criterion.decompose(0.5 * criterion.relcov.diagonal)
    layout, component = criterion.relcov.layout, sums._components(criterion.cp.A)
    assert [int(rank.max()) + 1 for rank in sums._ranks(layout, component)] == [4, 1]
    together = sums.by_probing(layout, component, lambda B: _times_N0(criterion, B))
    one_by_one = sums.by_probing(layout, None, lambda B: _times_N0(criterion, B))
    for pair, T in one_by_one.items():
        assert_allclose(together[pair], T, rtol=1e-10)


def test_a_model_without_fixed_effects():
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 10
    factors, terms = [pls.GroupingFactor(codes, 10)], [pls.RandomTerm(0, np.ones((60, 1)))]
    fit = pls.fit(factors, terms, np.empty((60, 0)), rng.normal(size=10)[codes] + rng.normal(size=60))
    at = fit.criterion.decompose(fit.optimum.phi)
    assert entry_information(fit.criterion, at).P.shape == (1, 0, 0)
    assert_allclose(fit.hessian_varpar(), by_differences(fit), rtol=1e-6)


@pytest.fixture
def large(monkeypatch, crossed):
    """A fit that is taken to be too large for the exact information, and the same with it."""
    monkeypatch.setattr(sums, "TOO_LONG", 0.0)
    for name in ("DENSE_Z", "DENSE_Q"):
        monkeypatch.setattr(storages, name, 0)
    model = CrossedLMM.from_formula("y ~ x + w + (1 + x | a) + (1 | b)", crossed)
    averaged = model.fit()
    assert averaged.pls_fit.average_information
    assert averaged.pls_fit.hessian_varpar().shape == (5, 5)
    monkeypatch.setattr(sums, "TOO_LONG", np.inf)
    exact = model.fit()
    assert not exact.pls_fit.average_information
    return averaged, exact


def test_average_information_is_the_average_of_observed_and_expected(large):
    """At the optimum the score matrices vanish, and with them what they add to either Hessian."""
    averaged, exact = (result.pls_fit for result in large)
    by_theta = entries_by_theta(exact.criterion.relcov, exact.optimum.phi)
    expected = by_theta.T @ exact.entries.pairs_projected @ by_theta
    observed = exact.hessian_varpar()[:-1, :-1]
    scale = np.sqrt(np.outer(np.diag(observed), np.diag(observed)))
    # The search ends where the gradient is 1e-6 of the criterion's scale.
    assert_allclose(averaged.hessian_varpar()[:-1, :-1] / scale, (observed + expected) / 2 / scale, atol=1e-5)
    assert_allclose(averaged.hessian_varpar()[-1], exact.hessian_varpar()[-1], rtol=1e-12)


def test_what_does_not_need_the_traces_is_exact_in_large_models(large):
    averaged, exact = large
    assert_allclose(averaged.pls_fit.vcov_beta_gradient(), exact.pls_fit.vcov_beta_gradient(), rtol=1e-12)
    assert_allclose(averaged.pls_fit.entries.pairs, exact.pls_fit.entries.pairs, rtol=1e-12)


def test_tables_of_large_models_say_so_and_are_near_the_exact_ones(large):
    averaged, exact = large
    assert averaged.summary().extra_txt[-1] == AVERAGE
    assert AVERAGE not in exact.summary().extra_txt
    # Observed and expected information of 500 rows and 15 levels differ by some per cent.
    assert_allclose(averaged.bse_re, exact.bse_re, rtol=0.1)
    assert_allclose(averaged.coef_table()["df"], exact.coef_table()["df"], rtol=0.1)


def test_models_of_ordinary_size_have_the_exact_information():
    assert not fitted("inst_service").result.pls_fit.average_information
