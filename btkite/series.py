"""Candles in memory: one series as numpy columns, ready for backtrader's line buffers.

A bar is stamped at its **start** in naive IST, as Kite does. Kite groups its higher intervals from
minutes, anchored at the session's open; :func:`aggregate` does the same. The sessions come in as a
function, because the calendar lives in a room of its own.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .clock import to_ist
from .errors import ConfigError, DataError
from .values import INTERVALS

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[Any]
Range = tuple[datetime, datetime]
"""From inclusive, to exclusive, naive IST; bars are in it by their start."""

Windows = Callable[[date], Sequence[Range]]
"""The trading windows of one instrument on a date, in order; empty when it does not trade."""

PRICES = ("open", "high", "low", "close")
COLUMNS = ("date", *PRICES, "volume", "oi")
_SECOND = np.timedelta64(1, "s")


def check_interval(interval: str) -> str:
    """The interval itself. Raises ConfigError if Kite has no such interval."""
    if interval in INTERVALS:
        return interval
    near = difflib.get_close_matches(str(interval), INTERVALS, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"interval {interval!r} is unknown: use one of {', '.join(INTERVALS)}{hint}")


@overload
def moment(value: None, *, end: bool = False) -> None: ...
@overload
def moment(value: datetime | date | str, *, end: bool = False) -> datetime: ...
@overload
def moment(value: datetime | date | str | None, *, end: bool = False) -> datetime | None: ...
def moment(value: datetime | date | str | None, *, end: bool = False) -> datetime | None:
    """What a user may write for a time, as naive IST: a datetime, a date, or either as ISO text.

    A date means its midnight; with ``end`` the midnight after it, so that the last day is included.
    """
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
        except ValueError as error:
            raise ConfigError(f"{value!r} is not a date: write 2026-11-23 or 2026-11-23 09:15") from error
    if isinstance(value, datetime):
        return to_ist(value)
    return datetime(value.year, value.month, value.day) + timedelta(days=1 if end else 0)


def check_range(
    start: datetime | date | str | None, end: datetime | date | str | None
) -> tuple[datetime | None, datetime | None]:
    """Both as :func:`moment` reads them. Raises ConfigError, with what was written, if nothing lies between them."""
    begin, finish = moment(start), moment(end, end=True)
    if begin is not None and finish is not None and begin >= finish:
        raise ConfigError(f"the range from {start} to {end} is empty: the end must come after the start")
    return begin, finish


def lookback(interval: str, bars: int) -> timedelta:
    """How far back ``bars`` bars usually reach, generously: nights, weekends, and two weeks of holidays."""
    share = 2 if interval == "day" else 6  # a session is a quarter of a day on five days of seven
    return timedelta(days=14, seconds=share * bars * INTERVALS[check_interval(interval)]) if bars else timedelta()


def stamp(value: datetime) -> np.datetime64:
    """A naive IST datetime as numpy keeps it, in seconds."""
    return np.datetime64(value, "s")


def date_numbers(moments: Array) -> Array:
    """``backtrader.date2num`` of a whole column, equal to the last bit.

    date2num sums the day's ordinal and the fractions of hour, minute and second exactly and rounds
    once. Doubles between 2**19 and 2**20 (the years 1436 to 2871) are evenly spaced, so the rounded
    fraction depends on the time of day alone and can be looked up.
    """
    seconds = moments.astype("datetime64[s]", copy=False).view(np.int64)
    days = seconds // 86400
    times = days * -86400
    times += seconds
    used = np.zeros(86400, dtype=bool)
    used[times] = True
    base = float(1 << 19)
    fractions = np.empty(86400)
    for second in np.flatnonzero(used).tolist():
        parts = (base, (second // 3600) / 24.0, (second // 60 % 60) / 1440.0, (second % 60) / 86400.0)
        fractions[second] = math.fsum(parts) - base
    numbers = np.asarray(fractions[times])
    days += 719163
    numbers += days
    return numbers


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """One instrument's candles of one interval, oldest first.

    ``start`` is datetime64[s] in naive IST, all other columns are float64: prices in rupees, volume
    and open interest in units (lots on MCX). ``source`` says in words where they came from. Build
    it with :meth:`of`, which checks; the plain constructor trusts.
    """

    key: str
    interval: str
    start: Array
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    oi: Array
    source: str = ""

    @classmethod
    def of(
        cls, key: str, interval: str, columns: Mapping[str, Any], *, source: str = "", tidy: bool = False
    ) -> Candles:
        """Checked candles from columns named as Kite names them (``date``; volume and oi may lack).

        ``tidy`` puts the rows in order and drops repeated equal ones first. Raises DataError with
        the first offending row.
        """
        check_interval(interval)
        starts = np.asarray(columns["date"]).astype("datetime64[s]")
        zeros = np.zeros(len(starts))
        values = [
            starts,
            *(np.asarray(columns[name], dtype=np.float64) for name in PRICES),
            *(np.asarray(columns.get(name, zeros), dtype=np.float64) for name in ("volume", "oi")),
        ]
        if any(len(column) != len(starts) for column in values):
            raise DataError(f"{key} {interval}: the columns have different lengths")
        if tidy:
            values = _tidied(values)
        start, open_, high, low, close, volume, oi = values
        candles = cls(key, interval, start, open_, high, low, close, volume, oi, source)
        candles.check()
        return candles

    @classmethod
    def empty(cls, key: str, interval: str) -> Candles:
        """No bars."""
        none = np.empty(0)
        return cls(key, interval, np.empty(0, "datetime64[s]"), none, none, none, none, none, none)

    def check(self) -> None:
        """Raises DataError at the first row that is out of order, not finite, or no candle at all."""
        for name in (*PRICES, "volume", "oi"):
            self._refuse(~np.isfinite(getattr(self, name)), f"{name} is missing or not a number")
        if len(self.start) > 1:
            late = np.concatenate(([False], self.start[1:] <= self.start[:-1]))
            self._refuse(late, "is not after the row before it; sort by date and drop what is repeated")
        self._refuse(np.isnat(self.start), "date is missing")
        self._refuse(self.high < np.maximum(self.open, self.close), "high is below open or close")
        self._refuse(self.low > np.minimum(self.open, self.close), "low is above open or close")

    def _refuse(self, bad: Array, what: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            numbers = ", ".join(f"{name} {getattr(self, name)[row]:g}" for name in PRICES)
            when = str(self.start[row]).replace("T", " ")
            raise DataError(f"{self.key} {self.interval}, row {row + 1} ({when}): {what} ({numbers})")

    def __len__(self) -> int:
        return len(self.start)

    @property
    def first(self) -> datetime:
        """Start of the first bar."""
        return _datetime(self.start[0])

    @property
    def last(self) -> datetime:
        """Start of the last bar."""
        return _datetime(self.start[-1])

    def __getitem__(self, rows: slice) -> Candles:
        return replace(
            self,
            start=self.start[rows],
            open=self.open[rows],
            high=self.high[rows],
            low=self.low[rows],
            close=self.close[rows],
            volume=self.volume[rows],
            oi=self.oi[rows],
        )

    def between(self, start: datetime | None, end: datetime | None, *, warmup_bars: int = 0) -> Candles:
        """Bars that start in [start, end), and up to ``warmup_bars`` bars right before ``start``."""
        low = 0 if start is None else int(np.searchsorted(self.start, stamp(start), side="left"))
        high = len(self) if end is None else int(np.searchsorted(self.start, stamp(end), side="left"))
        return self[max(0, low - warmup_bars) : max(low, high)]

    def tail(self, count: int) -> Candles:
        """The last ``count`` bars."""
        return self[max(0, len(self) - count) :]

    def columns(self) -> dict[str, Array]:
        """The columns under Kite's names."""
        return {"date": self.start, **{name: getattr(self, name) for name in COLUMNS[1:]}}

    def frame(self) -> pd.DataFrame:
        """As pandas: date (naive IST), open, high, low, close, volume, oi; whole numbers as int64."""
        import pandas as pd

        columns = self.columns()
        return pd.DataFrame({**columns, "volume": whole(self.volume), "oi": whole(self.oi)})

    def digest(self) -> str:
        """A SHA-256 of the numbers: equal for equal candles however they were stored."""
        total = hashlib.sha256(f"{self.key} {self.interval} {len(self)}\n".encode())
        total.update(self.start.astype("datetime64[s]").astype("<i8").tobytes())
        for name in COLUMNS[1:]:
            total.update((getattr(self, name) + 0.0).astype("<f8").tobytes())  # + 0.0: one zero only
        return total.hexdigest()


