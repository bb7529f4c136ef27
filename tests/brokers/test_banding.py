"""Prices outside the day's band never reach Kite: on a market that runs, with the exchange as strict as Kite."""

from __future__ import annotations

from typing import Any

from tests.brokers.scene import Order
from tests.faults.scene import run, wait_for

STRICT = {"check_circuit": True, "checks": ("circuit",), "check_tick_size": True, "require_market_protection": True}
LIMIT, STOP, STOP_LIMIT = Order.Limit, Order.Stop, Order.StopLimit

OUTSIDE = [
    ("buy", {"exectype": LIMIT, "price": 110.05}, "a price of 110.05 lies outside NSE:TEST's band of today, 90 to 110"),
    ("buy", {"exectype": LIMIT, "price": 89.95}, "a price of 89.95 lies outside"),
    ("sell", {"exectype": LIMIT, "price": 110.05}, "a price of 110.05 lies outside"),
    ("sell", {"exectype": LIMIT, "price": 89.95}, "a price of 89.95 lies outside"),
    ("buy", {"exectype": STOP, "price": 110.05}, "a trigger of 110.05 lies outside"),
    ("sell", {"exectype": STOP, "price": 89.95}, "a trigger of 89.95 lies outside"),
    ("buy", {"exectype": STOP_LIMIT, "price": 109.0, "plimit": 110.05}, "a price of 110.05 lies outside"),
    ("sell", {"exectype": STOP_LIMIT, "price": 89.95, "plimit": 89.9}, "a price of 89.9 lies outside"),
]
INSIDE = [
    ("buy", {"exectype": LIMIT, "price": 90.0}),
    ("sell", {"exectype": LIMIT, "price": 110.0}),
    ("buy", {"exectype": STOP, "price": 110.0}),
    ("sell", {"exectype": STOP_LIMIT, "price": 90.05, "plimit": 90.0}),
]


class Once:
    """At the first bar with a known band, all that is asked for."""

    def __init__(self, exchange: Any, do: Any) -> None:
        self.exchange = exchange
        self.do = do
        self.done = False

    def __call__(self, strategy: Any) -> None:
        if self.done:
            return
        store = strategy.data._store

        def known() -> Any:
            store.get_notifications()
            return strategy.broker.bands

        wait_for(known, "the band")
        self.done = True
        steer = self.exchange.steer
        steer.speed(1)  # a busy machine must not outlive the market
        self.do(strategy, lambda what, why: wait_for(lambda: store.get_notifications() or what(), why))
        steer.speed(60)
        strategy.env.runstop()


def statuses(exchange: Any) -> list[str]:
    return [row["status"] for row in exchange.orders()]


def calls(exchange: Any) -> list[str]:
    return [
        row["method"]
        for row in exchange.steer.requests()
        if row["path"].startswith("/orders") and row["method"] != "GET"
    ]


def test_what_lies_outside_the_band_is_denied_and_what_lies_on_it_is_taken(kite_exchange):
    given: list[Any] = []

    def do(strategy: Any, until: Any) -> None:
        given.extend(getattr(strategy, side)(size=1, **how) for side, how, _ in OUTSIDE)
        assert calls(kite_exchange) == []
        given.extend(getattr(strategy, side)(size=1, **how) for side, how in INSIDE)
        until(lambda: len(kite_exchange.orders()) == len(INSIDE), "those on the band")
        first = given[len(OUTSIDE)]
        until(lambda: first.status == Order.Accepted, "the first's acceptance")
        assert strategy.broker.modify(first, price=89.95) is False
        assert "89.95 lies outside" in first.info.denied_change
        assert strategy.broker.modify(first, price=90.05) is True
        until(lambda: kite_exchange.orders()[0]["price"] == 90.05, "the change")

    kite_exchange.reset([100.0] * 30, speed=60, **STRICT)
    ran = run(kite_exchange, Once(kite_exchange, do))
    for order, (_, _, words) in zip(given, OUTSIDE, strict=False):
        assert words in order.info.denied
        assert order.info.denied_by == "band"
    assert all("denied" not in order.info for order in given[len(OUTSIDE) :])
    assert set(statuses(kite_exchange)) <= {"OPEN", "TRIGGER PENDING", "CANCELLED"}
    assert {row["status"] for row in kite_exchange.steer.requests() if row["path"].startswith("/orders")} == {200}
    assert ran.broker.bands["NSE:TEST"].upper == 110.0


def test_a_limit_that_only_protects_ends_where_the_band_does(kite_exchange):
    def do(strategy: Any, until: Any) -> None:
        strategy.sell(size=1, exectype=STOP, price=90.5, market_protection=5)
        until(lambda: statuses(kite_exchange) == ["TRIGGER PENDING"], "the stop")

    kite_exchange.reset([100.0] * 30, speed=60, **STRICT)
    run(kite_exchange, Once(kite_exchange, do), **{"broker.stop_as": "SL"})
    (row,) = kite_exchange.orders()
    assert (row["order_type"], row["trigger_price"], row["price"]) == ("SL", 90.5, 90.0)


def test_in_lock_step_no_band_is_asked_for(kite_exchange):
    kite_exchange.reset([100.0] * 5)
    run(kite_exchange, None)
    assert [row for row in kite_exchange.steer.requests() if row["path"].startswith("/quote")] == []
