"""Canned bars for strategy tests: by name, by closes, by rows, from a file.

``bars("breakout")`` gives one session of minutes on a real trading day, anchored at the session's open as
Kite's are. Shapes are drawn, not random: the same name is the same bars, always. Every price is on a tick
of ₹0.05. A shape that has a *moment* (a gap, a spike …) has it in the middle, or, with several sessions,
at the open of the last one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..market.calendar import calendar
from ..market.intervals import parse_interval
from ..series import Candles, moment

SYMBOL = "NSE:TEST"
DAY = date(2026, 11, 18)
"""A Wednesday without anything special about it."""

PRICE = 1000.0
DAY_BARS = 60
"""Bars of a series of day bars that is not told how many."""

_TICK = 0.05
_VOLUME = 1000.0
_PER_SESSION = 375

Row = float | Sequence[float] | None
"""A close; or open, high, low, close (and volume, and open interest); or None for a bar that is missing."""

_Ticks = tuple[int, int, int, int]
_Shape = Callable[[int, int, int], list["_Ticks | None"]]


def _path(closes: Iterable[int], start: int, wick: int = 0) -> list[_Ticks | None]:
    """Each bar opens at the close before it; wicks stick out by ``wick`` ticks."""
    rows: list[_Ticks | None] = []
    before = start
    for close in closes:
        rows.append((before, max(before, close) + wick, min(before, close) - wick, close))
        before = close
    return rows


def _flat(price: int, count: int, at: int) -> list[_Ticks | None]:
    return _path([price] * count, price)


def _trend(share: float) -> _Shape:
    def draw(price: int, count: int, at: int) -> list[_Ticks | None]:
        return _path([price + round(share * price * (n + 1) / count) for n in range(count)], price, wick=1)

    return draw


def _gap(share: float) -> _Shape:
    def draw(price: int, count: int, at: int) -> list[_Ticks | None]:
        after = price + round(share * price)
        return _path([price] * at, price) + _path([after] * (count - at), after)

    return draw


def _turn(share: float) -> _Shape:
    """One way by ``share`` until the moment, then back to where it came from."""

    def draw(price: int, count: int, at: int) -> list[_Ticks | None]:
        far = round(share * price)
        there = [price + round(far * (n + 1) / at) for n in range(at)]
        back = [price + far - round(far * (n + 1) / (count - at)) for n in range(count - at)]
        return _path(there + back, price, wick=1)

    return draw


def _whipsaw(price: int, count: int, at: int) -> list[_Ticks | None]:
    step = max(1, round(price * 0.002))
    height = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -4, -3, -2, -1]
    return _path([price + step * height[(n + 1) % len(height)] for n in range(count)], price, wick=1)


def _sideways(price: int, count: int, at: int) -> list[_Ticks | None]:
    return _path([price + round(price * 0.01 * math.sin(n * math.tau / 40)) for n in range(count)], price, wick=1)


def _breakout(price: int, count: int, at: int) -> list[_Ticks | None]:
    edge = round(price * 0.003)
    narrow = [price + (edge if n % 2 else -edge) for n in range(min(at, 30))]
    quiet = [price] * (at - len(narrow))
    run = [price + edge + (n + 1) * max(1, round(price * 0.0005)) for n in range(count - at)]
    return _path([*narrow, *quiet, *run], price)


def _one_bar(open_: float, high: float, low: float, close: float) -> _Shape:
    """Flat, but for one bar at the moment; figures are shares of the price."""

    def draw(price: int, count: int, at: int) -> list[_Ticks | None]:
        odd = tuple(price + round(price * share) for share in (open_, high, low, close))
        return [odd if n == at else (price, price, price, price) for n in range(count)]  # type: ignore[misc]

    return draw


def _holes(price: int, count: int, at: int) -> list[_Ticks | None]:
    rows = _trend(0.05)(price, count, at)
    return [None if n % 7 == 3 else row for n, row in enumerate(rows)]


SHAPES: dict[str, tuple[_Shape, str]] = {
    "flat": (_flat, "nothing moves"),
    "uptrend": (_trend(0.2), "rises by a fifth, evenly"),
    "downtrend": (_trend(-0.2), "falls by a fifth, evenly"),
    "gap_up": (_gap(0.03), "flat, then opens 3 % higher and stays there"),
    "gap_down": (_gap(-0.03), "flat, then opens 3 % lower and stays there"),
    "v_shape": (_turn(-0.1), "falls by a tenth, then rises back"),
    "peak": (_turn(0.1), "rises by a tenth, then falls back"),
    "whipsaw": (_whipsaw, "1 % up and down every 20 bars, to fool crossovers"),
    "sideways": (_sideways, "a sine of 1 % that takes 40 bars"),
    "breakout": (_breakout, "half an hour within 0.3 %, then flat, then up and away"),
    "stop_and_target": (
        _one_bar(0.0, 0.02, -0.02, 0.001),
        "flat, but one bar reaches 2 % both ways and closes up: its low is printed first",
    ),
    "target_and_stop": (
        _one_bar(0.0, 0.02, -0.02, -0.001),
        "flat, but one bar reaches 2 % both ways and closes down: its high is printed first",
    ),
    "spike": (_one_bar(0.0, 0.05, 0.0, 0.0), "flat, but one bar touches 5 % above"),
    "crash": (_one_bar(0.0, 0.0, -0.05, 0.0), "flat, but one bar touches 5 % below"),
    "holes": (_holes, "rises by a twentieth; every seventh bar is missing"),
}
"""What ``bars(name)`` can draw, and in words. Add a shape here and it is offered, and documented, everywhere."""


def starts(
    symbol: str, interval: str, day: date | datetime | str, sessions: int | None, count: int | None
) -> list[datetime]:
    """Bar starts on the exchange's own grid from the first session at or after ``day``.

    With ``count``, so many bars over as many sessions as they need; else ``sessions`` sessions (of day bars:
    so many bars).

    :raises ConfigError: if there is no such exchange, interval or day.
    """
    exchange = symbol.partition(":")[0]
    grid = parse_interval(interval)
    if count is None and sessions is None:
        count, sessions = (None, 1) if grid.intraday else (DAY_BARS, None)
    if (count is not None and count < 1) or (sessions is not None and sessions < 1):
        raise ConfigError(f"canned bars: count {count} and sessions {sessions} must be 1 or more")
    if count is not None and sessions is not None:
        raise ConfigError("canned bars: give count or sessions, not both")
    known = calendar()
    first = moment(day)
    assert first is not None
    today = first.date()
    if known.session(exchange, today) is None:
        raise ConfigError(
            f"canned bars: {exchange} does not trade on {today}; the next session is on "
            f"{known.next_session_day(exchange, today)}"
        )
    found: list[datetime] = []
    played = 0
    while True:
        session = known.session(exchange, today)
        assert session is not None
        found += _of_day(exchange, today, str(grid), session.open, session.close)
        played += 1
        if count is not None and len(found) >= count:
            return found[:count]
        if sessions is not None and played == sessions:
            return found
        today = known.next_session_day(exchange, today)


def _of_day(exchange: str, day: date, interval: str, opens: datetime, closes: datetime) -> list[datetime]:
    if interval == "day":
        return [datetime(day.year, day.month, day.day)]
    found: list[datetime] = []
    at = opens
    while at < closes:
        start = calendar().bar_start(exchange, at, interval)
        end = calendar().bar_end(exchange, at, interval)
        if start is not None and (not found or start > found[-1]):
            found.append(start)
        at = end
    return found


def _candles(symbol: str, interval: str, rows: Sequence[Row], at: Sequence[datetime], source: str) -> Candles:
    columns: dict[str, list[Any]] = {name: [] for name in ("date", "open", "high", "low", "close", "volume", "oi")}
    before: float | None = None
    for number, (start, row) in enumerate(zip(at, rows, strict=True)):
        if row is None:
            continue
        open_, high, low, close, volume, oi = _six(row, before, number)
        before = close
        for name, value in zip(columns, (start, open_, high, low, close, volume, oi), strict=True):
            columns[name].append(value)
    return Candles.of(symbol, str(parse_interval(interval)), columns, source=source)


def _six(row: float | Sequence[float], before: float | None, number: int) -> tuple[float, ...]:
    if isinstance(row, (int, float)):
        close = float(row)
        open_ = close if before is None else before
        return open_, max(open_, close), min(open_, close), close, _VOLUME, 0.0
    values = [float(value) for value in row]
    if not 4 <= len(values) <= 6:
        raise ConfigError(
            f"canned bars: row {number + 1} has {len(values)} figures; give a close, or open, high, low, close "
            "(and volume, and open interest), or None for a missing bar"
        )
    return (*values, *(_VOLUME, 0.0)[len(values) - 4 :])


class Bars:
    """Makes :class:`~btkite.series.Candles` for tests: call it with a name, or use ``from_…``.

    What they share: ``symbol`` (``EXCHANGE:TRADINGSYMBOL``, its exchange's calendar is the grid),
    ``interval`` (Kite's), ``day`` (of the first bar; a trading day).
    """

    names: tuple[str, ...] = tuple(SHAPES)

    def __call__(
        self,
        name: str,
        *,
        interval: str = "minute",
        symbol: str = SYMBOL,
        day: date | datetime | str = DAY,
        sessions: int | None = None,
        count: int | None = None,
        price: float = PRICE,
    ) -> Candles:
        """The shape ``name`` (see :data:`SHAPES`) around ``price`` ₹.

        One session of bars, or 60 day bars, unless ``sessions`` or ``count`` (bars) says otherwise.

        :raises ConfigError: for an unknown name, with the nearest one.
        """
        if name not in SHAPES:
            near = difflib.get_close_matches(name, SHAPES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"there are no canned bars {name!r}; {hint}there are {', '.join(SHAPES)}")
        at = starts(symbol, interval, day, sessions, count)
        days = [start.date() for start in at]
        turn = days.index(days[-1]) if interval != "day" and days[0] != days[-1] else len(at) // 2
        drawn = SHAPES[name][0](round(price / _TICK), len(at), turn)
        rows = [None if row is None else tuple(round(ticks * _TICK, 2) for ticks in row) for row in drawn]
        return _candles(symbol, interval, rows, at, f"canned {name}")

    def from_closes(
        self,
        closes: Iterable[float | None],
        *,
        interval: str = "minute",
        symbol: str = SYMBOL,
        day: date | datetime | str = DAY,
    ) -> Candles:
        """One bar per close; each opens at the close before it. None leaves a bar out."""
        return self.from_rows(list(closes), interval=interval, symbol=symbol, day=day)

    def from_rows(
        self,
        rows: Iterable[Row],
        *,
        interval: str = "minute",
        symbol: str = SYMBOL,
        day: date | datetime | str = DAY,
    ) -> Candles:
        """One bar per row: a close; or open, high, low, close (and volume, and open interest); or None.

        :raises DataError: for a row that is no candle (a high below the close …), with its number.
        """
        given = list(rows)
        at = starts(symbol, interval, day, None, len(given)) if given else []
        return _candles(symbol, interval, given, at, "rows")

    def from_csv(self, path: str | Path, *, symbol: str | None = None, interval: str | None = None) -> Candles:
        """A CSV or Parquet file in Kite's columns (``date`` is a bar's start); the file's name tells symbol and
        interval if they are not given.

        :raises DataError: if it is not there or holds no candles, or several series.
        """
        from ..files import named, read_file

        told = named(Path(path))
        key = symbol or (f"{told.exchange or 'NSE'}:{told.symbol}" if told.symbol else SYMBOL)
        series = read_file(path, key, interval)
        if symbol is not None:
            series = [read for read in series if len(series) == 1 or read.candles.key == symbol]
        if len(series) != 1:
            keys = ", ".join(read.candles.key for read in series)
            raise ConfigError(f"{Path(path).name} holds several series: say symbol=, one of {keys}")
        return replace(series[0].candles, key=key) if symbol is not None else series[0].candles


bars = Bars()
