"""One exit order on Kite's book for each position. The exchange's own book is the judge."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, Order
from tests.brokers.test_kite_again import Restored, twice
from tests.brokers.test_kite_day import HOURS
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


@pytest.mark.parametrize("times", [1, 3])
def test_a_change_that_fails_while_the_price_is_beyond_the_stop_is_made_again_at_once(live, times):
    """Each second of waiting would be a worse price."""
    crash = (102.8, 102.8, 95.0, 95.0)
    falls = [(95.0 - n, 95.0 - n, 94.0 - n, 94.0 - n) for n in range(5)]
    live.middle.on("PUT", passes, *[lost(NO)] * times)
    ran = run(live, [*LONG[:4], NEAR, crash, *falls], {2: bracket()})
    assert exits(live) == [("MARKET", "COMPLETE", 10, 10)]
    assert ran.prices(1) == [95.0]
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


def puts_at(live: Any) -> list[datetime]:
    """When each change came in, as the exchange's market has it."""

    def rule(middle: Any, asked: Any) -> Any:
        times.append(live.exchange.steer.now())
        return NO

    times: list[datetime] = []
    live.middle.on("PUT", *[rule] * 40)
    return times


def test_a_swap_that_is_refused_again_and_again_is_asked_for_after_ever_longer_waits(live):
    """Every word of Kite and every price is an occasion, and none of them is taken before its time."""
    times = puts_at(live)
    run(live, [*LONG[:4], NEAR, *[HOLD] * 8], {2: bracket()})
    waits = [(later - at).total_seconds() for at, later in itertools.pairwise(times)]
    assert 3 <= len(times) <= 10
    assert all(wait >= min(2**tries, 60) for tries, wait in enumerate(waits, 1))
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]


def test_what_failed_before_a_swap_that_was_made_does_not_delay_the_next_one(live):
    """Three times no, then yes: when the price has fallen through the stop, three times more are not too many."""
    live.middle.on("PUT", *[lost(NO)] * 3, passes, *[lost(NO)] * 3)
    crash = (102.8, 102.8, 95.0, 95.0)
    falls = [(95.0 - n, 95.0 - n, 94.0 - n, 94.0 - n) for n in range(5)]
    ran = run(live, [*LONG[:4], NEAR, *[HOLD] * 4, crash, *falls], {2: bracket()})
    assert exits(live) == [("MARKET", "COMPLETE", 10, 10)]
    assert ran.prices(1) == [95.0]


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


# ---- what the strategy does with them ----


def change(number: int, **figures: Any) -> Any:
    return lambda s: s.broker.modify(s.given[number], **figures) and None


def test_a_target_that_is_not_at_kite_is_moved_here_alone(live):
    ran = run(live, [*LONG[:5], NEAR, HOLD, CALM], {2: bracket(), 4: change(2, price=110.0)})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert live.middle.calls("PUT") == []
    assert ran.given[2].created.price == 110.0


def test_a_target_that_is_moved_away_while_it_stands_gives_its_place_to_the_stop(live):
    run(live, [*LONG[:4], NEAR, HOLD, HOLD, HOLD], {2: bracket(), 6: change(2, price=110.0)})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert live.book()[-1]["trigger_price"] == 98.0


def test_a_stop_that_is_moved_while_the_target_stands_is_where_it_was_moved_to(live):
    ran = run(live, [*LONG[:4], NEAR, HOLD, BACK, BACK, BACK], {2: bracket(), 6: change(1, price=99.0)})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert live.book()[-1]["trigger_price"] == ran.given[1].created.price == 99.0


@pytest.mark.parametrize("number", [1, 2], ids=["the stop", "the target"])
@pytest.mark.parametrize("rows", [LONG[:8], [*LONG[:4], NEAR, HOLD, HOLD, HOLD]], ids=["the stop stands", "the target"])
def test_cancelling_either_takes_both_and_kites_order(live, number, rows):
    ran = run(live, rows, {2: bracket(), 6: lambda s: s.cancel(s.given[number])})
    assert [row[1] for row in exits(live)] == ["CANCELLED"]
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Canceled", "Canceled"]
    assert ran.position.size == live.held() == 10


