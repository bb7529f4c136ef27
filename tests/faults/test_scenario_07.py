"""Scenario 7: stop and target become executable within one moment; the position never reverses."""

from __future__ import annotations

import os
import random
from typing import Any

import backtrader as bt
import pytest

from tests.faults.races import BASE, Market, excess, log_of, trade, walk

Order = bt.Order
pytestmark = pytest.mark.timeout(1800 if os.environ.get("BTKITE_SOAK") else 120)
SEEDS = 200 if os.environ.get("BTKITE_SOAK") else 12
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
    found = excess(log_of(kite_exchange))
    assert not found, found
    assert market.held() == 0
    for entry, stop, target in market.strategy.given:
        ends = sorted(market.strategy.broker.orders[order.ref].getstatusname() for order in (stop, target))
        assert ends == ["Canceled", "Completed"]
        assert sum(market.strategy.broker.orders[o.ref].executed.size for o in (entry, stop, target)) == 0


# ---- two orders on the book ----


def crash(market: Market, seed: int) -> None:
    """Up to the target and through the stop before anybody can do anything."""
    enter_two(market)
    market.script(ABOVE, BELOW)
    market.until(lambda: market.held() < 0, "both have traded")
    market.depth(99.0, 1000, 100.0, 1000)
    market.until(market.is_over, "the reverse is bought back")


def enter_two(market: Market) -> None:
    market.until(market.working, "the entry is on the book")
    market.put(BASE)
    market.until(lambda: market.held() == 10 and len(market.exits()) == 2, "both exits are on the book")


def test_with_two_a_reverse_fill_is_alerted_and_bought_back_within_two_seconds(kite_exchange):
    market = trade(kite_exchange, bracket, crash, seeds=2, speed=1.0, **{"groups.exits": "two"})
    alerts = [news for news in market.strategy.news if "were exited once too often" in news]
    assert len(alerts) == len(market.strategy.flat) == len(market.reversals()) == 2
    for reversed_at, flat_at in market.reversals():
        assert flat_at - reversed_at <= 2.0
    assert market.held() == 0


def calm(market: Market, seed: int) -> None:
    """Prices as they go: from the one exit to the other they need their time, and each is heard before the next."""
    rng = random.Random(seed)
    enter_two(market)
    price = BASE
    while not market.is_over():
        price = round(price + rng.choice([-0.9, -0.6, 0.6, 0.9]), 2)
        market.put(price)
        market.until(lambda at=price: market.strategy.heard() == at or market.is_over(), "the price is heard")


def test_with_two_and_prices_that_walk_nothing_reverses(kite_exchange):
    market = trade(kite_exchange, bracket, calm, seeds=SEEDS, **{"groups.exits": "two"})
    reversals = sum(held < 0 for held, _, _ in walk(log_of(kite_exchange)))
    assert reversals <= SEEDS / 100
    assert market.held() == 0
    assert market.working() == []


# ---- entries ----


def both_ways(strategy: Any) -> Any:
    """One of the two is to trade: a buy at 103, or one at 98."""
    first = strategy.buy(size=10, exectype=Order.Stop, price=TARGET)
    return [first, strategy.buy(size=10, exectype=Order.Limit, price=STOP, oco=first)]


def both_trade(market: Market, seed: int) -> None:
    market.until(lambda: len(market.working()) == 2, "both rest")
    market.script(ABOVE, BELOW)
    market.until(lambda: market.held() >= 20 or market.strategy.flat, "both have traded")
    market.depth(99.0, 1000, 100.0, 1000)
    market.until(lambda: market.held() == 10 and not market.working() and market.strategy.flat, "one is left")


def test_of_two_entries_that_trade_in_a_race_the_second_is_closed_and_alerted(kite_exchange):
    market = trade(kite_exchange, both_ways, both_trade, seeds=1, speed=1.0)
    assert market.held() == market.strategy.position.size == 10
    assert [order.executed.size for order in market.strategy.flat] == [-10]
    assert any("have no exit left" in news or "although another" in news for news in market.strategy.news)
