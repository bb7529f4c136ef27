"""What the contract of brokers is run on: each kind of broker on both engines, and a strategy that notes news."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.testing import KiteExchange, Outcome


@dataclass(frozen=True)
class House:
    """One kind of broker and how to run a strategy on it."""

    name: str
    run: Callable[..., Outcome]
    exchange: KiteExchange | None = None

    @property
    def stock(self) -> bool:
        """Whether the engine is backtrader's own Cerebro."""
        return "bt.Cerebro" in self.name

    @property
    def live(self) -> bool:
        return self.name.startswith("live")

    def orders(self) -> list[dict[str, Any]]:
        """The exchange's own book; only live has one."""
        assert self.exchange is not None
        return self.exchange.orders()


HOUSES = (
    "path",
    "path on bt.Cerebro",
    "backtrader",
    "backtrader on bt.Cerebro",
    "paper",
    "paper on bt.Cerebro",
    "live",
    "live on bt.Cerebro",
)

ours = pytest.mark.parametrize("house", [name for name in HOUSES if not name.startswith("backtrader")], indirect=True)
"""Of a test of what BackBroker does otherwise; the reason is on the line."""

unless_live = pytest.mark.parametrize("house", [name for name in HOUSES if not name.startswith("live")], indirect=True)


class Noted(bt.Strategy):
    """Keeps every notification; ``plan`` maps bar numbers to what to do then."""

    params = (("plan", {}),)

    def __init__(self) -> None:
        self.notified: list[tuple[int, str]] = []
        self.fills: list[tuple[int, float, float]] = []
        self.trades: list[Any] = []
        self.returned: list[Any] = []
        self.infos: dict[int, Any] = {}

    def next(self) -> None:
        action = self.p.plan.get(len(self))
        if action is not None:
            found = action(self)
            self.returned += found if isinstance(found, list) else [found]

    def notify_order(self, order: Any) -> None:
        self.notified.append((order.ref, order.getstatusname()))
        self.infos[order.ref] = order.info
        self.fills += [(order.ref, bit.size, bit.price) for bit in order.executed.iterpending()]

    def notify_trade(self, trade: Any) -> None:
        self.trades.append((trade.status, trade.size, trade.price, trade.pnl, trade.justopened, trade.isclosed))

    def story(self, number: int = 0) -> list[str]:
        """The statuses of the ``number``-th order that a call returned."""
        ref = self.returned[number].ref
        return [status for known, status in self.notified if known == ref]


STEPS = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0, 109.0]
"""Closes; each bar opens at the close before it, so an order of bar n meets STEPS[n - 1]."""

DONE = ["Submitted", "Accepted", "Completed"]

CALM = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 106.0, 99.5, 105.0)
DOWN = (100.0, 100.5, 94.0, 95.0)


def an_engine(house: House) -> Any:
    return bt.Cerebro(stdstats=False) if house.stock else Cerebro(stdstats=False)
