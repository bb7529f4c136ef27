"""KiteBroker over a day: changes, the close, money, pace, and what is not ours. The exchange's book is the judge."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.heard import available
from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from btkite.kite.inbox import Answer
from btkite.testing import bars as canned
from tests.brokers.scene import CALM, UP, Order, buy, play
from tests.brokers.wire import Told, done_but, lost, says

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 12
NOON = datetime(2026, 11, 18, 12, 0)

# ---- changes that fail ----


def test_a_change_that_kite_refuses_leaves_the_order_as_kite_has_it(live):
    no = (
        400,
        "application/json",
        {"status": "error", "error_type": "InputException", "message": "Order modifications exceeded"},
    )
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
    ran = live.run(
        HOURS + [LOW] * 2, {3: buy(exectype=LIMIT, price=97.0)}, interval="60minute", **{"broker.square_off": None}
    )
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert len(live.middle.calls("POST")) == 1


def test_of_an_oco_pair_that_ends_with_the_day_a_carried_one_goes_too(live):
    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=97.0, carry=True)
        return [first, s.buy(size=1, exectype=STOP, price=120.0, oco=first)]

    ran = live.run(HOURS + [LOW] * 2, {3: pair}, interval="60minute", **{"broker.square_off": None})
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


def test_a_foreign_order_is_told_and_may_be_left_alone(live):
    def by_hand(s):
        live.middle.control(
            "orders",
            exchange="NSE",
            tradingsymbol="TEST",
            transaction_type="BUY",
            quantity=9,
            order_type="MARKET",
            product="MIS",
            placed_by="web",
        )

    ran = live.run(LONG[:6], {2: by_hand, 3: buy(size=2)}, **{"broker.foreign": "ignore"})
    assert any("9 NSE:TEST (MIS) bought at 100 from outside" in news for news in ran.news)
    assert ran.position.size == 2
    assert live.held() == 11
    assert len(live.middle.calls()) == 1


# ---- money ----


def test_cash_is_never_more_than_kites_margins(live):
    seen = []
    ran = live.run(
        LONG[:8], {4: lambda s: seen.append(s.broker.getcash()), 5: buy(size=50)}, settings={"cash": 3_000.0}
    )
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
    assert [
        one["status"]
        for one in live.exchange.requests()
        if one["method"] == "POST" and one["path"].startswith("/orders")
    ] == [200] * 14


def test_a_change_does_not_overtake_a_placement_that_waits(live):
    def many(s):
        given = [s.buy(size=1, exectype=LIMIT, price=90.0) for _ in range(12)]
        assert s.broker.modify(given[-1], price=91.0)
        return given

    ran = live.run(LONG[:8], {2: many}, settings={"rate_limits": True})
    assert sorted(row["price"] for row in live.book()) == [90.0] * 11 + [91.0]
    assert "modify_failed" not in ran.given[-1].info


def test_every_placement_has_a_tag_of_its_own_that_kite_takes(live):
    plan = {
        n: buy(size=1, exectype=LIMIT, price=90.0, tag=label)
        for n, label in enumerate(["", "a-b_c", "éèßlabel", "x" * 30, "mom 1"], 2)
    }
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
    """Triggered by a jump beyond its limit: what is changed now is a limit without a trigger."""
    plan = {
        2: buy(size=1, exectype=Order.StopLimit, price=101.0, plimit=101.0),
        5: lambda s: s.broker.modify(s.given[0], plimit=99.0),
    }
    above = (102.5,) * 4
    ran = live.run([*[CALM] * 3, (102.5, 102.5, 102.5, 102.5), above, above, (102.5, 102.5, 98.0, 99.0), CALM], plan)
    (put,) = live.middle.calls("PUT")
    assert put.form["order_type"] == "LIMIT"
    assert "trigger_price" not in put.form
    assert ran.prices() == [99.0]


FALLS = [CALM, CALM, CALM, (100.0, 100.0, 95.0, 95.5), (95.5, 96.0, 95.5, 95.5)]
GAPS = [CALM, CALM, CALM, (94.0, 94.5, 94.0, 94.5), (95.0, 99.5, 95.0, 99.5), CALM]


def long_with_a_stop(at=98.0, **kwargs):
    return {1: buy(size=5, exectype=Order.Market), 2: lambda s: s.sell(size=5, exectype=STOP, price=at, **kwargs)}


def test_a_stop_may_go_to_kite_with_a_limit_that_protects_it(live):
    ran = live.run(FALLS, long_with_a_stop(), **{"broker.stop_as": "SL"})
    _, post = live.middle.calls("POST")
    assert [post.form[name] for name in ("order_type", "trigger_price", "price")] == ["SL", "98", "96.05"]
    assert "market_protection" not in post.form
    assert ran.prices(1) == [98.0]
    assert ran.story(1) == DONE
    assert ran.position.size == live.held() == 0


def test_a_stop_on_bse_always_has_a_limit(live):
    candles = {"BSE:TEST": canned.from_rows(FALLS, interval="minute")}
    ran = live.run(candles, long_with_a_stop())
    assert [row["order_type"] for row in live.book()] == ["MARKET", "SL"]
    assert ran.prices(1) == [98.0]


@pytest.mark.parametrize("exectype", [STOP, Order.StopTrail])
def test_a_stop_with_a_limit_is_changed_with_its_limit(live, exectype):
    trail = exectype == Order.StopTrail
    plan = {
        1: buy(size=5, exectype=Order.Market),
        2: lambda s: s.sell(size=5, exectype=exectype, **({"trailamount": 2.0} if trail else {"price": 98.0})),
        4: lambda s: None if trail else s.broker.modify(s.given[1], price=99.0),
    }
    rise = [CALM, CALM, CALM, (100.0, 101.0, 100.0, 101.0), (101.0, 101.0, 101.0, 101.0), (101.0, 101.0, 98.0, 98.0)]
    ran = live.run(rise, plan, **{"broker.stop_as": "SL"})
    (put,) = live.middle.calls("PUT")
    form = [put.form[name] for name in ("order_type", "trigger_price", "price", "quantity")]
    assert form == ["SL", "99", "97.05", "5"]
    assert ran.prices(1) == [99.0]
    assert ran.position.size == live.held() == 0


def test_where_the_price_jumps_over_a_stops_limit_it_rests_in_every_mode(live):
    """The stop at 98 may sell down to 96.05; the market opens at 94."""
    told = []
    keys = {"broker.stop_as": "SL"}
    for ran in (live.run(GAPS, long_with_a_stop(), **keys), play(GAPS, long_with_a_stop(), config=keys)):
        told.append((ran.prices(1), ran.times(1), ran.position.size))
    assert told[0] == told[1]
    assert told[0][0] == [96.05]


def test_a_triggered_stop_that_rests_is_changed_as_the_limit_that_it_is(live):
    plan = {**long_with_a_stop(), 5: lambda s: s.broker.modify(s.given[1], size=3)}
    above = [(94.0, 94.5, 94.0, 94.5)] * 3
    ran = live.run([*GAPS[:3], *above, *GAPS[4:]], plan, **{"broker.stop_as": "SL"})
    (put,) = live.middle.calls("PUT")
    assert (put.form["order_type"], put.form["price"], put.form["quantity"]) == ("LIMIT", "96.05", "3")
    assert "trigger_price" not in put.form
    assert ran.position.size == live.held() == 2


# ---- parts (the exchange of today fills whole: what Kite would say of them is put where its stream puts it) ----


def test_the_rest_of_a_carried_order_is_placed_and_changed_as_a_rest(live):
    """4 of 10 filled on the first day: 6 are placed, and a change to 12 asks for 8."""
    config = {"broker.foreign": "ignore", "broker.square_off": None}
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0, carry=True),
        3: lambda s: says(s, 4),
        8: lambda s: s.broker.modify(s.given[0], size=12, price=97.0),
    }
    ran = live.run([*HOURS, CALM, CALM, LOW, LOW], plan, interval="60minute", **config)
    assert [post.form["quantity"] for post in live.middle.calls("POST")] == ["10", "6"]
    assert [put.form["quantity"] for put in live.middle.calls("PUT")] == ["8"]
    assert [size for _, size, _, _ in ran.fills] == [4, 8]
    assert ran.story() == ["Submitted", "Accepted", "Partial", "Completed"]
    assert ran.position.size == 12


def test_exits_follow_what_the_entry_has_filled(live):
    plan = {
        2: lambda s: s.buy_bracket(size=10, price=90.0, stopprice=80.0, limitprice=110.0),
        3: lambda s: says(s, 4),
        5: lambda s: says(s, 10, "COMPLETE"),
    }
    live.run(LONG, plan)
    exits = [row for row in live.book() if row["transaction_type"] == "SELL"]
    assert [row["quantity"] for row in exits] == [10, 10]
    assert [post.form["quantity"] for post in live.middle.calls("POST")] == ["10", "4", "4"]
    assert sorted(put.form["quantity"] for put in live.middle.calls("PUT")) == ["10", "10"]


def test_what_one_exit_fills_the_other_is_reduced_by(live):
    plan = {
        2: lambda s: s.buy_bracket(size=10, exectype=Order.Market, stopprice=80.0, limitprice=110.0),
        4: lambda s: says(s, 3, order=s.given[2], average_price=110.0),
    }
    ran = live.run(LONG, plan)
    stop = next(row for row in live.book() if row["order_type"] == "SL-M")
    assert stop["quantity"] == 7
    assert ran.position.size == 7


@pytest.mark.parametrize("repeat", [1, 4])
def test_updates_that_are_repeated_late_or_unknown_change_nothing(live, repeat):
    def tell(s):
        for _ in range(repeat):
            says(s, 4, average_price=90.0)
            says(s, 2, average_price=90.0)  # old news
            says(s, 0, "MODIFY VALIDATION PENDING", average_price=0.0)
            says(s, 4, "SOMETHING NEW", average_price=90.0)

    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: tell,
        5: tell,
        8: lambda s: says(s, 10, "COMPLETE", average_price=90.0),
    }
    ran = live.run(LONG, plan)
    assert [size for _, size, _, _ in ran.fills] == [4, 6]
    assert ran.story() == ["Submitted", "Accepted", "Partial", "Completed"]


def test_a_fill_after_the_cancellation_counts_and_the_order_stays_over(live):
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: lambda s: s.cancel(s.given[0]),
        5: lambda s: says(s, 4, "CANCELLED", average_price=90.0),
    }
    ran = live.run(LONG[:8], plan)
    assert ran.story() == ["Submitted", "Accepted", "Canceled", "Partial", "Canceled"]
    assert ran.position.size == 4
    assert ran.broker.ledger.position("NSE:TEST").quantity == 4
    assert not ran.given[0].alive()


def test_a_complete_order_whose_price_is_still_to_come_is_not_over(live):
    alive = []
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: lambda s: says(s, 10, "COMPLETE", average_price=0.0),
        4: lambda s: alive.append(s.given[0].alive()) or says(s, 10, "COMPLETE", average_price=89.5),
    }
    ran = live.run(LONG[:7], plan)
    assert alive == [True]
    assert ran.story() == DONE
    assert ran.prices() == [89.5]


def test_a_second_order_under_our_tag_is_ours_and_the_one_too_many_goes(live):
    """A duplicate: another id with a tag that has its order already. It has filled all; the one that rests must go."""

    def twin(s):
        says(s, 10, "COMPLETE", order_id="999", average_price=90.0, tag=s.given[0].info.tag)

    ran = live.run(LONG[:7], {2: buy(size=10, exectype=LIMIT, price=90.0), 3: twin})
    assert any("999 is one too many" in news for news in ran.news)
    assert ran.position.size == 10
    assert ran.given[0].info.order_id != "999"
    assert [row["status"] for row in live.book()] == ["CANCELLED"]


def test_a_deadline_sends_one_cancel_and_ends_expired(live):
    plan = {2: buy(exectype=LIMIT, price=90.0, valid=timedelta(minutes=3))}
    ran = live.run(LONG, plan)
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert len(live.middle.calls("DELETE")) == 1
    assert [row["status"] for row in live.book()] == ["CANCELLED"]


def test_the_close_is_not_a_cancel(live):
    """An exchange that ends the day's orders is asked for nothing."""
    ran = live.run(
        [*HOURS, LOW],
        {3: lambda s: s.buy_bracket(size=1, exectype=Order.Market, stopprice=80.0, limitprice=120.0)},
        interval="60minute",
        **{"broker.square_off": None},
    )
    assert live.middle.calls("DELETE") == []
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Expired", "Expired"]


