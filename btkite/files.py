"""Candle files as people have them: CSV in Kite's column order, Parquet, pandas frames.

Whatever comes in goes out as checked :class:`~btkite.series.Candles`: in order, without repeats, bar
starts in naive IST. A time with a zone is converted; one without is taken as IST, as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .candles import decode
from .clock import to_ist
from .errors import ConfigError, DataError
from .market.calendar import EXCHANGES
from .parquet import as_numpy
from .series import COLUMNS, PRICES, Array, Candles
from .values import INTERVALS

if TYPE_CHECKING:
    import pandas as pd

DATE_NAMES = ("date", "datetime", "timestamp", "time")
"""What the column of times may be called, in order of preference; case does not matter."""

SYMBOL_NAMES = ("symbol", "tradingsymbol", "ticker")
_OTHER_NAMES = {"open_interest": "oi", "openinterest": "oi", "vol": "volume"}
_IST = 19_800
_NAME = re.compile(
    rf"^(?:sample_)?(?:(?P<exchange>{'|'.join(EXCHANGES)})[_ ])?(?P<symbol>.+?)"
    rf"(?:_(?P<interval>{'|'.join(INTERVALS)}))?(?:_\d{{4}}(?:\D.*)?)?$"
)


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says: ``RELIANCE_minute_2016-08-16_2016-09-09.parquet``. Empty if it does not."""

    exchange: str = ""
    symbol: str = ""
    interval: str = ""


def named(path: Path) -> Named:
    """Exchange, symbol and interval by a file's name, or by its place in a candle cache.

    Kite has no symbol with an underscore; there it stands for a space (``NIFTY_50``).
    """
    stem = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
    if stem in INTERVALS:
        return Named(path.parent.parent.name, decode(path.parent.name), stem)
    match = _NAME.match(stem)
    if match is None:
        return Named()
    return Named(match["exchange"] or "", match["symbol"].replace("_", " ").strip(), match["interval"] or "")


@dataclass(frozen=True, slots=True)
class Read:
    """One series of a file. ``disordered`` rows stood before an earlier one, ``repeated`` were dropped."""

    symbol: str  # of the file's own column; empty if it has none
    candles: Candles
    disordered: int = 0
    repeated: int = 0


def read_file(path: Path | str, key: str, interval: str | None = None) -> list[Read]:
    """All series of a CSV or Parquet file: one, or one for each symbol of its symbol column.

    ``key`` names a series that does not name itself (its exchange serves for those that do).
    ``interval`` is checked against the distance of the bars; without it that distance decides.
    Raises DataError in one sentence about the file.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"{path} is not there")
    columns = _columns(path)
    exchange = key.partition(":")[0]
    try:
        groups = _by_symbol(columns)
        return [
            _series(f"{exchange}:{symbol}" if symbol else key, symbol, part, interval, path) for symbol, part in groups
        ]
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_frame(frame: pd.DataFrame, key: str, interval: str | None = None) -> Candles:
    """A pandas frame with Kite's columns; times in the index or in a ``date`` column.

    Raises DataError for cells that are empty and for times that are none.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise ConfigError(f"the source frame needs a pandas DataFrame, not {type(frame).__name__}")
    named_columns = {str(name): frame[name] for name in frame.columns}
    if not any(name.lower() in DATE_NAMES for name in named_columns):
        if not isinstance(frame.index, pd.DatetimeIndex):
            raise DataError(f"{key}: the frame has its times neither in the index nor in a column named date")
        named_columns = {"date": frame.index.to_series(), **named_columns}
    columns: dict[str, Any] = {}
    for name, column in _standard(named_columns).items():
        if name == "date":
            columns[name] = _frame_dates(column, key)
        elif name in COLUMNS:
            columns[name] = _frame_numbers(column, name, key)
    return _series(key, "", columns, interval, None).candles


def interval_of(starts: Array) -> str:
    """The interval of candles by the distance of their starts. Raises DataError if Kite has none such."""
    ordered = np.unique(starts.astype("datetime64[s]"))
    seconds = ordered.astype(np.int64)
    if len(seconds) < 2:
        if len(seconds) and seconds[0] % 86400 == 0:
            return "day"
        raise DataError("a single candle does not tell its interval: name it")
    step = int(np.diff(seconds).min())
    if step >= 86400:
        return "day"
    for name, length in INTERVALS.items():
        if length == step:
            return name
    raise DataError(
        f"its candles are {step} seconds apart, an interval that Kite does not have ({', '.join(INTERVALS)})"
    )


# ---- from columns to candles --------------------------------------------------------------------


def _series(key: str, symbol: str, columns: Mapping[str, Any], interval: str | None, path: Path | None) -> Read:
    lacking = [name for name in ("date", *PRICES) if name not in columns]
    if lacking:
        raise DataError(f"{key}: the columns {', '.join(lacking)} are missing (Kite's are {', '.join(COLUMNS)})")
    starts = columns["date"]
    found = interval if interval and len(starts) < 2 else interval_of(starts)
    if interval and found != interval:
        raise DataError(f"{key}: the candles are of the interval {found}, not {interval}")
    if found == "day":
        starts = starts.astype("datetime64[D]").astype("datetime64[s]")
    disordered = int((np.diff(starts.astype(np.int64)) < 0).sum())
    source = path.name if path is not None else "frame"
    candles = Candles.of(key, found, {**columns, "date": starts}, source=source, tidy=True)
    return Read(symbol, candles, disordered, len(starts) - len(candles))