@pytest.mark.parametrize("kind", [Order.StopTrail, Order.StopTrailLimit])
def test_a_trailing_stop_trails_while_the_target_stands(live, kind):
    """At 102.5 the trigger has followed to 99.5, and is there when the stop stands again."""
    more = {"plimit": 95.0} if kind == Order.StopTrailLimit else {}

    def give(s):
        entry = s.buy(size=10, transmit=False)
        trail = s.sell(size=10, exectype=kind, trailamount=3.0, parent=entry, transmit=False, **more)
        return [entry, trail, s.sell(size=10, exectype=LIMIT, price=103.0, parent=entry)]

    ran = run(live, [*LONG[:4], NEAR, HOLD, BACK, BACK, BACK], {2: give})
    (row,) = exits(live)
    assert row[1:] == ("TRIGGER PENDING", 10, 0)
    assert live.book()[-1]["trigger_price"] == ran.given[1].created.price == pytest.approx(99.8)


def test_more_swaps_than_kite_allows_place_it_anew(live):
    rows = [*LONG[:4], *[NEAR, BACK] * 12, CALM, CALM]
    ran = run(live, rows, {2: bracket()})
    assert [row[1] for row in exits(live)] == ["CANCELLED", "TRIGGER PENDING"]
    assert max(row["quantity"] for row in live.book()) == 10
    assert ran.given[1].alive()
    assert ran.given[2].alive()


# ---- OCO ----


def pair(**more: Any) -> Any:
    """Two exits of 10 that are held."""

    def give(s: Any) -> list[Any]:
        stop = s.sell(size=10, exectype=STOP, price=98.0, **more)
        return [stop, s.sell(size=10, exectype=LIMIT, price=103.0, oco=stop, **more)]

    return give


def test_an_oco_pair_that_closes_a_position_is_one_order(live):
    plan = {2: lambda s: s.buy(size=10), 4: pair()}
    ran = run(live, [*LONG[:6], NEAR, HIGH, CALM], plan)
    assert exits(live) == [("LIMIT", "COMPLETE", 10, 10)]
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Canceled", "Completed"]
    assert live.held() == 0


def test_an_oco_pair_without_a_position_rests_whole(live):
    ran = run(live, LONG[:8], {2: pair()})
    assert sorted(row[:2] for row in exits(live)) == [("LIMIT", "OPEN"), ("SL-M", "TRIGGER PENDING")]
    assert [order.info.get("watched") for order in ran.given] == [None, None]


def test_an_oco_pair_for_more_than_is_held_rests_whole(live):
    plan = {2: lambda s: s.buy(size=4), 4: pair()}
    run(live, LONG[:8], plan)
    assert len(exits(live)) == 2


# ---- nights and restarts ----


def test_exits_that_are_carried_are_one_order_again_in_the_morning(live):
    plan = {2: bracket(carry=True, product="CNC", stopargs={"carry": True}, limitargs={"carry": True})}
    ran = run(live, HOURS + [CALM] * 3, plan, interval="60minute")
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert [order.alive() for order in ran.given[1:]] == [True, True]


def test_exits_that_end_with_the_day_expire_both(live):
    ran = run(live, HOURS + [CALM] * 3, {2: bracket()}, interval="60minute")
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Expired", "Expired"]
    assert live.book() == []


def test_a_deadline_of_both_expires_both(live):
    ran = run(live, LONG, {2: bracket(valid=timedelta(minutes=4))})
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Expired", "Expired"]
    assert [row[1] for row in exits(live)] == ["CANCELLED"]


