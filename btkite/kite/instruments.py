"""The instrument master: Kite's dump of the day, held as columns and looked up by key or by token.

The dump is made once a day, about 08:00 IST, has some 100,000 rows, and most runs look up a handful: columns stay as
they are, and a row becomes an :class:`~btkite.values.Instrument` when it is asked for. Past days are kept by
:mod:`.archive`; where there is no dump, :mod:`.made` makes a master of what the candle cache knows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError, UnknownSymbol
from ..values import Instrument

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SEGMENT_CODES: Mapping[str, int] = {
    "NSE": 1,
    "NFO": 2,
    "CDS": 3,
    "BSE": 4,
    "BFO": 5,
    "BCD": 6,
    "MCX": 7,
    "INDICES": 9,
    "NCO": 12,
}
"""The low byte of an instrument token; the rest is the exchange's own token."""

EXCHANGES = tuple(name for name in SEGMENT_CODES if name != "INDICES")
"""Kite's exchanges. An index is of the exchange that makes it."""

TEXTS = ("exchange", "tradingsymbol", "name", "instrument_type", "segment", "isin")
NUMBERS = {"instrument_token": 0, "strike": 0.0, "tick_size": 0.05, "lot_size": 1, "multiplier": 1.0}
_ISIN = 12  # characters
_SCANS = 16
_NOTHING = ("NaT", "None", "nan")


def parse_key(text: str, default_exchange: str = "NSE") -> str:
    """``infy`` → ``NSE:INFY``, ``nfo:nifty26augfut`` → ``NFO:NIFTY26AUGFUT``.

    Raises ConfigError if no symbol is named.
    """
    exchange, colon, symbol = text.strip().partition(":")
    if not colon:
        exchange, symbol = default_exchange, exchange
    exchange, symbol = exchange.strip().upper(), symbol.strip().upper()
    if not symbol or not exchange.isalnum():
        raise ConfigError(f"{text!r} names no instrument: write EXCHANGE:TRADINGSYMBOL, such as NSE:INFY")
    return f"{exchange}:{symbol}"


