"""Freeze quantity and autoslice, as a client sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .scene import Client, candles, form

FUTURE = "NFO:NIFTY26NOVFUT"
BAR = (26000.0, 26000.0, 26000.0, 26000.0)
ORDER = form("BUY", "LIMIT", "NIFTY26NOVFUT", exchange="NFO", product="NRML", price=25900)
Load = Callable[..., Client]


def opened(load: Load, **more: Any) -> Client:
    client = load(candles={FUTURE: candles([BAR] * 5)}, **more)
    client.control("clock", next="bar")
    return client


def test_a_sliced_order_answers_with_a_parent_and_children_in_kites_shape(load: Load) -> None:
    client = opened(load)
    answer = client.data("POST", "/orders/regular", **{**ORDER, "quantity": "3900", "autoslice": "true", "tag": "big"})
    ids = [child["order_id"] for child in answer["children"]]
    book = {row["order_id"]: row for row in client.data("GET", "/orders")}
    assert answer["order_id"] not in book
    assert list(book) == ids
    assert [book[one]["quantity"] for one in ids] == [1755, 1755, 390]  # 1800 is 27 lots and a part
    parent = answer["order_id"]
    assert all(book[one]["tags"] == ["big", "autoslice", f"autoslice:{parent}"] for one in ids)
    assert all(book[one]["tag"] == "big" and book[one]["parent_order_id"] is None for one in ids)


def test_a_child_without_money_is_an_error_beside_the_others(load: Load) -> None:
    client = opened(load, cash=8_000_000.0)
    answer = client.data("POST", "/orders/regular", **{**ORDER, "quantity": "3510", "autoslice": "true"})
    good, bad = answer["children"]
    assert set(good) == {"order_id"}
    assert set(bad["error"]) == {"code", "error_type", "message", "data"}
    assert (bad["error"]["code"], bad["error"]["error_type"]) == (400, "MarginException")
    assert bad["error"]["message"].startswith("Insufficient funds. Required margin is ")


def test_up_to_the_freeze_quantity_slicing_is_refused_and_a_setting_doubles_that(load: Load) -> None:
    text = "Quantity should be greater than or equal to {} for order slicing."
    sliced = {**ORDER, "autoslice": "true"}
    client = opened(load)
    assert client.refused("POST", "/orders/regular", **{**sliced, "quantity": "1755"})[2] == text.format(1755)
    client = opened(load, autoslice_min="2*freeze")
    refused = client.refused("POST", "/orders/regular", **{**sliced, "quantity": "3445"})
    assert refused == (400, "InputException", text.format(3510))
    assert len(client.data("POST", "/orders/regular", **{**sliced, "quantity": "3510"})["children"]) == 2


def test_at_most_ten_slices(load: Load) -> None:
    client = opened(load, cash=1e12)
    sliced = {**ORDER, "autoslice": "true"}
    assert len(client.data("POST", "/orders/regular", **{**sliced, "quantity": "17550"})["children"]) == 10
    assert "17550 is the limit" in client.refused("POST", "/orders/regular", **{**sliced, "quantity": "17615"})[2]


def test_above_the_freeze_quantity_an_order_is_refused_with_the_lots_in_the_text(load: Load) -> None:
    client = opened(load, checks=("freeze",))
    code, kind, text = client.refused("POST", "/orders/regular", **{**ORDER, "quantity": "1820"})
    assert (code, kind) == (400, "InputException")
    assert text.startswith(
        "The order quantity 1820 (28 lots) is higher than the maximum quantity of 1755 (27 lots) allowed by the "
        "exchanges. Please reduce the order quantity or use iceberg orders. [Read more.]("
    )
    client.data("POST", "/orders/regular", **{**ORDER, "quantity": "1755"})
    client.data("POST", "/orders/regular", **{**ORDER, "quantity": "1820", "autoslice": "true"})


def test_before_slicing_existed_it_is_not_available(load: Load) -> None:
    client = opened(load, rules={"autoslice": False})
    text = client.refused("POST", "/orders/regular", **{**ORDER, "quantity": "3900", "autoslice": "true"})[2]
    assert text == "Order slicing is not available for NIFTY26NOVFUT."
