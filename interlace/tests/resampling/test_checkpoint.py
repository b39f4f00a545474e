"""Interrupted bootstraps: what there is is returned, and the file resumes the rest."""

from __future__ import annotations

import numpy as np
import pytest

import interlace
from interlace.errors import ArgumentError, InterruptedWarning


def linear():
    return interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())


def generalised():
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), 5)
    return interlace.fit("y ~ 1 + (1 | g)", {"y": rng.poisson(np.exp(g / 8)), "g": g}, family="poisson")


class Interrupted:
    """A statistic during which the user presses Ctrl-C, once."""

    def __init__(self, at):
        self.at, self.calls = at, 0

    def __call__(self, fit):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return fit.fe_params.to_numpy()


@pytest.mark.parametrize(("make", "done"), [(linear, 50), (generalised, 69)], ids=["linear", "generalised"])
def test_an_interrupt_returns_what_there_is_and_the_file_resumes_it(tmp_path, make, done):
    fit, path = make(), tmp_path / "draws"
    whole = fit.bootstrap(80, statistic=Interrupted(-1), rng=3)
    asked = {"rng": 3, "checkpoint": path}
    # The first call of a statistic is for the fit itself.
    with pytest.warns(InterruptedWarning, match=rf"interrupted after {done} of 80 replicates.*resumes them"):
        part = fit.bootstrap(80, statistic=Interrupted(71), **asked)
    assert part.replicates.equals(whole.replicates.iloc[:done])
    counted = Interrupted(-1)
    assert fit.bootstrap(80, statistic=counted, **asked).replicates.equals(whole.replicates)
    assert counted.calls == 81 - done


def test_an_interrupt_before_the_first_replicate_stays_one():
    with pytest.raises(KeyboardInterrupt):
        linear().bootstrap(10, statistic=Interrupted(2), rng=3)


def test_files_of_others_are_refused(tmp_path):
    fit, path = linear(), tmp_path / "draws"
    fit.bootstrap(10, rng=3, checkpoint=path)
    with pytest.raises(ArgumentError, match="belongs to another bootstrap"):
        fit.bootstrap(10, rng=4, checkpoint=path)
    with pytest.raises(ArgumentError, match="give rng= a number"):
        fit.bootstrap(10, checkpoint=path)
    path.write_bytes(b"no file of ours")
    with pytest.raises(ArgumentError, match="holds no bootstrap"):
        fit.bootstrap(10, rng=3, checkpoint=path)


def test_failures_are_kept_too(tmp_path):
    def choosy(fit):
        if fit.fe_params["Days"] > 10.5:
            raise RuntimeError("too steep")
        return fit.fe_params

    fit, path = linear(), tmp_path / "draws"
    first, again = (fit.bootstrap(20, statistic=choosy, rng=3, checkpoint=path) for _ in range(2))
    assert first.n_failed > 0
    assert again.failures.equals(first.failures)
    assert again.replicates.equals(first.replicates)
