"""Kite shows market orders as the limit that protects them: a stop that has gone off is a LIMIT, and no target.

The exchange, where protection binds, is the judge: what rests there, and at what it has traded.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.test_exits import HOLD, NEAR, bracket, exits
from tests.brokers.test_exits_partly_filled import mirrored

BOUND = {"check_trigger_side": True, "protection_binds": True, "require_market_protection": True}
LONG = [CALM] * 4
BEYOND = (95.0,) * 4
"""Through the stop at 98, and beyond the two per cent for which its protection would take it."""
JUMP = (90.0,) * 4


def run(live: Any, rows: Any, plan: Any, **more: Any) -> Any:
    return live.run(rows, plan, settings=BOUND, **{"groups.exits": "one", **more})


def sent(live: Any) -> list[str]:
    """The types of the changes of the exits."""
    return [asked.form["order_type"] for asked in live.middle.calls("PUT")]


def is_sold_by_its_stop(ran: Any, live: Any, at: float) -> None:
    (row,) = exits(live)
    assert row[0] in ("LIMIT", "SL")
    assert row[1] == "COMPLETE"
    assert (ran.story(1)[-1], ran.story(2)[-1]) == ("Completed", "Canceled")
    assert (ran.prices(1), ran.prices(2)) == ([at], [])
    assert ran.position.size == live.held() == 0


@pytest.mark.parametrize("stands", [[], [NEAR, HOLD]], ids=["the stop stood", "the target stood"])
def test_what_has_traded_is_the_stop_although_kite_calls_it_a_limit(live, stands):
    low = (97.5,) * 4
    ran = run(live, [*LONG, *stands, low, low, CALM], {2: bracket()})
    is_sold_by_its_stop(ran, live, 97.5)
    assert sent(live) == (["LIMIT", "MARKET"] if stands else [])


def test_a_stop_that_is_jumped_over_is_widened_and_nobody_takes_it_for_the_target(live):
    """Kite's own trigger, at 98: it rests at 96, and the market is at 95."""
    ran = run(live, [*LONG, BEYOND, BEYOND, BEYOND, CALM], {2: bracket()})
    is_sold_by_its_stop(ran, live, 95.0)
    assert set(sent(live)) == {"LIMIT"}
    assert ran.given[2].created.price == 103.0  # the target's own price is as it was


def test_what_a_target_became_at_market_is_sent_there_once_and_then_widened(live):
    """The market falls on while the order is on its way, so that what arrives rests."""

    def falls(middle: Any, asked: Any) -> Any:
        said = middle.forward(asked)
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=90.0)
        return said

    live.middle.on("PUT", lambda middle, asked: middle.forward(asked), falls)
    ran = run(live, [*LONG, NEAR, HOLD, BEYOND, JUMP, JUMP, JUMP, JUMP], {2: bracket()}, **{"broker.widen_most": 20.0})
    assert sent(live)[:2] == ["LIMIT", "MARKET"]
    assert sent(live).count("MARKET") == 1
    is_sold_by_its_stop(ran, live, 90.0)
    assert ran.given[2].created.price == 103.0


@pytest.mark.parametrize("stands", [[], [NEAR, HOLD]], ids=["the stop stood", "the target stood"])
def test_the_same_for_a_short_position(live, stands):
    def give(s: Any) -> Any:
        return list(s.sell_bracket(size=10, exectype=Order.Market, stopprice=102.0, limitprice=97.0))

    high = (102.5,) * 4
    ran = run(live, [*LONG, *mirrored(stands), high, high, CALM], {2: give})
    assert (ran.story(1)[-1], ran.story(2)[-1]) == ("Completed", "Canceled")
    assert ran.prices(1) == [102.5]
    assert ran.position.size == live.held() == 0
