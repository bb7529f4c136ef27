"""More prints of a candle are shown, not matched: and the whole of matching is docs/fills.md, told once more."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.exchange.clock import SECOND

from .scene import KEY, Bar, Scene

UP: Bar = (100.0, 104.0, 98.0, 102.0)


def shown(scene: Scene) -> list[tuple[str, float, int]]:
    """(time, price, volume so far) of everything that is printed."""
    listing = scene.venue.market.listings[KEY]
    found = []
    while not scene.venue.done:
        before = listing.last_us, listing.volume
        scene.venue.pull(True, None)
        if (listing.last_us, listing.volume) != before:
            found.append((scene.now[3:], listing.last, listing.volume))
    return found


def test_twelve_prints_lie_on_the_way_between_the_four() -> None:
    assert [(time, price) for time, price, _ in shown(Scene([UP], prints_per_candle=12))] == [
        ("15:00", 100.0), ("15:05", 99.5), ("15:10", 99.0), ("15:15", 98.5),
        ("15:20", 98.0), ("15:25", 99.5), ("15:30", 101.0), ("15:35", 102.5),
        ("15:40", 104.0), ("15:46.333333", 103.35), ("15:52.666666", 102.65), ("15:59", 102.0),
    ]  # fmt: skip


@pytest.mark.parametrize("prints", range(4, 13))
def test_the_volume_is_shared_among_the_prints(prints: int) -> None:
    found = shown(Scene([UP], prints_per_candle=prints))
    assert len(found) == prints
    volumes = [volume for _, _, volume in found]
    assert volumes == sorted(volumes)
    assert volumes[-1] == 100


def test_a_quote_between_two_prints_is_the_shown_price_and_the_forming_candle_knows_it() -> None:
    from btkite.exchange.history import candles

    scene = Scene([UP], prints_per_candle=12).opened()
    scene.bar("09:15:12")
    listing = scene.venue.market.listings[KEY]
    assert (listing.last, listing.bid, listing.ask) == (99.0, 99.0, 99.0)
    now = scene.venue.now
    (row,) = candles(listing, "minute", now - 60 * SECOND, now, False)
    assert row[1:] == [100.0, 100.0, 99.0, 99.0, listing.volume]


# Matching, once more and independently: a list of prints, and each order walked by itself.

ticks = st.integers(1960, 2040).map(lambda steps: steps / 20)


@st.composite
def bars(draw: st.DrawFn) -> list[Bar]:
    found = []
    for _ in range(draw(st.integers(1, 4))):
        opens, close, one, other = draw(ticks), draw(ticks), draw(ticks), draw(ticks)
        found.append((opens, max(opens, close, one, other), min(opens, close, one, other), close))
    return found


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["MARKET", "LIMIT", "SL", "SL-M"]))
    made: dict[str, Any] = {"side": draw(st.sampled_from(["BUY", "SELL"])), "order_type": kind}
    if kind in ("LIMIT", "SL"):
        made["price"] = draw(ticks)
    if kind in ("SL", "SL-M"):
        made["trigger_price"] = draw(ticks)
    return made


def expected(order: dict[str, Any], path: list[tuple[float, bool]]) -> float | None:
    """Where docs/fills.md says that an order trades that was given before the first print."""
    sign = 1 if order["side"] == "BUY" else -1
    limit, trigger, kind = order.get("price"), order.get("trigger_price"), order["order_type"]
    rests, at = False, 0.0
    waiting = kind in ("SL", "SL-M")
    for price, jump in path:
        start = price if jump or not rests else at
        points = [start, price]  # the way from here; a jump and a newcomer have only its end
        if waiting:
            hit = _reaches(points, trigger, sign)
            if hit is not None:
                waiting = False
                if kind == "SL-M" or (hit - limit) * sign <= 0:
                    return hit
                points = [hit, price]
        if not waiting:
            if kind in ("MARKET", "SL-M"):
                return points[-1]
            if (points[0] - limit) * sign <= 0 and (jump or not rests or points[0] == limit):
                return points[0]
            hit = _reaches(points, limit, -sign)
            if hit is not None:
                return hit
        rests, at = True, price
    return None


def _reaches(points: list[float], level: float, sign: int) -> float | None:
    """Where the way comes to ``level`` from below (sign 1) or above: there, or at once if it lies beyond."""
    start, end = points
    if (start - level) * sign >= 0:
        return start
    return level if (end - level) * sign >= 0 else None


def prints_of(made: list[Bar]) -> list[tuple[float, bool]]:
    path = []
    for opens, high, low, close in made:
        middle = (low, high) if close >= opens else (high, low)
        path += [(opens, True), (middle[0], False), (middle[1], False), (close, False)]
    return path


def run(made: list[Bar], wanted: list[dict[str, Any]], **more: Any) -> list[float | None]:
    scene = Scene(made, check_tick_size=False, **more).opened()
    placed = []
    for order in wanted:
        fields = {name: value for name, value in order.items() if name not in ("side", "order_type")}
        placed.append(scene.place(order["side"], order["order_type"], quantity=1, **fields))
    scene.to_end()
    return [order.average_price if order.status == "COMPLETE" else None for order in placed]


@settings(max_examples=150, deadline=None)
@given(bars(), st.lists(orders(), min_size=1, max_size=4))
def test_with_unlimited_depth_every_order_trades_where_the_page_says(made: list[Bar], wanted: list[Any]) -> None:
    assert run(made, wanted) == [expected(order, prints_of(made)) for order in wanted]


@settings(max_examples=60, deadline=None)
@given(bars(), st.lists(orders(), min_size=1, max_size=4), st.integers(5, 12))
def test_more_prints_change_no_trade(made: list[Bar], wanted: list[Any], prints: int) -> None:
    assert run(made, wanted, prints_per_candle=prints) == run(made, wanted)


@settings(max_examples=60, deadline=None)
@given(bars(), st.lists(orders(), min_size=1, max_size=4), st.integers(1, 3))
def test_with_depth_nothing_trades_beyond_its_limit_nor_more_than_was_shown(
    made: list[Bar], wanted: list[Any], shown_quantity: int
) -> None:
    scene = Scene(made, check_tick_size=False, depth=shown_quantity).opened()
    placed = []
    for order in wanted:
        fields = {name: value for name, value in order.items() if name not in ("side", "order_type")}
        placed.append(scene.place(order["side"], order["order_type"], quantity=7, **fields))
    scene.to_end()
    for order in placed:
        trades = [row for row in scene.venue.book.trades if row["order_id"] == order.order_id]
        assert sum(row["quantity"] for row in trades) == order.filled_quantity <= 7
        for row in trades:
            if order.price:
                assert row["average_price"] <= order.price if order.buys else row["average_price"] >= order.price
    per_print: dict[tuple[str, str], int] = {}
    for row in scene.venue.book.trades:
        key = row["fill_timestamp"], row["transaction_type"]
        per_print[key] = per_print.get(key, 0) + row["quantity"]
    assert all(quantity <= 5 * shown_quantity for quantity in per_print.values())
