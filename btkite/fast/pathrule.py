"""SimBroker's turn under ``rule="path"``, when there is something for it to do.

It walks the prints of each bar for orders that work. An order that rests is looked ahead for: until the first
bar whose path reaches its price, or its end, no print of it changes anything. What is left at each step is
the time, and the highest value so far while something is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..brokers.sim import _NOT_YET
from ..linetime import _EPOCH_ORDINAL, DAY
from ..values import OrderType
from .clones import clone
from .curve import Curve, Floats, Money
from .made import at_hand
from .reach import Extremes
from .swap import swap, unswap
from .timeline import MANY, Timeline


def refuses(broker: Any, datas: list[Any]) -> str:
    """Why a broker's turn cannot be left out; empty if it can."""
    if broker.record is not None:
        return "the account is written down as it goes"
    if not broker._foreseen or any(getattr(data, "is_stream", False) for data in datas):
        return "some feed does not know its bars beforehand"
    if broker.ledger.funds_limit is not None:
        return "the funds are limited from outside"
    return ""


class _Played:
    """In front of the broker's own class, for one run."""

    turns: PathTurns
    held_in: dict[int, Any]
    """Positions by their feed's ``id``."""
    notifs: Any

    def submit(self, order: Any) -> Any:
        at_hand(order)
        return super().submit(order)  # type: ignore[misc]

    def notify(self, order: Any) -> None:
        self.notifs.append(clone(order))

    def book_fill(self, order: Any, *args: Any, **kwargs: Any) -> Any:
        self.turns.traded.add(self.instrument_of_order(order).key)  # type: ignore[attr-defined]
        return super().book_fill(order, *args, **kwargs)  # type: ignore[misc]

    def _transmit(self, group: list[Any], parent: Any) -> None:
        self.turns.proposals = {}
        try:
            super()._transmit(group, parent)  # type: ignore[misc]
        finally:
            self.turns.proposals = None

    def judge(self, orders: Any) -> Any:
        found = super().judge(orders)  # type: ignore[misc]
        self.turns.proposals = None  # from here on the book has changed
        return found

    def proposal(self, order: Any) -> Any:
        """Asked for three times until an order is judged; nothing changes between."""
        known = self.turns.proposals
        if known is None:
            return super().proposal(order)  # type: ignore[misc]
        if order.ref not in known:
            known[order.ref] = super().proposal(order)  # type: ignore[misc]
        return known[order.ref]

    def reroute(self, order: Any) -> None:
        self.turns.soon = True
        super().reroute(order)  # type: ignore[misc]

    def hold(self, order: Any, until: int) -> None:
        self.turns.soon = True
        super().hold(order, until)  # type: ignore[misc]

    def _enter(self, order: Any) -> None:
        self.turns.soon = True
        super()._enter(order)  # type: ignore[misc]

    def _withdraw(self, ref: int) -> None:
        self.turns.soon = True
        super()._withdraw(ref)  # type: ignore[misc]

    def _standing(self, order: Any) -> Any:
        self.turns.sync()
        return super()._standing(order)  # type: ignore[misc]

    def getposition(self, data: Any) -> Any:
        known = self.held_in
        found = known.get(id(data))
        if found is None:
            found = known[id(data)] = super().getposition(data)  # type: ignore[misc]
        return found

    def rebound(self, data: Any) -> None:
        self.held_in.pop(id(data), None)
        super().rebound(data)  # type: ignore[misc]

    def setcash(self, cash: float) -> None:
        self.turns.stop_skipping()
        super().setcash(cash)  # type: ignore[misc]

    set_cash = setcash


