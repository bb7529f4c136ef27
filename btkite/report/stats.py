"""A run in figures. Pure functions from equity, trades and orders to numbers.

What cannot be computed is None (shown as ``–``), never nan: a rate of no trades, a Sharpe ratio of a
curve that does not move, an annual growth of one afternoon. Money is rupees, rates are per cent.
:data:`FIGURES` says for every figure its label, its kind and what it means; ``docs/results.md`` repeats
it for readers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

TRADING_DAYS = 252
DAYS_A_YEAR = 365.25
ENOUGH_DAYS = 30  # calendar days below which a year's figure says nothing
FLAT = 1e-12  # a deviation of daily returns below this is the noise of binary fractions


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the statistics. ``kind``: rupees, percent, ratio, count, days, time."""

    key: str
    label: str
    kind: str
    meaning: str


FIGURES = (
    Figure("start", "From", "time", "the first bar of the run, after the warm-up"),
    Figure("end", "To", "time", "the last bar of the run"),
    Figure("days", "Days", "days", "calendar days from the first bar to the last"),
    Figure("start_value", "Start value", "rupees", "the broker's value before the first bar"),
    Figure("end_value", "End value", "rupees", "the broker's value after the last bar"),
    Figure("return_rupees", "Return (₹)", "rupees", "end value less start value"),
    Figure("return_percent", "Return (%)", "percent", "of the start value"),
    Figure("cagr_percent", "Growth a year", "percent", "CAGR over the actual days; none under 30 days"),
    Figure(
        "sharpe",
        "Sharpe ratio",
        "ratio",
        "daily returns x sqrt(252), rate 0, sample deviation; none under 30 days",
    ),
    Figure("max_drawdown_percent", "Drawdown (%)", "percent", "largest fall from a peak, of the peak"),
    Figure("max_drawdown_rupees", "Drawdown (₹)", "rupees", "the same fall in rupees"),
    Figure("drawdown_start", "Drawdown from", "time", "the peak before it"),
    Figure("drawdown_trough", "Drawdown trough", "time", "its lowest bar"),
    Figure("drawdown_recovery", "Drawdown until", "time", "the first bar back at the peak; none: not yet"),
    Figure("trades", "Trades", "count", "closed trades"),
    Figure("win_rate_percent", "Win rate", "percent", "trades that gained after charges"),
    Figure("profit_factor", "Profit factor", "ratio", "gains / losses after charges; none without a loss"),
    Figure("average_trade_rupees", "Average trade", "rupees", "mean result of a trade after charges"),
    Figure("best_trade_rupees", "Best trade", "rupees", "after charges"),
    Figure("worst_trade_rupees", "Worst trade", "rupees", "after charges"),
    Figure("gross_rupees", "Before charges", "rupees", "the return before charges: return plus charges"),
    Figure("charges_rupees", "Charges", "rupees", "brokerage, taxes and fees of all orders"),
    Figure("charges_percent", "Charges (%)", "percent", "of the return before charges; none unless that is above 0"),
    Figure("exposure_percent", "Exposure", "percent", "bars that ended with an open position"),
    Figure("orders", "Orders", "count", "orders given in this run, denied ones included"),
    Figure("denials", "Denials", "count", "orders that btkite's own gate refused"),
)


def statistics(
    equity: pd.DataFrame,
    trades: pd.DataFrame,
    orders: pd.DataFrame,
    *,
    start_value: float | None = None,
) -> pd.Series:
    """All of :data:`FIGURES`, in that order, from the frames that the analyzers make.

    :param start_value: the broker's value before the first bar, ₹; if None, that of the first bar.
    """
    import pandas as pd

    values = equity["value"].to_numpy(dtype="float64").tolist()
    times = _Times(equity["datetime"])
    first = start_value if start_value is not None else (values[0] if values else None)
    charges = _total(orders["commission"])
    days = times.last_of_days()
    found: dict[str, Any] = {
        **_period(times),
        **_growth(times, values, first),
        "sharpe": sharpe([times[at] for at in days], [values[at] for at in days], first) if _long(times) else None,
        **drawdown(times, values, first),
        **_trades([float(result) for result in trades["pnlcomm"]]),
        **_charges(values, first, charges),
        "exposure_percent": exposure(equity),
        "orders": int((~orders["adopted"].astype(bool)).sum()),
        "denials": int((orders["denied"] != "").sum()),
    }
    keys = [figure.key for figure in FIGURES]
    return pd.Series([found[key] for key in keys], index=keys, dtype=object, name="stats")


class _Times(Sequence[datetime]):
    """A column of times, each of which becomes a datetime when it is looked at: of a million, a dozen are."""

    def __init__(self, column: pd.Series) -> None:
        self._column = column.to_numpy().astype("datetime64[us]")

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, at: Any) -> Any:
        return self._column[at].tolist()

    def last_of_days(self) -> list[int]:
        """Of each day, where its last time stands; a day that is left and comes again counts once, as its last."""
        import numpy as np

        days = self._column.astype("datetime64[D]")
        if (days[1:] >= days[:-1]).all():
            return np.flatnonzero(np.append(days[1:] != days[:-1], len(days) > 0)).tolist()
        found = {day: at for at, day in enumerate(days.tolist())}
        return list(found.values())


def _period(times: Sequence[datetime]) -> dict[str, Any]:
    if not times:
        return {"start": None, "end": None, "days": None}
    return {"start": times[0], "end": times[-1], "days": (times[-1].date() - times[0].date()).days}


