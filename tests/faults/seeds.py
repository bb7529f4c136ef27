"""How many seeds a scenario is played with: a few each time, many in `make soak`."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("BTKITE_SOAK"))


def seeds(few: int, many: int) -> range:
    return range(many if SOAK else few)
