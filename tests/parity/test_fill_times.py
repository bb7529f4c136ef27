"""A fill bears the second of its print, the same one in every mode: docs/fills.md, rules 2 and 14."""

from __future__ import annotations

from datetime import datetime, time

import backtrader as bt
import pytest

from btkite.linetime import from_seconds, seconds_of
from btkite.modes import MODES
from btkite.testing import bars
from tests.parity.three import assert_same, run

SHARE = "NSE:AAA"
# 09:15 is seen before the order is given; 09:16 is the bar that is traded.
SEEN, LATER = (100.0, 101.0, 99.0, 100.0), (100.0, 100.0, 100.0, 100.0)
UP, DOWN = (100.0, 110.0, 90.0, 105.0), (100.0, 110.0, 90.0, 95.0)
BEYOND = (108.0, 110.0, 105.0, 106.0)
ORDER = bt.Order

CASES = {
    "a market order, at the first print": (UP, {"exectype": ORDER.Market}, time(9, 16, 0)),
    "on the way down to the second": (UP, {"exectype": ORDER.Limit, "price": 95.0}, time(9, 16, 20)),
    "on the way up to the third": (UP, {"exectype": ORDER.Stop, "price": 103.0}, time(9, 16, 40)),
    "at the very low, which is the second": (UP, {"exectype": ORDER.Limit, "price": 90.0}, time(9, 16, 20)),
    "on the way up to the second of a bar that closes down": (
        DOWN,
        {"exectype": ORDER.Stop, "price": 105.0},
        time(9, 16, 20),
    ),
    "on the way back to the limit that the open had jumped over": (
        BEYOND,
        {"exectype": ORDER.StopLimit, "price": 107.0, "plimit": 107.0},
        time(9, 16, 40),
    ),
    "in the next bar, at its open": (DOWN, {"exectype": ORDER.Limit, "price": 89.0}, time(9, 17, 0)),
}


class Once(bt.Strategy):
    params = (("order", {}),)

    def __init__(self):
        self.fills = []

    def next(self):
        if len(self) == 1:
            self.buy(size=1, **self.p.order)

    def notify_order(self, order):
        if order.status == order.Completed:
            self.fills.append(from_seconds(seconds_of(order.executed.dt)))


@pytest.mark.parametrize("case", CASES)
def test_a_fill_bears_the_second_of_the_print_that_ended_its_segment(exchange, tmp_path, case):
    traded, order, at = CASES[case]
    after = (88.0, 88.0, 88.0, 88.0) if at.minute == 17 else LATER
    candles = {SHARE: bars.from_rows([SEEN, traded, after], symbol=SHARE, interval="minute")}
    day = candles[SHARE].first
    outcomes = {
        mode: run(
            mode, Once, candles, datetime(day.year, day.month, day.day), exchange, tmp_path, params={"order": order}
        )
        for mode in MODES
    }
    assert_same(outcomes)
    for mode, outcome in outcomes.items():
        assert outcome.strategy.fills == [datetime.combine(day.date(), at)], mode
