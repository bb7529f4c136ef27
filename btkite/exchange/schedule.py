"""One day of the market as a list of instants, merged over all instruments.

A candle becomes four prints (docs/fills.md, rules 1 and 2); beside them stand the roll of the day, the
opens and closes of the exchanges, and the ends of candles, where a lock-step pull stops. Built a day
at a time, so that years of candles cost nothing until they are played.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .candles import DAY_SECONDS, CandleSeries
from .clock import SECOND, day_from_number
from .hours import Session, session, session_for_candles
from .instruments import InstrumentRow

ROLL_SECONDS = 6 * 3600
# At one time they happen in this order (docs/fills.md, rules 11 to 13). NOTICE: the agenda's appointments.
ROLL, CLOSE, BAR, OPEN, NOTICE, PRINT = range(6)

# (time, kind, who, price, volume of the day so far, quantity, candle, which of the four)
Instant = tuple[int, int, Any, float, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Tape:
    """One instrument's candles, with where each of its days starts."""

    rank: int
    row: InstrumentRow
    series: CandleSeries
    days: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, rank: int, row: InstrumentRow, series: CandleSeries) -> Tape:
        numbers = series.start // DAY_SECONDS
        days, first = np.unique(numbers, return_index=True)
        return cls(rank, row, series, days, first)

    def slice_of(self, day: int) -> tuple[int, int]:
        """Index range of the candles of ``day`` (a day number); empty if it has none."""
        at = int(np.searchsorted(self.days, day))
        if at == len(self.days) or self.days[at] != day:
            return 0, 0
        last = int(self.first[at + 1]) if at + 1 < len(self.first) else len(self.series)
        return int(self.first[at]), last

    def last_before(self, day: int) -> int:
        """Index of the last candle before ``day``, -1 if there is none."""
        at = int(np.searchsorted(self.days, day))
        return (int(self.first[at]) if at < len(self.first) else len(self.series)) - 1

    def spans(self, day: int, hours: Session) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and length in seconds of each candle of ``day`` as played: cut at the close."""
        begin, end = self.slice_of(day)
        midnight = day * DAY_SECONDS
        if self.series.interval == "day":
            size = end - begin
            return np.full(size, midnight + hours[0]), np.full(size, hours[1] - hours[0])
        start = self.series.start[begin:end]
        return start, np.minimum(self.series.seconds, midnight + hours[1] - start)


@dataclass(frozen=True, slots=True)
class DayPlan:
    """A day: its number, the session of each exchange (seconds of the day), its instants in order."""

    day: int
    sessions: dict[str, Session]
    instants: list[Instant]
    last_bar: int  # the end of its last candle, as a moment


def sessions_of(day: int, tapes: Sequence[Tape], exchanges: Iterable[str] = ()) -> dict[str, Session]:
    """Each exchange's session; widened where a candle starts outside of the table's hours.

    ``exchanges`` are open by the table alone, candles or not.
    """
    date = day_from_number(day)
    sessions: dict[str, Session] = {}
    for exchange in exchanges:
        if (found := session(exchange, date)) is not None:
            sessions[exchange] = found
    for tape in tapes:
        begin, end = tape.slice_of(day)
        if begin == end:
            continue
        opens, closes = sessions.get(tape.row.exchange) or session_for_candles(tape.row.exchange, date)
        if tape.series.interval != "day":
            first = int(tape.series.start[begin]) - day * DAY_SECONDS
            last = int(tape.series.start[end - 1]) - day * DAY_SECONDS
            opens = min(opens, first)
            if last >= closes:
                closes = min(last + tape.series.seconds, DAY_SECONDS)
        sessions[tape.row.exchange] = (opens, closes)
    return sessions


def plan_day(day: int, tapes: Sequence[Tape], exchanges: Iterable[str] = ()) -> DayPlan:
    """All instants of ``day`` in the order in which they are played."""
    sessions = sessions_of(day, tapes, exchanges)
    midnight = day * DAY_SECONDS
    instants: list[Instant] = [((midnight + ROLL_SECONDS) * SECOND, ROLL, day, 0.0, 0, 0, 0, 0)]
    for exchange, (opens, closes) in sessions.items():
        instants.append(((midnight + opens) * SECOND, OPEN, exchange, 0.0, 0, 0, 0, 0))
        instants.append(((midnight + closes) * SECOND, CLOSE, exchange, 0.0, 0, 0, 0, 0))
    ends: set[int] = set()
    for tape in tapes:
        begin, end = tape.slice_of(day)
        if begin == end:
            continue
        start, length = tape.spans(day, sessions[tape.row.exchange])
        ends.update(((start + length) * SECOND).tolist())
        instants.extend(_prints(tape, begin, end, start, length))
    instants.extend((us, BAR, 0, 0.0, 0, 0, 0, 0) for us in ends)
    instants.sort(key=lambda instant: (instant[0], instant[1], instant[2]))
    last_close = max((close for _, close in sessions.values()), default=0)
    return DayPlan(day, sessions, instants, max(ends, default=(midnight + last_close) * SECOND))


def _prints(tape: Tape, begin: int, end: int, start: NDArray[np.int64], length: NDArray[np.int64]) -> list[Instant]:
    series = tape.series
    o, h = series.open[begin:end], series.high[begin:end]
    low, c = series.low[begin:end], series.close[begin:end]
    up = c >= o
    times = np.stack([start, start + length // 3, start + 2 * length // 3, start + length - 1], axis=1) * SECOND
    prices = np.stack([o, np.where(up, low, h), np.where(up, h, low), c], axis=1)
    volume = series.volume[begin:end]
    before = np.cumsum(volume) - volume
    parts = np.stack([volume * i // 4 for i in range(5)], axis=1)
    so_far = before[:, None] + parts[:, 1:]
    quantities = np.diff(parts, axis=1)
    size = end - begin
    return list(
        zip(
            times.ravel().tolist(),
            (PRINT,) * (4 * size),
            (tape.rank,) * (4 * size),
            prices.ravel().tolist(),
            so_far.ravel().tolist(),
            quantities.ravel().tolist(),
            np.repeat(np.arange(begin, end), 4).tolist(),
            (0, 1, 2, 3) * size,
            strict=True,
        )
    )
