"""₹ at risk: what positions, and all that may still trade, put at stake. Pure; the ledger asks.

Of a share its full value, of a future and a sold option the margin, of a bought option its premium.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .working import Working, beyond, claims_of, most


class Held(NamedTuple):
    """A position: signed quantity, ₹ per unit. ``at_margin``: a future or a sold option, which puts at risk what it
    ties up."""

    quantity: int
    average_price: float
    last_price: float
    multiplier: float
    margin_rate: float
    at_margin: bool = False

    @property
    def at_risk(self) -> float:
        """₹, whatever the side."""
        if self.at_margin:
            return abs(self.quantity) * self.average_price * self.multiplier * self.margin_rate
        return abs(self.quantity) * self.last_price * self.multiplier


FLAT = Held(0, 0.0, 0.0, 1.0, 1.0)


def on_side(held: Held, orders: Mapping[int, Working], sign: int) -> float:
    """₹ at risk on one side of an instrument, if all that works there trades, and nothing on the other.

    What is held counts at its last price, each order at its own worst price; siblings count once, the
    dearest. What closes an opposite position first is taken to be the cheapest.
    """
    same = held.quantity * sign
    total = held.at_risk if same > 0 else 0.0
    for claim in beyond(claims_of(orders, sign, at_risk=True), -same):
        total += claim.cost
    return total


def signed(held: Held, orders: Mapping[int, Working], sign: int) -> float:
    """The same, negative if the instrument stays on the other side even then."""
    left = -held.quantity * sign - most(orders, sign)
    if left > 0:
        return -held.at_risk * left / abs(held.quantity)
    return on_side(held, orders, sign)


def units_on_side(held: Held, orders: Mapping[int, Working], sign: int) -> int:
    """Units on one side of an instrument, if all that works there trades."""
    return max(0, held.quantity * sign + most(orders, sign))
