"""Simulated responses: their mean and covariance, their labels, their seeds."""

from __future__ import annotations

import numpy as np
import pytest

import interlace
from interlace.tests.bank import load
from interlace.tests.fits import fitted


def test_shape_and_labels():
    result = fitted("ss_slope").result
    drawn = result.simulate(3, rng=1)
    assert list(drawn.shape) == load("inference", "ss_slope")["simulate"]["dim"]
    assert drawn.index.equals(result.fittedvalues.index)
    assert list(drawn.columns) == ["sim_1", "sim_2", "sim_3"]


@pytest.mark.parametrize("name", ["pen", "ss_weights", "ss_offset"])
def test_mean_and_covariance(name):
    """Of 4000 draws, along the directions in which responses vary most and least."""
    result = fitted(name).result
    design, count = result.model.design, 4000
    drawn = result.simulate(count, rng=5).to_numpy()
    V = np.diag(result.scale / (np.ones(len(design.y)) if design.weights is None else design.weights))
    for term, Sigma in zip(design.terms, result.term_covariances, strict=True):
        codes = design.factors[term.factor].codes
        V += (term.Xi @ Sigma @ term.Xi.T) * (codes[:, None] == codes)
    centred = np.linalg.solve(np.linalg.cholesky(V), drawn - result.fittedvalues_marginal.to_numpy()[:, None])
    # Whitened draws are standard normal: a mean varies by 1/sqrt(count), a variance by sqrt(2/count).
    assert np.abs(centred.mean(axis=1)).max() < 5.0 / np.sqrt(count)
    assert np.abs(centred.var(axis=1) - 1.0).max() < 5.0 * np.sqrt(2.0 / count)
    between = centred[:20] @ centred[20:40].T / count
    assert np.abs(between).max() < 5.0 / np.sqrt(count)


def test_kept_random_effects():
    result = fitted("pen").result
    drawn = result.simulate(2000, rng=1, use_u=True).to_numpy()
    error = (drawn.mean(axis=1) - result.fittedvalues.to_numpy()) / (result.sigma / np.sqrt(2000))
    assert np.abs(error).max() < 5.0
    assert drawn.std() < fitted("pen").result.simulate(2000, rng=1).to_numpy().std()


def test_seeds():
    result = fitted("ss_slope").result
    assert (result.simulate(2, rng=7) == result.simulate(2, rng=np.random.default_rng(7))).all(axis=None)
    assert (result.simulate(2, rng=7) != result.simulate(2, rng=8)).any(axis=None)
    # Every response has a generator of its own: how many are drawn does not matter.
    assert (result.simulate(5, rng=7)["sim_2"] == result.simulate(2, rng=7)["sim_2"]).all()
    generator = np.random.default_rng(7)
    assert (result.simulate(1, rng=generator) != result.simulate(1, rng=generator)).any(axis=None)


def test_without_variance_and_without_rows():
    result = fitted("dyestuff2").result
    assert result.simulate(2, rng=1).notna().all(axis=None)
    gone = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    gone.remove_data()
    with pytest.raises(ValueError, match="the rows of the data are gone"):
        gone.simulate()
