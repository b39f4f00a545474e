"""Power by simulation against cases with a closed form, the size of the test, and its bookkeeping."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import interlace
from interlace.errors import DesignError
from interlace.planning import power as module


def study(effect=0.5, sd=1.0, subjects=20, **layout):
    plan = interlace.design(subjects=subjects, **(layout or {"within": {"c": ["a", "b"]}}))
    return plan.assume("y ~ c + (1 | subject)", fixed={"c[T.b]": effect}, random={"subject": sd}, sigma=0.8)


def noncentral(shift, df):
    """Power of a two-sided t test of size 0.05."""
    critical = stats.t.isf(0.025, df)
    return stats.nct.sf(critical, df, shift) + stats.nct.cdf(-critical, df, shift)


def within_error(found, expected, nsim):
    # Four standard errors of a simulated share.
    return np.abs(found - expected) < 4.0 * np.sqrt(expected * (1.0 - expected) / nsim) + 1e-12


def test_a_paired_t_test_has_the_power_of_the_noncentral_distribution():
    """Two responses of each subject; the intercepts are large, so that no fit is singular."""
    found = interlace.power(
        study(sd=3.0), "c[T.b]", n=[10, 20, 40], along="subject", nsim=1500, rng=1, progress=False
    )
    n = np.array([10, 20, 40])
    expected = noncentral(0.5 / np.sqrt(2.0 * 0.8**2 / n), n - 1.0)
    assert within_error(found.frame["power"].to_numpy(), expected, 1500).all()
    assert found.frame["power"].is_monotonic_increasing
    assert (found.frame["n_failed"] == 0).all()


def test_two_groups_have_the_power_of_students_test():
    """A condition between subjects, four responses each: the test is Student's, on subjects' means."""
    between = study(effect=1.0, sd=0.9, between={"c": ["a", "b"]}, repeats=4)
    found = interlace.power(between, "c[T.b]", n=[12, 24], along="subject", nsim=1500, rng=2, progress=False)
    n = np.array([12, 24])
    expected = noncentral(1.0 / np.sqrt((0.9**2 + 0.8**2 / 4.0) * 4.0 / n), n - 2.0)
    assert within_error(found.frame["power"].to_numpy(), expected, 1500).all()


def test_a_joint_test_has_the_power_of_the_noncentral_f():
    plan = interlace.design(subjects=12, within={"c": 3})
    effects = {"c[T.b]": 0.4, "c[T.c]": 0.9}
    model = plan.assume("y ~ c + (1 | subject)", fixed=effects, random={"subject": 3.0}, sigma=0.8)
    found = interlace.power(model, "c", nsim=1500, rng=3, progress=False)
    means = np.array([0.0, 0.4, 0.9])
    shift = 12.0 * ((means - means.mean()) ** 2).sum() / 0.8**2
    expected = stats.ncf.sf(stats.f.isf(0.05, 2, 22), 2, 22, shift)
    assert within_error(found.frame["power"].to_numpy(), expected, 1500).all()


def test_the_size_of_the_test_is_what_it_says():
    """Under the null, p-values of a balanced design are uniform; by the normal distribution too small."""
    model = study(effect=0.0, sd=3.0, subjects=8)
    found = interlace.power(model, "c[T.b]", nsim=1500, rng=5, progress=False)
    assert stats.kstest(found.pvalues[0], "uniform").pvalue > 1e-3
    assert within_error(found.frame["power"], 0.05, 1500).all()
    normal = interlace.power(model, "c[T.b]", nsim=1500, rng=5, test="normal", progress=False)
    assert normal.frame["power"][0] > found.frame["power"][0] + 0.02


def test_pvalues_are_those_of_single_fits():
    sleep = interlace.datasets.load_sleepstudy()
    fit = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep)
    found = interlace.power(fit, "Days", value=5.0, nsim=6, rng=7, progress=False)
    simulated = module.of_fit(fit)
    changed = module._with_value(simulated, "Days", module.contrasts_of(simulated.design, "Days"), 5.0)
    drawn = changed.simulator.draw(module.generators(module.seeds(module.seeds(7, 1)[0], 6)))
    for y, p in zip(drawn.T, found.pvalues[0], strict=True):
        # Searches that end within some 1e-6 of a standard error of theta.
        assert p == pytest.approx(fit.refit(y).coef_table()["p_value"]["Days"], rel=1e-4)


def test_a_pilot_study_grows_by_taking_its_levels_in_turn():
    fit = interlace.fit(
        "diameter ~ 1 + (1 | plate) + (1 | sample)", interlace.datasets.load_penicillin(), method="ML"
    )
    found = interlace.power(
        fit, "Intercept", value=0.5, n={"plate": [6, 30], "sample": [3, 12]}, nsim=150, rng=1, progress=False
    )
    assert found.frame[["plate", "sample"]].to_numpy().tolist() == [[6, 3], [6, 12], [30, 3], [30, 12]]
    power = found.frame["power"].to_numpy().reshape(2, 2)
    assert (power[:, 1] > power[:, 0]).all()
    assert found.along == ("plate", "sample")


def test_intervals_are_clopper_and_pearsons():
    found = interlace.power(study(), "c[T.b]", nsim=120, level=0.9, rng=1, progress=False)
    row = found.frame.iloc[0]
    expected = stats.binomtest(int((found.pvalues < 0.05).sum()), 120).proportion_ci(0.9, method="exact")
    assert (row["conf_low"], row["conf_high"]) == pytest.approx((expected.low, expected.high), rel=1e-10)
    nothing = interlace.power(study(effect=0.0), "c[T.b]", nsim=3, alpha=1e-9, rng=1, progress=False)
    assert nothing.frame[["power", "conf_low"]].to_numpy().tolist() == [[0.0, 0.0]]


def test_the_numbers_depend_on_the_seed_only(monkeypatch):
    joblib = pytest.importorskip("joblib")
    options = {"n": [6, 8], "along": "subject", "nsim": 60, "progress": False}
    one = interlace.power(study(), "c[T.b]", rng=3, **options)
    with joblib.parallel_config(backend="threading"):
        two = interlace.power(study(), "c[T.b]", rng=np.random.default_rng(3), n_jobs=2, **options)
    assert (one.pvalues == two.pvalues).all()
    assert (interlace.power(study(), "c[T.b]", rng=4, **options).pvalues != one.pvalues).any()
    monkeypatch.setattr(module, "TASK", 25)
    monkeypatch.setattr(module, "together", lambda _: None)
    alone = interlace.power(study(), "c[T.b]", rng=3, **options)
    assert alone.pvalues == pytest.approx(one.pvalues, rel=1e-4)


def test_pictures(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    found = interlace.power(study(), "c[T.b]", n=[6, 8], along="subject", nsim=30, rng=3, progress=False)
    figure = found.plot()
    line = figure.axes[0].lines[0]
    assert line.get_xdata().tolist() == [6, 8]
    assert line.get_ydata() == pytest.approx(found.frame["power"])
    figure.savefig(tmp_path / "power.png")
    plt.close(figure)
    crossed = interlace.design(subjects=6, items=4, within={"c": ["a", "b"]}).assume(
        "y ~ c + (1 | subject) + (1 | item)", fixed={}, random={"subject": 1.0, "item": 1.0}, sigma=1.0
    )
    grid = interlace.power(
        crossed, "c[T.b]", n={"subject": [4, 6], "item": [2, 4]}, nsim=5, rng=1, progress=False
    )
    _, ax = plt.subplots()
    assert grid.plot(ax=ax) is ax.figure
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["2 item", "4 item"]
    plt.close(ax.figure)
    assert repr(grid).startswith("<Power of the test of c[T.b]: 4 sizes, ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": [5], "along": "item"}, "along='item' is no grouping factor"),
        ({"n": {"subject": [5]}, "along": "subject"}, "leave along= out"),
        ({"along": "subject"}, "needs n="),
        ({"n": [1], "along": "subject"}, "at least 2 levels"),
    ],
)
def test_sizes_that_mean_nothing_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        interlace.power(study(), "c[T.b]", nsim=2, **options)


def test_tests_that_mean_nothing_are_refused():
    with pytest.raises(DesignError, match="effect='b' is no fixed effect and no term"):
        interlace.power(study(), "b", nsim=2)
    with pytest.raises(ValueError, match="test='kenward-roger'"):
        interlace.power(study(), "c[T.b]", nsim=2, test="kenward-roger")
    with pytest.raises(ValueError, match="nsim=0"):
        interlace.power(study(), "c[T.b]", nsim=0)
    plan = interlace.design(subjects=6, within={"c": 3}, between={"g": 2})
    model = plan.assume("y ~ c + g + (1 | subject)", fixed={}, random={"subject": 1.0}, sigma=1.0)
    with pytest.raises(DesignError, match="value= is one number"):
        interlace.power(model, "c", value=1.0, nsim=2)
    with pytest.raises(TypeError, match="a fitted model was wanted"):
        interlace.power(pd.DataFrame(), "c", nsim=2)


def test_groups_that_are_missing_in_a_small_study_are_refused():
    frame = interlace.design(subjects=8, within={"c": 2}).frame
    frame["late"] = (frame["subject"].cat.codes >= 4).astype(float)
    model = interlace.planning.layouts.StudyDesign(frame).assume(
        "y ~ c + late + (1 | subject)", fixed={}, random={"subject": 1.0}, sigma=1.0
    )
    with pytest.raises(DesignError, match="do not identify the fixed effects"):
        interlace.power(model, "c[T.b]", n=[3], along="subject", nsim=2)
