"""Instruments where no dump is at hand: what the candle cache keeps of them, or nothing but their keys."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..symbols import contract
from .instruments import NUMBERS, SEGMENT_CODES, TEXTS, InstrumentMaster

if TYPE_CHECKING:
    from ..values import Instrument

_BSE_INDICES = ("SENSEX", "BANKEX", "SNSX50", "SENSEX50")
_MADE_UP = 1 << 22  # exchange tokens from here on are ours: Kite's are below


class Known(Protocol):
    """A row of the candle cache."""

    @property
    def key(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, Any]: ...


class Candles(Protocol):
    """The candle cache, as far as it is needed here."""

    def list(self, folders: str = "*/*") -> Iterable[Known]: ...


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


def from_candles(cache: Candles, folders: str = "*/*") -> InstrumentMaster:
    """A master of the instruments whose candles are stored (in these folders), for use without a network.

    What the cache does not know takes a default: tick 0.05, lot 1, type and segment by the form of the
    symbol, and a token that no instrument of Kite has, equal for equal keys.
    """
    rows: dict[str, dict[str, Any]] = {}
    for stored in cache.list(folders):
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
    kind, segment, name, strike = "EQ", "INDICES" if index else exchange, symbol, 0.0
    if exchange not in ("NSE", "BSE"):
        if (said := contract(symbol)) is not None:
            kind, name, strike = said.kind, said.name, said.strike
        elif symbol.endswith(("FUT", "CE", "PE")):
            kind = "FUT" if symbol.endswith("FUT") else symbol[-2:]
        if kind != "EQ":
            segment = f"{exchange}-FUT" if kind == "FUT" else f"{exchange}-OPT"
    return {
        "exchange": exchange,
        "tradingsymbol": symbol,
        "name": name,
        "strike": strike,
        "instrument_type": kind,
        "segment": segment,
    }


def _token(key: str, segment: str, taken: set[int]) -> int:
    code = SEGMENT_CODES.get(segment, SEGMENT_CODES.get(segment.partition("-")[0], 0))
    own = zlib.crc32(key.encode()) % _MADE_UP
    while (token := (_MADE_UP + own) << 8 | code) in taken:
        own = (own + 1) % _MADE_UP
    return token
