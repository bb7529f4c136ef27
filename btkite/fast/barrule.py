"""BackBroker's turn, when there is something for it to do.

Its ``next()`` charges interest, walks the pending orders, settles futures and values the account, on every
bar. With stock-like commissions and no interest all of that changes nothing until an order can trade or end;
the account's value is worked out when someone asks, from the same prices by the same code.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
from backtrader.comminfo import CommInfoBase
from backtrader.position import Position

from ..brokers.bars import BarRuleBroker
from .clones import clone
from .curve import Curve
from .made import make
from .reach import Extremes
from .swap import class_of, swap, unswap
from .timeline import MANY, Timeline

Order = bt.Order
KINDS = (bt.brokers.BackBroker, BarRuleBroker)
_VALUED = ("_value", "_valuemkt", "_valuelever", "_valuemktlever", "_leverage", "_unrealized", "_fundval")
_PLAIN = (
    "getvaluesize", "getvalue", "profitandloss", "get_leverage", "cashadjust", "get_credit_interest",
    "_get_credit_interest", "get_margin",
)  # fmt: skip


def refuses(broker: Any) -> str:
    """Why a broker's turn cannot be left out; empty if it can."""
    if broker._userhist or broker._fundhist:
        return "a history of orders or of the fund is played"
    if {"next", "get_value", "getvalue", "getcash", "notify", "submit"} & broker.__dict__.keys():
        return f"{type(broker).__name__} has methods of its own making"
    if broker._cash_addition:
        return "cash was added before the first bar"
    if any(position.size for position in broker.positions.values()):
        return "a position was there before the first bar"
    return ""


def _give(
    broker: Any,
    kind: Any,
    owner: Any,
    data: Any,
    size: Any,
    price: Any = None,
    plimit: Any = None,
    exectype: Any = None,
    valid: Any = None,
    tradeid: int = 0,
    oco: Any = None,
    trailamount: Any = None,
    trailpercent: Any = None,
    parent: Any = None,
    transmit: bool = True,
    histnotify: bool = False,
    _checksubmit: bool = True,
    **kwargs: Any,
) -> Any:
    """As ``BackBroker.buy`` and ``sell``."""
    order = make(
        kind, owner=owner, data=data, size=size, price=price, pricelimit=plimit, exectype=exectype, valid=valid,
        tradeid=tradeid, trailamount=trailamount, trailpercent=trailpercent, parent=parent, transmit=transmit,
        histnotify=histnotify,
    )  # fmt: skip
    order.addinfo(**kwargs)
    broker._ocoize(order, oco)
    return broker.submit(order, check=_checksubmit)


def _valued(name: str) -> property:
    """What a turn would have worked out."""

    def read(self: Any) -> Any:
        turns = self.__dict__["turns"]
        if turns.valued != turns.step:
            turns.value_now()
        return self.__dict__[name]

    def write(self: Any, value: Any) -> None:
        self.__dict__[name] = value

    return property(read, write)


