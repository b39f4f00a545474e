"""The whole reference bank in chunks of 7, 100 and a million rows, against the same models in memory."""

from __future__ import annotations

import pytest

from interlace.streaming import passes
from interlace.tests.bank import MODELS, SMALL

from .chunks import assert_same_fit, fitted, pieces

# Rows up to which a table is cut into chunks of so many: some fifty chunks tell as much as thousands.
MOST = {7: 110, 100: 1500, 10**6: 10**6}
CASES = [
    (name, size) for size, most in MOST.items() for name in sorted(MODELS) if len(MODELS[name].frame) <= most
]


@pytest.mark.parametrize(("name", "size"), CASES, ids=lambda value: str(value))
def test_chunks_give_the_estimates_of_all_rows(name, size, monkeypatch):
    monkeypatch.setattr(passes, "ROWS", size)
    model = MODELS[name]
    arguments = dict(model.arguments)
    formula, frame = arguments.pop("formula"), arguments.pop("data")
    whole = fitted(formula, frame, reml=model.reml, **arguments)
    streamed = fitted(formula, pieces(frame, size), reml=model.reml, **arguments)
    assert_same_fit(streamed, whole)


def test_every_model_of_the_bank_is_there():
    assert {name for name, size in CASES if size == 10**6} == set(MODELS) >= set(SMALL)
