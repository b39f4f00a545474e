"""Fits of a stack: each is that of its problem alone, whatever the others are."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.errors import OptimizationError
from interlace.inference.satterthwaite import satterthwaite
from interlace.pls.batch import many
from interlace.pls.batch.fits import fitted, satterthwaite_df, spreads
from interlace.pls.batch.many import start_from, together
from interlace.tests.pls.batch.stacks import STACKED, stacked


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", sorted(STACKED))
def test_estimates_are_those_of_single_fits(name, reml):
    here = stacked(name, reml=reml, count=8)
    found = fitted(here.problems, start_from(here.problems.relcov, None)[None])
    assert found.settled.all()
    for j in range(8):
        alone = here.alone(j)
        se = np.sqrt(np.diag(alone.vcov_beta))
        # Single searches end within 1e-8 of a standard error of theta; fixed effects depend on theta little.
        assert found.objective[j] == pytest.approx(alone.objective, abs=1e-9)
        assert (np.abs(found.beta[j] - alone.beta) < 1e-8 * se).all()
        assert found.vcov_beta[j] == pytest.approx(
            alone.vcov_beta, rel=1e-6, abs=1e-9 * se.max(initial=0.0) ** 2
        )
        assert found.sigma2[j] == pytest.approx(alone.sigma2, rel=1e-7)
        for own, Sigma in zip(found.Sigma, alone.Sigma, strict=True):
            assert own[j] == pytest.approx(Sigma, rel=1e-5, abs=1e-7 * alone.sigma2)
        assert found.certified[j] == alone.certificate.certified
        assert found.n_singular[j] == sum(directions.shape[1] for directions in alone.singular)


def test_the_stacks_have_singular_members_and_regular_ones():
    """Without both the test above would say nothing about either."""
    counts = np.concatenate(
        [
            fitted(
                stacked(name, count=8).problems, start_from(stacked(name).problems.relcov, None)[None]
            ).n_singular
            > 0
            for name in sorted(STACKED)
        ]
    )
    assert 0.2 < counts.mean() < 0.8


@pytest.mark.parametrize("name", ["crossed", "growth", "latin_square", "nested"])
def test_degrees_of_freedom_are_those_of_single_fits(name):
    here = stacked(name, count=8)
    found = fitted(here.problems, start_from(here.problems.relcov, None)[None])
    contrasts = np.eye(here.problems.p)
    df = satterthwaite_df(found.vcov_beta, spreads(found, np.arange(8)), contrasts)
    for j in range(8):
        expected = satterthwaite(here.alone(j))
        # Second derivatives at optima that differ by 1e-8 of a standard error, zero variances included.
        assert df[j] == pytest.approx([expected.df(c) for c in contrasts], rel=1e-5)


def test_members_do_not_depend_on_their_company():
    here = stacked("crossed", count=8)
    start = start_from(here.problems.relcov, None)[None]
    whole, some = fitted(here.problems, start), fitted(here.problems.take(np.array([5, 2])), start)
    assert some.beta == pytest.approx(whole.beta[[5, 2]], rel=1e-9)
    assert some.theta == pytest.approx(whole.theta[[5, 2]], abs=1e-7)


def test_a_member_that_cannot_be_fitted_spoils_no_other():
    here = stacked("growth", count=8)
    Y = here.Y.copy()
    offset = here.ready.offset
    Y[:, 3] = offset + here.ready.Q @ np.ones(2) / here.ready.root_weights  # X reproduces it
    ready = together(here.ready)
    found, whole = ready.estimates(Y), ready.estimates(here.Y)
    assert list(found.failures) == [3]
    assert isinstance(found.failures[3], OptimizationError)
    assert np.isnan(found.beta[3]).all()
    others = np.delete(np.arange(8), 3)
    assert found.beta[others] == pytest.approx(whole.beta[others], rel=1e-9)


def test_a_response_that_the_random_effects_reproduce_is_reported():
    here = stacked("one_way", count=8)
    Y = here.Y.copy()
    codes = STACKED["one_way"]().factors[0].codes
    Y[:, 4] = np.arange(10.0)[codes] ** 2
    found = together(here.ready).estimates(Y)
    assert list(found.failures) == [4]
    assert "reproduce the response exactly" in str(found.failures[4])
    assert np.isfinite(np.delete(found.beta, 4, axis=0)).all()


def test_portions_make_no_difference(monkeypatch):
    here = stacked("nested", count=8)
    whole = together(here.ready).estimates(here.Y, with_spreads=True)
    monkeypatch.setattr(many, "PORTION", 3)
    parts = together(here.ready).estimates(here.Y, with_spreads=True)
    assert parts.beta == pytest.approx(whole.beta, rel=1e-9)
    assert parts.spreads.vcov_varpar == pytest.approx(whole.spreads.vcov_varpar, rel=1e-5, abs=1e-9)


def test_members_that_do_not_settle_are_fitted_alone(monkeypatch):
    here = stacked("growth", count=8)
    expected = together(here.ready).estimates(here.Y, with_spreads=True)
    monkeypatch.setattr("interlace.pls.batch.search.MAXITER", 1)
    found = together(here.ready).estimates(here.Y, with_spreads=True)
    assert not found.failures
    assert found.beta == pytest.approx(expected.beta, rel=1e-6)
    assert found.spreads.vcov_varpar == pytest.approx(expected.spreads.vcov_varpar, rel=1e-3, abs=1e-7)


def test_large_designs_are_left_to_single_fits(monkeypatch):
    here = stacked("crossed")
    assert together(here.ready) is not None
    monkeypatch.setattr(many, "LARGEST_CORE", 36)
    assert together(here.ready) is None
