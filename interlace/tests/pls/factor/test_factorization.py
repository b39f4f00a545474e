"""The seam: whatever may stand behind it answers every verb."""

from __future__ import annotations

import pytest

from interlace.pls.factor.blocked import BlockedFactorization
from interlace.pls.factor.cholmod import CholmodFactorization
from interlace.pls.factor.factorization import Factorization
from interlace.pls.factor.nested import NestedFactorization

VERBS = {name for name in vars(Factorization) if not name.startswith("_")}


def test_there_are_verbs():
    assert {"update", "logdet", "conditional", "information"} <= VERBS


@pytest.mark.parametrize("made", [BlockedFactorization, CholmodFactorization, NestedFactorization])
def test_every_verb_is_there(made):
    assert {verb for verb in VERBS if not hasattr(made, verb)} == set()
