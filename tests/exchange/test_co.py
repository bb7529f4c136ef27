"""Cover orders: an entry and the stop that follows its fills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from btkite.exchange.errors import Refusal

from .scene import DAY, Client, Scene, form

FLAT = (100.0, 100.0, 100.0, 100.0)
DIP = (100.0, 101.0, 98.0, 100.0)
FALL = (100.0, 100.0, 96.0, 96.0)
Load = Callable[..., Client]


def opened(*bars: Any, **more: Any) -> Scene:
    scene = Scene([FLAT, *bars], **more).opened()
    scene.bar()
    return scene


def cover(scene: Scene, order_type: str = "LIMIT", **more: Any) -> Any:
    given = {"price": 99, "trigger_price": 97, **more}
    return scene.place("BUY", order_type, variety="co", **given)


def test_the_stop_appears_with_the_entrys_fill_and_names_its_parent() -> None:
    scene = opened(DIP, FLAT)
    entry = cover(scene, tag="cov")
    assert (entry.latest()["product"], entry.latest()["variety"], entry.status) == ("CO", "co", "OPEN")
    assert list(scene.venue.book.orders) == [entry.order_id]
    scene.bar()
    stop = entry.child
    assert stop is not None
    assert stop.status == "TRIGGER PENDING"
    row = stop.latest()
    assert (row["parent_order_id"], row["transaction_type"], row["quantity"]) == (entry.order_id, "SELL", 10)
    assert (row["order_type"], row["trigger_price"], row["product"]) == ("SL-M", 97, "CO")


def test_the_stop_goes_off_and_the_position_is_flat() -> None:
    scene = opened(FLAT, FALL)
    entry = cover(scene, "MARKET")
    scene.to_end()
    assert [(side, price) for _, side, price in scene.fills()] == [("BUY", 100.0), ("SELL", 97.0)]
    assert entry.child is not None
    assert entry.child.status == "COMPLETE"
    (position,) = scene.venue.positions()["net"]
    assert (position["product"], position["quantity"]) == ("CO", 0)


def test_a_delete_of_the_stop_is_an_exit_at_the_market(load: Load) -> None:
    client = load([FLAT] * 5)
    client.control("clock", next="bar")
    client.control("clock", next="bar")
    fields = {**form("BUY", "MARKET"), "trigger_price": "97", "variety": "co"}
    parent = client.data("POST", "/orders/co", **fields)["order_id"]
    client.control("clock", next="bar")
    (stop,) = [row for row in client.data("GET", "/orders") if row["parent_order_id"]]
    assert stop["parent_order_id"] == parent
    path = f"/orders/co/{stop['order_id']}"
    assert client.refused("DELETE", path, parent_order_id="1")[2] == "Couldn't find that `order_id`."
    assert client.data("DELETE", path, parent_order_id=parent) == {"order_id": stop["order_id"]}
    client.control("clock", next="bar")
    rows = client.data("GET", f"/orders/{stop['order_id']}")
    assert (rows[-1]["status"], rows[-1]["order_type"]) == ("COMPLETE", "MARKET")


def test_an_entry_that_is_cancelled_unfilled_leaves_nothing() -> None:
    scene = opened(FLAT, FLAT)
    entry = cover(scene)
    scene.venue.cancel("co", entry.order_id)
    scene.to_end()
    assert entry.status == "CANCELLED"
    assert entry.child is None
    assert scene.fills() == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"trigger_price": 95}, "Trigger price should be between 96.50 and 100.00."),
        ({"trigger_price": 101}, "Trigger price should be between 96.50 and 100.00."),
        ({"trigger_price": 0}, "Invalid `trigger_price`."),
        ({"order_type": "SL"}, "Invalid `order_type`."),
    ],
)
def test_a_stop_outside_its_range_is_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(Refusal) as refused:
        cover(opened(FLAT), **fields)
    assert str(refused.value) == text


def test_the_type_cannot_be_changed_but_price_and_trigger_can() -> None:
    scene = opened(DIP, FLAT)
    entry = cover(scene)
    with pytest.raises(Refusal, match="order type of a cover order cannot be changed"):
        scene.venue.modify("co", entry.order_id, {"order_type": "MARKET", "market_protection": "-1"})
    scene.venue.modify("co", entry.order_id, {"price": "98.5", "trigger_price": "97.5"})
    assert (entry.price, entry.trigger_price) == (98.5, 97.5)
    scene.bar()
    assert entry.child is not None
    scene.venue.modify("co", entry.child.order_id, {"trigger_price": "96"})
    assert entry.child.trigger_price == 96


def test_options_bse_and_funds_take_no_cover_orders() -> None:
    for key in ("BSE:INFY", "NFO:NIFTY26N2426000CE", "NSE:NIFTYBEES"):
        exchange, symbol = key.split(":")
        scene = Scene(symbols=(key,), seed=1, generate_from=DAY.date()).opened()
        with pytest.raises(Refusal, match="Cover orders are not allowed"):
            scene.place("BUY", "MARKET", symbol, exchange=exchange, variety="co", quantity=65, trigger_price=1)


def test_an_auction_order_is_refused_in_words() -> None:
    scene = opened(FLAT)
    with pytest.raises(Refusal, match="Missing `auction_number`"):
        scene.place("SELL", "LIMIT", variety="auction", price=99)
    with pytest.raises(Refusal, match="no auction"):
        scene.place("SELL", "LIMIT", variety="auction", price=99, auction_number=22)


def test_the_stop_grows_with_partial_fills_and_so_does_its_exit() -> None:
    scene = opened(*[FLAT] * 6, depth=4)
    entry = cover(scene, "LIMIT", price=100, quantity=40)
    scene.bar()
    first = entry.child
    assert first is not None
    assert first.quantity == entry.filled_quantity == 4
    scene.bar()
    assert entry.child is first
    assert first.quantity == entry.filled_quantity == 8
    scene.venue.cancel("co", first.order_id)  # an exit
    scene.to_end()
    assert (entry.status, first.status, first.order_type) == ("COMPLETE", "COMPLETE", "MARKET")
    assert entry.filled_quantity == first.filled_quantity == 40
    assert [row["quantity"] for row in scene.venue.positions()["net"]] == [0]