def _growth(times: Sequence[datetime], values: Sequence[float], first: float | None) -> dict[str, Any]:
    if not values or first is None:
        return dict.fromkeys(
            ("start_value", "end_value", "return_rupees", "return_percent", "cagr_percent"),
        ) | {"start_value": first}
    last = values[-1]
    return {
        "start_value": first,
        "end_value": last,
        "return_rupees": last - first,
        "return_percent": (last / first - 1) * 100 if first > 0 else None,
        "cagr_percent": cagr(first, last, times[0], times[-1]) if _long(times) else None,
    }


def _long(times: Sequence[datetime]) -> bool:
    return bool(times) and (times[-1].date() - times[0].date()).days >= ENOUGH_DAYS


def cagr(first: float, last: float, start: datetime, end: datetime) -> float | None:
    """Compound annual growth in per cent over the actual time; None under one day."""
    days = (end - start).total_seconds() / 86_400
    if days < 1 or first <= 0:
        return None
    if last <= 0:
        return -100.0
    try:
        return float((last / first) ** (DAYS_A_YEAR / days) - 1) * 100
    except OverflowError:  # a fortune in a day: no figure says more than the return itself
        return None


def daily_closes(equity: pd.DataFrame) -> list[float]:
    """The account's value at the end of each day."""
    values = equity["value"].to_numpy(dtype="float64").tolist()
    return [values[at] for at in _Times(equity["datetime"]).last_of_days()]


def daily_values(times: Sequence[datetime], values: Sequence[float]) -> dict[date, float]:
    """The last value of each day."""
    return {moment.date(): value for moment, value in zip(times, values, strict=True)}


def sharpe(times: Sequence[datetime], values: Sequence[float], first: float | None) -> float | None:
    """Annual Sharpe ratio of daily returns: 252 days, risk-free rate 0, sample deviation.

    The first day's return counts from the start value. None with fewer than two days or no variance.
    """
    closes = list(daily_values(times, values).values())
    if first is not None:
        closes.insert(0, first)
    if any(value <= 0 for value in closes[:-1]):
        return None
    returns = [after / before - 1 for before, after in pairwise(closes)]
    if len(returns) < 2:
        return None
    mean = math.fsum(returns) / len(returns)
    deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (len(returns) - 1))
    return mean / deviation * math.sqrt(TRADING_DAYS) if deviation > FLAT else None


def drawdown(times: Sequence[datetime], values: Sequence[float], first: float | None) -> dict[str, Any]:
    """The deepest fall (by per cent) from a peak, with the times of peak, trough and recovery.

    The start value counts as a peak; its time is then the first bar's.
    """
    nothing = dict.fromkeys(("drawdown_start", "drawdown_trough", "drawdown_recovery"))
    if not values:
        return {"max_drawdown_percent": None, "max_drawdown_rupees": None, **nothing}
    import numpy as np

    start = first if first is not None else values[0]
    curve = np.array(values, dtype=np.float64)
    peaks = np.maximum.accumulate(np.append(start, curve))[1:]
    falls = np.zeros(len(curve))
    np.divide(peaks - curve, peaks, out=falls, where=peaks > 0)
    trough = int(np.argmax(falls))
    deepest = float(falls[trough])
    if not deepest > 0:
        return {"max_drawdown_percent": 0.0, "max_drawdown_rupees": 0.0, **nothing}
    top = float(peaks[trough])
    at_top = np.flatnonzero(curve[:trough] == top)
    begin = int(at_top[-1]) if len(at_top) else 0  # none: the start value, at the first bar
    later = np.flatnonzero(curve[trough + 1 :] >= top)
    back = trough + 1 + int(later[0]) if len(later) else None
    return {
        "max_drawdown_percent": deepest * 100,
        "max_drawdown_rupees": top - values[trough],
        "drawdown_start": times[begin],
        "drawdown_trough": times[trough],
        "drawdown_recovery": None if back is None else times[back],
    }


def _trades(results: Sequence[float]) -> dict[str, Any]:
    if not results:
        return {"trades": 0} | dict.fromkeys(
            (
                "win_rate_percent",
                "profit_factor",
                "average_trade_rupees",
                "best_trade_rupees",
                "worst_trade_rupees",
            )
        )
    gains = math.fsum(result for result in results if result > 0)
    losses = -math.fsum(result for result in results if result < 0)
    return {
        "trades": len(results),
        "win_rate_percent": sum(result > 0 for result in results) / len(results) * 100,
        "profit_factor": gains / losses if losses > 0 else None,
        "average_trade_rupees": math.fsum(results) / len(results),
        "best_trade_rupees": max(results),
        "worst_trade_rupees": min(results),
    }


def _charges(values: Sequence[float], first: float | None, charges: float) -> dict[str, Any]:
    if not values or first is None:
        return {"gross_rupees": None, "charges_rupees": charges, "charges_percent": None}
    gross = values[-1] - first + charges
    return {
        "gross_rupees": gross,
        "charges_rupees": charges,
        "charges_percent": charges / gross * 100 if gross > 0 else None,
    }


def exposure(equity: pd.DataFrame) -> float | None:
    """Per cent of bars that ended with an open position."""
    return float((equity["positions"] > 0).mean() * 100) if len(equity) else None


def _total(column: Any) -> float:
    return math.fsum(float(value) for value in column if value == value and value is not None)
