"""Displayed depth: partial fills, walking the book, standing books, and what the stream shows of it."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.exchange import BadSettings
from btkite.exchange.depth import Book, Shape, Side
from btkite.exchange.instruments import describe

from .scene import DAY, KEY, Bar, Scene

UP: Bar = (100.0, 104.0, 98.0, 102.0)  # 100 98 104 102 at :00 :20 :40 :59
FLAT: Bar = (100.0, 100.0, 100.0, 100.0)


def parts(scene: Scene) -> list[tuple[str, int, float]]:
    """(time, quantity, price) of every trade."""
    return [(row["fill_timestamp"][14:], row["quantity"], row["average_price"]) for row in scene.venue.book.trades]


def by_hand(**more: Any) -> Scene:
    scene = Scene(symbols=(KEY,), start=DAY.replace(hour=10), **more)
    scene.venue.print_by_hand(scene.venue.market.listings[KEY], 100.0, 5)
    return scene


def test_an_order_larger_than_the_touch_walks_the_book_in_several_trades() -> None:
    scene = Scene([FLAT], depth=4).opened()
    order = scene.place("BUY", quantity=10)
    scene.bar()
    assert parts(scene) == [("15:00", 4, 100.0), ("15:00", 4, 100.05), ("15:00", 2, 100.10)]
    assert order.status == "COMPLETE"
    assert order.average_price == pytest.approx(100.04)
    assert [row["filled_quantity"] for row in order.history][-3:] == [4, 8, 10]


def test_levels_may_differ_and_a_sale_walks_the_bids() -> None:
    scene = Scene([FLAT], depth=(1, 2, 30), spread_ticks=2).opened()
    scene.place("SELL", quantity=10)
    scene.bar()
    assert parts(scene) == [("15:00", 1, 99.95), ("15:00", 2, 99.90), ("15:00", 7, 99.85)]


def test_the_rest_of_a_market_order_waits_for_the_next_print() -> None:
    scene = Scene([UP], depth=1).opened()
    order = scene.place("BUY", quantity=7)
    scene.bar()
    assert (order.status, order.filled_quantity) == ("OPEN", 5)
    scene.bar()
    assert parts(scene)[5:] == [("15:20", 1, 98.0), ("15:20", 1, 98.05)]
    assert order.status == "COMPLETE"


def test_or_it_walks_on_beyond_the_fifth_level() -> None:
    scene = Scene([UP], depth=1, beyond_depth="walk").opened()
    order = scene.place("BUY", quantity=7)
    scene.bar()
    assert [price for _, _, price in parts(scene)] == [100.0, 100.05, 100.1, 100.15, 100.2, 100.25, 100.3]
    assert order.status == "COMPLETE"


def test_the_rest_of_a_limit_order_rests_and_is_never_filled_beyond_its_price() -> None:
    scene = Scene([FLAT, FLAT], depth=3).opened()
    order = scene.place("BUY", "LIMIT", quantity=20, price=100.05)
    scene.bar()
    assert (order.filled_quantity, order.pending_quantity, order.status) == (6, 14, "OPEN")
    scene.bar()
    assert {price for _, _, price in parts(scene)} == {100.0, 100.05}


def test_a_limit_that_is_passed_trades_at_its_own_price_with_those_inside_it() -> None:
    scene = Scene([UP], depth=4).opened()
    order = scene.place("BUY", "LIMIT", quantity=10, price=98.05)
    assert scene.bar() == "09:15:20"
    assert parts(scene) == [("15:20", 8, 98.05)]  # 98.00 and 98.05 stand inside
    assert order.pending_quantity == 2


def test_no_unit_is_sold_twice_at_one_print_and_the_next_one_brings_new_depth() -> None:
    scene = Scene([FLAT], depth=(4, 6)).opened()
    first, second = scene.place("BUY", quantity=8), scene.place("BUY", quantity=8)
    scene.bar()
    scene.bar()
    assert parts(scene) == [("15:00", 4, 100.0), ("15:00", 4, 100.05), ("15:00", 2, 100.05)]
    assert (first.status, second.status, second.pending_quantity) == ("COMPLETE", "OPEN", 6)
    scene.bar()
    assert parts(scene)[3:] == [("15:20", 4, 100.0), ("15:20", 2, 100.05)]


def test_a_stop_that_goes_off_on_the_way_walks_a_book_of_the_same_shape_there() -> None:
    scene = Scene([UP], depth=6).opened()
    scene.place("BUY", "SL-M", trigger_price=103.0)
    scene.bar()
    assert parts(scene) == [("15:40", 6, 103.0), ("15:40", 4, 103.05)]


def test_what_an_ioc_order_does_not_find_at_once_is_cancelled() -> None:
    scene = Scene([FLAT], depth=4).opened()
    order = scene.place("BUY", "LIMIT", price=100.0, validity="IOC")
    scene.bar()
    assert (order.status, order.filled_quantity, order.cancelled_quantity) == ("CANCELLED", 4, 6)


def test_depth_shows_what_our_orders_took_and_our_resting_orders() -> None:
    scene = Scene([FLAT], depth=10).opened()
    scene.place("BUY", quantity=14)
    scene.bar()
    resting = scene.place("BUY", "LIMIT", quantity=3, price=99.9)
    bids, asks = scene.venue.market.listings[KEY].depth()
    assert [level[:2] for level in asks] == [(100.05, 6), (100.1, 10), (100.15, 10), (100.2, 10), (0.0, 0)]
    assert bids[2] == (99.9, 13, 2)
    scene.venue.cancel("regular", resting.order_id)
    assert scene.venue.market.listings[KEY].depth()[0][2] == (99.9, 10, 1)


def test_of_an_order_with_a_disclosed_quantity_no_more_than_that_shows() -> None:
    scene = by_hand()
    market = scene.venue.market
    listing = market.listings[KEY]
    market.put_depth(listing, bids=[[99.5, 5]], asks=[[100.5, 4]])
    scene.place("SELL", "LIMIT", quantity=30, price=101.0, disclosed_quantity=12)
    scene.place("SELL", "LIMIT", quantity=7, price=101.0)
    assert listing.depth()[1][:2] == [(100.5, 4, 1), (101.0, 19, 2)]
    scene.venue.cancel("regular", scene.venue.book.live()[-1].order_id)
    market.put_depth(listing, bids=[[101.0, 20]], asks=[[101.5, 4]])  # takes 20: fewer are left than may show
    assert listing.depth()[1][:2] == [(101.0, 10, 1), (101.5, 4, 1)]


def test_resting_orders_show_in_unlimited_depth_too() -> None:
    scene = Scene([FLAT, FLAT]).opened()
    scene.bar()
    scene.place("SELL", "LIMIT", quantity=3, price=101.0)
    scene.place("SELL", "SL-M", quantity=3, trigger_price=99.0)
    asks = scene.venue.market.listings[KEY].depth()[1]
    assert [level[:2] for level in asks][:3] == [(100.0, 10_000_000), (101.0, 3), (0.0, 0)]


def test_seeded_depth_is_the_same_for_the_same_seed_and_comes_in_lots() -> None:
    row = describe("NFO:NIFTY26NOVFUT", lot_size=65)
    books = [Shape((), seed).book(row, 26000.0, 26000.05, 26000.0, 7) for seed in (1, 1, 2)]
    assert books[0].asks.levels == books[1].asks.levels != books[2].asks.levels
    assert all(quantity % 65 == 0 and quantity > 0 for book in books for _, quantity, _ in book.bids.levels)
    assert [price for price, _, _ in books[0].bids.levels] == [26000.0, 25999.95, 25999.9, 25999.85, 25999.8]


def test_an_order_crossing_a_book_put_by_hand_trades_at_once_at_its_levels() -> None:
    scene = by_hand()
    listing = scene.venue.market.listings[KEY]
    scene.venue.market.put_depth(listing, bids=[[99.5, 5]], asks=[[100.5, 4], [100.6, 3]])
    order = scene.place("BUY", "LIMIT", price=100.6)
    assert parts(scene) == [("00:00", 4, 100.5), ("00:00", 3, 100.6)]
    assert order.pending_quantity == 3
    bids, asks = listing.depth()
    assert bids[:2] == [(100.6, 3, 1), (99.5, 5, 1)]
    assert asks[0] == (0.0, 0, 0)


def test_a_book_that_crosses_a_resting_order_passes_it_at_its_own_price() -> None:
    scene = by_hand()
    listing = scene.venue.market.listings[KEY]
    scene.venue.market.put_depth(listing, bids=[[99.5, 5]], asks=[[100.5, 4]])
    order = scene.place("BUY", "LIMIT", price=100.0)
    assert order.status == "OPEN"
    scene.venue.market.put_depth(listing, bids=[[99.0, 5]], asks=[[99.5, 4], [99.9, 100]])
    assert parts(scene) == [("00:00", 10, 100.0)]
    assert order.status == "COMPLETE"


def test_an_ioc_order_beside_a_standing_book_is_over_at_once() -> None:
    scene = by_hand()
    scene.venue.market.put_depth(scene.venue.market.listings[KEY], bids=[[99.5, 5]], asks=[[100.5, 4]])
    nothing = scene.place("BUY", "LIMIT", price=100.0, validity="IOC")
    some = scene.place("BUY", "LIMIT", price=100.5, validity="IOC")
    assert (nothing.status, nothing.filled_quantity) == ("CANCELLED", 0)
    assert (some.status, some.filled_quantity) == ("CANCELLED", 4)


def test_a_standing_book_is_gone_with_the_next_print() -> None:
    scene = by_hand()
    listing = scene.venue.market.listings[KEY]
    scene.venue.market.put_depth(listing, bids=[[99.5, 5]], asks=[[100.5, 4]])
    scene.venue.print_by_hand(listing, 100.0, 1)
    order = scene.place("BUY")
    assert order.status == "OPEN"
    scene.venue.print_by_hand(listing, 100.0, 1)
    assert order.status == "COMPLETE"


def test_late_orders_meet_the_standing_book_when_they_work() -> None:
    scene = by_hand(latency=2.0)
    scene.venue.market.put_depth(scene.venue.market.listings[KEY], bids=[[99.5, 50]], asks=[[100.5, 40]])
    order = scene.place("BUY")
    assert order.status == "OPEN"
    scene.venue.move_to(scene.venue.now + 3_000_000)
    assert order.average_price == 100.5
    assert parts(scene)[0][0] == "00:02"


def test_a_crossed_book_is_refused() -> None:
    scene = by_hand()
    with pytest.raises(BadSettings, match="must lie below"):
        scene.venue.market.put_depth(scene.venue.market.listings[KEY], bids=[[101, 5]], asks=[[100.5, 4]])


def test_at_the_upper_limit_nobody_sells() -> None:
    days = [(100.0, 100.0, 100.0, 100.0)] * 2
    scene = Scene([*days], depth=5, price_band=2, check_circuit=True)
    listing = scene.venue.market.listings[KEY]
    listing.previous_close = 98.0
    assert listing.circuit() == (96.05, 99.95)
    scene.opened()
    buy, sell = scene.place("BUY"), scene.place("SELL")
    scene.to_end()
    assert (buy.status, sell.status) == ("OPEN", "COMPLETE")


def test_without_a_band_there_are_no_limits() -> None:
    listing = Scene([FLAT], price_bands={KEY: None}).venue.market.listings[KEY]
    assert listing.circuit() == (0.0, 0.0)


def test_orders_move_later_prices_only_if_impact_is_set_and_the_move_decays() -> None:
    def closes(impact: float) -> list[float]:
        scene = Scene([FLAT] * 6, depth=2, impact=impact).opened()
        scene.place("BUY", quantity=8)
        found = []
        while not scene.venue.done:
            scene.bar()
            found.append(scene.venue.market.listings[KEY].last)
        return found[1:-1]

    assert set(closes(0.0)) == {100.0}
    moved = closes(1.0)
    assert moved[0] == 100.15
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] == 100.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 0}, "above zero"),
        ({"depth": "deep"}, "give 'unlimited'"),
        ({"depth": (1, 2, 3, 4, 5, 6)}, "one to five"),
        ({"impact": 0.5}, "needs a depth"),
        ({"beyond_depth": "jump"}, "wait or walk"),
        ({"price_band": 150.0}, "percentage"),
        ({"prints_per_candle": 3}, "from 4 to 12"),
    ],
)
def test_settings_that_make_no_market_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        Scene([FLAT], **given)


def test_taking_more_than_there_is_leaves_the_rest() -> None:
    book = Book(100.0, Side([(99.0, 5, 1)]), Side([(101.0, 5, 1), (102.0, 5, 1)]))
    assert book.take(True, 20, 100.0, 101.0) == (15, ((5, 101.0),))
    assert book.take(True, 20, 103.0, 0.0) == (15, ((5, 105.0),))
    assert book.take(True, 1, 100.0, 0.0) == (1, ())
