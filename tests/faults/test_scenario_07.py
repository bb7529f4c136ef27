"""Scenario 7: stop and target become executable within one moment; the position never reverses."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.faults.races import BASE, Market, log_of, trade, walk

SOAK = bool(os.environ.get("BTKITE_SOAK"))
SEEDS = 200 if SOAK else 12
STOP, TARGET = 98.0, 103.0
NEAR, ABOVE, BELOW = 102.85, 103.5, 97.0


def bracket(strategy: Any) -> Any:
    return strategy.buy_bracket(size=10, exectype=None, stopprice=STOP, limitprice=TARGET)


def enter(market: Market) -> None:
    """The entry fills at the base price, and its exits are on the book."""
    market.until(market.working, "the entry is on the book")
    market.put(BASE)
    market.until(lambda: market.held() == 10 and market.exits(), "the exits are on the book")


def finish(market: Market) -> None:
    """The price goes up and down until everything is over."""
    market.until(lambda: market.is_over() or [market.put(ABOVE), market.put(BELOW)] == [], "all is over")


def race(market: Market, seed: int) -> None:
    rng = random.Random(seed)
    enter(market)
    if rng.random() < 0.7:  # the order may stand for either when it begins
        market.put(NEAR)
        if rng.random() < 0.7:
            market.until(lambda: any(row["order_type"] == "LIMIT" for row in market.exits()), "the target stands")
    for _ in range(rng.randint(1, 5)):
        market.put(rng.choice([NEAR, ABOVE, BELOW, BASE, 101.0]))
    finish(market)


def test_with_one_exit_order_the_position_never_reverses(kite_exchange):
    market = trade(kite_exchange, bracket, race, seeds=SEEDS)
    steps = walk(log_of(kite_exchange))
    assert min(held for held, _, _ in steps) == 0
    assert max(count for _, _, count in steps) == 1
    assert all(offered <= held for held, offered, _ in steps)
    assert market.held() == 0
    for entry, stop, target in market.strategy.given:
        ends = sorted(market.strategy.broker.orders[order.ref].getstatusname() for order in (stop, target))
        assert ends == ["Canceled", "Completed"]
        assert sum(market.strategy.broker.orders[o.ref].executed.size for o in (entry, stop, target)) == 0
