"""Exits that others' trade has made too large, at a moment when they cannot be changed: they are, as soon as they can.

Whatever stands in the way (an answer that was lost, a refusal, a cancellation that fails), no exit turns the account
round. The exchange's book is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order, buy
from tests.brokers.test_exits_partly_filled import mirrored, offered
from tests.brokers.test_outside import ADOPT, IGNORE, outside
from tests.brokers.wire import TIMED_OUT, done_but, lost, passes

STOP, LIMIT = Order.Stop, Order.Limit
LONG = [CALM] * 10
THROUGH = (100.0, 100.0, 97.0, 97.0)
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})
DOWN = (400, "application/json", {"status": "error", "error_type": "GeneralException", "message": "down"})


def day(long: bool) -> list[Any]:
    rows = [*LONG, THROUGH, *[(97.0,) * 4] * 3]
    return rows if long else mirrored(rows)


def position(long: bool) -> dict[int, Any]:
    return {2: lambda s: s.buy(size=5) if long else s.sell(size=5)}


def stop(long: bool) -> Any:
    return lambda s: s.sell(size=5, exectype=STOP, price=98.0) if long else s.buy(size=5, exectype=STOP, price=102.0)


@pytest.mark.parametrize(
    ("answer", "long", "by_hand", "left", "policy"),
    [
        (None, True, 2, 3, ADOPT), (TIMED_OUT, True, 2, 3, IGNORE), (None, False, 2, 3, IGNORE),
        (None, True, 5, 0, ADOPT), (TIMED_OUT, False, 5, 0, IGNORE),
    ],
)  # fmt: skip
def test_an_exit_that_was_uncertain_then_is_right_when_it_is_known(live, answer, long, by_hand, left, policy):
    """It is at Kite, and neither its answer nor the stream nor the book has said so yet."""
    live.middle.on("POST", passes, done_but(answer))
    seen: list[Any] = []
    side = "SELL" if long else "BUY"

    def give(s: Any) -> Any:
        live.exchange.steer.arm("order_update_lost", fields={"order_type": "SL-M"}, times=None)
        live.middle.on("GET", *[lost(DOWN)] * 8)  # looks that come to nothing
        return stop(long)(s)

    def by_somebody(s: Any) -> None:
        assert s.broker.is_uncertain(s.given[1].ref)
        outside(live, side, by_hand)(s)

    plan = {
        **position(long), 4: give, 5: by_somebody,
        9: lambda s: seen.append([units for _, units in offered(live, side)]),
    }  # fmt: skip
    live.run(day(long), plan, **policy)
    assert seen == [[left] if left else []]
    assert live.held() == 0


@pytest.mark.parametrize(
    ("wire", "faults", "long", "policy"),
    [(lost(NO), 1, True, ADOPT), (lost(None), 3, True, IGNORE), (lost(NO), 3, False, IGNORE),
     (done_but(None), 1, False, ADOPT)],
    ids=["refused", "never arrived", "refused, short", "its answer was lost, short"],
)  # fmt: skip
def test_a_change_that_fails_is_made_again(live, wire, faults, long, policy):
    live.middle.on("PUT", *[wire] * faults)
    side = "SELL" if long else "BUY"
    seen: list[Any] = []
    plan = {
        **position(long), 3: stop(long), 5: outside(live, side, 2),
        9: lambda s: seen.append([units for _, units in offered(live, side)]),
    }  # fmt: skip
    ran = live.run(day(long), plan, **policy)
    assert seen == [[3]]
    assert live.held() == 0
    assert ran.given[1].getstatusname() == "Completed"


@pytest.mark.parametrize(("wire", "faults"), [(lost(NO), 1), (lost(None), 3)], ids=["refused", "never arrived"])
def test_a_cancellation_that_fails_is_sent_again(live, wire, faults):
    live.middle.on("DELETE", *[wire] * faults)
    plan = {**position(True), 3: stop(True), 5: outside(live, "SELL", 5)}
    ran = live.run(day(True), plan, **IGNORE)
    assert live.book()[1]["status"] == "CANCELLED"
    assert live.held() == 0
    assert ran.given[1].getstatusname() == "Canceled"


def test_what_others_trade_twice_is_taken_off_twice(live):
    seen: list[Any] = []
    plan = {**position(True), 3: stop(True), 5: outside(live, "SELL", 1), 7: outside(live, "SELL", 2)}
    for bar in (6, 9):
        plan[bar] = lambda s: seen.append([units for _, units in offered(live)])
    live.run(day(True), plan, **IGNORE)
    assert seen == [[4], [2]]
    assert live.held() == 0


def test_what_has_filled_of_an_exit_in_part_stays_of_it(live):
    """5 to sell at 103, of which 1 has traded; somebody sells 3 of the 4 that are left."""
    seen: list[Any] = []
    plan = {
        2: buy(size=5),
        3: lambda s: s.sell(size=5, exectype=LIMIT, price=103.0),
        4: lambda s: live.exchange.steer.put_depth("NSE:TEST", buy=[(103.0, 1)]) and None,
        6: outside(live, "SELL", 3),
        9: lambda s: seen.append((offered(live), live.held())),
    }
    ran = live.run([*LONG, (100.0, 104.0, 100.0, 104.0), CALM], plan, **IGNORE)
    assert seen == [([("LIMIT", 1)], 1)]
    assert live.held() == 0
    assert ran.given[1].executed.size == -2
