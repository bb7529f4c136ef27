"""Scenario 12: a hundred buys at once, at an exchange that counts ten a calendar second of its own, skewed clock.

The rest of the scenario, every rule of an order's shape, is in tests/brokers/test_permitted.py, test_banding.py,
test_slices.py and test_modification_cap.py."""

from __future__ import annotations

import os
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.faults.scene import Order, run, wait_for

SKEWS = (0.4, 0.0, -0.4) if os.environ.get("BTKITE_SOAK") else (0.4,)
ORDERS = 100
WITHIN = timedelta(seconds=12)


class Flood:
    """A hundred buys in one ``next()``, every fourth of them a stop, while the clock runs as fast as the machine's."""

    def __init__(self, exchange: Any, skew: float) -> None:
        self.exchange = exchange
        self.skew = skew
        self.given: list[Any] = []

    def __call__(self, strategy: Any) -> None:
        if self.given:
            return
        store, steer = strategy.data._store, self.exchange.steer
        steer.speed(1)
        steer.arm("clock_skew", by=self.skew, seconds=3600)

        def slowed() -> bool:
            store.clock.settle(store.inbox.bell)
            return bool(store.clock.speed == 1)

        wait_for(slowed, "a clock that knows of it")
        for number in range(ORDERS):
            how = {"exectype": Order.Stop, "price": 105.0} if number % 4 == 3 else {}
            self.given.append(strategy.buy(size=1, **how))

        def answered() -> bool:
            store.pump()
            return all(order.info.get("order_id") or not order.alive() for order in self.given)

        wait_for(answered, "an answer to each order")
        steer.speed(60)
        strategy.env.runstop()


@pytest.mark.parametrize("skew", SKEWS)
def test_a_hundred_buys_at_once_are_placed_within_twelve_seconds_and_none_is_one_too_many(kite_exchange, skew):
    early = datetime(2026, 11, 18, 9, 14, 50)
    kite_exchange.reset([100.0] * 6, start=early, speed=60, require_market_protection=True, rate_limits=True)
    run(kite_exchange, Flood(kite_exchange, skew))
    asked = [row for row in kite_exchange.requests() if (row["method"], row["path"]) == ("POST", "/orders/regular")]
    assert Counter(row["status"] for row in asked) == {200: ORDERS}
    moments = [datetime.fromisoformat(row["time"]) for row in asked]
    assert max(moments) - min(moments) <= WITHIN
    for off in range(-400, 401, 50):  # whatever its clock had shown
        seconds = Counter((moment + timedelta(milliseconds=off)).replace(microsecond=0) for moment in moments)
        assert max(seconds.values()) <= 10
    assert Counter(row["form"]["order_type"] for row in asked) == {"MARKET": 75, "SL-M": 25}
    assert all(float(row["form"]["market_protection"]) for row in asked)
    assert not [row for row in kite_exchange.orders() if row["status"].startswith("REJECTED")]
