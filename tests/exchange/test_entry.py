"""What Kite refuses before an order exists, in Kite's words, and the order's way through its states."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.exchange.errors import Refusal

from .scene import KEY, Scene, candles, form

FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
UNPROTECTED = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
OFF_TICK = "Tick size for this script is 0.05. Kindly enter {} in the multiple of tick size for this script"


def strict(bars: Any = None, **more: Any) -> Scene:
    """All pre-checks on, as on Kite."""
    on = {"require_market_protection": True, "check_trigger_side": True, "check_holdings": True}
    return Scene(bars or [FLAT] * 3, **{**on, **more})


def traded() -> Scene:
    """After the first bar: the last price is 100."""
    scene = strict().opened()
    scene.bar()
    return scene


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order_type": "MARKET"}, UNPROTECTED),
        ({"order_type": "SL-M", "trigger_price": 110}, UNPROTECTED),
        ({"order_type": "MARKET", "market_protection": 101}, "Invalid `market_protection`."),
        ({"order_type": "LIMIT", "price": 99.98}, OFF_TICK.format("price")),
        ({"order_type": "SL", "price": 110, "trigger_price": 109.99}, OFF_TICK.format("trigger price")),
        ({"order_type": "SL", "transaction_type": "SELL", "price": 99, "trigger_price": 100},
         "Trigger price for stoploss sell orders should be lower than the last traded price"),
        ({"order_type": "SL", "price": 101, "trigger_price": 100},
         "Trigger price for stoploss buy orders should be higher than the last traded price"),
        ({"order_type": "LIMIT", "price": 0}, "Invalid `price`."),
        ({"order_type": "LIMIT", "price": "abc"}, "Invalid `price`."),
        ({"order_type": "LIMIT", "price": "nan"}, "Invalid `price`."),
        ({"order_type": "STOP", "price": 99}, "Invalid `order_type`."),
        ({"order_type": "LIMIT", "price": 99, "quantity": 0}, "Invalid `quantity`."),
        ({"order_type": "LIMIT", "price": 99, "quantity": 1.5}, "Invalid `quantity`."),
        ({"order_type": "LIMIT", "price": 99, "quantity": -1}, "Invalid `quantity`."),
        ({"order_type": "LIMIT", "price": 99, "tag": "x" * 21}, "Invalid `tag`. It can be at most 20 characters."),
        ({"order_type": "LIMIT", "price": 99, "product": "NRML"},
         "Trading in NSE is not allowed using NRML product type."),
        ({"order_type": "LIMIT", "price": 99, "validity": "TTL"},
         "Invalid `validity_ttl`. It must be between 1 and 120 minutes."),
        ({"order_type": "LIMIT", "price": 99, "validity": "GTC"}, "Invalid `validity`."),
        ({"order_type": "LIMIT", "price": 99, "tradingsymbol": "NOPE"},
         "The instrument you are placing an order for has either expired or does not exist."),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused_in_kites_words_and_leaves_no_row(fields: dict[str, Any], message: str) -> None:
    scene = traded()
    with pytest.raises(Refusal) as refused:
        scene.venue.place("regular", {**form("BUY"), **{name: str(value) for name, value in fields.items()}})
    assert (refused.value.code, refused.value.error_type, str(refused.value)) == (400, "InputException", message)
    assert scene.venue.book.orders == {}


@pytest.mark.parametrize("protection", [-1, 0.5, 100])
def test_a_protected_market_order_is_taken(protection: float) -> None:
    assert traded().place("BUY", market_protection=protection).status == "OPEN"


def test_a_tag_of_twenty_characters_is_taken_and_kept() -> None:
    row = traded().place("BUY", "LIMIT", price=99, tag="t" * 20).latest()
    assert (row["tag"], row["tags"]) == ("t" * 20, ["t" * 20])


def test_the_quantity_of_a_derivative_is_a_multiple_of_its_lot() -> None:
    key = "NFO:NIFTY26NOVFUT"
    scene = Scene(candles={key: candles([FLAT])}).opened()
    with pytest.raises(Refusal, match="multiple of the lot size of 65"):
        scene.venue.place("regular", form("BUY", symbol="NIFTY26NOVFUT", exchange="NFO", product="NRML", quantity=64))


def test_an_index_cannot_be_traded() -> None:
    scene = Scene(candles={"NSE:NIFTY 50": candles([FLAT])}).opened()
    with pytest.raises(Refusal, match="not tradable"):
        scene.venue.place("regular", form("BUY", symbol="NIFTY 50"))


def test_a_regular_order_outside_the_session_is_refused_and_an_amo_within_it() -> None:
    scene = strict()
    with pytest.raises(Refusal) as refused:
        scene.place("BUY", "LIMIT", price=99)
    assert str(refused.value) == "Your order could not be converted to a After Market Order (AMO)."
    assert refused.value.data == {"hints": ["switch_to_amo"]}
    scene.opened()
    with pytest.raises(Refusal, match="only be placed outside of market hours"):
        scene.place("BUY", "LIMIT", price=99, variety="amo")


def test_at_the_close_the_session_is_over() -> None:
    scene = Scene(candles={KEY: candles([FLAT], start="15:29")}).opened()
    assert scene.bar() == "15:30:00"
    with pytest.raises(Refusal, match="After Market Order"):
        scene.place("BUY", "LIMIT", price=99)


def statuses(order: Any) -> list[str]:
    return [row["status"] for row in order.history]


PLACED = ["PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING"]


def test_a_limit_order_passes_kites_states() -> None:
    scene = Scene([UP]).opened()
    order = scene.place("BUY", "LIMIT", price=99)
    assert statuses(order) == [*PLACED, "OPEN"]
    assert [row["exchange_order_id"] is None for row in order.history] == [True, True, True, False]
    assert order.history[0]["instrument_token"] == 1
    scene.bar()
    assert statuses(order) == [*PLACED, "OPEN", "COMPLETE"]
    assert order.history[3]["filled_quantity"] == 0  # rows are not rewritten


def test_a_changed_order_shows_the_new_price_only_on_its_last_row() -> None:
    scene = Scene([FLAT] * 2).opened()
    order = scene.place("BUY", "LIMIT", price=99)
    scene.venue.modify("regular", order.order_id, {"price": "98.5"})
    assert statuses(order)[4:] == ["MODIFY VALIDATION PENDING", "MODIFY PENDING", "MODIFIED", "OPEN"]
    assert [row["price"] for row in order.history[4:]] == [99, 99, 99, 98.5]


def test_a_stop_can_become_a_limit_and_a_stop_again() -> None:
    scene = Scene([FLAT] * 2).opened()
    order = scene.place("SELL", "SL", price=95, trigger_price=96)
    assert order.status == "TRIGGER PENDING"
    scene.venue.modify("regular", order.order_id, {"order_type": "LIMIT", "price": "105"})
    assert (order.status, order.trigger_price) == ("OPEN", 0)
    scene.venue.modify("regular", order.order_id, {"order_type": "SL", "price": "95", "trigger_price": "96"})
    assert order.status == "TRIGGER PENDING"


def test_a_limit_changed_to_market_needs_protection_but_a_market_order_keeps_its_own() -> None:
    scene = strict([FLAT] * 2).opened()
    order = scene.place("BUY", "LIMIT", price=99)
    with pytest.raises(Refusal, match="without market protection"):
        scene.venue.modify("regular", order.order_id, {"order_type": "MARKET"})
    scene.venue.modify("regular", order.order_id, {"order_type": "MARKET", "market_protection": "-1"})
    scene.venue.modify("regular", order.order_id, {"quantity": "20"})
    assert (order.order_type, order.quantity, order.market_protection) == ("MARKET", 20, -1)


def test_an_order_can_be_changed_25_times() -> None:
    scene = Scene([FLAT] * 2).opened()
    order = scene.place("BUY", "LIMIT", price=90)
    for step in range(25):
        scene.venue.modify("regular", order.order_id, {"price": str(90 + step % 2)})
    with pytest.raises(Refusal) as refused:
        scene.venue.modify("regular", order.order_id, {"price": "92"})
    assert (refused.value.error_type, str(refused.value)) == (
        "NetworkException", "Maximum allowed order modifications exceeded.",
    )  # fmt: skip


def test_a_cancelled_order_passes_cancel_pending_and_is_told_twice_as_on_kite() -> None:
    scene = Scene([FLAT] * 2).opened()
    order = scene.place("BUY", "LIMIT", price=90)
    scene.venue.cancel("regular", order.order_id)
    assert statuses(order)[4:] == ["CANCEL PENDING", "CANCELLED", "CANCELLED"]
    row = order.latest()
    assert (row["pending_quantity"], row["cancelled_quantity"], row["filled_quantity"]) == (10, 10, 0)
    scene.to_end()
    assert scene.fills() == []


def test_a_finished_order_can_be_neither_cancelled_nor_changed() -> None:
    scene = Scene([FLAT] * 2).opened()
    order = scene.place("BUY")
    scene.bar()
    with pytest.raises(Refusal, match="cannot be cancelled as it is being processed") as refused:
        scene.venue.cancel("regular", order.order_id)
    assert (refused.value.code, refused.value.error_type) == (400, "InputException")
    with pytest.raises(Refusal, match="cannot be modified as it is being processed"):
        scene.venue.modify("regular", order.order_id, {"price": "99"})


def test_an_unknown_order_is_not_found() -> None:
    with pytest.raises(Refusal, match="Couldn't find that `order_id`"):
        Scene([FLAT]).venue.cancel("regular", "1")


@pytest.mark.parametrize("symbol", ["NIFTY26OCTFUT", "NIFTY26O2726000CE"])
def test_a_contract_that_has_expired_is_not_tradable(symbol: str) -> None:
    key = f"NFO:{symbol}"
    scene = strict(candles={key: candles([FLAT] * 3)}, symbols=()).opened()
    with pytest.raises(Refusal, match="has either expired or does not exist"):
        scene.place("BUY", "LIMIT", symbol, exchange="NFO", price=100, quantity=65, product="NRML")
