"""What the witness sees of a strategy's own memory: what has a plain value, and nothing of backtrader's."""

from __future__ import annotations

from collections import deque
from datetime import time

import backtrader as bt

from btkite.checks.witness import attributes_of, indicators_of


class Keeps(bt.Strategy):
    seen: object = None

    def __init__(self):
        self.count = 0
        self.exit = time(15, 10)
        self.recent = deque(maxlen=3)
        self.by_name = {"fast": 1.5}
        self.order = None
        self.close = self.data.close
        self.sma = bt.ind.SMA(period=3)
        self.above = self.data.close > self.sma
        self.all = {data: bt.ind.SMA(data, period=2) for data in self.datas}
        self._private = 1

    def next(self):
        self.count += 1
        self.recent.append(self.data.close[0])
        if self.count == 2:
            self.order = self.buy(size=2, exectype=bt.Order.Limit, price=1.0)
        type(self).seen = (attributes_of(self), indicators_of(self))


def test_what_a_strategy_keeps_is_shown_by_value(run_strategy, bars):
    run_strategy(Keeps, bars.from_closes([100.0, 101.0, 102.0, 103.0, 104.0]))
    kept, lines = Keeps.seen
    assert set(kept) == {"count", "exit", "recent", "by_name", "order", "close", "sma", "above", "all"}
    assert kept["count"] == "3"
    assert kept["exit"] == "15:10:00"
    assert kept["recent"] == "3 of [102, 103, 104]"
    assert kept["by_name"] == "{fast: 1.5}"
    assert kept["order"].startswith("order BUY 2 NSE:TEST Limit 1.00")
    assert kept["sma"] == "103"
    assert kept["close"] == "104"
    assert "103.5" in kept["all"]
    assert {"sma", "above", "all", "close"} <= set(lines)
    assert not {"count", "recent", "by_name", "order", "exit"} & set(lines)
