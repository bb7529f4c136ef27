"""The order book: every order of the day, its states one after the other, and its trades.

The transitions are Kite's (docs: orders; real dumps for cancel and modify). What the stream tells of
them goes to ``announce``: fills, triggers, changes, cancels; nothing on plain placement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .account import Account
from .clock import kite_text
from .matching import Event
from .orders import (
    AMO_RECEIVED,
    CANCELLED,
    COMPLETE,
    OPEN,
    RECEIVED,
    REJECTED,
    TRIGGER_PENDING,
    Order,
    trade_row,
)
from .refusals import unknown_order

Announce = Callable[[Order, dict[str, Any]], None]


class Book:
    """Orders by id, in the order in which they were placed."""

    def __init__(
        self, account: Account, announce: Announce, *, duplicate_cancelled: bool, as_seen: bool = False
    ) -> None:
        self._account = account
        self._announce = announce
        self._duplicate_cancelled = duplicate_cancelled
        self._as_seen = as_seen  # rows as dumps of real orders have them, where the docs say otherwise
        self.orders: dict[str, Order] = {}
        self.trades: list[dict[str, Any]] = []
        self._serial = 0
        self._arrivals = 0
        self._trade_serial = 10_000_000
        account.working = self.live

    def live(self) -> list[Order]:
        """All orders that are not over."""
        return [order for order in self.orders.values() if not order.terminal]

    def new_id(self, us: int) -> str:
        """15 digits, ``YYMMDD`` and a serial, as NSE orders have."""
        self._serial += 1
        return f"{kite_text(us)[2:10].replace('-', '')}{100_000_000 + self._serial:09d}"

    def next_arrival(self) -> int:
        """Rank of an arrival in the market."""
        self._arrivals += 1
        return self._arrivals

    def get(self, order_id: str) -> Order:
        """The order, or Kite's refusal."""
        order = self.orders.get(order_id)
        if order is None:
            raise unknown_order()
        return order

    # states

    def receive(self, order: Order, us: int) -> None:
        """Placed in market hours: it is in the book, and no further yet."""
        self.orders[order.order_id] = order
        if self._as_seen and order.protected:
            order.note("OPEN PENDING", us)  # as a real protected order's history begins
            return
        first = order.note(RECEIVED, us)
        first["instrument_token"] = 1  # as Kite's own first row has it

    def enter(self, order: Order, us: int) -> None:
        """Through validation to the exchange."""
        if order.status != "OPEN PENDING":
            order.note("VALIDATION PENDING", us)
            order.note("OPEN PENDING", us)
        order.exchange_order_id = f"1{order.order_id}"
        order.note(TRIGGER_PENDING if order.is_stop else OPEN, us, at_exchange=True)

    def reject(self, order: Order, us: int, message: str, raw: str, *, by_exchange: bool = False) -> None:
        """Refused after it was taken: by risk management at its validation, or by the exchange."""
        if not order.terminal and order.exchange_order_id is None:
            if order.status != "OPEN PENDING":
                order.note("VALIDATION PENDING", us)
            if by_exchange:
                order.note("OPEN PENDING", us)
        order.status_message, order.status_message_raw = message, raw
        order.blocked = 0.0
        order.reserved = 0
        at_exchange = order.exchange_order_id is not None
        self._announce(order, order.note(REJECTED, us, at_exchange=at_exchange))

    def enter_amo(self, order: Order, us: int) -> None:
        """Placed for the next open: waits at the broker."""
        self.orders[order.order_id] = order
        order.note(AMO_RECEIVED, us)

    def changed(self, order: Order, us: int, apply: Callable[[], None]) -> None:
        """A modification: the new figures stand only on the last row."""
        if order.status == AMO_RECEIVED:
            apply()
            order.note(AMO_RECEIVED, us)
        else:
            for status in ("MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED"):
                order.note(status, us)
            apply()
            order.note(TRIGGER_PENDING if order.is_stop else OPEN, us, at_exchange=True)
        self._announce(order, {**order.latest(), "status": "UPDATE"})

    def refuse_change(self, order: Order, us: int, raw: str) -> None:
        """A modification that the exchange does not take: the order stands as it was, and its last row says why."""
        order.note("MODIFY VALIDATION PENDING", us)
        order.note("MODIFY PENDING", us)
        row = order.note(TRIGGER_PENDING if order.is_stop else OPEN, us, at_exchange=True)
        row["status_message"] = row["status_message_raw"] = raw

    def carry_out(self, event: Event, us: int) -> None:
        """What the market did to an order: a trigger, a fill, or the end of an IOC."""
        order = event.order
        if event.triggers:
            order.triggered = True
            self._announce(order, order.note(OPEN, us, at_exchange=True))
        if event.price is not None:
            for quantity, price in event.parts or ((order.pending_quantity, event.price),):
                self.fill(order, quantity, price, us)
            if order.validity == "IOC" and order.pending_quantity:
                self.end(order, us)
        elif not event.triggers or order.validity == "IOC":
            self.end(order, us)

    def fill(self, order: Order, quantity: int, price: float, us: int) -> None:
        """An execution of all or part of an order."""
        before = order.filled_quantity
        order.filled_quantity += quantity
        worth = order.average_price * before + price * quantity
        order.average_price = worth / order.filled_quantity if before else price
        left = order.pending_quantity
        share = left / (left + quantity)
        order.blocked *= share
        order.reserved = min(order.reserved, left)
        self._trade_serial += 1
        self.trades.append(trade_row(order, str(self._trade_serial), quantity, price, us))
        self._account.trade(order.listing, order.product, order.buys, quantity, price, order.order_id)
        if left:
            row = order.note(OPEN, us, at_exchange=True)
            self._announce(order, {**row, "status": "UPDATE"})
        else:
            self._announce(order, order.note(COMPLETE, us, at_exchange=True))

    def cancel(self, order: Order, us: int) -> None:
        """Cancelled by its owner. Kite tells it twice."""
        waited = order.status == AMO_RECEIVED
        if not waited:
            order.note("CANCEL PENDING", us)
        self._end(order, us, waited=waited)
        if self._duplicate_cancelled:
            self._announce(order, self._cancelled(order, us, waited=waited))

    def end(self, order: Order, us: int) -> None:
        """Over without (all of) its trades: expired, lapsed, cancelled by the exchange; no message says why."""
        self._end(order, us, waited=order.status == AMO_RECEIVED)

    def _end(self, order: Order, us: int, *, waited: bool) -> None:
        order.cancelled_quantity = order.pending_quantity
        order.blocked = 0.0
        order.reserved = 0
        self._announce(order, self._cancelled(order, us, waited=waited))

    def _cancelled(self, order: Order, us: int, *, waited: bool) -> dict[str, Any]:
        shown = "CANCELLED AMO" if waited and self._as_seen else None
        return order.note(CANCELLED, us, at_exchange=order.exchange_order_id is not None, shown=shown)

    def wipe(self) -> None:
        """A new day: yesterday's ids are unknown. After-market orders for the coming open stay."""
        self.orders = {order.order_id: order for order in self.orders.values() if order.status == AMO_RECEIVED}
        self.trades = []
