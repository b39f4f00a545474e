"""A design and its fit: the record from which every statistic starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from threading import local
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np

from interlace.arrays import FloatArray, IntArray
from interlace.design import Design
from interlace.errors import ArgumentTypeError
from interlace.pls import PLSFit, ProfiledCriterion
from interlace.pls.elsewhere import matrices_agree
from interlace.pls.polish import polished

Computed = TypeVar("Computed")
Ddf = Literal["satterthwaite", "kenward-roger", "normal"]


def _protected(value: Any) -> Any:
    """The same array, or tuple of them, not to be written to."""
    for array in value if isinstance(value, tuple) else (value,):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    return value


class Remembering:
    """Keeps what was computed from it, and stores it along.

    Notes
    -----
    Several threads may ask at once, and nobody waits: two that ask for the same for the first time both
    compute it, each by a factorization of its own, and what the first had is what both get.
    """

    def once(self, name: str, compute: Callable[[], Computed]) -> Computed:
        """What was computed from this record under a name; it is kept, and stored, with the record.

        Parameters
        ----------
        name : str
            What it is.
        compute : callable
            Called the first time.

        Returns
        -------
        object
            What ``compute`` returned.
        """
        kept: Computed = (
            self._kept[name] if name in self._kept else self._kept.setdefault(name, _protected(compute()))
        )
        return kept

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    def keeping(self, kept: Mapping[str, Any]) -> Self:
        """The same record with what was computed from it before."""
        other = copy(self)
        other.__dict__["_kept"] = dict(kept)
        return other

    @property
    def kept(self) -> Mapping[str, Any]:
        """What was computed once, by name."""
        return self._kept

    def in_thread(self, name: str, compute: Callable[[], Computed]) -> Computed:
        """What was computed under a name in this thread: for what holds a factorization, which moves.

        Parameters
        ----------
        name : str
            What it is.
        compute : callable
            Called the first time in each thread.

        Returns
        -------
        object
            What ``compute`` returned; not stored.
        """
        own: dict[str, Any] = vars(self._threads)
        if name not in own:
            own[name] = compute()
        kept: Computed = own[name]
        return kept

    @cached_property
    def _threads(self) -> local:
        return local()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_threads"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True, eq=False)
class Fitted(Remembering):
    """What every statistic starts from.

    Attributes
    ----------
    design : Design
        Labels, and rows while they are there.
    fit : PLSFit
        The numbers.
    ddf : {"satterthwaite", "kenward-roger", "normal"}
        Degrees of freedom where a test is not told which.
    """

    design: Design
    fit: PLSFit
    ddf: Ddf = "satterthwaite"

    @property
    def criterion(self) -> ProfiledCriterion:
        """The criterion that was minimised; set up anew from the rows after loading.

        Its factorization moves with every evaluation, so that each thread has its own.
        """
        made = self.fit.criterion
        if made is not None and made.is_here:
            return made
        return self.in_thread("criterion", self._set_up if made is None else made.here)

    def _set_up(self) -> ProfiledCriterion:
        sampled = self.fit.monte_carlo
        how: Any = {} if sampled is None else {"solver": "iterative", **sampled.drawing}
        return self.design.criterion(reml=self.fit.reml, **how)

    @property
    def complete(self) -> PLSFit:
        """The fit with its criterion, also after loading and in other threads."""
        criterion = self.criterion
        if self.fit.criterion is criterion:
            return self.fit
        return self.in_thread("complete", lambda: replace(self.fit, criterion=criterion))

    @property
    def polished(self) -> PLSFit:
        """The fit to the last digits, for differences of fits."""
        return self.in_thread("polished", lambda: polished(self.complete))

    def conditional_covariances(self) -> tuple[FloatArray, ...]:
        """Of the random effects of each grouping factor, in the design's order, (n_levels, K, K)."""
        return self.once("conditional covariances", self._conditional_covariances)

    def _conditional_covariances(self) -> tuple[FloatArray, ...]:
        fit = self.complete
        covariances = fit.condvar_factor()
        if fit.elsewhere is not None:
            pairs = zip(covariances, fit.fit_elsewhere().condvar_factor(), strict=True)
            covariances = tuple(_known(own, other) for own, other in pairs)
        return tuple(covariances[self._internal(f)] for f in range(len(self.design.factor_names)))

    def conditional_covariances_of(self, f: int, levels: IntArray) -> FloatArray:
        """Of some levels of factor f, by their positions, (len(levels), K, K)."""
        fit, internal = self.complete, self._internal(f)
        here = fit.condvar_of(internal, levels)
        return (
            here if fit.elsewhere is None else _known(here, fit.fit_elsewhere().condvar_of(internal, levels))
        )

    def _internal(self, f: int) -> int:
        """Where the numerical room, which sorts factors by size, put a factor: known from the terms."""
        labels, relcov = self.design.schema.term_labels, self.complete.criterion.relcov
        place = {t.factor: i for t, i in zip(labels, relcov.term_factor, strict=True)}
        return place[f]

    @property
    def elsewhere(self) -> Fitted:
        """The record at parameters that the data do not tell from these: what differs is not determined."""
        return self.in_thread(
            "elsewhere", lambda: Fitted(self.design, self.complete.fit_elsewhere(), self.ddf)
        )

    def without_criterion(self) -> Fitted:
        """The record to store: the criterion holds a factor that lives in C, and arrays with a row each."""
        return self._reduced(self.design)

    def without_rows(self) -> Fitted:
        """The record once the rows are forgotten."""
        return self._reduced(self.design.without_rows())

    def _reduced(self, design: Design) -> Fitted:
        return Fitted(design, self.fit.without_criterion(), self.ddf).keeping(self._kept)