class LedgerCurve(Curve):
    """The curve by the ledger's own additions."""

    def __init__(self, timeline: Timeline, broker: Any) -> None:
        super().__init__(timeline)
        self._broker = broker
        self._booked: list[tuple[int, float, float, float]] = []  # step, realized, charges, used
        self._of_key: dict[str, list[tuple[int, float, float]]] = {}

    def book(self, step: int, keys: set[str]) -> None:
        """Something was traded before ``step``'s bar was seen."""
        ledger = self._broker.ledger
        self._booked.append((step, ledger.realized, ledger.charges, ledger.used))
        for key in keys:
            held = ledger.position(key)
            self._of_key.setdefault(key, []).append((step, held.quantity, held.average_price))

    def positions(self, data: Any, begin: int, end: int) -> tuple[Floats, Floats]:
        return self.filled(self._of_key.get(self._broker.instrument(data).key), begin, end)

    def worth(self, data: Any, begin: int, end: int) -> Floats:
        size, _ = self.positions(data, begin, end)
        return size * self.closes(data, begin, end) * float(self._broker.instrument(data).multiplier)

    def highest(self, begin: int, end: int) -> float:
        """The ledger's highest value by the closes from step ``begin`` to before ``end``, with what it holds now."""
        broker = self._broker
        ledger = broker.__dict__["ledger"]
        gained = np.zeros(end - begin)
        for key, held in ledger.positions().items():
            close = self.closes(broker.feed_of(key), begin, end)
            gained += held.quantity * (close - held.average_price) * held.multiplier
        return float((ledger.capital + ledger.realized + gained - ledger.charges).max())

    def between(self, begin: int, end: int) -> Money:
        broker, ledger = self._broker, self._broker.ledger
        steps = np.arange(begin, end)
        booked = [(-1, 0.0, 0.0, 0.0), *self._booked]
        row = np.searchsorted(np.array([one[0] for one in booked]), steps, side="right") - 1
        realized, charges, used = (np.array([one[n] for one in booked])[row] for n in (1, 2, 3))
        gained = np.zeros(end - begin)
        for key in sorted(self._of_key):
            data = broker.feed_of(key)
            size, average = self.filled(self._of_key[key], begin, end)
            gained += size * (self.closes(data, begin, end) - average) * float(broker.instrument(data).multiplier)
        value = ledger.capital + realized + gained - charges
        return Money(ledger.capital + realized - charges - used, value, value)


