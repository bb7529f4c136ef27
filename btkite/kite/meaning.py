"""Contracts named by what they mean, as a trader says it: the near future, the weekly call two strikes above the money.

::

    NFO:NIFTY FUT near              near, next, far, or the date of an expiry
    NFO:NIFTY CE ATM+2 weekly       ATM, ATM+2, ATM-1, OTM2, ITM1 or a strike; weekly, next weekly, monthly,
    NFO:RELIANCE PE 1400 monthly    next monthly, or the date of an expiry

``ATM`` is the listed strike nearest to the price of the underlying, the lower of two; ``ATM+2`` two listed strikes
higher, for puts too, ``OTM2`` two strikes out of the money. *weekly* is the nearest expiry, the monthly one included,
as the exchanges mean it; *monthly* the nearest whose symbols name a month. Not the last of its month: in January 2024
BANKNIFTY's monthly contracts expired on the 25th and a weekly one on the 31st. An expiry of today counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ..errors import ConfigError, DataError, UnknownSymbol
from .instruments import InstrumentMaster

if TYPE_CHECKING:
    import pandas as pd

    from ..values import Instrument

SPOT_OF = {
    "NIFTY": "NSE:NIFTY 50",
    "BANKNIFTY": "NSE:NIFTY BANK",
    "FINNIFTY": "NSE:NIFTY FIN SERVICE",
    "MIDCPNIFTY": "NSE:NIFTY MID SELECT",
    "NIFTYNXT50": "NSE:NIFTY NEXT 50",
    "SENSEX": "BSE:SENSEX",
    "BANKEX": "BSE:BANKEX",
    "SENSEX50": "BSE:SNSX50",
}
"""Where an index has its price, by the name that its contracts carry."""

_PLACES = {"near": 0, "next": 1, "far": 2}
_DATE = r"\d{4}-\d\d-\d\d"
_FUTURE = re.compile(rf"(?P<name>\S+) FUT(?: (?P<when>near|next|far|{_DATE}))?", re.IGNORECASE)
_OPTION = re.compile(
    r"(?P<name>\S+) (?P<kind>CE|PE)(?: (?P<strike>ATM(?:[+-]\d+)?|[IO]TM\d+|\d+(?:\.\d+)?))?"
    rf"(?: (?P<when>(?:next )?(?:weekly|monthly)|{_DATE}))?",
    re.IGNORECASE,
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What was said: ``kind`` is FUT, CE or PE; ``strike`` and ``when`` are the words."""

    exchange: str
    name: str
    kind: str
    strike: str
    when: str

    @property
    def needs_spot(self) -> bool:
        """Whether the price of the underlying decides."""
        return self.kind != "FUT" and "TM" in self.strike

    @property
    def underlying(self) -> str:
        """Where that price is found; '' where it is the near future's (commodities, currencies)."""
        if self.exchange not in ("NFO", "BFO"):
            return ""
        return SPOT_OF.get(self.name, f"{'NSE' if self.exchange == 'NFO' else 'BSE'}:{self.name}")

    def __str__(self) -> str:
        return f"{self.exchange}:{self.name} {self.kind} {self.strike} {self.when}".replace("  ", " ")


def parse(text: str, default_exchange: str = "NFO") -> Meaning | None:
    """What ``NFO:NIFTY CE ATM+2 weekly`` says; None if it is not such a sentence (but perhaps a symbol)."""
    exchange, colon, rest = text.strip().partition(":")
    if not colon:
        exchange, rest = default_exchange, exchange
    words = " ".join(rest.split())
    if found := _FUTURE.fullmatch(words):
        return Meaning(exchange.strip().upper(), found["name"].upper(), "FUT", "", (found["when"] or "near").lower())
    if found := _OPTION.fullmatch(words):
        strike, when = (found["strike"] or "ATM").upper(), (found["when"] or "weekly").lower()
        return Meaning(exchange.strip().upper(), found["name"].upper(), found["kind"].upper(), strike, when)
    return None


def find(master: InstrumentMaster, meant: Meaning, on: date, spot: float | None = None) -> Instrument:
    """The contract that ``meant`` means on a date, with the underlying at ``spot`` (₹ or points).

    :raises UnknownSymbol: if no such contract is listed; it says what is.
    :raises ConfigError: if a price is needed, and none was given.
    """
    rows = [one for one in _contracts(master, meant) if one.instrument_type == meant.kind]
    day = _expiry(sorted({one.expiry for one in rows if one.expiry}), meant, rows, on)
    listed = sorted((one for one in rows if one.expiry == day), key=lambda one: one.strike)
    return listed[0] if meant.kind == "FUT" else _of_strike(listed, meant, spot)


