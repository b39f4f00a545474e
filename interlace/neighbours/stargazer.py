"""Fitted models in stargazer's tables, with no stars where there is no test.

The only importer of stargazer, and imported by no other module.
"""

from __future__ import annotations

from typing import Any

from interlace.errors import MissingPackageError
from interlace.lmm.wrapper import CrossedLMMResultsWrapper, labelled

try:
    from stargazer.translators import register_class
    from stargazer.translators.statsmodels import extract_model_data
except ImportError as error:
    raise MissingPackageError(
        "interlace.neighbours.stargazer needs the package stargazer, which is not installed: "
        "pip install stargazer"
    ) from error


def register() -> None:
    """Tell stargazer how to read results of this package.

    Left to itself it takes a p-value that is missing, such as those of variances, for less than 0.01 and
    prints three stars, and computes the residual standard deviation as if there were no random effects.

    Examples
    --------
    >>> import interlace.neighbours.stargazer
    >>> interlace.neighbours.stargazer.register()
    """
    register_class(CrossedLMMResultsWrapper, extract)


def extract(results: Any) -> dict[str, Any]:
    """What stargazer wants to know of a fitted model.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model, in its wrapper.

    Returns
    -------
    dict
        By stargazer's names; p-values that are not defined are None.

    Examples
    --------
    >>> import interlace
    >>> from interlace.neighbours.stargazer import extract
    >>> fit = interlace.fit("Reaction ~ Days + (1 | Subject)", interlace.datasets.load_sleepstudy())
    >>> extract(fit)["p_values"]["Subject Var"] is None
    True
    """
    data = dict(extract_model_data(labelled(results)))
    given = data["p_values"]
    data["p_values"] = {name: None if value != value else value for name, value in given.items()}
    data["resid_std_err"] = results.sigma
    return data
