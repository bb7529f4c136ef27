"""A scripted day: a market made of calm stretches and moves, and a strategy that trades each of them.

The strategy remembers nothing that matters: each bar it looks at the clock, at its position and at its working
orders, and does what is still to be done. So it goes on after a restart, at the latest a few bars later; and
because prices stand still until then, it comes to the same orders at the same prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import backtrader as bt
import numpy as np

from ..series import Candles

Order = bt.Order

DATE = datetime(2026, 11, 18)
OPEN = DATE + timedelta(hours=9, minutes=15)
TICK = 0.05
CALM = 8
"""Bars of a calm stretch: an order whose fate nobody knows is given up after 90 seconds, and then given again."""
MOVE = 3
LEG = CALM + MOVE
LEGS = 7


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be so during the calm of a leg, from its bar ``first`` on, before the bar ``last``."""

    what: str
    size: int = 0
    price: float = 0.0
    limit: float = 0.0
    other: float = 0.0
    first: int = 1
    last: int = CALM


@dataclass(frozen=True, slots=True)
class Leg:
    """Wishes for prices relative to the calm's level, and how far the price moves after it."""

    wishes: tuple[Wish, ...]
    move: float = 0.0
    back: float = 0.0  # of the move, what it comes back on its last bar


LIMITS = (
    Leg((Wish("buy limit", 10, -1.0),), move=-2.0),
    Leg((Wish("sell limit", 10, 2.5, last=4), Wish("change limit", 0, 1.5, first=4)), move=2.5),
    Leg((Wish("buy limit", 5, -6.0, last=4), Wish("cancel", first=4)), move=0.5),
    Leg((Wish("sell market", 7),), move=-1.5),
    Leg((Wish("buy stop", 7, 1.0),), move=2.0),
    Leg((Wish("buy stop limit", 4, 0.5, 0.8),), move=1.5, back=0.5),
    Leg((Wish("close"),), move=-1.0),
)
BRACKETS = (
    Leg((Wish("bracket", 6, 0.0, 2.0, -2.0),), move=3.0),
    Leg((Wish("bracket at limit", -4, 0.5, -6.0, 2.5),), move=1.0),
    Leg((), move=3.0),
    Leg((Wish("pair", 5, 1.0, -1.0),), move=-2.0),
    Leg((Wish("close", last=5), Wish("sell market", 3, first=5)), move=0.5),
    Leg((Wish("reverse", 8, last=5), Wish("sell limit", 5, 1.0, first=5)), move=2.0),
    Leg((Wish("cancel", last=4), Wish("close", first=4)), move=0.0),
)
TRAILS = (
    Leg((Wish("buy market", 9),), move=1.0),
    Leg((Wish("trail", 9, 1.0),), move=4.0, back=2.5),
    Leg((Wish("sell market", 3),), move=-1.0),
    Leg((Wish("trail up", 3, 0.8),), move=-3.0, back=2.0),
    Leg((Wish("bracket", 2, 0.0, 5.0, -1.0),), move=-2.0),
    Leg((Wish("buy limit", 12, -0.5),), move=-1.0),
    Leg((Wish("close"),), move=1.0),
)
STORIES: Mapping[str, Sequence[Leg]] = {"NSE:INFY": LIMITS, "NSE:TCS": BRACKETS, "NSE:SBIN": TRAILS}
_LEVELS = {"NSE:INFY": 1500.0, "NSE:TCS": 3000.0, "NSE:SBIN": 800.0}


def levels(key: str, legs: int) -> list[float]:
    """The price of each calm stretch of a symbol."""
    found = [_LEVELS[key]]
    for leg in STORIES[key][: legs - 1]:
        found.append(_tick(found[-1] + leg.move - leg.back * _sign(leg.move)))
    return found


def candles(seed: int, symbols: Sequence[str] = tuple(STORIES), legs: int = LEGS) -> dict[str, Candles]:
    """The minutes of the day. The seed makes the volumes; while it is calm, every print is the same."""
    rng = np.random.default_rng(seed)
    return {key: _candles(rng, key, legs) for key in symbols}


def _candles(rng: np.random.Generator, key: str, legs: int) -> Candles:
    rows: list[tuple[float, float, float, float]] = []
    for level, leg in zip(levels(key, legs), STORIES[key], strict=False):
        rows += [(level,) * 4] * CALM
        far = _tick(level + leg.move)
        path = [level, _tick(level + leg.move / 2), far, _tick(far - leg.back * _sign(leg.move))]
        for opens, closes in pairwise(path):
            rows.append((opens, max(opens, closes), min(opens, closes), closes))
    table = np.round(np.array(rows), 2)
    starts = [OPEN + timedelta(minutes=n) for n in range(len(rows))]
    return Candles.of(
        key,
        "minute",
        {
            "date": np.array(starts, dtype="datetime64[s]"),
            "open": table[:, 0],
            "high": table[:, 1],
            "low": table[:, 2],
            "close": table[:, 3],
            "volume": rng.integers(100, 5000, size=len(rows)),
        },
    )


