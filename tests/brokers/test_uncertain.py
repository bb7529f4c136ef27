"""Uncertain orders: what waits for them, what is sent anew, and what becomes of one too many.

The exchange's book is the judge."""

from __future__ import annotations

import pytest

from tests.brokers.scene import CALM, Order, buy, sell
from tests.brokers.wire import TIMED_OUT, kept, lost, passes, release, says

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 14


def sides(live):
    return [(row["transaction_type"], row["quantity"], row["status"]) for row in live.book()]


# ---- while it is in doubt ----


def test_while_an_entry_is_uncertain_its_symbol_takes_no_other(live):
    live.middle.on("POST", lost(TIMED_OUT))
    ran = live.run(LONG, {2: buy(size=3), 3: buy(size=1), 6: buy(size=1)})
    assert ran.story(1) == ["Rejected"]
    assert ran.given[1].info.denied_by == "uncertain"
    assert "there is no new entry in NSE:TEST" in ran.given[1].info.denied
    assert ran.story(2) == DONE  # the doubt is over
    assert sides(live) == [("BUY", 1, "COMPLETE")]


def test_an_exit_passes_while_an_entry_is_uncertain(live):
    live.middle.on("POST", passes, lost(None))
    ran = live.run(LONG, {2: buy(size=3), 4: buy(size=2, exectype=LIMIT, price=90.0), 5: sell(size=3)})
    assert ran.story(2) == DONE
    assert live.held() == 0


def test_no_second_exit_while_one_is_uncertain(live):
    live.middle.on("POST", passes, kept)
    ran = live.run(LONG, {2: buy(size=4), 4: sell(size=2), 5: sell(size=2)})
    assert ran.story(2) == ["Rejected"]
    assert "no second exit in NSE:TEST" in ran.given[2].info.denied
    assert live.held() == ran.position.size == 2


def test_another_symbol_is_not_concerned(live):
    from btkite.testing import bars as canned

    rows = {key: canned.from_rows(LONG, symbol=key, interval="minute") for key in ("NSE:TEST", "NSE:OTHER")}
    live.middle.on("POST", lost(None))
    ran = live.run(rows, {2: lambda s: s.buy(data=s.datas[0]), 3: lambda s: s.buy(data=s.datas[1])})
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Rejected", "Completed"]


# ---- the end of the window ----


@pytest.mark.parametrize("answer", [None, TIMED_OUT], ids=["cut", "400 timed out"])
def test_an_exit_that_never_arrived_is_sent_anew_under_the_same_tag(live, answer):
    live.middle.on("POST", passes, lost(answer))
    ran = live.run(LONG, {2: buy(size=5), 4: sell(size=5)})
    tags = [post.form["tag"] for post in live.middle.calls("POST")]
    assert len(tags) == 3
    assert tags[1] == tags[2] != tags[0]
    assert sides(live) == [("BUY", 5, "COMPLETE"), ("SELL", 5, "COMPLETE")]
    assert ran.story(1) == DONE
    assert (ran.position.size, live.held()) == (0, 0)
    assert any("is sent anew, for 5" in news for news in ran.news)
    asked = [one.path.split("?")[0] for one in live.middle.asked]
    last_post = max(n for n, one in enumerate(live.middle.asked) if one.method == "POST")
    assert {"/portfolio/positions", "/orders"} <= set(asked[last_post - 4 : last_post])  # the last look


@pytest.mark.parametrize("policy", ["adopt", "ignore", "halt"])
def test_an_exit_whose_position_is_gone_is_not_sent_anew(live, policy):
    """Somebody has closed it by hand while the answer was missing."""
    live.middle.on("POST", passes, lost(None))
    plan = {2: buy(size=5), 4: sell(size=5), 5: lambda s: live.exchange.steer.place("NSE:TEST", "SELL", 5)}
    ran = live.run(LONG, plan, **{"broker.foreign": policy})
    assert ran.story(1)[-1] == "Rejected"
    assert ran.given[1].info.reason.startswith("unresolved: Kite knows no order of this tag")
    assert len(live.middle.calls("POST")) == 2
    assert live.held() == 0


def test_an_exit_that_was_to_be_cancelled_in_its_doubt_is_not_sent_anew(live):
    live.middle.on("POST", passes, lost(None))
    plan = {2: buy(size=5), 4: sell(size=5, exectype=LIMIT, price=110.0), 5: lambda s: s.cancel(s.given[1])}
    ran = live.run(LONG, plan)
    assert ran.story(1)[-1] in ("Canceled", "Rejected")
    assert len(live.middle.calls("POST")) == 2


# ---- one tag, two orders ----


def test_if_both_exits_trade_the_surplus_is_traded_back(live):
    live.middle.on("POST", passes, kept)
    ran = live.run(LONG, {2: buy(size=5), 4: sell(size=5), 9: lambda s: release(live.middle)})
    assert sides(live) == [("BUY", 5, "COMPLETE"), *[("SELL", 5, "COMPLETE")] * 2, ("BUY", 5, "COMPLETE")]
    assert (ran.position.size, live.held()) == (0, 0)
    assert ran.broker.ledger.position("NSE:TEST").quantity == 0
    assert any("is at Kite twice" in news for news in ran.news)


