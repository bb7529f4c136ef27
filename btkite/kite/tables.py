"""Kite's two bulk answers, candles and the instruments dump, read as columns.

kiteconnect reads them row by row, dates with dateutil: 20,000 candles take it 0.8 s, a dump of 100,000
instruments 7 s.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .frames import moment

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Candles: TypeAlias = "dict[str, NDArray[Any]]"
"""Columns ``date`` (datetime64[s], naive IST, start of the bar), ``open high low close`` (float64),
``volume oi`` (int64; ``oi`` is 0 unless asked for)."""


def candle_columns(rows: Sequence[Sequence[Any]]) -> Candles:
    """Kite's candle rows as columns; see :data:`Candles`."""
    import numpy as np

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


def instrument_table(text: bytes | str) -> pd.DataFrame:
    """The instruments dump as a typed table: ``expiry`` is a date or NaT, the rest as kiteconnect gives it."""
    import pandas as pd

    raw = text.encode() if isinstance(text, str) else text
    names = {"exchange_token": str, "tradingsymbol": str, "name": str, "instrument_type": str, "segment": str}
    table = pd.read_csv(
        io.BytesIO(raw),
        dtype={**names, "exchange": str, "expiry": str},
        keep_default_na=False,
        na_values={name: [""] for name in ("last_price", "strike", "tick_size")},
    )
    for column in ("instrument_token", "lot_size"):
        table[column] = table[column].astype("int64")
    for column in ("last_price", "strike", "tick_size"):
        table[column] = table[column].fillna(0.0).astype("float64")
    table["expiry"] = pd.to_datetime(table["expiry"], format="%Y-%m-%d", errors="coerce")
    return table
