"""Sizers: how many units an order asks for. Whole lots, rounded down, on any broker.

A size is an intention, not a limit: the risk gate judges what comes out. A sizer that cannot know
(no price, no cash, too few bars) answers 0, and backtrader then gives no order at all.

The lot is the instrument's own (``data.instrument.lot_size``); a feed without an instrument, such as
a plain ``PandasData``, trades in lots of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtrader as bt

from .carried import lot_size
from .errors import ConfigError

__all__ = ["FixedRupees", "PercentOfValue", "RiskPerTrade", "average_true_range", "lot_size", "whole_lots"]


def whole_lots(units: float, lot: int) -> int:
    """``units`` rounded down to whole lots; 0 for what is negative or not a number."""
    if not math.isfinite(units) or units <= 0:
        return 0
    # 1e-9: 10 % of 1,00,000 at 100 must give 100, not 99, whatever binary fractions say.
    return int(units + 1e-9) // lot * lot


def average_true_range(data: Any, period: int) -> float:
    """Mean true range of the last ``period`` bars, in rupees; nan while there are too few bars."""
    if len(data) <= period:
        return math.nan
    total = 0.0
    for ago in range(0, -period, -1):
        before = data.close[ago - 1]
        total += max(data.high[ago], before) - min(data.low[ago], before)
    return total / period


class _Lots(bt.Sizer):
    """What all sizers here share: cash caps an opening buy, lots round down."""

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> int:
        price = data.close[0]
        if not price > 0:
            return 0
        units = self.units(price, float(comminfo.p.mult), data)
        if isbuy and self.strategy.getposition(data).size >= 0:
            units = min(units, comminfo.getsize(price, cash))
        return whole_lots(units, lot_size(data))

    units: Callable[[float, float, Any], float]
    """Units wanted: of the price (₹), rupees per unit of price (1 but on MCX), and the data."""

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self.p, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{type(self).__name__}: {name} must be greater than 0, not {value!r}")


class PercentOfValue(_Lots):
    """A share of the broker's value.

    Params:

      - ``percent`` (10.0): per cent of ``broker.getvalue()`` that one order may cost at the last close
    """

    params = (("percent", 10.0),)

    def __init__(self) -> None:
        self._positive("percent")

    def units(self, price: float, mult: float, data: Any) -> float:
        return float(self.broker.getvalue() * self.p.percent / 100 / (price * mult))


class FixedRupees(_Lots):
    """The same amount of money each time.

    Params:

      - ``rupees`` (10000.0): ₹ that one order may cost at the last close
    """

    params = (("rupees", 10_000.0),)

    def __init__(self) -> None:
        self._positive("rupees")

    def units(self, price: float, mult: float, data: Any) -> float:
        return float(self.p.rupees / (price * mult))


class RiskPerTrade(_Lots):
    """As many units as lose a given amount when the stop is hit.

    By default the stop is a multiple of the average true range, so that a quiet instrument is
    bought in a larger size than a wild one.

    Params:

      - ``percent`` (0.5): per cent of the broker's value at risk in one trade
      - ``rupees`` (None): ₹ at risk in one trade; given, it replaces ``percent``
      - ``stop`` (None): distance of the stop, in ₹ per unit; given, no range is computed
      - ``stop_percent`` (None): distance of the stop, in per cent of the price
      - ``atr`` (14): bars of the average true range
      - ``multiple`` (2.0): average true ranges from entry to stop
      - ``max_percent`` (10.0): the order costs at most this per cent of the broker's value, however
        near the stop is; None for no such bound
    """

    params = (
        ("percent", 0.5),
        ("rupees", None),
        ("stop", None),
        ("stop_percent", None),
        ("atr", 14),
        ("multiple", 2.0),
        ("max_percent", 10.0),
    )

    def __init__(self) -> None:
        self._positive("percent", "rupees", "stop", "stop_percent", "atr", "multiple", "max_percent")
        if self.p.stop is not None and self.p.stop_percent is not None:
            raise ConfigError("RiskPerTrade: give stop or stop_percent, not both")

    def distance(self, price: float, data: Any) -> float:
        """Rupees per unit between entry and stop; nan if not known yet."""
        if self.p.stop is not None:
            return float(self.p.stop)
        if self.p.stop_percent is not None:
            return float(price * self.p.stop_percent / 100)
        return average_true_range(data, self.p.atr) * float(self.p.multiple)

    def units(self, price: float, mult: float, data: Any) -> float:
        distance = self.distance(price, data)
        if not distance > 0:
            return 0.0
        value = self.broker.getvalue()
        rupees = self.p.rupees if self.p.rupees is not None else value * self.p.percent / 100
        units = rupees / (distance * mult)
        if self.p.max_percent is not None:
            units = min(units, value * self.p.max_percent / 100 / (price * mult))
        return float(units)
