"""Positions and money of one account, by instrument. One formula in all modes.

Backtest, paper and live book the same fills through the same additions in the same order, so that they
show the same numbers to the last bit. Positions follow backtrader's average-price method, operation for
operation. Long-term holdings and other strategies' trades never enter: the book starts from the allotted
capital and knows only what it is told.
"""

from __future__ import annotations

from typing import NamedTuple

from ..values import Instrument
from .exposure import FLAT, Held


class Booking(NamedTuple):
    """What one fill did to its position, in backtrader's terms.

    ``opened`` and ``closed`` carry the fill's sign and add up to it; ``pnl`` is the profit in ₹ of the
    closed part, before charges.
    """

    quantity: int
    average_price: float
    opened: int
    closed: int
    pnl: float


class Money:
    """``capital`` ₹ and what became of them."""

    def __init__(self, capital: float) -> None:
        self.capital = capital
        self.realized = 0.0
        self.charges = 0.0
        self._held: dict[str, Held] = {}
        self._keys: tuple[str, ...] = ()
        self._unrealized: float | None = 0.0
        self._used: float | None = 0.0

    def _net(self, instrument: Instrument, size: int, price: float, rate: float) -> Booking:
        """backtrader's ``Position.update``, operation for operation, and the P&L of what it closed."""
        key = instrument.key
        was = self._held.get(key, FLAT)
        old, average = was.quantity, was.average_price
        new = old + size
        if not new:
            opened, closed, now = 0, size, 0.0
        elif not old:
            opened, closed, now = size, 0, price
        elif (old > 0) == (size > 0):
            opened, closed, now = size, 0, (average * old + size * price) / new
            if rate != was.margin_rate:
                blocked = abs(old) * average * was.margin_rate + abs(size) * price * rate
                rate = blocked / (abs(new) * now)
        elif (old > 0) == (new > 0):
            opened, closed, now, rate = 0, size, average, was.margin_rate
        else:
            opened, closed, now = new, -old, price
        pnl = -closed * (price - average) * instrument.multiplier if closed else 0.0
        if new:
            last = was.last_price if old else price
            at_margin = instrument.is_future or (instrument.is_option and new < 0)
            self._held[key] = Held(new, now, last, instrument.multiplier, rate, at_margin)
        else:
            self._held.pop(key, None)
        self._keys = tuple(sorted(self._held))
        self._unrealized = self._used = None
        return Booking(new, now, opened, closed, pnl)

    def mark(self, key: str, price: float) -> None:
        """The last price of an instrument, ₹. Without a position it changes nothing."""
        held = self._held.get(key)
        if held is not None and held.last_price != price:
            self._held[key] = held._replace(last_price=price)
            self._unrealized = None

    def position(self, key: str) -> Held:
        """What is held of ``EXCHANGE:TRADINGSYMBOL``; :data:`FLAT` if nothing."""
        return self._held.get(key, FLAT)

    def positions(self) -> dict[str, Held]:
        """All that is held, by key, in the order of the keys."""
        return {key: self._held[key] for key in self._keys}

    @property
    def unrealized(self) -> float:
        """₹ that the positions would gain at their last prices."""
        if self._unrealized is None:
            total = 0.0
            for key in self._keys:
                held = self._held[key]
                total += held.quantity * (held.last_price - held.average_price) * held.multiplier
            self._unrealized = total
        return self._unrealized

    @property
    def used(self) -> float:
        """₹ blocked by the positions, at their average prices."""
        if self._used is None:
            total = 0.0
            for key in self._keys:
                held = self._held[key]
                total += abs(held.quantity) * held.average_price * held.multiplier * held.margin_rate
            self._used = total
        return self._used

    @property
    def value(self) -> float:
        """capital + realized + unrealized − charges, ₹."""
        return self.capital + self.realized + self.unrealized - self.charges

    @property
    def cash(self) -> float:
        """capital + realized − charges − what the positions block, ₹. Working orders take nothing from it."""
        return self.capital + self.realized - self.charges - self.used