def _datetime(value: np.datetime64) -> datetime:
    converted: datetime = value.astype("datetime64[s]").item()
    return converted


def whole(values: Array) -> Array:
    """As int64 where every value is a whole number, else as it is."""
    counts = values.astype(np.int64)
    return counts if bool((counts == values).all()) else values


def _tidied(columns: list[Array]) -> list[Array]:
    """In order of time, equal repeats dropped; unequal repeats stay, for the check to refuse."""
    starts = columns[0]
    if len(starts) < 2 or bool((starts[1:] > starts[:-1]).all()):
        return columns
    order = np.argsort(starts, kind="stable")
    columns = [column[order] for column in columns]
    same = np.ones(len(starts) - 1, dtype=bool)
    for column in columns:
        same &= column[1:] == column[:-1]
    keep = np.concatenate(([True], ~same))
    return [column[keep] for column in columns]


# ---- the session grid -------------------------------------------------------------------------


def _days(starts: Array) -> tuple[Array, Array]:
    """The distinct days of an ordered column, and for each row the place of its day."""
    days = starts.astype("datetime64[D]")
    new = np.concatenate(([True], days[1:] != days[:-1]))
    return days[new], np.cumsum(new) - 1


def _windows(key: str, starts: Array, windows: Windows) -> tuple[Array, Array, Array, Array]:
    """Opens and closes of all windows; for each row the place of its own and of its day's last."""
    days, day_of = _days(starts)
    opens: list[datetime] = []
    closes: list[datetime] = []
    first: list[int] = []
    for day in days.tolist():
        spans = windows(day)
        if not spans:
            raise DataError(
                f"{key} has candles on {day:%Y-%m-%d}, when the calendar knows no session: "
                "add the session to the calendar, or take those candles out"
            )
        first.append(len(opens))
        opens.extend(span[0] for span in spans)
        closes.extend(span[1] for span in spans)
    open_at, close_at = np.array(opens, dtype="datetime64[s]"), np.array(closes, dtype="datetime64[s]")
    last_of = np.array([*first[1:], len(opens)])[day_of] - 1
    # The latest window that has opened; before the day's first open, the first.
    place = np.maximum(np.searchsorted(open_at, starts, side="right") - 1, np.array(first)[day_of])
    return open_at, close_at, place, last_of


