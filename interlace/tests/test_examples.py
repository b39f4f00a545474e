"""Every script in examples/ runs as a user would run it, in a process of its own and a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# What the output must contain: figures that lme4 prints for the same model, or the truth put in.
EXPECTED = {
    "instructor_evaluations.py": ["73421", "2972", "1128", "caterpillar plot:"],
    "sleepstudy.py": ["251.4", "10.467", "337"],
    "penicillin.py": ["22.972", "Shares of the variance"],
    "pastes_nested.py": ["246.9907  written as nested", "246.9907  written out", "246.9907  by a column"],
    "reading_times.py": ["put in", "somebody else"],
    # lmerTest's ranova: LRT 42.837; lme4's REML criterion
    "model_comparison.py": ["42.8368", "1743.63", "one line"],
    # the variance of lme4's fit to the other five samples
    "influence_report.py": ["1.942", "Without sample F", "plot:"],
    # lme4's profile of the intercepts' standard deviation begins at 14.38
    "parallel_bootstrap.py": ["500 replicates of 6 statistics; 0 failed", "14.38"],
    "power_curve.py": ["AssumedModel", "subjects, 24 items", "of the tests are significant"],
    "accuracy.py": ["put in: 0.50", "condition[T.hard]", "averaged over both"],
    "counts.py": ["put in: 1.65", "effect per visit", "times as much"],
    "ratings.py": ["put in", "0.45", "Satterthwaite", "predictions.parquet: 20000 rows"],
    "item_scores.py": ["put in", "fully crossed (3600 combinations)", "Reliability"],
}


def run(arguments, folder):
    # In an empty folder the package is the installed one and what the script writes is seen.
    environment = os.environ | {"MPLCONFIGDIR": str(folder / "mpl")}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_expected_to_say_something():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_example_runs(name, tmp_path):
    output = run([str(EXAMPLES / name)], tmp_path)
    for words in EXPECTED[name]:
        assert words in output


@pytest.mark.parametrize("page", ["README.md"])
def test_code_on_the_first_pages_runs(page, tmp_path):
    text = (EXAMPLES.parent / page).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    assert "Mixed Linear Model Regression Results" in run(["-c", code], tmp_path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 80