class InstrumentMaster:
    """All instruments of one day.

    ``columns`` are the dump's (a DataFrame, an Arrow table, or a mapping of sequences); what lacks takes its default.
    ``day`` names the dump in messages.
    """

    def __init__(self, columns: Mapping[str, Any] | pd.DataFrame | pa.Table, day: date | None = None) -> None:
        self.day = day
        self.table = _table(columns)
        self._by_key: dict[str, int] | None = None
        self._by_token: dict[int, int] | None = None
        self._scans = 0
        self._contracts: dict[tuple[str, str], list[Instrument]] = {}

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[Instrument]:
        return map(self._at, range(len(self)))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._place(key) is not None

    def find(self, key: str) -> Instrument:
        """The instrument of ``NSE:INFY``, of ``INFY`` (NSE is meant), or of an ISIN where the dump knows it.

        Raises UnknownSymbol, with suggestions.
        """
        place = self._place(key)
        if place is None and (isin := self._of_isin(key.strip().upper())) is not None:
            place = isin
        if place is None:
            key = parse_key(key)
            place = self._place(key)
        if place is None:
            near = self.suggest(key)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            exchange = key.partition(":")[0]
            if exchange not in EXCHANGES and exchange not in set(self.table["exchange"].unique().to_pylist()):
                raise UnknownSymbol(f"{exchange} is no exchange: use one of {', '.join(EXCHANGES)}{hint}")
            raise UnknownSymbol(f"{key} is not in the instruments{self._of_day}{hint}")
        return self._at(place)

    def by_token(self, token: int) -> Instrument:
        """The instrument of a token of this day. Tokens are used again after an expiry."""
        place = self._of_token(int(token))
        if place is None:
            raise UnknownSymbol(f"no instrument has token {token} in the instruments{self._of_day}")
        return self._at(place)

    def keys(self) -> Iterator[str]:
        """``EXCHANGE:TRADINGSYMBOL`` of all, in the dump's order."""
        pairs = zip(self._list("exchange"), self._list("tradingsymbol"), strict=True)
        return (f"{exchange}:{symbol}" for exchange, symbol in pairs)

    def contracts(self, exchange: str, name: str) -> list[Instrument]:
        """All futures and options on ``name`` (as the dump names an underlying: NIFTY, RELIANCE, GOLD)."""
        import pyarrow.compute as pc

        found = self._contracts.get((exchange, name))
        if found is None:
            mask = pc.and_(pc.equal(self.table["exchange"], exchange), pc.equal(self.table["name"], name))
            rows = [self._at(place) for place in pc.indices_nonzero(mask).to_pylist()]
            found = self._contracts[exchange, name] = [one for one in rows if one.is_future or one.is_option]
        return found

    def underlyings(self, exchange: str) -> list[str]:
        """The names on which ``exchange`` has contracts."""
        rows = self.table.filter(_equal(self.table["exchange"], exchange))
        return sorted(set(rows["name"].to_pylist()))

    def expired_by(self, day: date) -> int:
        """How many contracts have expired before ``day``."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return int(pc.sum(pc.less(self.table["expiry"], pa.scalar(day, pa.date32()))).as_py() or 0)

    def expiring_from(self, day: date) -> bool:
        """Whether any contract expires on ``day`` or later."""
        import pyarrow as pa
        import pyarrow.compute as pc

        return bool(pc.any(pc.greater_equal(self.table["expiry"], pa.scalar(day, pa.date32()))).as_py())

    def suggest(self, key: str, count: int = 3) -> list[str]:
        """Keys that ``key`` may have been meant for: same symbol elsewhere, alike, or by company name."""
        exchange, _, symbol = key.partition(":")
        bare = symbol.replace(" ", "")
        at_home: dict[str, str] = {}
        found: list[str] = []
        named: list[str] = []
        rows = zip(self._list("exchange"), self._list("tradingsymbol"), self._list("name"), strict=True)
        for where, what, name in rows:
            if what == symbol or (where == exchange and what.replace(" ", "") == bare):
                found.append(f"{where}:{what}")
            elif where == exchange:
                at_home[what] = f"{where}:{what}"
                if len(bare) > 2 and name and name.upper().startswith(symbol):
                    named.append(f"{where}:{what}")
        close = difflib.get_close_matches(symbol, at_home, n=count, cutoff=0.6)
        begun = sorted((what for what in at_home if len(bare) > 2 and what.startswith(symbol)), key=len)
        found += [at_home[what] for what in (*close, *begun[:count])]
        return list(dict.fromkeys([*found, *sorted(named, key=len)]))[:count]

    def columns(self) -> dict[str, Sequence[Any]]:
        """The columns under Kite's names; ``expiry`` as datetime64[D], NaT where there is none."""
        texts: dict[str, Sequence[Any]] = {name: self._list(name) for name in TEXTS}
        numbers = {name: self.table[name].to_numpy() for name in NUMBERS}
        return {**texts, **numbers, "expiry": self.table["expiry"].to_numpy().astype("datetime64[D]")}

    def save(self, folder: Path | str) -> Path:
        """Keep this day's master in an archive (:func:`.archive.save`)."""
        from . import archive

        return archive.save(self, folder)

    @classmethod
    def load(cls, folder: Path | str, day: date | None = None) -> InstrumentMaster:
        """An archive's master of ``day``, or its newest (:func:`.archive.load`)."""
        from . import archive

        return archive.load(folder, day)

    # -- places in the table

    def _place(self, key: str) -> int | None:
        import pyarrow.compute as pc

        if self._by_key is None:
            self._scans += 1
            if self._scans <= _SCANS:  # a look through the column is quicker than an index of all keys
                exchange, _, symbol = key.partition(":")
                for place in pc.indices_nonzero(_equal(self.table["tradingsymbol"], symbol)).to_pylist():
                    if self.table["exchange"][place].as_py() == exchange:
                        return int(place)
                return None
            self._by_key = {known: place for place, known in enumerate(self.keys())}
        return self._by_key.get(key)

    def _of_token(self, token: int) -> int | None:
        import pyarrow.compute as pc

        if self._by_token is None:
            self._scans += 1
            if self._scans <= _SCANS:
                place = pc.index(self.table["instrument_token"], token).as_py()
                return int(place) if place >= 0 else None
            tokens = self.table["instrument_token"].to_pylist()
            self._by_token = dict(zip(tokens, range(len(tokens)), strict=True))
        return self._by_token.get(token)

    def _of_isin(self, text: str) -> int | None:
        """The first place of an ISIN: on NSE if it is there, else on BSE."""
        import pyarrow.compute as pc

        if len(text) != _ISIN or not text[:2].isalpha():
            return None
        places = pc.indices_nonzero(_equal(self.table["isin"], text)).to_pylist()
        return min(places, key=lambda place: self.table["exchange"][place].as_py() != "NSE", default=None)

    def _list(self, name: str) -> list[str]:
        texts: list[str] = self.table[name].to_pylist()
        return texts

    @property
    def _of_day(self) -> str:
        return f" of {self.day}" if self.day else ""

    def _at(self, place: int) -> Instrument:
        row = {name: self.table[name][place].as_py() for name in (*TEXTS, *NUMBERS, "expiry")}
        return Instrument(
            exchange=row["exchange"],
            tradingsymbol=row["tradingsymbol"],
            instrument_token=row["instrument_token"],
            name=row["name"],
            expiry=row["expiry"],
            strike=row["strike"],
            tick_size=row["tick_size"],
            lot_size=row["lot_size"],
            instrument_type=row["instrument_type"] or "EQ",
            segment=row["segment"] or row["exchange"],
            multiplier=row["multiplier"],
        )


