"""The dated rules of ``data/rules.csv``: what Kite and the regulator demanded, and from when."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from functools import cache

from .tables import read_table


def in_force(rule: str, scope: str, day: date) -> str | None:
    """The value of a dated rule on ``day``: of ``scope`` (an exchange) if it has one of its own; None if none is
    known."""
    for where in (scope, ""):
        since = _rows().get((rule, where), [])
        place = bisect_right([begin for begin, _ in since], day)
        if place:
            return since[place - 1][1]
    return None


@cache
def _rows() -> dict[tuple[str, str], list[tuple[date, str]]]:
    found: dict[tuple[str, str], list[tuple[date, str]]] = {}
    for row in read_table("rules"):
        found.setdefault((row["rule"], row["scope"]), []).append((date.fromisoformat(row["from"]), row["value"]))
    return {name: sorted(rows) for name, rows in found.items()}
