"""Where a lock-step pull stops, and what happens between sessions."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from btkite.exchange import CandleSeries
from btkite.exchange.clock import kite_text

from .scene import DAY, KEY, Scene, candles, form

FLAT = (100.0, 100.0, 100.0, 100.0)


def two_days() -> CandleSeries:
    starts = [
        DAY + timedelta(days=day, hours=hour, minutes=minute) for day in (0, 1) for hour, minute in ((9, 15), (15, 29))
    ]
    return CandleSeries(interval="minute", start=starts, open=[100, 101, 102, 103], high=[100, 101, 102, 103],
                        low=[100, 101, 102, 103], close=[100, 101, 102, 103], volume=[10] * 4)  # fmt: skip


def test_a_pull_stops_at_the_open_before_its_first_print_and_at_every_candles_end() -> None:
    scene = Scene([FLAT] * 3)
    assert scene.now == "09:00:00"
    assert scene.bar() == "09:15:00"
    assert scene.venue.market.listings[KEY].last == 0
    assert scene.to_end() == ["09:16:00", "09:17:00", "09:18:00"]


def test_at_the_end_of_the_data_time_stands_still_and_says_so() -> None:
    scene = Scene([FLAT])
    scene.to_end()
    assert (scene.venue.done, scene.bar(), scene.bar("11:00:00")) == (True, "09:16:00", "09:16:00")
    assert scene.venue.done


def test_a_pull_with_a_limit_plays_what_is_strictly_before_it() -> None:
    scene = Scene([FLAT] * 2).opened()
    assert scene.bar("09:15:20") == "09:15:20"
    assert scene.venue.market.listings[KEY].printed == 1  # the print of :20 is still to come
    assert scene.bar("09:16:00") == "09:16:00"
    assert scene.venue.market.listings[KEY].printed == 4
    assert scene.bar() == "09:16:00"  # the bar's end itself
    assert scene.bar("09:10:00") == "09:16:00"  # a limit in the past is now


def test_a_limit_at_now_stops_at_once_even_in_the_middle_of_a_segment() -> None:
    scene = Scene([(100.0, 104.0, 98.0, 102.0)]).opened()
    scene.place("BUY", "LIMIT", price=99.0)
    late = scene.place("BUY", "LIMIT", price=98.5)
    assert scene.bar() == "09:15:20"
    assert scene.bar("09:15:20") == "09:15:20"
    assert late.status == "OPEN"  # its owner may still cancel it at this very time
    scene.bar()
    assert late.average_price == 98.5


def test_closed_time_is_jumped_over() -> None:
    scene = Scene(candles={KEY: two_days()})
    assert scene.to_end() == ["09:15:00", "09:16:00", "15:30:00", "09:15:00", "09:16:00", "15:30:00"]


def test_orders_of_the_day_lapse_at_the_close_before_the_last_bars_stop() -> None:
    scene = Scene(candles={KEY: two_days()}).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)
    scene.bar()
    assert scene.bar() == "15:30:00"
    row = order.latest()
    assert (row["status"], row["status_message"], row["cancelled_quantity"]) == ("CANCELLED", None, 10)
    assert scene.venue.market.listings[KEY].printed == 8  # after the last print
    assert scene.bar() == "15:30:00"  # the bar


def test_a_limit_at_the_close_still_delivers_the_lapse_first() -> None:
    scene = Scene(candles={KEY: two_days()}).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)
    scene.bar()
    assert scene.bar("15:30:00") == "15:30:00"
    assert order.status == "CANCELLED"


def test_data_that_end_in_mid_session_leave_orders_alive() -> None:
    scene = Scene([FLAT]).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)
    scene.to_end()
    assert order.status == "OPEN"


def test_an_explicit_end_after_the_close_plays_the_close() -> None:
    scene = Scene([FLAT], end=DAY.replace(hour=16)).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)
    assert scene.to_end() == ["09:16:00", "15:30:00"]
    assert order.status == "CANCELLED"


def test_a_new_day_wipes_the_book_and_carries_positions_at_their_average() -> None:
    scene = Scene(candles={KEY: two_days()}).opened()
    scene.place("BUY", product="CNC")
    scene.place("SELL", quantity=4)
    for _ in range(5):
        scene.bar()
    assert scene.now == "09:15:00"
    assert scene.venue.book.orders == {}
    short = scene.venue.positions()["net"]
    assert [
        (row["quantity"], row["overnight_quantity"], row["average_price"], row["close_price"]) for row in short
    ] == [(-4, -4, 100.0, 101.0)]
    holding = scene.venue.account.holdings[KEY]
    assert (holding.quantity, holding.t1, holding.average_price) == (0, 10, 100.0)
    listing = scene.venue.market.listings[KEY]
    assert (listing.previous_close, listing.volume, listing.open) == (101.0, 0, 0)


def test_an_after_market_order_is_released_at_the_next_open_and_meets_its_first_print() -> None:
    scene = Scene(candles={KEY: two_days()})
    for _ in range(3):
        scene.bar()
    order = scene.place("BUY", variety="amo")
    assert order.status == "AMO REQ RECEIVED"
    assert scene.bar() == "09:15:00"
    assert order.status == "OPEN"
    scene.bar()
    assert scene.fills() == [("09:15:00", "BUY", 102.0)]
    assert [row["status"] for row in order.history] == [
        "AMO REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN", "COMPLETE",
    ]  # fmt: skip


def test_the_start_may_lie_within_a_day_and_the_day_so_far_is_known() -> None:
    bars = [(100.0, 104.0, 98.0, 102.0), (102.0, 110.0, 101.0, 105.0), FLAT]
    scene = Scene(bars, start=DAY.replace(hour=9, minute=16, second=30))
    listing = scene.venue.market.listings[KEY]
    assert (listing.open, listing.high, listing.low, listing.last, listing.volume) == (100, 104, 98, 101, 150)
    assert scene.bar() == "09:17:00"
    assert listing.high == 110


def test_the_previous_close_comes_from_the_day_before_the_start() -> None:
    scene = Scene(candles={KEY: two_days()}, start=(DAY + timedelta(days=1)).replace(hour=9))
    listing = scene.venue.market.listings[KEY]
    assert (listing.previous_close, listing.last, listing.volume) == (101.0, 101.0, 0)
    assert kite_text(listing.last_us) == "2026-11-18 15:29:59"


def test_holes_of_one_instrument_do_not_hide_the_bar_ends_of_another() -> None:
    series = {"NSE:INFY": candles([FLAT] * 3), "NSE:SBIN": candles([FLAT], start="09:17")}
    scene = Scene(candles=series).opened()
    assert scene.to_end() == ["09:16:00", "09:17:00", "09:18:00"]


def test_candles_on_a_date_that_the_table_calls_closed_are_still_played() -> None:
    sunday = DAY + timedelta(days=4)
    scene = Scene(candles={KEY: candles([FLAT], day=sunday)})
    assert scene.to_end() == ["09:15:00", "09:16:00"]


def test_a_muhurat_session_opens_at_its_own_hour() -> None:
    scene = Scene(candles={KEY: candles([FLAT], start="18:00", day=datetime(2024, 11, 1))})
    assert scene.to_end() == ["18:00:00", "18:01:00"]


def test_prices_put_by_hand_trade_and_are_joined_within_a_minute() -> None:
    scene = Scene(symbols=(KEY,), start=DAY.replace(hour=10))
    listing = scene.venue.market.listings[KEY]
    scene.venue.print_by_hand(listing, 100.0, 5)
    order = scene.place("BUY", "LIMIT", price=99.0)
    scene.venue.print_by_hand(listing, 99.5, 5)
    scene.venue.print_by_hand(listing, 98.0, 5)
    assert (order.average_price, listing.volume, listing.last) == (99.0, 15, 98.0)


def test_a_print_by_hand_in_the_middle_of_a_walk_leaves_the_walk_standing() -> None:
    scene = Scene([(100.0, 104.0, 98.0, 102.0)]).opened()
    scene.place("SELL", "LIMIT", price=103.0)
    assert scene.bar() == "09:15:40"  # between 98 and 104
    scene.venue.print_by_hand(scene.venue.market.listings[KEY], 103.5, 7)
    late = scene.place("SELL", "LIMIT", price=103.8)
    scene.bar()
    assert late.average_price == 104.0
    assert scene.to_end() == ["09:16:00"]
    assert scene.venue.market.listings[KEY].volume == 107


def test_prices_are_rounded_to_what_the_wire_can_carry() -> None:
    scene = Scene([(100.004, 100.006, 100.0, 100.006)], check_tick_size=False).opened()
    scene.bar()
    assert scene.venue.market.listings[KEY].last == 100.01


def test_the_same_market_twice_gives_the_same_trades() -> None:
    def trades() -> list[tuple[str, str, float]]:
        scene = Scene(seed=5, symbols=(KEY, "NSE:SBIN"), generate_sessions=1, interval="5minute").opened()
        for price in (1495.0, 1500.0, 1505.0):
            scene.venue.place("regular", form("BUY", "LIMIT", price=price))
        scene.to_end()
        return scene.fills()

    first = trades()
    assert len(first) >= 1
    assert first == trades()


def test_a_day_of_three_instruments_is_played_in_a_moment() -> None:
    scene = Scene(seed=2, symbols=(KEY, "NSE:SBIN", "NSE:TCS"), generate_sessions=1)
    before = time.process_time()
    stops = scene.to_end()
    spent = time.process_time() - before
    assert len(stops) == 376
    assert spent < 2.0  # 0.03 s on an idle machine: 4500 prints
