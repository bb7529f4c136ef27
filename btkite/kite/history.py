"""Candles from Kite into the cache: in chunks, paced, resumable, and noticing when the past changes.

Kite answers at most so many days a request; a range that starts before the instrument existed is
empty, not an error; the last row may be a candle that is still forming; and a corporate action
rewrites all prices before it. Each chunk is in the cache before the next is asked for, so an
interrupted download goes on where it stopped. Before new candles are added to old ones, the last days
are asked for again: if they differ, the whole series is replaced, never mixed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from ..clock import Clock
from ..errors import ConfigError, DataError
from ..values import INTERVALS, Instrument
from .made import facts
from .revised import PRICES, compare, in_words

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

Range = tuple[datetime, datetime]
Columns = Mapping[str, "Array"]

log = logging.getLogger("btkite.kite.history")

MAX_DAYS: Mapping[str, int] = MappingProxyType(
    {
        "minute": 60,
        "3minute": 100,
        "5minute": 100,
        "10minute": 100,
        "15minute": 200,
        "30minute": 200,
        "60minute": 400,
        "day": 2000,
    }
)
"""The longest span of one request, in days (https://kite.trade/docs/connect/v3/historical/)."""

LAG = timedelta(seconds=15)
"""After its end a candle is still written for a while; younger ones are not kept."""

DAY_LAG = timedelta(hours=1)
"""A day's candle still changes until after the post-close session."""

OVERLAP = timedelta(days=5)
"""How much of the stored past is asked for again to see whether it has changed."""


class Historical(Protocol):
    """The client, as far as it is needed here."""

    def historical(
        self,
        token: int,
        start: datetime,
        end: datetime,
        interval: str,
        *,
        continuous: bool = False,
        oi: bool = False,
    ) -> Columns:
        """Columns date (start, naive IST), open, high, low, close, volume, oi; both ends included."""
        ...


class Series(Protocol):
    """What the cache says of one series."""

    @property
    def first(self) -> datetime | None: ...

    @property
    def last(self) -> datetime | None: ...

    @property
    def covered(self) -> tuple[Range, ...]: ...


class Slice(Protocol):
    """Candles as the cache gives them."""

    def columns(self) -> Columns: ...

    def __len__(self) -> int: ...


class Cache(Protocol):
    """The candle cache, as far as it is needed here."""

    def stored(self, key: str, interval: str) -> Series | None: ...

    def missing(self, key: str, interval: str, start: datetime, end: datetime) -> Sequence[Range]: ...

    def read(self, key: str, interval: str, start: datetime | None = None, end: datetime | None = None) -> Slice: ...

    def remove(self, key: str, interval: str) -> None: ...

    def merge(
        self,
        key: str,
        interval: str,
        columns: Columns,
        *,
        covered: Iterable[Range] = (),
        source: str = "",
        fetched_at: datetime | None = None,
        facts: Mapping[str, Any] = ...,
        replace: bool = False,
    ) -> object: ...


Ends = Callable[["Array"], "Array"]
"""Bar starts (datetime64[s]) → bar ends; the calendar knows them."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: chunks done of chunks known, and the range of the last."""

    key: str
    interval: str
    done: int
    chunks: int
    rows: int
    range: Range


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a download did. ``rows`` are the candles it brought, ``requests`` what it cost.

    ``gaps`` are whole chunks without a candle, ``revised`` the stored candles that Kite has since
    written anew, ``replaced`` is true if the past had changed and the whole series was asked for again; ``ratio`` is
    what its prices were multiplied by, if that was found.
    """

    key: str
    interval: str
    rows: int
    requests: int
    gaps: tuple[Range, ...] = field(default=())
    revised: int = 0
    replaced: bool = False
    ratio: float | None = None


def chunks(start: datetime, end: datetime, interval: str) -> Iterator[Range]:
    """[start, end) in spans that Kite answers, oldest first."""
    span = timedelta(days=_days(interval))
    while start < end:
        stop = min(end, start + span)
        yield start, stop
        start = stop


def download(
    client: Historical,
    cache: Cache,
    instrument: Instrument,
    interval: str,
    start: datetime,
    end: datetime,
    *,
    clock: Clock,
    ends: Ends | None = None,
    refresh: bool = False,
    continuous: bool = False,
    lag: timedelta = LAG,
    progress: Callable[[Progress], None] | None = None,
) -> Downloaded:
    """Bring [start, end) of one instrument into the cache; only what was never asked for is asked.

    ``ends`` tells where bars end (without it a bar lasts its full interval); candles that end less
    than ``lag`` before now (a day's: less than an hour) are not kept. ``refresh`` asks for all of it
    again. Open interest is asked for where there is one (futures and options).

    Raises ConfigError for an unknown interval or a range that lies in the future, and whatever the
    client raises; what was downloaded until then is kept.
    """
    _days(interval)
    now = clock.now()
    if start >= end:
        raise ConfigError(f"the range from {start} to {end} is empty: --from must be before --to")
    if start >= now:
        raise ConfigError(f"{start:%Y-%m-%d %H:%M} lies in the future: it is {now:%Y-%m-%d %H:%M} IST")
    work = _Download(client, cache, instrument, interval, clock, ends, continuous, lag, progress)
    end = min(end, now)
    if refresh:
        stored = cache.stored(instrument.key, interval)
        ranges = list(stored.covered) if stored is not None else []
        return work.replace(_hull([*ranges, (start, end)]))
    return work.extend(start, end)


class _Download:
    """One run of :func:`download`: the arguments, and what has been counted."""

    def __init__(
        self,
        client: Historical,
        cache: Cache,
        instrument: Instrument,
        interval: str,
        clock: Clock,
        ends: Ends | None,
        continuous: bool,
        lag: timedelta,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.client, self.cache, self.instrument, self.interval = client, cache, instrument, interval
        self.clock, self.ends, self.continuous, self.progress = clock, ends, continuous, progress
        self.key = instrument.key
        self.lag = max(lag, DAY_LAG) if interval == "day" else lag
        self.step = timedelta(seconds=INTERVALS[interval])
        self.oi = instrument.is_future or instrument.is_option
        self.rows = self.requests = self.revised = self.total = self.done = 0
        self.gaps: list[Range] = []
        self.ratio: float | None = None

    def extend(self, start: datetime, end: datetime) -> Downloaded:
        """Ask for what is missing; if the past turns out to have changed, for everything."""
        missing = list(self.cache.missing(self.key, self.interval, start, end))
        stored = self.cache.stored(self.key, self.interval)
        probe = self._probe(stored, missing)
        self.total = sum(len(list(chunks(*span, self.interval))) for span in missing) + (probe is not None)
        if probe is not None and stored is not None:
            columns, until = self._ask(*probe)
            found = compare(self.cache.read(self.key, self.interval, *probe).columns(), columns)
            if found.rewrites(reaches_back=stored.first is not None and stored.first < probe[0]):
                log.warning(
                    "%s %s: the past has changed, its prices are %s; all of it is asked for again",
                    self.key, self.interval, in_words(found.ratio),
                )  # fmt: skip
                self.ratio = found.ratio
                return self.replace(_hull([*stored.covered, (start, end)]))
            self.revised += found.different
            self._keep(columns, (probe[0], until))
        for span in missing:
            for low, high in chunks(*span, self.interval):
                columns, until = self._ask(low, high)
                self._keep(columns, (low, until))
        return self._report(replaced=False)

    def replace(self, span: Range) -> Downloaded:
        """The whole series anew. It is swapped in at the end: a broken download changes nothing."""
        import numpy as np

        parts: list[Columns] = []
        self.done, self.rows, self.gaps, until = 0, 0, [], span[0]
        self.total = len(list(chunks(*span, self.interval)))
        for low, high in chunks(*span, self.interval):
            columns, until = self._ask(low, high)
            parts.append(columns)
            self._count(columns, (low, until))
        if self.rows == 0:
            raise DataError(
                f"Kite has no candle of {self.key} {self.interval} from {span[0]:%Y-%m-%d} to {span[1]:%Y-%m-%d}; "
                "what was stored is kept"
            )
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self._merge(whole, (span[0], until), replace=True)
        return self._report(replaced=True)

    # -- one chunk

    def _ask(self, low: datetime, high: datetime) -> tuple[Columns, datetime]:
        """The finished candles that start in [low, high), and up to where that answer is final."""
        import numpy as np

        # Both ends of Kite's range are included, and it is written in seconds.
        last = high - timedelta(seconds=1)
        columns = self.client.historical(
            self.instrument.instrument_token, low, last, self.interval, continuous=self.continuous, oi=self.oi
        )
        self.requests += 1
        settled = np.datetime64(self.clock.now() - self.lag, "s")
        starts = columns["date"].astype("datetime64[s]")
        finish = starts + np.timedelta64(self.step)
        if self.ends is not None and len(starts):
            finish = self.ends(starts)
        keep = (starts >= np.datetime64(low, "s")) & (starts < np.datetime64(high, "s")) & (finish <= settled)
        # Before a listing Kite may send placeholders whose prices are all zero.
        keep &= ~np.logical_and.reduce([columns[name] == 0 for name in PRICES])
        order = np.flatnonzero(keep)
        order = order[np.argsort(starts[order], kind="stable")]
        if len(order):  # the last of those that repeat a date
            order = order[np.append(starts[order][1:] != starts[order][:-1], True)]
        columns = {**{name: column[order] for name, column in columns.items()}, "date": starts[order]}
        until = min(high, settled.item() - self.step)
        if len(order):
            until = max(until, min(high, columns["date"][-1].item() + timedelta(seconds=1)))
        return columns, max(until, low)

    def _keep(self, columns: Columns, span: Range) -> None:
        self._count(columns, span)
        if span[0] < span[1]:
            self._merge(columns, span, replace=False)

    def _count(self, columns: Columns, span: Range) -> None:
        self.done += 1
        self.rows += len(columns["date"])
        if len(columns["date"]) == 0 and span[0] < span[1]:
            self.gaps.append(span)
        if self.progress is not None:
            self.progress(Progress(self.key, self.interval, self.done, max(self.total, self.done), self.rows, span))

    def _merge(self, columns: Columns, span: Range, *, replace: bool) -> None:
        self.cache.merge(
            self.key,
            self.interval,
            columns,
            covered=[span],
            source="kite",
            fetched_at=self.clock.now(),
            facts=facts(self.instrument),
            replace=replace,
        )

    # -- the past

    def _probe(self, stored: Series | None, missing: list[Range]) -> Range | None:
        """The last stored days, to be asked for again; with the missing tail if one request holds both."""
        if stored is None or stored.first is None or stored.last is None or not missing:
            return None
        low, high = max(stored.last - OVERLAP, stored.first), stored.last + self.step
        tail = missing[-1]
        if tail[0] > stored.last and tail[1] - low <= timedelta(days=_days(self.interval)):
            missing.pop()
            high = tail[1]
        return low, high

    def _report(self, *, replaced: bool) -> Downloaded:
        return Downloaded(
            self.key, self.interval, self.rows, self.requests, tuple(self.gaps), self.revised, replaced, self.ratio
        )  # fmt: skip


def _hull(ranges: Sequence[Range]) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def _days(interval: str) -> int:
    try:
        return MAX_DAYS[interval]
    except KeyError:
        raise ConfigError(f"Kite has no candle interval {interval!r}: it has {', '.join(MAX_DAYS)}") from None
