"""The oracle sees what should not have been sent: into doubt, with a dead token, too often, or of others' shares."""

from __future__ import annotations

from dataclasses import replace

from btkite.checks.acts import LOGIN, Act
from btkite.checks.scenario import OPEN
from tests.checks.good import (
    BUY,
    EVENTS,
    GOOD,
    READ,
    SCENARIO,
    SELL,
    TOLD,
    at,
    call,
    form,
    intent,
    judged,
    order,
    state,
    told,
)
from tests.checks.test_asked import wish


def test_an_entry_in_a_symbol_that_is_in_doubt_is_told() -> None:
    promise = "no entry in a symbol that is in doubt"
    lost = call(4, "POST", "/orders/regular", 1, status=502, fault="html_502", **form(9))
    entry = call(5, "POST", "/orders/regular", 2, **form(3))
    day = replace(
        GOOD,
        events=(*EVENTS, intent(9, 9)),
        requests=(*READ, lost, entry),
        wishes=(wish(3, "Limit", minute=2, price=1500.0),),
    )
    assert "the entry of the tag T3 was sent 60 s after that of T9" in judged(day)[promise][0]
    known = {**lost, "status": 400, "fault": "rms_rejection"}
    assert promise not in judged(replace(day, requests=(*READ, known, entry)))
    late = call(5, "POST", "/orders/regular", 3, **form(3))
    assert promise not in judged(replace(day, requests=(*READ, lost, late)))
    before = replace(day, wishes=(wish(3, "Limit", minute=1, price=1500.0),))
    assert promise not in judged(before), "it was on its way already"


def test_a_token_that_is_tried_again_and_again_is_told() -> None:
    promise = "a dead token is not hammered"
    login = replace(SCENARIO, acts=(Act(OPEN, LOGIN),))
    tries = tuple(call(n, "GET", "/orders", 1, status=403) for n in range(10, 23))
    assert promise in judged(replace(GOOD, requests=(*GOOD.requests, *tries)), login)
    assert promise not in judged(replace(GOOD, requests=(*GOOD.requests, *tries[:12])), login)


def test_an_order_that_a_dead_token_ended_is_told() -> None:
    promise = "what met a dead token waits"
    login = replace(SCENARIO, acts=(Act(OPEN, LOGIN),))
    dead = call(6, "POST", "/orders/regular", 3, status=403, fault="token_exception", **form(3))
    day = replace(GOOD, requests=(*GOOD.requests[:-1], dead), told=(*TOLD[:-1], told(3, "Rejected")))
    assert judged(day, login)[promise] == ["order 3 met a dead token at 09:23:00 and ended as Rejected"]
    assert promise not in judged(replace(day, told=TOLD), login)
    later = call(7, "POST", "/orders/regular", 4, **form(3))
    assert promise not in judged(replace(day, requests=(*day.requests, later)), login)


def test_more_calls_than_a_minute_takes_are_told() -> None:
    promise = "order calls within a minute's budget"
    calls = tuple(call(n, "DELETE", "/orders/regular/id3", 3) for n in range(401))
    assert promise in judged(replace(GOOD, requests=(*READ, *calls)))
    assert promise not in judged(replace(GOOD, requests=(*READ, *calls[:400])))


def test_an_order_that_is_changed_too_often_is_told() -> None:
    promise = "changes within the cap"
    calls = tuple(call(n, "PUT", "/orders/regular/id3", 3, quantity="5", order_type="LIMIT") for n in range(26))
    assert judged(replace(GOOD, requests=(*READ, *calls)))[promise] == ["/orders/regular/id3 was changed 26 times"]
    assert promise not in judged(replace(GOOD, requests=(*READ, *calls[:25])))


def test_a_sale_of_shares_that_nobody_here_has_bought_is_told() -> None:
    promise = "shares of others are not sold"
    cnc = replace(SCENARIO, keys={"broker.default_product": "CNC"})
    bought = order(1, "BUY", (1, state(1, "OPEN", product="CNC")), (2, state(2, "COMPLETE", 5, product="CNC")))
    sold = order(2, "SELL", (3, state(2, "OPEN", product="CNC")), (6, state(4, "COMPLETE", 5, product="CNC")))
    assert promise not in judged(replace(GOOD, orders=(bought, sold)), cnc)
    assert judged(replace(GOOD, orders=(sold,)), cnc)[promise] == [
        "order id2 has sold 5 NSE:INFY that no order of ours had bought"
    ]
    assert promise not in judged(replace(GOOD, orders=(SELL, BUY)), cnc), "MIS may be sold short"


def test_shares_sold_by_an_order_that_a_fault_kept_from_being_cancelled_must_be_bought_back() -> None:
    promise = "shares of others are not sold"
    cnc = replace(SCENARIO, keys={"broker.default_product": "CNC"})
    sold = order(2, "SELL", (3, state(1, "OPEN", product="CNC")), (6, state(3, "COMPLETE", 5, product="CNC")))
    back = order(1, "BUY", (7, state(4, "OPEN", product="CNC")), (8, state(4, "COMPLETE", 5, product="CNC")))
    refused = call(9, "DELETE", "/orders/regular/id2", 2, status=403, fault="token_exception")
    kept = replace(GOOD, orders=(sold, back), requests=(*GOOD.requests, refused))
    assert promise not in judged(kept, cnc)
    assert judged(replace(kept, orders=(sold,)), cnc)[promise] == [
        "order id2 could not be cancelled, and 5 NSE:INFY that it sold were not bought back"
    ]
    parts = order(1, "BUY", (7, state(4, "OPEN", 3, product="CNC")), (8, state(4, "COMPLETE", 5, product="CNC")))
    assert promise not in judged(replace(kept, orders=(sold, parts)), cnc), "a purchase sells nothing"
    for other in (
        {**refused, "fault": None},
        {**refused, "path": "/orders/regular/id1"},
        call(9, "DELETE", "/orders/regular/id2", 3, status=403, fault="token_exception"),  # it had traded by then
    ):
        assert promise in judged(replace(kept, requests=(*GOOD.requests, other)), cnc)


def test_a_late_bar_that_does_not_say_so_is_told() -> None:
    promise = "a bar that came late says so"
    bars = tuple({**bar, "now": bar["at"]} for bar in GOOD.bars)
    assert promise not in judged(replace(GOOD, bars=bars))
    late = {**bars[2], "now": at(5)}
    assert judged(replace(GOOD, bars=(*bars[:2], late, *bars[3:])))[promise][0].startswith(
        "the bar of 09:23 came 120 s"
    )
    marked = {**late, "repaired": True, "newest": 0}
    assert promise not in judged(replace(GOOD, bars=(*bars[:2], marked, *bars[3:])))
