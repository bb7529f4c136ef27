"""What orders that still work may come to: how much of each may trade, and which of them count once together.

Pure: the :mod:`~btkite.risk.ledger` keeps the orders and asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Working:
    """An order that was allowed: what of it may still trade.

    ``quantity`` is the whole order, ``filled`` what of it is booked, ``said`` what the broker last said is
    still open. ``entry`` is the name under which it counts among the day's entries, empty if it reduces.
    """

    ref: int
    key: str
    sign: int
    quantity: int
    price: float
    multiplier: float
    margin_rate: float
    said: int
    filled: int = 0
    group: int = 0
    parent: int = 0
    entry: str = ""
    alive: bool = True
    at_margin: bool = False  # what it puts at risk is what it ties up: futures and options

    @property
    def risk_rate(self) -> float:
        """The part of its value that is at risk: a share may lose all of it."""
        return self.margin_rate if self.at_margin else 1.0

    def state(self) -> dict[str, Any]:
        """For JSON. (``asdict`` copies each field deeply, at twenty times the price, and a book has hundreds.)"""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def remaining(self) -> int:
        """The less of what is said and what is not booked yet: the two may arrive in either order."""
        return max(0, min(self.said, self.quantity - self.filled)) if self.alive else 0

    @property
    def slot(self) -> tuple[str, int]:
        """Orders of one slot count once: children of one parent, siblings of one OCO group with its first."""
        return ("parent", self.parent) if self.parent else ("order", self.group or self.ref)


class Claim(NamedTuple):
    """What one slot may add on one side: units, ₹ per unit (multiplier included), the part of it that counts."""

    quantity: int
    price: float
    rate: float

    @property
    def cost(self) -> float:
        """₹ that count."""
        return self.quantity * self.price * self.rate


def _live(order: Working, orders: Mapping[int, Working]) -> int:
    """What of an order may trade now: a child, no more than its parent has brought in and none took out."""
    parent = orders.get(order.parent)
    if parent is None or parent.sign == order.sign:
        return order.remaining
    out = sum(other.filled for other in orders.values() if other.parent == order.parent)
    return min(order.remaining, max(0, parent.filled - out))


def _slots(orders: Mapping[int, Working], sign: int) -> Iterable[list[tuple[int, Working]]]:
    """The orders of one instrument and side that may trade, with how much; those that count once together."""
    found: dict[tuple[str, int], list[tuple[int, Working]]] = {}
    for order in orders.values():
        if order.sign == sign and (live := _live(order, orders)):
            found.setdefault(order.slot, []).append((live, order))
    return found.values()


def most(orders: Mapping[int, Working], sign: int) -> int:
    """Units that the orders of one instrument and side may trade at the most."""
    return sum(max(live for live, _ in slot) for slot in _slots(orders, sign))


def claims_of(orders: Mapping[int, Working], sign: int, *, at_risk: bool = False) -> list[Claim]:
    """What each slot may come to tie up, or to put at risk, by its dearest member."""
    claims = []
    for slot in _slots(orders, sign):
        each = (
            Claim(live, order.price * order.multiplier, order.risk_rate if at_risk else order.margin_rate)
            for live, order in slot
        )
        claims.append(max(each, key=lambda claim: claim.cost))
    return claims


def beyond(claims: Iterable[Claim], closable: int) -> Iterable[Claim]:
    """What is left of the claims after ``closable`` units of them, the cheapest first, closed a position."""
    for claim in sorted(claims, key=lambda claim: claim.price * claim.rate):
        closes = min(claim.quantity, max(0, closable))
        closable -= closes
        if claim.quantity > closes:
            yield claim._replace(quantity=claim.quantity - closes)
