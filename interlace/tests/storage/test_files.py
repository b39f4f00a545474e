"""Files of fits: whole or refused, and the same fit when read."""

from __future__ import annotations

import datetime
import io
import json
import os
import pickle
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import interlace
from interlace.errors import DesignError, StorageError
from interlace.storage.container import from_bytes, to_bytes
from interlace.storage.plain import Packer, Unpacker

FIXTURE = Path(__file__).parents[1] / "reference" / "files" / "format-1.interlace"
NEW = {"Days": [1.0, 4.0], "shift": ["night", "day"], "Subject": ["308", "new"]}


def fitted(formula="Reaction ~ center(Days) + C(shift, Sum) + np.log1p(Days) + (np.sqrt(Days) | Subject)"):
    data = interlace.datasets.load_sleepstudy()
    data["shift"] = np.where(np.arange(len(data)) % 2 == 0, "day", "night")
    return interlace.fit(formula, data)


@pytest.fixture(scope="module")
def result():
    return fitted()


def content(result, **options):
    buffer = io.BytesIO()
    result.save(buffer, **options)
    return buffer.getvalue()


def read(data, **options):
    return interlace.load(io.BytesIO(data), **options)


@pytest.mark.parametrize("rows", [False, True])
def test_a_file_tells_what_the_fit_told(result, rows):
    again = read(content(result, rows=rows))
    # The same numbers: nothing is computed anew.
    assert again.summary().as_text() == result.summary().as_text()
    pd.testing.assert_frame_equal(again.conf_int(), result.conf_int(), check_exact=True)
    for how in ({"new_levels": "population"}, {"random": False}):
        pd.testing.assert_series_equal(
            again.predict(NEW, **how), result.predict(NEW, **how), check_exact=True
        )
    assert repr(again) == repr(result)
    assert again.mle_retvals["iterations"] == result.mle_retvals["iterations"]
    assert again.random_effects["Subject"].equals(result.random_effects["Subject"])
    assert again.random_effects_se["Subject"].equals(result.random_effects_se["Subject"])


def test_rows_come_back_when_asked_for(result):
    again = read(content(result, rows=True))
    assert again.fittedvalues.equals(result.fittedvalues)
    assert again.simulate(2, rng=1).equals(result.simulate(2, rng=1))
    assert again.criterion(again.theta) == pytest.approx(result.objective, abs=1e-9)  # rounding


def test_what_needs_rows_refuses_without_them(result):
    again = read(content(result))
    for ask in (again.simulate, again.predict, lambda: again.fittedvalues):
        with pytest.raises(DesignError, match="the file was saved without rows"):
            ask()


def test_size_does_not_depend_on_the_rows():
    def size(n):
        rows = np.arange(n)
        fit = interlace.fit("y ~ 1 + (1 | s)", {"y": np.sin(rows) + rows % 10, "s": rows % 10})
        return len(content(fit))

    # The same entries; numbers written in JSON may differ by some digits.
    assert abs(size(20_000) - size(200)) < 500


def test_no_flipped_bit_is_accepted(result):
    data, rng = content(result), np.random.default_rng(1)
    for place in rng.integers(0, 8 * len(data), 300).tolist():
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(StorageError, match=r"damaged|no fit that interlace wrote"):
            read(bytes(damaged))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_part_of_a_file_is_refused(result, share):
    data = content(result)
    with pytest.raises(StorageError, match="no fit that interlace wrote"):
        read(data[: int(share * len(data))])


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "fit"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(StorageError, match="looks like a pickle"):
        interlace.CrossedLMMResults.load(path)
    np.savez(tmp_path / "numbers.npz", a=np.ones(3))
    with pytest.raises(StorageError, match="no fit that interlace wrote"):
        interlace.load(tmp_path / "numbers.npz")
    with pytest.raises(StorageError, match="KeyError: 'kind'"):
        read(to_bytes({"schema": 1}, {}))
    with pytest.raises(StorageError, match="TypeError"):
        read(to_bytes({"kind": "linear", "schema": 1}, {}))
    with pytest.raises(StorageError):
        read(to_bytes([1, 2], {}))


def test_a_later_format_is_refused(monkeypatch):
    monkeypatch.setattr("interlace.storage.container.FORMAT", 99)
    later = to_bytes({}, {})
    monkeypatch.undo()
    with pytest.raises(StorageError, match="format 99"):
        from_bytes(later)


