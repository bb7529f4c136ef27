"""Scenario 6: a bracket whose entry fills in parts; its exit is never larger than what has filled."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.faults.races import BASE, Market, excess, log_of, trade

pytestmark = pytest.mark.timeout(1800 if os.environ.get("BTKITE_SOAK") else 120)
SEEDS = 200 if os.environ.get("BTKITE_SOAK") else 8
SIZE, SHOWN = 100, 8
STOP, TARGET, NEAR, ABOVE, BELOW = 98.0, 103.0, 102.85, 103.5, 97.0


def bracket(strategy: Any) -> Any:
    return strategy.buy_bracket(size=SIZE, price=BASE, stopprice=STOP, limitprice=TARGET)


def partly(market: Market, seed: int) -> None:
    """The book shows little: the entry fills bit by bit, and so do the exits, while the price goes on."""
    rng = random.Random(seed)
    market.until(market.working, "the entry is on the book")
    for _ in range(rng.randint(1, 3)):
        market.put(BASE)
    market.until(lambda: market.held() > 0 and market.exits(), "an exit is on the book")
    market.until(lambda: market.exits()[0]["quantity"] == market.held(), "the exit has what was filled")
    for _ in range(rng.randint(0, 4)):
        market.put(rng.choice([NEAR, ABOVE, BELOW, BASE, 101.0]))
    down = rng.random() < 0.5
    market.until(lambda: market.is_over() or market.put(BELOW if down else ABOVE), "all is over")


def test_at_no_moment_is_more_offered_than_has_filled(kite_exchange):
    market = trade(kite_exchange, bracket, partly, seeds=SEEDS, settings={"depth": SHOWN})
    log = log_of(kite_exchange)
    found = excess(log)
    assert not found, found
    assert market.held() == 0
    ends = {row.order_id: row for row in log}
    entries = [row for row in ends.values() if row.side == "BUY"]
    assert any(0 < row.filled < SIZE and row.status == "CANCELLED" for row in entries)
    assert len(entries) == SEEDS
    orders = market.strategy.broker.orders
    assert not any(order.alive() for order in orders.values())
    assert market.strategy.position.size == sum(order.executed.size for order in orders.values()) == 0