class _Waking:
    """In front of the broker's own class, for one run."""

    turns: BarRuleTurns
    notifs: Any

    def notify(self, order: Any) -> None:
        gate = getattr(self, "gate", None)
        if gate is not None:
            self._book(order)  # type: ignore[attr-defined]
        filled = self.__dict__.get("_filled")
        if filled is not None and order.executed.size:
            filled[order.ref] = order
        self.notifs.append(clone(order))

    def buy(self, owner: Any, data: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
        return _give(self, bt.order.BuyOrder, owner, data, size, *args, **kwargs)

    def sell(self, owner: Any, data: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
        return _give(self, bt.order.SellOrder, owner, data, size, *args, **kwargs)

    def _execute(self, order: Any, ago: Any = None, price: Any = None, **kwargs: Any) -> Any:
        if ago is not None:
            self.turns.traded.add(order.data if order.data._compensate is None else order.data._compensate)
        return super()._execute(order, ago=ago, price=price, **kwargs)  # type: ignore[misc]

    def modify(self, *args: Any, **kwargs: Any) -> Any:
        self.turns.soon = True
        return super().modify(*args, **kwargs)  # type: ignore[misc]

    def add_cash(self, cash: float) -> None:
        self.turns.soon = True
        if self.turns.valued != self.turns.step:
            self.turns.value_now()
        self.turns.curve.loose()  # it is booked when someone next asks what a position is worth
        super().add_cash(cash)  # type: ignore[misc]

    def addcommissioninfo(self, *args: Any, **kwargs: Any) -> None:
        self.turns.stop_skipping()
        super().addcommissioninfo(*args, **kwargs)  # type: ignore[misc]

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        self.turns.stop_skipping()
        super().setcommission(*args, **kwargs)  # type: ignore[misc]

    def set_shortcash(self, shortcash: bool) -> None:
        self.turns.stop_skipping()
        super().set_shortcash(shortcash)  # type: ignore[misc]

    @property
    def cash(self) -> float:
        found: float = self.__dict__["cash"]
        return found

    @cash.setter
    def cash(self, value: float) -> None:
        if not self.turns.busy:  # someone else's hand
            self.turns.stop_skipping()
        self.__dict__["cash"] = value


Waking = type("Waking", (_Waking,), {**{name: _valued(name) for name in _VALUED}})


class _Watched:
    """In front of a position's own class: who writes into it by hand ends the leaving out."""

    def __setattr__(self, name: str, value: Any) -> None:
        turns = self.__dict__.get("turns")
        if turns is not None and not turns.busy:
            turns.stop_skipping()
        object.__setattr__(self, name, value)


class BarRuleTurns:
    """Decides at which steps ``broker.next()`` runs, and notes cash and positions after each."""

    plays = holding = False

    def __init__(self, broker: Any, timeline: Timeline, curve: Curve) -> None:
        self.broker = broker
        self.timeline = timeline
        self.curve = curve
        self.step = -1
        self.shown = -1
        self.valued = -1  # the step of which the account's value is known
        self.traded: set[Any] = set()
        self.soon = False
        self.due = 0
        self.skips = True
        self.busy = False
        self.resting: list[tuple[Any, ...]] = []
        self._extremes: dict[int, Extremes] = {}
        self._plain: dict[int, bool] = {}
        self.queues = (broker.submitted, broker.notifs)
        broker.__dict__["turns"] = self
        swap(broker, Waking)
        broker.positions.default_factory = lambda: self._watch(Position())
        for position in broker.positions.values():
            self._watch(position)
        curve.order = lambda: list(broker.positions)

    def close(self) -> None:
        """The broker is as backtrader's loop would have left it."""
        broker = self.broker
        if "turns" not in broker.__dict__:
            return
        if self.step >= 0:
            if self.valued != self.step:
                self.value_now()
            self.busy = True
            for data, position in broker.positions.items():
                if position and self._is_plain(data):
                    position.adjbase = data.close[0]
                    position.datetime = data.datetime.datetime()
        broker.positions.default_factory = Position
        for held in (broker, *broker.positions.values()):
            unswap(held)
            held.__dict__.pop("turns", None)

    def _watch(self, position: Any) -> Any:
        swap(position, _Watched)
        position.__dict__["turns"] = self
        return position

    def serves(self, feeds: list[Any]) -> bool:
        """Whether the curve can value every feed's position."""
        return all(list(map(self._is_plain, feeds)))  # each is looked at, for its terms

    def catch_up(self) -> None:
        """Nothing was left out that is not worked out when asked for."""

    def settle(self) -> None:
        """The account is valued as of the last step, before prices move on."""
        if self.valued != self.step:
            self.value_now()

    def stop_skipping(self) -> None:
        """From now on every turn is taken."""
        if self.valued != self.step:
            self.value_now()
        self.skips = False
        self.curve.loose()

    def value_now(self) -> None:
        """What ``broker.next()`` ends with."""
        self.valued = self.step
        self.broker._get_value()

    def play(self, step: int, deliver: Any) -> None:
        """Nothing is played before the lines move."""

    def idle(self, step: int) -> None:
        """A step at which the broker has nothing to do."""
        self.step = step

    def turn(self, step: int) -> None:
        """``broker.next()`` at ``step``; then :attr:`due` says when the next one is needed."""
        broker = self.broker
        self.step = self.valued = step
        self.busy = True
        broker.next()
        self.busy = False
        known = broker.__dict__
        self.curve.note(step, broker.cash, known["_value"], known["_fundval"], broker._fundshares)
        if self.traded:
            for data in self.traded:
                position = broker.positions[data]
                self.curve.hold(step, data, position.size, position.price)
            self.traded.clear()

    def plan(self, step: int) -> None:
        """After the turn at ``step`` and its notifications: when the next one is needed at the latest."""
        broker = self.broker
        self.soon = False
        self.due = step + 1
        self.resting = []
        if not self.skips or broker._toactivate or broker.submitted or broker.notifs or broker._cash_addition:
            return
        if any(position.size and not self._is_plain(data) for data, position in broker.positions.items()):
            return
        due = MANY
        resting = []
        for order in broker.pending:
            due = min(due, self._first(order, step))
            if due <= step + 1:
                return
            created = order.created
            resting.append((order, order.exectype, order.valid, created, created.price, created.pricelimit))
        self.due, self.resting = due, resting

    def has_changed(self) -> bool:
        """Whether someone has written another price, kind or end into a resting order."""
        return any(
            created.price != price or created.pricelimit != limit or order.exectype != kind or order.valid != valid
            for order, kind, valid, created, price, limit in self.resting
        )

    def _first(self, order: Any, step: int) -> int:
        """The first step at which something can happen to a pending order."""
        course = self.timeline.course_of.get(id(order.data))
        if course is None or course.position(step) < 0 or step + 1 >= len(self.timeline):
            return step + 1
        extremes = self._extremes.get(id(order.data))
        if extremes is None:
            extremes = self._extremes[id(order.data)] = Extremes.of_feed(order.data)
        found = MANY
        if order.valid and order.exectype != Order.Market:
            found = course.first_after(order.valid)
        if order.active():
            reach = _REACH.get(order.exectype)
            if reach is None:
                return step + 1
            price = order.created.price
            buys = order.isbuy()
            if order.exectype == Order.StopLimit and order.triggered:
                reach, price = _REACH[Order.Limit], order.created.pricelimit
            if not isinstance(price, int | float):
                return step + 1
            bar = course.position(step + 1)
            find = extremes.first_below if reach == buys else extremes.first_above
            found = min(found, find(bar, price))
        return max(course.step_of(found), step + 1) if found < MANY else MANY

    def _is_plain(self, data: Any) -> bool:
        """Whether a position in ``data`` costs nothing and settles nothing from bar to bar."""
        known = self._plain.get(id(data))
        if known is None:
            comminfo = self.broker.getcommissioninfo(data)
            cls = class_of(comminfo)
            known = self._plain[id(data)] = (
                isinstance(comminfo, CommInfoBase)
                and all(getattr(cls, name) is getattr(CommInfoBase, name) for name in _PLAIN)
                and not comminfo.__dict__.keys() & set(_PLAIN)
                and bool(comminfo._stocklike)
                and comminfo._creditrate == 0.0
                and bool(self.broker.p.shortcash)
                and id(data) in self.timeline.course_of
            )
            if known:
                self.curve.terms(data, comminfo.get_leverage(), comminfo.p.mult)
        return known


_REACH = {Order.Limit: True, Order.Stop: False, Order.StopLimit: False}
"""Whether a buy of this kind waits for a lower price."""
