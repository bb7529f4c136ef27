"""What a Kite symbol says of itself: underlying, kind, strike and month of a contract; for where no dump is at hand.

``NIFTY26NOVFUT``, ``NIFTY26NOV25000CE`` (monthly) and ``NIFTY26N1725000CE`` (weekly: year, month as 1–9 O N D, day).
The dump knows more (lot, tick, exact expiry) and wins wherever there is one.
"""

from __future__ import annotations

import re
from datetime import date

from ..errors import ConfigError, DataError
from ..values import Instrument
from .segments import COMMODITY, CURRENCY
from .tables import read_table

EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKLY_MONTHS = "123456789OND"
_FUTURE = re.compile(rf"(?P<name>.+?)(?P<year>\d\d)(?P<month>{'|'.join(_MONTHS)})FUT")
_MONTHLY = re.compile(
    rf"(?P<name>.+?)(?P<year>\d\d)(?P<month>{'|'.join(_MONTHS)})(?P<strike>\d+(\.\d+)?)(?P<kind>CE|PE)"
)
_WEEKLY = re.compile(
    r"(?P<name>.+?)(?P<year>\d\d)(?P<month>[1-9OND])(?P<day>[0-3]\d)(?P<strike>\d+(\.\d+)?)(?P<kind>CE|PE)"
)
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
    name, kind, strike, month = _contract(key, symbol)
    units = multiplier
    if units is None:
        units = multiplier_of(exchange, name, month) if exchange in (*COMMODITY, *CURRENCY) else 1.0
    if units is None:
        raise DataError(f"{key}: how many rupees one unit of {name} moves is not known here; give its multiplier")
    side = "FUT" if kind == "FUT" else "OPT"
    return Instrument(
        exchange, symbol, name=name, strike=strike, instrument_type=kind, segment=f"{exchange}-{side}", multiplier=units
    )


def multiplier_of(exchange: str, name: str, expires: date) -> float | None:
    """Rupees of one lot's move of one rupee, of a contract that expires on a date or later in its month; None: not
    known."""
    found = None
    for row in read_table("multipliers"):
        if (row["exchange"], row["name"]) == (exchange, name) and date.fromisoformat(row["expiry_from"]) <= expires:
            found = float(row["multiplier"])
    return found


def _contract(key: str, symbol: str) -> tuple[str, str, float, date]:
    if match := _FUTURE.fullmatch(symbol):
        return match["name"], "FUT", 0.0, _month(match["year"], _MONTHS.index(match["month"]))
    if match := _MONTHLY.fullmatch(symbol):
        return (
            match["name"],
            match["kind"],
            float(match["strike"]),
            _month(match["year"], _MONTHS.index(match["month"])),
        )
    if match := _WEEKLY.fullmatch(symbol):
        place = _WEEKLY_MONTHS.index(match["month"])
        return match["name"], match["kind"], float(match["strike"]), _month(match["year"], place)
    raise ConfigError(f"{key}: its name says no contract, such as NIFTY26NOVFUT or NIFTY26NOV25000CE")


def _month(year: str, place: int) -> date:
    return date(2000 + int(year), place + 1, 28)
