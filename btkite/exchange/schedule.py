"""One day of the market as a list of instants, merged over all instruments.

A candle becomes four prints (docs/fills.md, rules 1 and 2); beside them stand the roll of the day, the
opens and closes of the exchanges, and the ends of candles, where a lock-step pull stops. Built a day
at a time, so that years of candles cost nothing until they are played.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .candles import DAY_SECONDS, CandleSeries
from .clock import SECOND, day_from_number
from .depth import Book
from .hours import Session, closing_auction, session, session_for_candles
from .instruments import InstrumentRow

ROLL_SECONDS = 6 * 3600
# At one time they happen in this order (docs/fills.md, rules 11 to 13). NOTICE: the agenda's appointments.
# SAMPLE: a print that is shown only, between two of a candle's four.
ROLL, CLOSE, BAR, OPEN, NOTICE, PRINT, SAMPLE = range(7)

# (time, kind, who, price, volume of the day so far, quantity, candle, which of the four)
Instant = tuple[int, int, int, float, int, int, int, int]
Columns = tuple[NDArray[Any], ...]  # the same as columns
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Tape:
    """One instrument's candles, with where each of its days starts."""

    rank: int
    row: InstrumentRow
    series: CandleSeries
    days: NDArray[np.int64]
    first: NDArray[np.int64]
    auction: bool = False  # a share of the closing auction: its print after the close widens no session

    recorded: ClassVar[bool] = False  # every print has its own open interest and book
    widens: ClassVar[bool] = True  # candles outside of the table's hours make the session longer

    @classmethod
    def of(cls, rank: int, row: InstrumentRow, series: CandleSeries, *, auction: bool = False) -> Tape:
        numbers = series.start // DAY_SECONDS
        days, first = np.unique(numbers, return_index=True)
        return cls(rank, row, series, days, first, auction)

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
        left = midnight + hours[1] - start
        return start, np.where(left > 0, np.minimum(self.series.seconds, left), self.series.seconds)

    def prints(self, candle: int) -> list[tuple[float, int]]:
        """Price and quantity of the four prints of a candle."""
        series = self.series
        o, h = float(series.open[candle]), float(series.high[candle])
        low, c = float(series.low[candle]), float(series.close[candle])
        volume = int(series.volume[candle])
        parts = [volume * (i + 1) // 4 - volume * i // 4 for i in range(4)]
        return list(zip((o, low, h, c) if c >= o else (o, h, low, c), parts, strict=True))

    def oi_at(self, candle: int, which: int) -> int:
        """Open interest at a print."""
        return int(self.series.oi[candle])

    def book_at(self, candle: int, which: int) -> Book | None:
        """The depth that was recorded with a print."""
        return None

    def forming(self, candle: int, last_print: int) -> list[tuple[float, int]] | None:
        """What was printed of a candle up to its ``last_print``; None: all of it."""
        return self.prints(candle)[: last_print + 1] if last_print < 3 else None

    def instants(self, day: int, hours: Session, samples: int) -> Columns:
        """Everything that is printed on ``day``, with ``samples`` prints besides a candle's four."""
        begin, end = self.slice_of(day)
        start, length = self.spans(day, hours)
        return _prints(self, begin, end, start, length, samples)

    def ends(self, day: int, hours: Session) -> NDArray[np.int64]:
        """When the candles of ``day`` end, as moments."""
        start, length = self.spans(day, hours)
        return (start + length) * SECOND


class Instants:
    """A day's instants in order: columns, turned into tuples a chunk at a time, and a place among them."""

    __slots__ = ("_at", "_chunk", "_columns", "_from")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._from = 0  # of the whole, where the chunk begins
        self._at = 0  # within the chunk
        self._chunk: list[Instant] = self._cut()

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Instant]:
        """All of them, wherever the place is."""
        return zip(*(column.tolist() for column in self._columns), strict=True)

    def _cut(self) -> list[Instant]:
        end = self._from + CHUNK
        return list(zip(*(column[self._from : end].tolist() for column in self._columns), strict=True))

    def peek(self) -> Instant | None:
        """The next one; None after the last."""
        if self._at < len(self._chunk):
            return self._chunk[self._at]
        if not self._chunk:
            return None
        self._from += len(self._chunk)
        self._at = 0
        self._chunk = self._cut()
        return self._chunk[0] if self._chunk else None

    def move(self) -> None:
        """On to the one after."""
        self._at += 1


@dataclass(frozen=True, slots=True)
class DayPlan:
    """A day: its number, the session of each exchange (seconds of the day), its instants in order.

    The ``who`` of an open or a close is the exchange's place in ``exchanges``.
    """

    day: int
    sessions: dict[str, Session]
    exchanges: list[str]
    instants: Instants
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
        exchange = tape.row.exchange
        opens, closes = sessions.get(exchange) or session_for_candles(exchange, date)
        if tape.series.interval != "day" and tape.widens:
            first = int(tape.series.start[begin]) - day * DAY_SECONDS
            last = int(tape.series.start[end - 1]) - day * DAY_SECONDS
            opens = min(opens, first)
            if last >= closes and not (tape.auction and closing_auction(exchange, date)):
                closes = min(last + tape.series.seconds, DAY_SECONDS)
        sessions[exchange] = (opens, closes)
    return sessions


