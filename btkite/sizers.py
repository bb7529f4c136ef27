"""Sizers: how many units an order asks for. Whole lots, rounded down, on any broker.

On a broker of btkite a size is cut to what the gate's limits allow at the last price (the log says so once), and on any
broker to what Kite takes as one order. If not one lot passes, one lot is asked for, so that the gate says why. A sizer
that cannot know (no price, no cash, too few bars) answers 0, and backtrader then gives no order at all.

The lot is the instrument's own (``data.instrument.lot_size``); a feed without an instrument, such as
a plain ``PandasData``, trades in lots of 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backtrader as bt

from .carried import instrument_of, lot_size
from .errors import ConfigError
from .market.permitted import in_force, largest_order

__all__ = [
    "FixedQuantity",
    "FixedRupees",
    "Kelly",
    "MarginShare",
    "PercentOfValue",
    "RiskPerTrade",
    "Volatility",
    "average_true_range",
    "kelly_fraction",
    "largest_size",
    "lot_size",
    "whole_lots",
]


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


def largest_size(data: Any) -> float:
    """The most that Kite takes at once of what ``data`` carries, on its day: the freeze quantity in as many slices as
    it allows; infinite where there is none."""
    instrument = instrument_of(data)
    if instrument is None or not len(data):
        return math.inf
    day = data.datetime.date(0)
    most = largest_order(instrument, day)
    return math.inf if most is None else float(most * int(in_force("slices", instrument.exchange, day) or 1))


def kelly_fraction(win_rate: float, payoff: float) -> float:
    """The share of the value that grows it fastest: ``win_rate`` − (1 − ``win_rate``) / ``payoff``; 0 if the game is
    lost on average. ``payoff``: the mean win divided by the mean loss."""
    return max(0.0, win_rate - (1 - win_rate) / payoff)


class _Lots(bt.Sizer):
    """What all sizers here share: cash caps an opening buy, limits cut it, lots round down."""

    pays_in_full = True
    """Whether an opening buy is bounded by the cash at its price; else by the margin that the gate asks for."""

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> int:
        price = data.close[0]
        if not price > 0:
            return 0
        units = self.units(price, float(comminfo.p.mult), data)
        if self.pays_in_full and isbuy and self.strategy.getposition(data).size >= 0:
            units = min(units, comminfo.getsize(price, cash))
        size = whole_lots(min(units, largest_size(data)), lot_size(data))
        fitting = getattr(self.broker, "fitting", None)
        return size if fitting is None or not size else int(fitting(data, isbuy, size))

    units: Callable[[float, float, Any], float]
    """Units wanted: of the price (₹), rupees per unit of price (1 but on MCX), and the data."""

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self.p, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{type(self).__name__}: {name} must be greater than 0, not {value!r}")


class FixedQuantity(_Lots):
    """The same number of units each time; what is no whole lot is rounded down.

    Params:

      - ``quantity`` (1): units, or lots where Kite counts lots (MCX, currency)
    """

    params = (("quantity", 1),)
    pays_in_full = False

    def __init__(self) -> None:
        self._positive("quantity")

    def units(self, price: float, mult: float, data: Any) -> float:
        return float(self.p.quantity)


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


class Volatility(_Lots):
    """As many units as move the value by a given share when the price moves by its average true range.

    Params:

      - ``percent`` (0.5): per cent of the broker's value that one average true range is worth
      - ``atr`` (14): bars of the average true range
      - ``max_percent`` (10.0): the order costs at most this per cent of the broker's value; None for no such bound
    """

    params = (("percent", 0.5), ("atr", 14), ("max_percent", 10.0))

    def __init__(self) -> None:
        self._positive("percent", "atr", "max_percent")

    def units(self, price: float, mult: float, data: Any) -> float:
        span = average_true_range(data, self.p.atr)
        if not span > 0:
            return 0.0
        value = self.broker.getvalue()
        units = value * self.p.percent / 100 / (span * mult)
        if self.p.max_percent is not None:
            units = min(units, value * self.p.max_percent / 100 / (price * mult))
        return float(units)


class Kelly(_Lots):
    """A part of Kelly's fraction of the broker's value, capped. Nothing where the game is lost on average.

    Params:

      - ``win_rate`` (None): share of trades that win, 0 to 1; from trades that were not used to find the strategy
      - ``payoff`` (None): the mean win divided by the mean loss
      - ``fraction`` (0.5): the part of Kelly's fraction that is taken
      - ``cap`` (10.0): per cent of the broker's value that one order costs at most
    """

    params = (("win_rate", None), ("payoff", None), ("fraction", 0.5), ("cap", 10.0))

    def __init__(self) -> None:
        if self.p.win_rate is None or self.p.payoff is None:
            raise ConfigError("Kelly needs win_rate (0 to 1) and payoff (mean win divided by mean loss)")
        self._positive("payoff", "fraction", "cap")
        if not 0 <= self.p.win_rate <= 1:
            raise ConfigError(f"Kelly: win_rate must be between 0 and 1, not {self.p.win_rate!r}")

    def units(self, price: float, mult: float, data: Any) -> float:
        share = min(kelly_fraction(self.p.win_rate, self.p.payoff) * self.p.fraction, self.p.cap / 100)
        return float(self.broker.getvalue() * share / (price * mult))


class MarginShare(_Lots):
    """As many units as tie up a share of the money that is free: of a future or a sold option its margin.

    On a broker that knows no margins a unit ties up its price.

    Params:

      - ``percent`` (50.0): per cent of the free cash that one order may tie up
    """

    params = (("percent", 50.0),)
    pays_in_full = False

    def __init__(self) -> None:
        self._positive("percent")

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> int:
        self._cash, self._isbuy = cash, isbuy
        return super()._getsizing(comminfo, cash, data, isbuy)

    def units(self, price: float, mult: float, data: Any) -> float:
        ask = getattr(self.broker, "margin_of_unit", None)
        each = ask(data, self._isbuy) if ask is not None else price * mult
        return float(self._cash * self.p.percent / 100 / each) if each > 0 else 0.0
