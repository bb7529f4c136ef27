"""Recorded ticks: a market day played back print by print, with the depth that was recorded beside them.

Read from CSV, JSON lines (both may be gzipped) or Parquet. The names are those of KiteTicker's dictionaries
(``exchange_timestamp last_price last_traded_quantity volume_traded oi depth``), or the shorter ones that
recorders use (``time``, ``ltp``, ``quantity``, ``volume``, ``bid ask bid_qty ask_qty``, and ``bid1`` ... ``ask5``
with ``bid_qty1`` ...); a file without a header has a time and a price. Times are naive IST unless they name
a zone; numbers are epoch seconds, or milli-, micro- or nanoseconds by their size.

Two ticks of one minute are joined continuously, the first of a minute is a jump (docs/fills.md). Where a tick
has depth, it is the standing book until the next tick.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import orjson
from numpy.typing import NDArray

from .candles import DAY_SECONDS, CandleSeries
from .clock import IST_SECONDS, MINUTE, SECOND, stamp
from .depth import LEVELS, Book, put_side
from .errors import BadCandles
from .hours import Session
from .instruments import InstrumentRow
from .schedule import PRINT, Columns, Tape

TIME = ("exchange_timestamp", "timestamp", "time", "ts", "datetime", "date", "last_trade_time")
PRICE = ("last_price", "ltp", "price", "last")
QUANTITY = ("last_traded_quantity", "last_quantity", "quantity", "qty", "ltq")
VOLUME = ("volume_traded", "volume")
_FRACTION = re.compile(r"(\.\d{6})\d+")
Quotes = tuple[tuple[tuple[float, int, int], ...], tuple[tuple[float, int, int], ...]]  # bids, asks


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TickSeries:
    """Ticks of one instrument, ascending in time; ticks of one time keep their order.

    ``time`` are naive IST datetimes, or integers: microseconds of naive IST since 1970. ``quantity`` traded
    at each tick (None: from the differences of ``volume``, the day's so far, else 0). ``depth`` is for each
    tick None or ``(bids, asks)`` of ``[price, quantity(, orders)]``.

    Raises :class:`~btkite.exchange.errors.BadCandles` if the columns do not make ticks.
    """

    time: Any
    last_price: Any
    quantity: Any = None
    volume: Any = None
    oi: Any = None
    depth: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        times = np.array([stamp(one) if isinstance(one, datetime) else int(one) for one in self.time], dtype=np.int64)
        size = len(times)
        prices = np.asarray(self.last_price, dtype=np.float64)
        columns: dict[str, NDArray[np.int64]] = {}
        for name in ("quantity", "volume", "oi"):
            given = getattr(self, name)
            columns[name] = np.zeros(size, np.int64) if given is None else np.asarray(given, dtype=np.int64)
        depth = list(self.depth) if self.depth is not None else [None] * size
        if {len(prices), len(depth), *(len(column) for column in columns.values())} != {size} or not size:
            raise BadCandles("the columns of the ticks are empty or have different lengths")
        if not np.all(np.isfinite(prices)) or np.any(prices <= 0):
            raise BadCandles("a tick has no price above zero")
        order = np.argsort(times, kind="stable")
        if self.quantity is None and self.volume is not None:
            days = times[order] // (DAY_SECONDS * SECOND)
            steps = np.diff(columns["volume"][order], prepend=0)
            fresh = np.diff(days, prepend=days[0] - 1) != 0
            steps[fresh] = 0  # what was traded before the first tick of a day is not known tick by tick
            columns["quantity"][order] = np.maximum(steps, 0)
        put(self, "time", times[order])
        put(self, "last_price", prices[order])
        for name, column in columns.items():
            put(self, name, column[order])
        put(self, "depth", [_quotes(depth[at]) for at in order.tolist()])

    def __len__(self) -> int:
        return len(self.time)


def _quotes(depth: Any) -> Quotes | None:
    if depth is None:
        return None
    bids, asks = depth
    sides = tuple(
        tuple((float(level[0]), int(level[1]), int(level[2]) if len(level) > 2 else 1) for level in side if level[0])
        for side in (bids, asks)
    )
    return (sides[0], sides[1]) if sides[0] or sides[1] else None


@dataclass(frozen=True, slots=True)
class TickTape(Tape):
    """Recorded ticks as a tape: every tick is a print, the candles of its minutes are what history serves."""

    ticks: TickSeries | None = None
    begins: NDArray[np.int64] | None = None  # the first tick of each candle

    recorded: ClassVar[bool] = True
    widens: ClassVar[bool] = False

    @classmethod
    def record(cls, rank: int, row: InstrumentRow, ticks: TickSeries) -> TickTape:
        """The tape of ``ticks``, prices rounded to what the wire can carry."""
        prices = np.round(ticks.last_price, row.decimals)
        minutes = ticks.time // MINUTE
        starts, begins = np.unique(minutes, return_index=True)
        last = np.append(begins[1:], len(ticks)) - 1
        series = CandleSeries(
            interval="minute",
            start=(starts * 60).astype("datetime64[s]"),
            open=prices[begins],
            high=np.maximum.reduceat(prices, begins),
            low=np.minimum.reduceat(prices, begins),
            close=prices[last],
            volume=np.add.reduceat(ticks.quantity, begins),
            oi=ticks.oi[last],
        )
        days, first = np.unique(series.start // DAY_SECONDS, return_index=True)
        return cls(rank, row, series, days, first, False, ticks, begins)

    def _range(self, candle: int) -> tuple[int, int]:
        assert self.begins is not None
        assert self.ticks is not None
        end = self.begins[candle + 1] if candle + 1 < len(self.begins) else len(self.ticks)
        return int(self.begins[candle]), int(end)

    def prints(self, candle: int) -> list[tuple[float, int]]:
        """Price and quantity of the ticks of a minute."""
        assert self.ticks is not None
        begin, end = self._range(candle)
        prices = np.round(self.ticks.last_price[begin:end], self.row.decimals).tolist()
        return list(zip(prices, self.ticks.quantity[begin:end].tolist(), strict=True))

    def forming(self, candle: int, last_print: int) -> list[tuple[float, int]] | None:
        """What was printed of a minute up to its ``last_print``; None: all of it."""
        prints = self.prints(candle)
        return prints[: last_print + 1] if last_print + 1 < len(prints) else None

    def oi_at(self, candle: int, which: int) -> int:
        """Open interest at a tick."""
        assert self.ticks is not None
        return int(self.ticks.oi[self._range(candle)[0] + which])

    def book_at(self, candle: int, which: int) -> Book | None:
        """The depth that was recorded with a tick."""
        assert self.ticks is not None
        assert self.ticks.depth is not None
        at = self._range(candle)[0] + which
        quotes = self.ticks.depth[at]
        if quotes is None:
            return None
        price = round(float(self.ticks.last_price[at]), self.row.decimals)
        bids, asks = (
            put_side(side[:LEVELS], buys, self.row.decimals) for side, buys in zip(quotes, (True, False), strict=True)
        )
        return Book(price, bids, asks, standing=True)

    def instants(self, day: int, hours: Session, samples: int) -> Columns:
        """Every tick of ``day``, at its time."""
        assert self.ticks is not None
        assert self.begins is not None
        first, last = self.slice_of(day)
        begin, end = self._range(first)[0], self._range(last - 1)[1]
        size = end - begin
        candles = np.searchsorted(self.begins, np.arange(begin, end), side="right") - 1
        quantity = self.ticks.quantity[begin:end]
        so_far = self.ticks.volume[begin:end]
        if not so_far.any():
            so_far = np.cumsum(quantity)
        return (
            self.ticks.time[begin:end],
            np.full(size, PRINT),
            np.full(size, self.rank),
            np.round(self.ticks.last_price[begin:end], self.row.decimals),
            so_far,
            quantity,
            candles,
            np.arange(begin, end) - self.begins[candles],
        )


# reading


def read_ticks(path: str | Path, key: str = "", *, token: int = 0) -> TickSeries:
    """The ticks in a file; of several instruments those of ``EXCHANGE:SYMBOL`` or of ``token``.

    Raises :class:`~btkite.exchange.errors.BadCandles` if there are none, or no times or prices in it.
    """
    path = Path(path)
    if not path.is_file():
        raise BadCandles(f"there are no ticks at {path}")
    symbol = key.partition(":")[2]
    rows = [row for row in _rows(path) if _is_of(row, symbol, token)]
    if not rows:
        raise BadCandles(f"{path.name} holds no tick of {key or token}")
    times, prices, quantities, volumes, ois, depths = [], [], [], [], [], []
    for number, row in enumerate(rows, 1):
        depth = _depth_of(row)
        price = _first(row, PRICE)
        moment = _first(row, TIME)
        if moment is None or (price is None and depth is None):
            raise BadCandles(f"{path.name}, tick {number}: a tick needs a time and a last price (or bid and ask)")
        times.append(_moment(moment, path.name))
        prices.append(float(price) if price is not None else _middle(depth))
        quantities.append(_first(row, QUANTITY))
        volumes.append(_first(row, VOLUME))
        ois.append(row.get("oi"))
        depths.append(depth)
    return TickSeries(
        time=times,
        last_price=prices,
        quantity=_column(quantities),
        volume=_column(volumes),
        oi=_column(ois),
        depth=depths if any(depths) else None,
    )


def load(given: Mapping[str, Any]) -> dict[str, TickSeries]:
    """The ticks that the settings name: series as they are, files read."""
    return {key: one if isinstance(one, TickSeries) else read_ticks(one, key) for key, one in given.items()}


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    suffixes = [suffix for suffix in path.suffixes if suffix in (".csv", ".jsonl", ".json", ".parquet", ".gz")]
    if ".parquet" in suffixes:
        import pyarrow.parquet as parquet  # lazily: half a second that only this file kind should pay

        yield from parquet.read_table(path).to_pylist()
        return
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    if ".csv" in suffixes:
        yield from _csv_rows(text)
    elif ".json" in suffixes:
        found = orjson.loads(text)
        yield from found if isinstance(found, list) else [row for part in found.values() for row in part]
    else:
        for line in text.splitlines():
            if line.strip():
                found = orjson.loads(line)
                yield from found if isinstance(found, list) else (found,)  # a list: what on_ticks was given


def _csv_rows(text: str) -> Iterator[Mapping[str, Any]]:
    first = text.partition("\n")[0].strip().split(",")
    named = any(name.strip().lower() in TIME for name in first)
    names = [name.strip().lower() for name in first] if named else ["time", "last_price", "quantity"][: len(first)]
    for number, row in enumerate(csv.reader(io.StringIO(text))):
        if row and not (named and number == 0):
            yield dict(zip(names, row, strict=False))


def _is_of(row: Mapping[str, Any], symbol: str, token: int) -> bool:
    named = row.get("tradingsymbol") or row.get("symbol")
    if symbol and named:
        return str(named).rpartition(":")[2] == symbol
    numbered = row.get("instrument_token")
    return not token or numbered is None or int(numbered) == token


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def _moment(value: Any, name: str) -> int:
    """A time in any of the usual forms as a moment."""
    if isinstance(value, datetime):
        return stamp(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        try:
            return stamp(datetime.fromisoformat(_FRACTION.sub(r"\1", str(value).strip())))
        except ValueError:
            raise BadCandles(f"{name}: {value!r} is not a time: write 2026-11-20T09:15:00.250+05:30") from None
    for scale in (1_000_000_000, 1_000_000, 1_000):
        if number > 1e9 * scale / 10:
            return int(number) * SECOND // scale + IST_SECONDS * SECOND
    return int(number * SECOND) + IST_SECONDS * SECOND


def _depth_of(row: Mapping[str, Any]) -> Any:
    scale = 10.0 ** float(row.get("price_exponent") or 0)
    depth = row.get("depth")
    if isinstance(depth, Mapping):
        return tuple(
            [(level["price"], level["quantity"], level.get("orders", 1)) for level in depth.get(side, ())]
            for side in ("buy", "sell")
        )
    sides = []
    for side in ("bid", "ask"):
        levels = []
        for number in ("", *map(str, range(1, LEVELS + 1))):
            price = _first(row, (f"{side}{number}", f"{side}_price{number}"))
            quantity = _first(row, (f"{side}_qty{number}", f"{side}_quantity{number}"))
            if price is not None and quantity is not None and float(price) > 0:
                levels.append((round(float(price) * scale, 7), int(float(quantity)), 1))
        sides.append(levels)
    return tuple(sides) if sides[0] or sides[1] else None


def _middle(depth: Any) -> float:
    """Between the best bid and the best ask; one of them if the other is missing."""
    bids, asks = (sorted(level[0] for level in side if level[0]) for side in depth)
    best = [*bids[-1:], *asks[:1]]
    return sum(best) / len(best) if best else 0.0


def _column(values: list[Any]) -> list[int] | None:
    if all(value is None for value in values):
        return None
    return [int(float(value or 0)) for value in values]