def expiries(
    master: InstrumentMaster, exchange: str, name: str, *, kind: str = "", on: date | None = None
) -> list[date]:
    """The expiries of contracts on ``name``, oldest first: of futures (FUT), of options (CE, PE), or of all; from
    ``on`` on, if it is given."""
    meant = Meaning(exchange, name, kind, "", "")
    days = {one.expiry for one in _contracts(master, meant) if one.expiry and kind in ("", one.instrument_type)}
    return sorted(day for day in days if on is None or day >= on)


def is_monthly(instrument: Instrument) -> bool:
    """Whether a contract is a monthly one: its symbol names the month of its expiry."""
    day = instrument.expiry
    return day is not None and instrument.tradingsymbol.startswith(f"{instrument.name}{day:%y}{_MONTHS[day.month - 1]}")


def chain(master: InstrumentMaster, exchange: str, name: str, expiry: date) -> pd.DataFrame:
    """The options on ``name`` of one expiry: a row a strike, with ``ce`` and ``pe`` (symbols), ``ce_token`` and
    ``pe_token``, ``lot_size`` and ``tick_size``; NA where one of a pair is not listed.

    :raises UnknownSymbol: if it has no options of that expiry.
    """
    import pandas as pd

    meant = Meaning(exchange, name, "CE", "", expiry.isoformat())
    rows = [one for one in _contracts(master, meant) if one.expiry == expiry and one.is_option]
    if not rows:
        days = expiries(master, exchange, name, kind="CE")
        raise UnknownSymbol(f"{exchange}:{name} has no options that expire on {expiry}; {_days(days)}")
    table: dict[float, dict[str, object]] = {}
    for one in rows:
        row = table.setdefault(one.strike, {"lot_size": one.lot_size, "tick_size": one.tick_size})
        side = one.instrument_type.lower()
        row[side], row[f"{side}_token"] = one.tradingsymbol, one.instrument_token
    frame = pd.DataFrame.from_dict(table, orient="index").sort_index()
    frame = frame.reindex(columns=["ce", "pe", "ce_token", "pe_token", "lot_size", "tick_size"])
    frame = frame.astype({"ce_token": "Int64", "pe_token": "Int64", "lot_size": "int64"})
    frame.index.name = "strike"
    frame.attrs.update(exchange=exchange, name=name, expiry=expiry)
    return frame


def _contracts(master: InstrumentMaster, meant: Meaning) -> list[Instrument]:
    import difflib

    rows = master.contracts(meant.exchange, meant.name)
    if not rows:
        near = difflib.get_close_matches(meant.name, master.underlyings(meant.exchange), n=3)
        hint = f"; did you mean {', '.join(f'{meant.exchange}:{name}' for name in near)}?" if near else ""
        raise UnknownSymbol(f"{meant.exchange} lists no contracts on {meant.name}{hint}")
    return rows


def _expiry(days: Sequence[date], meant: Meaning, rows: Sequence[Instrument], on: date) -> date:
    open_ = [day for day in days if day >= on]
    if meant.when[:1].isdigit():
        wanted = date.fromisoformat(meant.when)
        if wanted in days:
            return wanted
        raise UnknownSymbol(f"{meant}: no such expiry; {_days(open_)}")
    if meant.when.endswith("monthly"):
        monthly = {one.expiry for one in rows if is_monthly(one)}
        open_ = [day for day in open_ if day in monthly]
    place = _PLACES.get(meant.when, int(meant.when.startswith("next ")))
    if place < len(open_):
        return open_[place]
    raise UnknownSymbol(f"{meant}: no such expiry from {on} on; {_days(open_)}")


def _of_strike(listed: Sequence[Instrument], meant: Meaning, spot: float | None) -> Instrument:
    strikes = [one.strike for one in listed]
    if not meant.needs_spot:
        if float(meant.strike) in strikes:
            return listed[strikes.index(float(meant.strike))]
        near = sorted(strikes, key=lambda strike: abs(strike - float(meant.strike)))[:3]
        raise UnknownSymbol(f"{meant}: no such strike; near it are {', '.join(f'{strike:g}' for strike in near)}")
    if spot is None:
        raise ConfigError(f"{meant}: the price of {meant.underlying or meant.name} is needed to know the money")
    if not spot > 0:
        raise DataError(f"{meant}: {spot} is no price of {meant.underlying or meant.name}")
    at = min(range(len(strikes)), key=lambda place: (abs(strikes[place] - spot), strikes[place]))
    place = at + _steps(meant)
    if not 0 <= place < len(listed):
        raise UnknownSymbol(
            f"{meant}: strikes are listed from {strikes[0]:g} to {strikes[-1]:g}, and {spot:g} is the price"
        )
    return listed[place]


def _steps(meant: Meaning) -> int:
    number = int(meant.strike[3:] or 0)
    if meant.strike.startswith("ATM"):
        return number
    outward = number if meant.strike.startswith("OTM") else -number
    return outward if meant.kind == "CE" else -outward


def _days(days: Sequence[date]) -> str:
    return f"there are {', '.join(map(str, days[:6]))}{' …' if len(days) > 6 else ''}" if days else "there is none"
