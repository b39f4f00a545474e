"""The engines: where each lives, what it can fit, and how it is called.

An adapter turns a frame into what its engine reads best (that is not timed), returns a function that fits,
and reads the REML criterion (−2 log restricted likelihood) and the number of evaluations off the fitted
object. Engines are imported in their adapter's constructor, in the worker's process only.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

Bars = list[tuple[str, str]]
Outcome = tuple[float, int | None]
HERE = Path(__file__).parent


def formula(fixed: str, bars: Bars) -> str:
    return " + ".join([fixed, *(f"({lhs} | {group})" for lhs, group in bars)])


class Adapter(Protocol):
    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]: ...

    def outcome(self, fitted: Any) -> Outcome: ...


class Interlace:
    def __init__(self) -> None:
        self.engine = importlib.import_module("interlace")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        text = formula(fixed, bars)
        return lambda: self.engine.fit(text, frame)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.llf), _entry(fitted.mle_retvals, "fcalls")


class MixedLM:
    def __init__(self) -> None:
        self.engine = importlib.import_module("mixedlm")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        text = formula(fixed, bars)
        return lambda: self.engine.lmer(text, frame)

    def outcome(self, fitted: Any) -> Outcome:
        return float(fitted.REMLcrit()), int(fitted.function_evals)


class LmePython:
    """Reads polars; its own reader of pandas frames goes through text."""

    def __init__(self) -> None:
        self.engine = importlib.import_module("lme_python")
        self.polars = importlib.import_module("polars")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        table = self.polars.DataFrame({str(name): self._column(frame[name]) for name in frame.columns})
        text = formula(fixed, bars)
        return lambda: self.engine.lmer(text, data=table, reml=True)

    def _column(self, column: pd.Series) -> Any:
        if isinstance(column.dtype, pd.CategoricalDtype):
            return self.polars.Series(column.astype(str).tolist(), dtype=self.polars.Categorical)
        return column.to_numpy()

    def outcome(self, fitted: Any) -> Outcome:
        return float(fitted.reml_criterion), int(fitted.iterations)


class InterlaceLme:
    """Its top-level module is called `interlace` too: it has an environment of its own."""

    def __init__(self) -> None:
        self.engine = importlib.import_module("interlace")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        table = frame.assign(**{group: frame[group].astype(str) for _, group in bars})
        random = [f"({lhs} | {group})" for lhs, group in bars]
        return lambda: self.engine.fit(fixed, table, random=random)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.llf), None


class MixedlmRs:
    module = "mixedlm_rs"

    def __init__(self) -> None:
        self.engine = importlib.import_module(self.module).MixedLM

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        ((lhs, group),) = bars
        keywords = {"groups": group, "re_formula": f"~ {lhs}"}
        return lambda: self.engine.from_formula(fixed, frame, **keywords).fit(reml=True)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.llf), _entry(getattr(fitted, "diagnostics", None), "nfev")


class Statsmodels:
    """One factor through `groups`; crossed intercepts as variance components of one group with all rows."""

    def __init__(self) -> None:
        self.engine = importlib.import_module("statsmodels.formula.api").mixedlm

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        if len(bars) == 1:
            ((lhs, group),) = bars
            return lambda: self.engine(fixed, frame, groups=group, re_formula=f"~ {lhs}").fit(reml=True)
        components = {group: f"0 + C({group})" for _, group in bars}
        table = frame.assign(all_rows=np.ones(len(frame)))
        return lambda: self.engine(
            fixed, table, groups="all_rows", re_formula="0", vc_formula=components
        ).fit(reml=True)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.llf), None


def _entry(record: Any, key: str) -> int | None:
    """`record[key]` or `record.key` as an int; None where the engine keeps no such count."""
    found = record.get(key) if isinstance(record, dict) else getattr(record, key, None)
    return None if found is None else int(found)


class Glmm:
    """Reads frames with categories; Satterthwaite's degrees of freedom, which others leave, are left."""

    def __init__(self) -> None:
        self.engine = importlib.import_module("glmm")

    def prepare(self, frame: pd.DataFrame, fixed: str, bars: Bars) -> Callable[[], Any]:
        text = formula(fixed, bars)
        return lambda: self.engine.fit(frame, text, reml=True, satterthwaite=False)

    def outcome(self, fitted: Any) -> Outcome:
        return -2.0 * float(fitted.loglik), int(fitted.n_eval)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "interlace": Interlace,
    "mixedlm": MixedLM,
    "lme-python": LmePython,
    "interlace-lme": InterlaceLme,
    "mixedlm-rs": MixedlmRs,
    "glmm": Glmm,
    "statsmodels": Statsmodels,
}


