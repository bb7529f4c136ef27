"""Every row of the table of docs/fills.md, and properties that hold for any path and any orders."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.market.matching import Event, Quote, Working, next_event, print_times, prints
from btkite.values import OrderType

BUY, SELL = 1, -1


def working(sign, order_type, price=0.0, trigger=0.0, *, met=-1, arrival=0, ref=1):
    return Working(ref, sign, order_type, price, trigger, arrival, met)


def event(order, before, now, number=5):
    return next_event([order], None if before is None else Quote.at(before), Quote.at(now), number)


def test_a_candle_that_closes_up_or_flat_goes_low_first():
    assert prints(100, 105, 95, 102) == (100, 95, 105, 102)
    assert prints(100, 105, 95, 100) == (100, 95, 105, 100)
    assert prints(100, 105, 95, 99) == (100, 105, 95, 99)


def test_a_minute_prints_at_0_20_40_and_59():
    assert print_times(1000, 1060) == (1000, 1020, 1040, 1059)


NEWCOMERS = [
    (BUY, OrderType.MARKET, 0, 0, 101, 101),
    (SELL, OrderType.MARKET, 0, 0, 101, 101),
    (BUY, OrderType.LIMIT, 100, 0, 99, 99),
    (BUY, OrderType.LIMIT, 100, 0, 100, 100),
    (BUY, OrderType.LIMIT, 100, 0, 100.05, None),
    (SELL, OrderType.LIMIT, 100, 0, 101, 101),
    (SELL, OrderType.LIMIT, 100, 0, 100, 100),
    (SELL, OrderType.LIMIT, 100, 0, 99.95, None),
    (BUY, OrderType.SLM, 0, 100, 101, 101),
    (BUY, OrderType.SLM, 0, 100, 100, 100),
    (BUY, OrderType.SLM, 0, 100, 99.95, None),
    (SELL, OrderType.SLM, 0, 100, 99, 99),
    (SELL, OrderType.SLM, 0, 100, 100, 100),
    (SELL, OrderType.SLM, 0, 100, 100.05, None),
    (BUY, OrderType.SL, 102, 100, 101, 101),
    (SELL, OrderType.SL, 98, 100, 99, 99),
]


@pytest.mark.parametrize("jump", [True, False])
@pytest.mark.parametrize(("sign", "kind", "price", "trigger", "now", "trades_at"), NEWCOMERS)
def test_an_order_meets_the_next_print(sign, kind, price, trigger, now, trades_at, jump):
    found = event(working(sign, kind, price, trigger, met=4), None if jump else 100.5, now)
    if trades_at is None:
        assert found is None
    else:
        assert (found.price, found.trades, found.on_print) == (trades_at, True, True)


RESTING = [
    (BUY, OrderType.LIMIT, 100, 0, 101, 99, 100),
    (BUY, OrderType.LIMIT, 100, 0, 101, 100, 100),
    (BUY, OrderType.LIMIT, 100, 0, 101, 100.05, None),
    (BUY, OrderType.LIMIT, 100, 0, 101, 102, None),
    (SELL, OrderType.LIMIT, 100, 0, 99, 101, 100),
    (SELL, OrderType.LIMIT, 100, 0, 99, 98, None),
    (BUY, OrderType.SLM, 0, 100, 99, 101, 100),
    (BUY, OrderType.SLM, 0, 100, 99, 98, None),
    (SELL, OrderType.SLM, 0, 100, 101, 99, 100),
    (SELL, OrderType.SLM, 0, 100, 101, 102, None),
    (BUY, OrderType.SL, 100.5, 100, 99, 101, 100),
    (SELL, OrderType.SL, 99.5, 100, 101, 99, 100),
]


@pytest.mark.parametrize(("sign", "kind", "price", "trigger", "before", "now", "trades_at"), RESTING)
def test_a_resting_order_is_walked_continuously(sign, kind, price, trigger, before, now, trades_at):
    found = event(working(sign, kind, price, trigger), before, now)
    if trades_at is None:
        assert found is None
    else:
        assert (found.price, found.trades) == (trades_at, True)
        assert found.on_print is (trades_at == now)


def test_a_resting_order_meets_an_open_beyond_it_at_that_open():
    assert event(working(BUY, OrderType.LIMIT, 100), None, 97).price == 97
    assert event(working(SELL, OrderType.SLM, trigger=100), None, 97).price == 97


def test_a_stop_limit_whose_limit_is_passed_rests_as_a_limit_and_trades_on_the_way_back():
    order = working(SELL, OrderType.SL, price=100.5, trigger=100)
    found = event(order, 101, 99)
    assert (found.price, found.trades) == (100, False)
    order.triggered = True
    assert next_event([order], found.where, Quote.at(99), 5) is None
    assert next_event([order], Quote.at(99), Quote.at(101), 6).price == 100.5


def test_a_triggered_buy_limit_below_the_trigger_does_not_trade_on_the_way_up():
    order = working(BUY, OrderType.SL, price=100.5, trigger=101)
    found = event(order, 100, 102)
    assert (found.price, found.trades) == (101, False)
    order.triggered = True
    assert next_event([order], found.where, Quote.at(102), 5) is None


def test_a_stop_limit_triggered_on_the_print_does_not_trade_at_the_price_the_path_came_from():
    order = working(BUY, OrderType.SL, price=99.05, trigger=99.3)
    found = event(order, 98.8, 99.3)
    assert (found.price, found.trades, found.on_print) == (99.3, False, True)
    order.triggered = True
    assert next_event([order], found.where, Quote.at(99.3), 5) is None
    assert next_event([order], Quote.at(99.3), Quote.at(99.05), 6).price == 99.05


def test_an_order_given_at_a_print_waits_for_the_one_after():
    assert event(working(BUY, OrderType.MARKET, met=5), 100, 101, number=5) is None
    assert event(working(BUY, OrderType.MARKET, met=5), 101, 102, number=6).price == 102


def test_an_order_given_between_prints_never_gets_a_price_already_passed():
    # The path is at 99.5 on its way from 100 to 99; a stop at 99.2 given now meets 99, not 99.2.
    late = working(SELL, OrderType.SLM, trigger=99.2, met=4)
    assert next_event([late], Quote.at(99.5), Quote.at(99), 5).price == 99


def test_events_come_in_the_order_of_the_path_then_of_arrival():
    near = working(BUY, OrderType.LIMIT, 99.5, ref=1, arrival=9)
    far = working(BUY, OrderType.LIMIT, 99.0, ref=2, arrival=1)
    twin = working(BUY, OrderType.LIMIT, 99.5, ref=3, arrival=3)
    assert next_event([near, far, twin], Quote.at(100), Quote.at(98), 5).working is twin


def test_with_a_spread_a_buy_walks_the_ask_and_a_sell_the_bid():
    before, now = Quote(100, 99.9, 100.1), Quote(99, 98.9, 99.1)
    buy = working(BUY, OrderType.LIMIT, 99.05)
    assert next_event([buy], before, now, 5) is None
    assert next_event([working(BUY, OrderType.MARKET, met=4)], before, now, 5).price == 99.1
    stop = next_event([working(SELL, OrderType.SLM, trigger=99.5)], before, now, 5)
    assert stop.price == pytest.approx(99.4)


price = st.integers(1900, 2100).map(lambda n: n / 20)
kinds = st.sampled_from(list(OrderType))


@st.composite
def order_books(draw):
    orders = []
    for ref in range(draw(st.integers(1, 5))):
        orders.append(
            Working(
                ref,
                draw(st.sampled_from([BUY, SELL])),
                draw(kinds),
                draw(price),
                draw(price),
                arrival=ref,
                met=-1,
            )
        )
    return orders


def play(orders, candles):
    """Walk candles to the end as a broker does; the list of (number of the print, event)."""
    events: list[tuple[int, Event]] = []
    number, last = -1, None
    for candle in candles:
        for step, print_ in enumerate(prints(*candle)):
            number += 1
            before = None if step == 0 else last
            now = Quote.at(print_)
            while (found := next_event(orders, before, now, number)) is not None:
                events.append((number, found))
                before = found.where
                if found.trades:
                    orders = [order for order in orders if order is not found.working]
                else:
                    found.working.triggered = True
            last = now
    return events


@st.composite
def candles(draw):
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        open_, close = draw(price), draw(price)
        high = max(open_, close, draw(price))
        low = min(open_, close, draw(price))
        rows.append((open_, high, low, close))
    return rows


@given(order_books(), candles())
def test_every_fill_is_a_price_that_its_order_allows_and_the_candle_holds(orders, rows):
    for number, found in play(orders, rows):
        _, high, low, _ = rows[number // 4]
        assert low <= found.price <= high
        if not found.trades:
            assert found.working.order_type is OrderType.SL
            continue
        order = found.working
        if order.order_type in (OrderType.LIMIT, OrderType.SL):
            assert (found.price - order.price) * order.sign <= 0


@given(order_books(), candles())
def test_no_order_is_missed_that_the_candles_reach(orders, rows):
    filled = {found.working.ref for _, found in play(list(orders), rows) if found.trades}
    for order in orders:
        if order.order_type is OrderType.MARKET:
            assert order.ref in filled
        if order.order_type is OrderType.LIMIT:
            reached = any((low <= order.price) if order.sign > 0 else (high >= order.price) for _, high, low, _ in rows)
            assert reached == (order.ref in filled)
        if order.order_type is OrderType.SLM:
            reached = any(
                (high >= order.trigger) if order.sign > 0 else (low <= order.trigger) for _, high, low, _ in rows
            )
            assert reached == (order.ref in filled)


@given(order_books(), candles())
def test_the_listing_order_of_the_book_does_not_matter(orders, rows):
    def fresh():
        return [Working(o.ref, o.sign, o.order_type, o.price, o.trigger, o.arrival, o.met) for o in orders]

    def log(book):
        return [(number, found.working.ref, found.price, found.trades) for number, found in play(book, rows)]

    assert log(fresh()) == log(fresh()[::-1])


@given(order_books(), candles())
def test_events_of_one_print_never_step_back_on_the_path(orders, rows):
    for _, group in itertools.groupby(play(orders, rows), key=lambda pair: pair[0]):
        events = [found for _, found in group]
        lasts = [found.where.last for found in events]
        assert lasts in (sorted(lasts), sorted(lasts, reverse=True))
