"""The day's price band of an instrument: outside of it nothing trades, and Kite takes no order.

Kite's quotes have it (``lower_circuit_limit``, ``upper_circuit_limit``, in ₹; zeros for an index). Shares without
derivatives keep theirs all day; the others' is widened when the price comes near it, so that a band is news that ages.

A derivative's limit has, beside that, to lie within a range about what was traded last (limit price protection,
``btkite/data/lpp.csv``): about the average of the last 30 seconds, of which we take the last price to be near enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from ..values import Side
from .prices import INDEX_NAMES, round_to_tick
from .tables import read_table

if TYPE_CHECKING:
    from ..values import Instrument, Proposal


@dataclass(frozen=True, slots=True)
class Band:
    """``lower`` and ``upper`` in ₹, both of which may be traded; ``at``: the second when it was read."""

    lower: float
    upper: float
    at: int
    name: str = "band of today"

    @classmethod
    def of(cls, quote: Mapping[str, Any], at: int) -> Band | None:
        """What a full quote says; None if there is no band in it."""
        lower, upper = (float(quote.get(f"{end}_circuit_limit") or 0.0) for end in ("lower", "upper"))
        return cls(lower, upper, at) if upper > 0 and lower <= upper else None

    def beyond(self, order: Proposal) -> str | None:
        """Why Kite would refuse ``order``: its price, or what would set it off, lies outside. None if it would not."""
        key = order.instrument.key
        price = order.price or order.trigger_price
        if price and not self.lower <= price <= self.upper:
            name = "price" if order.price else "trigger"
            return f"a {name} of {price:g} lies outside {key}'s {self.name}, {self.lower:g} to {self.upper:g}"
        trigger = order.trigger_price
        if trigger and (trigger > self.upper if order.side is Side.BUY else trigger < self.lower):
            return f"a trigger of {trigger:g} lies outside {key}'s {self.name}, {self.lower:g} to {self.upper:g}"
        return None

    def clamped(self, order: Proposal) -> float:
        """The limit nearest to that of ``order`` that Kite takes, if it is not to our disadvantage; else 0."""
        edge = self.upper if order.side is Side.BUY else self.lower
        stricter = (order.price - edge) * order.side.sign > 0
        reaches = not order.trigger_price or (edge - order.trigger_price) * order.side.sign >= 0
        return edge if order.price and stricter and reaches else 0.0

    def within(self, price: float) -> float:
        """The price nearest to ``price`` that may be traded."""
        return min(max(price, self.lower), self.upper)


def protected_range(instrument: Instrument, last: float, day: date, at: int) -> Band | None:
    """How far from the ``last`` price a limit may lie; None if no such rule is known, or no price."""
    if last <= 0 or not (instrument.is_future or instrument.is_option):
        return None
    kind = f"{'index' if instrument.name in INDEX_NAMES else 'stock'}_{'option' if instrument.is_option else 'future'}"
    rows = [row for row in _ranges().get((instrument.exchange, kind), ()) if row[0] <= day]
    if not rows:
        return None
    _, below, rupees, percent, minimum = rows[-1]
    width = rupees if last <= below else max(last * percent / 100, minimum)
    tick = instrument.tick_size or 0.01
    lower, upper = round_to_tick(max(last - width, tick), tick, "up"), round_to_tick(last + width, tick, "down")
    return Band(lower, upper, at, "range about its last price")


@cache
def _ranges() -> dict[tuple[str, str], list[tuple[date, float, float, float, float]]]:
    found: dict[tuple[str, str], list[tuple[date, float, float, float, float]]] = {}
    for row in read_table("lpp"):
        below, rupees, percent, minimum = (float(row[name]) for name in ("below", "rupees", "percent", "minimum"))
        found.setdefault((row["exchange"], row["kind"]), []).append(
            (date.fromisoformat(row["from"]), below, rupees, percent, minimum)
        )
    return {key: sorted(rows) for key, rows in found.items()}
