"""One-step and exact deletion, leverage and residuals against HLMdiag's definitions and lme4's refits."""

import numpy as np
import pytest

from interlace import case_delete, hlm_influence, hlm_resid
from interlace.diagnostics import resid_conditional, resid_marginal

from .reference import (
    NAMES,
    UNWEIGHTED,
    array,
    diagnostics,
    in_bank_order,
    our_labels,
    our_name,
    relative,
    result,
)

# Relative to the largest value of a column. The bank's own theta is good to some 1e-9 of its scale.
CLOSE = 1e-8
PARTS = {"overall": "overall", "fixef": "fixef", "ranef": "ranef", "ranef_uc": "ranef.uc"}
# The refit of every observation takes a while; one model of each kind does.
EVERY_ROW = ["dyestuff2", "pen", "pastes_nested", "ss_slope_ml", "ss_weights"]


def levels(name):
    return list(diagnostics(name)["one_step"])


def influence(name, group):
    parts = tuple(PARTS.values())
    if group == "obs":
        return hlm_influence(result(name), leverage=parts)
    frame = hlm_influence(result(name), our_name(name, group), leverage=parts)
    return in_bank_order(frame, name, group, diagnostics(name)["one_step"][group]["groups"])


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_one_step_measures(name):
    for group in levels(name):
        frame, theirs = influence(name, group), diagnostics(name)["one_step"][group]
        for column in ("cooksd", "mdffits", "covratio"):
            assert relative(frame[column], theirs[column]) < CLOSE, (group, column)
        # covtrace is a difference from p: absolute.
        assert np.abs(frame["covtrace"] - array(theirs["covtrace"])).max() < CLOSE


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_leverage(name):
    for group in levels(name):
        frame, theirs = influence(name, group), diagnostics(name)["one_step"][group]["leverage"]
        for key, part in PARTS.items():
            assert relative(frame[f"leverage.{part}"], theirs[key]) < CLOSE, (group, part)


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_change_of_the_fixed_effects_and_its_sign(name):
    for group in levels(name):
        theirs = diagnostics(name)["one_step"][group]
        level = 1 if group == "obs" else our_name(name, group)
        ours = -result(name).get_influence(level).dfbeta
        labels = result(name).get_influence(level).cases.labels
        if group != "obs":
            texts = [str(label) for label in labels]
            ours = ours[[texts.index(label) for label in our_labels(name, group, theirs["groups"])]]
        for j, column in enumerate(theirs["beta_full_minus_deleted"].values()):
            assert relative(ours[:, j], column) < CLOSE


ROW_COLUMNS = {
    ".resid": "resid",
    ".fitted": "fitted",
    ".mar.resid": "mar_resid",
    ".mar.fitted": "mar_fitted",
    ".std.resid": "std_resid",
    ".chol.mar.resid": "chol_mar_resid",
    ".ls.resid": "ls_resid",
    ".ls.fitted": "ls_fitted",
    ".std.ls.resid": "std_ls_resid",
    ".semi.ls.resid": "semi_ls_resid",
}


@pytest.mark.parametrize("standardize", [False, True, "semi"])
@pytest.mark.parametrize("name", UNWEIGHTED)
def test_residuals_of_the_observations(name, standardize):
    theirs = diagnostics(name)["residuals"]["level1"]
    frame = hlm_resid(result(name), standardize=standardize)
    raw = hlm_resid(result(name))[".ls.resid"].abs().to_numpy()
    for column in frame.columns.intersection(list(ROW_COLUMNS)):
        if ROW_COLUMNS[column] in theirs:
            ours, values = frame[column].to_numpy(), array(theirs[ROW_COLUMNS[column]])
            # A group that its least-squares line reproduces has residuals 1e-14, and R divides them.
            known = raw > 1e-10 if column == ".std.ls.resid" else np.ones(len(ours), dtype=bool)
            assert relative(ours[known], values[known]) < CLOSE, column


