"""Standard errors, p-values and intervals: one answer, whoever is asked."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.iolib.summary2 import summary_col

import interlace


@pytest.mark.parametrize("ddf", ["satterthwaite", "kenward-roger", "normal"])
def test_every_way_to_ask_gives_one_answer(ddf):
    # Few groups: by the normal distribution p would be three times smaller, and the interval a third shorter.
    result = interlace.fit("diameter ~ 1 + (1 | sample)", interlace.datasets.load_penicillin(), ddf=ddf)
    summary = result.summary().tables[1].iloc[0]
    asked = {
        "p": [
            result.pvalues.iloc[0],
            result.t_test("Intercept").pvalue.item(),
            result.tidy()["p_value"].iloc[0],
        ],
        "low": [result.conf_int().iloc[0, 0], result.t_test("Intercept").conf_int()[0, 0]],
        "se": [result.bse.iloc[0], np.sqrt(result.cov_params().iloc[0, 0]), result.bse_fe.iloc[0]],
        "statistic": [result.tvalues.iloc[0], result.t_test("Intercept").statistic.item()],
    }
    told = result.coef_table().iloc[0]
    assert_allclose(asked["p"], told["p_value"], rtol=1e-9)  # far in the tail, where rounding shows
    assert_allclose(asked["low"], told["conf_low"], rtol=1e-12)
    assert_allclose(asked["se"], told["std_error"], rtol=1e-12)
    assert_allclose(asked["statistic"], told["statistic"], rtol=1e-12)
    assert_allclose(
        [float(summary["[0.025"]), float(summary["0.975]"])], result.conf_int().iloc[0], atol=5e-4
    )
    assert result.use_t == (ddf != "normal")


def test_tables_of_others_say_what_the_summary_says():
    # Four subjects: p is .068 by Satterthwaite (one star in statsmodels) and .006 by the normal distribution,
    # three stars.
    sleep = interlace.datasets.load_sleepstudy()
    few = interlace.fit(
        "Reaction ~ Days + (Days || Subject)", sleep[sleep["Subject"].isin(["308", "310", "331", "333"])]
    )
    table = summary_col([few], stars=True).tables[0]
    assert [text.count("*") for text in table.loc["Days"]] == [1]
    variances = [text for name in few.model.data.variance_names for text in table.loc[name]]
    assert len(variances) == 2
    assert not any("*" in text for text in variances)
