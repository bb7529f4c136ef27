"""The account's book: its money, its orders, its day and what it remembers of them over a restart.

Used on Cerebro's thread only. No clock, no I/O: :meth:`Ledger.state` is what a restart needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any, NamedTuple

from ..values import Denial, Instrument, Proposal, Side
from . import recent
from .atwork import AtWork, MarginRate, entry_name, full_value
from .exposure import FLAT, Held
from .money import Booking
from .streak import Streak
from .working import Working

__all__ = ["FLAT", "Booking", "Checkpoint", "Held", "Ledger", "MarginRate", "full_value"]

Entries = dict[str, tuple[tuple[int, str], ...]]
"""The day's entries: under each one's name, its orders' refs and instruments."""


class Checkpoint(NamedTuple):
    """The working orders, the day's entries and the last orders at one moment, for :meth:`Ledger.restore`."""

    orders: dict[int, Working]
    entries: Entries
    recent: recent.Recent


class Ledger(AtWork):
    """The book of one account over ``capital`` ₹."""

    def __init__(self, capital: float, *, margin_rate: MarginRate = full_value) -> None:
        super().__init__(capital, margin_rate=margin_rate)
        self.peak = capital
        self.session: date | None = None
        self.day_start_value = capital
        self.loss_from = capital  # the value from which a loss of the capital is counted
        self.latched: Denial | None = None  # a limit for good that was passed
        self.stopped: Denial | None = None  # a limit of the day that was passed, for the rest of it
        self.remembers = -1.0  # seconds for which orders are remembered; less than none: they are not
        self.gains: dict[str, float] = {}  # ₹ realized today, before charges, by instrument
        self._entries: Entries = {}
        self._recent: recent.Recent = ()
        self._streak = Streak()

    # -- what happens ----------------------------------------------------------------------------

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
        self._touch(instrument.key)
        self.realized += booking.pnl
        if booking.closed:
            self.gains[instrument.key] = self.gains.get(instrument.key, 0.0) + booking.pnl
        self.charges += charges
        left = booking.quantity
        self._streak.booked(instrument.key, booking.pnl, charges, booking.closed, booking.opened, left, time)
        if order is not None:
            self._put(replace(order, filled=order.filled + quantity))
        return booking

    def observe(self) -> float:
        """The value now, remembered if it is the highest so far. Once a turn, after the marks."""
        value = self.value
        self.peak = max(self.peak, value)
        return value

    def allowed(self, order: Proposal) -> None:
        """The gate said yes: from now on the order counts. The same ref again is a change of that order.

        A changed order keeps what it has filled; its ``quantity`` is the whole order, filled part included.
        """
        record = self._record(order)
        if self.remembers >= 0:
            change = order.ref in self._orders
            self._recent = recent.noted(self._recent, order, self.remembers, change=change)
        self._put(record)
        if record.entry:
            rows = self._entries.get(record.entry, ())
            if not any(ref == order.ref for ref, _ in rows):
                self._entries[record.entry] = (*rows, (order.ref, record.key))

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
        if not order.filled:
            self._recent = recent.forgotten(self._recent, ref)
        if refused and not order.filled and order.entry in self._entries:
            left = tuple(row for row in self._entries[order.entry] if row[0] != ref)
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

    def checkpoint(self) -> Checkpoint:
        """To try orders out and take them back."""
        return Checkpoint(dict(self._orders), dict(self._entries), self._recent)

    def restore(self, moment: Checkpoint) -> None:
        """Working orders and entries as they were; positions and money are not touched."""
        self._orders, self._entries, self._recent = dict(moment.orders), dict(moment.entries), moment.recent
        self._blocks.clear()
        self._committed = None

    # -- the day ---------------------------------------------------------------------------------

    def roll(self, session: date) -> bool:
        """Begin a session; True if it is a new one. The same again, after a restart, changes nothing.

        To be called before the session's first mark, so that what happened overnight belongs to the new day.
        Entries that still work count in the new day too: they may fill in it.
        """
        if self.session is not None and session <= self.session:
            return False
        self.session = session
        self.stopped = None
        self.gains.clear()
        self.day_start_value = self.value
        carried = {name: tuple(row for row in rows if self.is_working(row[0])) for name, rows in self._entries.items()}
        self._entries = {name: rows for name, rows in carried.items() if rows}
        return True

    @property
    def entries_today(self) -> int:
        """Entries allowed in this session: filled, working and uncertain; an OCO group is one."""
        return len(self._entries)

    def entries_before(self, order: Proposal) -> int:
        """The day's entries without ``order`` itself, which counts already when it is being changed."""
        return len(self._entries) - (entry_name(order) in self._entries)

    def entries_of(self, order: Proposal) -> int:
        """The same, in the order's instrument alone."""
        key, own = order.instrument.key, entry_name(order)
        return sum(any(of == key for _, of in rows) for name, rows in self._entries.items() if name != own)

    def entries_by_key(self) -> dict[str, int]:
        """The day's entries, instrument by instrument."""
        found: dict[str, int] = {}
        for rows in self._entries.values():
            for key in sorted({key for _, key in rows}):
                found[key] = found.get(key, 0) + 1
        return found

    def orders_since(self, seconds: float, now: datetime | None) -> int:
        """Orders and changes of orders that were allowed less than ``seconds`` before ``now``."""
        return recent.since(self._recent, seconds, now)

    def like(self, order: Proposal) -> float | None:
        """Seconds since the same order was given, if that one works or has traded; None if none was."""
        return recent.age_of_like(self._recent, order)

    @property
    def losing_streak(self) -> int:
        """Trades in a row that have lost, charges counted."""
        return self._streak.losing

    @property
    def lost_last(self) -> datetime | None:
        """When the last losing trade ended; None if none has."""
        return self._streak.last

    @property
    def drawdown(self) -> float:
        """₹ below the highest value that was observed."""
        return self.peak - self.value

    @property
    def day_pnl(self) -> float:
        """₹ gained since the session began, charges and open positions included."""
        return self.value - self.day_start_value

    @property
    def portfolio_loss(self) -> float:
        """₹ lost of the capital since the start, or since a person armed the gate; negative if it has grown."""
        return self.loss_from - self.value

    def rearm(self) -> None:
        """A person has taken note of what was lost: no limit for good is passed any more, and losses count anew."""
        self.latched = None
        self.loss_from = self.peak = self.value

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
            "stopped": None if self.stopped is None else asdict(self.stopped),
            "positions": {key: list(held) for key, held in self.positions().items()},
            "orders": [order.state() for order in self._orders.values()],
            "entries": {name: [list(row) for row in rows] for name, rows in self._entries.items()},
            "recent": recent.as_rows(self._recent),
            "streak": self._streak.state(),
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
        stopped = state.get("stopped")
        ledger.stopped = None if stopped is None else Denial(**stopped)
        ledger._held = {key: Held(*held) for key, held in state["positions"].items()}
        ledger._keys = tuple(sorted(ledger._held))
        ledger._unrealized = ledger._used = ledger._committed = None
        ledger._orders = {order["ref"]: Working(**order) for order in state["orders"]}
        ledger._entries = {name: tuple(map(_named, rows)) for name, rows in state["entries"].items()}
        ledger._recent = recent.from_rows(state.get("recent", ()))
        ledger._streak = Streak.from_state(state.get("streak", {}))
        return ledger


def _named(row: Any) -> tuple[int, str]:
    """Ref and instrument; an older format has no instrument."""
    return (row, "") if isinstance(row, int) else (int(row[0]), str(row[1]))