def bar_starts(key: str, starts: Array, interval: str, windows: Windows) -> Array:
    """For each fine bar the start of the ``interval`` bar it belongs to.

    Anchors are the opens of the day's windows (09:15 on NSE, 13:45 on a muhurat afternoon, again at
    15:45 after the halt of 2021-02-24), so no bar bridges two windows. A print after the close, as
    of the closing auction, stays on the grid of the window before it.
    """
    if len(starts) == 0:
        return starts
    if interval == "day":
        return starts.astype("datetime64[D]").astype("datetime64[s]")
    step = INTERVALS[interval]
    open_at, _, place, _ = _windows(key, starts, windows)
    anchor = open_at[place]
    return np.asarray(anchor + (starts - anchor).astype(np.int64) // step * step * _SECOND)


def bar_ends(key: str, starts: Array, interval: str, windows: Windows) -> Array:
    """The end of each bar: its start plus the interval, cut at its window's close.

    A day's bar ends at the close of the day's last window; a bar that starts outside every window
    runs its full length.
    """
    if len(starts) == 0:
        return starts
    _, close_at, place, last_of = _windows(key, starts, windows)
    if interval == "day":
        return np.asarray(close_at[last_of])
    ends = starts + INTERVALS[interval] * _SECOND
    close = close_at[place]
    return np.where((starts < close) & (close < ends), close, ends)


def can_make(fine: str, coarse: str) -> bool:
    """Whether ``coarse`` candles can be put together from ``fine`` ones."""
    if fine == coarse or fine == "day":
        return False
    return coarse == "day" or INTERVALS[coarse] % INTERVALS[fine] == 0


def aggregate(candles: Candles, interval: str, windows: Windows) -> Candles:
    """Coarser candles from finer ones, on the session's grid, as Kite groups its own.

    A day's close is then the last trade; Kite's own day candle closes at the exchange's closing
    price (average of the last half hour, or the closing auction), which only ``day`` data has.
    Raises DataError if the one cannot be made from the other.
    """
    check_interval(interval)
    if interval == candles.interval:
        return candles
    if not can_make(candles.interval, interval):
        raise DataError(f"{candles.key}: {interval} candles cannot be made from {candles.interval} candles")
    source = f"{candles.source} ({interval} from {candles.interval})".strip()
    if len(candles) == 0:
        return replace(candles, interval=interval, source=source)
    starts = bar_starts(candles.key, candles.start, interval, windows)
    first = np.flatnonzero(np.concatenate(([True], starts[1:] != starts[:-1])))
    last = np.append(first[1:], len(starts)) - 1
    return Candles(
        candles.key,
        interval,
        starts[first],
        candles.open[first],
        np.maximum.reduceat(candles.high, first),
        np.minimum.reduceat(candles.low, first),
        candles.close[last],
        np.add.reduceat(candles.volume, first),
        candles.oi[last],
        source=source,
    )
