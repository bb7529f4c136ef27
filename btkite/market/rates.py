"""The dated rates of ``data/charges.csv``: one key, one day, one figure, each row with its source."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache

from .tables import read_table

KNOWN_FROM = date(2020, 1, 1)
"""The first day of the table."""


def has(key: str) -> bool:
    """Whether the table has such a rate at all."""
    return key in _rates()


@lru_cache(maxsize=4096)
def rate(key: str, on: date) -> Decimal:
    """The figure in force on a date, as the table writes it: per cent or rupees. Before the first row, the first."""
    since, figures = _rates()[key]
    return figures[max(bisect_right(since, on) - 1, 0)]


@cache
def _rates() -> dict[str, tuple[list[date], list[Decimal]]]:
    found: dict[str, list[tuple[date, Decimal]]] = {}
    for row in read_table("charges"):
        found.setdefault(row["key"], []).append((date.fromisoformat(row["from"]), Decimal(row["value"])))
    return {key: ([day for day, _ in sorted(rows)], [figure for _, figure in sorted(rows)])
            for key, rows in found.items()}  # fmt: skip