def _standard(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Under Kite's names, whatever the case."""
    lower = {name.strip().lower(): column for name, column in columns.items()}
    dates = next((name for name in DATE_NAMES if name in lower), None)
    if dates is not None:
        lower = {"date": lower.pop(dates), **lower}
    return {_OTHER_NAMES.get(name, name): column for name, column in lower.items()}


def _by_symbol(columns: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    name = next((name for name in SYMBOL_NAMES if name in columns), None)
    if name is None:
        return [("", columns)]
    symbols = columns.pop(name)
    groups = []
    for symbol in dict.fromkeys(symbols.tolist()):
        rows = symbols == symbol
        groups.append((str(symbol), {column: values[rows] for column, values in columns.items()}))
    return groups


# ---- pandas -----------------------------------------------------------------------------------


def _frame_dates(column: Any, key: str) -> Array:
    import pandas as pd

    try:
        moments = pd.DatetimeIndex(column)
    except (TypeError, ValueError) as error:
        raise DataError(f"{key}: the times of the frame are not all dates of one zone ({error})") from error
    if moments.hasnans:
        raise DataError(f"{key}: row {int(moments.isna().argmax()) + 1} of the frame has no date")
    if moments.tz is not None:
        moments = moments.tz_convert("Asia/Kolkata").tz_localize(None)
    return moments.to_numpy().astype("datetime64[s]")


def _frame_numbers(column: Any, name: str, key: str) -> Array:
    empty = column.isna().to_numpy()
    if empty.any():
        hint = "" if name in PRICES else " (0 is what Kite gives where there is none)"
        raise DataError(
            f"{key}: {name} of row {int(empty.argmax()) + 1} of the frame is empty; fill it or drop the row{hint}"
        )
    try:
        return np.asarray(column.to_numpy(dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise DataError(f"{key}: the column {name} of the frame is not all numbers ({error})") from error


# ---- files ------------------------------------------------------------------------------------


def _columns(path: Path) -> dict[str, Any]:
    """The columns of a file that we know, as numpy, times in naive IST."""
    import pyarrow as pa

    table = _table(path)
    if not table.num_rows:
        raise DataError(f"{path} has no rows: there is no candle in it")
    columns: dict[str, Any] = {}
    for name, column in _standard({name: table.column(name) for name in table.column_names}).items():
        if name not in (*COLUMNS, *SYMBOL_NAMES):
            continue
        if column.null_count:
            row = column.is_null().to_pylist().index(True)
            raise DataError(f"{path}: {name} of row {row + 1} is empty")
        if name == "date":
            columns[name] = _dates(column, path)
        elif name in SYMBOL_NAMES:
            columns[name] = np.array([str(text) for text in column.to_pylist()])
        else:
            try:
                columns[name] = as_numpy(column.cast(pa.float64()))
            except pa.ArrowInvalid as error:
                raise DataError(f"{path}: the column {name} is not all numbers ({error})") from error
    return columns


def _table(path: Path) -> Any:
    import pyarrow as pa

    try:
        if path.name.removesuffix(".gz").endswith(".parquet"):
            import pyarrow.parquet as pq

            return pq.read_table(path)
        import pyarrow.csv as csv

        with pa.input_stream(path, compression="detect") as stream:
            start = stream.read(64)
        names = None if start[:1].isalpha() or start[:1] in (b'"', b"\xef") else list(COLUMNS)
        with pa.input_stream(path, compression="detect") as stream:
            if names is None:
                return csv.read_csv(stream)
            # No header: the columns are Kite's, in Kite's order, with or without open interest.
            names = names[: start.partition(b"\n")[0].count(b",") + 1] if b"\n" in start else names
            return csv.read_csv(stream, csv.ReadOptions(column_names=names))
    except (pa.ArrowException, OSError, ValueError) as error:
        if "Empty CSV file" in str(error):
            raise DataError(f"{path} has no rows: there is no candle in it") from error
        raise DataError(f"{path} cannot be read as {path.suffix.lstrip('.') or 'CSV'} ({error})") from error


def _dates(column: Any, path: Path) -> Array:
    import pyarrow as pa
    import pyarrow.types as kinds

    if kinds.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if kinds.is_timestamp(column.type):
        shift = 0 if column.type.tz is None else _IST
        seconds = as_numpy(column.cast(pa.timestamp("s", column.type.tz), safe=False))
        return (seconds + shift).astype("datetime64[s]")
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return np.array([_moment(text, path, row) for row, text in enumerate(column.to_pylist())], "datetime64[s]")
    raise DataError(f"{path}: the times are numbers; write them as 2026-11-23 09:15:00 (or with +05:30)")


def _moment(text: str, path: Path, row: int) -> Any:
    try:
        return to_ist(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise DataError(f"{path}: {text!r} in row {row + 1} is not a date; write 2026-11-23 09:15:00") from None