def _equal(column: Any, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(column, value)


def _table(columns: Any) -> pa.Table:
    """The columns that are held, each of its type."""
    import pyarrow as pa

    names = columns.column_names if isinstance(columns, pa.Table) else columns
    if "tradingsymbol" not in names or "exchange" not in names:
        raise DataError("an instruments dump needs at least the columns exchange and tradingsymbol")
    count = len(columns["tradingsymbol"])
    held: dict[str, Any] = {}
    for name in TEXTS:
        held[name] = _texts(columns[name]) if name in names else pa.repeat("", count)
    for name, default in NUMBERS.items():
        kind = pa.int64() if isinstance(default, int) else pa.float64()
        held[name] = _numbers(columns[name], kind) if name in names else pa.repeat(pa.scalar(default, kind), count)
    held["expiry"] = _dates(columns["expiry"]) if "expiry" in names else pa.nulls(count, pa.date32())
    return pa.table(held).combine_chunks()


def _texts(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, (pa.ChunkedArray, pa.Array)):
        return column.cast(pa.string()).combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    found = pa.array(column, from_pandas=True)
    return (
        found.cast(pa.string()) if not isinstance(found, pa.ChunkedArray) else found.combine_chunks().cast(pa.string())
    )


def _numbers(column: Any, kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, (pa.ChunkedArray, pa.Array)):
        return column.cast(kind)
    return pa.array(column, from_pandas=True).cast(kind, safe=False)


def _dates(values: Any) -> Any:
    """Dates, ISO texts, timestamps, '' and NaT, all as dates; null where there is none."""
    import pyarrow as pa

    if isinstance(values, (pa.ChunkedArray, pa.Array)):
        return values.cast(pa.date32())
    if getattr(getattr(values, "dtype", None), "kind", "") == "M":
        import numpy as np

        days = np.asarray(values).astype("datetime64[D]")
        return pa.array(days.astype("datetime64[D]"), mask=np.isnat(days)).cast(pa.date32())
    texts = [None if not value or str(value) in _NOTHING else date.fromisoformat(str(value)[:10]) for value in values]
    return pa.array(texts, pa.date32())
