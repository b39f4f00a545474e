"""The bootstrap: what is drawn, what is counted, and intervals as SciPy makes them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import interlace
from interlace.inference.parameters import parameter_values
from interlace.resampling import case_bootstrap as cases
from interlace.resampling.intervals import KINDS, acceleration, intervals
from interlace.resampling.residual_bootstrap import reflated
from interlace.tests.fits import fitted


@pytest.fixture(scope="module")
def slopes():
    return fitted("ss_slope").result


@pytest.fixture(scope="module")
def drawn(slopes):
    return slopes.bootstrap(60, rng=11)


# ---- what is drawn ---------------------------------------------------------------------------


def test_a_replicate_is_a_refit_to_a_simulated_response(slopes, drawn):
    simulated = slopes.simulate(60, rng=11)
    for j in (0, 7, 59):
        refit = slopes.refit(simulated.iloc[:, j])
        # The same products in matrices of another width: equal up to their rounding.
        assert drawn.replicates.iloc[j].to_numpy() == pytest.approx(
            parameter_values(refit.pls_fit), rel=1e-5, abs=1e-6
        )


def test_names_and_observed_values(slopes, drawn):
    assert list(drawn.observed.index) == list(slopes.conf_int(method="profile").index)
    assert drawn.observed["sigma"] == slopes.sigma
    assert drawn.observed["Days"] == slopes.fe_params["Days"]
    assert drawn.replicates.shape == (60, 6)


@pytest.mark.parametrize("kind", ["parametric", "residual", "cases"])
def test_numbers_do_not_depend_on_the_workers(slopes, kind):
    joblib = pytest.importorskip("joblib")
    one = slopes.bootstrap(120, kind=kind, rng=3)
    with joblib.parallel_config(backend="threading"):
        two = slopes.bootstrap(120, kind=kind, rng=3, n_jobs=2)
        with joblib.parallel_config(n_jobs=3):
            configured = slopes.bootstrap(120, kind=kind, rng=3, n_jobs=None)
    pd.testing.assert_frame_equal(one.replicates, two.replicates, check_exact=True)
    pd.testing.assert_frame_equal(one.replicates, configured.replicates, check_exact=True)


def test_numbers_do_not_depend_on_processes():
    """Crossed factors: the factorization travels to the workers."""
    pytest.importorskip("joblib")
    result = fitted("pen").result
    one, two = result.bootstrap(60, rng=3), result.bootstrap(60, rng=3, n_jobs=2)
    pd.testing.assert_frame_equal(one.replicates, two.replicates, check_exact=True)


def test_seeds(slopes):
    first = slopes.bootstrap(5, rng=1).replicates
    assert (slopes.bootstrap(5, rng=np.random.default_rng(1)).replicates == first).all(axis=None)
    assert (slopes.bootstrap(5, rng=2).replicates != first).any(axis=None)
    assert (slopes.bootstrap(9, rng=1).replicates.iloc[:5] - first).abs().max(axis=None) < 1e-4


def test_reflated_values_have_the_covariance_wanted():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(25, 3)) @ rng.normal(size=(3, 3)) + 4.0
    root = rng.normal(size=(3, 3))
    found = reflated(values, root @ root.T)
    assert found.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    assert found.T @ found / 25 == pytest.approx(root @ root.T, rel=1e-10)
    # In other units, or with another origin of a covariate, it is the same bootstrap.
    units = np.array([[1.0, 0.0, 0.0], [3.0, 10.0, 0.0], [0.0, 1.0, 0.1]])
    scaled = reflated(values @ units, units.T @ root @ root.T @ units)
    assert scaled @ np.linalg.inv(units) == pytest.approx(found, rel=1e-7, abs=1e-9)


def test_a_covariance_of_rank_one_can_be_reflated():
    values = np.outer(np.arange(6.0), [1.0, 2.0])
    Sigma = np.outer([1.0, 2.0], [1.0, 2.0]) * 3.0
    found = reflated(values, Sigma)
    assert found.T @ found / 6 == pytest.approx(Sigma, rel=1e-10)
    assert (reflated(np.zeros((4, 1)), np.zeros((1, 1))) == 0.0).all()


def test_residual_bootstrap_of_a_weighted_model():
    result = fitted("ss_weights").result
    found = result.bootstrap(200, kind="residual", rng=1)
    assert found.n_failed == 0
    # Replicates scatter around the estimates: 200 of them leave 5 standard errors of the mean.
    error = found.bias["Days"] / (found.bse["Days"] / np.sqrt(200))
    assert abs(error) < 5.0
    assert found.bse["Days"] == pytest.approx(result.bse_fe["Days"], rel=0.25)


def test_drawn_groups_are_groups_of_their_own():
    design = fitted("pastes_nested").design
    names = [labels.name for labels in design.factor_labels]
    batch = names.index("batch")
    twice = cases.with_levels(design, batch, [0, 0, 3])
    by_name = dict(zip(names, twice.factors, strict=True))
    assert by_name["batch"].n_levels == 3
    assert by_name["batch:cask"].n_levels == 9  # casks are drawn with their batch
    assert len(twice.y) == 18
    assert list(twice.factor_labels[batch].levels) == ["A (draw 1)", "A (draw 2)", "D (draw 3)"]
    assert twice.y[:6] == pytest.approx(twice.y[6:12])


def test_levels_of_crossed_factors_stay_what_they_are():
    design = fitted("pen").design
    names = [labels.name for labels in design.factor_labels]
    twice = cases.with_levels(design, names.index("plate"), [1, 1])
    by_name = dict(zip(names, twice.factors, strict=True))
    assert (by_name["plate"].n_levels, by_name["sample"].n_levels) == (2, 6)


def test_all_levels_once_are_the_data():
    result = fitted("pastes_nested").result
    design = result.model.design
    same = cases.with_levels(design, 1, range(10))
    found = interlace.pls.fit(same.factors, same.terms, same.X, same.y)
    assert found.objective == pytest.approx(result.objective, rel=1e-11)


def test_cases_need_independent_groups():
    with pytest.raises(ValueError, match="crossed: no factor has independent levels"):
        fitted("pen").result.bootstrap(2, kind="cases")
    found = fitted("pen").result.bootstrap(4, kind="cases", groups="plate", rng=1)
    assert found.replicates["Intercept"].nunique() == 4
    with pytest.raises(ValueError, match="'Plate' is no grouping factor"):
        fitted("pen").result.bootstrap(2, kind="cases", groups="Plate")


# ---- what is counted -------------------------------------------------------------------------


def test_a_statistic_sees_a_whole_result(slopes):
    found = slopes.bootstrap(6, statistic=lambda r: {"ratio": r.vcomp.iloc[0] / r.scale, "llf": r.llf}, rng=1)
    assert list(found.replicates.columns) == ["ratio", "llf"]
    assert found.observed["llf"] == slopes.llf
    assert found.replicates["llf"].nunique() == 6
    predicted = slopes.bootstrap(
        3, statistic=lambda r: r.predict({"Days": [3.0]}, random=False).iloc[0], rng=1
    )
    fixed = slopes.bootstrap(3, rng=1).replicates
    assert predicted.replicates["statistic"].to_numpy() == pytest.approx(
        (fixed["Intercept"] + 3 * fixed["Days"]).to_numpy(), rel=1e-10
    )


@pytest.mark.parametrize("kind", ["parametric", "cases"])
def test_failures_are_counted_and_explained(slopes, kind):
    observed = slopes.scale

    def moody(result):
        if result.scale > observed:
            raise ArithmeticError("more than before")
        return result.scale

    found = slopes.bootstrap(20, kind=kind, statistic=moody, rng=1)
    assert 0 < found.n_failed < 20
    assert found.n_failed == found.replicates.isna().sum().item() == len(found.failures)
    assert found.failures.unique().tolist() == ["ArithmeticError: more than before"]
    assert f"{found.n_failed} failed" in repr(found)
    assert np.isfinite(found.conf_int().to_numpy()).all()


def test_a_wrong_statistic_fails_at_once(slopes):
    with pytest.raises(AttributeError, match="no_such"):
        slopes.bootstrap(2, statistic=lambda r: r._results.no_such)


def test_singular_refits_are_counted_and_kept():
    found = fitted("dyestuff2").result.bootstrap(50, rng=1)
    zero = (found.replicates["sd_(Intercept)|Batch"] == 0.0).sum()
    assert 10 < zero == found.n_singular < 50
    assert found.n_failed == 0
    assert f"{zero} singular" in repr(found)


def test_rows_that_do_not_identify_the_fixed_effects():
    data = {
        "y": np.random.default_rng(1).normal(size=24),
        "g": np.repeat(np.arange(6), 4),
        "x": np.repeat([1.0, 0, 0, 0, 0, 0], 4),  # only group 0 has it
    }
    result = interlace.fit("y ~ x + (1 | g)", data)
    found = result.bootstrap(30, kind="cases", rng=1)
    assert 0 < found.n_failed < 30
    assert found.failures.str.startswith("RankDeficiencyError: the rows drawn do not identify").all()


def test_unknown_words_are_refused(slopes):
    with pytest.raises(ValueError, match="kind='wild' is no bootstrap"):
        slopes.bootstrap(2, kind="wild")
    with pytest.raises(ValueError, match="nsim=0"):
        slopes.bootstrap(0)
    with pytest.raises(ValueError, match='names the levels to draw with kind="cases"'):
        slopes.bootstrap(2, groups="Subject")
    with pytest.raises(ValueError, match="use_u=True"):
        slopes.bootstrap(2, kind="cases", use_u=True)
    with pytest.raises(ValueError, match="kind='t' is no bootstrap interval"):
        slopes.bootstrap(2, rng=1).conf_int(kind="t")


def test_kept_random_effects_leave_the_variances(slopes):
    free, kept = slopes.bootstrap(100, rng=1), slopes.bootstrap(100, rng=1, use_u=True)
    assert kept.bse["Intercept"] < 0.8 * free.bse["Intercept"]


def test_it_can_be_stored(drawn):
    again = pickle.loads(pickle.dumps(drawn))
    pd.testing.assert_frame_equal(again.conf_int(), drawn.conf_int())


def test_models_of_arrays_and_singular_solvers():
    data = interlace.datasets.load_penicillin()
    model = interlace.CrossedLMM(data["diameter"], np.ones((144, 1)), groups=data[["plate", "sample"]])
    found = model.fit().bootstrap(3, statistic=lambda r: r.fe_params, rng=1)
    assert found.n_failed == 0


# ---- intervals -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["percentile", "basic", "bca"])
def test_intervals_are_scipys(kind):
    """SciPy's limits from the same replicates and, for BCa, from the same jackknife of a mean."""
    sample = np.random.default_rng(4).gamma(2.0, size=30)
    theirs = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=999,
        method={"bca": "BCa"}.get(kind, kind),
        rng=np.random.default_rng(1),
    )
    left_out = np.array([[np.delete(sample, i).mean()] for i in range(30)])
    ours = intervals(
        np.array([sample.mean()]),
        theirs.bootstrap_distribution[:, None],
        alpha=0.05,
        kind=kind,
        acceleration=acceleration(left_out),
    )
    # SciPy counts replicates below the estimate without halving ties; there are none.
    assert ours[0] == pytest.approx(tuple(theirs.confidence_interval), rel=1e-10)


def test_normal_interval_is_corrected_for_bias(drawn):
    found = drawn.conf_int(0.1, kind="normal").loc["Days"]
    centre = drawn.observed["Days"] - drawn.bias["Days"]
    assert found.to_numpy() == pytest.approx(
        centre + stats.norm.ppf([0.05, 0.95]) * drawn.bse["Days"], rel=1e-12
    )


def test_bca_leaves_out_groups(drawn):
    found = drawn.conf_int(kind="bca")
    assert (found[0] < found[1]).all()
    assert drawn.engine.left_out().shape == (18, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_conf_int_by_the_bootstrap(slopes, drawn, kind):
    found = slopes.conf_int(method="bootstrap", nsim=60, rng=11, interval=kind, parm="beta_")
    pd.testing.assert_frame_equal(found, drawn.conf_int(kind=kind, parm="beta_"))
    assert list(found.columns) == [0, 1]


def test_summary_frame(drawn):
    frame = drawn.summary_frame()
    assert list(frame.columns) == ["estimate", "bias", "std_error", "conf_low", "conf_high"]
    assert frame["std_error"].to_numpy() == pytest.approx(drawn.replicates.std(ddof=1).to_numpy())
