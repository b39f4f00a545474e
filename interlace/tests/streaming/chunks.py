"""Tables cut into chunks, and fits of them beside those of the whole table."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

import interlace
from interlace.errors import RankDeficiencyWarning, SingularFitWarning


def pieces(frame, size):
    """A function that gives a frame in pieces, as often as it is called."""
    return lambda: iter([frame.iloc[a : a + size] for a in range(0, len(frame), size)])


def fitted(formula, data, *, reml=True, **options):
    """A fit without the warnings that both ways of fitting give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        warnings.simplefilter("ignore", RankDeficiencyWarning)
        return interlace.CrossedLMM.from_formula(formula, data, **options).fit(reml=reml)


def assert_same_fit(streamed, whole):
    """Equal to 1e-9 of the standard errors: rounding of sums in another order."""
    assert list(streamed.params.index) == list(whole.params.index)
    known = np.isfinite(whole.bse) & (whole.bse > 0)
    apart = np.abs(streamed.params - whole.params)
    assert (apart[known] <= 1e-9 * whole.bse[known]).all()
    # On the boundary there are no standard errors, and the search stops where the deviance falls by 1e-12 at
    # most: a flat valley is known to the root of that.
    size = np.abs(whole.params[~known]).max() if (~known).any() else 0.0
    assert (apart[~known] <= 1e-6 * size).all()
    assert abs(streamed.objective - whole.objective) < 1e-9
    assert streamed.nobs == whole.nobs
    assert streamed.n_dropped == whole.n_dropped
    assert streamed.dropped == whole.dropped
    assert streamed.ngroups.equals(whole.ngroups)
    assert streamed.k_constant == whole.k_constant
    for name, modes in whole.random_effects.items():
        assert streamed.random_effects[name].index.tolist() == modes.index.tolist()


def ratings(n=600, seed=7):
    """Ratings of 9 items by 25 users, with gaps, text, categories, dates and a skewed covariate."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(25, size=n), rng.integers(9, size=n)
    x, kind = rng.gamma(2.0, size=n), rng.choice(["film", "book", "game"], size=n)
    y = 3.0 + 0.4 * x + rng.normal(size=25)[user] + 0.6 * rng.normal(size=9)[item] + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": x, "kind": kind, "user": user, "item": [f"i{i}" for i in item]})
    frame["w"] = rng.uniform(0.5, 2.0, size=n)
    frame["shift"] = rng.normal(size=n)
    frame["school"] = user // 5
    frame.loc[rng.choice(n, 20, replace=False), "x"] = np.nan
    frame.loc[rng.choice(n, 10, replace=False), "kind"] = None
    frame["user"] = frame["user"].astype("Int64")
    frame.loc[rng.choice(n, 5, replace=False), "user"] = None
    return frame
