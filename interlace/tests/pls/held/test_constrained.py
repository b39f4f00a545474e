"""One search for every parameter, in the order in which they are named."""

from __future__ import annotations

import pytest

from interlace.names import sd_cor_names
from interlace.pls.held.constrained import as_ml, held_parameters
from interlace.tests.pls.designs import DESIGNS

KINDS = {"FixedSD": "sd", "FixedCorrelation": "cor", "FixedSigma": "sigma", "FixedEffect": "beta"}


@pytest.mark.parametrize("name", DESIGNS)
def test_kinds_stand_in_the_order_of_the_names(name):
    design = DESIGNS[name]()
    held = held_parameters(as_ml(design.criterion()))
    terms = [(f"f{term.factor}", [f"x{column}" for column in range(term.k)]) for term in design.terms]
    random = [one.split("_")[0] for one in sd_cor_names(terms)]
    kinds = [KINDS[type(one).__name__] for one in held]
    assert kinds == [*random, "sigma", *["beta"] * design.X.shape[1]]


@pytest.mark.parametrize("name", DESIGNS)
def test_each_term_has_its_own(name):
    design = DESIGNS[name]()
    held = held_parameters(as_ml(design.criterion()))
    owners = [one.order.term for one in held if hasattr(one, "order")]
    assert owners == [i for i, term in enumerate(design.terms) for _ in range(term.n_theta)]
