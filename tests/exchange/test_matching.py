"""docs/fills.md, read from the page: every row of its table in both directions, and its order of events."""

from __future__ import annotations

import pytest

from .scene import DAY, Bar, Scene, candles

# A candle that closes up prints open, low, high, close; one that closes down open, high, low, close.
UP: Bar = (100.0, 104.0, 98.0, 102.0)  # 100 98 104 102 at :00 :20 :40 :59
DOWN: Bar = (102.0, 104.0, 98.0, 100.0)  # 102 104 98 100


def mirrored(bar: Bar) -> Bar:
    """The same path upside down about 100."""
    opens, high, low, close = bar
    return 200 - opens, 200 - low, 200 - high, 200 - close


def flip(price: float, side: str) -> float:
    return price if side == "BUY" else 200 - price


def path(side: str, *bars: Bar) -> list[Bar]:
    """Bars told for a buy, mirrored for a sell. A mirrored flat candle would keep its print order."""
    return list(bars) if side == "BUY" else [mirrored(bar) for bar in bars]


sides = pytest.mark.parametrize("side", ["BUY", "SELL"])


def test_a_candle_is_printed_four_times_at_its_thirds() -> None:
    scene = Scene([UP, DOWN])
    listing = scene.venue.market.listings["NSE:INFY"]
    prints: list[tuple[str, float]] = []
    while not scene.venue.done:
        before = listing.printed
        scene.venue.pull(True, None)
        if listing.printed > before:
            prints.append((scene.now, listing.last))
    assert prints == [
        ("09:15:00", 100), ("09:15:20", 98), ("09:15:40", 104), ("09:15:59", 102),
        ("09:16:00", 102), ("09:16:20", 104), ("09:16:40", 98), ("09:16:59", 100),
    ]  # fmt: skip


@sides
def test_a_market_order_trades_at_the_next_print(side: str) -> None:
    scene = Scene(path(side, UP, DOWN)).opened()
    scene.bar()
    scene.place(side)
    scene.bar()
    assert scene.fills() == [("09:16:00", side, flip(102, side))]


@sides
def test_a_limit_that_meets_a_print_beyond_it_trades_at_that_print(side: str) -> None:
    scene = Scene(path(side, UP)).opened()
    scene.place(side, "LIMIT", price=flip(101, side))
    scene.bar()
    assert scene.fills() == [("09:15:00", side, flip(100, side))]


@sides
def test_a_limit_that_a_candle_opens_beyond_trades_at_that_open(side: str) -> None:
    gap: Bar = (95.0, 97.0, 94.0, 96.0)
    scene = Scene(path(side, (100.0, 101.0, 99.5, 100.5), gap)).opened()
    scene.place(side, "LIMIT", price=flip(98, side))
    assert scene.bar() == "09:16:00"
    scene.bar()
    assert scene.fills() == [("09:16:00", side, flip(95, side))]


@sides
@pytest.mark.parametrize("level", [99.0, 98.0])
def test_a_resting_limit_trades_at_its_own_price_even_if_it_is_only_touched(side: str, level: float) -> None:
    scene = Scene(path(side, UP)).opened()
    scene.place(side, "LIMIT", price=flip(level, side))
    assert scene.bar() == "09:15:20"
    assert scene.fills() == [("09:15:20", side, flip(level, side))]


@sides
def test_a_limit_that_the_path_does_not_reach_rests(side: str) -> None:
    scene = Scene(path(side, UP)).opened()
    order = scene.place(side, "LIMIT", price=flip(97.95, side))
    assert scene.bar() == "09:16:00"
    assert (order.status, scene.fills()) == ("OPEN", [])


@sides
@pytest.mark.parametrize("level", [103.0, 104.0])
def test_a_resting_stop_trades_where_it_is_touched(side: str, level: float) -> None:
    scene = Scene(path(side, UP)).opened()
    scene.place(side, "SL-M", trigger_price=flip(level, side))
    assert scene.bar() == "09:15:40"
    assert scene.fills() == [("09:15:40", side, flip(level, side))]


@sides
def test_a_stop_that_a_candle_opens_beyond_trades_at_that_open(side: str) -> None:
    scene = Scene(path(side, (100.0, 101.0, 99.0, 100.5), (105.0, 106.0, 104.0, 105.5))).opened()
    scene.place(side, "SL-M", trigger_price=flip(103, side))
    scene.bar()
    scene.bar()
    assert scene.fills() == [("09:16:00", side, flip(105, side))]


@sides
def test_a_stop_that_meets_a_print_beyond_it_trades_at_that_print(side: str) -> None:
    scene = Scene(path(side, UP)).opened()
    scene.place(side, "SL-M", trigger_price=flip(99.5, side))
    scene.bar()
    assert scene.fills() == [("09:15:00", side, flip(100, side))]


