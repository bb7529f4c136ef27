"""Whoever wants an order's end goes on wanting it: over the close, a restart, a doubt. The exchange's book judges."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, Order, buy
from tests.brokers.test_exits import run
from tests.brokers.test_exits_cut_off import Died, Mortal
from tests.brokers.test_exits_passed import KINDS, bracket
from tests.brokers.test_kite_day import HOURS, LOW
from tests.brokers.test_truth import Restored, end, life
from tests.brokers.wire import TIMED_OUT, lost, on_its_way, passes, says

LIMIT = Order.Limit
BEHIND = "Trigger price for stoploss sell orders should be below the last traded price (LTP)."
carried = buy(size=2, exectype=LIMIT, price=97.0, carry=True)


def test_a_carried_order_whose_replacement_the_close_has_overtaken_is_carried_and_not_canceled(live: Any) -> None:
    live.middle.on("DELETE", *[lost(None)] * 40)

    def moves(s: Any) -> None:
        for _ in range(21):
            assert s.broker.modify(s.given[0], price=round(s.given[0].created.price - 0.05, 2))

    ran = live.run(HOURS + [LOW] * 2, {3: carried, 6: moves}, interval="60minute")
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert [row["status"] for row in live.book()] == ["COMPLETE"]
    assert live.held() == 2


@pytest.mark.parametrize("late", [False, True], ids=["before the close", "after it"])
def test_a_carried_order_that_was_cancelled_and_whose_cancel_never_left_is_not_placed_in_the_morning(
    live: Any, tmp_path: Any, late: bool
) -> None:
    clock = ManualClock(datetime(2026, 11, 18, 12, 0))

    def cancels(s: Any) -> None:
        if late:
            s.broker._now += 20 * 60  # the market has closed, and Kite has not yet said what became of the order
        s.cancel(s.given[0])

    plan = {3: carried, 6: cancels}
    with Journal(tmp_path / "journal.sqlite", clock) as journal, pytest.raises(Died):
        live.run(HOURS + HOURS, plan, record=Mortal(journal, kind="cancel"), interval="60minute")
    assert live.middle.calls("DELETE") == []
    live.exchange.steer.next_day()
    sent = len(live.middle.calls("POST"))
    after = life(live, tmp_path, None, {}, strategy=Restored, interval="60minute")
    assert after.kept[0].getstatusname() == "Canceled"
    assert len(live.middle.calls("POST")) == sent
    assert live.book() == []


def test_an_exit_in_doubt_that_was_cancelled_is_not_sent_anew_after_a_restart(live: Any, tmp_path: Any) -> None:
    """Nobody has ever seen it at Kite; the shares are held."""
    live.middle.on("POST", passes, lost(TIMED_OUT))

    def leave(s: Any) -> Any:
        order = s.sell(size=3)
        on_its_way(s, live, "POST")
        live.middle.wait_for("POST", 2)
        s.cancel(order)
        end(s)
        return order

    rows = [CALM] * 14
    life(live, tmp_path, rows, {2: buy(size=3), 4: leave})
    live.exchange.steer.play_until(live.exchange.steer.now() + timedelta(minutes=3))
    after = life(live, tmp_path, None, {}, strategy=Restored)
    assert after.position.size == live.held() == 3
    assert len(live.middle.calls("POST")) == 2
    assert [order.alive() for order in after.kept] == [False]


def test_a_stop_that_kite_refuses_while_it_is_being_cancelled_is_not_placed_as_a_market_order(live: Any) -> None:
    live.middle.on("DELETE", *[lost(None)] * 40)
    plan = {
        4: lambda s: [s.cancel(exit) for exit in s.given[1:]] and None,
        5: lambda s: says(s, 0, "REJECTED", order=s.given[1], order_type="SL-M", status_message=BEHIND),
    }
    ran = run(live, [CALM] * 10, {**bracket(KINDS["stop"], True), **plan})
    assert {ran.story(1)[-1], ran.story(2)[-1]} <= {"Rejected", "Canceled"}
    assert live.held() == 10
    assert len(live.middle.calls("POST")) == 2
