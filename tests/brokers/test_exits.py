"""One exit order on Kite's book for each position. The exchange's own book is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.wire import TIMED_OUT, done_but, lost, passes

LIMIT, STOP = Order.Limit, Order.Stop
LONG = [CALM] * 12
NEAR = (100.0, 102.8, 100.0, 102.8)
"""Up to within reach of a target at 103."""
HOLD = (102.8, 102.8, 102.5, 102.5)
"""Off the target by less than twice the reach."""
BACK = (102.8, 102.8, 101.0, 101.0)
HIGH = (102.8, 104.0, 102.8, 104.0)
LOW = (101.0, 101.0, 96.0, 96.0)
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})


def bracket(**more: Any) -> Any:
    """10 bought at market, a stop at 98, a target at 103."""
    plan = {"size": 10, "exectype": Order.Market, "stopprice": 98.0, "limitprice": 103.0, **more}
    return lambda s: list(s.buy_bracket(**plan))


def run(live: Any, rows: Any, plan: Any, **more: Any) -> Any:
    return live.run(rows, plan, settings={"check_trigger_side": True}, **{"groups.exits": "one", **more})


def exits(live: Any) -> list[tuple[Any, ...]]:
    """(order_type, status, quantity, filled) of the sales on the book."""
    names = ("order_type", "status", "quantity", "filled_quantity")
    return [tuple(row[name] for name in names) for row in live.book() if row["transaction_type"] == "SELL"]


# ---- one carrier ----


def test_only_the_stop_rests_at_kite_and_both_live_for_the_strategy(live):
    ran = run(live, LONG[:8], {2: bracket()})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert [order.getstatusname() for order in ran.given[1:]] == ["Accepted", "Accepted"]
    assert ran.position.size == live.held() == 10


def test_within_reach_of_the_target_the_same_order_is_its_limit(live):
    ran = run(live, [*LONG[:4], NEAR, HOLD, HOLD], {2: bracket()})
    assert exits(live) == [("LIMIT", "OPEN", 10, 0)]
    assert live.book()[-1]["price"] == 103.0
    assert len(live.middle.calls("POST")) == 2
    assert len(live.middle.calls("PUT")) == 1
    assert ran.position.size == 10


def test_at_the_target_it_completes_and_the_stop_is_canceled(live):
    ran = run(live, [*LONG[:4], NEAR, HIGH, CALM, CALM], {2: bracket()})
    assert exits(live) == [("LIMIT", "COMPLETE", 10, 10)]
    assert ran.story(2)[-1] == "Completed"
    assert ran.story(1)[-1] == "Canceled"
    assert ran.prices(2) == [103.0]
    assert ran.position.size == live.held() == 0
    assert live.middle.calls("DELETE") == []


def test_when_the_price_leaves_by_twice_the_reach_it_is_the_stop_again(live):
    ran = run(live, [*LONG[:4], NEAR, BACK, LOW, CALM], {2: bracket()})
    assert exits(live) == [("SL-M", "COMPLETE", 10, 10)]
    assert ran.story(1)[-1] == "Completed"
    assert ran.story(2)[-1] == "Canceled"
    assert ran.prices(1) == [98.0]
    assert ran.position.size == live.held() == 0
    assert [asked.form["order_type"] for asked in live.middle.calls("PUT")] == ["LIMIT", "SL-M"]


def test_a_price_that_falls_through_the_stop_while_the_target_stands_is_sold_at_market(live):
    """Kite takes no stop that the price has passed: its units would be left with a target far above."""
    crash = (102.8, 102.8, 95.0, 95.0)
    ran = run(live, [*LONG[:4], NEAR, crash, (95.0, 95.0, 94.0, 94.0), CALM], {2: bracket()})
    assert exits(live) == [("MARKET", "COMPLETE", 10, 10)]
    assert ran.story(1)[-1] == "Completed"
    assert ran.story(2)[-1] == "Canceled"
    assert ran.position.size == live.held() == 0


# ---- what goes wrong ----


@pytest.mark.parametrize("answer", [None, TIMED_OUT], ids=["cut", "400 timed out"])
@pytest.mark.parametrize("wire", [done_but, lost], ids=["done", "never arrived"])
def test_a_lost_answer_to_the_swap_is_settled_by_the_book(live, wire, answer):
    live.middle.on("PUT", wire(answer))
    ran = run(live, [*LONG[:4], NEAR, HOLD, HOLD, HIGH, HIGH, CALM], {2: bracket()})
    assert exits(live) == [("LIMIT", "COMPLETE", 10, 10)]
    assert (ran.story(1)[-1], ran.story(2)[-1]) == ("Canceled", "Completed")
    assert ran.position.size == live.held() == 0


def test_a_swap_that_kite_refuses_leaves_the_stop_and_is_tried_again_later(live):
    live.middle.on("PUT", lost(NO), lost(NO))
    ran = run(live, [*LONG[:4], NEAR, BACK, LOW, CALM], {2: bracket()})
    assert exits(live) == [("SL-M", "COMPLETE", 10, 10)]
    assert (ran.story(1)[-1], ran.story(2)[-1]) == ("Completed", "Canceled")
    assert ran.position.size == live.held() == 0


@pytest.mark.parametrize("done", [True, False], ids=["the swap came first", "the fill came first"])
@pytest.mark.parametrize("answer", [None, TIMED_OUT, "true"], ids=["cut", "400 timed out", "answered"])
def test_a_fill_in_the_middle_of_the_swap_counts_once_and_goes_to_the_right_one(live, done, answer):
    def races(middle, asked):
        said = middle.forward(asked) if done else None
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=104.0 if done else 97.0)
        said = said or middle.forward(asked)
        return said if answer == "true" else answer

    live.middle.on("PUT", races)
    ran = run(live, [*LONG[:4], NEAR, *LONG[:4]], {2: bracket()})
    winner, other = (2, 1) if done else (1, 2)
    assert exits(live) == [("LIMIT" if done else "SL-M", "COMPLETE", 10, 10)]
    assert (ran.story(winner)[-1], ran.story(other)[-1]) == ("Completed", "Canceled")
    assert sum(size for _, size, _, _ in ran.fills) == 0
    assert ran.position.size == live.held() == 0


def test_a_stop_that_kite_rejects_leaves_its_place_to_the_target(live):
    live.middle.on("POST", passes, lost(NO))
    ran = run(live, LONG[:8], {2: bracket()})
    assert exits(live) == [("LIMIT", "OPEN", 10, 0)]
    assert ran.story(1)[-1] == "Rejected"
    assert ran.given[2].alive()


# ---- sizes ----


def test_exits_of_unequal_size_take_turns_and_never_offer_more_than_is_held(live):
    """Half is sold at the target; for the rest the stop stands again."""

    def give(s):
        entry = s.buy(size=10, transmit=False)
        stop = s.sell(size=10, exectype=STOP, price=98.0, parent=entry, transmit=False)
        return [entry, stop, s.sell(size=5, exectype=LIMIT, price=103.0, parent=entry)]

    ran = run(live, [*LONG[:4], NEAR, HIGH, HIGH, HIGH, BACK, LOW, CALM], {2: give})
    assert exits(live) == [("LIMIT", "COMPLETE", 5, 5), ("SL-M", "COMPLETE", 5, 5)]
    assert (ran.story(1)[-1], ran.story(2)[-1]) == ("Completed", "Completed")
    assert ran.position.size == live.held() == 0


def test_a_bracket_with_only_a_target_rests_its_target(live):
    def give(s):
        entry = s.buy(size=10, transmit=False)
        return [entry, s.sell(size=10, exectype=LIMIT, price=103.0, parent=entry)]

    ran = run(live, [*LONG[:4], NEAR, HIGH, CALM], {2: give})
    assert exits(live) == [("LIMIT", "COMPLETE", 10, 10)]
    assert live.middle.calls("PUT") == []
    assert ran.position.size == 0
