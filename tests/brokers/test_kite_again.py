"""KiteBroker: what failed once is not forgotten, whoever wanted it. The exchange's book is the judge."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.brokers.winding import Winding
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, UP, Order, buy
from tests.brokers.test_kite_day import HOURS, LOW, says
from tests.brokers.wire import Told, done_but, held_until, lost, on_its_way, passes

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 12
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})
NOTHING = (200, "application/json", {"status": "success", "data": []})


# ---- cancels ----


def pair(s):
    """One of the two is to trade: a buy at 103, or one at 90."""
    first = s.buy(size=5, exectype=STOP, price=103.0)
    return [first, s.buy(size=5, exectype=LIMIT, price=90.0, oco=first)]


@pytest.mark.parametrize("fault", [lost(None), lost(NO)], ids=["never arrived", "refused"])
def test_the_sibling_of_what_has_traded_goes_although_its_cancel_failed(live, fault):
    """Else the fall to 90 at the end would buy a second time."""
    live.middle.on("DELETE", fault)
    crash = (100.0, 100.0, 89.0, 89.0)
    ran = live.run([*LONG[:3], UP, *LONG[:3], crash, CALM], {2: pair})
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Completed", "Canceled"]
    assert [row["status"] for row in live.book()] == ["COMPLETE", "CANCELLED"]
    assert ran.position.size == live.held() == 5


def test_an_order_past_its_deadline_goes_although_its_cancel_failed(live):
    live.middle.on("DELETE", lost(None))
    ran = live.run(LONG, {2: buy(exectype=LIMIT, price=90.0, valid=timedelta(minutes=3))})
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert [row["status"] for row in live.book()] == ["CANCELLED"]


def test_a_cancel_behind_a_placement_whose_answer_was_lost_is_kept(live):
    go = threading.Event()
    live.middle.on("POST", held_until(go, done_but(None)))

    def give(s):
        order = s.buy(size=3, exectype=LIMIT, price=90.0)
        on_its_way(s, live, "POST")
        s.cancel(order)
        go.set()
        return order

    ran = live.run(LONG, {2: give})
    assert ran.story()[-1] == "Canceled"
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
    assert len(live.middle.calls("POST")) == 1


def test_an_order_that_is_to_be_placed_anew_is_although_its_cancel_failed(live):
    live.middle.on("DELETE", lost(None))
    plan: dict[int, Any] = {2: buy(size=3, exectype=LIMIT, price=90.0)}
    for bar in range(3, 24):
        plan[bar] = lambda s: s.broker.modify(s.given[0], price=round(s.given[0].created.price + 0.05, 2))
    ran = live.run([*[CALM] * 27, UP, CALM], {**plan, 26: lambda s: s.broker.modify(s.given[0], price=99.0)})
    assert ran.story() == DONE
    assert [(row["status"], row["quantity"]) for row in live.book()] == [("CANCELLED", 3), ("COMPLETE", 3)]
    assert ran.position.size == live.held() == 3


# ---- changes ----


def test_an_exit_that_could_not_grow_with_its_entry_is_asked_to_grow_again(live):
    """4 of 10 have filled, then 10; Kite refuses both exits their 10 at first."""
    live.middle.on("PUT", lost(NO), lost(NO))
    sizes = []
    plan = {
        2: lambda s: s.buy_bracket(size=10, price=90.0, stopprice=80.0, limitprice=110.0),
        3: lambda s: says(s, 4),
        5: lambda s: says(s, 10, "COMPLETE"),
        9: lambda s: sizes.extend(order.size for order in s.given[1:]),
    }
    live.run(LONG, plan)
    exits = [row for row in live.book() if row["transaction_type"] == "SELL"]
    assert [row["quantity"] for row in exits] == [10, 10]
    assert sizes == [-10, -10]


def test_a_strategys_own_change_that_kite_refused_is_not_tried_again(live):
    live.middle.on("PUT", lost(NO))
    plan = {
        2: lambda s: s.buy_bracket(size=10, exectype=Order.Market, stopprice=80.0, limitprice=110.0),
        4: lambda s: s.broker.modify(s.given[1], size=6),
    }
    ran = live.run(LONG, plan)
    assert len(live.middle.calls("PUT")) == 1
    assert ran.given[1].size == -10
    assert [row["quantity"] for row in live.book()] == [10, 10, 10]


def test_a_trailing_stop_that_trades_while_it_is_being_moved_has_traded_once(live):
    """The exchange has just triggered it at 98 when the change to 99 arrives, and refuses that."""

    def triggered_first(middle, asked):
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=97.5)
        return middle.forward(asked)

    live.middle.on("PUT", triggered_first)
    plan = {1: buy(size=5), 2: lambda s: s.sell(size=5, exectype=Order.StopTrail, trailamount=2.0)}
    rise = [CALM, CALM, CALM, (100.0, 101.0, 100.0, 101.0), *[(101.0,) * 4] * 5]
    ran = live.run(rise, plan)
    stop = live.book()[1]
    assert (stop["status"], stop["filled_quantity"], stop["trigger_price"]) == ("COMPLETE", 5, 98.0)
    assert len(live.middle.calls("PUT")) == 1
    assert ran.story(1) == DONE
    assert [size for ref, size, _, _ in ran.fills if ref == ran.given[1].ref] == [-5]
    assert ran.position.size == live.held() == 0
    order = ran.broker.orders[ran.given[1].ref]
    assert (order.size, order.created.price) == (-5, 98.0)
    assert order.executed.remsize == 0


def test_a_stop_whose_move_was_refused_trails_on_from_where_kite_has_it(live):
    live.middle.on("PUT", lost(NO))
    seen = []
    plan = {
        1: buy(size=5),
        2: lambda s: s.sell(size=5, exectype=Order.StopTrail, trailamount=2.0),
        5: lambda s: seen.append(s.broker.orders[s.given[1].ref].created.price),
    }
    rise = [CALM, CALM, CALM, (100.0, 101.0, 100.0, 101.0), (101.0,) * 4, (101.0, 102.0, 101.0, 102.0), (102.0,) * 4]
    ran = live.run(rise, plan)
    assert seen == [99.0]  # refused at the fourth bar, moved at the fifth
    assert [put.form["trigger_price"] for put in live.middle.calls("PUT")] == ["99", "99", "100"]
    assert live.book()[1]["trigger_price"] == ran.broker.orders[ran.given[1].ref].created.price == 100.0


def test_a_book_that_was_asked_for_before_a_change_failed_does_not_decide_on_it(live):
    """The change was done and its answer lost; the book of a moment before still has the old price."""
    brokers: list[Any] = []
    first_is_back = threading.Event()

    def before_the_change(middle, asked):
        old = middle.forward(asked)
        for _ in range(1000):
            if brokers[0]._differs:
                break
            threading.Event().wait(0.005)
        first_is_back.set()
        return old

    def change(s):
        s.cancel(s.given[1])
        on_its_way(s, live, "DELETE")
        s.broker.modify(s.given[0], price=91.0)

    live.middle.on("DELETE", lost(NO))
    live.middle.on("PUT", done_but(None))
    live.middle.on("GET", before_the_change, held_until(first_is_back))
    plan = {2: lambda s: [buy(exectype=LIMIT, price=90.0)(s), buy(exectype=LIMIT, price=80.0)(s)], 4: change}
    ran = live.run(LONG, plan, prepare=lambda store: brokers.append(store.broker))
    assert live.book()[0]["price"] == ran.broker.orders[ran.given[0].ref].created.price == 91.0


def test_what_an_earlier_placement_fills_late_is_taken_off_the_one_that_replaced_it(live):
    """10 units, placed anew; then the stream says that 2 of the first had filled before it was cancelled."""
    plan: dict[int, Any] = {2: buy(size=10, exectype=LIMIT, price=90.0)}
    for bar in range(3, 24):
        plan[bar] = lambda s: s.broker.modify(s.given[0], price=round(s.given[0].created.price + 0.05, 2))

    def late(s):
        old = live.book()[0]
        says(s, 2, "CANCELLED", order_id=old["order_id"], average_price=90.0, tag=old["tag"])

    rows = [*[CALM] * 30, (100.0, 100.0, 89.0, 89.0), CALM]
    ran = live.run(rows, {**plan, 26: late}, **{"broker.reconcile": 3600})  # the exchange has not traded the 2
    old, new = live.book()
    assert (old["status"], new["status"], new["filled_quantity"]) == ("CANCELLED", "COMPLETE", 8)
    assert [size for _, size, _, _ in ran.fills] == [2, 8]
    assert ran.story()[-1] == "Completed"
    assert ran.position.size == 10


# ---- over nights and restarts ----


class Restored(Told):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def restored(self, orders: Any, positions: Any) -> None:
        self.kept = orders


def twice(live, tmp_path, rows, first, then=None, between=None, **more):
    """The strategy before and after a restart."""
    journal = tmp_path / "journal.sqlite"
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    with Journal(journal, clock) as kept:
        before = live.run(rows, first, record=Record(kept), **more)
    if between is not None:
        between()
    with Journal(journal, clock) as kept:
        after = live.run(None, then or {}, record=Record(kept), strategy=Restored, **more)
    return before, after


def test_a_carried_order_is_placed_in_the_morning_after_a_restart_at_night(live, tmp_path):
    plan = {3: buy(size=2, exectype=LIMIT, price=97.0, carry=True, tag="swing"), 7: lambda s: s.env.runstop()}
    before, after = twice(live, tmp_path, HOURS + [LOW] * 2, plan, interval="60minute")
    assert before.given[0].alive()
    assert [row["status"] for row in live.book()][-1] == "COMPLETE"
    tags = [post.form["tag"] for post in live.middle.calls("POST")]
    assert len(set(tags)) == len(tags) == 2
    assert [tag[:-14] for tag in tags] == ["swing", "swing"]
    assert after.position.size == 2


def test_an_after_market_order_that_is_carried_goes_as_a_regular_one_the_next_day(live):
    ran = live.run(
        [*HOURS, *HOURS, LOW, LOW],
        {7: buy(size=2, exectype=LIMIT, price=97.0, carry=True, after_hours="amo")},
        interval="60minute",
    )
    paths = [post.path.split("?")[0] for post in live.middle.calls("POST")]
    assert paths == ["/orders/amo", "/orders/regular"]
    assert ran.story()[-1] == "Completed"
    assert ran.position.size == live.held() == 2


def test_an_order_that_kites_book_of_today_does_not_have_is_over_and_said(live, tmp_path):
    plan = {2: buy(size=10, exectype=LIMIT, price=90.0), 5: lambda s: s.env.runstop()}
    _, after = twice(live, tmp_path, LONG, plan, between=lambda: live.middle.on("GET", *[lost(NOTHING)] * 2))
    (order,) = after.kept
    assert order.getstatusname() == "Expired"
    assert "Kite's order book of today does not have it" in order.info.reason
    assert any("is not in Kite's book of today" in news for news in after.news)
    assert after.broker.ledger.committed() == 0.0


def test_a_siblings_cancel_that_never_left_is_sent_after_a_restart(live, tmp_path):
    live.middle.on("DELETE", lost(None))
    stop = {2: pair, 5: lambda s: s.env.runstop()}
    bars = [*LONG[:3], UP, *LONG[:8]]

    def react(s, order):
        if order.status == Order.Completed:
            s.env.runstop()

    _, after = twice(live, tmp_path, bars, stop, react=react)
    assert [row["status"] for row in live.book()] == ["COMPLETE", "CANCELLED"]
    assert after.position.size == live.held() == 5


def test_a_change_that_was_on_its_way_when_the_process_ended_is_what_kite_says_it_is(live, tmp_path):
    live.middle.on("PUT", lost(None))
    plan = {
        2: buy(size=3, exectype=LIMIT, price=90.0),
        4: lambda s: [s.broker.modify(s.given[0], size=7, price=91.0), s.env.runstop()] and None,
    }
    _, after = twice(live, tmp_path, LONG, plan)
    (order,) = after.kept
    row = live.book()[0]
    assert (order.size, order.created.price) == (row["quantity"], row["price"]) == (3, 90.0)


def test_exits_whose_process_ended_before_they_left_are_sent_after_a_restart(live, tmp_path):
    """The last that the journal has is the fill of their entry; Kite has never heard of them."""
    live.middle.on("POST", passes, lost(NO), lost(NO))
    plan = {
        2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=90.0, limitprice=110.0),
        4: lambda s: s.env.runstop(),
    }
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))
    with Journal(tmp_path / "whole.sqlite", clock) as whole, Journal(tmp_path / "cut.sqlite", clock) as cut:
        live.run(LONG, plan, record=Record(whole))
        for event in whole.events():
            cut.append(event.kind, event.data)
            if event.kind == "fill":
                break
        after = live.run(None, {}, record=Record(cut), strategy=Restored)
    exits = [row for row in live.book() if row["transaction_type"] == "SELL"]
    assert sorted((row["order_type"], row["quantity"], row["status"]) for row in exits) == [
        ("LIMIT", 4, "OPEN"),
        ("SL-M", 4, "TRIGGER PENDING"),
    ]
    assert after.position.size == live.held() == 4


@pytest.mark.parametrize("exits", ["one", "two"])
def test_exits_of_a_filled_entry_stay_exits_after_a_restart(live, tmp_path, exits):
    """Nothing that only reducing orders survive takes them, and they are no entries of the day."""
    plan = {
        2: lambda s: s.buy_bracket(size=4, exectype=Order.Market, stopprice=90.0, limitprice=110.0),
        5: lambda s: s.env.runstop(),
    }

    def winds(s):
        assert Winding(s.broker).turn(flatten=False)

    _, after = twice(live, tmp_path, LONG, plan, {2: winds, 3: winds}, **{"groups.exits": exits})
    ledger = after.broker.ledger
    assert [order.getstatusname() for order in after.kept] == ["Accepted", "Accepted"]
    assert {row["status"] for row in live.book()} <= {"COMPLETE", "OPEN", "TRIGGER PENDING"}
    assert (ledger.entries_today, ledger.committed(), ledger.worst_case("NSE:TEST")) == (1, 0.0, (4, 0))


def test_an_order_held_for_the_open_is_sent_after_a_restart_whatever_its_tag(live, tmp_path):
    plan = {7: lambda s: [buy(size=2, tag="swing")(s), s.env.runstop()][:1]}
    _, after = twice(live, tmp_path, HOURS + [LOW] * 2, plan, interval="60minute")
    (post,) = live.middle.calls("POST")
    assert post.form["tag"].startswith("swing")
    assert after.position.size == live.held() == 2


# ---- orders that are several at Kite ----


def test_the_legs_of_an_iceberg_are_one_order(live):
    """Kite gives each leg an id of its own; it is complete when all have filled."""

    def leg(number):
        def tell(s):
            order = s.broker.orders[s.given[0].ref]
            says(
                s, 5, "COMPLETE", order=order, order_id=order.info.order_id if number == 1 else f"99{number}",
                quantity=5, average_price=90.0, tag=order.info.tag, variety="iceberg",
            )  # fmt: skip

        return tell

    alive = []
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0, variety="iceberg", iceberg_legs=2, iceberg_quantity=5),
        4: leg(1),
        6: lambda s: alive.append(s.given[0].alive()) or leg(2)(s),
    }
    ran = live.run(LONG[:9], plan)
    assert alive == [True]
    assert ran.story() == ["Submitted", "Accepted", "Partial", "Completed"]
    assert ran.position.size == 10
    assert [news for news in ran.news if news.startswith("foreign")] == []


# ---- when it is to be looked at again ----


def test_whatever_is_due_wakes_a_market_that_runs(live):
    """Each of its appointments, alone the next one, is the second at which the broker is called."""
    found: dict[str, tuple[int | None, int]] = {}

    def look(s):
        broker, ref = s.broker, s.given[0].ref
        at = broker.now + 1
        for name, table in {"again": broker._again, "account": broker._asked_account, "held": broker.held}.items():
            table[ref] = at
            found[name] = (broker.next_due(), at)
            del table[ref]
        broker._compare_at, kept_at = at, broker._compare_at
        broker.in_step = False
        found["compare"] = (broker.next_due(), at)
        broker._compare_at, broker.in_step = kept_at, True
        broker._doubt.begin(ref, broker.now)
        found["doubt"] = (broker.next_due(), min(broker._doubt.due()))
        broker._doubt.end(ref)
        deadline = broker.terms[ref]
        broker.terms[ref] = replace(deadline, deadline=at)
        found["deadline"] = (broker.next_due(), at)
        broker.terms[ref] = deadline

    live.run(LONG, {2: buy(size=3, exectype=LIMIT, price=90.0), 4: look})
    assert len(found) == 6
    assert {name: due for name, (due, _) in found.items()} == {name: at for name, (_, at) in found.items()}


def test_a_change_to_a_limit_that_could_not_trade_is_denied_here(live):
    plan = {
        2: buy(size=5),
        3: lambda s: s.sell(size=5, exectype=Order.StopLimit, price=95.0, plimit=94.0),
        5: lambda s: s.broker.modify(s.given[1], price=96.0, plimit=97.0) and None,
    }
    ran = live.run(LONG, plan)
    assert live.middle.calls("PUT") == []
    assert "must lie at its trigger" in ran.given[1].info.denied_change
    assert (live.book()[1]["trigger_price"], live.book()[1]["price"]) == (95.0, 94.0)
    order = ran.broker.orders[ran.given[1].ref]
    assert (order.created.price, order.created.pricelimit, order.price, order.plimit) == (95.0, 94.0, 95.0, 94.0)


def test_what_a_placement_that_was_replaced_has_traded_makes_the_next_one_smaller(live):
    """Told late: by then another one works, for all of it."""
    plan: dict[int, Any] = {2: buy(size=10, exectype=LIMIT, price=90.0)}
    for bar in range(3, 24):
        plan[bar] = lambda s: s.broker.modify(s.given[0], price=round(s.given[0].created.price + 0.05, 2))
    plan[26] = lambda s: says(s, 4, "CANCELLED", order_id=live.book()[0]["order_id"], average_price=90.0)
    ran = live.run([CALM] * 30, plan)
    first, second = live.book()
    assert (first["status"], second["status"], second["quantity"]) == ("CANCELLED", "OPEN", 6)
    order = ran.broker.orders[ran.given[0].ref]
    assert (order.size, order.executed.size, order.executed.remsize) == (10, 4, 6)


def test_a_change_of_what_waits_for_another_to_go_asks_kite_for_nothing(live):
    def instead(s):
        s.cancel(s.given[1])
        order = s.sell(size=5, exectype=LIMIT, price=110.0)
        assert s.broker.modify(order, price=112.0, size=4)
        return order

    plan = {2: buy(size=5), 4: lambda s: s.sell(size=5, exectype=STOP, price=90.0), 6: instead}
    ran = live.run(LONG, plan)
    assert live.middle.calls("PUT") == []
    assert [(row["status"], row["quantity"], row["price"]) for row in live.book()[2:]] == [("OPEN", 4, 112.0)]
    assert [news for news in ran.news if "failed" in news] == []


def test_what_fails_again_is_asked_for_after_ever_longer_waits(live):
    found: list[int] = []

    def look(s):
        broker, order = s.broker, s.given[0]
        for _ in range(8):
            broker._try_again(order.ref)
            found.append(broker._again[order.ref] - broker.now)
        broker.hasten(order)
        found.append(broker._again[order.ref] - broker.now)
        broker._again.clear()
        broker.hasten(order)
        assert broker._again == {}  # nothing waits, so nothing is hurried
        broker._tries.clear()

    live.run(LONG, {2: buy(size=3, exectype=LIMIT, price=90.0), 4: look})
    assert found == [2, 4, 8, 16, 32, 60, 60, 60, 1]


@pytest.mark.parametrize("size", [15, 4])
def test_a_brackets_exit_is_never_made_larger_than_what_its_entry_has_filled(live, size):
    seen = []
    plan = {
        2: lambda s: s.buy_bracket(size=10, exectype=Order.Market, stopprice=80.0, limitprice=110.0),
        4: lambda s: s.broker.modify(s.given[1], size=size) and None,
        6: lambda s: seen.append(abs(s.broker.orders[s.given[1].ref].size)),
    }
    live.run(LONG[:8], plan)
    stop = next(row for row in live.book() if row["order_type"] == "SL-M")
    assert (stop["quantity"], seen) == (min(size, 10), [min(size, 10)])


def test_a_trailing_stop_of_which_nobody_knows_is_not_moved(live):
    """It has no id yet; what it has become by then is what is sent anew."""
    live.middle.on("POST", passes, lost(None))
    plan = {1: buy(size=5), 2: lambda s: s.sell(size=5, exectype=Order.StopTrail, trailamount=2.0)}
    rise = [CALM, CALM, *[(100.0 + n, 101.0 + n, 100.0 + n, 101.0 + n) for n in range(6)]]
    live.run(rise, plan)
    calls = [asked.method for asked in live.middle.calls()]
    assert calls[:3] == ["POST"] * 3
    assert [row["status"] for row in live.book()] == ["COMPLETE", "TRIGGER PENDING"]
    assert live.book()[1]["trigger_price"] == 104.0
