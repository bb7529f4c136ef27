"""The portfolio that a strategy asks for in the middle of a run is the same in both loops, under both rules."""

from __future__ import annotations

import json
import random
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.sim import SimBroker
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.testing import bars


class Asks(bt.Strategy):
    """Trades now and then, and asks at every ``every``-th bar."""

    params = (("every", 1),)

    def __init__(self) -> None:
        self.seen: list[str] = []

    def next(self) -> None:
        if len(self) in (3, 40, 120):
            self.buy(size=10, product="MIS" if len(self) == 3 else "CNC")
        if len(self) == 20:
            self.buy(size=10, exectype=bt.Order.Limit, price=1.0)
        if len(self) in (33, 150):
            self.sell(size=4)
        if len(self) == 39:
            self.close()
        if len(self) % self.p.every == 0:
            self.seen.append(json.dumps(self.broker.portfolio.as_dict()))


def seen(engine: str, rule: str, every: int) -> list[str]:
    made = random.Random(4)
    closes = [100.0]
    for _ in range(199):
        closes.append(round(closes[-1] + made.uniform(-1, 1), 2))
    cerebro = Cerebro(stdstats=False, engine=engine)
    cerebro.adddata(KiteData(dataname=bars.from_closes(closes, interval="15minute", symbol="NSE:INFY")))
    cerebro.setbroker(SimBroker(config=Config().with_(**{"risk.enabled": False}), rule=rule))
    cerebro.addstrategy(Asks, every=every)
    (ran,) = cerebro.run()
    assert cerebro.engine == engine
    return ran.seen


@pytest.mark.parametrize("every", [1, 7])
@pytest.mark.parametrize("rule", ["path", "backtrader"])
def test_it_is_the_same_in_both_loops(rule: str, every: int) -> None:
    fast, stock = seen("fast", rule, every), seen("stock", rule, every)
    assert fast == stock
    assert len(fast) == 200 // every
    last: dict[str, Any] = json.loads(fast[-1])
    assert last["total_pnl"] == pytest.approx(last["realized"] + last["unrealized"] - last["charges"])
    assert any(json.loads(one)["overnight_pnl"] for one in fast)
