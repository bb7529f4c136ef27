"""The oracle finds each promise that was broken: a good day, spoilt by hand in one place, is told in a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.checks.acts import KILL, Act
from btkite.checks.evidence import Evidence
from btkite.checks.lives import Day
from btkite.checks.oracle import PROMISES, broken
from btkite.checks.scenario import OPEN, WARMUP, Scenario, candles
from btkite.journal import Event

Row = dict[str, Any]
SCENARIO = Scenario(seed=3, minutes=4, symbols=("NSE:INFY",))
FIRST = OPEN + timedelta(minutes=WARMUP)
TOKEN = "token-of-a-spoilt-day"
TRADED = 1500.0


def at(minute: int) -> str:
    return str(FIRST + timedelta(minutes=minute))


def state(minute: int, status: str, filled: int = 0, **more: Any) -> Row:
    return {"order_timestamp": at(minute), "status": status, "filled_quantity": filled, **more}


def order(number: int, side: str, *states: tuple[int, Row], quantity: int = 5, tag: str = "") -> Row:
    """An order of the book: its states with their rank among those of all."""
    base = {
        "order_id": f"id{number}", "tag": tag or f"T{number}", "exchange": "NSE", "tradingsymbol": "INFY",
        "transaction_type": side, "quantity": quantity, "order_type": "LIMIT", "product": "MIS",
        "average_price": TRADED,
    }  # fmt: skip
    history = [{**base, **row} for _, row in states]
    return {**history[-1], "history": history, "ranks": [rank for rank, _ in states]}


def intent(number: int, ref: int, *, reduces: bool = False, parent: int = 0, quantity: int = 5) -> Event:
    proposal = {"tag": f"T{number}", "ref": ref, "reduces": reduces, "parent": parent, "quantity": quantity}
    return event("intent", proposal=proposal)


def event(kind: str, **data: Any) -> Event:
    return Event(1, FIRST, kind, data, "")


def fill(number: int, quantity: int = 5, price: float = TRADED) -> Event:
    return event("fill", order_id=f"id{number}", quantity=quantity, price=price)


def call(seq: int, method: str, path: str, minute: int, *, status: int = 200, fault: str = "", **form: str) -> Row:
    return {
        "seq": seq, "time": f"{at(minute).replace(' ', 'T')}+05:30", "method": method, "path": path, "form": form,
        "status": status, "fault": fault or None,
    }  # fmt: skip


def told(ref: int, status: str, filled: float = 0.0, **more: Any) -> Row:
    return {"ref": ref, "status": status, "filled": filled, "size": 5, "adopted": False, "given": True, **more}


def known(ref: int, number: int, status: str, **more: Any) -> Row:
    return {
        "ref": ref, "order_id": f"id{number}", "status": status, "alive": False, "there": False, "uncertain": False,
        **more,
    }  # fmt: skip


def bars() -> tuple[Row, ...]:
    series = candles(SCENARIO)["NSE:INFY"]
    rows = list(zip(series.open, series.high, series.low, series.close, strict=True))[WARMUP:]
    return tuple(
        {
            "kind": "bar",
            "at": at(n + 1),
            "repaired": False,
            "newest": min(n, 3),
            "prices": {"NSE:INFY": list(map(float, row))},
        }
        for n, row in enumerate(rows)
    )


BUY = order(1, "BUY", (1, state(1, "OPEN")), (2, state(2, "COMPLETE", 5)))
SELL = order(2, "SELL", (3, state(2, "OPEN")), (6, state(4, "COMPLETE", 5)))
REST = order(3, "BUY", (4, state(3, "OPEN")))
READ = tuple(call(n, "GET", path, 0) for n, path in enumerate(("/orders", "/trades", "/portfolio/positions"), 1))
CALLS = tuple(call(n + 3, "POST", "/orders/regular", n, tag=f"T{n}") for n in (1, 2, 3))
EVENTS = (intent(1, 1), intent(2, 2, reduces=True), intent(3, 3), fill(1), fill(2))
TOLD = (told(1, "Accepted"), told(1, "Completed", 5), told(2, "Completed", -5), told(3, "Accepted"))
KNOWN = (known(1, 1, "Completed"), known(2, 2, "Completed"), known(3, 3, "Accepted", alive=True, there=True))
END = {"position": {}, "realized": 0.0, "charges": 1.0, "orders": KNOWN}


def trade(number: int, side: str) -> Row:
    return {
        "order_id": f"id{number}", "product": "MIS", "average_price": TRADED, "quantity": 5, "transaction_type": side,
        "exchange": "NSE", "tradingsymbol": "INFY",
    }  # fmt: skip


GOOD = Day(
    codes=(0,),
    began=(0,),
    bars=bars(),
    told=TOLD,
    orders=(BUY, SELL, REST),
    trades=(trade(1, "BUY"), trade(2, "SELL")),
    requests=(*READ, *CALLS),
    events=EVENTS,
    end=END,
    note={"id1": 0.4, "id2": 0.6},
    secrets=(TOKEN,),
)


def judged(day: Day, scenario: Scenario = SCENARIO) -> dict[str, list[str]]:
    return broken(Evidence(scenario, day))


def test_a_good_day_breaks_nothing() -> None:
    assert judged(GOOD) == {}


def end(**more: Any) -> Row:
    return {"end": {**END, **more}}


def known_as(place: int, **more: Any) -> Row:
    return end(orders=tuple({**row, **more} if n == place else row for n, row in enumerate(KNOWN)))


def bar(place: int, **more: Any) -> Row:
    return {"bars": tuple({**row, **more} if n == place else row for n, row in enumerate(GOOD.bars))}


def again(number: int, minute: int, **more: Any) -> Row:
    return {"requests": (*GOOD.requests, call(9, "POST", "/orders/regular", minute, tag=f"T{number}", **more))}


TWIN = order(4, "BUY", (5, state(3, "OPEN")), tag="T3")
SPOILT: list[tuple[str, Row, str]] = [
    ("no order twice", {"orders": (*GOOD.orders, TWIN)}, "2 orders of the tag T3"),
    ("no order twice", again(1, 5), "the entry of the tag T1 was sent again after 240 s"),
    ("no order twice", again(2, 3), "the exit of the tag T2 was sent again after 60 s"),
    ("no order twice",
     {"orders": (*GOOD.orders, order(4, "BUY", (5, state(3, "OPEN")))), "events": (*EVENTS, intent(4, 3))},
     "order 3 works twice at the exchange: id3 and id4"),
    ("no order lost", {"orders": (*GOOD.orders, order(8, "BUY", (9, state(4, "OPEN"))))}, "announced none of its tag"),
    ("no order lost", known_as(2, order_id="id7"), "works at the exchange, and here it is unknown"),
    ("no order lost", known_as(2, alive=False, there=False, status="Canceled"), "and here it is Canceled"),
    ("no order lost", known_as(1, alive=True, there=True), "order 2 (id2) works here, and at the exchange it is"),
    ("no order lost", known_as(2, uncertain=True), "order 3 is still uncertain"),
    ("the position is the account's", end(position={"NSE:INFY": [5, TRADED]}), "+5 NSE:INFY at the end, and the"),
    ("each execution is booked once, at its price", {"events": (*EVENTS, fill(2))}, "has traded 5, and 10 are booked"),
    ("each execution is booked once, at its price", {"events": EVENTS[:-1]}, "has traded 5, and 0 are booked"),
    ("each execution is booked once, at its price", {"events": (*EVENTS[:-1], fill(2, price=1500.5))}, "at 1500.5"),
    ("executions only grow, and an order ends once", {"told": (*TOLD, told(3, "Partial", 6))}, "told as filled 6"),
    ("executions only grow, and an order ends once",
     {"told": (*TOLD, told(3, "Partial", 3), told(3, "Partial", 2))}, "filled 2 after 3"),
    ("executions only grow, and an order ends once", {"told": (*TOLD, told(1, "Completed", 5))}, "after it had ended"),
    ("every order ends as Kite says", known_as(1, status="Canceled"), "is COMPLETE, and order 2 ended as Canceled"),
    ("every order ends as Kite says", {"told": TOLD[:2]}, "the strategy was told nothing of order 2"),
    ("no exit turns the position round",
     {"orders": (order(1, "BUY", (1, state(1, "OPEN")), (2, state(2, "CANCELLED", 3))), SELL, REST),
      "events": (*EVENTS[:3], fill(1, 3), fill(2))},
     "the exit id2 traded 5 NSE:INFY with +3 held: -2 are left"),
    ("order calls within the limits", {"requests": (*GOOD.requests, call(9, "GET", "/orders", 3, status=429))}, "many"),
    ("order calls within the limits",
     {"requests": (*READ, *(call(n, "DELETE", "/orders/regular/id3", 3) for n in range(4, 15)))},
     "more than 10 order calls"),
    ("nothing is sent before the account was read", {"requests": CALLS}, "before it had read /orders"),
    ("nothing is sent that Kite refuses",
     {"requests": (*READ, *CALLS[:2], call(6, "POST", "/orders/regular", 3, status=400, tag="T3"))}, "Kite refused"),
    ("no entry on a repaired bar", bar(2, repaired=True), "the entry 2 was decided on the repaired bar"),
    ("realized profit is the exchange's", end(realized=5.0), "₹5.00 are realized here"),
    ("charges are the exchange's", end(charges=1.5), "₹1.50 of charges here, and ₹1.00"),
    ("each bar once, in order", {"bars": (*GOOD.bars, GOOD.bars[-1])}, "called 2 times for the bar of 09:28"),
    ("each bar once, in order", {"bars": GOOD.bars[:-1]}, "was not called for the bar of 09:28"),
    ("each bar once, in order", {"bars": GOOD.bars[::-1]}, "came after that of"),
    ("bars are the exchange's", bar(1, prices={"NSE:INFY": [1.0, 1.0, 1.0, 1.0]}), "the bar of NSE:INFY at 09:22 has"),
    ("the run ends as it should", {"codes": (1,), "output": "error: it fell over"}, "exit code 1: error: it fell over"),
    ("the journal is whole", {"damage": "line 4 of the journal is not as it was written"}, "line 4"),
    ("no secret is said", {"output": f"GET /orders {TOKEN}"}, "an access token stands in its output"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("promise", "changed", "sentence"), SPOILT, ids=[f"{name}: {said}" for name, _, said in SPOILT]
)
def test_a_broken_promise_is_told(promise: str, changed: Row, sentence: str) -> None:
    if promise == "no entry on a repaired bar":  # of the two orders of that bar the exit may go
        changed = {**changed, "events": (*EVENTS[:1], intent(2, 2), *EVENTS[2:])}
    found = judged(replace(GOOD, **changed))
    assert promise in found, found
    assert any(sentence in said for said in found[promise]), found[promise]


def test_an_entry_after_the_kill_switch_is_told_and_an_exit_is_not() -> None:
    killed = replace(SCENARIO, acts=(Act(datetime.fromisoformat(at(1)), KILL),))
    day = replace(GOOD, killed_at=4, codes=(3,))
    assert judged(day, killed) == {
        "no entry after the kill switch": ["the entry of the tag T3 was sent after the kill switch was set"]
    }


def test_exits_of_a_bracket_that_offer_more_than_its_entry_has_filled_are_told() -> None:
    entry = order(1, "BUY", (1, state(1, "OPEN")), (2, state(2, "OPEN", 3)))
    exits = order(2, "SELL", (3, state(2, "OPEN")))
    events = (intent(1, 1), intent(2, 2, reduces=True, parent=1), fill(1, 3))
    found = judged(replace(GOOD, orders=(entry, exits), events=events))
    assert found["exits offer no more than is held"][0].startswith("the exits of order 1 offer 5")
    whole = order(2, "SELL", (3, state(2, "OPEN")), quantity=3)
    assert "exits offer no more than is held" not in judged(replace(GOOD, orders=(entry, whole), events=events))


def test_where_one_exit_stands_for_both_two_that_rest_are_one_too_many() -> None:
    entry = order(1, "BUY", (1, state(1, "OPEN")), (2, state(2, "COMPLETE", 5)))
    exits = [order(n, "SELL", (n + 1, state(2, "OPEN"))) for n in (2, 3)]
    events = (intent(1, 1), *(intent(n, n, reduces=True, parent=1) for n in (2, 3)), fill(1))
    day = replace(GOOD, orders=(entry, *exits), events=events)
    promise = "exits offer no more than is held"
    assert promise not in judged(day)
    assert promise in judged(day, replace(SCENARIO, keys={"groups.exits": "one"}))


def test_what_others_trade_is_ours_only_where_the_run_follows() -> None:
    theirs = order(4, "BUY", (7, state(4, "COMPLETE", 2)), quantity=2, tag="-")
    day = replace(GOOD, orders=(*GOOD.orders, theirs), by_hand=frozenset({"id4"}), positions=(position(2),))
    promise = "the position is the account's"
    assert promise in judged(day, replace(SCENARIO, keys={"broker.foreign": "adopt"}))
    assert promise not in judged(day, replace(SCENARIO, keys={"broker.foreign": "ignore"}))


def position(quantity: int) -> Row:
    return {"exchange": "NSE", "tradingsymbol": "INFY", "product": "MIS", "quantity": quantity}


def test_every_promise_is_seen_broken_somewhere() -> None:
    elsewhere = {"exits offer no more than is held", "no entry after the kill switch"}
    assert {name for name, _, _ in SPOILT} | elsewhere == set(PROMISES)
