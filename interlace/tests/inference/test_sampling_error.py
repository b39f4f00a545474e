"""What users see of a fit by the iterative solver."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import InferenceError, InterlaceError
from interlace.report.summary import AVERAGE


@pytest.fixture(scope="module")
def ratings():
    rng = np.random.default_rng(5)
    n, users, items = 6_000, 400, 150
    u, i, x = rng.integers(0, users, n), rng.integers(0, items, n), rng.normal(size=n)
    y = 1.0 + 0.02 * x + 0.5 * rng.normal(size=users)[u] + 0.4 * rng.normal(size=items)[i]
    return pd.DataFrame({"y": y + rng.normal(size=n), "x": x, "user": u, "item": i})


@pytest.fixture(scope="module")
def iterative(ratings):
    return interlace.fit("y ~ x + (1 | user) + (1 | item)", ratings, solver="iterative")


@pytest.fixture(scope="module")
def exact(ratings):
    return interlace.fit("y ~ x + (1 | user) + (1 | item)", ratings, solver="blocked")


def test_every_estimate_has_its_monte_carlo_error(iterative, exact):
    error = iterative.mc_error
    assert list(error.index) == list(iterative.params.index)
    assert (error > 0.0).all()
    assert (error < 0.02 * iterative.bse).all()  # what the fit promises of the covariance parameters
    assert (np.abs(iterative.params - exact.params) < 5.0 * error).all()
    assert not exact.mc_error.any()


def test_standard_errors_tests_and_predictions_are_those_of_the_exact_fit(iterative, exact, ratings):
    np.testing.assert_allclose(iterative.bse_fe, exact.bse_fe, rtol=1e-3)
    # Average information for the exact Hessian: a share of about sqrt(2 / levels) at most, 0.1 here.
    np.testing.assert_allclose(iterative.bse_re, exact.bse_re, rtol=0.05)
    np.testing.assert_allclose(iterative.pvalues["x"], exact.pvalues["x"], rtol=0.01)
    new = ratings.head(3)
    np.testing.assert_allclose(iterative.predict(new), exact.predict(new), atol=1e-3)
    found = iterative.get_prediction(new).summary_frame()
    np.testing.assert_allclose(found, exact.get_prediction(new).summary_frame(), atol=2e-3)


def test_the_summary_says_so_in_its_last_line(iterative, exact):
    words = " ".join(str(iterative.summary()).split("=====")[-1].split())
    averaged, _, last = words.split("Degrees of freedom: Satterthwaite. ")[-1].partition(" Iterative")
    last = f"Iterative{last}"
    assert averaged == AVERAGE
    assert last.startswith("Iterative solver with 16 probes: Monte-Carlo error at most")
    assert "Iterative" not in str(exact.summary())


def test_some_levels_have_standard_deviations_and_all_are_refused(iterative, exact):
    some = iterative.random_effects_of("item", [3, 7, 3])
    assert list(some.index) == [3, 7, 3]
    np.testing.assert_allclose(some["sd"], exact.random_effects_se["item"].loc[[3, 7, 3]], rtol=1e-3)
    np.testing.assert_allclose(some["mode"], exact.random_effects["item"].loc[[3, 7, 3]], atol=1e-3)
    pd.testing.assert_frame_equal(
        exact.random_effects_of("item", [7]).drop(columns="effect"),
        pd.DataFrame(
            {
                "mode": exact.random_effects["item"].loc[[7]],
                "sd": exact.random_effects_se["item"].loc[[7]],
            }
        ).rename_axis("item"),
        rtol=1e-8,  # another way through the same factor
    )
    with pytest.raises(InterlaceError, match="would take as many solves"):
        _ = iterative.random_effects_se


def test_unknown_factors_and_levels_are_named(exact):
    with pytest.raises(KeyError, match=r"'items' is no grouping factor of this model; it has"):
        exact.random_effects_of("items", [1])
    with pytest.raises(KeyError, match=r"item has no level 9999 among those of the fit"):
        exact.random_effects_of("item", [1, 9999])


def test_stored_fits_keep_the_error_and_draw_the_same_probes(iterative, tmp_path):
    iterative.save(tmp_path / "fit.interlace")
    for again in (pickle.loads(pickle.dumps(iterative)), interlace.load(tmp_path / "fit.interlace")):
        pd.testing.assert_series_equal(again.mc_error, iterative.mc_error)
        pd.testing.assert_series_equal(again.pvalues, iterative.pvalues)


@pytest.fixture(scope="module")
def loose():
    """Weakly linked blocks, which blur the likelihood, and an effect near the edge of significance."""
    rng = np.random.default_rng(8)
    n, blocks = 3_000, 30
    u = rng.integers(0, 600, n)
    i = rng.integers(0, 10, n) * blocks + np.where(
        rng.random(n) < 0.98, u % blocks, rng.integers(0, blocks, n)
    )
    x = rng.normal(size=n)
    y = -0.0056 * x + 0.5 * rng.normal(size=600)[u] + 0.5 * rng.normal(size=300)[i] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "u": u, "i": i})


def nested_pair(frame, *, seeds=(0, 0), solver="iterative"):
    return [
        interlace.fit(f"y ~ {fixed} + (1 | u) + (1 | i)", frame, method="ML", solver=solver, seed=seed)
        for fixed, seed in zip(("1", "x"), seeds, strict=True)
    ]


def test_what_the_same_probes_say_of_two_models_cancels(loose):
    sampled, exact = nested_pair(loose), nested_pair(loose, solver="blocked")
    error = [one.pls_fit.monte_carlo.objective for one in sampled]
    found, expected = (interlace.anova(*pair)["chisq"].iloc[1] for pair in (sampled, exact))
    assert abs(found - expected) < 0.01 * min(error)


def test_likelihood_ratios_are_refused_where_sampling_hides_the_answer(loose, ratings):
    small, large = nested_pair(loose, seeds=(1, 2))
    with pytest.raises(InferenceError, match=r"samples the likelihood: chi-squared is .* p lies between"):
        interlace.anova(small, large)
    clear = interlace.fit("y ~ x + (1 | item)", ratings, method="ML", solver="blocked")
    both = interlace.fit("y ~ x + (1 | user) + (1 | item)", ratings, method="ML", solver="iterative")
    assert interlace.anova(clear, both)["p_value"].iloc[1] < 1e-10  # beyond all doubt


def test_profiles_are_refused(iterative):
    with pytest.raises(InferenceError, match="more digits than the iterative solver samples"):
        iterative.profile("x")


@pytest.mark.parametrize(("keyword", "value"), [("probes", 3), ("probes", 8.0), ("seed", -1), ("seed", True)])
def test_what_cannot_be_drawn_is_refused(ratings, keyword, value):
    with pytest.raises(ValueError, match=rf"{keyword}={value!r}; give .* a whole number"):
        interlace.CrossedLMM.from_formula("y ~ x + (1 | user) + (1 | item)", ratings).fit(**{keyword: value})
