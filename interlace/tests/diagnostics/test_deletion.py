"""Exact deletion: equal to a refit from scratch, whatever vanishes with the rows."""

import pickle

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.diagnostics.fitted_rows import fitted_rows
from interlace.errors import DeletionWarning, DesignError, SingularFitWarning
from interlace.fitted import record_of
from interlace.pls.rows.subtraction import without
from interlace.tests.strategies import SOLVERS

READING = interlace.datasets.make_reading_times(14, 10, rng=4)


def same_as_from_scratch(deletion, label, scratch):
    """Estimates within 1e-6 of their standard errors."""
    se = scratch.bse_fe
    ours = deletion.fixed_effects.loc[label, list(se.index)]
    assert (np.abs(ours - scratch.fe_params) / se).max() < 1e-6
    assert abs(deletion.criterion[label] - scratch.objective) < 1e-8 * abs(scratch.objective)


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
@pytest.mark.parametrize("factor", ["subject", "item"])
def test_crossed_model(factor):
    formula = "rt ~ condition + (1 | subject) + (1 | item)"
    deletion = interlace.case_delete(interlace.fit(formula, READING), factor)
    for label in deletion.criterion.index[:4]:
        same_as_from_scratch(deletion, label, interlace.fit(formula, READING[READING[factor] != label]))


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_levels_of_the_other_factor_that_vanish(solver):
    # The first subject alone reads ten further items.
    extra = READING.head(10).assign(item=[f"z{i}" for i in range(10)], rt=lambda x: x["rt"] + 30.0)
    frame = pd.concat([READING, extra], ignore_index=True)
    formula = "rt ~ condition + (1 | subject) + (1 | item)"
    first = frame["subject"].iloc[0]
    result = interlace.CrossedLMM.from_formula(formula, frame).fit(solver=solver)
    deletion = interlace.case_delete(result, "subject")
    same_as_from_scratch(deletion, first, interlace.fit(formula, frame[frame["subject"] != first]))


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
@pytest.mark.parametrize(
    ("terms", "level"),
    [
        ("(1 | department) + (1 | teacher) + (1 | pupil)", "department"),  # teachers of one department
        ("(1 + x | teacher) + (1 | pupil)", "department"),
        ("(1 | pupil) + (1 + x | department)", "department"),
        ("(1 + x | department / teacher)", "department"),  # nested
        ("(1 | department / teacher)", "department"),
    ],
)
def test_many_levels_that_vanish_together(terms, level):
    rng = np.random.default_rng(3)
    teacher = np.repeat(np.arange(12), 20)
    frame = pd.DataFrame(
        {
            "teacher": teacher,
            "department": teacher // 3,
            "pupil": rng.integers(0, 30, 240),
            "x": rng.normal(size=240),
        }
    )
    effects = (
        rng.normal(size=12)[teacher] + rng.normal(size=4)[teacher // 3] + rng.normal(size=30)[frame["pupil"]]
    )
    frame["y"] = effects * (1.0 + frame["x"]) + rng.normal(size=240)
    frame = frame.astype({"teacher": "category", "department": "category", "pupil": "category"})
    formula = f"y ~ x + {terms}"
    deletion = interlace.case_delete(interlace.fit(formula, frame), level)
    for label in deletion.criterion.index:
        same_as_from_scratch(deletion, label, interlace.fit(formula, frame[frame[level] != label]))


@pytest.mark.parametrize(("gone", "left"), [(6, (30, 18)), (1, (30, 24))])
def test_many_vanished_levels_leave_a_dense_factor_and_few_stay(gone, left):
    rng = np.random.default_rng(4)
    teacher = np.repeat(np.arange(24), 10)
    frame = pd.DataFrame({"y": rng.normal(size=240), "teacher": teacher, "pupil": np.tile(np.arange(30), 8)})
    frame["y"] += rng.normal(size=24)[teacher]
    formula = "y ~ 1 + (1 | teacher) + (1 | pupil)"
    result = interlace.fit(formula, frame.astype({"teacher": "category", "pupil": "category"}))
    own = np.flatnonzero(teacher < gone)
    record = record_of(result)
    fitted = fitted_rows(record.design, record.polished)
    criterion = without(result.pls_fit.criterion, fitted.rows, own)
    assert criterion.relcov.layout.n_levels == left


def test_column_of_x_that_vanishes():
    frame = interlace.datasets.load_sleepstudy().assign(
        special=lambda x: (x["Subject"] == x["Subject"].iloc[0]).astype(float)
    )
    formula = "Reaction ~ Days + special + (1 | Subject)"
    first = frame["Subject"].iloc[0]
    deletion = interlace.case_delete(interlace.fit(formula, frame), "Subject")
    assert np.isnan(deletion.fixed_effects.loc[first, "special"])
    scratch = interlace.fit("Reaction ~ Days + (1 | Subject)", frame[frame["Subject"] != first])
    same_as_from_scratch(deletion, first, scratch)
    assert deletion.measures.loc[first].isna().all()
    assert deletion.measures.drop(first).notna().all(axis=None)
    step = interlace.hlm_influence(interlace.fit(formula, frame), "Subject")
    assert np.isnan(step.loc[first, "cooksd"])
    assert step.drop(first)["cooksd"].notna().all()


def test_weights_offset_and_method_are_kept():
    frame = interlace.datasets.load_sleepstudy()
    frame = frame.assign(w=np.linspace(0.5, 2.0, len(frame)), known=frame["Days"] / 3.0)
    formula, given = "Reaction ~ Days + (Days | Subject)", {"weights": "w", "offset": "known"}
    model = interlace.CrossedLMM.from_formula(formula, frame, **given)
    deletion = interlace.case_delete(model.fit(reml=False), "Subject")
    for label in deletion.criterion.index[:3]:
        left = frame[frame["Subject"] != label]
        scratch = interlace.CrossedLMM.from_formula(formula, left, **given).fit(reml=False)
        same_as_from_scratch(deletion, label, scratch)


def test_several_cases_together():
    frame = interlace.datasets.load_sleepstudy()
    labels = frame["Subject"].unique()[:2].tolist()
    formula = "Reaction ~ Days + (Days | Subject)"
    deletion = interlace.case_delete(interlace.fit(formula, frame), "Subject", delete=labels)
    assert len(deletion.criterion) == 1
    scratch = interlace.fit(formula, frame[~frame["Subject"].isin(labels)])
    same_as_from_scratch(deletion, deletion.criterion.index[0], scratch)


def test_unknown_label_is_refused():
    result = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    with pytest.raises(DesignError, match="wanted labels such as"):
        interlace.case_delete(result, "Subject", delete=[-1])


def test_failures_are_counted_and_named():
    frame = pd.DataFrame({"y": [1.0, 2, 3, 5, 4, 7], "g": list("aabbcc")})
    result = interlace.fit("y ~ 1 + (1 | g)", frame)
    # Five of the six rows are one case: a single row cannot be fitted.
    partition = np.array(["most"] * 5 + ["last"])
    with pytest.warns(DeletionWarning, match=r"1 of 2 refits failed, without \['most'\]"):
        deletion = interlace.case_delete(result, partition)
    assert list(deletion.failures.index) == ["most"]
    assert deletion.fixed_effects.loc["most"].isna().all()
    assert deletion.fixed_effects.loc["last"].notna().all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_several_processes_find_the_same(solver):
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    result = interlace.fit(formula, interlace.datasets.load_penicillin(), solver=solver)
    one, two = (interlace.case_delete(result, "sample", n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one.variance_components, two.variance_components, rtol=1e-9)


def test_nothing_that_was_passed_in_changes():
    frame = interlace.datasets.load_sleepstudy()
    before = frame.copy()
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", frame)
    objective, theta, b = result.objective, result.theta.copy(), result.random_effects["Subject"].copy()
    interlace.case_delete(result, "Subject")
    interlace.hlm_influence(result)
    pd.testing.assert_frame_equal(frame, before)
    assert result.objective == objective
    assert (result.theta == theta).all()
    pd.testing.assert_frame_equal(result.random_effects["Subject"], b)


@pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")
def test_change_of_a_variance_of_zero_is_missing_and_no_other():
    frame = interlace.datasets.load_sleepstudy().assign(
        g=lambda x: np.arange(len(x)) % 6, y=lambda x: x["Reaction"]
    )
    result = interlace.fit("y ~ Days + (1 | Subject) + (1 | g)", frame)
    assert result.variance_components["g"] == 0.0
    change = interlace.rvc(result, "Subject")
    assert change["rvc.g"].isna().all()
    assert change.drop(columns="rvc.g").notna().all(axis=None)


def test_after_pickling():
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    again = pickle.loads(pickle.dumps(result))
    pd.testing.assert_frame_equal(
        interlace.hlm_influence(result, "Subject"), interlace.hlm_influence(again, "Subject"), rtol=1e-9
    )


def test_singular_warning_is_not_repeated_per_case(recwarn):
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    interlace.case_delete(result, "Subject")
    assert not [w for w in recwarn if issubclass(w.category, SingularFitWarning)]