@sides
def test_a_stop_limit_whose_limit_is_satisfied_at_the_trigger_trades_there_in_one_event(side: str) -> None:
    scene = Scene(path(side, UP)).opened()
    order = scene.place(side, "SL", trigger_price=flip(103, side), price=flip(103.5, side))
    scene.bar()
    assert scene.fills() == [("09:15:40", side, flip(103, side))]
    assert [row["status"] for row in order.history][-3:] == ["TRIGGER PENDING", "OPEN", "COMPLETE"]


@sides
def test_a_stop_limit_beyond_its_limit_rests_from_the_trigger_on(side: str) -> None:
    scene = Scene(path(side, UP, DOWN)).opened()
    order = scene.place(side, "SL", trigger_price=flip(103, side), price=flip(102.5, side))
    assert scene.bar() == "09:15:40"  # the trigger, an event of its own
    assert (order.status, scene.fills()) == ("OPEN", [])
    assert scene.bar() == "09:15:59"
    assert scene.fills() == [("09:15:59", side, flip(102.5, side))]


@sides
def test_a_stop_limit_that_jumps_over_its_limit_rests(side: str) -> None:
    scene = Scene(path(side, (100.0, 101.0, 99.0, 100.5), (105.0, 106.0, 103.0, 105.5))).opened()
    scene.place(side, "SL", trigger_price=flip(102, side), price=flip(104, side))
    scene.bar()
    assert scene.bar() == "09:16:00"
    assert scene.fills() == []
    assert scene.bar() == "09:16:20"
    assert scene.fills() == [("09:16:20", side, flip(104, side))]


def test_an_order_given_between_prints_never_trades_at_a_price_that_was_passed() -> None:
    """Rule 5: it meets the next print as if the candle opened there, although the path crosses its limit."""
    scene = Scene([UP]).opened()
    first = scene.place("BUY", "LIMIT", price=99.0)
    assert scene.bar() == "09:15:20"  # in the middle of 100 -> 98
    assert first.status == "COMPLETE"
    scene.place("BUY", "LIMIT", price=98.5)
    scene.bar()
    assert scene.fills()[1:] == [("09:15:20", "BUY", 98.0)]  # not 98.5: it met the print as a newcomer


def test_an_order_given_on_a_print_meets_the_print_after() -> None:
    scene = Scene([UP]).opened()
    scene.place("BUY", "LIMIT", price=98.0)  # reached exactly on the second print
    assert scene.bar() == "09:15:20"
    scene.place("SELL")
    scene.bar()
    assert scene.fills()[1:] == [("09:15:40", "SELL", 104.0)]


def test_two_events_on_one_segment_come_in_the_order_of_the_path_each_with_its_own_stop() -> None:
    scene = Scene([UP]).opened()
    far = scene.place("SELL", "LIMIT", price=103.0)
    near = scene.place("SELL", "LIMIT", price=101.0)
    assert scene.bar() == "09:15:40"
    assert (near.status, far.status) == ("COMPLETE", "OPEN")
    assert scene.bar() == "09:15:40"
    assert far.status == "COMPLETE"
    assert [price for _, _, price in scene.fills()] == [101.0, 103.0]


def test_two_events_at_one_price_come_in_the_order_of_arrival() -> None:
    scene = Scene([UP]).opened()
    orders = [scene.place("SELL", "LIMIT", price=101.0, quantity=quantity) for quantity in (1, 2, 3)]
    scene.bar()
    assert [order.status for order in orders] == ["COMPLETE", "OPEN", "OPEN"]
    scene.venue.modify("regular", orders[1].order_id, {"quantity": "5"})  # a change is a new arrival
    scene.bar()
    assert [order.status for order in orders] == ["COMPLETE", "OPEN", "COMPLETE"]
    scene.bar()
    assert scene.fills()[2] == ("09:15:40", "SELL", 104.0)  # changed between prints: it met the print


def test_a_cancel_after_the_first_leg_of_an_oco_spares_the_second_on_the_same_segment() -> None:
    scene = Scene([(100.0, 104.0, 98.0, 102.0)]).opened()
    target = scene.place("SELL", "LIMIT", price=103.0)
    sibling = scene.place("SELL", "LIMIT", price=103.5)
    scene.bar()
    assert target.status == "COMPLETE"
    scene.venue.cancel("regular", sibling.order_id)
    assert scene.bar() == "09:16:00"
    assert [price for _, _, price in scene.fills()] == [103.0]


def test_a_child_given_after_an_entry_in_the_middle_of_a_segment_meets_that_segments_end() -> None:
    scene = Scene([DOWN]).opened()
    scene.place("BUY", "SL-M", trigger_price=103.0)
    assert scene.bar() == "09:15:20"
    scene.place("SELL", "LIMIT", price=103.5)
    scene.bar()
    assert scene.fills() == [("09:15:20", "BUY", 103.0), ("09:15:20", "SELL", 104.0)]


