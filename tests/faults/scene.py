"""What the scenarios share: an exchange, one life of a process against it, and its book as the judge."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import backtrader as bt

from btkite.brokers.record import Record
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.testing import KiteExchange

SYMBOL = "NSE:TEST"
Order = bt.Order


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """For a condition, never for a time: ``seconds`` only bound a failure."""
    ring = threading.Event()
    for _ in range(int(seconds / 0.02)):
        found = condition()
        if found:
            return found
        ring.wait(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Scripted(bt.Strategy):
    """``step`` is called with the strategy at each bar; what it is told is kept."""

    params = (("step", None), ("notes", None))

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.sizes: dict[int, list[int]] = {}
        self.bits: list[tuple[int, float, float]] = []
        self.trades: list[float] = []
        self.kept: list[Any] = []
        self.bars = 0

    def restored(self, orders: Any, positions: Any) -> None:
        self.kept = list(orders)

    def next(self) -> None:
        self.bars += 1
        if self.p.step is not None:
            self.p.step(self)

    def notify_order(self, order: Any) -> None:
        self.told.append((order.ref, order.getstatusname()))
        self.sizes.setdefault(order.ref, []).append(int(abs(order.executed.size)))
        self.bits += [(order.ref, bit.size, bit.price) for bit in order.executed.iterpending()]

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append(trade.pnl)


def run(exchange: KiteExchange, step: Any, *, journal: Any = None, symbol: str = SYMBOL, **config: Any) -> Scripted:
    """One life of a live process, to the end of its market or until ``step`` stops it."""
    store = exchange.store("live", config=exchange.config(**config))
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata(symbol, interval="minute"), name=symbol)
    if journal is None:
        engine.setbroker(store.getbroker())
    else:
        engine.setbroker(store.getbroker(record=Record(Journal(journal, store.clock))))
    engine.addstrategy(Scripted, step=step)
    found: Scripted = engine.run()[0]
    return found


def held(exchange: KiteExchange) -> int:
    """The exchange's own position."""
    return sum(int(row["quantity"]) for row in exchange.positions())
