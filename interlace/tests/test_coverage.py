"""Coverage of intervals in simulated crossed designs: a minute, asked for with ``-m slow``."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import interlace
from interlace.errors import SingularFitWarning

pytestmark = pytest.mark.slow

# 95 % intervals must cover between these shares.
LOW, HIGH = 0.93, 0.97


def crossed(rng, subjects, items, *, slopes=0.0):
    """A table of every subject with every item, and the parts that subjects and items have in its mean."""
    subject, item = (codes.ravel() for codes in np.indices((subjects, items)))
    x, z = rng.normal(size=(2, len(item)))
    b, c = rng.normal(size=(subjects, 2)) * [0.8, slopes], 0.5 * rng.normal(size=items)
    frame = pd.DataFrame({"subject": subject, "item": item, "x": x, "z": z})
    return frame, b[subject, 0] + b[subject, 1] * x, c[item]


def fitted(formula, frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return interlace.fit(formula, frame)


def test_prediction_intervals_of_observations_and_means():
    """New observations of known and of new subjects; the mean of known ones."""
    rng = np.random.default_rng(2024)
    covered = {"observation": [], "mean": [], "new subject": []}
    for _ in range(150):
        frame, of_subjects, of_items = crossed(rng, 30, 20, slopes=0.4)
        mean = 1.0 + 0.5 * frame["x"] + of_subjects + of_items
        frame["y"] = mean + rng.normal(size=len(mean))
        result = fitted("y ~ x + (x | subject) + (1 | item)", frame)
        known = result.get_prediction(theta_uncertainty=True).summary_frame()
        again = mean + rng.normal(size=len(mean))
        covered["observation"].append(again.between(known["obs_ci_lower"], known["obs_ci_upper"]).mean())
        covered["mean"].append(mean.between(known["mean_ci_lower"], known["mean_ci_upper"]).mean())
        new, u = frame.iloc[:20].assign(subject=-1), rng.normal(size=2) * [0.8, 0.4]
        truth = 1.0 + 0.5 * new["x"] + u[0] + u[1] * new["x"] + of_items[:20]
        wide = result.get_prediction(new, new_levels="population").summary_frame()
        covered["new subject"].append(
            (truth + rng.normal(size=20)).between(wide["obs_ci_lower"], wide["obs_ci_upper"]).mean()
        )
    shares = {what: float(np.mean(found)) for what, found in covered.items()}
    assert all(LOW < share < HIGH for share in shares.values()), shares


def test_bootstrap_intervals_of_fixed_effects_and_sigma():
    rng = np.random.default_rng(7)
    truth = np.array([1.0, 0.5, -0.3])
    hits = []
    for seed in range(300):
        frame, of_subjects, of_items = crossed(rng, 20, 12)
        fixed = truth[1] * frame["x"] + truth[2] * frame["z"]
        frame["y"] = fixed + of_subjects + of_items + truth[0] * rng.normal(size=len(frame))
        result = fitted("y ~ x + z + (1 | subject) + (1 | item)", frame)
        limits = result.conf_int(method="bootstrap", nsim=199, rng=seed, parm=["sigma", "x", "z"])
        hits.append((limits[0].to_numpy() < truth) & (truth < limits[1].to_numpy()))
    # 900 intervals of nearly independent parameters: the share varies by 0.7 %.
    share = float(np.mean(hits))
    assert LOW < share < HIGH, share
