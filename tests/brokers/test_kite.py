"""KiteBroker: never twice, never lost. The exchange's book is the judge, the wire between fails as told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.brokers.scene import CALM, UP, Order, buy
from tests.brokers.wire import (
    BAD_GATEWAY,
    TIMED_OUT,
    TOO_MANY,
    TOO_MANY_SAYS_A_PAGE,
    done_but,
    filled_before,
    held_until,
    kept,
    lost,
    on_its_way,
    passes,
    release,
)

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 12

# ---- a lost answer ----


@pytest.mark.parametrize(
    "answer",
    [None, TIMED_OUT, BAD_GATEWAY, (200, "application/json", "{"), (504, "application/json", ""), TOO_MANY_SAYS_A_PAGE],
    ids=["cut", "400 timed out", "502 page", "half a reply", "504", "429 page"],
)
@pytest.mark.parametrize("give", [buy(size=3), buy(size=3, exectype=LIMIT, price=99.0)], ids=["market", "resting"])
def test_a_lost_reply_is_looked_up_by_its_tag_and_never_sent_twice(live, answer, give):
    live.middle.on("POST", done_but(answer))
    ran = live.run([*LONG[:6], UP, *LONG[:3]], {2: give})
    assert len(live.middle.calls("POST")) == 1
    (row,) = live.book()
    order = ran.given[0]
    assert ran.story() == DONE
    assert (order.info.order_id, order.info.tag) == (row["order_id"], row["tag"])
    assert (row["status"], ran.position.size, live.held()) == ("COMPLETE", 3, 3)
    assert ran.broker.unresolved() == []


@pytest.mark.parametrize("answer", [None, TIMED_OUT, BAD_GATEWAY], ids=["cut", "400 timed out", "502 page"])
def test_an_order_that_never_arrived_is_given_up_after_the_whole_window(live, answer):
    live.middle.on("POST", lost(answer))
    doubts = []
    plan = {2: buy(size=3), 3: lambda s: doubts.append(s.broker.unresolved()), 6: buy(size=1)}
    ran = live.run(LONG, plan)
    assert [order.ref for order in doubts[0]] == [ran.given[0].ref]
    assert ran.story(0) == ["Submitted", "Rejected"]
    assert ran.given[0].info.reason == "unresolved: Kite knows no order of this tag after 90 s"
    assert any(f"order {ran.given[0].ref} is uncertain" in news for news in ran.news)
    assert [row["quantity"] for row in live.book()] == [1]
    assert len(live.middle.calls("POST")) == 2
    assert (ran.position.size, live.held()) == (1, 1)


def test_an_order_that_was_given_up_and_surfaces_is_ours_and_is_cancelled(live):
    live.middle.on("POST", kept)
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 5: lambda s: release(live.middle)}
    ran = live.run(LONG, plan)
    assert ran.story() == ["Submitted", "Rejected", "Accepted", "Canceled"]
    assert ran.given[0].info.adopted is True
    assert any("was given up and has surfaced" in news for news in ran.news)
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
    assert ran.broker.ledger.is_working(ran.given[0].ref) is False


def test_what_a_given_up_order_fills_counts(live):
    live.middle.on("POST", kept)
    ran = live.run(LONG, {2: buy(size=3), 5: lambda s: release(live.middle)})
    assert ran.story()[:2] == ["Submitted", "Rejected"]
    assert ran.story()[-1] == "Completed"
    assert ran.position.size == live.held() == 3
    assert ran.broker.ledger.position("NSE:TEST").quantity == 3


def test_a_given_up_entry_that_fills_after_its_exits_are_gone_is_closed(live):
    live.middle.on("POST", kept)
    plan = {
        2: lambda s: s.buy_bracket(size=3, exectype=Order.Market, stopprice=90.0, limitprice=110.0),
        5: lambda s: release(live.middle),
    }
    ran = live.run(LONG, plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Canceled", "Canceled"]
    assert ran.position.size == live.held() == 0
    assert [(row["transaction_type"], row["quantity"]) for row in live.book()] == [("BUY", 3), ("SELL", 3)]


def test_the_book_is_asked_again_if_the_deciding_look_fails(live):
    """Nine looks see nothing, the tenth fails: nothing is decided before one is answered."""
    live.middle.on("POST", lost(None))
    down = (
        400,
        "application/json",
        {"status": "error", "error_type": "GeneralException", "message": "the book is closed"},
    )

    def give(s):
        live.middle.on("GET", *[passes] * 9, lost(down), lost(down))
        return s.buy(size=3)

    ran = live.run(LONG, {2: give})
    assert ran.story()[-1] == "Rejected"
    assert int(ran.given[0].info.reason.split()[-2]) > 90
    assert any("reading orders failed" in news for news in ran.news)


def test_an_update_that_comes_before_the_lost_answer_settles_the_doubt(live):
    """The stream has told of the order when the connection is cut: no look at the book is needed."""
    brokers: list[Any] = []
    live.middle.on("POST", filled_before(lambda: any(broker._parked for broker in brokers), cut=True))
    ran = live.run(LONG[:6], {2: buy(size=3)}, prepare=lambda store: brokers.append(store.broker))
    assert ran.story() == DONE
    assert [news for news in ran.news if "uncertain" in news] == []
    assert len(live.middle.calls("POST")) == 1
    assert ran.position.size == live.held() == 3


def test_while_an_order_is_in_doubt_it_is_not_changed_and_a_cancel_waits_for_its_id(live):
    live.middle.on("POST", kept)
    answers = []

    def meddle(s):
        order = s.given[0]
        answers.append(s.broker.modify(order, price=95.0))
        s.cancel(order)
        release(live.middle)

    ran = live.run(LONG, {2: buy(size=3, exectype=LIMIT, price=90.0), 3: meddle})
    assert answers == [False]
    assert ran.story()[-1] == "Canceled"
    assert [(row["status"], row["price"]) for row in live.book()] == [("CANCELLED", 90.0)]


# ---- a clear no ----


def test_too_many_requests_is_a_no_and_is_not_tried_again(live):
    live.middle.on("POST", lost(TOO_MANY))
    ran = live.run(LONG[:5], {2: buy()})
    assert ran.story() == ["Submitted", "Rejected"]
    assert "Too many requests" in ran.given[0].info.reason
    assert live.book() == []
    assert len(live.middle.calls()) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (
            (400, "application/json", {"status": "error", "error_type": "InputException", "message": "RMS: blocked"}),
            "Rejected",
        ),
        (
            (400, "application/json", {"status": "error", "error_type": "MarginException", "message": "Too little"}),
            "Margin",
        ),
        (
            (
                400,
                "application/json",
                {"status": "error", "error_type": "OrderException", "message": "Insufficient funds. Required 5."},
            ),
            "Margin",
        ),
        (
            (
                403,
                "application/json",
                {"status": "error", "error_type": "PermissionException", "message": "No permission"},
            ),
            "Rejected",
        ),
    ],
    ids=["input", "margin", "funds", "permission"],
)
def test_a_refused_order_comes_back_with_kites_own_words(live, answer, status):
    live.middle.on("POST", lost(answer))
    ran = live.run(LONG[:5], {2: buy()})
    assert ran.story() == ["Submitted", status]
    assert answer[2]["message"] in ran.given[0].info.reason
    assert ran.broker.ledger.committed() == 0.0
    assert ran.broker.ledger.entries_today == 0


def test_a_refusal_of_the_exchange_itself(live):
    ran = live.run(
        LONG[:5], {2: buy(size=5)}, settings={"check_margin": True, "cash": 100.0}, **{"broker.capital": 1e6}
    )
    assert ran.story() in (["Margin"], ["Submitted", "Margin"])  # by the margins that were read, or by Kite


def test_a_refused_exit_leaves_the_other_at_work(live):
    no = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Trigger too far"})
    live.middle.on("POST", passes, lost(no))
    plan = {2: lambda s: s.buy_bracket(size=1, exectype=Order.Market, stopprice=50.0, limitprice=102.0)}
    ran = live.run([*LONG[:5], UP, *LONG[:2]], plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Rejected", "Completed"]
    assert ran.position.size == live.held() == 0


# ---- the order of events ----


def test_updates_that_come_before_the_reply_wait_for_it(live):
    brokers: list[Any] = []
    live.middle.on("POST", filled_before(lambda: any(broker._parked for broker in brokers)))
    ran = live.run(LONG[:6], {2: buy(size=3)}, prepare=lambda store: brokers.append(store.broker))
    assert ran.story() == DONE
    assert ran.prices() == [100.0]
    assert brokers[0]._parked == {}


def test_an_order_may_be_cancelled_while_it_is_on_its_way(live):
    go = threading.Event()
    live.middle.on("POST", held_until(go))

    def give(s):
        order = s.buy(size=3, exectype=LIMIT, price=99.0)
        on_its_way(s, live, "POST")
        s.cancel(order)
        assert s.broker.modify(order, price=98.0) is False
        go.set()
        return order

    ran = live.run([*LONG[:4], UP, *LONG[:2]], {2: give})
    assert ran.story()[-1] == "Canceled"
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
    assert ran.position.size == live.held() == 0


def test_an_order_that_has_not_left_is_withdrawn_and_never_sent(live):
    go = threading.Event()
    live.middle.on("POST", held_until(go))

    def give(s):
        first, second = s.buy(size=1, exectype=LIMIT, price=90.0), s.buy(size=2, exectype=LIMIT, price=90.0)
        on_its_way(s, live, "POST")
        s.broker.modify(second, size=5)
        s.cancel(second)
        go.set()
        return [first, second]

    ran = live.run(LONG[:6], {2: give})
    assert ran.story(1) == ["Submitted", "Canceled"]
    assert [row["quantity"] for row in live.book()] == [1]
    assert len(live.middle.calls()) == 1


def test_an_order_may_be_changed_while_it_is_on_its_way(live):
    go = threading.Event()
    live.middle.on("POST", held_until(go))

    def give(s):
        order = s.buy(size=3, exectype=LIMIT, price=90.0)
        on_its_way(s, live, "POST")
        assert s.broker.modify(order, size=4, price=99.0)
        go.set()
        return order

    ran = live.run([*LONG[:4], UP, *LONG[:2]], {2: give})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(4, 99.0)]
    assert [(row["quantity"], row["price"]) for row in live.book()] == [(4, 99.0)]


def test_a_cancel_that_raced_a_fill_ends_with_the_fill(live):
    def fills_first(middle, asked):
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=89.0)
        return middle.forward(asked)

    live.middle.on("DELETE", fills_first)
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: lambda s: s.cancel(s.given[0])}
    ran = live.run(LONG[:8], plan)
    assert ran.story() == DONE
    assert "cancel_failed" in ran.given[0].info
    assert [row["status"] for row in live.book()] == ["COMPLETE"]
    assert ran.position.size == live.held() == 3


def test_a_lost_answer_to_a_cancel_is_settled_by_the_book(live):
    live.middle.on("DELETE", done_but(None))
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: lambda s: s.cancel(s.given[0])}
    ran = live.run(LONG[:8], plan)
    assert ran.story()[-1] == "Canceled"
    assert len(live.middle.calls("DELETE")) == 1


def test_a_cancel_that_never_arrived_is_sent_again_until_it_does(live):
    live.middle.on("DELETE", lost(None), lost(None))
    plan = {
        2: buy(size=3, exectype=LIMIT, price=90.0),
        4: lambda s: [s.cancel(s.given[0]), s.broker.modify(s.given[0], price=95.0)] and None,
    }
    ran = live.run(LONG[:9], plan)
    assert ran.story()[-1] == "Canceled"
    assert "cancel_failed" in ran.given[0].info
    assert [(row["status"], row["price"]) for row in live.book()] == [("CANCELLED", 90.0)]
    assert len(live.middle.calls("DELETE")) == 3


def test_a_second_cancel_sends_nothing(live):
    plan = {2: buy(exectype=LIMIT, price=90.0), 4: lambda s: [s.cancel(s.given[0]), s.cancel(s.given[0])] and None}
    ran = live.run(LONG[:7], plan)
    assert ran.story().count("Canceled") == 1
    assert len(live.middle.calls("DELETE")) == 1
