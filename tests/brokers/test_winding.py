"""Winding down while an order is uncertain. The exchange's book is the judge."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.winding import Winding
from btkite.testing import bars as canned
from tests.brokers.scene import CALM, Order, buy
from tests.brokers.wire import Live, kept, lost, passes, release

KEYS = ("NSE:TEST", "NSE:OTHER")
START = 5
BAR = timedelta(seconds=61)
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})


def flattens(first: dict[int, Any]) -> dict[int, Any]:
    """The plan of a run that winds down at bar 5, and looks again at each bar after it, as a run does at each turn."""

    def wind(s: Any) -> None:
        if not hasattr(s, "winding"):
            s.winding, s.done = Winding(s.broker), []
        s.done.append(s.winding.turn(flatten=True))

    return {**first, **dict.fromkeys(range(START, 14), wind)}


def both(s: Any) -> list[Any]:
    return [s.buy(data=data, size=3) for data in s.datas]


def sold(live: Live, symbol: str) -> list[datetime]:
    return [
        datetime.fromisoformat(row["order_timestamp"])
        for row in live.book()
        if (row["tradingsymbol"], row["transaction_type"], row["status"]) == (symbol, "SELL", "COMPLETE")
    ]


def two(live: Live, plan: dict[int, Any]) -> Any:
    return live.run({key: canned.from_rows([CALM] * 14, symbol=key, interval="minute") for key in KEYS}, plan)


@pytest.mark.parametrize("number", [0, 1])
def test_an_uncertain_exit_holds_its_own_symbol_for_the_window_and_no_other(live: Live, number: int) -> None:
    live.middle.on("POST", passes, passes, lost(None))  # the exit never arrives, and nobody knows

    def leaves(s: Any) -> Any:
        return s.sell(data=s.datas[number], size=3, exectype=Order.Stop, price=90.0)

    ran = two(live, flattens({2: both, 4: leaves}))
    began = ran.steps[START - 1]
    ((mine,), (other,)) = (sold(live, KEYS[place].partition(":")[2]) for place in (number, 1 - number))
    assert (other - began).total_seconds() < 5
    assert 30 <= (mine - began).total_seconds() <= 90 + 60  # the window, to the next bar's look
    assert live.held() == 0
    assert ran.done[0] is False
    assert ran.done[-1] is True


def test_an_uncertain_entry_holds_nothing_and_what_it_fills_later_is_closed_too(live: Live) -> None:
    live.middle.on("POST", passes, kept)

    def arrives(s: Any) -> None:
        release(live.middle)
        s.winding.turn(flatten=True)

    plan = flattens({2: buy(size=3), 4: buy(size=2)})
    ran = live.run([CALM] * 14, {**plan, 6: arrives})
    began = ran.steps[START - 1]
    times = sold(live, "TEST")
    assert (times[0] - began).total_seconds() < 5
    assert sum(row["quantity"] for row in live.book() if row["transaction_type"] == "SELL") == 5
    assert live.held() == 0
    assert ran.done[-1] is True


def test_it_says_for_what_it_waits(live: Live) -> None:
    heard: list[str] = []

    def exits(s: Any) -> Any:
        s.broker.on_alert = lambda level, sentence, key: heard.append(sentence)
        return s.sell(size=3)

    live.middle.on("POST", passes, lost(None))
    live.run([CALM] * 14, flattens({2: buy(size=3), 4: exits}))
    assert live.held() == 0
    (said,) = [one for one in heard if "is closed when it is known" in one]
    assert "NSE:TEST is closed when it is known whether Kite has order" in said


@pytest.mark.parametrize("long", [True, False])
def test_what_protects_an_entry_whose_fill_is_not_known_yet_stays(live: Live, long: bool) -> None:
    """The entry trades, and nobody says so until its cancellation is refused: then its stop reduces."""

    def enters(s: Any) -> Any:
        live.exchange.steer.arm("order_update_lost", channel="both", times=None)
        live.exchange.steer.arm("stale_orders", path="/orders", seconds=90, until=live.exchange.steer.now() + BAR)
        enter, leave = (s.buy, s.sell) if long else (s.sell, s.buy)
        return [enter(size=3), leave(size=3, exectype=Order.Stop, price=90.0 if long else 110.0)]

    def wind(s: Any) -> None:
        s.seen = [*getattr(s, "seen", []), s.position.size]
        s.winding = getattr(s, "winding", None) or Winding(s.broker)
        s.done = s.winding.turn(flatten=False)

    plan = {2: enters, **dict.fromkeys(range(3, 14), wind)}
    ran = live.run([CALM] * 14, plan, **{"broker.poll": 60.0})
    assert ran.seen[0] == 0  # it had traded, and we did not know
    entry, stop = live.book()
    assert (entry["status"], stop["status"]) == ("COMPLETE", "TRIGGER PENDING")
    assert abs(live.held()) == 3
    assert ran.done is True


def test_of_two_entries_on_either_side_none_is_left(live: Live) -> None:
    def enters(s: Any) -> Any:
        prices = ((s.sell, 105.0), (s.buy, 95.0))
        return [give(size=3, exectype=Order.Limit, price=price) for give, price in prices]

    def wind(s: Any) -> None:
        s.winding = getattr(s, "winding", None) or Winding(s.broker)
        s.done = s.winding.turn(flatten=False)

    ran = live.run([CALM] * 14, {2: enters, **dict.fromkeys(range(3, 14), wind)})
    assert [row["status"] for row in live.book()] == ["CANCELLED", "CANCELLED"]
    assert ran.done is True


def test_a_cancellation_that_was_refused_again_and_again_is_hurried_on(live: Live) -> None:
    """By then its strategy's own wish would be asked for once a minute."""
    live.middle.on("DELETE", *[lost(NO)] * 40)
    due: list[int] = []

    def wind(s: Any) -> None:
        Winding(s.broker).turn(flatten=False)
        due.append(s.broker.next_due() - s.broker.now)

    plan = {2: buy(size=3, exectype=Order.Limit, price=90.0), 3: lambda s: s.cancel(s.given[0]), 9: wind}
    live.run([CALM] * 10, plan)
    assert due == [1]
    assert live.book()[0]["status"] == "OPEN"