class PathTurns:
    """Decides at which steps prints are played, and notes the ledger after each."""

    plays = True

    def __init__(self, broker: Any, timeline: Timeline, curve: LedgerCurve) -> None:
        self.broker = broker
        self.timeline = timeline
        self.curve = curve
        self.step = -1
        self.due = 0
        self.soon = False
        self.skips = True
        self.holding = False
        self.traded: set[str] = set()
        self.resting: list[Any] = []
        self.queues = (broker.notifs, broker._answered_first)
        self.seconds = np.rint((timeline.stamps - _EPOCH_ORDINAL) * DAY).astype(np.int64)
        self._list: list[int] = self.seconds.tolist()
        days = self.seconds // DAY
        self._mornings = np.flatnonzero(np.diff(days)) + 1
        self._tapes: dict[str, tuple[Any, Extremes]] = {}
        self._behind = False
        self.settled = -1
        self.proposals: dict[int, Any] | None = None
        broker.__dict__["turns"], broker.__dict__["held_in"] = self, {}
        swap(broker, Played)

    def close(self) -> None:
        broker = self.broker
        if "turns" in broker.__dict__:
            if self.step >= 0:
                self.catch_up()
            self.sync()
            unswap(broker)
            del broker.__dict__["turns"], broker.__dict__["held_in"]

    def serves(self, feeds: list[Any]) -> bool:
        """Whether the curve can value every feed's position: with bars of the instrument's shortest feed it can."""
        return all(
            id(self.broker.feed_of(self.broker.instrument(data).key)) in self.timeline.course_of for data in feeds
        )

    def catch_up(self) -> None:
        """Of steps at which only ``next()`` had a turn: the time, and the ledger's highest value and last prices."""
        if self.settled == self.step:
            return
        broker, begin, self.settled = self.broker, self.settled, self.step
        now = self._list[self.step]
        known = broker.__dict__
        known["_now"], known["_moment"] = now, (now, -1, "")
        if broker._of:
            self._behind = True
        if self.holding:
            ledger = known["ledger"]
            ledger.peak = max(ledger.peak, self.curve.highest(max(begin, 0), self.step))
            broker._mark()

    def settle(self) -> None:
        """Values are worked out when asked for."""

    def has_changed(self) -> bool:
        return False

    def stop_skipping(self) -> None:
        self.skips = False
        self.curve.loose()

    def play(self, step: int, deliver: Any) -> None:
        """Before the lines move to ``step``."""
        deliver()
        self.step = self.settled = step
        self.sync()
        self.broker.play_until(self._list[step])
        deliver()

    def idle(self, step: int) -> None:
        """The same, where no order can trade or end."""
        broker = self.broker
        self.step = self.settled = step
        now = self._list[step]
        broker._now, broker._moment = now, (now, -1, "")
        if broker._of:
            self._behind = True
        if self.holding:
            broker.ledger.observe()

    def turn(self, step: int) -> None:
        """After the lines have moved."""
        broker = self.broker
        broker.next()
        if self.traded:
            self.curve.book(step, self.traded)
            self.traded.clear()
        self.holding = any(position.size for position in broker._positions.values())

    def sync(self) -> None:
        """The markets of resting orders are where playing every print would have left them."""
        if not self._behind:
            return
        self._behind = False
        for market in {id(market): market for market in self.broker._of.values()}.values():
            market.tape.seek(self.broker._now)
            market.met, market.here = market.tape.number, market.tape.last_price

    def plan(self, step: int) -> None:
        """When the next turn is needed at the latest."""
        broker = self.broker
        self.soon = False
        self.due = step + 1
        if not self.skips or any(self.queues) or broker._trailing:
            return
        row = int(np.searchsorted(self._mornings, step, side="right"))
        due = int(self._mornings[row]) if row < len(self._mornings) else MANY
        for ref, at in broker.held.items():
            due = min(due, self._step_at(min(at, broker.terms[ref].deadline or at)))
        for ref, market in broker._of.items():
            due = min(due, self._first(ref, market, step))
            if due <= step + 1:
                return
        self.due = max(due, step + 1)

    def _first(self, ref: int, market: Any, step: int) -> int:
        """The first step at which something can happen to an order in the market."""
        working, tape = market.working[ref], market.tape
        end = self.broker._end_of(ref)
        if end == _NOT_YET or working.ioc or working.order_type is OrderType.MARKET or working.met >= tape.number:
            return step + 1
        known = self._tapes.get(market.instrument.key)
        if known is None or known[0] is not tape:
            known = self._tapes[market.instrument.key] = tape, Extremes.of_tape(tape)
        reach = known[1]
        row = (tape.number + 1) // 4
        limit = working.order_type is OrderType.LIMIT or working.triggered
        price = working.price if limit else working.trigger
        found = (reach.first_below if limit == (working.sign > 0) else reach.first_above)(row, price)
        reached = MANY if found == MANY else int(np.searchsorted(self.seconds, tape._start[found], side="right"))
        return min(self._step_at(end), reached)

    def _step_at(self, second: int) -> int:
        """The first step at which the market has come to ``second``."""
        found = int(np.searchsorted(self.seconds, second, side="left"))
        return found if found < len(self.seconds) else MANY


def _current(name: str) -> property:
    """What is left alone while only ``next()`` has turns, brought up to now when someone looks."""

    def read(self: Any) -> Any:
        own = self.__dict__
        turns = own["turns"]
        if turns.settled != turns.step:
            turns.catch_up()
        return own[name]

    def write(self: Any, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


Played = type("Played", (_Played,), {name: _current(name) for name in ("_now", "_moment", "ledger", "gate")})
