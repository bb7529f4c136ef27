"""A fill that positions show before the order book: it is the uncertain order's, and counts once when that surfaces.

The order is given at 09:29, its answer is lost, the stream is silent, and the order book lags; the books are compared
at 09:30, when only positions have it. The exchange's book is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.scene import Order, held, run

SILENT = {"kind": "order_update_lost", "times": None}
AT = 14
"""The bar that ends at 09:29."""


def lagging(exchange: Any, seconds: float, *, nth: int) -> None:
    lost = {"kind": "connection_dropped_after", "match": {"method": "POST", "path": "/orders/*", "nth": nth}}
    stale = {"kind": "stale_orders", "times": None, "args": {"seconds": seconds}}
    exchange.reset([(100.0,) * 4] * 24, faults=[SILENT, lost, stale])


def compared(exchange: Any) -> int:
    """How often positions were read in the minute of the comparison."""
    rows = [row for row in exchange.requests() if row["path"] == "/portfolio/positions"]
    return sum("T09:30" in row["time"] for row in rows)


@pytest.mark.parametrize("policy", ["adopt", "ignore", "halt"])
@pytest.mark.parametrize("long", [True, False], ids=["buy", "sell"])
def test_an_entrys_fill_is_waited_for_and_counts_once(kite_exchange, long, policy):
    lagging(kite_exchange, 70, nth=1)
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == AT:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.order = strategy.buy(size=10) if long else strategy.sell(size=10)

    ran = run(kite_exchange, step, **{"broker.foreign": policy})
    assert kite_exchange.steer.fired("connection_dropped_after") == 1
    assert compared(kite_exchange) >= 2
    assert [sentence for sentence in news if "from outside" in sentence] == []
    assert ran.position.size == held(kite_exchange) == (10 if long else -10)
    assert [size for _, size, _ in ran.bits] == [10 if long else -10]
    assert ran.broker.ledger.latched is None
    assert ran.told[-1] == (ran.order.ref, "Completed")
    assert len(kite_exchange.orders()) == 1


@pytest.mark.parametrize("policy", ["adopt", "ignore"])
@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_an_exits_fill_is_waited_for_and_counts_once(kite_exchange, long, policy):
    lagging(kite_exchange, 70, nth=2)
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == 2:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.entry = strategy.buy(size=10) if long else strategy.sell(size=10)
        elif strategy.bars == AT:
            strategy.order = strategy.close()

    ran = run(kite_exchange, step, **{"broker.foreign": policy})
    assert kite_exchange.steer.fired("connection_dropped_after") == 1
    assert compared(kite_exchange) >= 2
    assert [sentence for sentence in news if "from outside" in sentence] == []
    assert ran.position.size == held(kite_exchange) == 0
    assert len(ran.trades) == 1
    assert len(kite_exchange.orders()) == 2


@pytest.mark.parametrize("units", [3, 25], ids=["the other way round", "more than it could be"])
def test_what_the_uncertain_order_cannot_have_done_is_others(kite_exchange, units):
    """A sale while a buy is uncertain, or more than that buy: nobody waits for the order book to explain it,
    and what that says of it later is no news."""
    lagging(kite_exchange, 70, nth=1)
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == AT:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.order = strategy.buy(size=10, exectype=Order.Limit, price=90.0)
            kite_exchange.steer.place("NSE:TEST", "SELL" if units == 3 else "BUY", units)

    ran = run(kite_exchange, step, **{"broker.foreign": "adopt"})
    outside = [sentence for sentence in news if "from outside" in sentence]
    assert len(outside) == 1
    assert "no order explains it" in outside[0]
    assert ran.position.size == held(kite_exchange) == (-3 if units == 3 else 25)
    assert [size for _, size, _ in ran.bits] == [-3 if units == 3 else 25]
    assert ran.order.alive()


def test_what_others_trade_after_that_is_news(kite_exchange):
    lagging(kite_exchange, 70, nth=1)
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == AT:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.order = strategy.buy(size=10, exectype=Order.Limit, price=90.0)
            kite_exchange.steer.place("NSE:TEST", "SELL", 3)
        elif strategy.bars == AT + 3:
            kite_exchange.steer.place("NSE:TEST", "SELL", 3)

    ran = run(kite_exchange, step, **{"broker.foreign": "adopt"})
    assert len([sentence for sentence in news if "from outside" in sentence]) == 2
    assert ran.position.size == held(kite_exchange) == -6
    assert [size for _, size, _ in ran.bits] == [-3, -3]
