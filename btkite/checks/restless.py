"""A strategy without an idea: each bar it does something with each symbol, drawn from a seed.

It gives every kind of order there is, changes and cancels them, adds to positions, reverses and closes them. What it
does hangs on the seed, the bar's time, its position and its working orders only, so it goes on after a restart.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import backtrader as bt

Order = bt.Order
_MANY = (28, 70)
"""Lots of an order that Kite takes in several slices only."""
_STEP = 0.0006
"""A step of the market, as a share of its price: how far from it orders are given."""


class Restless(bt.Strategy):
    """Trades its symbols at random.

    Params:
      - ``seed``: of its decisions.
      - ``often``: the share of bars on which it does something with a symbol.
      - ``plain``: prices on the tick, no bursts, no slices, nothing given in ``notify_order``.
      - ``most``: units, or lots where there are some, that it may come to hold.
    """

    params = (("seed", 1), ("often", 0.6), ("most", 45), ("plain", False))

    def __init__(self) -> None:
        self.working: dict[int, Any] = {}

    def restored(self, orders: list[Any], position: Any) -> None:
        """After a restart: the orders that still live are ours again."""
        self.working = {order.ref: order for order in orders if order.alive()}

    def notify_order(self, order: Any) -> None:
        if order.alive() and not order.p.simulated:
            self.working[order.ref] = order
        else:
            self.working.pop(order.ref, None)
        if order.status == order.Completed and not self.p.plain and not order.p.simulated:
            self._protect(order)

    def _protect(self, order: Any) -> None:
        """An entry that stands alone has traded: its stop is given at once, in the middle of the bar."""
        data, held = order.data, int(self.getposition(order.data).size)
        rng = random.Random(f"{self.p.seed}:{order.ref}")  # noqa: S311 - play
        alone = not any(one.data is data for one in self.working.values())
        if held and alone and order.isbuy() == (held > 0) and rng.random() < 0.5:
            way = _sign(held)
            self.give(data, -held, exectype=Order.Stop, price=self.away(data, -way * rng.uniform(1.0, 3.0)))

    def next(self) -> None:
        for data in self.datas:
            if not len(data) or data.datetime[0] != self.datetime[0]:
                continue
            rng = random.Random(f"{self.p.seed}:{data._name}:{data.datetime.datetime(0)}")  # noqa: S311 - play
            if rng.random() < self.p.often:
                self._act(rng, data)

    def _act(self, rng: random.Random, data: Any) -> None:
        mine = [order for _, order in sorted(self.working.items()) if order.data is data and order.alive()]
        held = int(self.getposition(data).size)
        if mine and rng.random() < 0.5:
            rng.choice(_CHANGES[:-1] if self.p.plain else _CHANGES)(self, rng, data, rng.choice(mine))
        elif mine and (len(mine) > 4 or rng.random() < 0.4):
            return
        elif held and rng.random() < 0.7:
            if not any(order.isbuy() == (held < 0) for order in mine):
                rng.choice(_EXITS)(self, rng, data, held)
        elif abs(held) + sum(abs(order.executed.remsize) for order in mine) < self.p.most * _lot(data):
            rng.choice(_PLAIN_ENTRIES if self.p.plain else _ENTRIES)(self, rng, data, held)

    def give(self, data: Any, size: float, **fields: Any) -> Any:
        """Buy ``size``, or sell if it is negative."""
        if abs(size) < 1:
            return None
        return (self.buy if size > 0 else self.sell)(data=data, size=abs(size), **fields)

    def away(self, data: Any, steps: float) -> float:
        """A price so many steps above the last one; on no tick, as those that strategies compute."""
        last = float(data.close[0])
        if self.p.plain:
            tick = data.instrument.tick_size
            return round(round((last + steps * last * _STEP) / tick) * tick, 2)
        return round(last + steps * last * _STEP, 3)


Entry = Callable[[Restless, random.Random, Any, int], None]
Exit = Entry
Change = Callable[[Restless, random.Random, Any, Any], None]


def _units(rng: random.Random, data: Any) -> int:
    lots = rng.randint(*_MANY) if _lot(data) > 1 and rng.random() < 0.3 else rng.randint(1, 12)
    return lots * _lot(data)


def _lot(data: Any) -> int:
    return int(data.instrument.lot_size)


def _words(s: Restless, rng: random.Random) -> dict[str, Any]:
    """Kite's own fields, now and then."""
    words: dict[str, Any] = {}
    if s.p.plain:
        return words
    if rng.random() < 0.2:
        words["tag"] = rng.choice(("A", "mean7", "breakout"))
    if rng.random() < 0.2:
        words["market_protection"] = rng.choice((1, 3, 7.5))
    return words


