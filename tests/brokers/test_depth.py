from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.brokers.depth import sides, slipped, take
from btkite.market.matching import Event, Quote, Working
from btkite.values import Level, OrderType

ASKS = [(100.05, 100), (100.1, 100), (100.15, 100)]
BIDS = [(99.95, 100), (99.9, 100), (99.85, 100)]


def levels(rows: list[tuple[float, int]]) -> list[Level]:
    return [Level(price, quantity, 1) for price, quantity in rows]


def working(kind: OrderType, *, buys: bool = True, price: float = 0.0, triggered: bool = False) -> Working:
    return Working(1, 1 if buys else -1, kind, price, 0.0, 1, 0, triggered)


def event(order: Working, price: float, *, on_print: bool = True) -> Event:
    return Event(order, price, True, Quote.at(price), on_print)


MARKET, LIMIT, STOP, STOPLIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.SLM, OrderType.SL


def test_a_tick_without_depth_fills_whole():
    assert sides((), ()) == (None, None)
    assert sides((Level(0.0, 0, 0),), (Level(0.0, 0, 0),)) == (None, None)
    order = working(MARKET)
    assert take(None, order, event(order, 100.0), 10**6) == [(10**6, 100.0)]


def test_depth_on_one_side_only_is_depth():
    bids, asks = sides(levels(BIDS), (Level(0.0, 0, 0),) * 5)
    assert (len(bids or []), asks) == (3, [])
    order = working(MARKET)
    assert take(asks, order, event(order, 100.0), 10) == []


@pytest.mark.parametrize(
    ("order", "at", "on_print", "expected"),
    [
        (working(MARKET), 100.05, True, [(100, 100.05), (100, 100.1), (50, 100.15)]),
        (working(LIMIT, price=100.1), 100.05, True, [(100, 100.05), (100, 100.1)]),
        (working(LIMIT, price=100.12), 100.12, False, [(100, 100.12), (100, 100.12)]),  # passed: at its own price
        (working(STOP), 99.0, False, [(100, 99.0), (100, 99.05), (50, 99.1)]),  # on the way: the book moves along
        (working(STOPLIMIT, price=99.05), 99.0, False, [(100, 99.0), (100, 99.05)]),
        (working(STOPLIMIT, price=100.1, triggered=True), 100.1, False, [(100, 100.1), (100, 100.1)]),
    ],
)
def test_each_kind_walks_as_far_as_it_may(order, at, on_print, expected):
    assert take(levels(ASKS), order, event(order, at, on_print=on_print), 250) == expected


def test_a_seller_walks_down():
    order = working(LIMIT, buys=False, price=99.9)
    assert take(levels(BIDS), order, event(order, 99.95), 250) == [(100, 99.95), (100, 99.9)]


def test_what_is_taken_is_gone():
    asks, order = levels(ASKS), working(MARKET)
    take(asks, order, event(order, 100.05), 150)
    assert [level.quantity for level in asks] == [0, 50, 100]
    assert take(asks, order, event(order, 100.05), 60) == [(50, 100.1), (10, 100.15)]


@given(
    st.lists(st.integers(0, 50), max_size=5),
    st.integers(1, 200),
    st.booleans(),
    st.sampled_from([MARKET, LIMIT, STOP, STOPLIMIT]),
    st.integers(0, 6),
    st.booleans(),
)
def test_never_more_than_shown_or_wanted_and_never_beyond_the_limit(shown, wanted, buys, kind, offset, on_print):
    sign = 1 if buys else -1
    side = [Level(round(100 + sign * 0.05 * n, 2), quantity, 1) for n, quantity in enumerate(shown)]
    limit = round(100 + sign * 0.05 * offset, 2) if kind in (LIMIT, STOPLIMIT) else 0.0
    order = working(kind, buys=buys, price=limit)
    price = limit if kind is LIMIT and not on_print else 100.0
    parts = take(side, order, event(order, price, on_print=on_print), wanted)
    assert sum(part for part, _ in parts) <= min(wanted, sum(shown))
    assert sum(level.quantity for level in side) == sum(shown) - sum(part for part, _ in parts)
    assert all(part > 0 for part, _ in parts)
    if limit:
        assert all((paid - limit) * sign <= 1e-9 for _, paid in parts)
    if kind in (MARKET, STOP):
        assert sum(part for part, _ in parts) == min(wanted, sum(shown))


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (working(MARKET), 100.1),
        (working(MARKET, buys=False), 99.9),
        (working(STOP), 100.1),
        (working(LIMIT, price=105.0), 100.0),
        (working(STOPLIMIT, price=105.0), 100.1),
        (working(STOPLIMIT, price=100.05), 100.05),
        (working(STOPLIMIT, price=99.95, buys=False), 99.95),
        (working(STOPLIMIT, price=105.0, triggered=True), 100.0),
    ],
)
def test_slippage_is_for_what_trades_at_the_market(order, expected):
    assert slipped(order, 100.0, 0.1) == expected
    assert slipped(order, 100.0, 0.0) == 100.0
