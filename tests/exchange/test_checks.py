"""The further refusals: hours, sizes, bands and segments, each only where it is asked for."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.clock import SECOND, stamp
from btkite.exchange.errors import BadSettings, Refusal
from btkite.exchange.reference import Reference
from btkite.exchange.settings import CHECKS

from .scene import DAY, KEY, Scene, candles

FLAT = (100.0, 100.0, 100.0, 100.0)
OPTION, FUTURE = "NFO:NIFTY26N2426000CE", "NFO:NIFTY26NOVFUT"
IN_OPTION = {"symbol": "NIFTY26N2426000CE", "exchange": "NFO", "product": "NRML", "quantity": 65}
IN_FUTURE = {**IN_OPTION, "symbol": "NIFTY26NOVFUT"}


def at(time: str, key: str = KEY, price: float = 100.0, day: datetime = DAY, **more: Any) -> Scene:
    """A market that has printed ``price`` and stands at ``time``; all checks on."""
    bar = (price,) * 4
    hours, minutes = map(int, time.split(":"))
    start = f"{hours:02d}:{minutes - 1:02d}" if minutes else f"{hours - 1:02d}:59"
    scene = Scene(candles={key: candles([bar] * 3, start=start, day=day)}, **{"checks": "kite", **more})
    scene.bar()
    scene.bar()
    return scene


def refusal(scene: Scene, *args: Any, **fields: Any) -> str:
    with pytest.raises(Refusal) as refused:
        scene.place(*args, **fields)
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")
    return str(refused.value)


@pytest.mark.parametrize(
    ("day", "before", "after", "text"),
    [
        (datetime(2024, 5, 3), "15:19", "15:20", "3.20 PM"),
        (datetime(2026, 6, 24), "15:24", "15:25", "3.25 PM"),
        (datetime(2026, 11, 18), "15:24", "15:25", "3:25 PM"),
    ],
)
def test_no_intraday_order_is_taken_after_the_days_cutoff(day: datetime, before: str, after: str, text: str) -> None:
    assert at(before, day=day).place("BUY", "LIMIT", price=99).status == "OPEN"
    late = at(after, day=day)
    said = f"Intraday orders (MIS) are allowed only till {text}. Try placing a CNC order."
    assert refusal(late, "BUY", "LIMIT", price=99) == said
    assert late.place("BUY", "LIMIT", price=99, product="CNC").status == "OPEN"


def test_shares_of_the_closing_auction_end_at_1512() -> None:
    given = {"auction_shares": (KEY,)}
    assert at("15:11", **given).place("BUY", "LIMIT", price=99).status == "OPEN"
    assert "only till 3:12 PM" in refusal(at("15:12", **given), "BUY", "LIMIT", price=99)


def test_a_cutoff_can_be_changed_by_its_rule() -> None:
    scene = at("11:00", rules={"mis_cutoff": {"NSE": 11 * 3600}})
    assert "only till 11:00 AM" in refusal(scene, "BUY", "LIMIT", price=99)


def test_an_order_of_shares_has_a_largest_quantity_and_value() -> None:
    scene = at("10:00", cash=1e12)
    assert "100000 allowed" in refusal(scene, "BUY", "LIMIT", price=99, quantity=100_001)
    assert scene.place("BUY", "LIMIT", price=99, quantity=100_000).status == "OPEN"
    dear = at("10:00", price=1001.0, cash=1e12)
    assert "₹10 crore" in refusal(dear, "BUY", "LIMIT", price=1001, quantity=100_000)


def test_disclosed_quantity_is_a_tenth_at_least_and_for_shares_only() -> None:
    scene = at("10:00")
    assert "less than 10%" in refusal(scene, "BUY", "LIMIT", price=99, quantity=100, disclosed_quantity=9)
    order = scene.place("BUY", "LIMIT", price=99, quantity=100, disclosed_quantity=10)
    assert order.latest()["disclosed_quantity"] == 10
    future = at("10:00", FUTURE, 26000.0)
    assert "equities only" in refusal(future, "BUY", "LIMIT", price=26000, disclosed_quantity=65, **IN_FUTURE)


def test_prices_and_triggers_beyond_the_circuit_are_refused_in_kites_words() -> None:
    scene = at("10:00", check_trigger_side=True)
    lower = (
        "Your order price is lower than the current lower circuit limit of 90. Place an order within the daily range."
    )
    assert refusal(scene, "BUY", "LIMIT", price=89.95) == lower
    said = refusal(scene, "BUY", "SL", price=112, trigger_price=111)
    assert said.startswith("Trigger price for stoploss buy orders cannot be above the upper circuit price.")
    assert scene.place("BUY", "LIMIT", price=90).status == "OPEN"


@pytest.mark.parametrize(
    ("key", "fields", "text"),
    [
        ("BSE:INFY", {"order_type": "SL-M", "trigger_price": 105, "exchange": "BSE"}, "not available on BSE"),
        ("NFO:INFY26NOV100CE", {**IN_OPTION, "symbol": "INFY26NOV100CE", "quantity": 400}, "stock options"),
    ],
)
def test_order_types_that_a_segment_does_not_take(key: str, fields: dict[str, Any], text: str) -> None:
    fields = {"order_type": "MARKET", **fields}
    assert text in refusal(at("10:00", key), "BUY", **fields)


def test_a_market_order_in_an_index_option_is_taken_in_the_session_but_not_as_amo() -> None:
    assert at("10:00", OPTION).place("BUY", **IN_OPTION).status == "OPEN"
    night = Scene(candles={OPTION: candles([FLAT])}, start=datetime(2026, 11, 18, 8, 0), checks=("segments",))
    assert "After Market" in refusal(night, "BUY", variety="amo", **IN_OPTION)


@pytest.mark.parametrize(
    ("time", "key", "taken"),
    [("08:57", KEY, True), ("08:58", KEY, False), ("15:35", KEY, False), ("16:00", KEY, True), ("09:05", OPTION, True),
     ("09:11", OPTION, False)],
)  # fmt: skip
def test_after_market_orders_have_windows_by_segment(time: str, key: str, taken: bool) -> None:
    hours, minutes = map(int, time.split(":"))
    begin = DAY.replace(hour=hours, minute=minutes)
    given = {"candles": {key: candles([FLAT])}, "start": begin, "end": DAY.replace(hour=23)}
    order = {"variety": "amo", "price": 99, **(IN_OPTION if key == OPTION else {})}
    assert Scene(**given).place("BUY", "LIMIT", **order).status == "AMO REQ RECEIVED"  # not checked by default
    scene = Scene(**given, checks=("amo_window",))
    if taken:
        assert scene.place("BUY", "LIMIT", **order).status == "AMO REQ RECEIVED"
    else:
        assert "outside of market hours" in refusal(scene, "BUY", "LIMIT", **order)


def test_a_released_after_market_order_is_changed_as_regular() -> None:
    scene = Scene(candles={KEY: candles([FLAT] * 2)}, start=DAY.replace(hour=8), checks=("amo_variety",))
    order = scene.place("BUY", "LIMIT", variety="amo", price=99)
    scene.venue.modify("amo", order.order_id, {"price": "98"})
    scene.opened()
    assert (order.status, order.latest()["variety"]) == ("OPEN", "amo")
    with pytest.raises(Refusal) as refused:
        scene.venue.modify("amo", order.order_id, {"price": "97"})
    assert (refused.value.error_type, str(refused.value)[:23]) == ("NetworkException", "Order request timed out")
    scene.venue.modify("regular", order.order_id, {"price": "97"})
    scene.venue.cancel("regular", order.order_id)
    assert order.status == "CANCELLED"


# the exchange's own band


def test_a_price_outside_the_exchanges_band_is_rejected_by_the_exchange() -> None:
    scene = at("10:00", OPTION, checks=("lpp",))
    order = scene.place("BUY", "LIMIT", price=140.05, **IN_OPTION)
    row = order.latest()
    assert [one["status"] for one in order.history] == [
        "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "REJECTED",
    ]  # fmt: skip
    assert row["status_message_raw"] == "17070 : The Price is out of the LPP range"
    assert (row["exchange_order_id"], row["pending_quantity"]) == (None, 0)
    assert scene.place("BUY", "LIMIT", price=140, **IN_OPTION).status == "OPEN"


def test_the_rejection_may_come_as_a_cancellation() -> None:
    scene = at("10:00", OPTION, checks=("lpp",), lpp_status="CANCELLED")
    order = scene.place("BUY", "LIMIT", price=150, **IN_OPTION)
    assert (order.status, order.latest()["status_message_raw"][:5]) == ("CANCELLED", "17070")


def test_a_change_out_of_the_band_leaves_the_order_as_it_was() -> None:
    scene = at("10:00", OPTION, checks=("lpp",))
    order = scene.place("BUY", "LIMIT", price=100, **IN_OPTION)
    scene.venue.modify("regular", order.order_id, {"price": "150"})
    assert (order.status, order.price) == ("OPEN", 100)
    assert order.latest()["status_message_raw"][:5] == "17070"


def swinging(**more: Any) -> Scene:
    """100 and 98, then 104 and 102 in the first two half minutes from 09:15 on."""
    bars = [(100.0, 104.0, 98.0, 102.0)] + [(102.0,) * 4] * 3
    return Scene(candles={OPTION: candles(bars)}, checks=("lpp",), **more).opened()


def standing(scene: Scene, time: str, price: float) -> bool:
    """True if a purchase at ``price`` is taken at ``time``."""
    scene.venue.move_to(stamp(datetime.fromisoformat(f"{DAY.date()}T{time}")))
    order = scene.place("BUY", "LIMIT", price=price, **IN_OPTION)
    return order.status != "REJECTED"


def test_the_band_lies_about_the_average_of_the_last_half_minutes_trades() -> None:
    scene = swinging()
    # 40 % about 99, then about 103, wherever the price has gone since
    assert [standing(scene, "09:15:45", price) for price in (138.6, 138.65)] == [True, False]
    assert [standing(scene, "09:16:25", price) for price in (144.2, 144.25)] == [True, False]
    assert [standing(scene, "09:16:31", price) for price in (142.8, 142.85)] == [True, False]
    scene = swinging()
    assert [standing(scene, "09:15:25", price) for price in (137.2, 137.25)] == [True, False]  # the last price: 98
    scene = swinging(lpp_seconds=0)
    assert [standing(scene, "09:15:45", price) for price in (145.6, 145.65)] == [True, False]  # 104
    with pytest.raises(BadSettings, match="lpp_seconds must not be negative"):
        swinging(lpp_seconds=-1)


def test_a_reference_is_renewed_every_half_minute_and_forgotten_after_a_quarter_of_an_hour() -> None:
    reference = Reference(30 * SECOND)
    assert reference.at(0, 7.0) == 7.0
    for second, price in ((0, 100.0), (29, 103.0), (30, 200.0)):
        reference.note(second * SECOND, price)
    assert [reference.at(second * SECOND, 7.0) for second in (30, 59, 60, 900, 929)] == [101.5, 101.5, 200, 200, 200]
    assert reference.at(930 * SECOND, 7.0) == 7.0
    reference.note(1000 * SECOND, 50.0)
    assert [reference.at(second * SECOND, 7.0) for second in (1000, 1019, 1020)] == [7.0, 7.0, 50.0]


def test_a_stops_limit_is_judged_when_it_goes_off() -> None:
    bars = [(100.0,) * 4, (100.0, 110.0, 100.0, 110.0)]
    scene = Scene(candles={OPTION: candles(bars)}, checks=("lpp",)).opened()
    scene.bar()
    order = scene.place("BUY", "SL", price=180, trigger_price=105, **IN_OPTION)
    assert order.status == "TRIGGER PENDING"
    scene.to_end()
    assert [one["status"] for one in order.history][-2:] == ["TRIGGER PENDING", "REJECTED"]
    assert scene.fills() == []


def test_2021_knew_no_band_here_and_checks_are_off_by_default() -> None:
    early = at("10:00", OPTION, day=datetime(2021, 11, 18), checks=("lpp",))
    assert early.place("BUY", "LIMIT", price=150, **{**IN_OPTION, "quantity": 50}).status == "OPEN"
    off = at("10:00", OPTION, checks=())
    assert off.place("BUY", "LIMIT", price=150, **IN_OPTION).status == "OPEN"
    assert off.venue.settings.enforced == frozenset()
    assert at("10:00").venue.settings.enforced == CHECKS


# what is quoted only, and the official sandbox


def test_a_commodity_of_nse_is_quoted_but_takes_no_orders() -> None:
    key = "NCO:GOLD26DECFUT"
    row = InstrumentRow(exchange="NCO", tradingsymbol="GOLD26DECFUT", tick_size=1.0, instrument_type="FUT")
    scene = Scene(candles={key: candles([FLAT])}, instruments=[row], start=DAY.replace(hour=9, minute=15))
    order = {"symbol": "GOLD26DECFUT", "exchange": "NCO", "product": "NRML", "quantity": 1, "price": 100}
    assert refusal(scene, "BUY", "LIMIT", **order) == "Trading in NCO is not allowed for this account."
    assert scene.venue.book.orders == {}
    given = {"exchange": "NCO", "tradingsymbol": "GOLD26DECFUT"}
    trigger = {
        "type": "single",
        "condition": json.dumps({**given, "trigger_values": [110], "last_price": 100}),
        "orders": "[{}]",
    }
    with pytest.raises(Refusal, match="Trading in NCO"):
        scene.venue.gtt.create(trigger)


@pytest.mark.parametrize(
    ("profile", "price", "status"),
    [("sandbox", 80, "REJECTED"), ("sandbox", 120, "REJECTED"), ("sandbox", 98, "OPEN"), ("kite", 80, "OPEN")],
)
def test_the_sandbox_rejects_a_limit_far_from_the_market_in_its_book(profile: str, price: float, status: str) -> None:
    scene = Scene([FLAT, FLAT], profile=profile).opened()
    scene.bar()
    order = scene.place("SELL" if price > 100 else "BUY", "LIMIT", price=price)
    assert order.status == status
    assert ("too far from the last traded price" in (order.status_message or "")) is (status == "REJECTED")
    assert order.blocked == 0 or status == "OPEN"
