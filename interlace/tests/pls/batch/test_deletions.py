"""Cases left out together: each refit is the one that it would be alone."""

from __future__ import annotations

import numpy as np
import pytest

from interlace.pls.batch import deletions
from interlace.pls.batch.deletions import refits_without
from interlace.pls.polish import polished
from interlace.pls.rows.subtraction import refit_without
from interlace.tests.pls.batch.stacks import STACKED
from interlace.tests.pls.dense_rows import standing


def cases_of(design, kind):
    """Every row, or the rows of every level of the first factor."""
    if kind == "rows":
        return [np.array([row]) for row in range(0, len(design.y), 5)]
    codes = design.factors[0].codes
    return [np.flatnonzero(codes == level) for level in range(design.factors[0].n_levels)]


def prepared(name, *, reml=True):
    here = standing(STACKED[name](reml=reml))
    return here, polished(here.design.fit())


def same(one, other, tolerance=1e-5):
    """Estimates in units of standard errors; warm single searches end some 1e-6 of them away."""
    se = np.sqrt(np.diag(other.vcov_beta))
    known = np.isfinite(se)
    assert (np.isfinite(one.beta) == known).all()
    assert (np.abs(one.beta - other.beta)[known] < tolerance * se[known]).all()
    assert one.objective == pytest.approx(other.objective, abs=1e-8, nan_ok=True)
    assert one.sigma2 == pytest.approx(other.sigma2, rel=1e-5, nan_ok=True)
    fit_scale = 0.0 if np.isnan(other.sigma2) else other.sigma2
    for a, b in zip(one.Sigma, other.Sigma, strict=True):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5 * fit_scale, nan_ok=True)
    assert one.certified == other.certified
    assert one.failure == other.failure


@pytest.mark.parametrize("kind", ["levels", "rows"])
@pytest.mark.parametrize("name", ["growth", "latin_square", "nested", "one_way"])
def test_refits_are_those_of_single_deletions(monkeypatch, name, kind):
    here, fit = prepared(name)
    owns = cases_of(here.design, kind)
    alone = [refit_without(fit, here.rows, here.raw, own) for own in owns]
    monkeypatch.setattr(deletions, "refit_without", None)  # not one of them is fitted alone
    for one, other in zip(refits_without(fit, here.rows, here.raw, owns), alone, strict=True):
        same(one, other)


def test_cases_without_which_an_effect_is_lost_are_fitted_alone():
    """Most levels have the same design; without its first rows X loses a column."""
    here, fit = prepared("latin_square", reml=False)
    second = np.flatnonzero(here.design.X[:, 1] > here.design.X[:, 1].mean())
    owns = [second, np.arange(94), *cases_of(here.design, "levels")]
    found = refits_without(fit, here.rows, here.raw, owns)
    for one, own in zip(found, owns, strict=True):
        same(one, refit_without(fit, here.rows, here.raw, own))
    assert "rows remain" in found[1].failure


def test_large_designs_and_few_cases_are_left_to_single_deletions(monkeypatch):
    here, fit = prepared("latin_square")
    monkeypatch.setattr(deletions, "_together", None)
    assert len(refits_without(fit, here.rows, here.raw, cases_of(here.design, "levels")[:3])) == 3
    monkeypatch.setattr(deletions, "LARGEST_CORE", 10)
    assert len(refits_without(fit, here.rows, here.raw, cases_of(here.design, "levels"))) == 12
