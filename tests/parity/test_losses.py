"""Loss limits act at the same bars, on the same orders and at the same prices in all three modes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from btkite.modes import MODES
from btkite.testing import bars as canned
from tests.parity.three import Outcome, assert_same, run

KEYS = ("NSE:AAA", "NSE:BBB")
DAY = datetime(2026, 11, 18)
LIMITS = {
    "risk.enabled": True,
    "risk.max_position_pct": 100.0,
    "risk.max_portfolio_loss_pct": 100.0,
    "broker.capital": 1_000_000.0,
}
CALM = (100.0, 100.0, 100.0, 100.0)
FALLS = (100.0, 100.0, 98.0, 99.0)
UNDER = (99.0, 99.5, 98.0, 98.5)
RISES = (99.0, 101.0, 98.5, 100.5)
ROWS = [CALM] * 3 + [FALLS, UNDER, RISES] + [CALM] * 6


class Busy(bt.Strategy):
    """Holds one, has exits and an entry at work, and goes on giving orders whatever is said."""

    params = (("stop", 90.0),)

    def __init__(self) -> None:
        self.denied: list[tuple[int, str]] = []

    def notify_order(self, order: Any) -> None:
        if order.info.get("denied"):
            self.denied.append((len(self), order.info.denied_by))

    def next(self) -> None:
        number = len(self)
        if number == 1:
            self.buy(data=self.datas[0], size=1000)
            self.buy(data=self.datas[1], size=10, exectype=bt.Order.Limit, price=97.0)
        if number == 2:
            self.sell(data=self.datas[0], size=1000, exectype=bt.Order.Stop, price=self.p.stop)
            self.sell(data=self.datas[1], size=5)
        if number in (4, 5, 6):
            self.buy(data=self.datas[1], size=1)
            self.sell(data=self.datas[0], size=1)
        if number == 8:
            self.close(data=self.datas[0])


def in_all(exchange: Any, tmp_path: Any, params: Any = None, **limits: Any) -> dict[str, Outcome]:
    candles = {key: canned.from_rows(ROWS, symbol=key, interval="minute") for key in KEYS}
    more = {"config": {**LIMITS, **limits}, "params": params}
    outcomes = {mode: run(mode, Busy, candles, DAY, exchange, tmp_path, **more) for mode in MODES}
    assert_same(outcomes)
    said = [one.strategy.denied for one in outcomes.values()]
    assert said[0] == said[1] == said[2]
    peaks = {one.broker.ledger.peak for one in outcomes.values()}
    assert len(peaks) == 1
    return outcomes


@pytest.mark.parametrize("what", ["keep", "flatten"])
@pytest.mark.parametrize(
    "limit", [{"risk.max_daily_loss": 500.0}, {"risk.max_daily_loss_pct": 0.05}, {"risk.max_drawdown_pct": 0.05}]
)
def test_a_loss_stops_entries_and_closes_what_is_held_alike(exchange, tmp_path, limit, what):
    for_good = "risk.max_drawdown_pct" in limit
    act = "risk.on_halt" if for_good else "risk.on_daily_loss"
    outcomes = in_all(exchange, tmp_path, **limit, **{act: what})
    for one in outcomes.values():
        held = {key: one.broker.position_of(key).size for key in KEYS}
        assert bool(one.broker.ledger.latched) is for_good
        assert bool(one.broker.ledger.stopped) is not for_good
        waiting = next(row for row in one.orders if row[6] == 97.0)
        assert waiting[8] == "Canceled"
        if what == "flatten":
            assert held == dict.fromkeys(KEYS, 0)
            closed = [row for row in one.orders if row[8] == "Completed" and row[1] == KEYS[0] and row[3] == "Sell"]
            assert [(row[9], row[10]) for row in closed] == [(-1000, 99.0)]  # at the next bar's open
        else:
            assert held[KEYS[1]] != 0
        assert one.strategy.denied != []


def test_a_loss_in_the_middle_of_a_bar_cancels_what_would_open_in_the_same_bar(exchange, tmp_path):
    """The stop trades at 98.5 on the way down, and the entry that waits at 97 of the other goes with it."""
    outcomes = in_all(exchange, tmp_path, params={"stop": 98.5}, **{"risk.max_daily_loss": 1000.0})
    for one in outcomes.values():
        waiting = next(row for row in one.orders if row[6] == 97.0)
        assert waiting[8] == "Canceled"
        assert one.broker.ledger.stopped is not None
