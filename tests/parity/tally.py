"""What made-up strategies came to: a comparison of strategies that never trade would prove nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt

from btkite.linetime import from_seconds, seconds_of
from btkite.series import Candles
from tests.parity.three import Outcome

KINDS = ("Market", "Limit", "Stop", "StopLimit", "StopTrail")


class Tally:
    """Counts over the runs of one test: orders filled by kind, stop-limits that rested after their trigger, bracket
    exits in bars that reached stop and target, strategies that traded."""

    def __init__(self) -> None:
        self.runs = 0
        self.trading = 0
        """Strategies with a fill."""
        self.closing = 0
        """Strategies with a closed trade."""
        self.filled: Counter[str] = Counter()
        self.rested = 0
        """Stop-limits that were triggered and not filled."""
        self.filled_later = 0
        """Stop-limits that rested after the trigger and were filled at their limit."""
        self.both_in_reach = 0
        """Bracket exits in a bar that reached stop and target."""

    def add(self, outcome: Outcome, candles: Mapping[str, Candles]) -> None:
        """One run."""
        strategy = outcome.strategy
        orders = [order for order in strategy.given if order is not None]
        done = [order for order in orders if order.executed.size]
        self.runs += 1
        self.trading += bool(done)
        self.closing += bool(outcome.trades)
        self.filled.update(order.getordername() for order in done)
        for order in orders:
            if order.exectype == bt.Order.StopLimit and order.triggered:
                if not order.executed.size:
                    self.rested += 1
                elif order.executed.price == order.created.pricelimit != order.created.price:
                    self.filled_later += 1
        for _, stop, target in strategy.brackets:
            for leg in (stop, target):
                if leg is not None and leg.executed.size:
                    low, high = _bar_of(leg, candles)
                    prices = stop.created.price, target.created.price
                    self.both_in_reach += low <= min(prices) and max(prices) <= high

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in vars(self).items())


def _bar_of(order: Any, candles: Mapping[str, Candles]) -> tuple[float, float]:
    """Low and high of the candle in which ``order`` was filled."""
    one = candles[order.data._name]
    filled = from_seconds(seconds_of(order.executed.dt))
    span = timedelta(days=1) if one.interval == "day" else timedelta(minutes=1)
    for number, start in enumerate(one.start.astype("datetime64[s]").tolist()):
        begin = datetime.combine(start.date(), datetime.min.time()) if one.interval == "day" else start
        if begin <= filled < begin + span:
            return float(one.low[number]), float(one.high[number])
    raise AssertionError(f"a fill at {filled}, where no candle is")
