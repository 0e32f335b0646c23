"""Interleaved timing: every contender has its turn in every round, and its best round counts."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping

ROUNDS = 25
_ROUND_SECONDS = 0.004

Timed = Callable[[int], float]
"""Runs so many times and returns the seconds that took."""


def repeated(action: Callable[[], object]) -> Timed:
    """Time an action of this process."""

    def run(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            action()
        return time.perf_counter() - start

    return run


def best_times(contenders: Mapping[str, Timed], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the seconds that one turn of each contender takes, the minimum of interleaved rounds."""
    counts = {}
    for name, timed in contenders.items():
        timed(3)  # warm: caches, lazy imports, a JIT
        seconds = max(timed(10) / 10, 1e-9)
        counts[name] = max(1, min(20000, int(_ROUND_SECONDS / seconds)))
    best = dict.fromkeys(contenders, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, timed in contenders.items():
                best[name] = min(best[name], timed(counts[name]) / counts[name])
    finally:
        gc.enable()
    return best
