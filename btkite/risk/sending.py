"""Limits of single orders, and of how many may be given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..values import Proposal
from .base import LedgerView, Plain, is_over, no_price, rupees

_A_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class MaxOrderValue(Plain):
    """No order may be worth more than ``limit`` ₹ at its worst price."""

    limit: float
    key: ClassVar[str] = "risk.max_order_value"

    @property
    def title(self) -> str:
        return f"max order value {rupees(self.limit)}"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        if unknown := no_price(order):
            return unknown
        if not is_over(order.value, self.limit):
            return None
        return f"the order is worth {rupees(order.value)}, the limit is {rupees(self.limit)}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return order.value, self.limit


@dataclass(frozen=True, slots=True)
class PriceCollarPct(Plain):
    """No limit and no trigger of an entry may lie more than ``limit`` % from the last price: a finger was fat."""

    limit: float
    key: ClassVar[str] = "risk.price_collar_pct"

    @property
    def title(self) -> str:
        return f"prices within {self.limit:g} % of the last"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces or not (order.price or order.trigger_price):
            return None
        last = order.reference_price
        if not (math.isfinite(last) and last > 0):
            return f"no price of {order.instrument.key} is known yet, so the order's price cannot be judged"
        away, most = self.measure(order, book)
        if not is_over(away, most):
            return None
        return (
            f"the order's price is {rupees(away)} away from the last price {rupees(last)}, "
            f"the limit is {rupees(most)} ({self.limit:g} %)"
        )

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        last = order.reference_price
        named = [price for price in (order.price, order.trigger_price) if price]
        return max((abs(price - last) for price in named), default=0.0), last * self.limit / 100


@dataclass(frozen=True, slots=True)
class MaxOrdersPerMinute(Plain):
    """Give no entry while ``limit`` orders, of whatever kind, were given in the 60 seconds before it."""

    limit: int
    key: ClassVar[str] = "risk.max_orders_per_minute"
    timed: ClassVar[bool] = True
    unit: ClassVar[str] = ""

    @property
    def seconds(self) -> float:
        """How long the book must remember orders."""
        return _A_MINUTE

    @property
    def title(self) -> str:
        return f"max {self.limit} orders a minute"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        orders = book.orders_since(_A_MINUTE, order.given)
        if orders < self.limit:
            return None
        return f"{orders} orders in the last minute, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.orders_since(_A_MINUTE, order.given)), float(self.limit)


@dataclass(frozen=True, slots=True)
class DuplicateWindow(Plain):
    """Give no entry that is the same as one given less than ``limit`` seconds before, if that works or traded."""

    limit: float
    key: ClassVar[str] = "risk.duplicate_window"
    timed: ClassVar[bool] = True
    unit: ClassVar[str] = "s"

    @property
    def seconds(self) -> float:
        """How long the book must remember orders."""
        return self.limit

    @property
    def title(self) -> str:
        return f"no equal orders within {self.limit:g} s"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces or book.is_working(order.ref):  # a change is no new order
            return None
        age = book.like(order)
        if age is None or age >= self.limit:
            return None
        return f"the same order was given {age:g} s ago, the limit is {self.limit:g} s"


@dataclass(frozen=True, slots=True)
class MaxDailyTrades(Plain):
    """Open no new position after ``limit`` entries in one session: filled, working and uncertain ones."""

    limit: int
    key: ClassVar[str] = "risk.max_daily_trades"
    unit: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"max {self.limit} entries a day"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        entries = book.entries_before(order)
        if order.reduces or entries < self.limit:
            return None
        return f"{entries} entries today, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.entries_before(order)), float(self.limit)

    def used(self, book: LedgerView) -> tuple[float, float]:
        return float(book.entries_today), float(self.limit)


@dataclass(frozen=True, slots=True)
class MaxDailyTradesPerSymbol(Plain):
    """Open no new position in an instrument after ``limit`` entries in it in one session."""

    limit: int
    key: ClassVar[str] = "risk.max_daily_trades_per_symbol"
    unit: ClassVar[str] = ""

    @property
    def title(self) -> str:
        return f"max {self.limit} entries a day in one symbol"

    def deny(self, order: Proposal, book: LedgerView) -> str | None:
        if order.reduces:
            return None
        entries = book.entries_of(order)
        if entries < self.limit:
            return None
        return f"{entries} entries in {order.instrument.key} today, the limit is {self.limit}"

    def measure(self, order: Proposal, book: LedgerView) -> tuple[float, float]:
        return float(book.entries_of(order)), float(self.limit)

    def used(self, book: LedgerView) -> tuple[float, float]:
        return float(max(book.entries_by_key().values(), default=0)), float(self.limit)