@pytest.mark.parametrize("type", ["pearson", "studentized", "cholesky"])
@pytest.mark.parametrize("name", UNWEIGHTED)
def test_types_of_residuals(name, type):
    theirs = diagnostics(name)["residuals"]["level1"]
    assert relative(resid_marginal(result(name), type), theirs[f"marginal_{type}"]) < CLOSE
    assert relative(resid_conditional(result(name), type), theirs[f"conditional_{type}"]) < CLOSE


@pytest.mark.parametrize("name", UNWEIGHTED)
def test_residuals_of_the_groups(name):
    for group, theirs in diagnostics(name)["residuals"].items():
        if group == "level1":
            continue
        for prefix, standardize in (("", False), ("std_", True)):
            frame = hlm_resid(result(name), our_name(name, group), standardize=standardize)
            frame = in_bank_order(frame, name, group, theirs["groups"])
            ranef = [column for column in frame if ".ranef." in column]
            for column, term in zip(ranef, theirs["terms"], strict=True):
                assert relative(frame[column], theirs[f"{prefix}ranef"][term]) < CLOSE, column
            for column, values in (theirs.get(f"{prefix}ls_ranef") or {}).items():
                assert relative(frame[column], values) < CLOSE, column


def exact(name, group):
    theirs = diagnostics(name)["exact"][group]
    deletion = case_delete(result(name), 1 if group == "obs" else our_name(name, group))
    if group == "obs":
        return deletion, theirs, np.arange(len(deletion.criterion))
    texts = [str(label) for label in deletion.criterion.index]
    return deletion, theirs, [texts.index(x) for x in our_labels(name, group, theirs["groups"])]


def check_exact(name, group):
    deletion, theirs, at = exact(name, group)
    beta = np.array([array(values) for values in theirs["fixef_delete"]]).T
    apart = np.abs(deletion.fixed_effects.to_numpy() - beta[np.argsort(at)])
    assert (apart / deletion.bse.to_numpy()).max() < 1e-5
    # Both minimise: ours may be below theirs, never above by more than rounding.
    assert (deletion.criterion.to_numpy()[at] - array(theirs["criterion_delete"])).max() < 1e-8
    for column in ("cooksd", "mdffits", "covratio"):
        # The measures are quadratic in estimates that agree to 1e-6 of their standard errors.
        assert relative(deletion.measures[column].to_numpy()[at], theirs[column]) < 1e-5
    for ours, values in zip(deletion.rvc.to_numpy()[at].T, theirs["rvc"].values(), strict=True):
        assert (np.isnan(ours) == np.isnan(array(values))).all()
    components = np.array([array(values) for values in theirs["varcomp_delete"].values()]).T
    scale = np.where(components.any(axis=0), np.abs(components).max(axis=0), 1.0)
    assert (np.abs(deletion.variance_components.to_numpy()[at] - components) / scale).max() < 2e-5
    assert deletion.certified.all()


@pytest.mark.parametrize("name", NAMES)
def test_exact_deletion_of_groups(name):
    for group in diagnostics(name)["exact"]:
        if group != "obs":
            check_exact(name, group)


@pytest.mark.parametrize("name", EVERY_ROW)
def test_exact_deletion_of_observations(name):
    check_exact(name, "obs")


@pytest.mark.parametrize("name", ["ss_slope", "orth_center"])
def test_dfbetas_of_lme4(name):
    theirs = diagnostics(name)["lme4"]["influence"]["Subject"]
    ours = case_delete(result(name), "Subject")
    texts = [str(label) for label in ours.dfbetas.index]
    at = [texts.index(label) for label in theirs["deleted"]]
    for column, values in zip(ours.dfbetas, theirs["dfbetas"].values(), strict=True):
        # lme4's refits stop at its default tolerance: theirs are good to some 1e-3.
        assert relative(ours.dfbetas[column].to_numpy()[at], values) < 1e-2
