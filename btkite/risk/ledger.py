"""The account's book by instrument: positions, money, working orders and the day. One formula in all modes.

Backtest, paper and live book the same fills through the same additions in the same order, so that they
show the same numbers to the last bit. Positions follow backtrader's average-price method, operation for
operation. Long-term holdings and other strategies' trades never enter: the book starts from the allotted
capital and knows only what it is told.

Used on Cerebro's thread only. No clock, no I/O: :meth:`Ledger.state` is what a restart needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from ..values import Denial, Instrument, Proposal, Side
from .working import Working, beyond, claims_of, most

MarginRate = Callable[[Proposal], float]
"""Fraction of an order's value that it blocks: 1 for delivery, 0.2 for five times leverage."""


def full_value(order: Proposal) -> float:
    """The margin rate without leverage."""
    return 1.0


class Held(NamedTuple):
    """A position: signed quantity, ₹ per unit."""

    quantity: int
    average_price: float
    last_price: float
    multiplier: float
    margin_rate: float


FLAT = Held(0, 0.0, 0.0, 1.0, 1.0)


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


class Checkpoint(NamedTuple):
    """The working orders and the day's entries at one moment, for :meth:`Ledger.restore`."""

    orders: dict[int, Working]
    entries: dict[str, tuple[int, ...]]


