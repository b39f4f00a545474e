"""Sizes in words and in bytes, what a machine and its containers have, and the refusal."""

from __future__ import annotations

import os

import numpy as np
import pytest

import interlace
from interlace.errors import InterlaceError, MemoryLimitError
from interlace.pls.factor import memory
from interlace.pls.factor.memory import afford, available, fits, in_bytes, in_words


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (1, 1),
        (2.5e9, 2_500_000_000),
        ("8GB", 8_000_000_000),
        ("8 gb", 8_000_000_000),
        (" 0.5 TB ", 500_000_000_000),
        (".5G", 500_000_000),
        ("10 MiB", 10 * 2**20),
        ("3KB", 3000),
        ("1234", 1234),
    ],
)
def test_bytes(given, expected):
    assert in_bytes(given) == expected


@pytest.mark.parametrize(
    "wrong", ["", "8 bananas", "-1", 0, -5, True, np.nan, np.inf, [1], "8GBGB", 1e30, "0", "GB"]
)
def test_what_is_no_size_is_refused(wrong):
    with pytest.raises(ValueError, match="max_memory=") as caught:
        in_bytes(wrong)
    assert str(caught.value) == (
        f'max_memory={wrong!r}; wanted a positive number of bytes, or text such as "8GB"'
    )


@pytest.mark.parametrize(
    ("size", "words"), [(1.0, "0.0 MB"), (2.5e6, "2.5 MB"), (1e9, "1.0 GB"), (3.04e12, "3.0 TB")]
)
def test_words(size, words):
    assert in_words(size) == words


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 10 GB free, and a process in the control group /a/b."""
    (tmp_path / "meminfo").write_text("MemTotal: 16000000 kB\nMemAvailable: 10000000 kB\n")
    (tmp_path / "own").write_text("0::/a/b\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path / "groups")
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)
    return tmp_path


def test_what_is_free(machine):
    assert available() == 10_000_000 * 1024


def test_a_limit_of_the_own_control_group(machine):
    group(machine / "groups/a/b", memory__max="5000\n", memory__current="3000\n")
    assert available() == 2000


def test_a_limit_further_up_counts_and_cached_files_do_not(machine):
    stat = "anon 1\ninactive_file 400\n"
    group(machine / "groups/a", memory__max="5000\n", memory__current="3000\n", memory__stat=stat)
    group(machine / "groups/a/b", memory__max="max\n", memory__current="10\n")
    assert available() == 2400


def test_limits_of_the_first_generation(machine):
    (machine / "own").write_text("3:cpu,memory:/a\n2:pids:/a\n")
    files = {"memory__limit_in_bytes": "7000\n", "memory__usage_in_bytes": "1000\n"}
    group(machine / "groups/memory/a", **files, memory__stat="cache 5\ntotal_inactive_file 50\n")
    assert available() == 6050


def test_without_meminfo_all_memory_counts(machine, monkeypatch):
    (machine / "meminfo").write_text("nothing")
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert available() == 4_096_000


def test_a_machine_that_tells_nothing_has_no_limit(machine, monkeypatch):
    (machine / "meminfo").unlink()
    (machine / "own").unlink()
    monkeypatch.delattr(os, "sysconf")
    assert available() == np.inf


def test_the_limit_given_takes_the_place_of_what_is_free(machine):
    assert fits(9e9, None)
    assert not fits(11e9, None)
    assert fits(11e9, 12 * 10**9)
    assert not fits(1e3, 100)


def test_nobody_asks_the_machine_about_little(machine, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: pytest.fail("asked"))
    assert fits(memory.SMALL, None)


def test_the_refusal_says_what_is_wanted_what_there_is_and_why(machine):
    afford(1e9, None, "Because.")
    with pytest.raises(MemoryLimitError) as caught:
        afford(28e9, None, "Because.")
    assert str(caught.value) == (
        "the fit needs about 28.0 GB of memory, and 10.2 GB are free. Because. If more can be had (from "
        'swap, say), allow it by max_memory="...GB".'
    )
    assert isinstance(caught.value, InterlaceError)
    assert isinstance(caught.value, MemoryError)


@pytest.mark.parametrize("options", [{}, {"family": "poisson"}])
def test_models_take_the_limit(options):
    """900 x 600 levels in 3000 rows need some megabytes: refused with one, fitted with many."""
    rng = np.random.default_rng(1)
    rows = np.arange(3000)
    data = {"y": rng.poisson(2.0, 3000), "g": rng.permutation(rows % 900), "h": rng.permutation(rows % 600)}
    formula = "y ~ 1 + (1 | g) + (1 | h)"
    with pytest.raises(MemoryLimitError, match=r"max_memory allows 1\.0 MB"):
        interlace.fit(formula, data, max_memory="1MB", **options)
    with pytest.raises(ValueError, match=r"^max_memory='much'; wanted a positive"):
        interlace.fit(formula, data, max_memory="much", **options)
