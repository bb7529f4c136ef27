"""The orders of the last seconds, for limits of how many may be given, and of the same one twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from ..values import Proposal


class Given(NamedTuple):
    """An order, or a change of one, that was allowed: when, which, and what it looked like. Without a look, nothing can
    be the same: a change, or an order that ended with nothing traded."""

    at: datetime
    ref: int
    look: str = ""


def look_of(order: Proposal) -> str:
    """Equal orders look the same."""
    return "|".join(
        (
            order.instrument.key, order.side, str(order.quantity), order.order_type, order.product, order.variety,
            repr(order.price), repr(order.trigger_price),
        )
    )  # fmt: skip


Recent = tuple[Given, ...]


def noted(recent: Recent, order: Proposal, seconds: float, *, change: bool) -> Recent:
    """With ``order``, and without what is older than ``seconds``: a bound at which an order still counts."""
    if order.given is None:
        return recent
    one = Given(order.given, order.ref, "" if change else look_of(order))
    kept = (row for row in recent if (order.given - row.at).total_seconds() <= seconds)
    return (*kept, one)


def forgotten(recent: Recent, ref: int) -> Recent:
    """As if order ``ref`` were like no other: it ended with nothing traded."""
    return tuple(row._replace(look="") if row.ref == ref else row for row in recent)


def since(recent: Recent, seconds: float, now: datetime | None) -> int:
    """How many were given less than ``seconds`` before ``now``; all, if nobody knows when that is."""
    if now is None:
        return len(recent)
    return sum((now - row.at).total_seconds() < seconds for row in recent)


def age_of_like(recent: Recent, order: Proposal) -> float | None:
    """Seconds since the last order that looks like ``order`` was given; None if there is none. When nobody knows how
    long that is, no time at all."""
    look = look_of(order)
    found = [row.at for row in recent if row.look == look and row.ref != order.ref]
    if not found:
        return None
    return 0.0 if order.given is None else (order.given - max(found)).total_seconds()


def as_rows(recent: Recent) -> list[list[Any]]:
    """For JSON."""
    return [[row.at.isoformat(), row.ref, row.look] for row in recent]


def from_rows(rows: Iterable[Iterable[Any]]) -> Recent:
    """What :func:`as_rows` gave."""
    return tuple(Given(datetime.fromisoformat(at), int(ref), str(look)) for at, ref, look in rows)