# -- where they are -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """An engine that is installed: how to start its worker, and which cases it can take.

    Parameters
    ----------
    name, version : str
    command : tuple of str
        Starts the worker; the folder of the case is appended.
    takes : callable
        ``takes(bars, n_rows)`` is False for models outside the engine's scope, which are not tried.
    """

    name: str
    version: str
    command: tuple[str, ...]
    takes: Callable[[Bars, int], bool]


def _anything(_bars: Bars, _rows: int) -> bool:
    return True


def _one_factor(bars: Bars, _rows: int) -> bool:
    return len(bars) == 1


def _one_factor_or_small(bars: Bars, rows: int) -> bool:
    """Variance components over all rows are dense n × n: the smallest tables only."""
    return len(bars) == 1 or (rows <= 500 and all(lhs == "1" for lhs, _ in bars))


def peers_folder() -> Path:
    """Where ``make-peers.sh`` put the environments (``INTERLACE_PEERS`` names another place)."""
    return Path(os.environ.get("INTERLACE_PEERS", HERE / "peers"))


def installed_engines(*, generalised: bool = False) -> list[Engine]:
    """Ours first, then every peer found on this machine."""
    own, shared, glmm = Path(sys.executable), _python("shared"), _python("glmm")
    sought = [_python_engine("interlace", own, _anything), _r_engine("lme4")]
    if generalised:
        sought += [
            _r_engine("glmmTMB"),
            _python_engine("glmm", glmm, _anything),
            _python_engine("mixedlm", shared, _anything),
            _python_engine("gpboost", _python("gpboost"), _intercepts),
        ]
    else:
        sought += [
            _python_engine("glmm", glmm, _anything),
            _python_engine("mixedlm", shared, _anything),
            _python_engine("lme-python", shared, _anything),
            _python_engine("interlace-lme", _python("interlace-lme"), _anything),
            _python_engine("mixedlm-rs", shared, _one_factor),
            _python_engine("statsmodels", own, _one_factor_or_small),
        ]
    return [engine for engine in sought if engine is not None]


def _python(environment: str) -> Path:
    return peers_folder() / environment / "bin/python"


def _intercepts(bars: Bars, _rows: int) -> bool:
    """Random slopes are independent of intercepts there: another model."""
    return all(lhs == "1" for lhs, _ in bars)


def _python_engine(name: str, python: Path, takes: Callable[[Bars, int], bool]) -> Engine | None:
    if not python.exists():
        return None
    # A peer's interpreter ignores PYTHONPATH: another package named interlace must not reach it that way.
    start = [str(python)] if python == Path(sys.executable) else [str(python), "-E"]
    version = _answer([*start, "-c", f"import importlib.metadata as m; print(m.version({name!r}))"])
    command = (*start, str(HERE / "worker.py"), name)
    return Engine(name, version, command, takes) if version else None


def _r_engine(package: str) -> Engine | None:
    if shutil.which("Rscript") is None:
        return None
    version = _answer(["Rscript", "-e", f'cat(packageDescription("{package}")$Version)'])
    command = ("Rscript", str(HERE / "worker.R"), package)
    return Engine(package, version, command, _anything) if version else None


def _answer(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
