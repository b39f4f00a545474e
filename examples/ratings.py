"""Ratings that need not fit in memory: simulated to Parquet, fitted from there, and predictions written.

Run it with the number of ratings: ``python examples/ratings.py 5000000``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

import interlace

FOLDER = Path("ratings")
PER_FILE = 1_000_000
SD_USER, SD_ITEM, SD_ERROR, SLOPE = 0.45, 0.55, 0.85, 0.1


def popular(rng: np.random.Generator, levels: int, size: int) -> np.ndarray:
    """Levels drawn by a popularity that falls as their rank grows."""
    weights = 1.0 / np.arange(1, levels + 1) ** 0.7
    return np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(size))


def simulate(n: int, users: int, items: int) -> None:
    """Write so many ratings, a million in each file."""
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    u, v = SD_USER * rng.normal(size=users), SD_ITEM * rng.normal(size=items)
    for number, start in enumerate(range(0, n, PER_FILE)):
        size = min(PER_FILE, n - start)
        user, item, x = popular(rng, users, size), popular(rng, items, size), rng.normal(size=size)
        rating = 3.5 + SLOPE * x + u[user] + v[item] + SD_ERROR * rng.normal(size=size)
        table = pa.table({"rating": rating, "x": x, "user": user, "item": item})
        parquet.write_table(table, FOLDER / f"part{number:03d}.parquet")


def main() -> None:
    """Simulate, fit in two passes, write fitted values in a third."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    simulate(n, users=max(n // 50, 50), items=max(n // 500, 20))

    result = interlace.fit("rating ~ x + (1 | user) + (1 | item)", f"{FOLDER}/*.parquet")
    print(result.summary())
    sds = np.sqrt(result.vcomp)
    print(f"\nput in: slope {SLOPE}, users {SD_USER}, items {SD_ITEM}, error {SD_ERROR}")
    print(f"found:  slope {result.fe_params['x']:.3f}, {sds.round(3)} and {result.sigma:.3f}")
    print("\nResiduals, in one pass:")
    print(result.resid.describe().round(3))

    path = result.augment("predictions.parquet")
    print(f"\n{path}: {parquet.read_metadata(path).num_rows} rows")


if __name__ == "__main__":
    main()
