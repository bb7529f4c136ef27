"""SimBroker on bars: sessions, orders outside them, and how long an order works (docs/fills.md, rules 10 to 12)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from btkite.linetime import from_seconds
from btkite.series import Candles
from btkite.testing import run_strategy
from tests.brokers.scene import CALM, HOURS, UP, Order, Planned, buy, overnight, play

LIMIT, STOP, STOPLIMIT = Order.Limit, Order.Stop, Order.StopLimit
HIGH = (105.0, 106.0, 104.0, 105.5)
LOW = (95.0, 96.0, 94.0, 94.5)

# ---- time: sessions, after hours, validity (rules 10 to 12) ----


def test_an_order_of_the_last_bar_waits_for_the_next_open():
    ran = overnight({7: buy()})
    assert ran.fills[0][2:] == (105.0, datetime(2026, 11, 19, 9, 15))
    assert ran.story() == ["Submitted", "Accepted", "Completed"]


@pytest.mark.parametrize("how", ["config", "order"])
def test_after_hours_refuse(how):
    if how == "config":
        ran = overnight({7: buy()}, config={"broker.after_hours": "refuse"})
    else:
        ran = overnight({7: buy(after_hours="refuse")})
    assert ran.story() == ["Rejected"]
    assert ran.given[0].info.denied == "the market is closed (broker.after_hours)"


def test_refuse_is_no_matter_while_the_market_is_open():
    assert overnight({3: buy(after_hours="refuse")}).story()[-1] == "Completed"


@pytest.mark.parametrize("how", [{"after_hours": "amo"}, {"variety": "amo"}])
def test_an_after_market_order_is_accepted_at_night_and_trades_at_the_open(how):
    at_night = []

    def give(s):
        order = s.buy(size=1, **how)
        at_night.append(order.getstatusname())
        return order

    ran = overnight({7: give})
    assert at_night == ["Accepted"]
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert ran.fills[0][2:] == (105.0, datetime(2026, 11, 19, 9, 15))


def test_an_after_market_order_may_be_cancelled_before_the_open():
    def react(s, order):
        if order.status == Order.Accepted:
            s.cancel(order)

    ran = overnight({7: buy(after_hours="amo")}, react=react)
    assert ran.story() == ["Submitted", "Accepted", "Canceled"]


def test_a_held_order_may_be_changed_and_cancelled():
    def change(s):
        first, second = (s.buy(size=1, exectype=LIMIT, price=90.0) for _ in range(2))
        assert s.broker.modify(first, size=3, price=105.0)
        s.cancel(second)
        return [first, second]

    ran = overnight({7: change})
    assert [(size, price) for _, size, price, _ in ran.fills] == [(3, 105.0)]
    assert ran.story(1) == ["Submitted", "Canceled"]


def test_an_order_without_deadline_ends_with_its_session_before_the_last_bar_is_seen():
    ran = overnight({3: buy(exectype=LIMIT, price=90.0)})
    assert ran.story() == ["Submitted", "Accepted", "Expired"]
    assert ran.told[-1][2] == 6  # the strategy had seen six bars of seven


@pytest.mark.parametrize("how", ["config", "order"])
def test_a_carried_order_is_placed_again_until_it_trades(how):
    days = HOURS * 2 + [LOW] * 3
    plan = {3: buy(exectype=LIMIT, price=97.0, **({"carry": True} if how == "order" else {}))}
    ran = play(days, plan, interval="60minute", config={"broker.carry": how == "config"})
    assert ran.story() == ["Submitted", "Accepted", "Completed"]
    assert ran.fills[0][2:] == (95.0, datetime(2026, 11, 20, 9, 15))


def test_carried_orders_come_back_in_the_order_in_which_they_were_given():
    plan = {n: buy(exectype=LIMIT, price=97.0, size=10 - n, carry=True) for n in (2, 3, 4)}
    ran = play(HOURS + [LOW] * 3, plan, interval="60minute")
    assert [size for _, size, _, _ in ran.fills] == [8, 7, 6]


def test_what_is_carried_is_what_is_left():
    """A deadline after the session carries too; a fill of the first day is not asked for again."""
    plan = {3: buy(exectype=LIMIT, price=97.0, size=4, valid=timedelta(days=2))}
    ran = play(HOURS + [LOW] * 3, plan, interval="60minute")
    assert [size for _, size, _, _ in ran.fills] == [4]


@pytest.mark.parametrize(
    ("valid", "ends"),
    [
        (timedelta(minutes=3), "09:18:40"),
        (timedelta(seconds=200), "09:18:40"),
        (timedelta(seconds=201), "09:19:20"),
        (datetime(2026, 11, 18, 9, 19), "09:18:40"),
        (3 / 1440, "09:18:40"),
    ],
)
def test_an_order_works_for_prints_strictly_before_its_deadline(valid, ends):
    """Each bar dips to 98 in its second print; ``ends`` is the last print that may trade."""
    for price, minute in ((98.0, 3), (98.0, 2)):
        calm = [CALM] * 10
        calm[minute + 1] = (100.0, 100.0, price, 100.0)
        ran = play(calm, {1: buy(exectype=LIMIT, price=98.0, valid=valid)})
        at = f"09:{16 + minute}:20"
        assert (ran.times() == [at]) is (at <= ends), (at, ends)
        if not ran.fills:
            assert ran.story()[-1] == "Expired"


def test_a_deadline_that_is_a_print_expires_before_it():
    plan = {1: buy(exectype=LIMIT, price=98.0, valid=datetime(2026, 11, 18, 9, 16, 20))}
    assert play([CALM, UP, CALM], plan).story()[-1] == "Expired"
    plan = {1: buy(exectype=LIMIT, price=98.0, valid=datetime(2026, 11, 18, 9, 16, 21))}
    assert play([CALM, UP, CALM], plan).story()[-1] == "Completed"


def test_a_deadline_in_the_past_expires_at_once():
    plan = {2: buy(valid=datetime(2026, 11, 18, 9, 0))}
    ran = play([CALM] * 4, plan)
    assert ran.story()[-1] == "Expired"
    assert ran.fills == []


def test_a_date_works_to_the_close_of_that_day():
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=date(2026, 11, 19))}
    assert overnight(plan, [LOW] * 3).story()[-1] == "Completed"
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=date(2026, 11, 18))}
    assert overnight(plan, [LOW] * 3).story()[-1] == "Expired"


def test_a_deadline_in_the_night_ends_a_carried_order_then():
    plan = {3: buy(exectype=LIMIT, price=97.0, valid=datetime(2026, 11, 18, 20, 0))}
    ended = []

    def react(s, order):
        if not order.alive():
            ended.append(s.broker.now)

    ran = overnight(plan, [LOW] * 3, react=react)
    assert ran.story() == ["Submitted", "Accepted", "Expired"]

    assert from_seconds(ended[0]) == datetime(2026, 11, 18, 20, 0)


def test_a_bracket_whose_exits_lapse_is_told_so_and_holds_its_position():
    plan = {2: lambda s: s.buy_bracket(size=1, exectype=Order.Market, stopprice=90.0, limitprice=120.0)}
    ran = overnight(plan)
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Expired", "Expired"]
    assert ran.position.size == 1


def test_of_an_oco_pair_that_ends_with_the_day_a_carried_one_goes_too():
    """One lapses with the session; its end cancels the other, which would have been placed again."""

    def pair(s):
        first = s.buy(size=1, exectype=LIMIT, price=97.0, carry=True)
        return [first, s.buy(size=1, exectype=STOP, price=120.0, oco=first)]

    ran = overnight({3: pair}, [LOW] * 3)
    assert ran.fills == []
    assert [ran.story(n)[-1] for n in (0, 1)] == ["Canceled", "Expired"]


def test_a_day_that_the_table_calls_closed_is_traded_if_it_has_candles():

    starts = [np.datetime64("2026-11-22T09:15:00") + np.timedelta64(60 * n, "s") for n in range(4)]  # a Sunday
    columns = {"date": np.array(starts)} | {name: np.full(4, 100.0) for name in ("open", "high", "low", "close")}
    sunday = Candles.of("NSE:TEST", "minute", {**columns, "volume": np.zeros(4)})
    ran = run_strategy(Planned, sunday, plan={1: buy()}).strategy
    assert ran.times() == ["09:16:00"]
