"""Kite's order book lags behind what has happened: nothing is taken back, and nobody else is blamed for it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.scene import Order, held, run

SILENT = {"kind": "order_update_lost", "times": None}
LOST_CHANGE = {"kind": "connection_dropped_after", "match": {"method": "PUT", "path": "/orders/*"}}


def stale(seconds: float) -> dict[str, Any]:
    return {"kind": "stale_orders", "times": None, "args": {"seconds": seconds}}


@pytest.mark.parametrize("ended", [False, True], ids=["it works", "it was cancelled"])
def test_a_change_whose_answer_is_lost_is_not_taken_back_by_a_book_that_is_too_old(kite_exchange, ended):
    kite_exchange.reset([100.0] * 12, faults=[SILENT, LOST_CHANGE, stale(30)])
    given: list[Any] = []

    def step(strategy: Any) -> None:
        if strategy.bars == 2:
            given.append(strategy.buy(size=10, exectype=Order.Limit, price=90.0))
        elif strategy.bars == 4:
            strategy.broker.modify(given[0], size=12, price=91.0)
        elif strategy.bars == 5 and ended:
            strategy.cancel(given[0])

    ran = run(kite_exchange, step)
    (row,) = kite_exchange.orders()
    assert kite_exchange.steer.fired("connection_dropped_after") == 1
    assert (row["quantity"], row["price"]) == (12, 91.0)
    order = ran.broker.orders[given[0].ref]
    assert (order.size, order.created.price) == (12, 91.0)
    assert order.alive() is not ended


def test_a_fill_that_only_positions_show_is_waited_for_and_nobody_elses(kite_exchange):
    """At 09:30, when the books are compared, the fill of 09:29:20 is not yet in the order book."""
    rows = [(100.0, 100.0, 100.0, 100.0)] * 14 + [(100.0, 100.0, 98.0, 100.0)] + [(100.0,) * 4] * 10
    kite_exchange.reset(rows, faults=[SILENT, stale(55)])
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == 2:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.order = strategy.buy(size=10, exectype=Order.Limit, price=99.0)

    ran = run(kite_exchange, step)
    compared = [row for row in kite_exchange.requests() if row["path"] == "/portfolio/positions"]
    assert any("T09:30" in row["time"] for row in compared)
    assert news == []
    assert ran.position.size == held(kite_exchange) == 10
    assert ran.told[-1] == (ran.order.ref, "Completed")


def test_a_fill_that_positions_do_not_show_yet_is_nobody_elses_sale(kite_exchange):
    """At 09:30, when the books are compared, positions do not know yet what has traded at 09:29:20: they lag behind
    longer than a second look waits."""
    rows = [(100.0, 100.0, 100.0, 100.0)] * 14 + [(100.0, 100.0, 98.0, 100.0)] + [(100.0,) * 4] * 10
    lag = {"kind": "stale_positions", "times": None, "args": {"seconds": 60.0}}
    kite_exchange.reset(rows, faults=[lag])
    news: list[str] = []

    def step(strategy: Any) -> None:
        if strategy.bars == 2:
            strategy.broker.on_alert = lambda level, sentence, key: news.append(sentence)
            strategy.order = strategy.buy(size=10, exectype=Order.Limit, price=99.0)

    ran = run(kite_exchange, step)
    compared = [row for row in kite_exchange.requests() if row["path"] == "/portfolio/positions"]
    assert sum("T09:30" in row["time"] for row in compared) > 1  # it was seen, and looked at again
    assert news == []
    assert ran.position.size == held(kite_exchange) == 10
