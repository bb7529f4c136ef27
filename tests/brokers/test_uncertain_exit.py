"""An exit whose answer was lost and that Kite never had: it is sent anew for what the account still holds, no more.

Neither the stream nor the order book may have told what somebody has closed meanwhile: only positions show it. The
exchange's book is the judge."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, Order
from tests.brokers.test_outside import ADOPT, IGNORE
from tests.brokers.wire import JSON, TIMED_OUT, done_but, lost, passes

LONG = [CALM] * 14
LIMIT = Order.Limit
DOWN = {"status": "error", "error_type": "GeneralException", "message": "down"}


def without(units: int) -> Any:
    """The order book without somebody's order of so many units."""

    def rule(middle: Any, asked: Any) -> Any:
        status, kind, body = middle.forward(asked)
        if asked.path.split("?")[0] != "/orders":
            return status, kind, body
        rows = json.loads(body)
        rows["data"] = [row for row in rows["data"] if row["tag"] or row["quantity"] != units]
        return status, kind, rows

    return rule


def unseen(live: Any, side: str, units: int) -> Any:
    """By hand, and the order is in no book that we are shown."""

    def step(s: Any) -> None:
        live.exchange.steer.arm("order_update_lost", times=1)
        live.middle.on("GET", *[without(units)] * 60)
        live.exchange.steer.place("NSE:TEST", side, units)

    return step


@pytest.mark.parametrize("policy", [ADOPT, IGNORE], ids=["adopt", "ignore"])
@pytest.mark.parametrize("answer", [None, TIMED_OUT], ids=["cut", "400 timed out"])
@pytest.mark.parametrize(("by_hand", "left"), [(2, 3), (4, 1)])
@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_it_is_sent_anew_for_what_the_account_still_holds(live, long, by_hand, left, answer, policy):
    live.middle.on("POST", passes, lost(answer))
    side = "SELL" if long else "BUY"
    plan = {
        2: lambda s: s.buy(size=5) if long else s.sell(size=5),
        4: lambda s: s.close(),
        5: unseen(live, side, by_hand),
    }
    ran = live.run(LONG, plan, **policy)
    posts = live.middle.calls("POST")
    assert [post.form["quantity"] for post in posts] == ["5", "5", str(left)]
    assert posts[1].form["tag"] == posts[2].form["tag"]
    assert live.held() == 0
    assert abs(ran.given[1].executed.size) == left
    assert ran.story(1)[-1] == "Completed"


@pytest.mark.parametrize("by_hand", [5, 8], ids=["all", "more than all"])
@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_it_is_not_sent_anew_if_nothing_is_left(live, long, by_hand):
    live.middle.on("POST", passes, lost(None))
    plan = {
        2: lambda s: s.buy(size=5) if long else s.sell(size=5),
        4: lambda s: s.close(),
        5: unseen(live, "SELL" if long else "BUY", by_hand),
    }
    ran = live.run(LONG, plan, **IGNORE)
    assert len(live.middle.calls("POST")) == 2
    assert live.held() == (5 - by_hand if long else by_hand - 5)
    assert ran.story(1)[-1] == "Rejected"
    assert "there is nothing left for it to reduce" in ran.given[1].info.reason


def test_others_units_in_the_account_are_not_sold_in_its_stead(live):
    """Somebody has bought 7 of his own: ours are 5 all the same."""
    live.middle.on("POST", passes, lost(None))
    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.close(), 5: unseen(live, "BUY", 7)}
    live.run(LONG, plan, **IGNORE)
    assert [post.form["quantity"] for post in live.middle.calls("POST")] == ["5", "5", "5"]
    assert live.held() == 7


def test_units_of_another_product_are_not_what_it_closes(live):
    live.middle.on("POST", passes, lost(None))

    def by_hand(s: Any) -> None:
        live.exchange.steer.place("NSE:TEST", "BUY", 9, product="CNC")
        unseen(live, "SELL", 5)(s)

    plan = {2: lambda s: s.buy(size=5), 4: lambda s: s.close(), 5: by_hand}
    live.run(LONG, plan, **IGNORE)
    assert len(live.middle.calls("POST")) == 2
    held = {row["product"]: row["quantity"] for row in live.exchange.positions() if row["quantity"]}
    assert held == {"CNC": 9}


def test_a_part_of_it_that_has_traded_is_not_sent_again(live):
    """A stop of 5 is placed anew after its 20 changes with 2 traded; the second placement never arrived."""
    plan: dict[int, Any] = {
        2: lambda s: s.buy(size=5),
        3: lambda s: s.sell(size=5, exectype=LIMIT, price=110.0),
        6: lambda s: live.exchange.steer.put_depth("NSE:TEST", buy=[(109.0, 2)]) and None,
    }

    def move(s: Any) -> None:
        order = s.given[1]
        s.broker.modify(order, price=round(order.created.price - 0.05, 2))

    def move_last(s: Any) -> None:
        live.middle.on("POST", lost(None))
        move(s)

    def early(s: Any) -> None:
        s.broker.modify(s.given[1], price=109.0)
        s.broker.store.desk.send_off()

    plan |= {5: early, **dict.fromkeys(range(7, 26), move), 26: move_last}
    ran = live.run([CALM] * 40, plan)
    sold = [row for row in live.book() if row["transaction_type"] == "SELL"]
    assert [(row["quantity"], row["filled_quantity"]) for row in sold] == [(5, 2), (3, 0)]
    assert [post.form["quantity"] for post in live.middle.calls("POST")] == ["5", "5", "3", "3"]
    assert ran.given[1].executed.size == -2


