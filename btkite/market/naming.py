"""Instruments of which nothing but the name is known: for where no dump is at hand."""

from __future__ import annotations

from datetime import date

from ..errors import ConfigError, DataError
from ..symbols import contract
from ..values import Instrument
from .segments import COMMODITY, CURRENCY
from .tables import read_table

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO")
_DERIVATIVES = EXCHANGES[2:]
_INDICES = ("NSE:INDIA VIX", "BSE:SENSEX", "BSE:BANKEX")


def described(key: str, *, multiplier: float | None = None) -> Instrument:
    """The instrument of ``EXCHANGE:TRADINGSYMBOL`` by its name alone; a lot of 1, no token.

    ``multiplier``: rupees of one unit's move of one rupee; None takes it from the table.

    :raises ConfigError: if the name says no instrument of Kite.
    :raises DataError: for a commodity or a currency whose multiplier no table knows.
    """
    exchange, _, symbol = key.partition(":")
    if exchange not in EXCHANGES or not symbol:
        raise ConfigError(f"{key!r} names no instrument: write EXCHANGE:TRADINGSYMBOL, such as NSE:INFY")
    if exchange in ("NSE", "BSE"):
        index = key in _INDICES or (exchange == "NSE" and symbol.startswith("NIFTY "))
        return Instrument(exchange, symbol, name=symbol, segment="INDICES" if index else exchange)
    said = contract(symbol)
    if said is None:
        raise ConfigError(f"{key}: its name says no contract, such as NIFTY26NOVFUT or NIFTY26NOV25000CE")
    units = multiplier
    if units is None:
        units = 1.0
        if exchange in (*COMMODITY, *CURRENCY):
            units = multiplier_of(exchange, said.name, date(said.year, said.month, 28)) or 0.0
    if not units:
        raise DataError(f"{key}: how many rupees one unit of {said.name} moves is not known here; give its multiplier")
    side = "FUT" if said.kind == "FUT" else "OPT"
    return Instrument(
        exchange, symbol, name=said.name, strike=said.strike, instrument_type=said.kind, segment=f"{exchange}-{side}",
        multiplier=units,
    )  # fmt: skip


def named(key: str) -> Instrument:
    """As :func:`described` where the name says a contract; any other name is taken as it is, for candles of one's own.

    :raises DataError: for a commodity or a currency whose multiplier no table knows.
    """
    exchange, _, symbol = key.partition(":")
    if exchange in _DERIVATIVES and contract(symbol) is not None:
        return described(key)
    return Instrument(exchange, symbol, name=symbol, segment=exchange or "NSE")


def multiplier_of(exchange: str, name: str, expires: date) -> float | None:
    """Rupees of one lot's move of one rupee, of a contract that expires on a date or later in its month; None: not
    known."""
    found = None
    for row in read_table("multipliers"):
        if (row["exchange"], row["name"]) == (exchange, name) and date.fromisoformat(row["expiry_from"]) <= expires:
            found = float(row["multiplier"])
    return found
