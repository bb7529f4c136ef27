"""Scenario 14: a manual order, and an exit done outside, on a running clock. The exchange's book is the judge.

The policies in detail, in lock step: tests/brokers/test_outside.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.faults.scene import Order, held, run, wait_for

MOST = timedelta(seconds=2)
"""Of the market, from the moment that an outside exit is known to the end of ours."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


class Outside:
    """Buys 5 and rests an exit; then somebody sells them by hand; then the strategy tries an exit, and an entry."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
        self.late: list[Any] = []
        self.position = 0

    def __call__(self, strategy: Any) -> None:
        exchange, pump = self.exchange, strategy.data._store.pump
        if strategy.bars == 1:
            strategy.buy(size=5)
            return
        if strategy.bars != 2:
            return
        stop = strategy.sell(size=5, exectype=Order.Stop, price=98.0)

        def rests() -> bool:
            pump()
            return [row["status"] for row in exchange.orders()[1:]] == ["TRIGGER PENDING"]

        wait_for(rests, "the exit at the exchange")
        exchange.steer.speed(0.2)
        exchange.steer.place("NSE:TEST", "SELL", 5)
        exchange.steer.put_price("NSE:TEST", 100.0)  # the print that fills it

        def gone() -> bool:
            pump()
            return not strategy.broker.orders[stop.ref].alive()

        wait_for(gone, "the end of our exit")
        self.position = strategy.position.size
        self.late = [strategy.sell(size=5, exectype=Order.Stop, price=98.0), strategy.buy(size=1)]
        exchange.steer.speed(60)
        strategy.env.runstop()


@pytest.mark.parametrize("policy", ["adopt", "ignore", "halt"])
def test_an_exit_done_outside_takes_ours_with_it_and_nothing_turns_the_account_round(kite_exchange, policy):
    kite_exchange.reset([100.0] * 6, speed=60)
    step = Outside(kite_exchange)
    ran = run(kite_exchange, step, **{"broker.foreign": policy})
    bought, ours, foreign = kite_exchange.orders()[:3]
    assert (bought["status"], ours["status"], foreign["status"]) == ("COMPLETE", "CANCELLED", "COMPLETE")
    assert ours["filled_quantity"] == 0
    known = moment(foreign["exchange_update_timestamp"])
    assert moment(ours["exchange_update_timestamp"]) - known <= MOST
    assert step.position == (5 if policy == "ignore" else 0)
    exit_, entry = (ran.broker.orders[order.ref] for order in step.late)
    if policy == "ignore":
        assert exit_.info.denied_by == "broker.foreign"
    if policy == "halt":
        assert entry.info.denied_by == "broker.foreign"
    else:
        assert "denied" not in entry.info
    assert held(kite_exchange) in (0, 1)  # the entry may have reached the market
