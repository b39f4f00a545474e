"""One model fitted from several starts by every factorization, to see whether they agree."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from interlace.arrays import FloatArray
from interlace.design import Design
from interlace.errors import ArgumentError, InterlaceError, SingularFitWarning
from interlace.fitted import record_of
from interlace.pls.factor import cholmod

# Relative standard deviations at which the searches begin, beside the start of every fit.
STARTS = {"small": 0.1, "unit": 1.0, "large": 10.0}


def all_fit(results: Any, *, starts: Mapping[str, ArrayLike] | None = None) -> pd.DataFrame:
    """Fit the model again from several starts by every factorization, to see whether they agree.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.
    starts : mapping of str to array_like of shape (n_theta,), optional
        Further values of ``theta`` to start from, by name.

    Returns
    -------
    DataFrame
        A row per factorization and start: ``objective``; ``excess``, by how much it is above the least of
        them; ``iterations``; ``converged``; then the estimates, named as in ``results.params``. The start
        "moments" is that of every fit; "small", "unit" and "large" have independent random effects with
        relative standard deviations of 0.1, 1 and 10.

    Notes
    -----
    lme4's ``allFit`` compares optimizers. There is one here, and its optimum is certified: what could
    differ are the factorization and the start.

    Examples
    --------
    >>> import interlace
    >>> fit = interlace.fit("Reaction ~ Days + (Days | Subject)", interlace.datasets.load_sleepstudy())
    >>> found = interlace.all_fit(fit)
    >>> found.loc["blocked", "objective"].round(4).tolist()
    [1743.6283, 1743.6283, 1743.6283, 1743.6283]
    >>> bool(found["excess"].max() < 1e-6)
    True
    """
    design = record_of(results).design
    begin: dict[str, ArrayLike | None] = {"moments": None}
    begin |= {name: sd * _identity(design) for name, sd in STARTS.items()}
    begin |= dict(starts or {})
    solvers = ("blocked", "cholmod") if cholmod.available() else ("blocked",)
    rows = {
        (solver, name): _row(results, solver, theta) for solver in solvers for name, theta in begin.items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(list(rows), names=["solver", "start"])
    frame.insert(1, "excess", frame["objective"] - frame["objective"].min())
    return frame


def _identity(design: Design) -> FloatArray:
    """Theta of independent random effects with relative standard deviations of 1."""
    blocks = [np.eye(len(labels.columns)) for labels in design.term_labels]
    return np.concatenate([block.T[np.triu_indices(len(block))] for block in blocks])


def _row(results: Any, solver: str, theta: ArrayLike | None) -> dict[str, Any]:
    model = results.model
    with warnings.catch_warnings():  # what they say is in the columns, and known of the fit
        warnings.simplefilter("ignore", SingularFitWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            fit = model.fit(reml=results.reml, solver=solver, start_params=theta)
        except ArgumentError:  # a start of another length
            raise
        except InterlaceError:  # too large for this factorization
            return {"objective": np.nan, "iterations": 0, "converged": False}
    estimates = dict(zip(model.data.param_names, np.asarray(fit.params), strict=True))
    iterations = fit.mle_retvals["iterations"]
    return {"objective": fit.objective, "iterations": iterations, "converged": fit.converged} | estimates
