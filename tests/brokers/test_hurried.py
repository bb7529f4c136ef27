"""The process is to end at once: what reduces still leaves, no entry does. The exchange is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.wire import Live


def given_and_ended(hurried: bool) -> Any:
    """An entry, an exit, a change, a cancel: all of one turn, the last of the run."""

    def step(s: Any) -> Any:
        entry = s.buy(size=2)
        s.keep(s.sell(size=5))
        s.broker.modify(s.given[1], price=91.0)
        s.cancel(s.given[2])
        assert len(s.broker.store.desk.waiting()) == 4  # they leave when the turn is over
        if hurried:
            s.broker.store.hurry("SIGTERM")
        s.env.runstop()
        return entry

    return step


def rests(price: float) -> Any:
    return lambda s: s.buy(size=3, exectype=Order.Limit, price=price)


@pytest.mark.parametrize("hurried", [False, True], ids=["calmly", "in a hurry"])
def test_what_waits_at_the_desk_when_the_run_ends(live: Live, hurried: bool) -> None:
    plan = {2: lambda s: s.buy(size=5), 3: rests(90.0), 4: rests(89.0), 5: given_and_ended(hurried)}
    live.run([CALM] * 8, plan)
    sent = [(asked.form["transaction_type"], asked.form["quantity"]) for asked in live.middle.calls("POST")]
    assert sorted(sent[3:]) == ([("SELL", "5")] if hurried else [("BUY", "2"), ("SELL", "5")])
    assert [asked.form["price"] for asked in live.middle.calls("PUT")] == ([] if hurried else ["91"])
    assert len(live.middle.calls("DELETE")) == 1
    assert {row["price"]: row["status"] for row in live.book() if row["order_type"] == "LIMIT"} == {
        90 if hurried else 91: "OPEN",
        89: "CANCELLED",
    }


def test_what_is_given_in_a_hurry_is_denied_if_it_opens_and_sent_if_it_reduces(live: Live) -> None:
    def late(s: Any) -> Any:
        s.broker.store.hurry("SIGTERM")
        entry = s.buy(size=2)
        s.keep(s.sell(size=4))
        s.env.runstop()
        return entry

    ran = live.run([CALM] * 8, {2: lambda s: s.buy(size=5), 4: late})
    sent = [(asked.form["transaction_type"], asked.form["quantity"]) for asked in live.middle.calls("POST")]
    assert sent == [("BUY", "5"), ("SELL", "4")]
    denied = next(order for order in ran.given if order.isbuy() and abs(order.size) == 2)
    assert "the run is ending (SIGTERM)" in str(denied.info.denied)


def test_the_change_of_an_exit_still_leaves(live: Live) -> None:
    def moved(s: Any) -> None:
        s.broker.modify(s.given[1], price=96.0)
        s.broker.store.hurry("SIGTERM")
        s.env.runstop()

    plan = {2: lambda s: s.buy(size=5), 3: lambda s: s.sell(size=5, exectype=Order.Stop, price=95.0), 5: moved}
    live.run([CALM] * 8, plan)
    assert [asked.form["trigger_price"] for asked in live.middle.calls("PUT")] == ["96"]
    assert [row["trigger_price"] for row in live.book()][1:] == [96]
