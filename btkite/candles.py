"""The candle cache: one Parquet file a series (:mod:`btkite.parquet`).

It knows where a series came from, which ranges were asked for and answered, and the instrument's facts.
An interval that is not stored is made from a finer one that is.
"""

from __future__ import annotations

import shlex
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ConfigError, DataError
from .parquet import FACTS, ROW_GROUP, Stored, describe, load, save
from .ranges import joined, without
from .series import (
    COLUMNS,
    PRICES,
    Array,
    Candles,
    Range,
    Windows,
    aggregate,
    bar_starts,
    can_make,
    check_interval,
    lookback,
    moment,
    stamp,
)
from .values import EMPTY, INTERVALS

__all__ = [
    "COLUMNS",
    "FACTS",
    "PRICES",
    "Array",
    "CandleCache",
    "Candles",
    "Range",
    "Stored",
    "Windows",
    "aggregate",
    "bar_starts",
    "can_make",
    "check_interval",
    "decode",
    "encode",
    "joined",
    "lookback",
    "moment",
    "split_key",
    "without",
]

_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(1, 10))}


def encode(symbol: str) -> str:
    """A tradingsymbol as a folder's name. ``NIFTY 50`` and ``M&M`` stay as they are; what a file system
    may not take is percent-encoded. Undone by :func:`decode`."""
    if not symbol:
        raise ConfigError("a tradingsymbol may not be empty")
    quoted = urllib.parse.quote(symbol, safe=" &()+,=@!'#$^[]{}")
    if quoted[0] in ".~- " or quoted[-1] in ". " or quoted.upper() in _RESERVED:
        quoted = "".join(f"%{byte:02X}" for byte in symbol.encode())
    return quoted


def decode(name: str) -> str:
    """The tradingsymbol of a file name."""
    return urllib.parse.unquote(name)


def split_key(key: str) -> tuple[str, str]:
    """``NSE:INFY`` → (``NSE``, ``INFY``). Raises ConfigError without an exchange."""
    exchange, colon, symbol = key.partition(":")
    if not colon or not exchange.isalnum() or not symbol:
        raise ConfigError(f"{key!r} names no instrument: write EXCHANGE:TRADINGSYMBOL, such as NSE:INFY")
    return exchange, symbol


