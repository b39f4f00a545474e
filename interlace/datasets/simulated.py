"""Data with known parameters: what a fit to them should find is what the caller asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from interlace.errors import DesignError

Seed = int | np.random.Generator | np.random.SeedSequence | None


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise DesignError(f"{name} is {size}; at least 1 is needed to simulate a trial.")


def _check_spreads(correlation: float, **spreads: float) -> None:
    for name, spread in spreads.items():
        if not spread >= 0:
            raise DesignError(f"{name} is {spread}; a standard deviation is 0 or more.")
    if not -1 <= correlation <= 1:
        raise DesignError(f"correlation is {correlation}; give a number from -1 to 1.")


def _labels(prefix: str, count: int) -> pd.Index:
    """Labels that sort as text in the order of their numbers."""
    width = len(str(count))
    return pd.Index([f"{prefix}{number:0{width}d}" for number in range(1, count + 1)])


def make_reading_times(
    n_subjects: int = 60,
    n_items: int = 40,
    *,
    rng: Seed = None,
    intercept: float = 500.0,
    effect: float = 30.0,
    subject_sd: float = 60.0,
    subject_slope_sd: float = 20.0,
    correlation: float = 0.4,
    item_sd: float = 30.0,
    residual_sd: float = 90.0,
) -> pd.DataFrame:
    """Simulate reading times of subjects crossed with items, under two conditions.

    Every subject reads every item once, in one condition: the other half of the subjects reads it in the
    other condition, so that the condition varies within subjects and within items (a Latin square). The
    data follow ``rt ~ condition + (1 + condition | subject) + (1 | item)`` exactly, with normal errors.

    Parameters
    ----------
    n_subjects, n_items : int
        How many of each; the frame has their product as rows.
    rng : int, Generator, SeedSequence or None, optional
        Passed to :func:`numpy.random.default_rng`; None gives different data every time.
    intercept : float
        Mean in condition "congruent", in milliseconds.
    effect : float
        Mean in condition "incongruent" minus that in "congruent": the slope ``condition[T.incongruent]``.
    subject_sd, subject_slope_sd, correlation : float
        Standard deviations of the subjects' intercepts and slopes, and the correlation of the two.
    item_sd : float
        Standard deviation of the items' intercepts.
    residual_sd : float
        Standard deviation of what is left.

    Returns
    -------
    pandas.DataFrame
        ``rt`` (float, milliseconds), ``condition`` (categorical: "congruent", "incongruent"), ``subject``
        and ``item`` (categorical), subjects slowest.

    Raises
    ------
    DesignError
        If a size is below 1, a standard deviation below 0 or the correlation outside [-1, 1].

    References
    ----------
    Baayen, R. H., Davidson, D. J. and Bates, D. M. (2008). Mixed-effects modeling with crossed random
    effects for subjects and items. Journal of Memory and Language 59, 390-412.

    Examples
    --------
    >>> from interlace.datasets import make_reading_times
    >>> trials = make_reading_times(n_subjects=4, n_items=2, rng=1)
    >>> trials.groupby(["item", "condition"], observed=True).size().tolist()
    [2, 2, 2, 2]
    """
    _check_sizes(n_subjects=n_subjects, n_items=n_items)
    _check_spreads(
        correlation,
        subject_sd=subject_sd,
        subject_slope_sd=subject_slope_sd,
        item_sd=item_sd,
        residual_sd=residual_sd,
    )
    generator = np.random.default_rng(rng)
    subject = np.repeat(np.arange(n_subjects), n_items)
    item = np.tile(np.arange(n_items), n_subjects)
    incongruent = (subject + item) % 2

    # Rows of z times the lower Cholesky factor of the 2 x 2 covariance.
    z = generator.standard_normal((n_subjects, 2))
    subject_intercept = subject_sd * z[:, 0]
    subject_slope = subject_slope_sd * (correlation * z[:, 0] + np.sqrt(1 - correlation**2) * z[:, 1])
    item_intercept = item_sd * generator.standard_normal(n_items)
    residual = residual_sd * generator.standard_normal(n_subjects * n_items)

    rt = (
        intercept
        + effect * incongruent
        + subject_intercept[subject]
        + subject_slope[subject] * incongruent
        + item_intercept[item]
        + residual
    )
    return pd.DataFrame(
        {
            "rt": rt,
            "condition": pd.Categorical.from_codes(incongruent, pd.Index(["congruent", "incongruent"])),
            "subject": pd.Categorical.from_codes(subject, _labels("s", n_subjects)),
            "item": pd.Categorical.from_codes(item, _labels("i", n_items)),
        }
    )
