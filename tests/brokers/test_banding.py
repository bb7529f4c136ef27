"""Prices outside the day's band never reach Kite: on a market that runs, with the exchange as strict as Kite."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.market.bands import Band
from btkite.testing import bars as canned
from tests.brokers.scene import CALM, Order, buy
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
        assert order.info.denied_by == "broker.out_of_band"
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


def test_a_limit_is_moved_to_the_bands_edge_if_that_is_wanted_and_no_worse(kite_exchange):
    given: list[Any] = []

    def do(strategy: Any, until: Any) -> None:
        given.extend(getattr(strategy, side)(size=1, **how) for side, how, _ in OUTSIDE)
        until(lambda: len(kite_exchange.orders()) == 3, "those that could be moved")
        assert strategy.broker.modify(given[2], price=112.0) is False  # nor is a sale sold for more

    kite_exchange.reset([100.0] * 30, speed=60, **STRICT)
    run(kite_exchange, Once(kite_exchange, do), **{"broker.out_of_band": "clamp"})
    moved = [number for number, order in enumerate(given) if "denied" not in order.info]
    assert moved == [0, 3, 6]  # a purchase for no more, a sale for no less
    assert [given[number].info.clamped for number in moved] == [110.05, 89.95, 110.05]
    assert [row["price"] for row in kite_exchange.orders()] == [110.0, 90.0, 110.0]
    assert given[0].created.price == 110.0
    assert given[6].created.pricelimit == 110.0
    assert {row["status"] for row in kite_exchange.steer.requests() if row["path"].startswith("/orders")} == {200}


FUTURE = "NFO:NIFTY26NOVFUT"


def test_a_derivatives_limit_far_from_its_last_price_is_denied_and_one_at_the_edge_is_taken(kite_exchange):
    """2 per cent for a future on an index at 24,000."""
    given: list[Any] = []

    def do(strategy: Any, until: Any) -> None:
        for price in (24_480.0, 24_480.5, 23_520.0, 23_519.5):
            given.append(strategy.buy(size=65, exectype=LIMIT, price=price))
        given.append(strategy.buy(size=65, exectype=STOP_LIMIT, price=24_900.0, plimit=24_950.0))
        until(lambda: len(kite_exchange.orders()) == 3, "those inside")

    settings = {**STRICT, "checks": ("circuit", "lpp"), "lot_sizes": {FUTURE: 65}, "cash": 1e9, "lpp_seconds": 0}
    kite_exchange.reset({FUTURE: canned.from_rows([24_000.0] * 30, symbol=FUTURE)}, speed=60, **settings)
    run(kite_exchange, Once(kite_exchange, do), symbol=FUTURE, **{"broker.capital": 1e9})
    assert ["denied" in order.info for order in given] == [False, True, False, True, False]
    assert "a price of 24480.5 lies outside" in given[1].info.denied
    assert "range about its last price, 23520 to 24480" in given[3].info.denied
    assert not [row for row in kite_exchange.orders() if row["status"].startswith("REJECTED")]


def test_in_lock_step_no_band_is_asked_for(kite_exchange):
    kite_exchange.reset([100.0] * 5)
    run(kite_exchange, None)
    assert [row for row in kite_exchange.steer.requests() if row["path"].startswith("/quote")] == []


@pytest.mark.parametrize(("age", "counts"), [(0, True), (180, True), (181, False), (86_400, False)])
def test_a_band_that_could_not_be_read_for_minutes_counts_for_nothing(live, age, counts):
    found: list[Any] = []

    def look(s: Any) -> None:
        order, broker = s.given[0], s.broker
        broker.bands["NSE:TEST"] = Band(95.0, 105.0, broker.now - age)
        found.append((broker.band_of(order) is not None, broker.within_bands(order, 120.0)))
        broker.bands.clear()

    live.run([CALM] * 8, {2: buy(size=1, exectype=LIMIT, price=90.0), 4: look})
    assert found == [(counts, 105.0 if counts else 120.0)]