class CandleCache:
    """Candles on disk: ``<folder>/<EXCHANGE>/<SYMBOL>/<interval>.parquet``.

    Every write replaces the file at once, so a reader never sees a part of one. Two processes that
    merge into one series at the same time do not damage it, but the later one wins: what the other
    had added is then not covered, and is asked for again.
    """

    def __init__(self, folder: Path | str, *, row_group: int = ROW_GROUP) -> None:
        self.folder = Path(folder).expanduser()
        self._row_group = row_group

    @property
    def instruments_folder(self) -> Path:
        """Where the daily instrument masters are kept."""
        return self.folder / "instruments"

    def path(self, key: str, interval: str) -> Path:
        """The file of one series; it need not exist."""
        exchange, symbol = split_key(key)
        return self.folder / exchange / encode(symbol) / f"{check_interval(interval)}.parquet"

    # -- reading

    def stored(self, key: str, interval: str) -> Stored | None:
        """What is known of one series, or None if there is none. Reads the footer only."""
        path = self.path(key, interval)
        return describe(key, interval, path) if path.exists() else None

    def list(self, folders: str = "*/*") -> tuple[Stored, ...]:
        """All series (or those in ``folders``, such as ``NFO/NIFTY*FUT``), by key, then from fine to coarse."""
        rows = []
        for path in self.folder.glob(f"{folders}/*.parquet"):
            exchange, symbol, interval = path.parent.parent.name, decode(path.parent.name), path.stem
            if interval in INTERVALS:
                rows.append(describe(f"{exchange}:{symbol}", interval, path))
        return tuple(sorted(rows, key=lambda row: (row.key, INTERVALS[row.interval])))

    def read(
        self,
        key: str,
        interval: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        warmup_bars: int = 0,
        windows: Windows | None = None,
    ) -> Candles:
        """Bars that start in [start, end), after up to ``warmup_bars`` bars before ``start``.

        With ``windows``, an interval that holds nothing of the range is made from a finer one that
        does. Raises DataError if there is nothing, saying what is stored.
        """
        for stored in self._candidates(key, interval, start, end, windows):
            candles = _cut(stored, interval, start, end, warmup_bars, windows)
            if len(candles.between(start, None)):
                return candles
        raise DataError(self.nothing(key, interval, start, end))

    def _candidates(
        self, key: str, interval: str, start: datetime | None, end: datetime | None, windows: Windows | None
    ) -> Sequence[Stored]:
        """The series itself, then the finer ones: most of the range first, then the coarsest."""
        low, high = start or datetime.min, end or datetime.max

        def held(row: Stored) -> tuple[int, int]:
            first, last = row.first or datetime.max, row.last or datetime.min
            days = min(high, last).toordinal() - max(low, first).toordinal()
            return -days, -INTERVALS[row.interval]

        exact = self.stored(key, interval)
        fine = [self.stored(key, name) for name in INTERVALS if windows is not None and can_make(name, interval)]
        finer = sorted((row for row in fine if row is not None and _touches(row, start, end)), key=held)
        return [exact, *finer] if exact is not None and _touches(exact, start, end) else finer

    def digest(
        self, key: str, interval: str, start: datetime | None = None, end: datetime | None = None, **options: Any
    ) -> str:
        """:meth:`Candles.digest` of what :meth:`read` gives for the same arguments."""
        return self.read(key, interval, start, end, **options).digest()

    def missing(self, key: str, interval: str, start: datetime, end: datetime) -> tuple[Range, ...]:
        """The parts of [start, end) that were never asked for."""
        stored = self.stored(key, interval)
        return without((start, end), stored.covered if stored is not None else ())

    def nothing(self, key: str, interval: str, start: datetime | None, end: datetime | None) -> str:
        """One sentence that says what is stored instead, and what to run."""
        stored = self.stored(key, interval)
        asked = f"-s {shlex.quote(key)} -i {interval}"
        asked += f" --from {start:%Y-%m-%d}" if start is not None else ""
        asked += f" --to {end - timedelta(seconds=1):%Y-%m-%d}" if end is not None else ""
        if stored is not None and stored.first is not None and stored.last is not None:
            held = f"{key} {interval} is stored from {stored.first:%Y-%m-%d %H:%M} to {stored.last:%Y-%m-%d %H:%M}"
            return f"{held}; nothing {_span(start, end)}; run `btkite data fetch {asked}`"
        fine = [row for name in INTERVALS if can_make(name, interval) and (row := self.stored(key, name)) is not None]
        for row in fine:
            if row.first is not None and row.last is not None:
                span = f"from {row.first:%Y-%m-%d %H:%M} to {row.last:%Y-%m-%d %H:%M}"
                held = f"{key} {interval} is made from {row.interval}, which is stored {span}"
                return f"{held}; nothing {_span(start, end)}; run `btkite data fetch {asked}`"
        others = [name for name in INTERVALS if self.stored(key, name) is not None]
        held = f" (only {', '.join(others)})" if others else ""
        return f"{key} {interval} is not stored in {self.folder}{held}; run `btkite data fetch {asked}`"

    def facts(self, key: str) -> dict[str, Any]:
        """What is known of the instrument over all its series; the latest fetched wins."""
        rows = [row for row in (self.stored(key, name) for name in INTERVALS) if row is not None]
        known: dict[str, Any] = {}
        for row in sorted(rows, key=lambda row: row.fetched_at or datetime.min):
            known.update(row.facts)
        return known

    # -- writing

    def write(
        self,
        candles: Candles,
        *,
        covered: Iterable[Range] = (),
        gaps: Iterable[Range] = (),
        source: str = "",
        fetched_at: datetime | None = None,
        facts: Mapping[str, Any] = EMPTY,
    ) -> Stored:
        """Replace a series by ``candles``. Without ``covered`` it covers its own bars."""
        candles.check()
        unknown = set(facts) - set(FACTS)
        if unknown:
            raise ValueError(f"the cache keeps {', '.join(FACTS)} of an instrument, not {', '.join(sorted(unknown))}")
        ranges = joined(covered) or _own_range(candles)
        path = self.path(candles.key, candles.interval)
        save(
            path,
            candles,
            covered=ranges,
            gaps=joined(gaps),
            source=source or candles.source,
            fetched_at=fetched_at,
            facts=facts,
            row_group=self._row_group,
        )
        return describe(candles.key, candles.interval, path)

    def merge(
        self,
        key: str,
        interval: str,
        columns: Mapping[str, Any] | Candles,
        *,
        covered: Iterable[Range] = (),
        source: str = "",
        fetched_at: datetime | None = None,
        facts: Mapping[str, Any] = EMPTY,
        replace: bool = False,
    ) -> Stored:
        """Add bars to a series; where a bar is known already, the new one wins.

        ``covered`` are the ranges that were asked for; those that hold no bar are remembered as gaps.
        With ``replace`` the bars that were stored are forgotten first, in the same step.
        """
        new = columns if isinstance(columns, Candles) else Candles.of(key, interval, columns, source=source)
        if (new.key, new.interval) != (key, interval):
            raise ValueError(f"{new.key} {new.interval} cannot be merged into {key} {interval}")
        ranges = joined(covered) or _own_range(new)
        asked = ranges
        stored = self.stored(key, interval)
        if stored is not None:
            facts = {**stored.facts, **facts}
            source = source or stored.source
            fetched_at = fetched_at or stored.fetched_at
            if not replace:
                new = _merged(load(stored, None, None), new)
                source = _sources(stored.source, source)
                ranges, asked = joined((*stored.covered, *ranges)), (*stored.gaps, *asked)
        gaps = _gaps(new, asked)
        return self.write(new, covered=ranges, gaps=gaps, source=source, fetched_at=fetched_at, facts=facts)

    def remove(self, key: str, interval: str) -> None:
        """Forget one series."""
        self.path(key, interval).unlink(missing_ok=True)


