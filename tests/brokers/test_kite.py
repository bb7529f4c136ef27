"""KiteBroker: never twice, never lost. The exchange's book is the judge, the wire between fails as told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from btkite.brokers.kite import available
from tests.brokers.scene import CALM, UP, Order, buy, sell
from tests.brokers.wire import (
    BAD_GATEWAY,
    TIMED_OUT,
    TOO_MANY,
    done_but,
    filled_before,
    held_until,
    kept,
    lost,
    passes,
    release,
)

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 12

# ---- a lost answer ----


@pytest.mark.parametrize(
    "answer", [None, TIMED_OUT, BAD_GATEWAY, (200, "application/json", "{"), (504, "application/json", "")],
    ids=["cut", "400 timed out", "502 page", "half a reply", "504"],
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
    live.middle.on("GET", *[passes] * 9, *[lost(BAD_GATEWAY)] * 4)
    ran = live.run(LONG, {2: buy(size=3)})
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
        ((400, "application/json", {"status": "error", "error_type": "InputException", "message": "RMS: blocked"}), "Rejected"),
        ((400, "application/json", {"status": "error", "error_type": "MarginException", "message": "Too little"}), "Margin"),
        ((400, "application/json", {"status": "error", "error_type": "OrderException", "message": "Insufficient funds. Required 5."}), "Margin"),
        ((403, "application/json", {"status": "error", "error_type": "PermissionException", "message": "No permission"}), "Rejected"),
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
    ran = live.run(LONG[:5], {2: buy(size=5)}, settings={"check_margin": True, "cash": 100.0}, **{"broker.capital": 1e6})
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
        live.middle.wait_for("POST", 1)
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
        live.middle.wait_for("POST", 1)
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
        live.middle.wait_for("POST", 1)
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


def test_a_cancel_that_never_arrived_leaves_a_living_order_that_may_be_cancelled_again(live):
    live.middle.on("DELETE", lost(None))
    again = []
    plan = {
        2: buy(size=3, exectype=LIMIT, price=90.0),
        4: lambda s: s.cancel(s.given[0]),
        6: lambda s: again.append((s.given[0].alive(), s.broker.cancel(s.given[0]))),
    }
    ran = live.run(LONG[:9], plan)
    assert again == [(True, True)]
    assert ran.story()[-1] == "Canceled"
    assert [row["status"] for row in live.book()] == ["CANCELLED"]


def test_a_second_cancel_sends_nothing(live):
    plan = {2: buy(exectype=LIMIT, price=90.0), 4: lambda s: [s.cancel(s.given[0]), s.cancel(s.given[0])] and None}
    ran = live.run(LONG[:7], plan)
    assert ran.story().count("Canceled") == 1
    assert len(live.middle.calls("DELETE")) == 1


# ---- changes that fail ----


def test_a_change_that_kite_refuses_leaves_the_order_as_kite_has_it(live):
    no = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Order modifications exceeded"})
    live.middle.on("PUT", lost(no))
    sizes = []
    plan = {
        2: buy(size=3, exectype=LIMIT, price=99.0),
        3: lambda s: s.broker.modify(s.given[0], size=7, price=90.0),
        5: lambda s: sizes.append((s.given[0].size, s.given[0].created.price, s.given[0].executed.remsize)),
    }
    ran = live.run([*LONG[:6], UP, *LONG[:2]], plan)
    assert sizes == [(3, 99.0, 3)]
    assert "Order modifications exceeded" in ran.given[0].info.modify_failed
    assert ran.story() == DONE
    assert [(size, price) for _, size, price, _ in ran.fills] == [(3, 99.0)]
    assert [(row["status"], row["quantity"], row["price"]) for row in live.book()] == [("COMPLETE", 3, 99.0)]


@pytest.mark.parametrize("exectype", [STOP, Order.StopLimit])
def test_a_refused_change_of_a_stop_restores_its_trigger(live, exectype):
    no = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "no"})
    live.middle.on("PUT", lost(no))
    prices = []
    plan = {
        2: buy(exectype=exectype, price=104.0, plimit=104.5),
        3: lambda s: s.broker.modify(s.given[0], price=105.0, plimit=105.5),
        5: lambda s: prices.append((s.given[0].created.price, s.given[0].created.pricelimit)),
    }
    live.run(LONG[:7], plan)
    assert prices[0][0] == 104.0
    if exectype == Order.StopLimit:
        assert prices[0][1] == 104.5


def test_a_change_whose_answer_was_lost_is_settled_by_the_book(live):
    live.middle.on("PUT", done_but(None))
    sizes = []
    plan = {
        2: buy(size=3, exectype=LIMIT, price=90.0),
        3: lambda s: s.broker.modify(s.given[0], size=7, price=99.0),
        5: lambda s: sizes.append((s.given[0].size, s.given[0].created.price)),
    }
    ran = live.run([*LONG[:6], UP, *LONG[:2]], plan)
    assert sizes == [(7, 99.0)]
    assert [(size, price) for _, size, price, _ in ran.fills] == [(7, 99.0)]
    assert len(live.middle.calls("PUT")) == 1


def test_an_order_that_filled_before_its_change_arrived_is_complete(live):
    def fills_first(middle, asked):
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=89.0)
        return middle.forward(asked)

    live.middle.on("PUT", fills_first)
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: lambda s: s.broker.modify(s.given[0], size=8)}
    ran = live.run(LONG[:8], plan)
    assert ran.story() == DONE
    assert (ran.given[0].size, ran.position.size, live.held()) == (3, 3, 3)
    assert ran.broker.ledger.committed() == 0.0


def test_an_order_that_filled_before_it_could_be_made_smaller_is_booked_whole(live):
    def fills_first(middle, asked):
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=89.0)
        return middle.forward(asked)

    live.middle.on("PUT", fills_first)
    plan = {2: buy(size=8, exectype=LIMIT, price=90.0), 4: lambda s: s.broker.modify(s.given[0], size=3)}
    ran = live.run(LONG[:8], plan)
    assert ran.story() == DONE
    assert (ran.given[0].size, ran.position.size, live.held()) == (8, 8, 8)


def test_more_changes_than_kite_allows_place_the_order_anew(live):
    """After 20 it is cancelled, which Kite tells twice, and goes on under another id and tag."""
    plan: dict[int, Any] = {2: buy(size=3, exectype=LIMIT, price=90.0)}
    for bar in range(3, 26):
        plan[bar] = lambda s: s.broker.modify(s.given[0], price=round(s.given[0].created.price + 0.05, 2))
    ran = live.run([*[CALM] * 28, UP, CALM], {**plan, 27: lambda s: s.broker.modify(s.given[0], price=99.0)})
    assert ran.story() == DONE
    book = live.book()
    assert [row["status"] for row in book] == ["CANCELLED", "COMPLETE"]
    assert len({row["tag"] for row in book}) == 2
    assert ran.given[0].info.order_id == book[1]["order_id"]
    assert ran.position.size == live.held() == 3
    assert ran.prices() == [99.0]


# ---- the day's end ----

HOURS = [CALM] * 7
LOW = (95.0, 96.0, 94.0, 94.5)


def test_a_carried_order_is_placed_anew_in_the_morning(live):
    plan = {3: buy(size=2, exectype=LIMIT, price=97.0, carry=True)}
    ran = live.run(HOURS + [LOW] * 2, plan, interval="60minute")
    assert ran.story() == DONE
    assert ran.prices() == [95.0]
    posts = live.middle.calls("POST")
    assert len(posts) == 2
    assert len({post.form["tag"] for post in posts}) == 2


def test_an_order_without_deadline_expires_with_the_day(live):
    ran = live.run(HOURS + [LOW] * 2, {3: buy(exectype=LIMIT, price=97.0)}, interval="60minute")
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert len(live.middle.calls("POST")) == 1


def test_of_an_oco_pair_that_ends_with_the_day_a_carried_one_goes_too(live):
    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=97.0, carry=True)
        return [first, s.buy(size=1, exectype=STOP, price=120.0, oco=first)]

    ran = live.run(HOURS + [LOW] * 2, {3: pair}, interval="60minute")
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Canceled", "Expired"]
    assert len(live.middle.calls("POST")) == 2
    assert ran.fills == []


def test_an_after_market_order_is_accepted_at_night_and_trades_at_the_open(live):
    ran = live.run(HOURS + [LOW] * 2, {7: buy(after_hours="amo")}, interval="60minute")
    assert ran.story() == DONE
    assert ran.prices() == [95.0]
    (post,) = live.middle.calls("POST")
    assert post.path.startswith("/orders/amo")


def test_an_after_market_order_may_be_cancelled_at_night(live):
    def react(s, order):
        if order.status == Order.Accepted:
            s.cancel(order)

    ran = live.run(HOURS + [LOW] * 2, {7: buy(after_hours="amo")}, react=react, interval="60minute")
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]
    (cancel,) = live.middle.calls("DELETE")
    assert cancel.path.startswith("/orders/amo")


# ---- what is not ours ----


def test_a_foreign_order_is_told_and_left_alone(live):
    def by_hand(s):
        live.middle.control(
            "orders", exchange="NSE", tradingsymbol="TEST", transaction_type="BUY", quantity=9, order_type="MARKET", product="MIS",
            placed_by="web",
        )

    ran = live.run(LONG[:6], {2: by_hand, 3: buy(size=2)})
    assert any(news.startswith("foreign order") for news in ran.news)
    assert ran.position.size == 2
    assert live.held() == 11
    assert len(live.middle.calls()) == 1


# ---- money ----


def test_cash_is_never_more_than_kites_margins(live):
    seen = []
    ran = live.run(LONG[:8], {4: lambda s: seen.append(s.broker.getcash()), 5: buy(size=50)}, settings={"cash": 3_000.0})
    assert seen == [3_000.0]
    assert ran.story() == ["Margin"]
    assert live.middle.calls() == []


def test_margins_are_asked_once_a_minute_and_kept(live):
    live.run(LONG, {n: lambda s: [s.broker.getcash() for _ in range(50)] and None for n in range(1, 12)})
    asked = [one for one in live.middle.asked if one.path.startswith("/user/margins")]
    assert 10 <= len(asked) <= 30  # a quarter of an hour before the open, and twelve minutes


@pytest.mark.parametrize(
    ("segments", "expected"),
    [({"equity"}, 700.0), ({"commodity"}, 50.0), ({"equity", "commodity"}, 750.0), (set(), None)],
)
def test_what_is_available_is_that_of_the_segments_in_use(segments, expected):
    def purse(amount: float) -> dict[str, Any]:
        return {"enabled": True, "net": amount, "available": {"live_balance": amount, "cash": 9e9}}

    assert available({"equity": purse(700.0), "commodity": purse(50.0)}, segments) == expected


def test_a_segment_that_is_switched_off_has_no_money_to_speak_of():
    assert available({"equity": {"enabled": False, "available": {"live_balance": 5.0}}}, {"equity"}) is None
    assert available({"equity": None}, {"equity"}) is None
    assert available({}, {"equity"}) is None


# ---- threads and pace ----


def test_no_call_waits_on_cerebros_thread(live, monkeypatch):
    """Every request's thread is noted where the standard library sends it."""
    import http.client

    sent: list[tuple[str, str]] = []
    putrequest = http.client.HTTPConnection.putrequest

    def noted(self, method, url, *args, **kwargs):
        sent.append((threading.current_thread().name, url))
        return putrequest(self, method, url, *args, **kwargs)

    began: list[int] = []
    monkeypatch.setattr(http.client.HTTPConnection, "putrequest", noted)
    plan = {
        1: lambda s: began.append(len(sent)),
        2: lambda s: s.buy_bracket(size=2, price=99.0, stopprice=95.0, limitprice=102.0),
        3: lambda s: s.broker.modify(s.given[0], price=99.5) and None,
        4: lambda s: [s.broker.getcash(), s.broker.getvalue(), s.broker.get_orders_open()] and None,
        6: lambda s: s.buy(size=1, exectype=LIMIT, price=80.0),
        7: lambda s: s.cancel(s.given[-1]),
    }
    live.run([*LONG[:5], UP, *LONG[:4]], plan)
    mine = threading.current_thread().name
    during = [(name, url) for name, url in sent[began[0] :] if not url.startswith("/_exchange")]
    orders = {name for name, url in during if url.startswith("/orders/")}
    assert orders == {"kite-desk"} or all(name != mine for name in orders)
    assert any(name == "kite-desk" for name, _ in during)
    assert [url for name, url in during if name == mine] == []


