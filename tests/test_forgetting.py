"""Long runs: what has ended is not kept for ever, and what is still needed is."""

from __future__ import annotations

import gc
from datetime import timedelta

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.forgetting import forget
from tests.test_feeding import MONDAY, TUESDAY, WEDNESDAY, candles


class Churn(bt.Strategy):
    """In and out on every bar."""

    def __init__(self):
        self.done = 0

    def next(self):
        if self.position:
            self.close()
        else:
            self.buy(size=1)

    def notify_order(self, order):
        self.done += order.status == order.Completed


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_of_a_run_of_days_only_the_newest_orders_and_trades_are_kept(kite_exchange, mode, monkeypatch):
    """Three days of 375 orders, of which 100 are to be kept; a live run also keeps those of its day."""
    monkeypatch.setattr("btkite.forgetting.KEPT", 100)
    bars = candles(days=(MONDAY, TUESDAY, WEDNESDAY), count=375)
    kite_exchange.reset(bars, start=MONDAY + timedelta(hours=9))
    store = kite_exchange.store(mode, config=kite_exchange.config(**{"broker.square_off": None}))
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    broker = store.getbroker()
    cerebro.setbroker(broker)
    cerebro.addstrategy(Churn)
    (ran,) = cerebro.run()
    assert ran.done >= 3 * 374
    a_day = 0 if mode == "paper" else 375
    assert len(broker.orders) <= 2 * 100 + a_day + 100
    assert len(ran._orders) <= 2 * 100 + 3
    trades = next(iter(next(iter(ran._trades.values())).values()))
    assert len(trades) <= 2 * 100 + a_day
    for name, table in vars(broker).items():
        if isinstance(table, (dict, set, list)):
            assert len(table) <= 2 * 100 + a_day + 100, name
    gc.collect()
    kept = sum(isinstance(thing, bt.Order) for thing in gc.get_objects())
    assert kept <= 8 * (2 * 100 + a_day)
    assert broker.getposition(ran.data).size == kite_exchange.positions()[0]["quantity"] if mode == "live" else True


def test_what_is_alive_or_of_a_living_group_is_kept(kite_exchange):
    class Rests(bt.Strategy):
        def next(self):
            if len(self) == 1:
                self.old = self.buy(size=1, exectype=bt.Order.Limit, price=1.0)
                self.bracket = self.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=1.0, limitprice=9000.0)
            elif len(self) < 30:
                self.buy(size=1) if len(self) % 2 else self.sell(size=1)
            forget(self.broker, [self], kept=3)

    kite_exchange.reset(candles(days=(MONDAY,), count=30), start=MONDAY + timedelta(hours=9))
    store = kite_exchange.store("paper", config=kite_exchange.config())
    cerebro = Cerebro(stdstats=False)
    cerebro.adddata(store.getdata("NSE:AAA", interval="minute"))
    broker = store.getbroker()
    broker._forget_at = 6
    cerebro.setbroker(broker)
    cerebro.addstrategy(Rests)
    (ran,) = cerebro.run()
    assert {order.ref for order in (ran.old, *ran.bracket)} <= set(broker.orders)
    assert len(broker.orders) < 15
