"""The instrument master: Kite's dump of the day, held as columns and looked up by key or by token.

The dump is made once a day, about 08:00 IST, and contracts disappear from it when they expire; each
day's is therefore kept in an archive. Where there is no network, :func:`from_candles` makes a master
of what the candle cache knows.
"""

from __future__ import annotations

import difflib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import ConfigError, DataError, UnknownSymbol
from ..values import Instrument

if TYPE_CHECKING:
    import pandas as pd

RENEWED = time(8, 30)
"""From this time on (IST) the day's dump is there (https://kite.trade/docs/connect/v3/market-quotes/)."""

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

TEXTS = ("exchange", "tradingsymbol", "name", "instrument_type", "segment")
NUMBERS = {"instrument_token": 0, "strike": 0.0, "tick_size": 0.05, "lot_size": 1, "multiplier": 1.0}
_BSE_INDICES = ("SENSEX", "BANKEX", "SNSX50", "SENSEX50")
_MADE_UP = 1 << 22  # exchange tokens from here on are ours: Kite's are below


class Dumps(Protocol):
    """The client, as far as it is needed here."""

    def instruments(self, exchange: str | None = None) -> pd.DataFrame:
        """The dump in Kite's columns."""
        ...


class Known(Protocol):
    """A row of the candle cache."""

    @property
    def key(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...


class Candles(Protocol):
    """The candle cache, as far as it is needed here."""

    def list(self) -> Iterable[Known]: ...


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

    ``columns`` are the dump's (a DataFrame, or a mapping of sequences); what lacks takes its default.
    ``day`` names the dump in messages.
    """

    def __init__(self, columns: Mapping[str, Any] | pd.DataFrame, day: date | None = None) -> None:
        import numpy as np

        self.day = day
        if "tradingsymbol" not in columns or "exchange" not in columns:
            raise DataError("an instruments dump needs at least the columns exchange and tradingsymbol")
        count = len(columns["tradingsymbol"])
        self._texts: dict[str, list[str]] = {
            name: [str(text) for text in columns[name]] if name in columns else [""] * count for name in TEXTS
        }
        self._numbers = {
            name: np.asarray(columns[name] if name in columns else np.full(count, default))
            for name, default in NUMBERS.items()
        }
        self._expiries = _dates(columns["expiry"], count) if "expiry" in columns else _dates([""] * count, count)
        self._by_key: dict[str, int] | None = None
        self._by_token: dict[int, int] | None = None

    def __len__(self) -> int:
        return len(self._expiries)

    def __iter__(self) -> Iterator[Instrument]:
        return map(self._at, range(len(self)))

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def find(self, key: str) -> Instrument:
        """The instrument of ``NSE:INFY``; without an exchange NSE is meant.

        Raises UnknownSymbol, with suggestions.
        """
        place = self._keys.get(key)
        if place is None:
            key = parse_key(key)
            place = self._keys.get(key)
        if place is None:
            near = self.suggest(key)
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            exchange = key.partition(":")[0]
            if exchange not in EXCHANGES and exchange not in self._texts["exchange"]:
                raise UnknownSymbol(f"{exchange} is no exchange: use one of {', '.join(EXCHANGES)}{hint}")
            raise UnknownSymbol(f"{key} is not in the instruments{self._of_day}{hint}")
        return self._at(place)

    def by_token(self, token: int) -> Instrument:
        """The instrument of a token of this day. Tokens are used again after an expiry."""
        if self._by_token is None:
            tokens: list[int] = self._numbers["instrument_token"].tolist()
            self._by_token = dict(zip(tokens, range(len(tokens)), strict=True))
        place = self._by_token.get(int(token))
        if place is None:
            raise UnknownSymbol(f"no instrument has token {token} in the instruments{self._of_day}")
        return self._at(place)

    def keys(self) -> Iterable[str]:
        """``EXCHANGE:TRADINGSYMBOL`` of all, in the dump's order."""
        return self._keys.keys()

    def suggest(self, key: str, count: int = 3) -> list[str]:
        """Keys that ``key`` may have been meant for: same symbol elsewhere, alike, or by company name."""
        exchange, _, symbol = key.partition(":")
        bare = symbol.replace(" ", "")
        at_home: dict[str, str] = {}
        found: list[str] = []
        named: list[str] = []
        rows = zip(self._texts["exchange"], self._texts["tradingsymbol"], self._texts["name"], strict=True)
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
        return {**self._texts, **self._numbers, "expiry": self._expiries}

    @property
    def _keys(self) -> dict[str, int]:
        if self._by_key is None:
            pairs = zip(self._texts["exchange"], self._texts["tradingsymbol"], strict=True)
            self._by_key = {f"{exchange}:{symbol}": place for place, (exchange, symbol) in enumerate(pairs)}
        return self._by_key

    @property
    def _of_day(self) -> str:
        return f" of {self.day}" if self.day else ""

    def _at(self, place: int) -> Instrument:
        texts = {name: column[place] for name, column in self._texts.items()}
        numbers = {name: column[place].item() for name, column in self._numbers.items()}
        expiry = self._expiries[place].item()
        return Instrument(
            exchange=texts["exchange"],
            tradingsymbol=texts["tradingsymbol"],
            instrument_token=int(numbers["instrument_token"]),
            name=texts["name"],
            expiry=expiry,
            strike=float(numbers["strike"]),
            tick_size=float(numbers["tick_size"]),
            lot_size=int(numbers["lot_size"]),
            instrument_type=texts["instrument_type"] or "EQ",
            segment=texts["segment"] or texts["exchange"],
            multiplier=float(numbers["multiplier"]),
        )

    # -- the archive

    def save(self, folder: Path | str) -> Path:
        """Keep this day's master as ``<folder>/<day>.parquet``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.day is None:
            raise ValueError("a master without a day cannot be kept in the archive")
        path = Path(folder) / f"{self.day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        arrays = {name: pa.array(column) for name, column in self.columns().items()}
        pq.write_table(pa.table(arrays), temporary, compression="zstd")
        temporary.replace(path)
        return path

    @classmethod
    def load(cls, folder: Path | str, day: date | None = None) -> InstrumentMaster:
        """The archive's master of ``day``, or its newest. Raises DataError if there is none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        days = archived(folder)
        if day is None and days:
            day = days[-1]
        if day is None or day not in days:
            held = f"it has {days[0]} to {days[-1]}" if days else "it is empty"
            raise DataError(f"no instruments{f' of {day}' if day else ''} in the archive {folder} ({held})")
        path = Path(folder) / f"{day}.parquet"
        try:
            table = pq.read_table(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} cannot be read ({error}): delete it") from error
        return cls({name: table.column(name).to_pylist() for name in table.column_names}, day)


def facts(instrument: Instrument) -> dict[str, Any]:
    """What the candle cache keeps of an instrument, under the names of Kite's dump."""
    return {
        "instrument_token": instrument.instrument_token,
        "tick_size": instrument.tick_size,
        "lot_size": instrument.lot_size,
        "instrument_type": instrument.instrument_type,
        "segment": instrument.segment,
        "name": instrument.name,
        "expiry": instrument.expiry.isoformat() if instrument.expiry else "",
        "strike": instrument.strike,
    }


def archived(folder: Path | str) -> list[date]:
    """The days that the archive has, oldest first."""
    days = []
    for path in Path(folder).glob("*.parquet"):
        try:
            days.append(date.fromisoformat(path.stem))
        except ValueError:
            continue
    return sorted(days)


def dump_day(now: datetime) -> date:
    """The day of the dump that is in force at ``now`` (naive IST)."""
    return now.date() if now.time() >= RENEWED else now.date() - timedelta(days=1)


def current(folder: Path | str, client: Dumps, now: datetime) -> InstrumentMaster:
    """The master in force: from the archive, or asked of Kite once and kept there."""
    day = dump_day(now)
    if day in archived(folder):
        return InstrumentMaster.load(folder, day)
    master = InstrumentMaster(client.instruments(), day)
    if len(master) == 0:
        raise DataError("Kite's instruments dump is empty: try again in a few minutes")
    master.save(folder)
    return master


def from_candles(cache: Candles) -> InstrumentMaster:
    """A master of the instruments whose candles are stored, for use without a network.

    What the cache does not know takes a default: tick 0.05, lot 1, type and segment by the form of the
    symbol, and a token that no instrument of Kite has, equal for equal keys.
    """
    rows: dict[str, dict[str, Any]] = {}
    for stored in cache.list():
        rows.setdefault(stored.key, {}).update(stored.facts)
    return _from_facts(rows)


def from_keys(keys: Iterable[str]) -> InstrumentMaster:
    """A master of instruments of which nothing but the key is known, as of candles in a file."""
    return _from_facts({key: {} for key in keys})


def _from_facts(rows: Mapping[str, Mapping[str, Any]]) -> InstrumentMaster:
    taken = {int(known["instrument_token"]) for known in rows.values() if known.get("instrument_token")}
    columns: dict[str, list[Any]] = {name: [] for name in (*TEXTS, *NUMBERS, "expiry")}
    for key, known in sorted(rows.items()):
        row = {**_guessed(key), **known}
        if not row.get("instrument_token"):
            row["instrument_token"] = _token(key, row["segment"], taken)
            taken.add(row["instrument_token"])
        for name, column in columns.items():
            column.append(row.get(name, NUMBERS.get(name, "")))
    return InstrumentMaster(columns)


def _guessed(key: str) -> dict[str, Any]:
    """What a key alone tells."""
    exchange, _, symbol = key.partition(":")
    index = (exchange == "NSE" and " " in symbol) or (exchange == "BSE" and symbol in _BSE_INDICES)
    kind, segment = "EQ", "INDICES" if index else exchange
    if exchange not in ("NSE", "BSE"):
        if symbol.endswith("FUT"):
            kind, segment = "FUT", f"{exchange}-FUT"
        elif symbol.endswith(("CE", "PE")):
            kind, segment = symbol[-2:], f"{exchange}-OPT"
    return {
        "exchange": exchange,
        "tradingsymbol": symbol,
        "name": symbol,
        "instrument_type": kind,
        "segment": segment,
    }


def _token(key: str, segment: str, taken: set[int]) -> int:
    code = SEGMENT_CODES.get(segment, SEGMENT_CODES.get(segment.partition("-")[0], 0))
    own = zlib.crc32(key.encode()) % _MADE_UP
    while (token := (_MADE_UP + own) << 8 | code) in taken:
        own = (own + 1) % _MADE_UP
    return token


def _dates(values: Any, count: int) -> Any:
    """Dates, ISO texts, timestamps, '' and NaT, all as datetime64[D]."""
    import numpy as np

    dtype = getattr(values, "dtype", None)
    if dtype is not None and getattr(dtype, "kind", "") == "M":
        return np.asarray(values).astype("datetime64[D]")
    texts = ["NaT" if not value or str(value) in ("NaT", "None", "nan") else str(value)[:10] for value in values]
    return np.array(texts, dtype="datetime64[D]") if count else np.empty(0, "datetime64[D]")