def follows_the_account(middle: Any) -> bool:
    """Whether the order book that is asked for ends a look at the whole account; another question may be between."""
    return any(one.path.startswith("/portfolio") for one in middle.asked[-4:-1])


def test_the_last_look_is_made_again_until_it_is_answered(live):
    live.middle.on("POST", passes, lost(None))

    failed: list[str] = []

    def fails_twice(middle: Any, asked: Any) -> Any:
        """Of the looks at the whole account, which end with the order book."""
        if follows_the_account(middle) and len(failed) < 2:
            failed.append(asked.path)
            return 400, JSON, DOWN
        return middle.forward(asked)

    def give(s: Any) -> Any:
        live.middle.on("GET", *[fails_twice] * 40)
        return s.close()

    ran = live.run(LONG, {2: lambda s: s.buy(size=5), 4: give})
    assert len(failed) == 2
    assert [post.form["quantity"] for post in live.middle.calls("POST")] == ["5", "5", "5"]
    assert ran.position.size == live.held() == 0


def test_if_the_last_look_shows_it_after_all_it_is_not_sent_anew(live):
    """It is at Kite; the order book has it first in the look that was to decide what it is sent anew for."""
    live.middle.on("POST", passes, done_but(None))

    def lags(middle: Any, asked: Any) -> Any:
        status, kind, body = middle.forward(asked)
        if follows_the_account(middle):
            return status, kind, body
        rows = json.loads(body)
        rows["data"] = [row for row in rows["data"] if row["transaction_type"] == "BUY"]
        return status, kind, rows

    def give(s: Any) -> Any:
        live.exchange.steer.arm("order_update_lost", times=None)
        live.middle.on("GET", *[lags] * 60)
        return s.sell(size=5, exectype=LIMIT, price=110.0)

    ran = live.run(LONG, {2: lambda s: s.buy(size=5), 4: give})
    assert len(live.middle.calls("POST")) == 2
    assert [(row["transaction_type"], row["status"]) for row in live.book()] == [("BUY", "COMPLETE"), ("SELL", "OPEN")]
    assert ran.given[1].alive()
    assert ran.given[1].info.order_id == live.book()[1]["order_id"]


def test_a_cancel_while_the_last_look_is_not_answered_ends_it(live):
    live.middle.on("POST", passes, lost(None))
    cancelled: list[Any] = []

    def until_it_is_cancelled(middle: Any, asked: Any) -> Any:
        if follows_the_account(middle) and not cancelled:
            return 400, JSON, DOWN
        return middle.forward(asked)

    def give(s: Any) -> Any:
        live.middle.on("GET", *[until_it_is_cancelled] * 90)
        return s.close()

    def cancel(s: Any) -> None:
        assert s.broker.is_uncertain(s.given[1].ref)
        assert s.broker.uncertain_until(s.given[1].ref) > s.broker.now
        cancelled.append(s.cancel(s.given[1]))

    ran = live.run(LONG, {2: lambda s: s.buy(size=5), 4: give, 6: cancel})
    assert len(live.middle.calls("POST")) == 2
    assert ran.story(1)[-1] == "Canceled"
    assert ran.position.size == live.held() == 5


def test_what_is_not_ours_any_more_is_not_sold_although_the_account_holds_as_much(live):
    """Ours were sold by hand, which we have heard; others have bought since."""
    live.middle.on("POST", passes, lost(None))

    def both(s: Any) -> None:
        live.exchange.steer.place("NSE:TEST", "SELL", 5)
        live.exchange.steer.arm("order_update_lost", times=1, fields={"transaction_type": "BUY"})
        live.exchange.steer.place("NSE:TEST", "BUY", 7)

    live.middle.on("GET", *[without(7)] * 60)
    ran = live.run(LONG, {2: lambda s: s.buy(size=5), 4: lambda s: s.close(), 5: both}, **ADOPT)
    assert len(live.middle.calls("POST")) == 2
    assert ran.story(1)[-1] == "Rejected"
    assert live.held() == 7


def test_what_is_sent_anew_is_written_down_and_is_as_large_as_it_says(live, tmp_path):
    live.middle.on("POST", passes, lost(None))
    plan = {
        2: lambda s: s.buy(size=5),
        4: lambda s: s.sell(size=5, exectype=LIMIT, price=110.0),
        5: unseen(live, "SELL", 2),
    }
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 9, 15))) as journal:
        ran = live.run(LONG, plan, record=Record(journal), **IGNORE)
        intents = [event.data["proposal"] for event in journal.events("intent")]
        sendings = [event.data["fields"] for event in journal.events("sending")]
    assert [intent["quantity"] for intent in intents] == [sent["quantity"] for sent in sendings] == [5, 5, 3]
    assert [intent["tag"] for intent in intents] == [sent["tag"] for sent in sendings]
    assert intents[2]["reduces"]
    order = ran.given[1]
    assert (order.size, order.executed.remsize, live.book()[-1]["pending_quantity"]) == (-3, -3, 3)
    assert order.alive()
    assert ran.broker.ledger.is_exit(order.ref)
