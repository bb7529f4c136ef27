"""The orders that rest when a process dies, by the scenario's seed: its strategy and its judge make the same."""

from __future__ import annotations

import random


def orders_of(seed: int) -> list[tuple[float, int]]:
    """The price (₹) and the size (shares) of each BUY LIMIT."""
    rng = random.Random(seed)
    return [(rng.randint(180, 194) / 2, rng.randint(1, 20)) for _ in range(rng.randint(1, 6))]
