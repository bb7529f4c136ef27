"""Strategies made by hypothesis: a list of things to do, by bar and by fill, and candles to do them on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np
from hypothesis import strategies as st

from btkite.series import Candles

TICK = 0.05
DAYS = (datetime(2024, 7, 1), datetime(2024, 7, 2), datetime(2024, 7, 3))
Order = bt.Order


class Scripted(bt.Strategy):
    """Does what its ``script`` says: ``{bar number: [action, …]}``; ``on_fill`` is a list of answers, used one
    a fill. Prices are offsets in ticks from the last close (from the fill's price in an answer). Triggers lie
    ahead of it and limits of stops beyond their triggers, as Kite wants it, unless the action is ``amiss``.

    Params:
      - ``script``, ``on_fill``: see above.
    """

    params = (("script", {}), ("on_fill", ()))

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.brackets: list[list[Any]] = []
        self.answers = list(self.p.on_fill)

    def next(self) -> None:
        for action in self.p.script.get(len(self), ()):
            self.act(action, None)

    def notify_order(self, order: Any) -> None:
        if not order.alive() and self.answers:
            self.act(self.answers.pop(0), order)

    def act(self, action: dict[str, Any], order: Any) -> None:
        data = order.data if order is not None else self.datas[action.get("data", 0) % len(self.datas)]
        base = order.executed.price if order is not None and order.executed.size else data.close[0]
        kind, size = action["kind"], action["size"]
        give = self.buy if action["buys"] else self.sell

        def price(ticks: int) -> float:
            return round(base + ticks * TICK, 2)

        valid = None if action["valid"] is None else timedelta(minutes=action["valid"])
        a, b = action["a"], action["b"]
        side = 1 if action["buys"] else -1
        ahead = -side if action["amiss"] else side
        if kind == "market":
            self.given.append(give(data=data, size=size))
        elif kind == "limit":
            self.given.append(give(data=data, size=size, exectype=Order.Limit, price=price(a), valid=valid))
        elif kind == "stop":
            trigger = price(ahead * (1 + abs(a) % 8))
            self.given.append(give(data=data, size=size, exectype=Order.Stop, price=trigger, valid=valid))
        elif kind == "stoplimit":
            near, room = 1 + abs(a) % 6, abs(b) % 5
            trigger, limit = price(side * near), price(side * near + ahead * room)
            self.given.append(
                give(data=data, size=size, exectype=Order.StopLimit, price=trigger, plimit=limit, valid=valid)
            )
        elif kind == "bracket":
            bracket = self.buy_bracket if action["buys"] else self.sell_bracket
            entry = {"exectype": Order.Market} if action["at_market"] else {"exectype": Order.Limit, "price": price(a)}
            middle, far = 0 if action["at_market"] and not action["amiss"] else a, 1 + abs(b) % 8
            orders = bracket(
                data=data,
                size=size,
                stopprice=price(middle - side * far),
                limitprice=price(middle + side * far),
                valid=valid,
                **entry,
            )
            self.brackets.append(orders)
            self.given.extend(orders)
        elif kind == "oco":
            first = give(data=data, size=size, exectype=Order.Limit, price=price(-side * abs(a)), valid=valid)
            trigger = price(ahead * (1 + abs(b) % 8))
            self.given += [
                first,
                give(data=data, size=size, exectype=Order.Stop, price=trigger, oco=first, valid=valid),
            ]
        elif kind == "trail":
            self.given.append(
                give(data=data, size=size, exectype=Order.StopTrail, trailamount=(abs(a) + 1) * TICK, valid=valid)
            )
        elif kind == "close":
            closed = self.close(data=data)
            if closed is not None:
                self.given.append(closed)
        elif kind == "cancel" and self.given:
            self.cancel(self.given[a % len(self.given)])
        elif kind == "modify" and self.given:
            self.broker.modify(self.given[a % len(self.given)], size=size + 1, price=price(b))


KINDS = (
    *("market", "limit", "stop", "stoplimit", "bracket", "oco", "trail", "close", "cancel", "modify"),
    *("market", "stoplimit", "stoplimit", "bracket"),  # oftener: so that most strategies trade, and stops rest
)

actions = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "buys": st.booleans(),
        "size": st.integers(1, 5),
        "a": st.integers(-12, 12),
        "b": st.integers(-12, 12),
        "valid": st.sampled_from([None, None, None, None, None, 1, 2, 5, 0, 60 * 24, 60 * 30]),
        "amiss": st.sampled_from([False] * 11 + [True]),
        "at_market": st.booleans(),
        "data": st.integers(0, 1),
    }
)


@st.composite
def scripts(draw: Any, bars: int) -> dict[int, list[dict[str, Any]]]:
    numbers = draw(st.lists(st.integers(1, bars), max_size=8, min_size=3, unique=True))
    return {number: draw(st.lists(actions, min_size=1, max_size=3)) for number in numbers}


def answers() -> Any:
    return st.lists(actions, max_size=3)


@st.composite
def candles(draw: Any, key: str, *, daily: bool = False, per_day: int = 14) -> Candles:
    """A few candles on each of three days, or twenty days: some missing, wide enough that a stop and a target of a
    bracket are often both in reach; gaps between them, some wider than from a stop's trigger past its limit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    starts = []
    if daily:
        starts = [datetime(2024, 7, 1) + timedelta(days=n) for n in range(30) if (n % 7) < 5]
        starts = [day for day in starts if day != datetime(2024, 7, 17)]
    else:
        for day in DAYS:
            for minute in range(per_day):
                if rng.random() > 0.08:
                    starts.append(day + timedelta(hours=9, minutes=15 + minute))
    steps = rng.integers(-6, 7, size=(len(starts), 4))
    level, rows = 2000, []
    for gap, low, high, close in steps:
        chance = rng.random()
        open_ = level + (gap * 3 if chance < 0.3 else gap if chance < 0.6 else 0)
        close_ = open_ + close
        rows.append((open_, max(open_, close_) + abs(high), min(open_, close_) - abs(low), close_))
        level = close_
    table = np.array(rows, dtype=np.int64)
    prices = np.round(table * TICK, 2)
    return Candles.of(
        key,
        "day" if daily else "minute",
        {
            "date": np.array(starts, dtype="datetime64[s]"),
            "open": prices[:, 0],
            "high": prices[:, 1],
            "low": prices[:, 2],
            "close": prices[:, 3],
            "volume": rng.integers(0, 5000, size=len(starts)),
        },
    )
