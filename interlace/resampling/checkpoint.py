"""Replicates that survive an interrupt: kept in a file, and resumed from it."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from interlace.errors import ArgumentError, InterruptedWarning, callers_level
from interlace.parallel import run_while_allowed

from .engine import Replicate

# Seconds between two writes of the file.
PAUSE = 1.0


@dataclass
class Checkpoint:
    """The file of a bootstrap: replicates in the order of their seeds.

    Attributes
    ----------
    path : Path or None
        None keeps nothing.
    key : str
        What the replicates belong to, from `key_of`.
    """

    path: Path | None
    key: str
    _written: float = field(default=0.0)

    def read(self) -> list[Replicate]:
        """Replicates of an earlier run.

        Raises
        ------
        ArgumentError
            If the file is another, or belongs to another bootstrap.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            with np.load(self.path, allow_pickle=False) as told:
                parts = {name: told[name] for name in ("key", "values", "lengths", "flags", "failures")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ArgumentError(f"checkpoint={str(self.path)!r} holds no bootstrap: {error}") from error
        if str(parts["key"]) != self.key:
            raise ArgumentError(
                f"checkpoint={str(self.path)!r} belongs to another bootstrap (other fit, nsim, kind, rng or "
                "statistic); give another file, or delete it"
            )
        rows = zip(parts["values"], parts["lengths"], parts["flags"], parts["failures"], strict=True)
        return [
            Replicate(None if n < 0 else v[:n], bool(f[0]), bool(f[1]), str(why)) for v, n, f, why in rows
        ]

    def write(self, done: Sequence[Replicate], *, now: bool = False) -> None:
        """Replace the file, as a whole, if the last time is a while ago."""
        if self.path is None or not (now or time.monotonic() - self._written > PAUSE):
            return
        lengths = np.array([-1 if one.values is None else len(one.values) for one in done])
        values = np.full((len(done), max(0, int(lengths.max(initial=0)))), np.nan)
        for row, one in zip(values, done, strict=True):
            if one.values is not None:
                row[: len(one.values)] = one.values
        part = self.path.with_name(f".{self.path.name}.part")
        with part.open("wb") as stream:
            np.savez(
                stream,
                key=np.array(self.key),
                values=values,
                lengths=lengths,
                flags=np.array([(one.singular, one.certified) for one in done], dtype=bool).reshape(-1, 2),
                failures=np.array([one.failure or "" for one in done], dtype=str),
            )
        os.replace(part, self.path)
        self._written = time.monotonic()


def key_of(*parts: Any) -> str:
    """A digest of what a bootstrap depends on."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def checkpoint_of(path: Any, rng: Any, seeds: Sequence[np.random.SeedSequence], *parts: Any) -> Checkpoint:
    """The file that was asked for.

    Parameters
    ----------
    path : path or None
        None keeps nothing.
    rng : object
        As the user gave it: draws that nobody can repeat cannot be resumed.
    seeds : sequence of SeedSequence
        One per replicate.
    *parts
        What the replicates depend on besides.

    Returns
    -------
    Checkpoint
    """
    if path is not None and rng is None:
        raise ArgumentError("checkpoint= resumes the same draws, rng=None draws others; give rng= a number")
    own = [(seed.entropy, seed.spawn_key) for seed in (seeds[0], seeds[-1])]
    return Checkpoint(None if path is None else Path(os.fspath(path)), key_of(len(seeds), own, *parts))


def replicates(
    function: Callable[[Any], Sequence[Replicate]],
    seeds: Sequence[np.random.SeedSequence],
    size: int,
    kept: Checkpoint,
    **how: Any,
) -> list[Replicate]:
    """One replicate per seed, those in the file first; fewer, with a warning, after an interrupt.

    Parameters
    ----------
    function : callable
        Of some seeds.
    seeds : sequence of SeedSequence
        One per replicate.
    size : int
        Seeds of one task.
    kept : Checkpoint
        Where they are kept.
    **how
        For `interlace.parallel.run`.

    Returns
    -------
    list of Replicate

    Raises
    ------
    KeyboardInterrupt
        If not even one replicate is there.
    """
    done = kept.read()
    tasks = [seeds[start : start + size] for start in range(len(done), len(seeds), size)]

    def take(found: Sequence[Replicate]) -> None:
        done.extend(found)
        kept.write(done)

    whole = run_while_allowed(function, tasks, take, **how)
    if not done:
        raise KeyboardInterrupt
    kept.write(done, now=True)
    if not whole:
        resumed = "" if kept.path is None else "; the same call resumes them"
        warnings.warn(
            f"interrupted after {len(done)} of {len(seeds)} replicates, which are returned{resumed}",
            InterruptedWarning,
            stacklevel=callers_level(),
        )
    return done
