"""One results object in several threads: the numbers of one thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import interlace

THREADS = 8


@pytest.fixture
def fit():
    rng = np.random.default_rng(0)
    g, h = rng.integers(0, 40, 800), rng.integers(0, 20, 800)
    y = rng.normal(size=40)[g] + rng.normal(size=20)[h] + rng.normal(size=800)
    return interlace.fit("y ~ 1 + (1 | g) + (1 | h)", {"y": y, "g": g, "h": h})


def test_the_criterion_is_that_of_ones_own_theta(fit):
    thetas = [np.asarray(fit.theta) * factor for factor in np.linspace(0.5, 2.0, THREADS)]
    wanted = [fit.criterion(theta) for theta in thetas]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda i: fit.criterion(thetas[i % THREADS]), range(50 * THREADS)))
    # One and the same arithmetic in every thread: equal up to the last bits.
    assert found == pytest.approx(50 * wanted, rel=1e-13)


ASKED = {
    "bse": lambda fit: fit.bse,
    "random_effects_se": lambda fit: fit.random_effects_se["g"],
    "anova": lambda fit: fit.coef_table()["df"],
    "kenward-roger": lambda fit: fit.coef_table("kenward-roger")["df"],
    "leverage": lambda fit: interlace.leverage(fit).to_numpy(float),
    "prediction": lambda fit: fit.get_prediction().se_mean,
}


def test_what_is_computed_when_it_is_asked_for(fit):
    wanted = {name: np.asarray(ask(fit)) for name, ask in ASKED.items()}
    fresh = fit.model.fit()
    names = list(ASKED) * 8
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda name: np.asarray(ASKED[name](fresh)), names))
    for name, value in zip(names, found, strict=True):
        np.testing.assert_allclose(value, wanted[name], rtol=1e-10)  # rounding, none of the mixing
