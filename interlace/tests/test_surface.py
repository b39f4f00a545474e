"""The public surface changes on purpose only: what is offered, and how it is called, is written down."""

from __future__ import annotations

import json

import pytest

from .surface import PINNED, signature, surface

WANTED = json.loads(PINNED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found():
    return surface()


def test_no_public_name_appears_or_goes(found):
    assert sorted(found) == sorted(WANTED)


@pytest.mark.parametrize("name", sorted(WANTED))
def test_public_name_is_called_as_before(found, name):
    assert found[name] == WANTED[name]


def test_a_changed_default_and_a_changed_name_are_seen():
    seen = {signature(call) for call in (_call, _call_with_another_default, _call_with_another_name)}
    assert seen == {"(x, alpha=0.05)", "(x, alpha=0.1)", "(x, level=0.05)"}


def _call(x, alpha=0.05): ...
def _call_with_another_default(x, alpha=0.1): ...
def _call_with_another_name(x, level=0.05): ...
