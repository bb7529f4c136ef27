"""The contract of brokers: what strategies do at awkward moments."""

from __future__ import annotations

import backtrader as bt
import pytest

from tests.contract.houses import CALM, DONE, DOWN, STEPS, UP, Noted, an_engine

Order = bt.Order


class Answers(Noted):
    """Answers its first fill with a stop and a target of its own, and the first of these that trades by a cancel."""

    def notify_order(self, order):
        super().notify_order(order)
        if order.status != Order.Completed:
            return
        if order.isbuy():
            self.exits = [
                self.sell(size=1, exectype=Order.Stop, price=95.0),
                self.sell(size=1, exectype=Order.Limit, price=105.0),
            ]
        else:
            for other in self.exits:
                if other.ref != order.ref:
                    self.cancel(other)


@pytest.mark.parametrize(("bar", "price"), [(UP, 105.0), (DOWN, 95.0)], ids=["target", "stop"])
def test_orders_and_cancels_may_be_given_in_notify_order(house, bar, price):
    ran = house.run(Answers, [CALM] * 5 + [bar, CALM, CALM], plan={2: lambda s: s.buy(size=1)}).strategy
    assert [(size, paid) for _, size, paid in ran.fills] == [(1, 100.0), (-1, price)]
    assert sorted(order.status for order in ran.exits) == [Order.Completed, Order.Canceled]


def test_a_cancel_may_be_given_twice_and_too_late(house):
    plan = {
        2: lambda s: [s.buy(size=1, exectype=Order.Limit, price=90.0), s.buy(size=1)],
        4: lambda s: [s.cancel(s.returned[0]), s.cancel(s.returned[0]), s.cancel(s.returned[1])][:0],
        6: lambda s: [s.cancel(s.returned[0]), s.cancel(s.returned[1])][:0],
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.story(0) == ["Submitted", "Accepted", "Canceled"]
    assert ran.story(1) == DONE


def test_an_error_in_a_strategy_comes_out_and_leaves_nothing_running(house):
    import threading

    class Fails(Noted):
        def next(self):
            super().next()
            if len(self) == 5:
                raise ArithmeticError("the strategy's own")

    before = set(threading.enumerate())
    engine = an_engine(house)
    with pytest.raises(ArithmeticError, match="the strategy's own"):
        house.run(Fails, STEPS, cerebro=engine, plan={2: lambda s: s.buy(size=1)})
    left = [thread for thread in threading.enumerate() if thread not in before]
    if house.stock:  # it stops nothing when a strategy raises; then nothing of ours may keep the process alive
        assert all(thread.daemon for thread in left)
        for store in engine.stores:
            store.stop()
    for thread in left:
        thread.join(5)
    assert [thread.name for thread in left if thread.is_alive()] == []


def test_orders_given_in_stop_do_no_harm(house):
    class Last(Noted):
        def stop(self):
            self.returned.append(self.close())
            self.cancel(self.returned[-1])

    ran = house.run(Last, STEPS, plan={2: lambda s: s.buy(size=1)}).strategy
    assert ran.position.size == 1
    assert ran.returned[-1].isbuy() is False


def test_a_strategy_may_trade_in_its_own_trades(house):
    plan = {
        2: lambda s: s.buy(size=2, tradeid=1),
        3: lambda s: s.buy(size=3, tradeid=2),
        5: lambda s: s.sell(size=2, tradeid=1),
        6: lambda s: s.sell(size=3, tradeid=2),
    }
    outcome = house.run(Noted, STEPS, plan=plan)
    assert [(trade.size, trade.pnl) for trade in outcome.trades] == [(2, 6.0), (3, 9.0)]


def test_two_runs_of_one_strategy_are_the_same(house):
    plan = {
        2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=95.0, limitprice=105.0),
        4: lambda s: s.buy(size=1, exectype=Order.Limit, price=99.0),
    }
    market = [CALM] * 5 + [(100.0, 106.0, 94.0, 100.0), CALM]
    one, other = (house.run(Noted, market, plan=plan) for _ in range(2))
    assert one.fills == other.fills
    assert one.equity == other.equity
    assert one.times == other.times
