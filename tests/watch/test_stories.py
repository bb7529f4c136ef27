"""Which order an event belongs to. A slice's events are those of the order that it is a part of."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.orders import Orders
from btkite.errors import ConfigError
from btkite.watch.stories import Story, find, stories

T0 = datetime(2026, 11, 20, 9, 15)
ONE, TWO = -20001, -20002
"""The first two slices of order 2."""


def told(*events: dict[str, Any]) -> list[Story]:
    return stories({"time": T0 + timedelta(seconds=n), **event} for n, event in enumerate(events))


def order(*refs: int, kind: str = "order", **more: Any) -> dict[str, Any]:
    rows = [{"ref": ref, "proposal": {"instrument": "NSE:A", "side": "BUY", "quantity": 10}, **more} for ref in refs]
    return {"kind": kind, "refs": list(refs), "orders": rows}


def intent(ref: int, tag: str, units: int = 5) -> dict[str, Any]:
    return {"kind": "intent", "proposal": {"ref": ref, "tag": tag, "quantity": units}}


def of(kind: str, ref: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "ref": ref, **more}


def test_slices_are_numbered_as_their_story_reads_them() -> None:
    orders = Orders()
    orders[2] = "the whole"
    first = orders.next_slice(2)
    orders[first] = "a slice"
    assert (first, orders.next_slice(2)) == (ONE, TWO)


def test_what_a_slice_was_sent_with_and_all_that_came_of_it_is_in_the_story_of_its_order() -> None:
    (story,) = told(
        order(2),
        intent(ONE, "T1"),
        intent(TWO, "T2"),
        of("sending", ONE, action="place", tag="T1"),
        of("reply", ONE, order_id="A", error=""),
        of("placed", TWO, order_id="B"),
        of("fill", ONE, quantity=5, price=100.0, charges=1.0),
        of("fill", TWO, quantity=5, price=102.0, charges=2.0),
        of("end", 2, how="completed"),
    )
    assert (story.ref, story.ids, story.tags) == (2, ["A", "B"], ["T1", "T2"])
    assert [event["kind"] for event in story.of("intent", "sending", "reply", "placed")] == [
        "intent", "intent", "sending", "reply", "placed",
    ]  # fmt: skip
    assert (story.filled, story.average, story.charges, story.state) == (10, 101.0, 3.0, "completed")


def test_a_swap_of_slices_is_told_of_their_orders() -> None:
    known = told(order(2), order(3), {"kind": "swap", "refs": [ONE, -30001], "ref": -30001, "of": ONE, "order_id": "A"})
    assert [(story.ref, len(story.of("swap"))) for story in known] == [(2, 1), (3, 1)]


@pytest.mark.parametrize("ref", [2, ONE], ids=["whole", "slice"])
@pytest.mark.parametrize("cause", ["anew", "unfilled", "widened 1"])
def test_an_alert_is_told_of_the_order_that_its_key_ends_with(cause: str, ref: int) -> None:
    alert = {"kind": "alert", "level": "warning", "text": "look", "key": f"{cause} {ref}"}
    first, second = told(order(1), order(2), alert)
    assert (len(first.of("alert")), len(second.of("alert"))) == (0, 1)


@pytest.mark.parametrize("key", ["", "past", "foreign NSE:A", "calendar 2026-11-20"])
def test_an_alert_about_no_order_is_no_orders(key: str) -> None:
    (story,) = told(order(1), {"kind": "alert", "level": "warning", "text": "look", "key": key})
    assert story.of("alert") == []


def test_a_ref_that_is_given_again_begins_another_story() -> None:
    first, second = told(order(1), of("end", 1, how="canceled"), order(1), of("placed", 1, order_id="A"))
    assert (first.state, first.ids) == ("canceled", [])
    assert (second.state, second.ids) == ("working", ["A"])
    assert find([first, second], "1") is second
    assert first.at is not None
    assert second.at is not None
    assert first.at < second.at


def test_a_restart_does_not_begin_another() -> None:
    (story,) = told(order(1), {"kind": "restored", "refs": [1], "orders": 1}, of("placed", 1, order_id="A"))
    assert (len(story.of("restored")), story.ids, story.at) == (1, ["A"], T0)


def test_a_group_is_given_together_and_each_has_its_own_story() -> None:
    known = told(order(1, 2), of("placed", 2, order_id="B"))
    assert [(story.ref, story.given["ref"], story.ids) for story in known] == [(1, 1, []), (2, 2, ["B"])]
    assert all("orders" not in event for story in known for event in story.events)


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([order(1, kind="denied")], "denied"),
        ([order(1), {"kind": "denied", "refs": [1], "rule": "r"}], "working"),  # a change of it was denied
        ([order(1), of("end", 1, how="rejected")], "rejected"),
        ([order(1), of("fill", 1, quantity=4, price=1.0, charges=0.0)], "4 of 10 filled"),
        ([order(1), of("fill", 1, quantity=10, price=1.0, charges=0.0)], "completed"),
        (
            [order(1), of("change", 1, quantity=20), of("fill", 1, quantity=10, price=1.0, charges=0.0)],
            "10 of 20 filled",
        ),
        (
            [order(1), of("fill", 1, quantity=4, price=1.0, charges=0.0), of("end", 1, how="completed")],
            "completed",  # it was smaller at Kite than it was to be
        ),
        (
            [order(1), of("fill", 1, quantity=4, price=1.0, charges=0.0), of("end", 1, how="canceled")],
            "canceled",
        ),
    ],
)
def test_how_it_stands(events: list[dict[str, Any]], state: str) -> None:
    (story,) = told(*events)
    assert story.state == state


@pytest.mark.parametrize(
    ("side", "price", "worse"),
    [("BUY", 101.0, 10.0), ("BUY", 99.0, -10.0), ("SELL", 99.0, 10.0), ("SELL", 101.0, -10.0)],
)
def test_slippage_is_what_it_traded_worse_than_the_last_price_known(side: str, price: float, worse: float) -> None:
    asked = {"instrument": "NSE:A", "side": side, "quantity": 10, "reference_price": 100.0}
    (story,) = told(order(1, proposal=asked), of("fill", 1, quantity=10, price=price, charges=0.0))
    assert story.slippage == (worse, pytest.approx(worse * 10))
    (unfilled,) = told(order(1, proposal=asked))
    assert unfilled.slippage is None


def test_a_name_is_an_id_a_tag_a_ref_or_the_end_of_one() -> None:
    known = told(
        order(1),
        order(2),
        intent(ONE, "LABEL00002A"),
        of("placed", 1, order_id="240701000000012"),
        of("placed", 2, order_id="240701000000022"),
    )
    for name, ref in [("1", 1), ("#2", 2), (" LABEL00002A ", 2), ("240701000000022", 2), ("00012", 1), ("0002A", 2)]:
        assert find(known, name).ref == ref
    for name in ("0012", "00001"):  # too little of it, and nobody's end
        with pytest.raises(ConfigError, match=f"there is no order {name} here"):
            find(known, name)
    with pytest.raises(ConfigError, match="none was ever given here"):
        find([], "1")