def test_the_surplus_is_traded_back_once_however_often_kite_tells_of_it(live):
    live.middle.on("POST", passes, kept)

    def again(s):
        says(s, 5, "COMPLETE", order=s.given[1])

    plan = {2: buy(size=5), 4: sell(size=5), 9: lambda s: release(live.middle), 10: again, 11: again}
    ran = live.run(LONG, plan)
    assert sides(live) == [("BUY", 5, "COMPLETE"), *[("SELL", 5, "COMPLETE")] * 2, ("BUY", 5, "COMPLETE")]
    assert (ran.position.size, live.held()) == (0, 0)


def test_if_both_exits_rest_one_is_cancelled(live):
    live.middle.on("POST", passes, kept)
    plan = {2: buy(size=5), 4: sell(size=5, exectype=LIMIT, price=110.0), 9: lambda s: release(live.middle)}
    ran = live.run(LONG, plan)
    assert sorted(row["status"] for row in live.book() if row["transaction_type"] == "SELL") == ["CANCELLED", "OPEN"]
    assert ran.given[1].alive()
    assert len(live.middle.calls("DELETE")) == 2  # the first came too early; what is over is not cancelled once more


def test_what_the_surplus_fills_ends_the_one_that_rests(live):
    """The late one is a limit below the market: it trades when it arrives, and the other must go."""
    live.middle.on("POST", passes, kept)

    def late(s):
        live.middle.kept[0].body = live.middle.kept[0].body.replace(b"price=110", b"price=099")
        release(live.middle)

    ran = live.run(LONG, {2: buy(size=5), 4: sell(size=5, exectype=LIMIT, price=110.0), 9: late})
    sold = [row for row in live.book() if row["transaction_type"] == "SELL"]
    assert sorted((row["status"], row["filled_quantity"]) for row in sold) == [("CANCELLED", 0), ("COMPLETE", 5)]
    assert (ran.position.size, live.held()) == (0, 0)


@pytest.mark.parametrize("buys", [True, False], ids=["long", "short"])
def test_what_both_placements_of_a_brackets_exit_have_traded_is_traded_back_once(live, buys):
    """Its group sees that it was exited twice over; nobody else does it again."""
    live.middle.on("POST", passes, passes, kept)
    stop, target = (99.0, 110.0) if buys else (101.0, 90.0)

    def enter(s):
        give = s.buy_bracket if buys else s.sell_bracket
        return give(size=5, exectype=Order.Market, limitprice=target, stopprice=stop)

    rows = [CALM] * 6 + [(target,) * 4] * 8
    ran = live.run(rows, {2: enter, 10: lambda s: release(live.middle)}, **{"groups.exits": "two"})
    assert (ran.position.size, live.held()) == (0, 0)
    assert ran.broker.ledger.position("NSE:TEST").quantity == 0
    ours = [row for row in live.book() if row["transaction_type"] == ("BUY" if buys else "SELL")]
    assert [row["filled_quantity"] for row in ours] == [5, 5]


@pytest.mark.parametrize("give", [buy(size=5, exectype=LIMIT, price=90.0), sell(size=5, exectype=LIMIT, price=110.0)])
def test_an_entry_that_was_given_up_and_surfaces_is_cancelled(live, give):
    """The strategy was told that it is no more."""
    live.middle.on("POST", kept)
    ran = live.run([CALM] * 20, {2: give, 8: lambda s: release(live.middle)})
    assert [(row["status"], row["filled_quantity"]) for row in live.book()] == [("CANCELLED", 0)]
    assert "Rejected" in ran.story()
    assert ran.position.size == live.held() == 0
    assert any("was given up and has surfaced" in news for news in ran.news)


@pytest.mark.parametrize("give", [buy(size=5), sell(size=5)])
def test_what_an_entry_that_was_given_up_has_filled_is_ours(live, give):
    live.middle.on("POST", kept)
    ran = live.run([CALM] * 20, {2: give, 8: lambda s: release(live.middle)})
    assert abs(ran.position.size) == abs(live.held()) == 5
    assert ran.story()[-1] == "Completed"
    assert ran.broker.ledger.position("NSE:TEST").quantity == live.held()


def test_an_entry_that_surfaces_counts_in_the_risk_ledger_while_it_lives(live):
    live.middle.on("POST", kept)
    found = []

    def surface(s):
        release(live.middle)
        broker = s.broker
        found.append(broker.ledger.worst_case("NSE:TEST"))
        for update in broker.store.client.orders():
            broker.take_update(update)
        found.append(broker.ledger.worst_case("NSE:TEST"))

    ran = live.run([CALM] * 20, {2: buy(size=5, exectype=LIMIT, price=90.0), 8: surface})
    assert found == [(0, 0), (5, 0)]
    assert ran.broker.ledger.worst_case("NSE:TEST") == (0, 0)
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