class Ledger:
    """The book of one account over ``capital`` ₹."""

    def __init__(self, capital: float, *, margin_rate: MarginRate = full_value) -> None:
        self.capital = capital
        self.realized = 0.0
        self.charges = 0.0
        self.peak = capital
        self.session: date | None = None
        self.day_start_value = capital
        self.loss_from = capital  # the value from which a loss of the capital is counted
        self.latched: Denial | None = None
        self.funds_limit: float | None = None
        self._margin_rate = margin_rate
        self.gains: dict[str, float] = {}  # ₹ realized today, before charges, by instrument
        self._held: dict[str, Held] = {}
        self._keys: tuple[str, ...] = ()
        self._unrealized: float | None = 0.0
        self._used: float | None = 0.0
        self._blocks: dict[str, float] = {}
        self._committed: float | None = 0.0
        self._orders: dict[int, Working] = {}
        self._entries: dict[str, tuple[int, ...]] = {}
        self.going: Callable[[], Collection[int]] = tuple
        """Refs of working orders whose cancellation is on its way: what closes in their stead waits for their end."""

    # -- positions and money ---------------------------------------------------------------------

    def fill(
        self,
        instrument: Instrument,
        side: Side,
        quantity: int,
        price: float,
        charges: float = 0.0,
        time: datetime | None = None,
        *,
        margin_rate: float | None = None,
        ref: int = 0,
    ) -> Booking:
        """Book one execution: ``quantity`` units at ``price`` ₹, with the ``charges`` ₹ that it adds.

        ``margin_rate`` is the fraction of the opened value that stays blocked; without it the rate at which
        order ``ref`` was allowed, else 1. ``time`` belongs to the call so that a caller cannot forget
        which session it books into: a fill of a later day rolls the day first.
        """
        ends = price == 0 and instrument.is_option and self.position(instrument.key).quantity * side.sign < 0
        if quantity <= 0 or not (price > 0 or ends):  # only an option may end at nothing
            raise ValueError(f"a fill needs a positive quantity and price, not {quantity} at {price}")
        if time is not None and self.session is not None and time.date() > self.session:
            self.roll(time.date())
        order = self._orders.get(ref)
        if margin_rate is None:
            margin_rate = order.margin_rate if order is not None else 1.0
        booking = self._net(instrument, side.sign * quantity, price, margin_rate)
        self.realized += booking.pnl
        if booking.closed:
            self.gains[instrument.key] = self.gains.get(instrument.key, 0.0) + booking.pnl
        self.charges += charges
        if order is not None:
            self._put(replace(order, filled=order.filled + quantity))
        return booking

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
            self._held[key] = Held(new, now, last, instrument.multiplier, rate)
        else:
            self._held.pop(key, None)
        self._keys = tuple(sorted(self._held))
        self._unrealized = self._used = None
        self._touch(key)
        return Booking(new, now, opened, closed, pnl)

    def mark(self, key: str, price: float) -> None:
        """The last price of an instrument, ₹. Without a position it changes nothing."""
        held = self._held.get(key)
        if held is not None and held.last_price != price:
            self._held[key] = held._replace(last_price=price)
            self._unrealized = None

    def observe(self) -> float:
        """The value now, remembered if it is the highest so far. Once a turn, after the marks."""
        value = self.value
        self.peak = max(self.peak, value)
        return value

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

    @property
    def free(self) -> float:
        """What the next order may use, ₹: cash less what working orders may come to block.

        Never more than :attr:`funds_limit`, where live keeps Kite's own available margin.
        """
        free = self.cash - self.committed()
        return free if self.funds_limit is None else min(free, self.funds_limit)

    # -- working orders --------------------------------------------------------------------------

    def allowed(self, order: Proposal) -> None:
        """The gate said yes: from now on the order counts. The same ref again is a change of that order.

        A changed order keeps what it has filled; its ``quantity`` is the whole order, filled part included.
        """
        record = self._record(order)
        self._put(record)
        if record.entry and order.ref not in self._entries.get(record.entry, ()):
            self._entries[record.entry] = (*self._entries.get(record.entry, ()), order.ref)

    def working(self, ref: int, remaining: int) -> None:
        """The broker says how much of an order may still trade; before or after the fill is booked."""
        order = self._orders.get(ref)
        if order is not None:
            self._put(replace(order, said=remaining))

    def done(self, ref: int, *, refused: bool = False) -> None:
        """The order came to its end. ``refused``: Kite (or the simulator) never took it.

        An entry that was refused with nothing filled no longer counts among the day's entries; one that was
        cancelled or expired does, or a strategy could send without end.
        """
        order = self._orders.get(ref)
        if order is None:
            return
        self._put(replace(order, alive=False))
        if refused and not order.filled and order.entry in self._entries:
            left = tuple(other for other in self._entries[order.entry] if other != ref)
            if left:
                self._entries[order.entry] = left
            else:
                del self._entries[order.entry]
        self._forget(order)

    def _forget(self, order: Working) -> None:
        """Drop the dead; a family stays until its last member is dead, as its fills are still needed."""
        head = order.parent or order.ref
        family = [other for other in self._orders.values() if head in (other.ref, other.parent)]
        if not any(other.alive for other in family):
            for other in family:
                del self._orders[other.ref]

    def is_working(self, ref: int) -> bool:
        """True if the order was allowed and has not come to its end."""
        return ref in self._orders and self._orders[ref].alive

    def is_exit(self, ref: int) -> bool:
        """True if the order was allowed as one that can only reduce."""
        return ref in self._orders and not self._orders[ref].entry

    def worst_case(self, key: str) -> tuple[int, int]:
        """The longest and the shortest that the position can become, both as positive units."""
        low, high = self._range(key, None)
        return max(0, high), max(0, -low)

    def reduces(self, order: Proposal, *, at_once: bool = False) -> bool:
        """True if the worst case over the position and all working orders neither grows nor crosses zero. Orders on
        their way out count only if ``order`` is not to wait for their end (``at_once``).

        A bracket's child whose parent is still to trade is measured against the parent: it can only sell
        again what that will have bought.
        """
        record = self._record(order)
        parent = self._orders.get(order.parent)
        if parent is not None and parent.sign != record.sign and parent.key == record.key:
            return record.quantity <= parent.quantity
        held = self.position(record.key).quantity
        if held == 0 or (held > 0) == (record.sign > 0):
            return False
        low, high = self._range(record.key, record, () if at_once else self.going())
        return low >= 0 if held > 0 else high <= 0

    def short_by(self, order: Proposal) -> int:
        """Units by which the position would be short in the worst case, with ``order``."""
        low, _ = self._range(order.instrument.key, self._record(order))
        return max(0, -low)

    def exposure(self, order: Proposal) -> float:
        """₹ that the position would be worth on the order's side, if it and all that works there trades.

        What is held counts at its last price, each order at its own worst price; siblings count once, the
        dearest. What closes an opposite position first is taken to be the cheapest.
        """
        record = self._record(order)
        held = self.position(record.key)
        same = held.quantity * record.sign
        claims = claims_of(self._of(record.key, record), record.sign)
        total = same * held.last_price * held.multiplier if same > 0 else 0.0
        for claim in beyond(claims, -same):
            total += claim.value
        return total

    def committed(self) -> float:
        """₹ that working orders may come to block beyond the positions."""
        if self._committed is None:
            for key in {order.key for order in self._orders.values()} - self._blocks.keys():
                self._blocks[key] = self._block(key, None)
            self._committed = sum(self._blocks[key] for key in sorted(self._blocks))
        return self._committed

    def required(self, order: Proposal) -> float:
        """₹ that ``order`` adds to what working orders may come to block; a change, what it adds to itself."""
        record = self._record(order)
        return self._block(record.key, record) - self._block(record.key, None)

    def _block(self, key: str, extra: Working | None) -> float:
        """What the orders on one instrument may come to block, both sides, less what closes the position."""
        held, orders, total = self.position(key).quantity, self._of(key, extra), 0.0
        for sign in (1, -1):
            for claim in beyond(claims_of(orders, sign), -held * sign):
                total += claim.value * claim.margin_rate
        return total

    def _touch(self, key: str) -> None:
        """Something about this instrument's position or orders has changed."""
        self._blocks.pop(key, None)
        self._committed = None

    def checkpoint(self) -> Checkpoint:
        """To try orders out and take them back."""
        return Checkpoint(dict(self._orders), dict(self._entries))

    def restore(self, moment: Checkpoint) -> None:
        """Working orders and entries as they were; positions and money are not touched."""
        self._orders, self._entries = dict(moment.orders), dict(moment.entries)
        self._blocks.clear()
        self._committed = None

    def _put(self, order: Working) -> None:
        self._orders[order.ref] = order
        self._touch(order.key)

    def _record(self, order: Proposal) -> Working:
        old = self._orders.get(order.ref)
        filled = 0 if old is None else old.filled
        return Working(
            ref=order.ref,
            key=order.instrument.key,
            sign=order.side.sign,
            quantity=order.quantity,
            price=order.worst_price,
            multiplier=order.instrument.multiplier,
            margin_rate=self._margin_rate(order),
            said=max(0, order.quantity - filled),
            filled=filled,
            group=order.group,
            parent=order.parent,
            entry="" if order.reduces else _entry(order),
        )

    def _of(self, key: str, extra: Working | None, without: Collection[int] = ()) -> dict[int, Working]:
        """The orders on one instrument, ``extra`` among them or in place of its older self."""
        orders = {order.ref: order for order in self._orders.values() if order.key == key and order.ref not in without}
        if extra is not None:
            orders[extra.ref] = extra
        return orders

    def _range(self, key: str, extra: Working | None, without: Collection[int] = ()) -> tuple[int, int]:
        held, orders = self.position(key).quantity, self._of(key, extra, without)
        return held - most(orders, -1), held + most(orders, 1)

    # -- the day ---------------------------------------------------------------------------------

    def roll(self, session: date) -> bool:
        """Begin a session; True if it is a new one. The same again, after a restart, changes nothing.

        To be called before the session's first mark, so that what happened overnight belongs to the new day.
        Entries that still work count in the new day too: they may fill in it.
        """
        if self.session is not None and session <= self.session:
            return False
        self.session = session
        self.gains.clear()
        self.day_start_value = self.value
        carried = {name: tuple(ref for ref in refs if self.is_working(ref)) for name, refs in self._entries.items()}
        self._entries = {name: refs for name, refs in carried.items() if refs}
        return True

    @property
    def entries_today(self) -> int:
        """Entries allowed in this session: filled, working and uncertain; an OCO group is one."""
        return len(self._entries)

    def entries_before(self, order: Proposal) -> int:
        """The day's entries without ``order`` itself, which counts already when it is being changed."""
        return len(self._entries) - (_entry(order) in self._entries)

    @property
    def day_pnl(self) -> float:
        """₹ gained since the session began, charges and open positions included."""
        return self.value - self.day_start_value

    @property
    def portfolio_loss(self) -> float:
        """₹ lost of the capital since the start, or since a person armed the gate; negative if it has grown."""
        return self.loss_from - self.value

    def rearm(self) -> None:
        """A person has taken note of what was lost: no limit is passed any more, and losses count from here."""
        self.latched, self.loss_from = None, self.value

    def empty(self) -> Ledger:
        """The same money with no position, no order and a new day: what the account could do at best."""
        return Ledger(self.value, margin_rate=self._margin_rate)

    # -- restarts --------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "capital": self.capital,
            "realized": self.realized,
            "gains": dict(self.gains),
            "charges": self.charges,
            "peak": self.peak,
            "session": None if self.session is None else self.session.isoformat(),
            "day_start_value": self.day_start_value,
            "loss_from": self.loss_from,
            "latched": None if self.latched is None else asdict(self.latched),
            "positions": {key: list(held) for key, held in self.positions().items()},
            "orders": [order.state() for order in self._orders.values()],
            "entries": {name: list(refs) for name, refs in self._entries.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, margin_rate: MarginRate = full_value) -> Ledger:
        """The ledger whose :meth:`state` this is. ``funds_limit`` is Kite's to say again."""
        ledger = cls(state["capital"], margin_rate=margin_rate)
        ledger.realized = state["realized"]
        ledger.gains = dict(state.get("gains", {}))
        ledger.charges = state["charges"]
        ledger.peak = state["peak"]
        ledger.session = None if state["session"] is None else date.fromisoformat(state["session"])
        ledger.day_start_value = state["day_start_value"]
        ledger.loss_from = state.get("loss_from", ledger.capital)
        ledger.latched = None if state["latched"] is None else Denial(**state["latched"])
        ledger._held = {key: Held(*held) for key, held in state["positions"].items()}
        ledger._keys = tuple(sorted(ledger._held))
        ledger._unrealized = ledger._used = ledger._committed = None
        ledger._orders = {order["ref"]: Working(**order) for order in state["orders"]}
        ledger._entries = {name: tuple(refs) for name, refs in state["entries"].items()}
        return ledger


def _entry(order: Proposal) -> str:
    """Under which name an order counts among the day's entries: an OCO group is one entry, its first order's."""
    return str(order.group or order.ref)
