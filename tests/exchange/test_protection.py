"""A market order whose protection binds is a limit order at the protected price, and its row says so by tags."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.exchange.errors import Refusal

from .scene import Scene, candles

FLAT = (100.0, 100.0, 100.0, 100.0)
FAR = (110.0, 110.0, 110.0, 110.0)


def bound(bars: Any = None, **more: Any) -> Scene:
    scene = Scene(bars or [FLAT] * 3, protection_binds=True, require_market_protection=True, **more).opened()
    scene.bar()
    return scene


@pytest.mark.parametrize(
    ("last", "protection", "price", "tag"),
    [
        (100.0, 2, 102.0, "mktp:2.00"),
        (99.0, -1, 100.95, "mktp:2.00"),  # below 100: 2 per cent, 100.98 cut to the tick
        (100.0, -1, 101.0, "mktp:1.00"),
        (500.0, -1, 505.0, "mktp:1.00"),
        (1000.0, -1, 1005.0, "mktp:0.50"),
    ],
)
def test_a_buy_becomes_a_limit_so_far_above_the_last_price(
    last: float, protection: float, price: float, tag: str
) -> None:
    row = bound([(last,) * 4] * 3).place("BUY", market_protection=protection, tag="mine").latest()
    assert (row["order_type"], row["price"], row["market_protection"]) == ("LIMIT", price, 0)
    assert (row["tag"], row["tags"]) == ("mine", ["mine", "mktp", tag])


def test_a_sell_is_protected_below() -> None:
    assert bound([(99.0,) * 4] * 3).place("SELL", market_protection=-1).price == 97.05


def test_an_option_has_slabs_of_its_own_and_a_setting_may_change_them() -> None:
    key = "NFO:NIFTY26N2426000CE"
    order = {"symbol": "NIFTY26N2426000CE", "exchange": "NFO", "product": "NRML", "quantity": 65}
    scene = bound(candles={key: candles([(50.0,) * 4] * 3)})
    assert scene.place("BUY", market_protection=-1, **order).price == 51.5
    scene = bound(candles={key: candles([(50.0,) * 4] * 3)}, rules={"protection_slabs": {"NFO": ((0.0, 10.0),)}})
    assert scene.place("BUY", market_protection=-1, **order).price == 55.0


def test_what_does_not_trade_within_the_protection_rests_under_the_same_id() -> None:
    scene = Scene([FLAT, FAR, (110.0, 110.0, 100.0, 100.0)], protection_binds=True).opened()
    scene.bar()
    order = scene.place("BUY", market_protection=2)
    scene.bar()
    assert (order.status, order.filled_quantity) == ("OPEN", 0)
    scene.to_end()
    assert scene.fills() == [("09:17:40", "BUY", 102.0)]
    assert order.order_id == next(iter(scene.venue.book.orders))


def test_a_stop_market_becomes_a_stop_limit_measured_from_its_trigger() -> None:
    scene = bound([FLAT, FLAT, FAR], check_trigger_side=True)
    order = scene.place("BUY", "SL-M", trigger_price=105, market_protection=2)
    assert (order.order_type, order.trigger_price, order.price, order.status) == ("SL", 105, 107.1, "TRIGGER PENDING")
    scene.to_end()
    assert order.filled_quantity == 0  # 110 jumps over 107.10


def test_a_protected_order_can_be_widened_by_a_change_to_market_without_new_protection() -> None:
    scene = bound()
    order = scene.place("BUY", market_protection=2)
    scene.venue.modify("regular", order.order_id, {"price": "103"})
    assert (order.order_type, order.price) == ("LIMIT", 103)
    scene.venue.modify("regular", order.order_id, {"order_type": "MARKET"})
    assert (order.order_type, order.price, order.system_tags) == ("LIMIT", 101.0, ["mktp", "mktp:1.00"])


def test_a_protected_price_beyond_the_circuit_is_refused() -> None:
    scene = bound(checks=("circuit",))
    with pytest.raises(Refusal, match="higher than the current upper circuit limit of 110"):
        scene.place("BUY", market_protection=12)


def test_a_real_protected_history_begins_at_open_pending() -> None:
    order = bound(history_profile="seen").place("BUY", market_protection=2)
    assert [row["status"] for row in order.history] == ["OPEN PENDING", "OPEN"]
    assert order.history[0]["exchange_order_id"] is None


def test_by_default_protection_is_no_bound() -> None:
    scene = Scene([FLAT, FAR]).opened()
    scene.bar()
    order = scene.place("BUY", market_protection=0.5)
    assert (order.order_type, order.market_protection, order.system_tags) == ("MARKET", 0.5, [])
    scene.bar()
    assert scene.fills() == [("09:16:00", "BUY", 110.0)]