def _tick(price: float) -> float:
    return round(round(price / TICK) * TICK, 2)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)


class Scripted(bt.Strategy):
    """Trades the :data:`STORIES` of its symbols.

    Params:
      - ``legs``: how many of each.
    """

    params = (("legs", LEGS),)

    def __init__(self) -> None:
        self.working: dict[int, Any] = {}
        self.levels = {data._name: levels(data._name, self.p.legs) for data in self.datas}

    def restored(self, orders: list[Any], position: Any) -> None:
        """After a restart: the orders that still live are ours again."""
        self.working = {order.ref: order for order in orders if order.alive()}

    def notify_order(self, order: Any) -> None:
        if order.alive():
            self.working[order.ref] = order
        else:
            self.working.pop(order.ref, None)

    def next(self) -> None:
        for data in self.datas:
            number, bar = divmod(int((data.datetime.datetime(0) - OPEN).total_seconds()) // 60 - 1, LEG)
            if not 0 <= number < self.p.legs:
                continue
            for wish in STORIES[data._name][number].wishes:
                if wish.first <= bar + 1 < wish.last:
                    self._grant(data, wish, self.levels[data._name][number])

    def _grant(self, data: Any, wish: Wish, level: float) -> None:
        """What is not yet as it should be, is made so. Twice is harmless."""
        held = self.getposition(data).size
        mine = [order for order in self.working.values() if order.data is data]
        _WISHES[wish.what](self, data, wish, level, held, mine)


Grant = Callable[[Scripted, Any, Wish, float, float, list[Any]], None]


def _entry(**fields: Any) -> Grant:
    """An order that opens: only from nothing."""
    buys = fields.pop("buys")

    def grant(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
        if not held and not mine:
            _give(s, data, wish, level, buys, **fields)

    return grant


def _either(**fields: Any) -> Grant:
    """An order that opens or closes: if none works, and what it is for is still to be done."""
    buys = fields.pop("buys")

    def grant(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
        closes = held < 0 if buys else held > 0
        if not mine and (closes or not held):
            _give(s, data, wish, level, buys, **fields)

    return grant


def _give(s: Scripted, data: Any, wish: Wish, level: float, buys: bool, **fields: Any) -> None:
    give = s.buy if buys else s.sell
    kind = fields.get("exectype", Order.Market)
    if kind == Order.StopTrail:
        fields["trailamount"] = wish.price
    elif kind != Order.Market:
        fields["price"] = _tick(level + wish.price)
    if kind == Order.StopLimit:
        fields["plimit"] = _tick(level + wish.limit)
    give(data=data, size=wish.size, **fields)


def _bracket(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    if held or mine:
        return
    give = s.buy_bracket if wish.size > 0 else s.sell_bracket
    entry = {"exectype": Order.Limit, "price": _tick(level + wish.price)} if wish.price else {"exectype": Order.Market}
    give(
        data=data,
        size=abs(wish.size),
        limitprice=_tick(level + wish.limit),
        stopprice=_tick(level + wish.other),
        **entry,
    )


def _pair(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    """A stop above and a limit below, one of which is to trade. A life may have died between the two: the one that
    is there gets the other."""
    if held or len(mine) == 2:
        return
    there = mine[0] if mine else None
    if there is None or there.exectype != Order.Stop:
        there = s.buy(data=data, size=wish.size, exectype=Order.Stop, price=_tick(level + wish.price), oco=there)
    if not mine or mine[0] is there:
        s.buy(data=data, size=wish.size, exectype=Order.Limit, price=_tick(level + wish.limit), oco=there)


def _change(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    for order in mine:
        if order.exectype == Order.Limit and abs(order.created.price - _tick(level + wish.price)) > TICK / 2:
            s.broker.modify(order, price=_tick(level + wish.price))  # type: ignore[attr-defined]


def _cancel(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    for order in mine:
        s.cancel(order)


def _close(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    if held and not mine:
        s.close(data=data)


def _reverse(s: Scripted, data: Any, wish: Wish, level: float, held: float, mine: list[Any]) -> None:
    if held < 0 and not mine:
        s.buy(data=data, size=wish.size)


_WISHES: Mapping[str, Grant] = {
    "buy market": _entry(buys=True),
    "sell market": _entry(buys=False),
    "buy limit": _either(buys=True, exectype=Order.Limit),
    "sell limit": _either(buys=False, exectype=Order.Limit),
    "buy stop": _either(buys=True, exectype=Order.Stop),
    "buy stop limit": _either(buys=True, exectype=Order.StopLimit),
    "trail": _either(buys=False, exectype=Order.StopTrail),
    "trail up": _either(buys=True, exectype=Order.StopTrail),
    "change limit": _change,
    "bracket": _bracket,
    "bracket at limit": _bracket,
    "pair": _pair,
    "cancel": _cancel,
    "close": _close,
    "reverse": _reverse,
}
