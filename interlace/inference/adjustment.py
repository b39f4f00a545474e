"""P-values of several contrasts, adjusted for their number."""

from __future__ import annotations

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError

# Words of R's p.adjust that statsmodels spells differently.
SPELLINGS = {"fdr": "fdr_bh", "BH": "fdr_bh", "BY": "fdr_by", "hochberg": "simes-hochberg"}


def adjusted(
    p_values: FloatArray, statistic: FloatArray, df: FloatArray, adjust: str, means: int
) -> FloatArray:
    """Adjust p-values for multiplicity.

    Parameters
    ----------
    p_values, statistic, df : ndarray of shape (r,)
        Two-sided p-values, the t statistics behind them and their degrees of freedom.
    adjust : str
        "none", "tukey" (studentized range: all pairs of means) or a method of statsmodels'
        ``multipletests``: "holm", "bonferroni", "sidak", "fdr_bh" and so on.
    means : int
        Number of means that are compared, for "tukey".

    Returns
    -------
    ndarray of shape (r,)

    Raises
    ------
    ValueError
        For another method.
    """
    known = np.isfinite(p_values)
    if adjust == "none" or not known.any():
        return p_values
    out = np.full(len(p_values), np.nan)
    if adjust == "tukey":
        out[known] = stats.studentized_range.sf(np.sqrt(2.0) * np.abs(statistic[known]), means, df[known])
        return np.clip(out, p_values, 1.0)  # the quadrature is good to nine digits, not more
    try:
        out[known] = multipletests(p_values[known], method=SPELLINGS.get(adjust, adjust))[1]
    except ValueError as error:
        raise ArgumentError(
            f"adjust={adjust!r} is not known; give 'none', 'tukey' or a method of statsmodels' multipletests "
            "such as 'holm', 'bonferroni', 'sidak', 'fdr_bh'"
        ) from error
    return out