def test_a_file_that_was_there_survives_a_failure(result, tmp_path, monkeypatch):
    path = tmp_path / "fit.interlace"
    result.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        result.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_remove_data_is_the_opposite_of_rows(result):
    assert content(result, remove_data=False) == content(result, rows=True)
    assert content(result, remove_data=True) == content(result)
    with pytest.raises(ValueError, match="contradict"):
        result.save(io.BytesIO(), remove_data=True, rows=True)


def test_numpy_reads_the_numbers(result, tmp_path):
    result.save(tmp_path / "fit.npz")
    with zipfile.ZipFile(tmp_path / "fit.npz") as archive:
        tree = json.loads(archive.read("fit.json"))
    name = tree["content"]["fit"]["numbers"]["beta"]["value"]
    with np.load(tmp_path / "fit.npz") as arrays:
        np.testing.assert_array_equal(arrays[name], result.fe_params)


def test_own_functions_cost_the_prediction_only():
    def half(x):
        return x / 2

    fit = interlace.fit("Reaction ~ half(Days) + (1 | Subject)", interlace.datasets.load_sleepstudy())
    new = {"Days": [1.0], "Subject": ["308"]}
    again = read(content(fit))
    assert again.summary().as_text() == fit.summary().as_text()
    with pytest.raises(DesignError, match="safe_formula=False"):
        again.predict(new)
    trusted = read(content(fit), safe_formula=False, eval_env={"half": half})
    assert trusted.predict(new).equals(fit.predict(new))


def test_a_formula_in_a_file_runs_nothing(tmp_path):
    ran = tmp_path / "ran"
    fit = fitted(f"Reaction ~ I(Days + 0 * len(str(open('{ran}', 'w').close()))) + (1 | Subject)")
    data = content(fit)
    ran.unlink()
    again = read(data)
    with pytest.raises(DesignError, match="without running code"):
        again.predict({"Days": [1.0], "Subject": ["308"]})
    assert not ran.exists()


def test_numbers_of_the_caller_are_kept():
    moved = 2.0
    fit = interlace.fit("Reaction ~ I(Days - moved) + (1 | Subject)", interlace.datasets.load_sleepstudy())
    data, moved = content(fit), 50.0
    new = {"Days": [1.0], "Subject": ["308"]}
    assert read(data).predict(new).equals(fit.predict(new))
    assert moved == 50.0


def test_arrays_and_interactions_are_stored():
    pastes = interlace.datasets.load_pastes()
    fit = interlace.fit("strength ~ 1 + (1 | batch/cask)", pastes)
    assert read(content(fit)).predict(pastes).equals(fit.predict(pastes))
    data = interlace.datasets.load_penicillin()
    fit = interlace.CrossedLMM(data["diameter"], np.ones(len(data)), groups=data[["plate", "sample"]]).fit()
    assert read(content(fit)).summary().as_text() == fit.summary().as_text()


def test_the_file_of_the_first_format_is_still_read():
    again = interlace.load(FIXTURE)
    # lme4's estimates for its sleepstudy example, to the digits that its documentation prints.
    assert again.fe_params.round(3).tolist() == [251.405, 10.467]
    assert again.bse_fe.round(3).tolist() == [6.825, 1.546]
    assert again.predict({"Days": [3], "Subject": ["308"]}).round(2).tolist() == [312.66]
    assert "251.405" in again.summary().as_text()


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.dates() | st.decimals(allow_nan=False) | st.binary(),
    lambda part: st.lists(part) | st.lists(part).map(tuple)
    | st.dictionaries(st.text() | st.integers(), part),
)  # fmt: skip


@given(PLAIN)
def test_plain_values_come_back(value):
    packer = Packer()
    tree, arrays = from_bytes(to_bytes(packer.pack(value), packer.arrays))
    again = Unpacker(arrays).unpack(tree)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(3, name="n"),
        pd.Index([1.5, np.inf]),
        pd.Index(["a", None], dtype=object),
        pd.date_range("2020-01-01", periods=2, tz="Europe/Paris"),
        pd.timedelta_range("1h", periods=2),
        pd.period_range("2020-01", periods=2, freq="M"),
        pd.interval_range(0, 2),
        pd.Index([True, False]),
        pd.Index([1, 2], dtype="Int64"),
        pd.Index([Decimal("1.5"), datetime.date(2020, 1, 1)], dtype=object),
        pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["x", None]),
    ],
    ids=lambda index: str(index.dtype),
)
def test_levels_of_every_kind_come_back(index):
    packer = Packer()
    tree, arrays = from_bytes(to_bytes(packer.pack(index), packer.arrays))
    again = Unpacker(arrays).unpack(tree)
    assert again.equals(index)
    assert again.dtype == index.dtype


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(StorageError, match="a object, cannot be stored"):
        Packer().pack(object())
