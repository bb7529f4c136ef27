"""An order's way in time: delays, rejections that come later, releases, lapses, and what a changed quantity means."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.exchange.clock import stamp
from btkite.exchange.errors import Refusal

from .scene import DAY, KEY, Scene, candles

FLAT = (100.0, 100.0, 100.0, 100.0)
DIP = (100.0, 101.0, 98.0, 100.0)
PLACED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING"]


def statuses(order: Any) -> list[str]:
    return [row["status"] for row in order.history]


def move(scene: Scene, seconds: float) -> None:
    scene.venue.move_to(scene.venue.now + round(seconds * 1e6))


# delays


def test_with_a_delay_the_answer_comes_before_the_state_changes() -> None:
    scene = Scene([FLAT] * 3, order_delay=1.5).opened()
    order = scene.place("BUY", "LIMIT", price=99)
    assert statuses(order) == PLACED[:1]
    with pytest.raises(Refusal, match="cannot be cancelled as it is being processed"):
        scene.venue.cancel("regular", order.order_id)
    move(scene, 1.4)
    assert statuses(order) == PLACED[:1]
    move(scene, 0.2)
    assert statuses(order) == [*PLACED, "OPEN"]
    assert order.history[-1]["order_timestamp"] == "2026-11-18 09:15:01"


def test_a_cancel_on_its_way_loses_against_a_fill() -> None:
    scene = Scene([FLAT, FLAT, DIP, FLAT], order_delay=30).opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=99)
    kept = scene.place("BUY", "LIMIT", price=90)
    move(scene, 75)  # 09:17:15: the dip to 98 comes at 09:17:40
    for one in (order, kept):
        scene.venue.cancel("regular", one.order_id)
        assert one.status == "OPEN"
    move(scene, 40)
    assert (order.status, kept.status) == ("COMPLETE", "CANCELLED")
    assert "CANCEL PENDING" not in statuses(order)
    assert kept.history[-1]["order_timestamp"] == "2026-11-18 09:17:45"


def test_a_change_that_a_fill_overtook_is_dropped() -> None:
    bars = [FLAT, FLAT, (100.0, 101.0, 98.0, 100.0), FLAT]
    scene = Scene(bars, order_delay=30).opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=99)
    move(scene, 75)  # 09:17:15: the dip to 98 comes at 09:17:40
    scene.venue.modify("regular", order.order_id, {"price": "97"})
    move(scene, 40)
    assert (order.status, order.price, order.average_price) == ("COMPLETE", 99, 99)
    assert "MODIFIED" not in statuses(order)


def test_a_delayed_order_meets_the_print_after_it_arrived() -> None:
    scene = Scene([(100.0, 104.0, 98.0, 102.0), FLAT], order_delay=0.5).opened()
    scene.place("BUY")
    scene.to_end()
    assert scene.fills() == [("09:15:20", "BUY", 98.0)]


# rejections that come later


def test_risk_management_rejects_in_the_book_if_it_is_asynchronous() -> None:
    scene = Scene([FLAT] * 2, cash=500.0, rms="async").opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=99, product="CNC")
    row = order.latest()
    assert statuses(order) == ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "REJECTED"]
    assert row["status_message"] == (
        "Insufficient funds. Required margin is 990.00 but available margin is 500.00. "
        "Check the orderbook for open orders."
    )
    assert row["status_message_raw"] == (
        "RMS:Margin Exceeds,Required:990.00, Available:500.00 for entity account-SIM001 across exchange across "
        "segment across product "
    )
    assert (row["exchange_order_id"], row["exchange_timestamp"], row["pending_quantity"]) == (None, None, 0)
    assert scene.venue.account.available == 500.0


def test_by_default_it_refuses_at_once_and_there_is_no_row() -> None:
    scene = Scene([FLAT] * 2, cash=500.0).opened()
    scene.bar()
    with pytest.raises(Refusal) as refused:
        scene.place("BUY", "LIMIT", price=99, product="CNC")
    assert (refused.value.error_type, scene.venue.book.orders) == ("MarginException", {})


# after-market orders


def night(**more: Any) -> Scene:
    return Scene(candles={KEY: candles([DIP] * 2)}, start=DAY.replace(hour=8), **more)


def test_plain_orders_are_released_at_nine_and_the_others_at_the_open() -> None:
    scene = night()
    plain = scene.place("BUY", "LIMIT", variety="amo", price=99)
    stop = scene.place("BUY", "SL", variety="amo", price=103, trigger_price=102)
    quick = scene.place("BUY", "LIMIT", variety="amo", price=99, validity="IOC")
    assert statuses(plain) == ["AMO REQ RECEIVED"]
    scene.venue.move_to(stamp(DAY.replace(hour=9, minute=1)))
    assert statuses(plain) == ["AMO REQ RECEIVED", *PLACED[1:], "OPEN"]
    assert plain.history[-1]["order_timestamp"] == "2026-11-18 09:00:00"
    assert stop.status == quick.status == "AMO REQ RECEIVED"
    assert scene.bar() == "09:15:00"
    assert (stop.status, quick.status) == ("TRIGGER PENDING", "OPEN")
    scene.to_end()
    assert (plain.average_price, plain.latest()["variety"], quick.status) == (99, "amo", "CANCELLED")


def test_the_release_is_no_stop_of_a_pull() -> None:
    scene = night()
    scene.place("BUY", "LIMIT", variety="amo", price=90)
    assert scene.bar() == "09:15:00"


def test_an_after_market_order_can_be_changed_and_cancelled_while_it_waits() -> None:
    scene = night(history_profile="seen")
    order = scene.place("BUY", "LIMIT", variety="amo", price=99)
    scene.venue.modify("amo", order.order_id, {"price": "98"})
    assert (statuses(order), order.price) == (["AMO REQ RECEIVED"] * 2, 98)
    scene.venue.cancel("amo", order.order_id)
    assert (order.status, order.latest()["status"]) == ("CANCELLED", "CANCELLED AMO")
    scene.to_end()
    assert scene.fills() == []


def test_a_bound_after_market_order_is_priced_by_the_close_before() -> None:
    before = candles([FLAT], start="15:29", day=datetime(2026, 11, 17))
    both = candles([FLAT], start="09:15")
    series = type(before)(
        interval="minute",
        **{
            name: [*getattr(before, name), *getattr(both, name)]
            for name in ("start", "open", "high", "low", "close", "volume")
        },
    )
    scene = Scene(candles={KEY: series}, start=DAY.replace(hour=8), protection_binds=True)
    order = scene.place("BUY", variety="amo", market_protection=2)
    assert order.order_type == "MARKET"
    scene.opened()
    assert (order.order_type, order.price, order.system_tags) == ("LIMIT", 102, ["mktp", "mktp:2.00"])


# lapses


def test_leftovers_of_the_day_end_at_the_close_or_at_kites_hour() -> None:
    given = {"candles": {KEY: candles([FLAT], start="15:29")}, "end": DAY.replace(hour=17)}
    for lapse, hour in (("close", "15:30:00"), ("kite", "16:00:00")):
        scene = Scene(**given, lapse=lapse)
        scene.bar()
        order = scene.place("BUY", "LIMIT", price=90)
        scene.venue.move_to(stamp(DAY.replace(hour=17)))
        row = order.latest()
        assert (row["status"], row["order_timestamp"][11:], row["status_message"]) == ("CANCELLED", hour, None)
        assert (row["filled_quantity"], row["cancelled_quantity"]) == (0, 10)


def test_a_leftover_can_still_be_cancelled_by_hand() -> None:
    scene = Scene(candles={KEY: candles([FLAT], start="15:29")}, end=DAY.replace(hour=17), lapse="kite")
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=90)
    scene.venue.move_to(stamp(DAY.replace(hour=15, minute=45)))
    assert order.status == "OPEN"
    scene.venue.cancel("regular", order.order_id)
    scene.venue.move_to(stamp(DAY.replace(hour=17)))
    assert statuses(order)[-3:] == ["CANCEL PENDING", "CANCELLED", "CANCELLED"]


def test_validities_follow_the_rules_of_the_day() -> None:
    mcx = {"symbol": "GOLD26DECFUT", "exchange": "MCX", "product": "NRML", "quantity": 1, "price": 99}
    for year, taken in ((2025, True), (2026, False)):
        day = datetime(year, 11, 18)
        scene = Scene(candles={"MCX:GOLD26DECFUT": candles([FLAT] * 2, day=day)})
        scene.bar()
        scene.bar()
        if taken:
            assert scene.place("BUY", "LIMIT", validity="IOC", **mcx).status == "OPEN"
        else:
            with pytest.raises(Refusal, match="IOC orders are not allowed on MCX"):
                scene.place("BUY", "LIMIT", validity="IOC", **mcx)


# quantities


def test_an_ioc_that_depth_fills_in_part_ends_with_the_split() -> None:
    scene = Scene([FLAT] * 3, depth=4).opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=100, quantity=30, validity="IOC")
    scene.to_end()
    row = order.latest()
    assert row["status"] == "CANCELLED"
    assert 0 < row["filled_quantity"] < 30
    assert row["filled_quantity"] + row["cancelled_quantity"] == 30


@pytest.mark.parametrize("semantics", ["total", "remaining"])
def test_a_changed_quantity_is_the_total_or_what_remains(semantics: str) -> None:
    scene = Scene([FLAT] * 3, depth=4, modify_qty_semantics=semantics).opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=100, quantity=30)
    scene.bar()
    filled = order.filled_quantity
    assert 0 < filled < 12
    scene.venue.modify("regular", order.order_id, {"quantity": "12"})
    assert order.quantity == (12 if semantics == "total" else 12 + filled)


def test_a_changed_quantity_is_not_below_what_is_filled() -> None:
    scene = Scene([FLAT] * 3, depth=4).opened()
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=100, quantity=30)
    scene.bar()
    with pytest.raises(Refusal, match="cannot be less than the quantity that is filled"):
        scene.venue.modify("regular", order.order_id, {"quantity": str(order.filled_quantity - 1)})
    assert (order.quantity, order.modifications) == (30, 0)


def test_the_algo_id_is_kept_and_an_unregistered_one_can_be_refused() -> None:
    scene = Scene([FLAT] * 2, algo_ids=("A1",)).opened()
    order = scene.place("BUY", "LIMIT", price=99, algo_id="A1")
    (row,) = scene.venue.state()["orders"]
    assert (row["order_id"], row["algo_id"]) == (order.order_id, "A1")
    with pytest.raises(Refusal, match="Invalid `algo_id`"):
        scene.place("BUY", "LIMIT", price=99, algo_id="B2")


def test_the_tables_of_a_day_can_be_overridden_for_the_cap_of_changes() -> None:
    scene = Scene([FLAT] * 2, rules={"modification_cap": 1}).opened()
    order = scene.place("BUY", "LIMIT", price=90)
    scene.venue.modify("regular", order.order_id, {"price": "91"})
    with pytest.raises(Refusal, match="Maximum allowed order modifications exceeded"):
        scene.venue.modify("regular", order.order_id, {"price": "92"})


def test_an_order_whose_exchange_closes_while_it_is_on_its_way_does_not_rest() -> None:
    scene = Scene(candles={KEY: candles([FLAT], start="15:29")}, end=DAY.replace(hour=17), order_delay=90)
    scene.bar()
    order = scene.place("BUY", "LIMIT", price=90)
    scene.venue.move_to(stamp(DAY.replace(hour=16)))
    assert statuses(order) == [*PLACED, "OPEN", "CANCELLED"]