# ---- restarts ----


def test_what_was_booked_before_a_restart_is_not_booked_again(live, tmp_path):
    """4 of 10 had filled when the process ended; Kite says so again, then of 7, then of all."""

    def told(filled, status="OPEN"):
        return lambda s: says(s, filled, status, order=s.kept, average_price=90.0)

    class Restored(Told):
        def restored(self, orders, positions):
            (self.kept,) = orders

    first = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: lambda s: says(s, 4, average_price=90.0),
        5: lambda s: s.env.runstop(),
    }
    with Journal(tmp_path / "journal.sqlite", ManualClock(NOON)) as journal:
        before = live.run(LONG, first, record=Record(journal))
        assert before.position.size == 4
    then = {1: told(4), 2: told(7), 3: told(10, "COMPLETE")}
    with Journal(tmp_path / "journal.sqlite", ManualClock(NOON)) as journal:
        # The exchange itself has none of the four: whose they are is not asked here.
        after = live.run(None, then, record=Record(journal), strategy=Restored, **{"broker.foreign": "ignore"})
    assert (after.position.size, after.position.price) == (10, 90.0)
    assert after.broker.ledger.position("NSE:TEST").quantity == 10
    assert [size for _, size, _, _ in after.fills] == [4, 3, 3]  # the position that was adopted, and what came
    assert len(live.middle.calls("POST")) == 1


def test_other_news_between_an_answer_and_its_update_make_no_bar_come_early(live):
    """Each order of the plan ends by itself at a bar's end; what else comes in meanwhile changes nothing."""
    plan = {n: buy(exectype=LIMIT, price=50.0, valid=timedelta(minutes=1)) for n in range(1, 60, 2)}

    def told(ran):
        return [(status, bar) for _, status, bar in ran.told]

    quiet = live.run([CALM] * 62, plan)
    over = threading.Event()

    def busy(store):
        def talk():
            while not over.wait(0.0003):
                store.inbox.put(Answer("margins", None, {}))

        threading.Thread(target=talk, daemon=True).start()

    try:
        loud = live.run([CALM] * 62, plan, prepare=busy)
    finally:
        over.set()
    assert [status for status, _ in told(quiet)].count("Expired") == 30
    assert told(loud) == told(quiet)