def _cut(
    stored: Stored,
    interval: str,
    start: datetime | None,
    end: datetime | None,
    warmup_bars: int,
    windows: Windows | None,
) -> Candles:
    """``interval`` bars of [start, end) from one series, with the bars before ``start``."""

    def made(low: datetime | None, high: datetime | None) -> Candles:
        candles = load(stored, low, high)
        return candles if windows is None else aggregate(candles, interval, windows)

    # Whole days are read and then cut, so that no bar that is put together is partial.
    high = None if end is None else _midnight(end) + timedelta(days=1)
    low = None if start is None else _midnight(start)
    if start is not None and low is not None and warmup_bars:
        back = low - lookback(interval, warmup_bars)
        candles = made(back, high)
        short = int(np.searchsorted(candles.start, stamp(start))) < warmup_bars
        if short and stored.first is not None and stored.first < back:
            candles = made(None, high)
    else:
        candles = made(low, high)
    return candles.between(start, end, warmup_bars=warmup_bars)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _touches(stored: Stored, start: datetime | None, end: datetime | None) -> bool:
    """Whether the series' first and last bars leave room for one in the range."""
    if stored.first is None or stored.last is None:
        return False
    return (end is None or stored.first < end) and (start is None or stored.last >= start)


_SEVERAL = "several, last "


def _sources(before: str, last: str) -> str:
    """Where the bars of a series that was put together come from."""
    if not before or before == last:
        return last
    return before if before == _SEVERAL + last else _SEVERAL + last.removeprefix(_SEVERAL)


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is not None and end is not None:
        return f"between {start:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M}"
    if start is not None:
        return f"from {start:%Y-%m-%d %H:%M} on"
    return f"before {end:%Y-%m-%d %H:%M}" if end is not None else "in it"


def _own_range(candles: Candles) -> tuple[Range, ...]:
    if len(candles) == 0:
        return ()
    return ((candles.first, candles.last + timedelta(seconds=INTERVALS[candles.interval])),)


def _gaps(candles: Candles, asked: Iterable[Range]) -> tuple[Range, ...]:
    """What was asked for in vain: ranges without a bar, and what lies before the first bar."""
    found = []
    for low, high in asked:
        inside = candles.between(low, high)
        if len(inside) == 0:
            found.append((low, high))
        elif inside.first == candles.first:
            found.append((low, inside.first))
    return joined(found)


def _merged(old: Candles, new: Candles) -> Candles:
    if len(old) == 0 or len(new) == 0:
        return new if len(old) == 0 else old
    keep = ~np.isin(old.start, new.start)
    columns = {name: np.concatenate((old.columns()[name][keep], new.columns()[name])) for name in COLUMNS}
    order = np.argsort(columns["date"], kind="stable")
    return Candles.of(new.key, new.interval, {name: column[order] for name, column in columns.items()})