def _side(rng: random.Random) -> int:
    return rng.choice((1, -1))


def _market(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    s.give(data, _side(rng) * _units(rng, data), **_words(s, rng))


def _limit(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way = _side(rng)
    fields: dict[str, Any] = {}
    if rng.random() < 0.3:
        fields["valid"] = timedelta(minutes=rng.randint(1, 4))
    elif rng.random() < 0.15:
        fields["validity"] = "IOC"
    price = s.away(data, -way * rng.uniform(-0.5, 2.5))
    s.give(data, way * _units(rng, data), exectype=Order.Limit, price=price, **fields)


def _stop(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way = _side(rng)
    price = s.away(data, way * rng.uniform(0.5, 2.5))
    s.give(data, way * _units(rng, data), exectype=Order.Stop, price=price, **_words(s, rng))


def _stop_limit(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way, far = _side(rng), rng.uniform(0.5, 2.0)
    price, limit = s.away(data, way * far), s.away(data, way * (far + rng.uniform(0.2, 1.5)))
    s.give(data, way * _units(rng, data), exectype=Order.StopLimit, price=price, plimit=limit)


def _bracket(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way = _side(rng)
    entry: dict[str, Any] = {"exectype": Order.Market}
    if rng.random() < 0.6:
        entry = {"exectype": Order.Limit, "price": s.away(data, -way * rng.uniform(0, 1.5))}
    stop = {"stopprice": s.away(data, -way * rng.uniform(2.0, 4.0))}
    target: dict[str, Any] = {"limitprice": s.away(data, way * rng.uniform(1.0, 4.0))}
    give = s.buy_bracket if way > 0 else s.sell_bracket
    if rng.random() < 0.2:
        target = {"limitexec": None}
    give(data=data, size=_units(rng, data), **entry, **stop, **target)


def _pair(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    """A stop beyond the market and a limit before it, of which one is to trade."""
    way, units = _side(rng), _units(rng, data)
    first = s.give(data, way * units, exectype=Order.Stop, price=s.away(data, way * rng.uniform(0.8, 2.5)))
    s.give(data, way * units, exectype=Order.Limit, price=s.away(data, -way * rng.uniform(0.8, 2.5)), oco=first)


def _scale(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    """Several small ones at once."""
    way = _side(rng)
    for step in range(rng.randint(2, 4)):
        price = s.away(data, -way * (0.3 + 0.6 * step))
        s.give(data, way * _units(rng, data), exectype=Order.Limit, price=price)


def _flurry(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    """More at once than Kite takes in a second."""
    way = _side(rng)
    for step in range(rng.randint(7, 12)):
        s.give(data, way * _lot(data), exectype=Order.Limit, price=s.away(data, -way * (1.0 + 0.2 * step)))


_PLAIN_ENTRIES: tuple[Entry, ...] = (
    _market, _market, _limit, _limit, _stop, _stop_limit, _bracket, _bracket, _pair, _scale,
)  # fmt: skip
_ENTRIES: tuple[Entry, ...] = (
    _market, _market, _limit, _limit, _stop, _stop_limit, _bracket, _bracket, _bracket, _pair, _scale, _flurry,
)  # fmt: skip


def _part(rng: random.Random, data: Any, held: int) -> int:
    """Units of an exit: all that is held, or a part of it in lots."""
    lot = _lot(data)
    return abs(held) if rng.random() < 0.6 else max(1, round(abs(held) / lot * rng.uniform(0.3, 0.9))) * lot


def _close(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    s.close(data=data)


def _close_a_part(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    s.give(data, -_sign(held) * _part(rng, data, held))


def _reverse(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    """One order through zero."""
    s.give(data, -held - _sign(held) * _units(rng, data))


def _take_profit(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way = _sign(held)
    s.give(data, -way * _part(rng, data, held), exectype=Order.Limit, price=s.away(data, way * rng.uniform(0.3, 2.5)))


def _stop_loss(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way = _sign(held)
    s.give(data, -way * _part(rng, data, held), exectype=Order.Stop, price=s.away(data, -way * rng.uniform(0.5, 2.5)))


def _either(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    """A stop and a target, of which one is to trade."""
    way, units = _sign(held), abs(held)
    first = s.give(data, -way * units, exectype=Order.Stop, price=s.away(data, -way * rng.uniform(0.6, 2.5)))
    target = s.away(data, way * rng.uniform(0.6, 2.5))
    s.give(data, -way * units, exectype=Order.Limit, price=target, oco=first)


def _trail(s: Restless, rng: random.Random, data: Any, held: int) -> None:
    way, far = _sign(held), abs(s.away(data, rng.uniform(0.6, 2.0)) - float(data.close[0]))
    if rng.random() < 0.3:
        away = float(data.close[0]) - way * far
        fields = {"exectype": Order.StopTrailLimit, "price": away, "plimit": away - way * far}
        s.give(data, -way * abs(held), trailamount=far, **fields)
    else:
        s.give(data, -way * abs(held), exectype=Order.StopTrail, trailamount=far)


_EXITS: tuple[Exit, ...] = (
    _close, _close_a_part, _reverse, _take_profit, _stop_loss, _stop_loss, _either, _either, _trail,
)  # fmt: skip


def _cancel(s: Restless, rng: random.Random, data: Any, order: Any) -> None:
    s.cancel(order)


def _cancel_all(s: Restless, rng: random.Random, data: Any, order: Any) -> None:
    for one in [one for _, one in sorted(s.working.items()) if one.data is data]:
        s.cancel(one)


def _reprice(s: Restless, rng: random.Random, data: Any, order: Any) -> None:
    """Nearer, or farther away, on its own side of the market."""
    way = 1 if order.isbuy() else -1
    if order.exectype == Order.Limit:
        s.broker.modify(order, price=s.away(data, -way * rng.uniform(-0.3, 2.5)))
    elif order.exectype == Order.Stop:
        s.broker.modify(order, price=s.away(data, way * rng.uniform(0.5, 2.5)))
    else:
        s.cancel(order)


def _resize(s: Restless, rng: random.Random, data: Any, order: Any) -> None:
    """Of an order that stands alone: more or less of it."""
    lot = _lot(data)
    done = int(abs(order.executed.size))
    if order.parent is None and order.exectype in (Order.Limit, Order.Stop) and not order.info.get("oco"):
        s.broker.modify(order, size=done // lot * lot + rng.randint(1, 10) * lot)
    else:
        s.cancel(order)


def _fidget(s: Restless, rng: random.Random, data: Any, order: Any) -> None:
    """Changed its mind again and again, in one bar."""
    for _ in range(rng.randint(3, 12)):
        if order.alive() and order.exectype in (Order.Limit, Order.Stop):
            _reprice(s, rng, data, order)


_CHANGES: tuple[Change, ...] = (_cancel, _cancel_all, _reprice, _reprice, _reprice, _resize, _fidget)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