@pytest.mark.parametrize("number", [1, 2], ids=["the stop's", "the target's"])
def test_a_deadline_of_one_of_them_ends_both(live, number):
    """The target's is nobody's at Kite to keep."""
    own = {"stopargs" if number == 1 else "limitargs": {"valid": timedelta(minutes=4)}}
    due: list[bool] = []

    def look(s: Any) -> None:
        (deadline,) = [terms.deadline for terms in s.broker.terms.values() if terms.deadline is not None]
        due.append(s.broker.next_due() <= deadline)

    ran = run(live, LONG, {2: bracket(**own), 4: look})
    assert due == [True]
    assert [ran.story(n)[-1] for n in (number, 3 - number)] == ["Expired", "Canceled"]
    assert [row[1] for row in exits(live)] == ["CANCELLED"]


def ends(s: Any) -> None:
    s.env.runstop()


def again(live: Any, tmp_path: Any, rows: Any, first: Any, then: Any = None, **more: Any) -> tuple[Any, Any]:
    return twice(live, tmp_path, rows, first, then, **{"groups.exits": "one", **more})


@pytest.mark.parametrize("rows", [LONG, [*LONG[:4], NEAR, *[HOLD] * 6]], ids=["the stop stood", "the target stood"])
def test_after_a_restart_the_same_order_stands(live, tmp_path, rows):
    _, after = again(live, tmp_path, rows, {2: bracket(), 6: ends})
    kind = "SL-M" if rows is LONG else "LIMIT"
    assert [row[0] for row in exits(live)] == [kind]
    assert sorted(bool(order.info.get("watched")) for order in after.kept) == [False, True]
    assert after.position.size == live.held() == 10


@pytest.mark.parametrize("wire", [lost(None), done_but(None)], ids=["before", "after"])
@pytest.mark.parametrize("trades", [None, 103.5, 97.5])
def test_a_process_that_ended_in_the_middle_of_the_swap_goes_on_rightly(live, tmp_path, wire, trades):
    """The order is the stop or the target, whichever arrived, and may have traded since."""

    def between() -> None:
        if trades is not None:
            live.exchange.steer.put_price("NSE:TEST", trades)

    live.middle.on("PUT", wire)

    rows = [*LONG[:4], NEAR, *[(102.8, 102.8, 102.8, 102.8)] * 6]
    _, after = again(live, tmp_path, rows, {2: bracket(), 5: ends}, between=between)
    assert len(live.middle.calls("PUT")) >= 1
    (row,) = exits(live)
    held = live.held()
    assert after.position.size == held
    assert row[3] == 10 - held
    living = [order for order in after.kept if after.broker.orders[order.ref].alive()]
    assert len(living) == (2 if held else 0)
    if not held:
        done = [order.ref for order in after.kept if after.broker.orders[order.ref].status == Order.Completed]
        assert len(done) == 1
        target = next(order.ref for order in after.kept if order.exectype == LIMIT)
        assert (done == [target]) == (trades == 103.5)


def test_a_watched_exit_rests_itself_when_the_next_run_wants_two(live, tmp_path):
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    with Journal(tmp_path / "journal.sqlite", clock) as kept:
        run(live, LONG, {2: bracket(), 6: ends}, record=Record(kept))
    assert len(exits(live)) == 1
    with Journal(tmp_path / "journal.sqlite", clock) as kept:
        live.run(None, {}, record=Record(kept), strategy=Restored, **{"groups.exits": "two"})
    assert sorted(row[:2] for row in exits(live)) == [("LIMIT", "OPEN"), ("SL-M", "TRIGGER PENDING")]


@pytest.mark.parametrize("figures", [{"price": 104.0}, {"price": 112.0}])
def test_a_change_of_the_exit_that_is_only_watched_asks_kite_for_nothing(live, figures):
    """Kite's order is the stop's; the target is ours alone until the price is near it."""
    found: list[Any] = []

    def change(s: Any) -> None:
        found.append(s.broker.modify(s.given[2], **figures))

    ran = run(live, [CALM] * 9, {2: bracket(), 5: change})
    assert found == [True]
    assert live.middle.calls("PUT") == []
    assert [news for news in ran.news if "failed" in news] == []
    assert ran.given[2].created.price == figures["price"]
    assert len(exits(live)) == 1