def _known(here: FloatArray, there: FloatArray) -> FloatArray:
    """Covariance matrices, with NaN where they are others at parameters that no data tell from these."""
    return np.where(matrices_agree(here, there), here, np.nan)


class EstimatedModel(Protocol):
    """What the functions that stand in a results object as its methods may read of it."""

    model: Any
    params: FloatArray
    nobs: int
    k_fe: int

    @property
    def record(self) -> Fitted:
        """Design, numbers and degrees of freedom."""

    @property
    def pls_fit(self) -> PLSFit:
        """The numbers, in lme4's notation."""

    @property
    def ddf(self) -> Ddf:
        """Degrees of freedom where a test is not told which."""

    @property
    def fe_names(self) -> list[str]:
        """Names of the fixed effects."""

    @property
    def fe_params(self) -> FloatArray:
        """Estimates of the fixed effects."""

    @property
    def scale(self) -> float:
        """Residual variance."""

    @property
    def bse(self) -> FloatArray:
        """Standard errors of ``params``."""

    @property
    def bse_fe(self) -> FloatArray:
        """Standard errors of the fixed effects."""

    @property
    def bse_re(self) -> FloatArray:
        """Standard errors of the variance parameters."""

    def __getattr__(self, name: str) -> Any:
        """What the class lists besides: other functions of this kind."""


def generalised(results: Any) -> Any:
    """The results, unwrapped, if they are those of a generalised model; None otherwise."""
    plain = getattr(results, "_results", results)
    record = getattr(plain, "record", None)
    return None if record is None or isinstance(record, Fitted) else plain


def record_of(results: Any) -> Fitted:
    """The record of a results object, wrapped or not, with its rows.

    Parameters
    ----------
    results : CrossedLMMResults
        A fitted model.

    Returns
    -------
    Fitted

    Raises
    ------
    TypeError
        If it is no fitted model.
    DesignError
        If its rows were removed.
    """
    plain = getattr(results, "_results", results)
    record = getattr(plain, "record", None)
    if record is not None and not isinstance(record, Fitted):
        raise ArgumentTypeError(
            f"this is for linear models, and {type(plain).__name__} is a generalised one; its own methods "
            "have residuals, simulated residuals, checks, influence and pictures"
        )
    if not isinstance(record, Fitted):
        raise ArgumentTypeError(
            f"a fitted model was wanted, not {type(results).__name__}; give what interlace.fit or "
            "CrossedLMM.fit returns"
        )
    _ = record.design.rows  # not an assertion: the refusal must stand under python -O, too
    return record
