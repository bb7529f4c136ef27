"""The day's price band of an instrument: outside of it nothing trades, and Kite takes no order.

Kite's quotes have it (``lower_circuit_limit``, ``upper_circuit_limit``, in ₹; zeros for an index). Shares without
derivatives keep theirs all day; the others' is widened when the price comes near it, so that a band is news that ages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..values import Side

if TYPE_CHECKING:
    from ..values import Proposal


@dataclass(frozen=True, slots=True)
class Band:
    """``lower`` and ``upper`` in ₹, both of which may be traded; ``at``: the second when it was read."""

    lower: float
    upper: float
    at: int

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
            return f"a {name} of {price:g} lies outside {key}'s band of today, {self.lower:g} to {self.upper:g}"
        trigger = order.trigger_price
        if trigger and (trigger > self.upper if order.side is Side.BUY else trigger < self.lower):
            return f"a trigger of {trigger:g} lies outside {key}'s band of today, {self.lower:g} to {self.upper:g}"
        return None

    def within(self, price: float) -> float:
        """The price nearest to ``price`` that may be traded."""
        return min(max(price, self.lower), self.upper)