def plan_day(day: int, tapes: Sequence[Tape], exchanges: Iterable[str] = (), prints: int = 4) -> DayPlan:
    """All instants of ``day`` in the order in which they are played; ``prints`` shown of each candle."""
    sessions = sessions_of(day, tapes, exchanges)
    midnight = day * DAY_SECONDS
    names = sorted(sessions)
    marks: list[tuple[int, int, int]] = [((midnight + ROLL_SECONDS) * SECOND, ROLL, day)]
    for who, exchange in enumerate(names):
        opens, closes = sessions[exchange]
        marks.append(((midnight + opens) * SECOND, OPEN, who))
        marks.append(((midnight + closes) * SECOND, CLOSE, who))
    groups: list[Columns] = []
    ends: list[NDArray[np.int64]] = []
    for tape in tapes:
        begin, end = tape.slice_of(day)
        if begin == end:
            continue
        hours = sessions[tape.row.exchange]
        groups.append(tape.instants(day, hours, prints - 4))
        ends.append(tape.ends(day, hours))
    bars = np.unique(np.concatenate(ends)) if ends else np.zeros(0, dtype=np.int64)
    moments, kinds, whos = (np.array(column, dtype=np.int64) for column in zip(*marks, strict=True))
    size = len(marks) + len(bars)
    nothing = np.zeros(size, dtype=np.int64)
    kinds = np.concatenate([kinds, np.full(len(bars), BAR)])
    whos = np.concatenate([whos, np.zeros(len(bars), dtype=np.int64)])
    groups.append((np.concatenate([moments, bars]), kinds, whos, np.zeros(size), *(nothing,) * 4))
    columns = tuple(np.concatenate(parts) for parts in zip(*groups, strict=True))
    order = np.lexsort((columns[2], columns[1], columns[0]))
    last_close = max((close for _, close in sessions.values()), default=0)
    last_bar = int(bars[-1]) if len(bars) else (midnight + last_close) * SECOND
    return DayPlan(day, sessions, names, Instants(tuple(column[order] for column in columns)), last_bar)


def _prints(
    tape: Tape, begin: int, end: int, start: NDArray[np.int64], length: NDArray[np.int64], samples: int
) -> Columns:
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
    candles = np.arange(begin, end)
    kinds = np.full(prices.shape, PRINT)
    which = np.broadcast_to(np.arange(4), prices.shape)
    if samples:
        times, kinds, prices, so_far, quantities, which = _sampled(
            tape, samples, times, prices, so_far, quantities, which
        )
    size = prices.size
    return (
        times.ravel(),
        kinds.ravel(),
        np.full(size, tape.rank),
        prices.ravel(),
        so_far.ravel(),
        quantities.ravel(),
        np.repeat(candles, prices.shape[1]),
        which.ravel(),
    )


def _sampled(
    tape: Tape,
    samples: int,
    times: NDArray[np.int64],
    prices: NDArray[np.float64],
    so_far: NDArray[np.int64],
    quantities: NDArray[np.int64],
    which: NDArray[np.int64],
) -> tuple[NDArray[Any], ...]:
    """The four prints with samples of the path between them, which share the quantity of the print that follows."""
    columns: list[list[NDArray[Any]]] = [[] for _ in range(6)]

    def put(kind: int, *values: NDArray[Any]) -> None:
        for column, value in zip(columns, (values[0], np.full(len(times), kind), *values[1:]), strict=True):
            column.append(value)

    tick = tape.row.tick_size
    put(PRINT, times[:, 0], prices[:, 0], so_far[:, 0], quantities[:, 0], which[:, 0])
    for leg in range(3):
        count = samples // 3 + (leg < samples % 3) + 1
        a, b = prices[:, leg], prices[:, leg + 1]
        shares = [quantities[:, leg + 1] * i // count for i in range(count + 1)]
        for i in range(1, count):
            time = times[:, leg] + (times[:, leg + 1] - times[:, leg]) * i // count
            price = np.clip(
                np.round(np.round((a + (b - a) * i / count) / tick) * tick, 7), np.minimum(a, b), np.maximum(a, b)
            )
            put(SAMPLE, time, price, so_far[:, leg] + shares[i], shares[i] - shares[i - 1], which[:, leg])
        put(PRINT, times[:, leg + 1], b, so_far[:, leg + 1], shares[count] - shares[count - 1], which[:, leg + 1])
    stacked = [np.stack(column, axis=1) for column in columns]
    return tuple(stacked)
