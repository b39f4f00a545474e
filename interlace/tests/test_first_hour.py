"""What a newcomer may get wrong in the first hour, and the whole sentence that each mistake gets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace import CrossedLMM, fit
from interlace.tests.first_hour import MISTAKES

S = interlace.datasets.load_sleepstudy()
# Measurements with a decimal comma, a rating scale with a remark in it, and labels of two types.
COMMA = [f"{value:.2f}".replace(".", ",") for value in S["Reaction"]]
CODES = np.resize(["1", "2", "3", "k.A."], 180)
MIXED = [k // 10 if k >= 20 else "7" if k % 2 else 7 for k in range(180)]
NAMES = {"CrossedLMM": CrossedLMM, "fit": fit, "interlace": interlace, "np": np, "pd": pd}
NAMES |= {"S": S, "COMMA": COMMA, "CODES": CODES, "MIXED": MIXED}


@pytest.fixture(scope="module")
def names():
    return {**NAMES, "R": fit("Reaction ~ Days + (1 | Subject)", S)}


def test_there_are_sixty():
    assert len({typed for typed, _, _ in MISTAKES}) == len(MISTAKES) >= 60


@pytest.mark.parametrize(("typed", "kind", "message"), MISTAKES, ids=[typed for typed, _, _ in MISTAKES])
def test_mistake_gets_its_sentence(typed, kind, message, names):
    with pytest.raises((Exception, Warning)) as caught:
        eval(typed, dict(names))
    assert (type(caught.value).__name__, str(caught.value)) == (kind, message)
