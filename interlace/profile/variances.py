"""The profile likelihood of one variance on a grid: MixedLM's spelling."""

from __future__ import annotations

from typing import Literal

import numpy as np

from interlace.arrays import FloatArray
from interlace.errors import ArgumentError, InferenceError
from interlace.fitted import EstimatedModel

from .deviance import likelihoods


def profile_re(
    self: EstimatedModel,
    re_ix: int | str,
    vtype: Literal["re", "vc"] = "re",
    num_low: int = 5,
    dist_low: float = 1.0,
    num_high: int = 5,
    dist_high: float = 1.0,
) -> FloatArray:
    """Profile likelihood of one variance, on a grid around its estimate, as MixedLM has it.

    Parameters
    ----------
    re_ix : int or str
        Which variance: its position in ``vcomp``, or its name there.
    vtype : {"re", "vc"}, default "re"
        Here the same: every variance component is the variance of a random effect.
    num_low : int, default 5
        Points below the estimate.
    dist_low : float, default 1.0
        How far the grid reaches below the estimate.
    num_high : int, default 5
        Points above the estimate.
    dist_high : float, default 1.0
        How far the grid reaches above the estimate.

    Returns
    -------
    ndarray of shape (num_low + 1 + num_high, 2)
        Variances, and the greatest log-likelihood with that variance.

    Raises
    ------
    InferenceError
        For a REML fit: profiles are those of maximum likelihood.
    ValueError
        If there is no such variance, or the grid would reach 0.

    See Also
    --------
    CrossedLMMResults.profile : Profiles of all the parameters, with intervals and pictures.

    Notes
    -----
    The variance is held in units of the response squared. MixedLM holds the variance divided by the residual
    variance, which is another curve with the same maximum.

    Examples
    --------
    >>> import interlace
    >>> pastes = interlace.datasets.load_pastes()
    >>> fit = interlace.fit("strength ~ 1 + (1 | batch/cask)", pastes, method="ML")
    >>> fit.profile_re("batch Var", num_low=1, num_high=1).round(3).tolist()
    [[0.199, -124.136], [1.199, -123.997], [2.199, -124.094]]
    """
    if vtype not in ("re", "vc"):
        raise ArgumentError(f"vtype={vtype!r} is not offered; give 're' or 'vc'")
    if self.record.fit.reml:
        raise InferenceError(
            "the fit is by REML, and profiles are those of maximum likelihood: fit with reml=False, or ask "
            "result.profile(), which does so"
        )
    names = list(self.vcomp.index)
    position = _position(re_ix, names)
    estimate = float(self.vcomp.iloc[position])
    if estimate - dist_low <= 0.0 and num_low:
        raise ArgumentError(
            f"dist_low={dist_low:g} reaches below 0 from the estimate, {estimate:.4g}; give a smaller one"
        )
    around = likelihoods(self.record.fit, self.record.criterion)
    sds = [place for place, kind in enumerate(around.kinds) if kind == "sd"]
    walk = around.walk(sds[position])
    grid = np.r_[
        np.linspace(estimate, estimate - dist_low, num_low + 1)[::-1],
        np.linspace(estimate, estimate + dist_high, num_high + 1)[1:],
    ]
    deviances = [around.fit.objective if v == estimate else walk.at(np.sqrt(v)).deviance for v in grid]
    return np.column_stack([grid, -0.5 * np.asarray(deviances)])


def _position(re_ix: int | str, names: list[str]) -> int:
    if isinstance(re_ix, str) and re_ix in names:
        return names.index(re_ix)
    if isinstance(re_ix, int | np.integer) and 0 <= re_ix < len(names):
        return int(re_ix)
    raise ArgumentError(f"re_ix={re_ix!r} is none of the variances; give a position or one of {names}")
