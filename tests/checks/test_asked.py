"""The oracle holds each order call against what the strategy asked for: one wrong word in a form is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from btkite.checks.wished import gathered, siblings
from tests.checks.good import GOOD, READ, SCENARIO, Row, at, call, form, judged

PROMISE = "Kite gets what was asked for"


def wish(ref: int, kind: str, side: str = "BUY", minute: int = 1, **more: Any) -> Row:
    row = {
        "what": "give", "now": at(minute), "ref": ref, "side": side, "key": "NSE:INFY", "tick": 0.05, "size": 5,
        "type": kind, "price": None, "plimit": None, "parent": 0, "oco": 0, "valid": False, "done": True,
        "product": None, "validity": None, "tag": None, "market_protection": None,
    }  # fmt: skip
    return {**row, **more}


def told(wishes: tuple[Row, ...], *calls: Row) -> list[str]:
    return judged(replace(GOOD, wishes=wishes, requests=(*READ, *calls))).get(PROMISE, [])


LIMIT = wish(1, "Limit", price=1500.02)
STOP = wish(1, "Stop", price=1510.02)
STOP_FORM = {"order_type": "SL-M", "trigger_price": "1510.05", "market_protection": "-1", "price": ""}
MARKET_FORM = {"order_type": "MARKET", "market_protection": "-1", "price": ""}
GIVEN = [
    (LIMIT, {}, {"price": "1500.05"}, "limit 1500.05"),  # to the tick, and a worse price
    (LIMIT, {}, {"price": "1499.95"}, "limit 1499.95"),
    (LIMIT, {}, {"transaction_type": "SELL"}, "SELL, asked for BUY"),
    (LIMIT, {}, {"tradingsymbol": "TCS"}, "NSE:TCS, asked for NSE:INFY"),
    (LIMIT, {}, {"product": "CNC"}, "product CNC, asked for MIS"),
    (LIMIT, {}, {"validity": "IOC"}, "validity IOC, asked for DAY"),
    (LIMIT, {}, {"quantity": "6"}, "quantity 6"),
    (LIMIT, {}, {"quantity": "4"}, "quantity 4, asked for [5]"),
    (LIMIT, {}, {"order_type": "MARKET", "market_protection": "-1"}, "type MARKET, asked for Limit"),
    (STOP, STOP_FORM, {"trigger_price": "1510.00"}, "trigger 1510.0"),  # nearer to the market than it was named
    (STOP, STOP_FORM, {"market_protection": ""}, "market protection , asked for -1"),
    (wish(1, "Market", market_protection=3), {**MARKET_FORM, "market_protection": "3"}, {"market_protection": "-1"},
     "market protection -1, asked for 3"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "right", "wrong", "sentence"), GIVEN)
def test_a_form_that_is_not_what_was_asked_for_is_told(
    asked: Row, right: dict[str, str], wrong: dict[str, str], sentence: str
) -> None:
    assert told((asked,), call(4, "POST", "/orders/regular", 1, **form(1, **right))) == []
    (said,) = told((asked,), call(4, "POST", "/orders/regular", 1, **form(1, **{**right, **wrong})))
    assert sentence in said


def test_the_strategys_part_of_the_tag_leads_it() -> None:
    assert told((wish(1, "Limit", price=1500.0, tag="T1"),), call(4, "POST", "/orders/regular", 1, **form(1))) == []
    assert told((wish(1, "Limit", price=1500.0, tag="mine"),), call(4, "POST", "/orders/regular", 1, **form(1)))


def changed(**more: str) -> Row:
    fields = {"quantity": "5", "order_type": "LIMIT", "price": "1490.00", **more}
    return call(5, "PUT", "/orders/regular/id3", 3, **fields)


def test_a_change_is_to_what_was_asked_for() -> None:
    moved = {"what": "change", "now": at(3), "ref": 3, "done": True, "size": None, "price": 1490.0, "plimit": None}
    wishes = (wish(3, "Limit", price=1500.0), moved)
    assert told(wishes, changed()) == []
    assert "limit 1495.0" in told(wishes, changed(price="1495.00"))[0]
    assert "quantity 9" in told(wishes, changed(quantity="9"))[0]
    denied = (wishes[0], {**moved, "done": False})
    assert told(denied, changed())


def test_an_exit_may_become_its_sibling_and_nobody_elses() -> None:
    stop = wish(3, "Stop", "BUY", price=1510.0)
    target, other = wish(4, "Limit", price=1490.0, oco=3), wish(5, "Limit", price=1490.0)
    assert told((stop, target), changed()) == []
    assert told((stop, other), changed()) != []


WIDENED = {"order_type": "LIMIT", "quantity": "5"}


@pytest.mark.parametrize(("kind", "price", "good"), [
    ("Market", "1560.00", True), ("Stop", "1560.00", True), ("Stop", "1490.00", False), ("Limit", "1560.00", False),
])  # fmt: skip
def test_where_protection_binds_only_what_may_be_widened_may_rest_beyond(kind: str, price: str, good: bool) -> None:
    binds = replace(SCENARIO, settings={"protection_binds": True})
    day = replace(GOOD, wishes=(wish(3, kind, price=1510.0),), requests=(*READ, changed(**WIDENED, price=price)))
    assert (PROMISE not in judged(day, binds)) == good


TRADED_AT = "of a position's exits the one is told that traded"


@pytest.mark.parametrize(("named", "good"), [(1499.0, False), (1500.0, True), (1501.0, True)])
def test_a_target_is_never_told_of_a_fill_that_is_worse_than_its_limit(named: float, good: bool) -> None:
    """What was bought at 1500."""
    assert (TRADED_AT not in judged(replace(GOOD, wishes=(wish(1, "Limit", price=named),)))) == good
    assert TRADED_AT not in judged(replace(GOOD, wishes=(wish(1, "Stop", price=named),)))
    moved = {"what": "change", "now": at(1), "ref": 1, "done": True, "size": None, "price": 1500.0, "plimit": None}
    assert TRADED_AT not in judged(replace(GOOD, wishes=(wish(1, "Limit", price=named), moved)))


def test_a_change_in_whose_midst_the_process_died_may_have_left_and_one_that_was_refused_has_not() -> None:
    begun = {"what": "try", "now": at(1), "ref": 1, "size": None, "price": 1500.0, "plimit": None}
    refused = {**begun, "what": "change", "done": False}
    low = wish(1, "Limit", price=1499.0)
    assert TRADED_AT not in judged(replace(GOOD, wishes=(low, begun)))
    assert TRADED_AT in judged(replace(GOOD, wishes=(low, begun, refused)))
    assert TRADED_AT not in judged(replace(GOOD, wishes=(low, begun, {**begun, "price": 1499.5}, refused)))


def test_a_trailing_stop_that_moved_before_the_first_bar_of_a_new_life_is_heard_of() -> None:
    stop = wish(1, "StopTrail", price=1490.0)
    moved = {"what": "trail", "now": at(1), "ref": 1, "price": 1495.0, "plimit": None}
    assert gathered((stop, moved), ())[1].prices == [(1490.0, None), (1495.0, None)]


def test_families_are_pairs_and_the_exits_of_one_entry() -> None:
    wishes = gathered(
        (
            wish(1, "Market"),
            wish(2, "Stop", parent=1, price=1.0),
            wish(3, "Limit", parent=1, price=1.0),
            wish(4, "Stop", price=1.0),
            wish(5, "Limit", oco=4, price=1.0),
            wish(6, "Limit", oco=4, price=1.0),
            wish(7, "Limit", price=1.0),
        ),
        (),
    )
    assert siblings(wishes) == {2: {2, 3}, 3: {2, 3}, 4: {4, 5, 6}, 5: {4, 5, 6}, 6: {4, 5, 6}}
