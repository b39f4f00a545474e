"""Starts a worker, watches its time and memory, and brings back what it measured."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cases import Case
from peers import Engine

LOOK_EVERY = 0.05  # seconds
SET_UP_LIMIT = 120.0  # seconds for imports, reading and the warm-up fit
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


@dataclass(frozen=True)
class Limits:
    """What a fit may use: wall seconds, resident MiB, threads."""

    seconds: float = 120.0
    memory_mb: float = 0.7 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20
    threads: int = 1


def run_worker(engine: Engine, case: Case, limits: Limits) -> dict[str, Any]:
    """One fit in its own process.

    Returns
    -------
    dict
        ``status`` ("ok", "time", "memory", "failed") and, if ok, what the worker measured; else ``note``.
    """
    threads = dict.fromkeys(THREAD_VARIABLES, str(limits.threads))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        worker = subprocess.Popen(
            [*engine.command, str(case.folder())],
            stdout=out,
            stderr=err,
            env={**os.environ, **threads},
            cwd=tempfile.gettempdir(),  # no module of ours may be found by accident
        )
        try:
            broken = _watch(worker, out, limits)
        finally:
            worker.kill()
            worker.wait()
        return (
            {"status": broken, "note": ""} if broken else _reported(worker.returncode, _text(out), _text(err))
        )


def _watch(worker: subprocess.Popen[bytes], out: IO[str], limits: Limits) -> str:
    """Wait for the worker to end; name the limit it broke, or nothing."""
    deadline, started = time.monotonic() + SET_UP_LIMIT, False
    while worker.poll() is None:
        if not started and "ready" in _text(out):
            deadline, started = time.monotonic() + limits.seconds, True
        if time.monotonic() > deadline:
            return "time"
        if _resident_mb(worker.pid) > limits.memory_mb:
            return "memory"
        time.sleep(LOOK_EVERY)
    return ""


def _text(stream: IO[str]) -> str:
    """All that was written so far. The worker shares the file's position: it is put back at the end."""
    return os.pread(stream.fileno(), 1 << 20, 0).decode(errors="replace")


def _resident_mb(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20
    return 0.0


def _reported(code: int, out: str, err: str) -> dict[str, Any]:
    lines = out.strip().split("\n")
    if code == 0 and lines[-1].startswith("{"):
        return {"status": "ok", **json.loads(lines[-1])}
    reason = [line for line in err.strip().split("\n") if line.strip()]
    return {"status": "failed", "note": reason[-1].strip()[:200] if reason else f"exit status {code}"}