def test_more_orders_than_kite_takes_in_a_second_are_paced_and_all_arrive(live):
    plan = {2: lambda s: [s.buy(size=1, exectype=LIMIT, price=90.0 + n) for n in range(14)]}
    ran = live.run(LONG[:8], plan, settings={"rate_limits": True})
    assert [ran.story(n)[:2] for n in range(14)] == [["Submitted", "Accepted"]] * 14
    assert sorted(row["price"] for row in live.book()) == [90.0 + n for n in range(14)]
    assert [one["status"] for one in live.exchange.requests() if one["method"] == "POST" and one["path"].startswith("/orders")] == [200] * 14


def test_a_change_does_not_overtake_a_placement_that_waits(live):
    def many(s):
        given = [s.buy(size=1, exectype=LIMIT, price=90.0) for _ in range(12)]
        assert s.broker.modify(given[-1], price=91.0)
        return given

    ran = live.run(LONG[:8], {2: many}, settings={"rate_limits": True})
    assert sorted(row["price"] for row in live.book()) == [90.0] * 11 + [91.0]
    assert "modify_failed" not in ran.given[-1].info


def test_every_placement_has_a_tag_of_its_own_that_kite_takes(live):
    plan = {n: buy(size=1, exectype=LIMIT, price=90.0, tag=label) for n, label in enumerate(["", "a-b_c", "éèßlabel", "x" * 30, "mom 1"], 2)}
    live.run(LONG, plan)
    tags = [row["tag"] for row in live.book()]
    assert len(set(tags)) == len(tags) == 5
    assert all(tag.isascii() and tag.isalnum() and len(tag) <= 20 for tag in tags)
    assert [tag[:-14] for tag in tags] == ["", "abc", "label", "xxxxxx", "mom1"]


def test_two_runs_never_share_a_tag(live):
    tags = []
    for _ in range(2):
        live.run(LONG[:4], {2: buy()})
        tags += [row["tag"] for row in live.book()]
    assert len(set(tags)) == 2


# ---- Kite's own fields ----


def test_a_stop_that_has_become_a_limit_is_changed_as_a_limit(live):
    """Triggered at 101, resting at 100: what is changed now is a limit without a trigger."""
    plan = {2: buy(size=1, exectype=Order.StopLimit, price=102.0, plimit=101.0), 5: lambda s: s.broker.modify(s.given[0], plimit=99.0)}
    above = (102.5,) * 4
    ran = live.run([*[CALM] * 3, (100.0, 102.5, 100.0, 102.5), above, above, (102.5, 102.5, 98.0, 99.0), CALM], plan)
    (put,) = live.middle.calls("PUT")
    assert put.form["order_type"] == "LIMIT"
    assert "trigger_price" not in put.form
    assert ran.prices() == [99.0]
