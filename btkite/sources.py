"""Where history comes from: one table, one contract.

Every source takes the same call and gives :class:`~btkite.series.Candles` that were checked where they
were made (``Candles.of``; the cache checks what it writes): in order, in naive IST, no bar twice, at
most ``warmup_bars`` bars before ``start``; or it raises one sentence. To add a
source, write a function from :class:`Request` to candles and give it a row in :data:`SOURCES`; the
contract test runs it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .candles import CandleCache
from .clock import Clock
from .errors import ConfigError, DataError
from .files import read_file, read_frame
from .grid import ends_of, windows_of
from .kite import archive, history
from .kite import instruments as masters
from .market.calendar import Calendar
from .series import Candles, Windows, aggregate, can_make, check_interval, check_range, lookback, moment, stamp
from .values import Instrument

if TYPE_CHECKING:
    import pandas as pd

Moment = datetime | date | str | None


class Client(history.Historical, archive.Dumps, Protocol):
    """The part of :class:`~btkite.kite.client.KiteClient` that history needs."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a source; a source reads of it what it needs.

    ``start`` and ``end`` are naive IST, bars are in the range by their start, ``end`` is exclusive.
    ``path`` may hold ``{exchange}``, ``{symbol}`` and ``{interval}``.
    """

    key: str
    interval: str
    start: datetime | None = None
    end: datetime | None = None
    warmup_bars: int = 0
    cache: CandleCache | None = None
    path: Path | str | None = None
    frame: pd.DataFrame | None = None
    client: Client | None = None
    clock: Clock | None = None
    instrument: Instrument | None = None
    master: masters.InstrumentMaster | None = None
    calendar: Calendar | None = None
    instrument_class: Any = None
    lag: timedelta = history.LAG
    progress: Callable[[history.Progress], None] | None = None

    @property
    def windows(self) -> Windows:
        """The instrument's trading windows by date."""
        return windows_of(self.key, calendar=self.calendar, instrument_class=self.instrument_class)


class Source(Protocol):
    """One row of :data:`SOURCES`."""

    def __call__(
        self,
        key: str,
        interval: str,
        start: Moment = None,
        end: Moment = None,
        *,
        warmup_bars: int = 0,
        **where: Any,
    ) -> Candles:
        """Bars that start in [start, end), a date as ``end`` included, after up to ``warmup_bars`` earlier ones."""
        ...


def _source(read: Callable[[Request], Candles]) -> Source:
    """Give a reader the contract: arguments made plain, candles cut to what was asked, never empty."""

    def load(
        key: str,
        interval: str,
        start: Moment = None,
        end: Moment = None,
        *,
        warmup_bars: int = 0,
        **where: Any,
    ) -> Candles:
        check_interval(interval)
        if interval == "day" and start is not None:
            start = moment(start).date()
        begin, finish = check_range(start, end)
        try:
            request = Request(key, interval, begin, finish, warmup_bars, **where)
        except TypeError as error:
            raise ConfigError(f"no source takes that argument: {error}") from error
        return read(request).between(begin, finish, warmup_bars=warmup_bars)

    load.__name__, load.__doc__ = read.__name__, read.__doc__
    return load


def _from_cache(request: Request) -> Candles:
    """The Parquet cache, made from a finer interval if need be; with a client, gaps are filled first."""
    if request.client is not None:
        return _from_kite(request)
    return _cache(request).read(
        request.key,
        request.interval,
        request.start,
        request.end,
        warmup_bars=request.warmup_bars,
        windows=request.windows,
    )


def _from_kite(request: Request) -> Candles:
    """Kite: what the cache lacks is downloaded into it, then read."""
    cache, client, clock = _cache(request), request.client, request.clock
    if client is None or clock is None:
        raise ConfigError("candles from Kite need a session: log in with `btkite login`, or use the source cache")
    if request.start is None:
        raise ConfigError(f"{request.key}: say from when Kite's candles are wanted")
    instrument = request.instrument or _instrument(request, cache, client, clock)
    end = request.end or clock.now()
    reach = lookback(request.interval, request.warmup_bars)
    while True:
        done = history.download(
            client,
            cache,
            instrument,
            request.interval,
            request.start - reach,
            end,
            clock=clock,
            ends=ends_of(
                request.key,
                request.interval,
                calendar=request.calendar,
                instrument_class=request.instrument_class,
            ),
            lag=request.lag,
            progress=request.progress,
        )
        if done.replaced:
            where = {"calendar": request.calendar, "instrument_class": request.instrument_class}
            renew_others(client, cache, instrument, request.interval, clock=clock, **where)
        try:
            candles = cache.read(request.key, request.interval, request.start, end, warmup_bars=request.warmup_bars)
        except DataError:
            span = f"between {request.start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M}"
            raise DataError(f"Kite has no {request.interval} candles of {request.key} {span}") from None
        before = int(np.searchsorted(candles.start, stamp(request.start)))
        stored = cache.stored(request.key, request.interval)
        listed = stored is not None and any(low <= request.start - reach < high for low, high in stored.gaps)
        if before >= request.warmup_bars or listed or reach > timedelta(days=36_500):
            return candles
        reach *= 2  # thinly traded: look further back, until a range before the listing is empty


