"""Icebergs: one leg at a time, each an order of its own."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.exchange.errors import Refusal
from btkite.exchange.iceberg import legs

from .scene import Scene, candles

FLAT = (100.0, 100.0, 100.0, 100.0)
DIP = (100.0, 101.0, 98.0, 100.0)


def iceberg(scene: Scene, quantity: int = 10, count: int = 5, leg: int = 2, **more: Any) -> Any:
    given = {"quantity": quantity, "iceberg_legs": count, "iceberg_quantity": leg, "price": 99, **more}
    return scene.place("BUY", "LIMIT", variety="iceberg", **given)


@pytest.mark.parametrize(
    ("total", "count", "lot", "sizes"),
    [(10, 5, 1, [2] * 5), (31 * 65, 2, 65, [16 * 65, 15 * 65]), (7, 3, 1, [3, 2, 2]), (4, 5, 1, [])],
)
def test_uneven_lots_go_to_the_first_legs(total: int, count: int, lot: int, sizes: list[int]) -> None:
    assert legs(total, count, lot) == sizes


def test_the_next_leg_is_placed_when_the_one_before_is_filled_and_meta_links_them() -> None:
    scene = Scene([FLAT, DIP, DIP, DIP, DIP, DIP]).opened()
    scene.bar()
    first = iceberg(scene, tag="ice")
    assert (first.latest()["quantity"], len(scene.venue.book.orders)) == (2, 1)
    assert first.latest()["meta"] == {
        "iceberg": {"leg": 1, "legs": 5, "leg_quantity": 2, "total_quantity": 10, "remaining_quantity": 8}
    }
    scene.to_end()
    rows = [order.latest() for order in scene.venue.book.orders.values()]
    assert [row["meta"]["iceberg"]["leg"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["meta"]["iceberg"]["remaining_quantity"] for row in rows] == [8, 6, 4, 2, 0]
    assert {row["variety"] for row in rows} == {"iceberg"}
    assert {row["tag"] for row in rows} == {"ice"}
    assert sum(row["filled_quantity"] for row in rows) == 10


def test_a_leg_meets_the_print_after_its_forerunners_fill() -> None:
    scene = Scene([FLAT, (98.0, 98.0, 98.0, 98.0)]).opened()
    scene.bar()
    iceberg(scene, quantity=4, count=2)
    scene.to_end()
    assert scene.fills() == [("09:16:00", "BUY", 98.0), ("09:16:20", "BUY", 98.0)]


def test_a_cancelled_leg_is_the_last_one() -> None:
    scene = Scene([FLAT, DIP, DIP]).opened()
    scene.bar()
    order = iceberg(scene)
    scene.venue.cancel("iceberg", order.order_id)
    scene.to_end()
    assert len(scene.venue.book.orders) == 1
    assert scene.fills() == []


def test_a_leg_without_money_is_rejected_in_the_book() -> None:
    scene = Scene([FLAT, DIP, DIP], cash=500.0).opened()
    scene.bar()
    iceberg(scene, quantity=8, count=2, leg=4, product="CNC")  # 396 rupees a leg
    scene.to_end()
    second = list(scene.venue.book.orders.values())[1].latest()
    assert second["status"] == "REJECTED"
    assert second["status_message_raw"].startswith("RMS:Margin Exceeds,Required:396.00, Available:")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"count": 1, "leg": 10}, "Invalid `iceberg_legs`. It must be between 2 and 50."),
        ({"count": 51, "quantity": 510, "leg": 10}, "Invalid `iceberg_legs`. It must be between 2 and 50."),
        ({"leg": 3}, "Invalid `iceberg_quantity`."),
        ({"iceberg_quantity": ""}, "Invalid `iceberg_quantity`."),
        ({"quantity": 3}, "Invalid `iceberg_quantity`."),
    ],
)
def test_legs_that_do_not_fit_are_refused(fields: dict[str, Any], text: str) -> None:
    scene = Scene([FLAT] * 2).opened()
    with pytest.raises(Refusal) as refused:
        iceberg(scene, **fields)
    assert str(refused.value) == text


def test_in_2023_ten_legs_were_the_most() -> None:
    from datetime import datetime

    scene = Scene(candles={"NSE:INFY": candles([FLAT] * 2, day=datetime(2023, 5, 4))})
    scene.bar()
    with pytest.raises(Refusal, match="between 2 and 10"):
        iceberg(scene, quantity=11, count=11, leg=1)
    assert iceberg(scene, quantity=10, count=10, leg=1).status == "OPEN"
