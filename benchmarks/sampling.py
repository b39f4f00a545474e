"""Is the stated Monte-Carlo error honest?  Many sets of probes on designs whose exact answer is known.

    python benchmarks/sampling.py               forty sets of probes on every design: results/sampling.md
    python benchmarks/sampling.py --seeds 10 --designs chain "small sigma"

For every covariance parameter the difference from the exact optimum is divided by the stated error; the root
mean square of these over the sets of probes should be near one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from interlace import pls
from interlace.arrays import FloatArray, IntArray
from interlace.pls import GroupingFactor, RandomTerm

RESULTS = Path(__file__).parent / "results"
USERS, ITEMS, ROWS = 2_000, 400, 20_000

Items = Callable[[np.random.Generator, IntArray], IntArray]


def anybody(rng: np.random.Generator, user: IntArray) -> IntArray:
    """Every item is as likely for every user."""
    return rng.integers(0, ITEMS, len(user))


def popular(rng: np.random.Generator, user: IntArray) -> IntArray:
    """A few items that nearly everyone has seen (Zipf)."""
    share = 1.0 / np.arange(1, ITEMS + 1)
    return rng.choice(ITEMS, len(user), p=share / share.sum())


def communities(blocks: int, inside: float, *, chained: bool = False) -> Items:
    """Users and items in blocks; the other rows go anywhere, or to the next block of a chain."""

    def draw(rng: np.random.Generator, user: IntArray) -> IntArray:
        own = user % blocks
        other = np.minimum(own + 1, blocks - 1) if chained else rng.integers(0, blocks, len(user))
        block = np.where(rng.random(len(user)) < inside, own, other)
        return rng.integers(0, ITEMS // blocks, len(user)) * blocks + block

    return draw


def nearly_nested(rng: np.random.Generator, user: IntArray) -> IntArray:
    """Every user has an item of his own for 95 rows in 100."""
    own = rng.integers(0, ITEMS, USERS)
    return np.where(rng.random(len(user)) < 0.95, own[user], rng.integers(0, ITEMS, len(user)))


@dataclass(frozen=True)
class Shape:
    """A design: how items meet users, residual standard deviation, slopes, a third factor."""

    items: Items
    sigma: float = 1.0
    slopes: bool = False
    third: bool = False


SHAPES = {
    "good": Shape(anybody),
    "popular items": Shape(popular),
    "clustered": Shape(communities(20, 0.98)),
    "disconnected": Shape(communities(5, 1.0)),
    "chain": Shape(communities(50, 0.99, chained=True)),
    "chain, small sigma": Shape(communities(50, 0.999, chained=True), sigma=0.05),
    "nearly nested": Shape(nearly_nested),
    "small sigma": Shape(anybody, sigma=0.05),
    "slopes": Shape(anybody, slopes=True),
    "clustered, slopes": Shape(communities(20, 0.98), slopes=True),
    "three factors": Shape(anybody, third=True),
    "three factors, slopes": Shape(popular, slopes=True, third=True),
}


def simulated(
    shape: Shape,
) -> tuple[list[GroupingFactor], list[RandomTerm], FloatArray, FloatArray]:
    """Rows of a design, as arrays."""
    rng = np.random.default_rng(1)
    user = rng.integers(0, USERS, ROWS)
    groups = [user, shape.items(rng, user)] + ([rng.integers(0, 150, ROWS)] if shape.third else [])
    x = rng.normal(size=ROWS)
    y = 1.0 + 0.5 * x + shape.sigma * rng.normal(size=ROWS)
    factors, terms = [], []
    for f, group in enumerate(groups):
        levels, codes = np.unique(group, return_inverse=True)
        k = 2 if shape.slopes and f < 2 else 1
        Xi = np.column_stack([np.ones(ROWS), x])[:, :k]
        b = rng.normal(size=(len(levels), k)) * np.array([0.5, 0.3])[:k]
        y += (Xi * b[codes]).sum(axis=1)
        factors.append(GroupingFactor(codes, len(levels)))
        terms.append(RandomTerm(f, Xi))
    return factors, terms, np.column_stack([np.ones(ROWS), x]), y


@dataclass(frozen=True)
class Found:
    """What the sets of probes said of one design."""

    design: str
    seeds: int
    ratio: list[float]  # root mean square of difference over stated error, per covariance parameter
    worst: float  # largest difference, in standard errors
    criterion: float  # root mean square of the criterion's difference over its stated error
    probes: int
    steps: int


def tried(name: str, seeds: int) -> Found:
    """Fit a design exactly, and with many sets of probes."""
    data = simulated(SHAPES[name])
    exact = pls.fit(*data, solver="blocked")
    errors = np.sqrt(2.0 * np.diag(np.linalg.inv(exact.hessian_varpar())))[:-1]
    fits = [pls.fit(*data, solver="iterative", seed=seed) for seed in range(seeds)]
    differences = np.array([fit.theta - exact.theta for fit in fits])
    stated = [fit.monte_carlo for fit in fits if fit.monte_carlo is not None]
    ratios = differences / np.array([one.theta for one in stated])
    criterion = [
        (fit.objective - exact.objective) / one.objective for fit, one in zip(fits, stated, strict=True)
    ]
    return Found(
        design=name,
        seeds=seeds,
        ratio=np.sqrt(np.mean(np.square(ratios), axis=0)).round(2).tolist(),
        worst=float(np.abs(differences / errors).max()),
        criterion=float(np.sqrt(np.mean(np.square(criterion)))),
        probes=max(one.probes for one in stated),
        steps=max(one.steps for one in stated),
    )


def table(found: Sequence[Found]) -> str:
    """Markdown."""
    lines = [
        "| design | root mean square of difference / stated error | of the criterion | "
        "largest difference, standard errors | probes | CG steps |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for one in found:
        ratios = ", ".join(f"{ratio:.2f}" for ratio in one.ratio)
        numbers = f"{one.criterion:.2f} | {one.worst:.4f} | {one.probes} | {one.steps}"
        lines.append(f"| {one.design} | {ratios} | {numbers} |")
    return "\n".join([*lines, "", f"{found[0].seeds} sets of probes each; {ROWS:,} rows."]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--designs", nargs="*", choices=list(SHAPES), default=list(SHAPES))
    chosen = parser.parse_args()
    found = []
    for name in chosen.designs:
        found.append(tried(name, chosen.seeds))
        print(found[-1], flush=True)
    (RESULTS / "sampling.md").write_text(table(found), encoding="utf-8")
    (RESULTS / "sampling.json").write_text(
        json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
