"""Fits and rows as plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from interlace import pls
from interlace.arrays import FloatArray
from interlace.design import Design, UsedRows
from interlace.errors import StorageError
from interlace.inference.kenward_roger import KenwardRoger
from interlace.inference.satterthwaite import Satterthwaite
from interlace.pls import PLSFit
from interlace.pls.elsewhere import Elsewhere
from interlace.pls.matrices.terms import GroupingFactor, RandomTerm
from interlace.pls.search.certificate import Certificate
from interlace.pls.search.optimize import Optimum
from interlace.pls.search.sampled import MonteCarlo
from interlace.pls.search.several import Minimum

from .plain import Packer, Unpacker

Record = TypeVar("Record")

# What stays behind: the criterion and its last evaluation, which are set up anew from the rows.
_GONE = ("criterion", "optimum", "certificate", "monte_carlo", "minima", "elsewhere")
_GONE_OF_SEARCH = ("at", "derivatives", "path", "secant")
_STEP = ("theta", "objective", "gradient_norm", "expected_decrease")
# Classes of what is computed once and asked for when the rows are gone; any other is numbers.
_COMPUTED = (Satterthwaite, KenwardRoger)


@dataclass(frozen=True, eq=False)
class StoredStep:
    """A step of a search, as far as it is stored: see `interlace.pls.search.optimize.Iteration`."""

    theta: FloatArray
    objective: float
    gradient_norm: float
    expected_decrease: float


def apart(record: Any, packer: Packer, *, without: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a record as plain data.

    Parameters
    ----------
    record : dataclass
        Of numbers, texts and arrays.
    packer : Packer
        Takes the arrays.
    without : collection of str
        Fields that stay behind.

    Returns
    -------
    dict
        For `together`.
    """
    names = [field.name for field in fields(record) if field.name not in without]
    return {name: packer.pack(getattr(record, name)) for name in names}


def together(cls: type[Record], told: Mapping[str, Any], unpacker: Unpacker, **others: Any) -> Record:
    """A record from its fields.

    Parameters
    ----------
    cls : type
        Its class.
    told : mapping
        From `apart`.
    unpacker : Unpacker
        Knows the arrays.
    **others
        Fields that stayed behind.

    Returns
    -------
    object
        Of that class.
    """
    return cls(**{name: unpacker.unpack(part) for name, part in told.items()}, **others)


def fit_apart(fit: PLSFit, packer: Packer) -> dict[str, Any]:
    """The numbers of a fit as plain data.

    Parameters
    ----------
    fit : PLSFit
        With or without criterion.
    packer : Packer
        Takes the arrays.

    Returns
    -------
    dict
    """
    steps = [[getattr(step, name) for name in _STEP] for step in fit.optimum.path]
    return {
        "numbers": apart(fit, packer, without=_GONE),
        "search": apart(fit.optimum, packer, without=_GONE_OF_SEARCH),
        "path": packer.pack(steps),
        "certificate": apart(fit.certificate, packer),
        "monte carlo": None if fit.monte_carlo is None else apart(fit.monte_carlo, packer),
        "minima": [apart(minimum, packer) for minimum in fit.minima],
        "elsewhere": None if fit.elsewhere is None else apart(fit.elsewhere, packer),
    }


def fit_of(told: dict[str, Any], unpacker: Unpacker) -> PLSFit:
    """A fit from plain data; of its search there is what can be said without the rows.

    Parameters
    ----------
    told : dict
        From `fit_apart`.
    unpacker : Unpacker
        Knows the arrays.

    Returns
    -------
    PLSFit
        Without criterion.
    """
    gone: Any = None
    sampled = told.get("monte carlo")
    steps: Any = tuple(StoredStep(*step) for step in unpacker.unpack(told["path"]))
    m = len(unpacker.unpack(told["numbers"]["theta"]))
    behind = {"at": gone, "derivatives": gone, "path": steps, "secant": np.zeros((m, m))}
    return together(
        PLSFit,
        told["numbers"],
        unpacker,
        optimum=together(Optimum, told["search"], unpacker, **behind),
        certificate=together(Certificate, told["certificate"], unpacker),
        minima=tuple(together(Minimum, one, unpacker) for one in told.get("minima", ())),
        criterion=gone,
        monte_carlo=None if sampled is None else together(MonteCarlo, sampled, unpacker),
        elsewhere=together(Elsewhere, told["elsewhere"], unpacker) if told.get("elsewhere") else None,
    )


def kept_apart(kept: Mapping[str, Any], packer: Packer) -> dict[str, Any]:
    """What was computed once from a record, as plain data.

    Parameters
    ----------
    kept : mapping
        By name.
    packer : Packer
        Takes the arrays.

    Returns
    -------
    dict
        Without what is neither numbers nor of a known class: that needs the rows anyhow.
    """
    told = {}
    for name, value in kept.items():
        try:
            told[name] = _computed_apart(value, packer)
        except StorageError:
            continue
    return told


def _computed_apart(value: Any, packer: Packer) -> dict[str, Any]:
    for cls in _COMPUTED:
        if type(value) is cls and is_dataclass(value):
            return {"class": cls.__name__, "fields": apart(value, packer)}
    return {"class": None, "fields": packer.pack(value)}


def kept_of(told: Mapping[str, Any], unpacker: Unpacker) -> dict[str, Any]:
    """What was computed once, from plain data.

    Parameters
    ----------
    told : mapping
        From `kept_apart`.
    unpacker : Unpacker
        Knows the arrays.

    Returns
    -------
    dict
    """
    classes: dict[str, Any] = {cls.__name__: cls for cls in _COMPUTED}
    kept = {}
    for name, part in told.items():
        own = part["class"]
        kept[name] = (
            unpacker.unpack(part["fields"])
            if own is None
            else together(classes[own], part["fields"], unpacker)
        )
    return kept


def rows_apart(rows: UsedRows, packer: Packer) -> dict[str, Any]:
    """The rows of a fit as plain data.

    Parameters
    ----------
    rows : UsedRows
        Arrays with an entry per row.
    packer : Packer
        Takes them.

    Returns
    -------
    dict
    """
    told = apart(rows, packer, without=("factors", "terms"))
    told["factors"] = packer.pack([[f.codes, f.n_levels] for f in rows.factors])
    told["terms"] = packer.pack([[term.factor, term.Xi] for term in rows.terms])
    return told


def rows_of(told: dict[str, Any], unpacker: Unpacker) -> UsedRows:
    """Rows from plain data.

    Parameters
    ----------
    told : dict
        From `rows_apart`.
    unpacker : Unpacker
        Knows the arrays.

    Returns
    -------
    UsedRows
    """
    given = {name: unpacker.unpack(part) for name, part in told.items()}
    factors = tuple(GroupingFactor(*factor) for factor in given.pop("factors"))
    terms = tuple(RandomTerm(*term) for term in given.pop("terms"))
    return UsedRows(**given, factors=factors, terms=terms)


def with_criterion(fit: PLSFit, design: Design) -> PLSFit:
    """A fit with the criterion and the last step of its search, set up anew from the rows.

    Parameters
    ----------
    fit : PLSFit
        From a file.
    design : Design
        With its rows.

    Returns
    -------
    PLSFit
    """
    solver: Any = fit.solver if fit.solver == "cholmod" else "auto"
    criterion = pls.profiled_criterion(*design.arrays, **design.weighting, reml=fit.reml, solver=solver)
    at = criterion.decompose(fit.optimum.phi)
    optimum = replace(fit.optimum, at=at, derivatives=criterion.derivatives(at))
    return replace(fit, optimum=optimum, criterion=criterion)
