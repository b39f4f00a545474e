"""Many responses as arrays: the same numbers as one result each, wherever the responses come from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import interlace
from interlace.errors import FormulaError
from interlace.lmm import many_arrays

pytestmark = pytest.mark.filterwarnings("ignore::interlace.errors.SingularFitWarning")

RIGHT = "~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def sleep():
    return interlace.datasets.load_sleepstudy()


@pytest.fixture(scope="module")
def Y(sleep):
    """Simulated responses, two with gaps, one infinite, one that the fixed effects reproduce."""
    drawn = interlace.fit("Reaction ~ Days + (Days | Subject)", sleep).simulate(12, rng=4).to_numpy().copy()
    drawn[[3, 50], 2] = np.nan
    drawn[[3, 50], 7] = np.nan
    drawn[9, 4] = np.inf
    drawn[:, 5] = 3.0 + 2.0 * sleep["Days"]
    return drawn


@pytest.fixture(scope="module")
def found(sleep, Y):
    return interlace.fit_many(RIGHT, sleep, Y, progress=False)


def same(one, other):
    for name in many_arrays.ARRAYS:
        # Products of matrices of other widths: the last digits differ.
        assert one.values[name] == pytest.approx(other.values[name], rel=1e-8, abs=1e-8, nan_ok=True)
    assert list(one.failures) == list(other.failures)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_arrays_are_the_numbers_of_single_results(sleep, Y, method):
    found = interlace.fit_many(RIGHT, sleep, Y, method=method, progress=False)
    assert len(found) == 12
    for j in (0, 2, 7, 11):
        one = interlace.fit("y " + RIGHT, sleep.assign(y=Y[:, j]), method=method)
        table = one.coef_table()
        frame = pd.DataFrame({name: found.frame(name).iloc[j] for name in found.fe_names}).T
        # Both searches end within some 1e-6 of a standard error of theta.
        for column in ("estimate", "std_error", "statistic", "df", "p_value"):
            assert frame[column].to_numpy() == pytest.approx(table[column].to_numpy(), rel=1e-5)
        assert found.theta.iloc[j].to_numpy() == pytest.approx(one.theta, rel=1e-4, abs=1e-5)
        assert found.random.iloc[j]["sigma"] == pytest.approx(one.sigma, rel=1e-6)
        assert found.models.iloc[j].to_dict() == {
            "nobs": one.nobs,
            "objective": pytest.approx(one.objective, rel=1e-10),
            "singular": one.is_singular,
            "certified": True,
        }


def test_members_that_fail_are_named_and_spoil_no_other(found):
    assert list(found.failures.index) == ["y05", "y06"]
    assert found.failures["y05"].startswith("DesignError: the response holds infinite values")
    assert found.failures["y06"].startswith("OptimizationError: the fixed effects reproduce")
    assert found.params.isna().any(axis=1).sum() == 2
    assert repr(found) == "<ManyEstimates: 12 responses, 2 singular, 2 failed>"


def test_false_discoveries_are_statsmodels(found):
    adjusted = found.adjusted("Days", alpha=0.1)
    known = found.pvalues["Days"].dropna()
    rejected, p, *_ = multipletests(known, alpha=0.1, method="fdr_bh")
    assert adjusted["p_adjusted"].dropna().to_numpy() == pytest.approx(p, rel=1e-14)
    assert adjusted.loc[known.index, "rejected"].tolist() == rejected.tolist()
    assert not adjusted.loc[["y05", "y06"], "rejected"].any()
    holm = found.adjusted("Days", method="holm")["p_adjusted"].dropna()
    assert (holm >= known).all()


def test_normal_tests_have_no_degrees_of_freedom(sleep, Y, found):
    normal = interlace.fit_many(RIGHT, sleep, Y[:, :2], ddf="normal", progress=False)
    assert np.isinf(normal.df).all(axis=None)
    assert (normal.pvalues < found.pvalues.iloc[:2].to_numpy()).all(axis=None)
    one = interlace.fit("y " + RIGHT, sleep.assign(y=Y[:, 0]))
    expected = one.coef_table(ddf="normal")["p_value"]
    assert normal.pvalues.iloc[0].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4)


# ---- where responses come from -----------------------------------------------------------------


class Chunked:
    """An array that is not in memory, as Zarr's and h5py's are."""

    def __init__(self, values):
        self.shape, self._values = values.shape, values

    def __getitem__(self, key):
        return self._values[key]


@pytest.mark.parametrize("source", ["memmap", "npy", "chunked", "function", "frame", "parquet"])
def test_sources_give_the_same(sleep, Y, found, source, tmp_path, monkeypatch):
    monkeypatch.setattr(many_arrays, "READ_RESPONSES", 5)  # three portions
    names = [f"y{j + 1:02d}" for j in range(12)]
    options = {}
    if source == "memmap":
        given = np.memmap(tmp_path / "y", dtype=float, mode="w+", shape=Y.shape)
        given[:] = Y
    elif source == "npy":
        np.save(tmp_path / "y.npy", Y)
        given = tmp_path / "y.npy"
    elif source == "chunked":
        given = Chunked(Y)
    elif source == "function":
        given, options = (lambda start, stop: Y[:, start:stop]), {"names": names}
    elif source == "frame":
        given, options = pd.DataFrame(Y, columns=names), {"arrays": True}
    else:
        pytest.importorskip("pyarrow")
        pd.DataFrame(Y, columns=names).to_parquet(tmp_path / "y.parquet")
        given = str(tmp_path / "y.parquet")
    again = interlace.fit_many(RIGHT, sleep, given, progress=False, **options)
    assert list(again.responses) == names
    same(again, found)


def test_columns_of_the_data_as_arrays(sleep):
    found = interlace.fit_many(RIGHT, sleep, ["Reaction", "np.log(Reaction)"], arrays=True, progress=False)
    one = interlace.fit_many(RIGHT, sleep, ["Reaction", "np.log(Reaction)"])
    assert list(found.responses) == ["Reaction", "np.log(Reaction)"]
    for name in found.responses:
        assert found.params.loc[name].to_numpy() == pytest.approx(one[name].fe_params.to_numpy(), rel=1e-8)


def test_an_interrupted_call_goes_on_where_it_stopped(sleep, Y, found, tmp_path, monkeypatch):
    monkeypatch.setattr(many_arrays, "READ_RESPONSES", 4)
    asked = []

    def read(start, stop):
        asked.append(start)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return Y[:, start:stop]

    options = {"names": list(found.responses), "checkpoint": tmp_path / "parts", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        interlace.fit_many(RIGHT, sleep, read, **options)
    fitted = []
    original = many_arrays.Task.fitted
    monkeypatch.setattr(
        many_arrays.Task, "fitted", lambda self, own: (fitted.append(own.shape), original(self, own))[1]
    )
    same(interlace.fit_many(RIGHT, sleep, read, **options), found)
    assert fitted == [(180, 4)]
    # Another model does not take these portions for its own.
    interlace.fit_many("~ Days + (1 | Subject)", sleep, read, **options)
    assert len(fitted) == 4


def test_numbers_do_not_depend_on_the_workers(sleep, Y, found, monkeypatch):
    joblib = pytest.importorskip("joblib")
    monkeypatch.setattr(many_arrays, "READ_RESPONSES", 5)
    with joblib.parallel_config(backend="threading"):
        same(interlace.fit_many(RIGHT, sleep, Y, progress=False, n_jobs=2), found)


def test_large_designs_are_fitted_one_by_one(sleep, Y, found, monkeypatch):
    monkeypatch.setattr(many_arrays, "together", lambda _: None)
    alone = interlace.fit_many(RIGHT, sleep, Y[:, :3], progress=False)
    # Single searches end within some 1e-6 of a standard error.
    assert alone.params.to_numpy() == pytest.approx(found.params.iloc[:3].to_numpy(), rel=1e-6)
    assert alone.df.to_numpy() == pytest.approx(found.df.iloc[:3].to_numpy(), rel=1e-4)


# ---- refusals ----------------------------------------------------------------------------------


def test_what_does_not_fit_the_data_is_refused(sleep, Y, tmp_path):
    with pytest.raises(FormulaError, match=r"has the shape \(179, 12\); wanted \(180, 'r'\)"):
        interlace.fit_many(RIGHT, sleep, Y[:-1])
    with pytest.raises(FormulaError, match="names= must say"):
        interlace.fit_many(RIGHT, sleep, lambda start, stop: Y[:, start:stop])
    with pytest.raises(FormulaError, match="responses 0 to 2 came with the shape"):
        interlace.fit_many(RIGHT, sleep, lambda *_: Y, names=["a", "b", "c"])
    with pytest.raises(FormulaError, match="1 names for 12 responses"):
        interlace.fit_many(RIGHT, sleep, Y, names=["a"])
    with pytest.raises(FormulaError, match="arrays=False"):
        interlace.fit_many(RIGHT, sleep, Y, arrays=False)
    with pytest.raises(FormulaError, match=r"no \.npy or \.parquet file"):
        interlace.fit_many(RIGHT, sleep, tmp_path / "y.csv")
    with pytest.raises(ValueError, match="ddf='kenward-roger'"):
        interlace.fit_many(RIGHT, sleep, Y, ddf="kenward-roger")