def renew_others(
    client: Client, cache: CandleCache, instrument: Instrument, interval: str, *, clock: Clock, **where: Any
) -> list[str]:
    """The other stored series of an instrument whose past has changed are replaced, too: minutes of after a split do
    not stand beside days of before it. Returns their intervals. ``where`` are ``calendar`` and ``instrument_class``."""
    others = [one for one in cache.list() if one.key == instrument.key and one.interval != interval and one.covered]
    for one in others:
        history.download(
            client,
            cache,
            instrument,
            one.interval,
            one.covered[0][0],
            one.covered[-1][1],
            clock=clock,
            ends=ends_of(one.key, one.interval, **where),
            refresh=True,
        )
    return [one.interval for one in others]


def _from_csv(request: Request) -> Candles:
    """A CSV file in Kite's column order: date, open, high, low, close, volume[, oi]."""
    return _from_file(request, "csv")


def _from_parquet(request: Request) -> Candles:
    """A Parquet file with Kite's columns."""
    return _from_file(request, "parquet")


def _from_file(request: Request, kind: str) -> Candles:
    if request.path is None:
        raise ConfigError(f"the source {kind} needs a path: set data.path")
    exchange, _, symbol = request.key.partition(":")
    try:
        path = Path(str(request.path).format(exchange=exchange, symbol=symbol, interval=request.interval))
    except (KeyError, IndexError, ValueError):
        raise ConfigError(
            f"data.path {request.path} cannot be filled in: it may hold {{exchange}}, {{symbol}} and {{interval}}"
        ) from None
    series = read_file(path, request.key)
    mine = [one.candles for one in series if one.symbol in ("", symbol)]
    if not mine:
        raise DataError(f"{path} has no candles of {symbol}: it has {', '.join(one.symbol for one in series)}")
    return _asked(mine[0], request, str(path))


def _from_frame(request: Request) -> Candles:
    """A pandas frame with Kite's columns, times in its index or in a ``date`` column."""
    if request.frame is None:
        raise ConfigError("the source frame needs a frame")
    return _asked(read_frame(request.frame, request.key), request, "the frame")


def _asked(candles: Candles, request: Request, where: str) -> Candles:
    """In the interval that is asked for; refused if nothing of the range is there."""
    if candles.interval != request.interval:
        if not can_make(candles.interval, request.interval):
            raise DataError(
                f"{where} has {candles.interval} candles of {request.key}; "
                f"{request.interval} candles cannot be made from them"
            )
        candles = aggregate(candles, request.interval, request.windows)
    if len(candles.between(request.start, request.end)) == 0:
        held = f"from {candles.first} to {candles.last}" if len(candles) else "not at all"
        raise DataError(
            f"{where} has {request.key} {held}; nothing between {request.start or 'its start'} "
            f"and {request.end or 'its end'}"
        )
    return candles


def _cache(request: Request) -> CandleCache:
    if request.cache is None:
        raise ConfigError(f"{request.key}: a candle cache is needed, and none was given")
    return request.cache


def _instrument(request: Request, cache: CandleCache, client: Client, clock: Clock) -> Instrument:
    master = request.master or archive.current(cache.instruments_folder, client, clock.now())
    return master.find(request.key)


SOURCES: Mapping[str, Source] = {
    "cache": _source(_from_cache),
    "csv": _source(_from_csv),
    "frame": _source(_from_frame),
    "kite": _source(_from_kite),
    "parquet": _source(_from_parquet),
}


def load(
    source: str,
    key: str,
    interval: str,
    start: Moment = None,
    end: Moment = None,
    *,
    warmup_bars: int = 0,
    **where: Any,
) -> Candles:
    """Candles of one instrument from the named source; ``where`` are fields of :class:`Request`."""
    try:
        row = SOURCES[source]
    except KeyError:
        near = difflib.get_close_matches(source, SOURCES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"there is no data source {source!r}: use one of {', '.join(SOURCES)}{hint}") from None
    return row(key, interval, start, end, warmup_bars=warmup_bars, **where)
