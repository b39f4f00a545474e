"""Labels, statsmodels' names, and the words of the public functions."""

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import DesignError

SLEEP = interlace.datasets.load_sleepstudy()


@pytest.fixture(scope="module")
def fit():
    return interlace.fit("Reaction ~ Days + (Days | Subject)", SLEEP)


def test_labels_do_not_depend_on_the_order_of_the_rows(fit):
    shuffled = interlace.fit("Reaction ~ Days + (Days | Subject)", SLEEP.sample(frac=1.0, random_state=2))
    for level in ("Subject", 1):
        one, two = (interlace.hlm_influence(r, level) for r in (fit, shuffled))
        # The same fit to the last digits that its optimum has.
        pd.testing.assert_frame_equal(one, two.loc[one.index], rtol=1e-6, atol=1e-9)


def test_names_of_columns(fit):
    exact = interlace.hlm_influence(fit, "Subject", method="exact")
    assert list(exact) == [
        "cooksd",
        "mdffits",
        "covtrace",
        "covratio",
        "leverage.overall",
        "rvc.Residual",
        "rvc.Subject.(Intercept).(Intercept)",
        "rvc.Subject.Days.(Intercept)",
        "rvc.Subject.Days.Days",
    ]


def test_one_measure_is_a_column_of_all(fit):
    frame = interlace.hlm_influence(fit, "Subject")
    measures = ("cooksd", interlace.cooks_distance), ("mdffits", interlace.mdffits)
    for name, function in (*measures, ("covratio", interlace.covratio), ("covtrace", interlace.covtrace)):
        pd.testing.assert_series_equal(function(fit, "Subject"), frame[name])
    deletion = interlace.case_delete(fit, "Subject")
    pd.testing.assert_series_equal(interlace.cooks_distance(deletion), deletion.measures["cooksd"])
    pd.testing.assert_frame_equal(interlace.rvc(deletion), interlace.rvc(fit, "Subject"))


def test_augment_has_residuals_influence_and_data(fit):
    frame = interlace.hlm_augment(fit, data=SLEEP)
    assert list(frame.columns[:3]) == list(SLEEP.columns)
    assert {".resid", "cooksd", "leverage.overall"} <= set(frame)
    assert (frame.index == SLEEP.index).all()


def test_summary_frame_for_observations_and_groups(fit):
    rows, groups = fit.get_influence().summary_frame(), fit.get_influence("Subject").summary_frame()
    assert len(rows) == 180
    assert len(groups) == 18
    assert "student_resid" in rows
    assert "student_resid" not in groups
    with pytest.raises(DesignError, match="no studentized residual"):
        _ = fit.get_influence("Subject").resid_studentized


def test_dffits_of_observations_by_definition(fit):
    influence = fit.get_influence()
    step = influence._step
    X = fit.model.design.X
    for i in (0, 57, 179):
        d = step.change[i]
        C = np.asarray(fit.pls_fit.vcov_beta)
        # The covariance without the row, from its own standard errors and the change's direction.
        grown = (step.se_deleted[i] ** 2 - np.diag(C)) / np.where(d != 0, d**2, 1.0)
        deleted = C + grown[1] * np.outer(d, d)
        assert influence.dffits[0][i] == pytest.approx(X[i] @ d / np.sqrt(X[i] @ deleted @ X[i]), rel=1e-6)


def test_partition_by_a_series_in_another_order(fit):
    week = pd.Series(np.where(SLEEP["Days"] < 5, "first", "second"), index=SLEEP.index, name="half")
    one = interlace.cooks_distance(fit, week)
    two = interlace.cooks_distance(fit, week.sample(frac=1.0, random_state=1))
    assert one.index.tolist() == ["first", "second"]
    pd.testing.assert_series_equal(one, two)


def test_rows_that_belong_to_no_case_stay(fit):
    part = pd.Series(np.where(SLEEP["Days"] == 0, "start", None), index=SLEEP.index)
    assert interlace.cooks_distance(fit, part).index.tolist() == ["start"]


def test_level_of_the_wrong_length_is_refused(fit):
    with pytest.raises(DesignError, match="has 3 entries; wanted one for each of the 180 rows"):
        interlace.cooks_distance(fit, [1, 2, 3])


def test_combination_of_factors_counts_those_that_occur():
    frame = interlace.datasets.make_reading_times(6, 5, rng=3, subject_sd=200.0).iloc[1:]
    result = interlace.fit("rt ~ 1 + (1 | subject)", frame)
    found = interlace.cooks_distance(result, "subject:item")
    assert len(found) == 29
    by_row = interlace.cooks_distance(result)
    label = f"{frame['subject'].iloc[3]}:{frame['item'].iloc[3]}"
    assert found[label] == pytest.approx(by_row.iloc[3], rel=1e-9)


def test_unknown_method_and_leverage_are_refused(fit):
    with pytest.raises(DesignError, match="method='quick'"):
        interlace.hlm_influence(fit, method="quick")
    with pytest.raises(DesignError, match="leverage='all'"):
        interlace.hlm_influence(fit, leverage="all")
