"""A market order that rests, because the market ran beyond its protection, is sent after it."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.market.bands import Band
from tests.brokers.scene import CALM, Order, buy, sell
from tests.brokers.test_exits import BACK, HOLD, bracket
from tests.brokers.test_exits_partly_filled import RISE, takes
from tests.brokers.test_slices import CUT, SIZE, go
from tests.brokers.wire import lost

BOUND = {"protection_binds": True, "require_market_protection": True, "check_tick_size": True}
SLOWLY = {"broker.widen_after": 30.0}
"""Once between two prints of the market."""
RESTS = {"broker.unfilled": "leave"}
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})


def gap(to: float, bars: int = 6) -> list[Any]:
    """Three minutes at 100, and then the market is at ``to``."""
    return [CALM] * 3 + [(to,) * 4] * bars


def changes(live: Any) -> list[tuple[str, float]]:
    return [(asked.form["order_type"], float(asked.form["price"])) for asked in live.middle.calls("PUT")]


def alerts(ran: Any) -> list[str]:
    return [news for news in ran.news if "rests" in news]


@pytest.mark.parametrize(
    ("give", "to", "first", "limit"), [(buy(size=3), 103.0, 101, 104.0), (sell(size=3), 97.0, 99, 96.05)]
)
def test_a_market_order_that_rests_follows_the_market_and_trades(live, give, to, first, limit):
    ran = live.run(gap(to), {3: give}, settings=BOUND, **SLOWLY)
    (row,) = live.book()
    assert changes(live) == [("LIMIT", limit)]
    assert (row["status"], row["average_price"]) == ("COMPLETE", to)
    assert ran.story()[-1] == "Completed"
    assert abs(ran.position.size) == abs(live.held()) == 3
    (alert,) = alerts(ran)
    assert f"rests unfilled at {first}: its limit is moved to {limit:g}" in alert


def test_it_is_never_moved_further_than_it_may_and_a_person_is_told_once(live):
    ran = live.run(gap(112.0), {3: buy(size=3)}, settings=BOUND)
    (row,) = live.book()
    assert changes(live) == [("LIMIT", 106.05)]
    assert row["price"] == 106.05
    assert row["filled_quantity"] == live.held() == 0
    assert [text for text in alerts(ran) if "not widened further" in text] == alerts(ran)[1:]
    assert len(alerts(ran)) == 2


def test_it_is_moved_in_steps_while_the_market_runs_on(live):
    rows = [CALM] * 3 + [(102.0, 102.0, 102.0, 102.0)] + [(102.0 + n,) * 4 for n in range(1, 4)]
    more = {"broker.widen_step": 0.1, "broker.widen_after": 50.0}
    ran = live.run(rows, {3: buy(size=3)}, settings=BOUND, **more)
    moved = [price for _, price in changes(live)]
    assert moved == sorted(moved)
    assert moved[0] == 103.1
    assert (ran.position.size, live.held()) == (3, 3)


def test_left_alone_it_rests(live):
    ran = live.run(gap(103.0), {3: buy(size=3)}, settings=BOUND, **RESTS)
    assert changes(live) == alerts(ran) == []
    assert live.held() == 0


def test_an_entry_is_cancelled_and_an_exit_follows_if_it_is_to_be_so(live):
    rows = [CALM] * 3 + [(103.0,) * 4] * 3 + [(98.0,) * 4] * 4
    plan = {1: buy(size=2), 3: buy(size=3), 6: sell(size=2)}
    ran = live.run(rows, plan, settings=BOUND, **SLOWLY, **{"broker.unfilled": "cancel"})
    assert [row["status"] for row in live.book()] == ["COMPLETE", "CANCELLED", "COMPLETE"]
    assert ran.story(1)[-1] == "Canceled"
    assert len(changes(live)) == 1
    assert ran.position.size == live.held() == 0


def test_a_stop_that_is_jumped_over_follows_the_market(live):
    rows = [CALM] * 3 + [(95.0,) * 4] * 6
    plan = {1: buy(size=2), 2: sell(size=2, exectype=Order.Stop, price=98.0)}
    ran = live.run(rows, plan, settings=BOUND)
    stop = live.book()[1]
    assert (stop["status"], stop["average_price"]) == ("COMPLETE", 95.0)
    assert ran.story(1)[-1] == "Completed"
    assert ran.position.size == live.held() == 0


def test_a_stop_that_was_changed_and_waits_is_not_moved(live):
    rows = [CALM] * 9
    plan = {
        1: buy(size=2),
        2: sell(size=2, exectype=Order.Stop, price=98.0),
        4: lambda s: s.broker.modify(s.given[1], price=97.0),
    }
    ran = live.run(rows, plan, settings=BOUND)
    assert [asked.form["order_type"] for asked in live.middle.calls("PUT")] == ["SL-M"]
    assert alerts(ran) == []


def test_a_stop_with_a_limit_of_its_own_rests_as_it_does_in_the_simulator(live):
    rows = [CALM] * 3 + [(95.0,) * 4] * 6
    plan = {1: buy(size=2), 2: sell(size=2, exectype=Order.Stop, price=98.0)}
    ran = live.run(rows, plan, settings=BOUND, **{"broker.stop_as": "SL"})
    assert changes(live) == alerts(ran) == []
    assert live.held() == 2


def test_a_limit_order_is_nobodys_to_move(live):
    ran = live.run(gap(103.0), {3: buy(size=3, exectype=Order.Limit, price=99.0)}, settings=BOUND)
    assert changes(live) == alerts(ran) == []


def runs_ahead(middle: Any, asked: Any) -> Any:
    """The market is beyond the new limit by the time it arrives."""
    beyond = round(float(asked.form["price"]) * 1.002, 1)
    middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=beyond)
    return middle.forward(asked)


def test_it_is_moved_again_if_the_market_was_faster(live):
    live.middle.on("PUT", *[runs_ahead] * 3)
    ran = live.run(gap(103.0), {3: buy(size=3)}, settings=BOUND, **{"broker.widen_step": 0.1})
    moved = [price for _, price in changes(live)]
    assert moved == sorted(set(moved))
    assert len(moved) >= 3
    assert ran.position.size == live.held() == 3


def test_it_is_moved_no_more_often_than_kite_takes_changes_of_one_order(live):
    """Five are left for what its size may need."""

    def restless(s: Any) -> None:
        s.broker._changes[s.given[0].ref] = 20

    ran = live.run(gap(103.0), {3: buy(size=3), 4: restless}, settings=BOUND, **{"broker.widen_after": 90.0})
    assert changes(live) == []
    (alert,) = alerts(ran)
    assert "the last price is 103: it is not widened further" in alert


def test_its_limit_ends_where_the_days_band_does(live):
    def known(s: Any) -> Any:
        s.broker.bands["NSE:TEST"] = Band(80.0, 103.5, s.broker.now)
        return s.buy(size=3)

    ran = live.run(gap(103.0), {3: known}, settings=BOUND, **SLOWLY)
    assert changes(live) == [("LIMIT", 103.5)]
    assert ran.position.size == live.held() == 3


def test_the_slices_of_a_large_order_follow_the_market_too(live):
    """Of futures, whose limits Kite protects as well."""
    ran = go(live, {3: buy(size=SIZE)}, gap(103.0), settings=BOUND, **SLOWLY)
    assert [price for _, price in changes(live)] == [104.0] * len(CUT)
    assert ran.position.size == live.held() == SIZE


def test_what_is_to_be_cancelled_is_not_sent_after_the_market(live):
    live.middle.on("DELETE", *[lost(NO)] * 8)
    plan = {3: buy(size=3), 4: lambda s: s.cancel(s.given[0])}
    ran = live.run(gap(103.0, 12), plan, settings=BOUND, **{"broker.widen_after": 90.0})
    assert changes(live) == []
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
    assert ran.position.size == live.held() == 0


def test_a_stop_that_has_taken_over_from_a_target_with_a_part_follows_with_all_that_is_left(live):
    """4 of 10 were sold at the target; the other 6 are jumped over."""
    rows = [*RISE, HOLD, *[BACK] * 2, *[(95.0,) * 4] * 5]
    ran = live.run(
        rows, {2: bracket(), 6: takes(live, 4)}, settings={**BOUND, "check_trigger_side": True},
        **{"groups.exits": "one"}, **SLOWLY,
    )  # fmt: skip
    assert live.middle.calls("PUT")[-1].form["order_type"] == "LIMIT"  # after the market
    assert {put.form["quantity"] for put in live.middle.calls("PUT")} == {"10"}
    assert [size for _, size, _, _ in ran.fills] == [10, -4, -6]
    assert ran.position.size == live.held() == 0
