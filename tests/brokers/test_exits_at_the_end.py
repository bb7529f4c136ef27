"""What a run that ends leaves at Kite of its exits: the stop, whichever it stood for. The exchange is the judge."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from btkite.runs import words
from tests.brokers.scene import CALM, Order
from tests.brokers.test_exits import BACK, HOLD, LONG, NEAR, NO, bracket, ends, exits, run
from tests.brokers.wire import TIMED_OUT, done_but, lost, passes

STOOD = [*LONG[:4], NEAR, HOLD, HOLD, CALM]
BEHIND = {
    "status": "error", "error_type": "InputException",
    "message": "Trigger price for stoploss sell orders should be lower than the last traded price.",
}  # fmt: skip


def stopped(live: Any, plan: Any = None, **more: Any) -> Any:
    """The target stands, and the run is ended."""
    return run(live, STOOD, {2: bracket(), 6: ends, **(plan or {})}, **more)


@pytest.mark.parametrize("hurried", [False, True], ids=["Ctrl-C", "SIGTERM"])
def test_the_stop_is_at_kite_when_the_run_is_gone(live, hurried):
    def end(s: Any) -> None:
        assert [row[:2] for row in exits(live)] == [("LIMIT", "OPEN")]
        if hurried:
            s.broker.store.hurry("SIGTERM")
        ends(s)

    ran = run(live, STOOD, {2: bracket(), 6: end})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
    assert live.book()[-1]["trigger_price"] == 98.0
    assert [asked.form["order_type"] for asked in live.middle.calls("PUT")] == ["LIMIT", "SL-M"]
    assert [order.alive() for order in ran.given[1:]] == [True, True]
    live.exchange.steer.put_price("NSE:TEST", 97.0)  # and nobody is there any more
    assert exits(live) == [("SL-M", "COMPLETE", 10, 10)]
    assert live.held() == 0


def test_what_is_left_open_says_which_of_them_is_not_at_kite(live):
    ran = stopped(live)
    stop, target, _ = words.left_open(ran.broker, ran.datas)
    assert f"Kite {live.book()[-1]['order_id']}" in stop
    assert "(Accepted, kept here, not at Kite)" in target


def test_it_is_so_too_when_the_strategy_fails(live):
    def fails(s: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stopped(live, {6: fails})
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]


@pytest.mark.parametrize("wire", [lost(TIMED_OUT), done_but(TIMED_OUT), lost(None), done_but(None)])
def test_a_change_whose_answer_is_lost_at_the_end_is_settled_before_the_desk_closes(live, wire):
    live.middle.on("PUT", passes, wire)
    stopped(live)
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]


def test_a_stop_that_kite_takes_no_more_goes_at_market_before_the_desk_closes(live):
    """Nobody had seen that the price is beyond it."""

    def falls(middle: Any, asked: Any) -> Any:
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=97.0)
        return 400, "application/json", BEHIND

    live.middle.on("PUT", passes, falls)
    stopped(live)
    assert exits(live) == [("MARKET", "OPEN", 10, 0)]
    live.exchange.steer.put_price("NSE:TEST", 97.0)  # the next print
    assert live.held() == 0


def test_an_order_that_was_changed_often_is_not_placed_anew_when_the_run_ends(live):
    """Twenty changes are behind it, and between a cancellation and a placement the process could be gone."""
    rows = [*LONG[:4], *[NEAR, BACK] * 9, NEAR, HOLD, HOLD, CALM]
    moved = lambda s: s.broker.modify(s.given[1], price=97.0) and None  # noqa: E731
    run(live, rows, {2: bracket(), 4: moved, 24: ends})
    assert len(live.middle.calls("PUT")) == 21
    assert live.middle.calls("DELETE") == []
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]


def test_where_only_a_target_is_left_it_stays(live):
    def only(s: Any) -> Any:
        entry = s.buy(size=10, transmit=False)
        return [entry, s.sell(size=10, exectype=2, price=103.0, parent=entry)]

    run(live, STOOD, {2: only, 6: ends})
    assert exits(live) == [("LIMIT", "OPEN", 10, 0)]
    assert live.middle.calls("PUT") == []


def test_where_the_market_is_at_its_end_nothing_is_changed_any_more(live):
    run(live, STOOD[:-1], {2: bracket()})
    assert exits(live) == [("LIMIT", "OPEN", 10, 0)]


def grows(live: Any, well: time, rows: Any, plan: Any) -> Any:
    """The target stands for 4 when at 09:21 the other 6 of its entry fill, and Kite refuses every change until it is
    ``well``: that of the size is asked for at once, and 2, 6, 14, 30 and 62 s later."""
    flat = (102.7,) * 4

    def sold(units: int) -> Any:
        return lambda s: live.exchange.steer.put_depth("NSE:TEST", sell=[(102.6, units)]) and None

    def rule(middle: Any, asked: Any) -> Any:
        return (passes if live.exchange.steer.now().time() >= well else lost(NO))(middle, asked)

    live.middle.on("PUT", *[rule] * 60)
    entered = bracket(exectype=Order.Limit, price=102.6)
    day = [*[flat] * 4, (102.7, 102.8, 102.7, 102.8), (102.8,) * 4, *rows]
    return run(live, day, {2: entered, 3: sold(4), 6: sold(6), **plan})


def test_what_kite_refused_a_while_ago_is_asked_again_when_the_run_ends(live):
    grows(live, time(9, 23), [*[(102.75,) * 4] * 2, CALM], {8: ends})
    assert len(live.middle.calls("PUT")) > 5
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]


def test_a_size_that_kite_refuses_keeps_no_stop_waiting(live):
    """The next try of it is a minute away, and the price falls through the stop."""
    seen: list[Any] = []
    rows = [(102.75,) * 4, (102.7, 102.7, 95.0, 95.0), *[(95.0 - n, 95.0 - n, 94.0 - n, 94.0 - n) for n in range(3)]]
    ran = grows(live, time(9, 22, 5), rows, {8: lambda s: seen.extend(row[0] for row in exits(live))})
    assert seen == ["MARKET"]
    assert ran.position.size == live.held() == 0
