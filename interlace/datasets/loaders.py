"""Readers of the data files in this folder: a file's text is turned into numbers and ordered labels."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from importlib.resources import files
from io import BytesIO
from typing import Any

import pandas as pd

Order = Callable[[str], Any]

# lme4's order of the departments, not that of their numbers; kept so that tables compare line by line.
DEPARTMENTS = ("15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2")


def _read(name: str, factors: Mapping[str, Order], ordered: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read one file; ``factors`` says by what key the labels of each factor are put in order."""
    content = files(__package__).joinpath(name).read_bytes()
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    frame = pd.read_csv(BytesIO(content), dtype=dict.fromkeys(factors, str))
    for column, order in factors.items():
        levels = sorted(frame[column].unique(), key=order)
        frame[column] = pd.Categorical(frame[column], categories=levels, ordered=column in ordered)
    return frame


def load_sleepstudy() -> pd.DataFrame:
    """Reaction times of 18 people over ten days with three hours in bed a night.

    Each person was tested every day; the reaction time is that day's average over a series of tests. Days 0
    and 1 were adaptation and training, day 2 the baseline.

    Returns
    -------
    pandas.DataFrame
        180 rows: ``Reaction`` (float, milliseconds), ``Days`` (int, 0 to 9) and ``Subject`` (categorical,
        18).

    Notes
    -----
    The values are those of lme4's data set of the same name.

    References
    ----------
    Belenky, G., Wesensten, N. J., Thorne, D. R., Thomas, M. L., Sing, H. C., Redmond, D. P., Russo, M. B.
    and Balkin, T. J. (2003). Patterns of performance degradation and restoration during sleep restriction
    and subsequent recovery: a sleep dose-response study. Journal of Sleep Research 12, 1-12.

    Examples
    --------
    >>> from interlace.datasets import load_sleepstudy
    >>> load_sleepstudy().groupby("Days")["Reaction"].mean().round(1).tolist()[:3]
    [256.7, 264.5, 265.4]
    """
    return _read("sleepstudy.csv", {"Subject": int})


def load_penicillin() -> pd.DataFrame:
    """Growth inhibition of 6 samples of penicillin on 24 plates, every sample on every plate.

    The smallest well-known example of two fully crossed random factors.

    Returns
    -------
    pandas.DataFrame
        144 rows: ``diameter`` (float, millimetres, of the zone without growth), ``plate`` (categorical, 24:
        "a" to "x") and ``sample`` (categorical, 6: "A" to "F").

    Notes
    -----
    The values are those of lme4's data set of the same name.

    References
    ----------
    Davies, O. L. and Goldsmith, P. L., editors (1972). Statistical Methods in Research and Production, 4th
    edition. Oliver and Boyd, section 6.6.

    Examples
    --------
    >>> from interlace.datasets import load_penicillin
    >>> load_penicillin().nunique().to_dict()
    {'diameter': 10, 'plate': 24, 'sample': 6}
    """
    return _read("penicillin.csv", {"plate": str, "sample": str}).astype({"diameter": float})


def load_pastes() -> pd.DataFrame:
    """Strength of a chemical paste, from 3 casks in each of 10 deliveries, each assayed twice.

    Casks are nested in batches although their labels repeat: cask "a" of batch "A" is another cask than "a"
    of "B". ``(1 | batch/cask)`` says so, as does ``(1 | batch) + (1 | sample)``.

    Returns
    -------
    pandas.DataFrame
        60 rows: ``strength`` (float), ``batch`` (categorical, 10), ``cask`` (categorical, 3) and ``sample``
        (categorical, 30: "A:a" to "J:c").

    Notes
    -----
    The values are those of lme4's data set of the same name.

    References
    ----------
    Davies, O. L. and Goldsmith, P. L., editors (1972). Statistical Methods in Research and Production, 4th
    edition. Oliver and Boyd, section 6.5.

    Examples
    --------
    >>> from interlace.datasets import load_pastes
    >>> load_pastes().groupby("sample", observed=True).size().unique().tolist()
    [2]
    """
    return _read("pastes.csv", {"batch": str, "cask": str, "sample": str})


def load_insteval() -> pd.DataFrame:
    """Ratings of lectures by students at ETH Zurich: students partly crossed with lecturers, in departments.

    A student rated up to 92 lectures; every lecturer appears in one department.

    Returns
    -------
    pandas.DataFrame
        73 421 rows: ``s`` (categorical, 2972 students), ``d`` (categorical, 1128 lecturers), ``studage``
        (ordered, 4: semesters since the student enrolled), ``lectage`` (ordered, 6: semesters since the
        lecture), ``service`` (categorical, "1": the lecture was held for another department than the
        lecturer's own), ``dept`` (categorical, 14 departments under a random code) and ``y`` (int, 1 = poor
        to 5 = very good).

    Notes
    -----
    The values are those of lme4's data set of the same name. There the ordered factors get polynomial
    contrasts; in patsy's formulas they get treatment contrasts, the first level being the reference.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects models using
    lme4. Journal of Statistical Software 67(1), 1-48.

    Examples
    --------
    >>> from interlace.datasets import load_insteval
    >>> load_insteval()["y"].value_counts(sort=False).sort_index().tolist()
    [10186, 12951, 17609, 16921, 15754]
    """
    factors = dict.fromkeys(["s", "d", "studage", "lectage", "service"], int) | {"dept": DEPARTMENTS.index}
    return _read("insteval.csv.gz", factors, ordered=("studage", "lectage"))
