"""One gate for all: several strategies in one Cerebro, and other threads."""

from __future__ import annotations

import threading
from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.errors import WrongThread
from tests.brokers.scene import CALM, Order, Planned, buy, play
from tests.contract.conftest import house  # noqa: F401 - a fixture
from tests.contract.houses import House


class Eager(bt.Strategy):
    """Buys one with every bar, and knows of nobody else."""

    def __init__(self) -> None:
        self.passed = 0

    def next(self) -> None:
        self.passed += not self.buy(size=1).info.get("denied")


@pytest.mark.parametrize("house", ["path", "paper", "live"], indirect=True)
def test_strategies_share_their_limits(house: House) -> None:  # noqa: F811 - the fixture
    engine = Cerebro(stdstats=False)
    engine.addstrategy(Eager)
    engine.addstrategy(Eager)
    outcome = house.run(Eager, [100.0] * 12, cerebro=engine, risk={"max_daily_trades": 7, "max_position_quantity": 5})
    strategies = engine.runningstrats
    assert [one.passed for one in strategies] == [2, 2, 1]
    assert outcome.strategy.broker.getposition(outcome.strategy.data).size == 5
    if house.live:
        assert len(house.orders()) == 5


def on_another_thread(act: Any) -> Any:
    """What ``act`` raises there; None if nothing."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_orders_of_another_thread_are_refused_with_a_sentence() -> None:
    raised: list[Any] = []

    def elsewhere(s: Planned) -> None:
        (mine,) = s.given
        acts = [
            lambda: s.buy(size=1),
            lambda: s.sell(size=1),
            lambda: s.broker.modify(mine, price=91.0),
            lambda: s.cancel(mine),
            lambda: s.close(),
        ]
        raised.extend(map(on_another_thread, acts))

    plan = {1: lambda s: s.buy(size=1) and None, 2: buy(exectype=Order.Limit, price=90.0), 3: elsewhere}
    ran = play([CALM] * 6, plan, risk={"max_position_pct": 100})
    assert [type(error) for error in raised] == [WrongThread] * 5
    assert "the thread on which Cerebro runs" in str(raised[0])
    assert len(ran.broker.orders) == 2
    assert ran.position.size == 1
    (rests,) = ran.given
    assert (rests.created.price, rests.size) == (90.0, 1)


def test_a_run_on_another_thread_is_that_threads_own() -> None:
    assert on_another_thread(lambda: play([CALM] * 4, {1: buy(size=1)})) is None
