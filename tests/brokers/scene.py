"""What the brokers' tests share: a strategy that does as planned and notes all it hears, and bars to do it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import backtrader as bt

from btkite.testing import bars as canned
from btkite.testing import run_strategy

Order = bt.Order
DAY = datetime(2026, 11, 18)
CALM = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 103.0, 98.0, 102.0)
"""Prints 100, 98, 103, 102."""
DOWN = (100.0, 103.0, 98.0, 99.0)
"""Prints 100, 103, 98, 99."""


class Planned(bt.Strategy):
    """``plan`` maps bar numbers to what to do then (a function of the strategy); ``react`` is called with the
    strategy and each order that it is told of. ``given`` keeps the orders that the plan returned."""

    params = (("plan", {}), ("react", None))

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.told: list[tuple[int, str, int]] = []
        self.fills: list[tuple[int, float, float, datetime]] = []
        self.trades: list[Any] = []
        self.steps: list[datetime] = []

    def next(self) -> None:
        self.steps.append(self.data.datetime.datetime(0))
        action = self.p.plan.get(len(self))
        if action is not None:
            self.keep(action(self))

    def keep(self, found: Any) -> None:
        self.given += [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Order)]

    def notify_order(self, order: Any) -> None:
        self.told.append((order.ref, order.getstatusname(), len(self)))
        for bit in order.executed.iterpending():
            self.fills.append((order.ref, bit.size, bit.price, bt.num2date(bit.dt + 1e-9).replace(microsecond=0)))
        if self.p.react is not None:
            self.keep(self.p.react(self, order))

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append(trade)

    def story(self, number: int = 0) -> list[str]:
        """What was said of the ``number``-th order that was given."""
        return [status for ref, status, _ in self.told if ref == self.given[number].ref]

    def prices(self, number: int | None = None) -> list[float]:
        """At which all, or the ``number``-th, traded."""
        return [price for ref, _, price, _ in self.fills if number is None or ref == self.given[number].ref]

    def times(self, number: int = 0) -> list[str]:
        """When the ``number``-th traded, HH:MM:SS."""
        return [f"{at:%H:%M:%S}" for ref, _, _, at in self.fills if ref == self.given[number].ref]


def play(
    rows: Any, plan: Mapping[int, Callable[[Any], Any]], *, react: Any = None, interval: str = "minute", **more: Any
) -> Planned:
    """The strategy after a backtest on ``rows`` (of NSE:TEST, or by symbol)."""
    series = rows
    if isinstance(rows, list):
        series = canned.from_rows(rows, interval=interval)
    found: Planned = run_strategy(Planned, series, plan=plan, react=react, interval=interval, **more).strategy
    return found


def buy(**kwargs: Any) -> Callable[[Any], Any]:
    return lambda s: s.buy(**{"size": 1, **kwargs})


def sell(**kwargs: Any) -> Callable[[Any], Any]:
    return lambda s: s.sell(**{"size": 1, **kwargs})


HOURS = [CALM] * 7
"""A session of hours."""
MORNING = [(105.0, 106.0, 104.0, 105.0)] * 3


def overnight(plan: Mapping[int, Callable[[Any], Any]], morning: Any = MORNING, **more: Any) -> Planned:
    """A session of hours, and the morning after; nobody squares off."""
    config = {"broker.square_off": None, **more.pop("config", {})}
    return play(HOURS + morning, plan, interval="60minute", config=config, **more)
