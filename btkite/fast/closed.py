"""backtrader's analyzers, and our curve of the account, over many steps at once.

The same figures in the same operations, in the analyzers' own attributes, so that each can be left and taken up at
any step. Only of these very classes; an analyzer of someone's own is called bar by bar.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from ..analyzers import Equity
from .curve import Curve, Money
from .periods import Periods, is_known, periods_of
from .timeline import Timeline

_an = bt.analyzers


@dataclass(slots=True)
class Range:
    """The steps from ``begin`` to before ``end``, and all that is known of them."""

    begin: int
    end: int
    money: Money
    when: NDArray[np.datetime64]
    curve: Curve
    timeline: Timeline
    periods: Callable[[Any], Periods]
    first: int
    """The first step with a ``next()``; beyond the last if there was none."""
    shared: dict[int, Any]
    """What a child leaves for its parent, by the child's ``id``."""

    def values(self, analyzer: Any) -> Any:
        """The value of the account, or of the fund, as the analyzer's mode says."""
        return self.money.fund if analyzer._fundmode else self.money.value

    def turns(self, analyzer: Any) -> tuple[list[int], list[tuple[Any, Any]]]:
        """The steps of the range that begin a period (counted from ``begin``), and the periods' keys."""
        periods = self.periods(analyzer)
        rows = periods.rows(self.begin, self.end)
        keys = periods.keys[rows]
        before = (analyzer.dtcmp, analyzer.dtkey)
        if keys:
            analyzer.dtcmp1, analyzer.dtkey1 = keys[-2] if len(keys) > 1 else before
            analyzer.dtcmp, analyzer.dtkey = keys[-1]
        return (periods.starts[rows] - self.begin).tolist(), keys


def drawdown(a: Any, r: Range) -> None:
    values = r.values(a)
    peaks = np.maximum.accumulate(np.concatenate(([a._maxvalue], values)))[1:]
    if not peaks.all():
        raise ZeroDivisionError("float division by zero")
    money = peaks - values
    downs = 100.0 * money / peaks
    a._value, a._maxvalue = float(values[-1]), float(peaks[-1])
    rets = a.rets
    rets.moneydown, rets.drawdown = float(money[-1]), float(downs[-1])
    rets.max.moneydown = max(rets.max.moneydown, float(money.max()))
    rets.max.drawdown = max(rets.max.drawdown, float(downs.max()))
    steps = np.arange(len(downs))
    last_top = np.maximum.accumulate(np.where(downs == 0.0, steps, -1))
    lengths = np.where(last_top < 0, rets.len + steps + 1, steps - last_top)
    rets.len = int(lengths[-1])
    rets.max.len = max(rets.max.len, int(lengths.max()))


def time_drawdown(a: Any, r: Range) -> None:
    values = r.values(a)
    starts, _ = r.turns(a)
    worst = []
    for value in values[starts].tolist():
        if value > a.peak:
            a.peak, a.ddlen = value, 0
        a.dd = 100.0 * (a.peak - value) / a.peak
        a.ddlen += bool(a.dd)
        a.maxdd = max(a.maxdd, a.dd)
        a.maxddlen = max(a.maxddlen, a.ddlen)
        worst.append(a.maxdd)
    r.shared[id(a)] = worst


def calmar(a: Any, r: Range) -> None:
    values = r.values(a)
    starts, keys = r.turns(a)
    for value, worst, (_, key) in zip(values[starts].tolist(), r.shared[id(a._maxdd)], keys, strict=True):
        a._mdd = max(a._mdd, worst)
        a._values.append(value)
        rann = math.log(a._values[-1] / a._values[0]) / len(a._values)
        a.calmar = a.rets[key] = rann / (a._mdd or float("inf"))


def time_return(a: Any, r: Range) -> None:
    values = r.values(a)
    key = a.dtkey
    starts, keys = r.turns(a)
    if not starts or starts[0] > 0:  # the period under way goes on
        last = float(values[starts[0] - 1 if starts else -1])
        a.rets[key] = last / a._value_start - 1.0
        a._lastvalue = last
    if starts:
        ends = values[[start - 1 for start in starts[1:]] + [len(values) - 1]]
        begun = np.concatenate(([a._lastvalue], ends[:-1]))
        if not begun.all():
            raise ZeroDivisionError("float division by zero")
        a.rets.update(zip((key for _, key in keys), (ends / begun - 1.0).tolist(), strict=True))
        a._value_start, a._lastvalue = float(begun[-1]), float(ends[-1])
    a._value = float(values[-1])


def returns(a: Any, r: Range) -> None:
    starts, _ = r.turns(a)
    a._tcount += len(starts)


