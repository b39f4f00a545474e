"""statsmodels' families, and what is refused with what advice."""

from __future__ import annotations

import pytest
import statsmodels.api as sm

from interlace.family import Binomial, Gamma, Gaussian, NegativeBinomial, Poisson
from interlace.glmm.family import family_of, is_linear

links = sm.families.links


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (sm.families.Binomial(), Binomial("logit")),
        (sm.families.Binomial, Binomial("logit")),
        (sm.families.Binomial(links.Probit()), Binomial("probit")),
        (sm.families.Binomial(links.CLogLog()), Binomial("cloglog")),
        (sm.families.Poisson(), Poisson("log")),
        (sm.families.Gamma(links.Log()), Gamma("log")),
        (sm.families.Gaussian(links.Log()), Gaussian("log")),
        (sm.families.NegativeBinomial(alpha=1.0), NegativeBinomial("log")),
        ("binomial", Binomial("logit")),
        ("Binomial(probit)", Binomial("probit")),
        ("binomial(link='cloglog')", Binomial("cloglog")),
        ("bernoulli", Binomial("logit")),
        ("negative_binomial", NegativeBinomial("log")),
        ("gamma", Gamma("log")),
        ("gaussian(log)", Gaussian("log")),
        (Poisson("log"), Poisson("log")),
    ],
)
def test_families_by_object_class_and_name(given, wanted):
    assert family_of(given) == wanted


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("quasipoisson", r'"negativebinomial".*effect per row.*GEE'),
        (sm.families.Gamma(), "inverse link is not offered.*Log"),
        ("gamma(inverse)", "inverse link is not offered"),
        (sm.families.Poisson(links.Identity()), "Poisson with the link 'identity' is not offered.*: log"),
        (sm.families.Binomial(links.LogLog()), "give one of: logit, probit, cloglog"),
        (sm.families.Gaussian(), "use CrossedLMM"),
        ("gaussian", "use CrossedLMM"),
        (sm.families.Tweedie(), "not offered; offered are binomial"),
        ("beta", "not offered"),
        (3, "is no family"),
        (sm.families.NegativeBinomial(alpha=0.3), "fixes the dispersion"),
    ],
)
def test_refusals_say_what_to_use(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        family_of(given)


def test_linear_models_are_recognised():
    assert is_linear("gaussian")
    assert is_linear(sm.families.Gaussian())
    assert not is_linear("gaussian(log)")
    assert not is_linear("poisson")
