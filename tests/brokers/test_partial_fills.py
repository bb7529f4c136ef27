"""Kite fills in parts, repeats itself, and is late: no unit and no rupee is lost or counted twice.

The order rests on the simulated exchange, which fills whole; what Kite would say of parts is put where the
stream's thread puts it, into the inbox.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import backtrader as bt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brokers.wire import says

SIZE = 10
Told = tuple[int, float, str]
"""Filled so far, average price, status."""


class Rests(bt.Strategy):
    """One limit that nobody reaches; in bar 3 and later, Kite says what ``told`` lists, one entry a bar or all at
    once."""

    params = (("told", ()), ("at_once", False))

    def __init__(self):
        self.parts: list[tuple[float, float]] = []
        self.statuses: list[str] = []
        self.trades: list[tuple[float, float]] = []
        self.told = list(self.p.told)

    def next(self):
        if len(self) == 1:
            self.order = self.buy(size=SIZE, exectype=bt.Order.Limit, price=90.0)
        elif len(self) >= 3:
            for _ in range(len(self.told) if self.p.at_once else min(1, len(self.told))):
                self.say(*self.told.pop(0))

    def say(self, filled: int, average: float, status: str) -> None:
        says(
            self,
            filled,
            status,
            order=self.order,
            order_type="LIMIT",
            pending_quantity=SIZE - filled if status == "OPEN" else 0,
            cancelled_quantity=SIZE - filled if status == "CANCELLED" else 0,
            average_price=average,
            exchange_time=datetime(2026, 11, 18, 9, 20),
        )

    def notify_order(self, order: Any) -> None:
        self.statuses.append(order.getstatusname())
        self.parts += [(bit.size, bit.price) for bit in order.executed.iterpending()]

    def notify_trade(self, trade: Any) -> None:
        self.trades.append((trade.size, trade.price))


def run(kite_exchange, told: list[Told], *, at_once: bool) -> Any:
    # The exchange itself has traded nothing: its positions are not asked.
    outcome = kite_exchange.run_strategy(
        Rests, [100.0] * (len(told) + 6), told=tuple(told), at_once=at_once, config={"broker.reconcile": 3600}
    )
    return outcome.strategy


@pytest.mark.parametrize("at_once", [False, True], ids=["bar by bar", "in one turn"])
def test_parts_add_up_at_the_prices_they_were_paid(kite_exchange, at_once):
    told = [(3, 90.0, "OPEN"), (7, 89.0, "OPEN"), (10, 89.3, "COMPLETE")]
    ran = run(kite_exchange, told, at_once=at_once)
    assert [size for size, _ in ran.parts] == [3, 4, 3]
    assert [price for _, price in ran.parts] == pytest.approx([90.0, 88.25, 90.0])
    assert ran.statuses == ["Submitted", "Accepted", "Partial", "Partial", "Completed"]
    assert (ran.position.size, ran.position.price) == (10, pytest.approx(89.3))
    assert ran.order.executed.price == pytest.approx(89.3)
    assert ran.broker.getvalue() == pytest.approx(100_000 + 10 * (100 - 89.3))


def test_a_cancel_after_parts_keeps_them(kite_exchange):
    ran = run(kite_exchange, [(4, 90.0, "OPEN"), (4, 90.0, "CANCELLED")], at_once=False)
    assert ran.statuses == ["Submitted", "Accepted", "Partial", "Canceled"]
    assert (ran.position.size, ran.order.executed.size, ran.order.executed.remsize) == (4, 4, 6)
    assert ran.trades[-1] == (4, 90.0)


def test_a_fill_that_comes_with_the_cancel_is_not_lost(kite_exchange):
    ran = run(kite_exchange, [(6, 90.0, "CANCELLED")], at_once=False)
    assert ran.statuses == ["Submitted", "Accepted", "Partial", "Canceled"]
    assert ran.position.size == 6


SAYINGS = st.lists(
    st.tuples(st.integers(0, SIZE), st.sampled_from(["OPEN", "UPDATE", "MODIFIED", "TRIGGER PENDING"])), max_size=8
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(said=SAYINGS, end=st.sampled_from(["COMPLETE", "CANCELLED"]), at_once=st.booleans())
def test_repeats_and_old_news_change_nothing(kite_exchange, said, end, at_once):
    told: list[Told] = [(filled, 90.0, status) for filled, status in said]
    most = SIZE if end == "COMPLETE" else max((filled for filled, _ in said), default=0)
    told += [(most, 90.0, end)] * 2
    ran = run(kite_exchange, told, at_once=at_once)
    assert sum(size for size, _ in ran.parts) == ran.position.size == most
    assert all(size > 0 for size, _ in ran.parts)
    last = "Completed" if most == SIZE else "Canceled"
    assert ran.statuses[-1] == last
    assert ran.statuses.count(last) == 1
    assert ran.statuses.count("Accepted") == 1
