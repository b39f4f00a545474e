"""The level of an interval, as statsmodels gives it."""

from __future__ import annotations

import numpy as np

from interlace.errors import ArgumentError


def check_alpha(alpha: float) -> None:
    """Refuse what is no share outside an interval.

    Parameters
    ----------
    alpha : float
        Between 0 and 1; the level of the interval is ``1 - alpha``.

    Raises
    ------
    ValueError
        With the number that was probably meant.

    Examples
    --------
    >>> check_alpha(5)
    Traceback (most recent call last):
    ...
    interlace.errors.ArgumentError: alpha=5; wanted a number between 0 and 1, the share outside the
    interval: alpha=0.05 for 95 %
    """
    if not isinstance(alpha, int | float | np.integer | np.floating):
        raise ArgumentError(f"alpha={alpha!r}; wanted a number between 0 and 1, such as alpha=0.05 for 95 %")
    if isinstance(alpha, bool) or not 0.0 < float(alpha) < 1.0:
        share = min(float(alpha), 100.0 - float(alpha)) / 100.0 if 1.0 <= float(alpha) < 100.0 else 0.05
        raise ArgumentError(
            f"alpha={alpha!r}; wanted a number between 0 and 1, the share outside the interval: "
            f"alpha={share:g} for {100 * (1 - share):g} %"
        )
