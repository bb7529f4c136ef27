"""Stops that the price has reached already are refused alike in every mode: docs/fills.md, stops lie ahead."""

from __future__ import annotations

from datetime import datetime

import backtrader as bt
import pytest

from btkite.modes import MODES
from btkite.testing import bars
from tests.parity.three import assert_same, run

SHARE, ORDER = "NSE:AAA", bt.Order
FLAT, UP = (100.0, 100.0, 100.0, 100.0), (100.0, 103.0, 98.0, 102.0)
GAP = (97.0, 101.5, 96.5, 101.0)


class Does(bt.Strategy):
    """Gives ``first`` with the second bar; ``then`` answers the first order's fill."""

    params = (("first", None), ("then", None))

    def __init__(self):
        self.given, self.told = [], {}

    def next(self):
        if len(self) == 2:
            self.given += self.p.first(self)

    def notify_order(self, order):
        self.told.setdefault(order.ref, []).append(order.getstatusname())
        if self.p.then is not None and order.status == order.Completed and order.ref == self.given[0].ref:
            self.given += self.p.then(self)

    def stories(self):
        return [self.told[order.ref] for order in self.given]


def enter(s):
    return [s.buy(size=1, exectype=ORDER.Stop, price=102.0)]


def bracket(s):
    return s.buy_bracket(size=1, exectype=ORDER.Limit, price=99.0, stopprice=98.0, limitprice=101.0)


def late(s, change):
    """A stop that the price has passed, and a change of it in the same breath."""
    stop = s.sell(size=1, exectype=ORDER.Stop, price=102.0)
    change(stop)
    return [stop]


CASES = {
    "denied by the last close": (
        lambda s: [s.buy(size=1, exectype=ORDER.Stop, price=100.0)], None, UP, [["Rejected"]], "denied",
    ),
    "a stop-limit that could not trade": (
        lambda s: [s.buy(size=1, exectype=ORDER.StopLimit, price=102.0, plimit=101.0)], None, UP, [["Rejected"]],
        "denied",
    ),
    "an answer to a fill": (
        enter, lambda s: [s.sell(size=1, exectype=ORDER.Stop, price=102.0)], UP,
        [["Submitted", "Accepted", "Completed"], ["Submitted", "Rejected"]], "reason",
    ),
    "an answer to a fill, changed at once to what would stand": (
        enter, lambda s: late(s, lambda stop: s.broker.modify(stop, price=90.0)), UP,
        [["Submitted", "Accepted", "Completed"], ["Submitted", "Rejected"]], "reason",
    ),
    "an answer to a fill, taken back at once": (
        enter, lambda s: late(s, s.cancel), UP,
        [["Submitted", "Accepted", "Completed"], ["Submitted", "Canceled"]], "reason",
    ),
    "a bracket in answer to a fill": (
        enter, lambda s: s.sell_bracket(size=1, exectype=ORDER.Stop, price=102.5, stopprice=120.0, limitprice=90.0), UP,
        [
            ["Submitted", "Accepted", "Completed"], ["Submitted", "Rejected"],
            ["Submitted", "Accepted", "Canceled"], ["Submitted", "Accepted", "Canceled"],
        ], "reason",
    ),
    "a bracket's stop that a gap has passed": (
        bracket, None, GAP,
        [
            ["Submitted", "Accepted", "Completed"], ["Submitted", "Accepted", "Rejected"],
            ["Submitted", "Accepted", "Completed"],
        ], "reason",
    ),
    "a bracket's stop that a gap has passed, taken back in answer to the entry's fill": (
        bracket, lambda s: s.cancel(s.given[1]) or [], GAP,
        [
            ["Submitted", "Accepted", "Completed"], ["Submitted", "Accepted", "Canceled"],
            ["Submitted", "Accepted", "Canceled"],
        ], "reason",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_stop_behind_the_price_ends_alike_in_every_mode(case, exchange, tmp_path):
    first, then, bar, stories, where = CASES[case]
    data = {SHARE: bars.from_rows([FLAT, FLAT, FLAT, bar, FLAT], symbol=SHARE)}
    day = data[SHARE].first
    outcomes = {
        mode: run(
            mode,
            Does,
            data,
            datetime(day.year, day.month, day.day),
            exchange,
            tmp_path,
            params={"first": first, "then": then},
        )
        for mode in MODES
    }
    assert_same(outcomes)
    for outcome in outcomes.values():
        assert outcome.strategy.stories() == stories
    refused = {
        tuple(str(order.info.get(where)) for order in one.strategy.given if order.status == order.Rejected)
        for one in outcomes.values()
    }
    assert len(refused) == 1, "the same words"
    assert all("stop" in words for words in refused.pop())


class ChangesItsMind(bt.Strategy):
    """Gives a stop for the next day's open, and moves it behind the price when another order is denied."""

    def __init__(self):
        self.kept = self.denied = None

    def next(self):
        if len(self) == 2:
            self.kept = self.sell(size=1, exectype=ORDER.StopLimit, price=99.0, plimit=98.5)
            self.denied = self.sell(size=1, exectype=ORDER.Stop, price=101.0)

    def notify_order(self, order):
        if self.denied is not None and order.ref == self.denied.ref:
            self.broker.modify(self.kept, price=100.5)


def test_a_held_stop_that_an_answer_moves_behind_the_price_is_rejected_at_the_open(exchange, tmp_path):
    data = {SHARE: bars.from_rows([FLAT, FLAT, GAP, FLAT], symbol=SHARE, interval="day")}
    day = data[SHARE].first
    begin = datetime(day.year, day.month, day.day)
    outcomes = {mode: run(mode, ChangesItsMind, data, begin, exchange, tmp_path) for mode in MODES}
    assert_same(outcomes)
    for mode, outcome in outcomes.items():
        kept = outcome.strategy.kept
        assert (kept.created.price, kept.getstatusname()) == (100.5, "Rejected"), mode
        assert "should be lower than the last traded price" in kept.info.reason, mode