def log_returns(a: Any, r: Range) -> None:
    values = r.values(a)
    key = a.dtkey
    starts, keys = r.turns(a)
    if not starts or starts[0] > 0:
        last = float(values[starts[0] - 1 if starts else -1])
        a.rets[key] = math.log(last / a._values[0])
        a._lastvalue = last
    if starts:
        ends = values[[start - 1 for start in starts[1:]] + [len(values) - 1]].tolist()
        for (_, key), last in zip(keys, ends, strict=True):
            a._values.append(a._lastvalue)
            a.rets[key] = math.log(last / a._values[0])
            a._lastvalue = last
    a._value = float(values[-1])


def vwr(a: Any, r: Range) -> None:
    values = r.values(a)
    starts, _ = r.turns(a)
    seen = values[starts].tolist()
    if seen:
        a._pns[-1] = seen[0]
        a._pis.extend(seen)
        a._pns.extend(seen[1:])
        a._pns.append(None)
    if not starts or starts[-1] < len(values) - 1:
        a._pns[-1] = float(values[-1])


def gross_leverage(a: Any, r: Range) -> None:
    values = r.values(a)
    if not values.all():
        raise ZeroDivisionError("float division by zero")
    cash = r.money.cash
    a._cash, a._value = float(cash[-1]), float(values[-1])
    course = r.timeline.course_of[id(a.data0)]
    when = r.when[r.begin : r.end]
    if course.at is not None:
        when = r.when[course.steps][course.at[r.begin : r.end]]
    a.rets.update(zip(when.tolist(), ((values - cash) / values).tolist(), strict=True))


def positions_value(a: Any, r: Range) -> None:
    columns = []
    for data in a.datas:
        columns.append(r.curve.worth(data, r.begin, r.end).tolist())
    if a.p.cash:
        columns.append(r.money.cash.tolist())
    when = r.when[r.begin : r.end]
    keys = (when.astype("datetime64[D]") if a._usedate else when).tolist()
    a.rets.update(zip(keys, map(list, zip(*columns, strict=True)), strict=True))


def equity(a: Any, r: Range) -> None:
    begin = r.begin if a.p.warmup else max(r.begin, r.first)
    if begin >= r.end:
        return
    rows = slice(begin - r.begin, None)
    a._traded = False
    a.times.frombytes(r.timeline.stamps[begin : r.end].tobytes())
    a.values.frombytes(r.money.value[rows].tobytes())
    a.cash.frombytes(r.money.cash[rows].tobytes())
    held = np.zeros(r.end - begin, dtype=a.positions.typecode)
    for data in a.strategy.datas:
        held += r.curve.positions(data, begin, r.end)[0] != 0.0
    a.positions.frombytes(held.tobytes())


CLOSED: dict[type, Callable[[Any, Range], None]] = {
    _an.DrawDown: drawdown,
    _an.TimeDrawDown: time_drawdown,
    _an.Calmar: calmar,
    _an.TimeReturn: time_return,
    _an.Returns: returns,
    _an.LogReturnsRolling: log_returns,
    _an.VWR: vwr,
    _an.GrossLeverage: gross_leverage,
    _an.PositionsValue: positions_value,
    Equity: equity,
}
ON_ORDERS = frozenset({_an.Transactions})
"""Their ``next()`` does something only after news of an order."""


def can_sleep(analyzer: Any, strategy: Any, feeds: Sequence[Any]) -> bool:
    """Whether its closed form covers what it was asked for."""
    kind = type(analyzer)
    if kind not in CLOSED or strategy.lines.datetime._tz is not None:
        return False
    if {"next", "prenext", "nextstart", "notify_fund", "notify_cashvalue", "_next"} & analyzer.__dict__.keys():
        return False
    if isinstance(analyzer, bt.TimeFrameAnalyzerBase):
        if not is_known(analyzer.timeframe) or not analyzer.p._doprenext:
            return False
        if getattr(analyzer.p, "data", None) is not None:
            return False
    if kind is _an.GrossLeverage and analyzer.data0.lines.datetime._tz is not None:
        return False
    return all(any(data is feed for feed in feeds) for data in analyzer.datas)


def by_periods(when: NDArray[np.datetime64]) -> Callable[[Any], Periods]:
    """:func:`~.periods.periods_of`, worked out once for each length of period."""
    known: dict[tuple[int, int], Periods] = {}

    def find(analyzer: Any) -> Periods:
        key = (analyzer.timeframe, analyzer.compression)
        if key not in known:
            known[key] = periods_of(analyzer, when)
        return known[key]

    return find
