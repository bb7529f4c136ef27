"""The oracle sees what was left undone at a day's end: cancellations, changes, exits and siblings, and a journal that
is not the account."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from btkite.checks.acts import KILL, Act
from btkite.checks.lives import Day
from btkite.checks.scenario import Scenario
from tests.checks.good import (
    BUY,
    END,
    EVENTS,
    GOOD,
    KNOWN,
    REST,
    SCENARIO,
    SELL,
    TOLD,
    Row,
    at,
    intent,
    judged,
    known,
    order,
    state,
    told,
)  # fmt: skip
from tests.checks.test_asked import wish


def sentences(promise: str, day: Day, scenario: Scenario = SCENARIO) -> list[str]:
    return judged(day, scenario).get(promise, [])


def ended(*rows: Row, **more: Any) -> Row:
    return {**END, "orders": rows, **more}


def position(quantity: int) -> Row:
    return {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "quantity": quantity}


CANCELS = {"what": "cancel", "now": at(3), "ref": 3}


def test_a_cancellation_that_was_never_sent_is_told() -> None:
    promise = "what was cancelled works no more"
    wishes = (wish(3, "Limit", price=1500.0), CANCELS)
    assert sentences(promise, replace(GOOD, wishes=wishes[:1])) == []
    assert "order 3 was cancelled by the strategy" in sentences(promise, replace(GOOD, wishes=wishes))[0]
    assert sentences(promise, replace(GOOD, wishes=(wishes[0], {**CANCELS, "now": at(7)}))) == []


def test_what_rests_otherwise_than_it_was_last_asked_for_is_told() -> None:
    promise = "what rests is what was asked for"
    change = {"what": "change", "now": at(3), "ref": 3, "done": True, "size": None, "price": 1490.0, "plimit": None}
    given = wish(3, "Limit", price=1500.0)
    assert sentences(promise, replace(GOOD, wishes=(given,))) == []
    found = sentences(promise, replace(GOOD, wishes=(given, change)))
    assert found == ["order 3 rests at 1500.0, and was to rest at 1490.0"]
    refused = ended(*KNOWN[:2], {**KNOWN[2], "failed": True})
    assert sentences(promise, replace(GOOD, wishes=(given, change), end=refused)) == []
    smaller = ended(*KNOWN[:2], {**KNOWN[2], "size": 3})
    assert (
        "has 5 left at the exchange, and 3 here" in sentences(promise, replace(GOOD, wishes=(given,), end=smaller))[0]
    )
    assert "was to be of 3" in sentences(promise, replace(GOOD, wishes=({**given, "size": 3},)))[0]


def test_of_a_pair_the_other_rests_on_is_told() -> None:
    promise = "of orders of which one is to trade, one does"
    wishes = (wish(1, "Limit", price=1500.0), wish(3, "Limit", price=1500.0))
    assert sentences(promise, replace(GOOD, wishes=wishes)) == []
    paired = replace(GOOD, wishes=(wishes[0], {**wishes[1], "oco": 1}))
    assert sentences(promise, paired)[0].startswith("order id3 still rests, and another of its group")


def test_an_entry_without_its_exits_is_told() -> None:
    promise = "what an entry has filled has its exits"
    wishes = (wish(1, "Limit", price=1500.0), wish(2, "Stop", "SELL", parent=1, price=1490.0))
    events = (intent(1, 1), intent(2, 2, reduces=True, parent=1))
    rests = order(2, "SELL", (3, state(2, "TRIGGER PENDING")))
    gone = order(2, "SELL", (3, state(2, "TRIGGER PENDING")), (4, state(3, "CANCELLED")))
    day = replace(GOOD, wishes=wishes, events=events, positions=(position(5),), orders=(BUY, rests))
    assert sentences(promise, day) == []
    naked = replace(day, orders=(BUY, gone))
    assert sentences(promise, naked) == ["the entry 1 has filled 5, 5 of it are still held, and exits rest for 0"]
    assert sentences(promise, replace(naked, positions=(position(0),))) == []
    assert sentences(promise, replace(naked, wishes=(*wishes, {"what": "cancel", "now": at(3), "ref": 2}))) == []


KILLED = Act(datetime.fromisoformat(at(3)), KILL)


def test_an_exit_that_the_kill_switch_took_is_told() -> None:
    promise = "the kill switch leaves exits"
    wishes = (wish(1, "Limit", price=1500.0), wish(2, "Stop", "SELL", price=1490.0))
    gone = order(2, "SELL", (3, state(2, "TRIGGER PENDING")), (4, state(4, "CANCELLED")))
    day = replace(GOOD, wishes=wishes, orders=(BUY, gone), positions=(position(5),), killed_at=4, codes=(3,))
    killed = replace(SCENARIO, acts=(KILLED,))
    assert sentences(promise, day) == []
    assert "the exit id2 ended as CANCELLED after the kill switch" in sentences(promise, day, killed)[0]
    flattens = replace(SCENARIO, acts=(replace(KILLED, fields={"flatten": True}),))
    assert sentences(promise, day, flattens) == []
    by_the_strategy = replace(day, wishes=(*wishes, {"what": "cancel", "now": at(4), "ref": 2}))
    assert sentences(promise, by_the_strategy, killed) == []


def test_what_flattening_has_left_is_told() -> None:
    promise = "flattening leaves nothing"
    flattens = replace(SCENARIO, acts=(replace(KILLED, fields={"flatten": True}),))
    day = replace(GOOD, killed_at=4, codes=(3,))
    assert sentences(promise, day, flattens) == ["after the kill switch with flattening order id3 rests with 5"]
    held = replace(day, orders=(BUY, SELL), positions=(position(5),))
    assert sentences(promise, held, flattens) == ["after the kill switch with flattening {'NSE:INFY': 5} is held"]
    assert sentences(promise, replace(held, positions=()), flattens) == []


def test_an_exit_that_others_trade_left_too_large_is_told() -> None:
    promise = "what others have left is what exits fit"
    wishes = (wish(1, "Limit", price=1500.0), wish(2, "Stop", "SELL", price=1490.0))
    rests = order(2, "SELL", (3, state(2, "TRIGGER PENDING")))
    theirs = order(4, "SELL", (7, state(4, "COMPLETE", 2)), quantity=2, tag="-")
    day = replace(GOOD, wishes=wishes, orders=(BUY, rests, theirs), by_hand=frozenset({"id4"}))
    assert "3 are left, and the exit id2 rests with 5" in sentences(promise, day)[0]
    shrunk = order(2, "SELL", (3, state(2, "TRIGGER PENDING")), (8, state(4, "TRIGGER PENDING", quantity=3)))
    assert sentences(promise, replace(day, orders=(BUY, shrunk, theirs))) == []


def test_an_execution_that_the_strategy_did_not_hear_of_is_told() -> None:
    promise = "the strategy hears of each execution"
    wishes = (wish(1, "Limit", price=1500.0), wish(2, "Limit", "SELL", price=1500.0))
    assert sentences(promise, replace(GOOD, wishes=wishes)) == []
    unheard = replace(GOOD, wishes=wishes, told=TOLD[:2])
    assert sentences(promise, unheard) == ["5 of order 2 are booked, and the strategy was not told"]
    less = replace(GOOD, told=(*TOLD[:1], told(1, "Partial", 3), *TOLD[2:]))
    assert sentences(promise, less) == ["order 1 was told as filled 3, and 5 are booked"]
    dear = replace(GOOD, told=(*TOLD[:1], told(1, "Completed", 5, price=1501.0), *TOLD[2:]))
    assert sentences(promise, dear) == ["order 1 was told as filled at 1501.0, and is booked at 1500.00"]


def test_a_journal_that_is_not_the_account_is_told() -> None:
    promise = "the journal's account is the run's"
    book: dict[str, Any] = {"positions": {}, "orders": [{"ref": 3}]}
    assert sentences(promise, replace(GOOD, book=book)) == []
    held = {**book, "positions": {"NSE:INFY": {"size": 5}}}
    assert "the journal's account holds {'NSE:INFY': 5}" in sentences(promise, replace(GOOD, book=held))[0]
    forgotten = {**book, "orders": [{"ref": 3, "over": 4}]}
    assert (
        "the orders [] live in the journal's account, and [3]" in sentences(promise, replace(GOOD, book=forgotten))[0]
    )


def test_one_that_lives_on_both_sides_is_no_finding() -> None:
    rows = (known(1, 1, "Completed"), known(2, 2, "Completed"), known(3, 3, "Accepted", alive=True, there=True))
    assert judged(replace(GOOD, end=ended(*rows), orders=(BUY, SELL, REST), events=EVENTS)) == {}
