"""How-to pages about other packages: their cells run one after the other, and say what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from stargazer.stargazer import Stargazer

import interlace
import interlace.neighbours.stargazer

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
CELL = re.compile(r"^```\{code-cell\} python\n(?::tags:.*\n)?(.*?)^```", flags=re.DOTALL | re.MULTILINE)


def run(page):
    code = "\n".join(CELL.findall((PAGES / page).read_text(encoding="utf-8")))
    names = {}
    exec(compile(code, page, "exec"), names)
    return names


@pytest.mark.parametrize("page", ["large-data.md", "messy-data.md", "polars.md", "scikit-learn.md"])
def test_page_runs(page):
    assert run(page)["result" if page in ("large-data.md", "polars.md") else "model"]


# Dask's own: it looks for a free port, and closes what it opened on another thread.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_bootstrap_on_a_dask_cluster_is_that_of_one_process():
    names = run("other-packages.md")
    again = names["simple"].bootstrap(nsim=40, rng=1)
    np.testing.assert_array_equal(names["drawn"].replicates, again.replicates)


def test_stargazer_prints_stars_for_tests_only():
    data = interlace.datasets.load_sleepstudy()
    result = interlace.fit("Reaction ~ Days + (Days | Subject)", data)
    interlace.neighbours.stargazer.register()
    table = Stargazer([result]).render_latex()
    starred = [
        line.split("&")[0].strip() for line in table.splitlines() if "$^{*" in line and "Note" not in line
    ]
    assert starred == ["Days", "Intercept"]
    assert "Subject Var & 612.090$^{}$" in table
    assert "25.592" in table  # lme4's residual standard deviation


def test_stargazer_reads_models_of_plain_arrays():
    data = interlace.datasets.load_sleepstudy()
    y, x, group = data["Reaction"].to_numpy(), data["Days"].to_numpy(), data["Subject"].to_numpy()
    result = interlace.CrossedLMM(y, np.column_stack([np.ones(len(x)), x]), group).fit()
    interlace.neighbours.stargazer.register()
    table = Stargazer([result]).render_latex()
    assert f"const & {result.fe_params[0]:.3f}$^{{***}}$" in table
    assert isinstance(result.params, np.ndarray)  # still
