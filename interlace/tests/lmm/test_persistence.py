"""Stored and emptied results: in a fresh process, at module level, they go on working."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from types import FunctionType, MethodType, ModuleType

import numpy as np
import pytest
import statsmodels.api as sm

import interlace
from interlace.errors import InterlaceError

# Unpickling at the shallowest stack there is, where statsmodels' own restoring of a formula fails.
FRESH = """
import pickle, sys
result = pickle.load(open(sys.argv[1], "rb"))
print(result.summary().as_text())
print(repr(result.conf_int().to_numpy().tolist()))
print(repr(result.predict({columns}, new_levels="population").tolist()))
print(repr(result.predict({columns}, random=False).tolist()))
"""


def in_a_fresh_process(path, columns):
    done = subprocess.run(
        [sys.executable, "-c", FRESH.format(columns=columns), str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(interlace.__file__).parents[1],
    )
    *summary, limits, conditional, fixed = done.stdout.splitlines()
    return "\n".join(summary), limits, conditional, fixed


@pytest.fixture
def result():
    data = interlace.datasets.load_sleepstudy()
    data["shift"] = np.where(np.arange(len(data)) % 2 == 0, "day", "night")
    formula = "Reaction ~ center(Days) + C(shift, Sum) + np.log1p(Days) + (np.sqrt(Days) | Subject)"
    return interlace.fit(formula, data)


COLUMNS = '{"Days": [1.0, 4.0], "shift": ["night", "day"], "Subject": ["308", "new"]}'


@pytest.mark.parametrize("remove_data", [False, True])
def test_fresh_process_reads_a_saved_result(result, tmp_path, remove_data):
    rows = {"Days": [1.0, 4.0], "shift": ["night", "day"], "Subject": ["308", "new"]}
    text = result.summary().as_text()
    limits = repr(result.conf_int().to_numpy().tolist())
    conditional = repr(result.predict(rows, new_levels="population").tolist())
    fixed = repr(result.predict(rows, random=False).tolist())
    path = tmp_path / "fit.pickle"
    if remove_data:
        result.remove_data()
    path.write_bytes(pickle.dumps(result))
    assert in_a_fresh_process(path, COLUMNS) == (text, limits, conditional, fixed)


def test_a_pickle_holds_everything(result):
    again = pickle.loads(pickle.dumps(result))
    for name in ("params", "bse", "fittedvalues", "resid", "pvalues"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    for name, frame in result.random_effects_se.items():
        np.testing.assert_array_equal(again.random_effects_se[name], frame)
    assert again.model.formula == result.model.formula
    assert again.certificate.sentence == result.certificate.sentence
    assert repr(again) == repr(result)


def test_a_stored_model_can_be_fitted_again(result):
    again = pickle.loads(pickle.dumps(result)).model.fit(reml=False)
    assert again.llf == pytest.approx(result.model.fit(reml=False).llf, abs=1e-9)  # the same search


def test_statsmodels_reads_pickles(result, tmp_path):
    path = tmp_path / "fit.pickle"
    path.write_bytes(pickle.dumps(result))
    assert sm.load(path).params.equals(result.params)


def test_remove_data_drops_every_row(result):
    n, fitted = result.nobs, result.fittedvalues
    assert len(result.resid) == n  # fills the cache that is to be emptied
    model = result.model
    result.remove_data()
    assert result.model.data.frame is None
    assert result.model.endog is None
    assert result.model.exog is None
    assert longest_array(result._results) < n
    with pytest.raises(
        ValueError, match=r"the rows of the data are gone \(remove_data was called, or the file"
    ):
        result.predict()
    with pytest.raises(ValueError, match="fit the model again"):
        result.model.fit()
    # The model that the result came from belongs to the caller and stays whole.
    assert model.data.frame is not None
    assert model.fit().fittedvalues.equals(fitted)


def test_summary_after_remove_data_needs_no_summary_before(result):
    expected = pickle.loads(pickle.dumps(result)).summary().as_text()
    result.remove_data()
    assert result.summary().as_text() == expected
    assert result.random_effects["Subject"].shape == (18, 2)
    assert np.isfinite(result.random_effects_se["Subject"].to_numpy()).all()


def test_remove_data_makes_the_pickle_small():
    rows = np.arange(20000)
    fit = interlace.fit("y ~ 1 + (1 | s)", {"y": np.sin(rows) + rows % 10, "s": rows % 10})
    whole = len(pickle.dumps(fit))
    fit.remove_data()
    assert len(pickle.dumps(fit)) < whole / 10


def test_functions_that_cannot_be_stored_cost_the_prediction_only():
    def half(x):
        return x / 2

    fit = interlace.fit("Reaction ~ half(Days) + (1 | Subject)", interlace.datasets.load_sleepstudy())
    again = pickle.loads(pickle.dumps(fit))
    assert again.summary().as_text() == fit.summary().as_text()
    with pytest.raises(InterlaceError, match="half"):
        again.predict({"Days": [1.0], "Subject": ["308"]})


NOT_SEARCHED = (str, bytes, type, FunctionType, MethodType, ModuleType)


def longest_array(thing, seen=None):
    """Length of the longest array, Series or Index reachable from an object's attributes."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, NOT_SEARCHED):
        return 0
    seen.add(id(thing))
    if hasattr(thing, "shape") and not hasattr(thing, "__dataclass_fields__"):
        return max(thing.shape, default=0)
    parts = list(vars(thing).values()) if hasattr(thing, "__dict__") else []
    if isinstance(thing, dict):
        parts += list(thing.values())
    if isinstance(thing, (list, tuple)):
        parts += list(thing)
    return max((longest_array(part, seen) for part in parts), default=0)
