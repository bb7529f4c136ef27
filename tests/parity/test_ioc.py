"""An order that must not rest (IOC) trades at the first print that it meets, or is over there, alike in every mode."""

from __future__ import annotations

from datetime import datetime

import backtrader as bt
import pytest

from btkite.modes import MODES
from btkite.testing import bars
from tests.parity.three import assert_same, run

SHARE, ORDER = "NSE:AAA", bt.Order
FLAT, UP = (100.0, 100.0, 100.0, 100.0), (100.0, 103.0, 98.0, 102.0)
"""UP prints 100, 98, 103, 102."""
IOC = {"validity": "IOC"}


class Does(bt.Strategy):
    """Gives ``first`` with the second bar."""

    params = (("first", None),)

    def __init__(self):
        self.given, self.told = [], {}

    def next(self):
        if len(self) == 2:
            found = self.p.first(self)
            self.given += found if isinstance(found, list) else [found]

    def notify_order(self, order):
        self.told.setdefault(order.ref, []).append(order.getstatusname())

    def stories(self):
        return [self.told[order.ref][-1] for order in self.given]


def bracket(price):
    return lambda s: s.buy_bracket(size=1, exectype=ORDER.Limit, price=price, stopprice=95.0, limitprice=110.0, **IOC)


CASES = {
    "a limit that the next print satisfies": (
        lambda s: s.buy(size=1, exectype=ORDER.Limit, price=100.0, **IOC), ["Completed"],
    ),
    "a limit that a later print would": (
        lambda s: s.buy(size=1, exectype=ORDER.Limit, price=99.0, **IOC), ["Canceled"],
    ),
    "a market order": (lambda s: s.buy(size=1, **IOC), ["Completed"]),
    "a stop waits for its trigger": (
        lambda s: s.buy(size=1, exectype=ORDER.Stop, price=101.0, **IOC), ["Completed"],
    ),
    "a stop-limit that its trigger leaves in reach": (
        lambda s: s.buy(size=1, exectype=ORDER.StopLimit, price=101.0, plimit=101.5, **IOC), ["Completed"],
    ),
    "an entry that is over takes its exits along": (bracket(99.0), ["Canceled", "Canceled", "Canceled"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_must_not_rest_is_over_at_the_print_that_it_meets(exchange, tmp_path, name):
    first, stories = CASES[name]
    candles = bars.from_rows([FLAT, FLAT, UP, FLAT, FLAT], symbol=SHARE, day=datetime(2024, 7, 1))
    data = {SHARE: candles}
    outcomes = {
        mode: run(mode, Does, data, datetime(2024, 7, 1), exchange, tmp_path, params={"first": first}) for mode in MODES
    }
    assert_same(outcomes)
    assert outcomes["backtest"].strategy.stories() == stories


def test_a_gap_over_a_stop_limits_limit_leaves_nothing_to_rest(exchange, tmp_path):
    def first(s):
        return s.buy(size=1, exectype=ORDER.StopLimit, price=100.5, plimit=101.0, **IOC)

    rows = [FLAT, FLAT, (102.0, 103.0, 99.0, 99.5), FLAT]
    data = {SHARE: bars.from_rows(rows, symbol=SHARE, day=datetime(2024, 7, 1))}
    outcomes = {
        mode: run(mode, Does, data, datetime(2024, 7, 1), exchange, tmp_path, params={"first": first}) for mode in MODES
    }
    assert_same(outcomes)
    assert outcomes["backtest"].strategy.stories() == ["Canceled"]
