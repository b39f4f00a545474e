"""The bank's diagnostics in this package's vocabulary."""

import numpy as np

from interlace.tests.bank import MODELS, load
from interlace.tests.fits import fitted

NAMES = [
    "dyestuff", "dyestuff2", "ergo", "mach_nested", "oats_nested", "orth_center", "pastes_cross",
    "pastes_nested", "pen", "radon_slope", "scots_sub", "simx_int", "simx_slope", "ss_indep", "ss_int",
    "ss_log", "ss_na", "ss_shuf", "ss_slope", "ss_slope_ml", "ss_weights",
]  # fmt: skip
# HLMdiag ignores prior weights: the bank has exact refits only for this model.
UNWEIGHTED = [name for name in NAMES if name != "ss_weights"]


def result(name):
    return fitted(name).result


def diagnostics(name):
    return load("diagnostics", name)


def array(values):
    return np.array([np.nan if v is None else v for v in values], dtype=float)


def our_name(name, group):
    """Ours of a grouping factor: lme4 calls the inner one of ``a/b`` ``b:a``."""
    return MODELS[name]._nested.get(group, group)


def our_labels(name, group, labels):
    """Labels as we write them, in the order of the bank."""
    if our_name(name, group) == group:
        return labels
    return [":".join(reversed(label.split(":"))) for label in labels]


def in_bank_order(frame, name, group, labels):
    """Rows of a frame over groups in the order of the bank's."""
    texts = [str(label) for label in frame.index]
    return frame.iloc[[texts.index(label) for label in our_labels(name, group, labels)]]


def relative(ours, theirs):
    """Largest difference relative to the largest entry of theirs."""
    ours, theirs = np.asarray(ours, dtype=float), array(theirs)
    known = ~np.isnan(theirs)
    assert not np.isnan(ours[known]).any()
    scale = np.abs(theirs[known]).max(initial=0.0)
    return np.abs(ours[known] - theirs[known]).max(initial=0.0) / (scale if scale > 1e-12 else 1.0)
