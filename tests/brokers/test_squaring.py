"""The square-off: equal in history, on paper and live; after it nothing intraday is taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.brokers.squaring import RULE
from btkite.testing import bars as canned
from btkite.testing import run_strategy
from tests.brokers.scene import CALM, DAY, Order, Planned, buy

MODES = ("history", "paper", "live")
RISING = [(100.0 + n, 101.0 + n, 99.0 + n, 100.5 + n) for n in range(75)]


def run(kite_exchange: Any, mode: str, plan: Any, rows: Any = RISING, interval: str = "5minute", **more: Any) -> Any:
    market = canned.from_rows(rows, interval=interval, day=DAY) if isinstance(rows, list) else rows
    if mode == "history":
        return run_strategy(Planned, market, plan=plan, interval=interval, **more).strategy
    return kite_exchange.run_strategy(Planned, market, mode=mode, plan=plan, **more).strategy


def seen(ran: Any) -> dict[str, Any]:
    """What must be the same to the bit."""
    ledger = ran.broker.ledger
    return {
        "fills": [row[1:] for row in ran.fills],
        "stories": [ran.story(n) for n in range(len(ran.given))],
        "denied": [order.info.get("denied") for order in ran.given],
        "money": (ran.broker.getvalue(), ran.broker.getcash(), ledger.charges, ledger.realized),
        "position": ran.position.size,
    }


# Shares without derivatives: Kite squares off at 15:25, we at 15:22, in the middle of the bar from 15:20 to 15:25.
PLAN = {
    2: lambda s: s.buy_bracket(size=3, exectype=Order.Market, stopprice=50.0, limitprice=900.0),
    5: buy(size=1, exectype=Order.Limit, price=60.0),
    74: lambda s: [s.buy(size=1), s.sell(size=1), s.buy(size=1, product="CNC")],
}


@pytest.mark.parametrize("minutes", [3.0, 10.0, 25.0], ids=["in a bar", "at a bar's end", "bars before"])
def test_it_is_equal_to_the_bit_in_the_three_modes(kite_exchange, minutes):
    config = {"broker.square_off": minutes}
    found = [seen(run(kite_exchange, mode, PLAN, config=config, charges=True)) for mode in MODES]
    assert found[0] == found[1] == found[2]
    first = found[0]
    sold = [row for row in first["fills"] if row[0] < 0]
    assert [size for size, *_ in sold] == [-3]
    assert sold[0][2] >= datetime(2026, 11, 18, 15, 25 - int(minutes))
    assert first["stories"][0][-1] == "Completed"
    assert [story[-1] for story in first["stories"][1:4]] == ["Canceled", "Canceled", "Canceled"]
    assert first["position"] == 1  # of the CNC order, which is nobody's business here


@pytest.mark.parametrize("mode", MODES)
def test_after_it_every_intraday_order_is_denied_with_one_sentence(kite_exchange, mode):
    ran = run(kite_exchange, mode, PLAN)
    entry, leaving, delivery = ran.given[4:7]
    for order in (entry, leaving):
        assert order.info.denied == (
            "NSE:TEST is squared off from 15:22 on, before Kite does it for a fee: no more MIS orders are taken until "
            "the session ends (broker.square_off)"
        )
        assert order.info.denied_by == "broker.square_off"
    assert delivery.info.get("denied") is None
    assert ran.broker.gate.denials


@pytest.mark.parametrize("mode", MODES)
def test_null_leaves_it_to_kite(kite_exchange, mode):
    ran = run(kite_exchange, mode, {2: buy(size=3)}, config={"broker.square_off": None})
    assert ran.position.size == 3


@pytest.mark.parametrize("mode", MODES)
def test_delivery_is_held(kite_exchange, mode):
    ran = run(kite_exchange, mode, {2: buy(size=3, product="CNC")})
    assert ran.position.size == 3


@pytest.mark.parametrize("mode", MODES)
def test_an_entry_that_is_carried_stays_and_what_it_fills_is_closed_at_once(kite_exchange, mode):
    rows = [CALM] * 73 + [(100.0, 100.0, 90.0, 90.0)] * 2
    ran = run(kite_exchange, mode, {2: buy(size=1, exectype=Order.Limit, price=95.0, carry=True)}, rows)
    assert [size for _, size, *_ in ran.fills] == [1, -1]
    assert ran.position.size == 0


@pytest.mark.parametrize("mode", MODES)
def test_an_entry_that_is_carried_does_not_hold_it_up(kite_exchange, mode):
    plan = {
        2: buy(size=3),
        3: buy(size=1, exectype=Order.Limit, price=60.0, carry=True),
        4: buy(size=1, exectype=Order.Limit, price=60.0, valid=datetime(2026, 11, 20, 15, 30)),
    }
    ran = run(kite_exchange, mode, plan, RISING + [CALM] * 3)
    assert [size for _, size, *_ in ran.fills] == [3, -3]
    assert all(order.alive() for order in ran.given[1:])


@pytest.mark.parametrize("mode", MODES)
def test_a_strategy_that_gives_its_stop_again_does_not_hold_it_up(kite_exchange, mode):
    def again(s: Any, order: Any) -> Any:
        if order.status == Order.Canceled and len(s.given) < 9:
            return s.sell(size=3, exectype=Order.Stop, price=50.0)
        return None

    plan = {2: buy(size=3), 5: lambda s: s.sell(size=3, exectype=Order.Stop, price=50.0)}
    ran = run(kite_exchange, mode, plan, react=again)
    assert ran.position.size == 0
    assert [ran.story(n)[-1] for n in (1, 2)] == ["Canceled", "Rejected"]
    assert ran.given[2].info.denied_by == "broker.square_off"


def test_days_follow_each_other(kite_exchange):
    rows = [CALM] * 75 * 3
    plan = {2: buy(size=1), 77: buy(size=2), 152: buy(size=3)}
    found = [seen(run(kite_exchange, mode, plan, rows)) for mode in MODES]
    assert found[0] == found[1] == found[2]
    assert [size for size, *_ in found[0]["fills"]] == [1, -1, 2, -2, 3, -3]


def test_bars_of_a_day_are_closed_within_their_day():
    ran = run(None, "history", {1: buy(size=1)}, [CALM] * 4, "day")
    (bought, sold) = ran.fills
    assert (bought[1], sold[1]) == (1, -1)
    assert bought[3].date() == sold[3].date()
    assert ran.broker.overnight.count == 0


def test_the_rule_is_named():
    assert RULE == "square_off"
