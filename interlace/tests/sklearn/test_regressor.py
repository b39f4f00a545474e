"""The estimator for scikit-learn: its own checks, and the model behind it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import interlace
from interlace.errors import FormulaError, LevelError
from interlace.sklearn import CrossedLMMRegressor

SLEEP = interlace.datasets.load_sleepstudy()
FORMULA = "Days + (Days | Subject)"
MSE = "neg_mean_squared_error"


def test_scikit_learns_own_checks():
    done = check_estimator(CrossedLMMRegressor(), on_skip=None, on_fail=None)
    # Other array libraries than numpy: not offered, and asked only where SCIPY_ARRAY_API is set.
    asked = [one for one in done if "array_api" not in one["check_name"]]
    assert len(asked) > 40
    assert {one["check_name"]: one["exception"] for one in asked if one["status"] != "passed"} == {}


def test_formula_fits_the_model():
    expected = interlace.fit(f"Reaction ~ {FORMULA}", SLEEP)
    for formula in (FORMULA, f"~ {FORMULA}", f"Reaction ~ {FORMULA}"):
        found = CrossedLMMRegressor(formula).fit(SLEEP, SLEEP["Reaction"])
        assert found.result_.objective == expected.objective
        np.testing.assert_array_equal(found.coef_, expected.fe_params.iloc[1:])
        assert found.intercept_ == expected.fe_params.iloc[0]
        np.testing.assert_array_equal(found.predict(SLEEP), expected.predict(SLEEP))
        assert found.feature_names_in_.tolist() == list(SLEEP.columns)


def test_what_predictions_hold():
    expected = interlace.fit(f"Reaction ~ {FORMULA}", SLEEP)
    new = SLEEP.iloc[:3].assign(Subject=["308", "309", "999"])
    model = CrossedLMMRegressor(FORMULA).fit(SLEEP, SLEEP["Reaction"])
    np.testing.assert_array_equal(model.predict(new), expected.predict(new, new_levels="population"))
    model.set_params(random=False)
    np.testing.assert_array_equal(model.predict(new), expected.predict(new, random=False))
    with pytest.raises(LevelError, match="999"):
        model.set_params(random=True, new_levels="error").predict(new)


def test_groups_beside_an_array():
    """Two crossed factors as columns, against the formula."""
    data = interlace.datasets.make_reading_times(n_subjects=12, n_items=10, item_sd=90.0, rng=3)
    x = (data["condition"] == "incongruent").to_numpy(dtype=float)[:, None]
    groups = data[["subject", "item"]]
    model = CrossedLMMRegressor(method="ML").fit(x, data["rt"], groups=groups)
    expected = interlace.fit("rt ~ condition + (1 | subject) + (1 | item)", data, method="ML")
    # one criterion from two sets of column names; both optima are certified
    assert model.result_.objective == pytest.approx(expected.objective, abs=1e-7)
    np.testing.assert_allclose(model.predict(x, groups=groups), expected.predict(data), rtol=1e-6)
    np.testing.assert_allclose(model.predict(x), expected.predict(data, random=False), rtol=1e-6)


def test_one_column_of_groups():
    x, y = SLEEP[["Days"]].to_numpy(), SLEEP["Reaction"]
    model = CrossedLMMRegressor().fit(x, y, groups=SLEEP["Subject"])
    expected = interlace.fit("Reaction ~ Days + (1 | Subject)", SLEEP)
    np.testing.assert_allclose(model.predict(x, groups=SLEEP["Subject"]), expected.fittedvalues, rtol=1e-6)


def test_without_groups_it_is_least_squares():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    found, expected = CrossedLMMRegressor().fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)  # two least-squares solvers
    assert found.intercept_ == pytest.approx(expected.intercept_, rel=1e-9)
    assert found.result_ is None


def test_cross_validation_by_group_is_what_it_is_by_hand():
    y = SLEEP["Reaction"]
    folds = GroupKFold(n_splits=3)
    scores = cross_val_score(
        CrossedLMMRegressor(FORMULA),
        SLEEP,
        y,
        groups=SLEEP["Subject"],
        cv=folds,
        scoring="neg_mean_squared_error",
    )
    by_hand = []
    for train, test in folds.split(SLEEP, y, SLEEP["Subject"]):
        result = interlace.fit(f"Reaction ~ {FORMULA}", SLEEP.iloc[train])
        by_hand.append(-np.mean((y.iloc[test] - result.predict(SLEEP.iloc[test], random=False)) ** 2))
    np.testing.assert_allclose(scores, by_hand, rtol=1e-12)  # the same fits: sums in another order


def test_parameters_can_be_searched_for():
    search = GridSearchCV(
        CrossedLMMRegressor(), {"formula": ["Days + (1 | Subject)", FORMULA]}, cv=3, scoring="r2"
    )
    search.fit(SLEEP, SLEEP["Reaction"])
    assert search.best_params_["formula"] in ("Days + (1 | Subject)", FORMULA)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_pickle_and_clone():
    model = CrossedLMMRegressor(FORMULA).fit(SLEEP, SLEEP["Reaction"])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(SLEEP), model.predict(SLEEP))
    assert not hasattr(clone(model), "result_")


def test_functions_and_weights():
    data = SLEEP.assign(w=np.linspace(0.5, 2.0, len(SLEEP)))
    model = CrossedLMMRegressor("np.log1p(Days) + (1 | Subject)", weights="w").fit(data, SLEEP["Reaction"])
    expected = interlace.fit("Reaction ~ np.log1p(Days) + (1 | Subject)", data, weights="w")
    assert model.result_.objective == expected.objective


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        (
            "np.log(Reaction) ~ Days + (1 | Subject)",
            {},
            r'the response "np.log\(Reaction\)" is more than a name',
        ),
        (FORMULA, {"groups": SLEEP["Subject"]}, "groups= goes without a formula"),
        ("Days", {}, 'no random effects in "y ~ Days": add groups='),
    ],
)
def test_what_makes_no_model_is_refused(formula, options, message):
    with pytest.raises(FormulaError, match=message):
        CrossedLMMRegressor(formula).fit(SLEEP, SLEEP["Reaction"], **options)


def test_lengths_must_fit():
    with pytest.raises(ValueError, match="y has 3 values and X 180 rows"):
        CrossedLMMRegressor(FORMULA).fit(SLEEP, [1.0, 2.0, 3.0])


def test_other_tables_do():
    model = CrossedLMMRegressor(FORMULA).fit(pl.from_pandas(SLEEP), pl.from_pandas(SLEEP)["Reaction"])
    assert isinstance(model.predict({"Reaction": [0.0], "Days": [1], "Subject": ["308"]}), np.ndarray)
    assert isinstance(SLEEP, pd.DataFrame)


def test_package_does_without_scikit_learn():
    code = (
        "import sys; sys.modules['sklearn'] = None; import interlace\n"
        "try:\n    import interlace.sklearn\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=Path(interlace.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith('which is not installed; pip install "interlace[sklearn]"')
