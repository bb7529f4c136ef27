"""SimBroker's turn under ``rule="path"``, when there is something for it to do.

It walks the prints of each bar for orders that work. An order that rests is looked ahead for: until the first
bar whose path reaches its price, or its end, no print of it changes anything; and so is what is held, until the first
close at which a loss limit may be passed. What is left at each step is the time, and the highest value so far while
something is held.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np

from ..brokers.sim import _NOT_YET
from ..linetime import _EPOCH_ORDINAL, DAY
from ..slots import Left
from ..values import OrderType
from .clones import clone
from .curve import Curve, Floats, Money
from .made import at_hand, make
from .reach import Extremes
from .swap import swap, unswap
from .timeline import MANY, Timeline

_HAIR = 0.01
"""₹: a step too early is only a turn too many."""


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

    def _made(self, kind: Any, **given: Any) -> Any:
        if isinstance(given["data"], Left):  # it is to be another's: see ``_give``
            return super()._made(kind, **given)  # type: ignore[misc]
        return make(kind, **given)

    def submit(self, order: Any) -> Any:
        if "data" not in order.__dict__:
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
        try:
            return self.held_in[id(data)]
        except KeyError:
            found = self.held_in[id(data)] = super().getposition(data)  # type: ignore[misc]
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

    def values(self, begin: int, end: int) -> Floats:
        """The ledger's value by the closes from step ``begin`` to before ``end``, with what it holds now."""
        broker = self._broker
        ledger = broker.__dict__["ledger"]
        gained = np.zeros(end - begin)
        for key, held in ledger.positions().items():
            close = self.closes(broker.feed_of(key), begin, end)
            gained += held.quantity * (close - held.average_price) * held.multiplier
        found: Floats = ledger.capital + ledger.realized + gained - ledger.charges
        return found

    def highest(self, begin: int, end: int) -> float:
        """The highest of :meth:`values`. Of one position it is that of its best close: the sums rise with the price."""
        ledger = self._broker.__dict__["ledger"]
        held = ledger.positions()
        if len(held) != 1:
            return float(self.values(begin, end).max())
        ((key, one),) = held.items()
        close = self.closes(self._broker.feed_of(key), begin, end)
        best = float(close.max() if one.quantity > 0 else close.min())
        gained = one.quantity * (best - one.average_price) * one.multiplier
        return float(ledger.capital + ledger.realized + gained - ledger.charges)

    def loss(self, begin: int, end: int) -> int | None:
        """The first of these steps at which a loss limit may be passed; None if at none."""
        broker = self._broker
        ledger, floors = broker.__dict__["ledger"], broker.__dict__["gate"].floors()
        if not floors or end <= begin:
            return None
        held = ledger.positions().values()
        if all(one.quantity > 0 for one in held):  # at the worst all of it is lost
            paid = sum(one.quantity * one.average_price * one.multiplier for one in held)
            if max(floor for floor, _ in floors) + _HAIR < ledger.capital + ledger.realized - ledger.charges - paid:
                return None
        value = self.values(begin, end)
        below = np.zeros(end - begin, dtype=bool)
        for floor, follows in floors:
            rise = np.maximum.accumulate(np.maximum(value, ledger.peak)) - ledger.peak if follows else 0.0
            below |= value <= floor + rise + _HAIR
        return begin + int(below.argmax()) if below.any() else None

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
        seconds = np.rint((timeline.stamps - _EPOCH_ORDINAL) * DAY).astype(np.int64)
        self._seconds = memoryview(seconds)
        days = seconds // DAY
        self._mornings: list[int] = (np.flatnonzero(np.diff(days)) + 1).tolist()
        self._tapes: dict[str, tuple[Any, Extremes]] = {}
        self._behind = False
        self.settled = -1
        self.shown = self.seen = -1  # the step at which the lines stand; the last whose closes the ledger has seen
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
        broker = self.broker
        known = broker.__dict__
        if self.settled != self.step:
            self.settled = self.step
            now = self._seconds[self.step]
            known["_now"], known["_moment"] = now, (now, -1, "")
            if broker._of:
                self._behind = True
        if self.seen != self.shown:
            begin, self.seen = self.seen + 1, self.shown
            if self.holding:
                ledger = known["ledger"]
                ledger.peak = max(ledger.peak, self.curve.highest(begin, self.shown + 1))
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
        self.broker.play_until(self._seconds[step])
        deliver()

    def idle(self, step: int) -> None:
        """The same, where no order can trade or end."""
        broker = self.broker
        self.step = self.settled = step
        now = self._seconds[step]
        broker._now, broker._moment = now, (now, -1, "")
        if broker._of:
            self._behind = True

    def turn(self, step: int) -> None:
        """After the lines have moved."""
        broker = self.broker
        self.seen = self.shown  # by the broker itself, in its turn
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
        if not self.skips or any(self.queues) or broker._trailing or broker._winding is not None:
            return
        row = bisect_right(self._mornings, step)
        due = self._mornings[row] if row < len(self._mornings) else MANY
        for at in broker.expiring.due():
            due = min(due, self._step_at(at))
        for ref, at in broker.held.items():
            due = min(due, self._step_at(min(at, broker.terms[ref].deadline or at)))
        if (at := broker.squaring.due()) is not None:
            due = min(due, self._step_at(at))
        for ref, market in broker._of.items():
            due = min(due, self._first(ref, market, step))
            if due <= step + 1:
                return
        if self.holding:
            loss = self.curve.loss(step + 1, min(due, len(self._seconds)))
            due = due if loss is None else loss
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
        reached = MANY if found == MANY else bisect_right(self._seconds, tape._start[found])
        return min(self._step_at(end), reached)

    def _step_at(self, second: int) -> int:
        """The first step at which the market has come to ``second``."""
        found = bisect_left(self._seconds, second)
        return found if found < len(self._seconds) else MANY


def _current(name: str) -> property:
    """What is left alone while only ``next()`` has turns, brought up to now when someone looks."""

    def read(self: Any) -> Any:
        own = self.__dict__
        turns = own["turns"]
        if turns.settled != turns.step or turns.seen != turns.shown:
            turns.catch_up()
        return own[name]

    def write(self: Any, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


Played = type("Played", (_Played,), {name: _current(name) for name in ("_now", "_moment", "ledger", "gate")})
