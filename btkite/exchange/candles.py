"""Candles: columns of one instrument, and their reading from a Parquet cache.

A candle's start is the integer of :mod:`btkite.exchange.clock` in seconds: naive IST since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .clock import IST_SECONDS
from .errors import BadCandles

DAY_SECONDS = 86_400


def interval_seconds(interval: str) -> int:
    """Seconds of Kite's interval name: ``minute``, ``5minute`` … ``day``."""
    if interval == "day":
        return DAY_SECONDS
    count = interval.removesuffix("minute")
    if interval.endswith("minute") and (not count or (count.isdigit() and int(count) > 0)):
        return 60 * int(count or 1)
    raise BadCandles(f"{interval!r} is not an interval: use minute, 3minute, 5minute … 60minute or day")


def _starts(values: Any) -> NDArray[np.int64]:
    """Any column of starts as naive IST seconds: integers are epoch seconds, the rest is wall time."""
    zone = getattr(getattr(values, "dt", values), "tz", None)
    if zone is not None:  # a zone-aware pandas column or index
        wall = getattr(values, "dt", values).tz_convert("Asia/Kolkata")
        values = getattr(wall, "dt", wall).tz_localize(None)
    array = np.asarray(values)
    if array.dtype.kind == "M":
        return array.astype("datetime64[s]").astype(np.int64)
    if array.dtype.kind in "iuf":
        return array.astype(np.int64) + IST_SECONDS
    try:
        return array.astype("datetime64[s]").astype(np.int64)
    except (TypeError, ValueError):
        raise BadCandles("the starts of candles must be epoch seconds or naive IST datetimes") from None


def _floats(values: Any) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.asarray(values, dtype=np.float64))


def _whole(values: Any, size: int) -> NDArray[np.int64]:
    if values is None:
        return np.zeros(size, dtype=np.int64)
    return np.rint(np.nan_to_num(np.asarray(values, dtype=np.float64))).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CandleSeries:
    """Candles of one instrument, ascending.

    ``start`` may be given as integers (epoch seconds), as datetime64 or datetimes (naive IST wall
    time), or as a zone-aware pandas column; it is kept as naive IST seconds. Prices in rupees,
    ``volume`` and ``oi`` are whole numbers. A ``day`` candle starts at midnight, as Kite stamps it.

    Raises :class:`~btkite.exchange.errors.BadCandles` if the columns do not make candles.
    """

    interval: str
    start: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any = None
    oi: Any = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        interval_seconds(self.interval)
        put(self, "start", _starts(self.start))
        size = len(self.start)
        for name in ("open", "high", "low", "close"):
            put(self, name, _floats(getattr(self, name)))
        put(self, "volume", _whole(self.volume, size))
        put(self, "oi", _whole(self.oi, size))
        lengths = {len(getattr(self, name)) for name in ("open", "high", "low", "close", "volume", "oi")}
        if lengths != {size}:
            raise BadCandles("the columns of the candles have different lengths")
        if len(falling := np.flatnonzero(np.diff(self.start) <= 0)):
            row = int(falling[0]) + 1
            earlier, later = (np.datetime64(int(self.start[at]), "s") for at in (row - 1, row))
            raise BadCandles(
                f"the starts of the candles must ascend, each once: row {row + 1} is of {later}, "
                f"the one before of {earlier}"
            )
        prices = np.stack([self.open, self.high, self.low, self.close]) if size else np.zeros((4, 0))
        if not np.all(np.isfinite(prices)) or np.any(prices < 0):
            raise BadCandles("a candle has a price that is not a number, or is negative")
        if np.any(self.high < prices.max(axis=0)) or np.any(self.low > prices.min(axis=0)):
            raise BadCandles("a candle's high is below, or its low above, another of its prices")
        if np.any(self.volume < 0):
            raise BadCandles("a candle has a negative volume")

    def __len__(self) -> int:
        return len(self.start)

    @property
    def seconds(self) -> int:
        """Length of one candle."""
        return interval_seconds(self.interval)

    def rounded(self, decimals: int) -> CandleSeries:
        """The same with prices as the wire can carry them: what is printed is what is matched."""
        return CandleSeries(
            interval=self.interval,
            start=self.start.astype("datetime64[s]"),
            open=np.round(self.open, decimals),
            high=np.round(self.high, decimals),
            low=np.round(self.low, decimals),
            close=np.round(self.close, decimals),
            volume=self.volume,
            oi=self.oi,
        )

    @classmethod
    def from_frame(cls, frame: Any, interval: str) -> CandleSeries:
        """From a pandas frame: columns open high low close volume (oi), starts in ``date`` or the index."""
        return cls.from_columns({"date": frame.index, **dict(frame.items())}, interval)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any], interval: str) -> CandleSeries:
        """From columns by name: ``date`` (starts), open, high, low, close, and volume and oi if they are there."""
        return cls(
            interval=interval,
            start=columns["date"],
            open=columns["open"],
            high=columns["high"],
            low=columns["low"],
            close=columns["close"],
            volume=columns.get("volume"),
            oi=columns.get("oi"),
        )


def read_parquet(path: Path, interval: str) -> CandleSeries:
    """One file of the cache: ``date`` (naive IST starts), open, high, low, close, volume, oi."""
    if not path.is_file():
        raise BadCandles(f"there are no candles at {path}: fetch them first, or name another interval")
    import pyarrow.parquet as parquet  # lazily: half a second that only a cache reader should pay

    table = parquet.read_table(path)
    missing = {"date", "open", "high", "low", "close"} - set(table.column_names)
    if missing:
        raise BadCandles(f"{path.name} lacks the columns {', '.join(sorted(missing))}")
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    try:
        return CandleSeries.from_columns(columns, interval)
    except BadCandles as error:
        raise BadCandles(f"{path}: {error}") from None


def read_cache(cache: str | Path, keys: Iterable[str], interval: str) -> dict[str, CandleSeries]:
    """``<cache>/<EXCHANGE>/<SYMBOL>/<interval>.parquet`` for each ``EXCHANGE:SYMBOL``."""
    found = {}
    for key in keys:
        exchange, _, symbol = key.partition(":")
        found[key] = read_parquet(Path(cache) / exchange / symbol / f"{interval}.parquet", interval)
    return found