def test_into_a_candle_the_price_jumps_and_nothing_between_is_traded() -> None:
    scene = Scene([(100.0, 100.0, 100.0, 100.0), (105.0, 105.0, 105.0, 105.0)]).opened()
    scene.place("SELL", "LIMIT", price=103.0)
    scene.bar()
    scene.bar()
    assert scene.fills() == [("09:16:00", "SELL", 105.0)]


def test_instruments_that_print_at_one_time_are_played_in_the_order_of_their_keys() -> None:
    flat = [(100.0, 100.0, 100.0, 100.0)] * 2
    scene = Scene(candles={"NSE:SBIN": candles(flat), "NSE:INFY": candles(flat)}).opened()
    scene.place("BUY", symbol="SBIN")
    scene.place("BUY", symbol="INFY")
    scene.bar()
    assert [trade["tradingsymbol"] for trade in scene.venue.book.trades] == ["INFY"]
    scene.place("SELL", symbol="SBIN")  # SBIN has not printed at this time yet: both trade at it
    scene.bar()
    scene.bar()
    traded = [(trade["tradingsymbol"], trade["fill_timestamp"][11:]) for trade in scene.venue.book.trades]
    assert traded == [("INFY", "09:15:00"), ("SBIN", "09:15:00"), ("SBIN", "09:15:00")]


def test_a_ttl_order_works_before_its_deadline_and_expires_at_it_before_all_else() -> None:
    scene = Scene([(100.0, 100.0, 100.0, 100.0), (95.0, 95.0, 95.0, 95.0)]).opened()
    order = scene.place("BUY", "LIMIT", price=96.0, validity="TTL", validity_ttl=1)
    assert scene.bar() == "09:16:00"
    assert order.status == "CANCELLED"
    assert scene.bar() == "09:16:00"  # the bar's end comes after
    scene.to_end()
    assert scene.fills() == []


def test_an_ioc_order_trades_at_its_first_print_or_is_cancelled_there() -> None:
    scene = Scene([UP]).opened()
    lost = scene.place("BUY", "LIMIT", price=99.0, validity="IOC")
    taken = scene.place("BUY", "LIMIT", price=100.0, validity="IOC")
    assert scene.bar() == "09:15:00"
    assert (lost.status, lost.cancelled_quantity) == ("CANCELLED", 10)
    assert scene.bar() == "09:15:00"
    assert (taken.status, scene.fills()) == ("COMPLETE", [("09:15:00", "BUY", 100.0)])


def test_with_a_spread_a_buy_walks_the_ask_and_a_sell_the_bid() -> None:
    scene = Scene([UP], spread_ticks=2).opened()  # ask one tick above the last price, bid one below
    buy = scene.place("BUY", "LIMIT", price=98.0)  # the ask comes down to 98.05 only
    sell = scene.place("SELL", "LIMIT", price=103.95)  # the bid comes up to 103.95
    scene.bar()
    assert (buy.status, sell.status) == ("OPEN", "COMPLETE")
    scene.place("BUY")
    scene.to_end()
    assert scene.fills() == [("09:15:40", "SELL", 103.95), ("09:15:59", "BUY", 102.05)]


def test_with_a_spread_a_stop_is_triggered_by_the_last_price_and_trades_at_the_touch() -> None:
    scene = Scene([UP], spread_ticks=2).opened()
    scene.place("BUY", "SL-M", trigger_price=103.0)
    scene.bar()
    assert scene.fills() == [("09:15:40", "BUY", 103.05)]


def test_latency_makes_an_order_miss_the_prints_before_it_works() -> None:
    scene = Scene([UP], latency=30.0).opened()
    scene.place("BUY")
    scene.to_end()
    assert scene.fills() == [("09:15:40", "BUY", 104.0)]


def test_candles_longer_than_the_rest_of_the_session_are_cut_at_its_close() -> None:
    scene = Scene(candles={"NSE:INFY": candles([UP], start="15:15", minutes=60)})
    scene.bar()  # the open
    scene.place("BUY", "LIMIT", price=98.0)
    assert scene.bar() == "15:20:00"  # 15:15 and a third of fifteen minutes
    assert scene.to_end() == ["15:30:00"]


def test_a_day_candle_is_printed_over_the_session() -> None:
    from btkite.exchange import CandleSeries

    series = CandleSeries(interval="day", start=[DAY], open=[100], high=[104], low=[98], close=[102], volume=[10])
    scene = Scene(candles={"NSE:INFY": series}, interval="day").opened()
    scene.place("BUY", "LIMIT", price=98.0)
    assert scene.bar() == "11:20:00"
    scene.place("BUY", "LIMIT", price=102.0)
    scene.to_end()
    assert scene.fills()[-1] == ("15:29:59", "BUY", 102.0)
