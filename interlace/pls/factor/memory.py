"""How much memory there is, and a refusal of what would need more before any of it is taken."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from interlace.errors import ArgumentError, MemoryLimitError

# Below so many bytes nobody asks what the machine has: reading it takes longer than a small fit.
SMALL = 200_000_000
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGT]?)(I?)B?\s*", re.IGNORECASE)
MEMINFO, CGROUPS, OWN_CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def in_bytes(max_memory: object) -> int | None:
    """Bytes that the keyword ``max_memory`` stands for.

    Parameters
    ----------
    max_memory : int, float, str or None
        Bytes, or text such as ``"8GB"`` or ``"500 MiB"``; None for what the machine has.

    Returns
    -------
    int or None

    Raises
    ------
    ArgumentError
        For anything else.

    Examples
    --------
    >>> in_bytes("8GB"), in_bytes("1.5 GiB"), in_bytes(None)
    (8000000000, 1610612736, None)
    """
    if max_memory is None:
        return None
    found = SIZE.fullmatch(max_memory) if isinstance(max_memory, str) else None
    if found:
        number, unit, binary = found.groups()
        size = float(number) * (BINARY if binary and unit else UNITS)[unit.upper()]
    elif isinstance(max_memory, int | float) and not isinstance(max_memory, bool):
        size = float(max_memory)
    else:
        size = 0.0
    if not 1.0 <= size < 1e18:
        raise ArgumentError(
            f'max_memory={max_memory!r}; wanted a positive number of bytes, or text such as "8GB"'
        )
    return int(size)


def available() -> float:
    """Bytes that can be had: what the machine has free, or what is left of the limit of this container.

    Returns
    -------
    float
        Infinity where the system does not tell.
    """
    return min(_of_machine(), _of_cgroup())


def _of_machine() -> float:
    with suppress(OSError, ValueError):
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024.0
    with suppress(
        OSError, ValueError, AttributeError
    ):  # no Linux: all there is, for what is free is not told
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


def _of_cgroup() -> float:
    """What is left of the tightest limit on the way from this process's control group to the root."""
    left = float("inf")
    with suppress(OSError, ValueError):
        for line in OWN_CGROUP.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                left = min(left, _left(CGROUPS, path, "memory.max", "memory.current"))
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
                left = min(left, _left(CGROUPS / "memory", path, *names))
    return left


def _left(top: Path, path: str, limit: str, usage: str) -> float:
    left, place = float("inf"), top / path.strip("/")
    for folder in (place, *place.parents):
        with suppress(OSError, ValueError):  # without a limit the file says "max", or there is none
            used = float((folder / usage).read_text()) - _cached(folder)
            left = min(left, float((folder / limit).read_text()) - used)
        if folder == top:
            break
    return left


def _cached(folder: Path) -> float:
    """Bytes of files that the system keeps in memory as long as nobody needs it."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            name, _, number = line.partition(" ")
            if name in ("inactive_file", "total_inactive_file"):
                return float(number)
    return 0.0


def fits(size: float, max_memory: int | None) -> bool:
    """Whether so many bytes can be had; ``max_memory`` takes the place of what the machine has."""
    if max_memory is not None:
        return size <= max_memory
    return size <= SMALL or size <= available()


def afford(size: float, max_memory: int | None, why: str) -> None:
    """Refuse what does not fit.

    Parameters
    ----------
    size : float
        Bytes that will be needed.
    max_memory : int or None
        Bytes that may be used; None for what the machine has.
    why : str
        What needs them and what to do, a sentence.

    Raises
    ------
    MemoryLimitError
        With the size and what there is.
    """
    if fits(size, max_memory):
        return
    there = (
        f"max_memory allows {in_words(max_memory)}"
        if max_memory is not None
        else f"{in_words(available())} are free"
    )
    raise MemoryLimitError(
        f"the fit needs about {in_words(size)} of memory, and {there}. {why} If more can be had (from swap, "
        'say), allow it by max_memory="...GB".'
    )


def in_words(size: float) -> str:
    """A number of bytes with its unit.

    Examples
    --------
    >>> in_words(27_848_000_000), in_words(3_400_000)
    ('27.8 GB', '3.4 MB')
    """
    unit, name = next((unit for unit in ((1e12, "TB"), (1e9, "GB")) if size >= unit[0]), (1e6, "MB"))
    return f"{size / unit:.1f} {name}"
