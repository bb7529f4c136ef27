"""A strategy in a file of its own, and what a sweep of it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import btkite
from btkite.sweeps import SweepResult

SYMBOL, OTHER = "NSE:RELIANCE", "NSE:INFY"
INTERVAL = "60minute"
MINE = "mine.py:Mine"
SOURCE = """
import os

import backtrader as bt
from helper_of_mine import SIZE


class Mine(bt.Strategy):
    params = (("fast", 3), ("slow", 8), ("stop", 0.0), ("mood", "calm"), ("at", None))

    def __init__(self):
        if self.p.mood == "sad":
            raise ValueError("it is sad")
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.EMA(period=self.p.slow))

    def next(self):
        if self.p.mood == "angry":
            raise RuntimeError(f"angry on bar {len(self)}")
        if self.p.mood == "dead":
            os._exit(7)
        if self.position.size:
            if self.cross[0] < 0:
                self.close()
        elif self.cross[0] > 0:
            self.buy(size=SIZE)
            if self.p.stop:
                self.sell(size=SIZE, exectype=bt.Order.Stop, price=self.data.close[0] * (1 - self.p.stop))
"""
SETS = {"fast": "2..5", "slow": [6, 9]}


def swept(sets: Any = SETS, strategy: Any = MINE, symbols: Any = SYMBOL, **given: Any) -> SweepResult:
    given = {"interval": INTERVAL, "jobs": 1, **given}
    return btkite.sweep(strategy, symbols, sets, **given)


def sets_of(result: SweepResult) -> list[dict[str, Any]]:
    return [row["params"] for row in result.found]


def rows_file(folder: Path) -> Path:
    (found,) = folder.glob("state/sweeps/*/rows.jsonl")
    return found
