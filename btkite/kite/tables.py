"""Kite's two bulk answers, candles and the instruments dump, read as columns.

kiteconnect reads them row by row, dates with dateutil: 20,000 candles take it 0.8 s, a dump of 100,000
instruments 7 s.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .frames import moment

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

Candles: TypeAlias = "dict[str, NDArray[Any]]"
"""Columns ``date`` (datetime64[s], naive IST, start of the bar), ``open high low close`` (float64),
``volume oi`` (int64; ``oi`` is 0 unless asked for)."""


class Columns(dict[str, "NDArray[Any]"]):
    """:data:`Candles` within an answer, which has objects of JSON otherwise."""


def read_candles(answer: bytes) -> Any:
    """Kite's answer with candles, where ``candles`` are :class:`Columns` if they could be read as such, or else its
    JSON's rows. Raises ValueError for what is no JSON."""
    import numpy as np

    from . import digits

    found = digits.candles(answer)
    if found is not None:
        rest, dates, values = found
        message = json.loads(rest)
        if isinstance(message, dict) and isinstance(message.get("data"), dict) and message["data"].get("candles") == []:
            volume, *oi = (column.astype(np.int64) for column in values[4:])
            columns = dict(zip(("open", "high", "low", "close"), values[:4], strict=True))
            more = {"volume": volume, "oi": oi[0] if oi else np.zeros(len(dates), np.int64)}
            message["data"]["candles"] = Columns({"date": dates, **columns, **more})
            return message
    return json.loads(answer)


def candle_columns(rows: Sequence[Sequence[Any]] | Candles) -> Candles:
    """Kite's candle rows as columns, if they are not yet; see :data:`Candles`."""
    import numpy as np

    if isinstance(rows, Columns):
        return rows

    if not rows:
        empty: dict[str, NDArray[Any]] = {"date": np.empty(0, "datetime64[s]")}
        empty.update({name: np.empty(0, np.float64) for name in ("open", "high", "low", "close")})
        empty.update({name: np.empty(0, np.int64) for name in ("volume", "oi")})
        return empty
    columns = list(zip(*rows, strict=True))
    prices = {
        name: np.array(column, np.float64)
        for name, column in zip(("open", "high", "low", "close"), columns[1:5], strict=True)
    }
    volume = np.array(columns[5], np.float64).astype(np.int64)
    oi = np.array(columns[6], np.float64).astype(np.int64) if len(columns) > 6 else np.zeros(len(rows), np.int64)
    return {"date": _dates(columns[0]), **prices, "volume": volume, "oi": oi}


def _dates(stamps: Sequence[str]) -> NDArray[np.datetime64]:
    import numpy as np

    if all(stamp[19:] in ("+0530", "+05:30", "") for stamp in stamps):
        return np.array(stamps, "U19").astype("datetime64[s]")
    moments = [moment(stamp) for stamp in stamps]
    if None in moments:
        raise ValueError("a candle without a date")
    return np.array(moments, "datetime64[s]")


_WHOLE = ("instrument_token", "lot_size")
_PRICES = ("last_price", "strike", "tick_size")
_TEXTS = ("exchange_token", "tradingsymbol", "name", "instrument_type", "segment", "exchange")


def instrument_columns(text: bytes | str) -> pa.Table:
    """The instruments dump as typed columns, in the dump's order: ``expiry`` is a date or null, the rest as kiteconnect
    gives it.

    :raises ValueError: for what is no dump.
    """
    import pyarrow as pa
    from pyarrow import compute

    raw = text.encode() if isinstance(text, str) else text
    try:
        read = _read_dump(raw, pa.date32())
    except pa.ArrowInvalid:  # perhaps an expiry that is none: it is missing
        read = _read_dump(raw, pa.string())
        days = compute.strptime(read["expiry"], format="%Y-%m-%d", unit="s", error_is_null=True).cast(pa.date32())
        read = read.set_column(read.schema.get_field_index("expiry"), "expiry", days)
    missing = {*_WHOLE, *_PRICES, *_TEXTS, "expiry"} - set(read.column_names)
    if missing:
        raise KeyError(", ".join(sorted(missing)))
    for column in _PRICES:
        if read[column].null_count:
            place = read.schema.get_field_index(column)
            read = read.set_column(place, column, compute.fill_null(read[column], 0.0))
    for column in _WHOLE:
        if read[column].null_count:
            raise ValueError(f"a row has no {column}")
    return read


def _read_dump(raw: bytes, expiry: pa.DataType) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    kinds = {
        **dict.fromkeys(_WHOLE, pa.int64()),
        **dict.fromkeys(_PRICES, pa.float64()),
        **dict.fromkeys(_TEXTS, pa.string()),
        "expiry": expiry,
    }
    # One thread: the dump is read while a run starts, and costs less as a whole.
    return csv.read_csv(
        pa.py_buffer(raw),
        read_options=csv.ReadOptions(use_threads=False),
        convert_options=csv.ConvertOptions(column_types=kinds, strings_can_be_null=False, null_values=[""]),
    )


def instrument_table(text: bytes | str) -> pd.DataFrame:
    """:func:`instrument_columns` as a table of pandas; ``expiry`` is a moment or NaT.

    :raises ValueError: for what is no dump.
    """
    import pyarrow as pa

    read = instrument_columns(text)
    moments = read["expiry"].cast(pa.timestamp("s"))
    table: pd.DataFrame = read.set_column(read.schema.get_field_index("expiry"), "expiry", moments).to_pandas()
    return table
