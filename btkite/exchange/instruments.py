"""The instruments of this exchange: rows of the dump, tokens, and what a symbol says of itself.

``instrument_token == exchange_token << 8 | segment``, and the segment decides how a price is scaled on
the wire (https://kite.trade/docs/connect/v3/websocket/).
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from . import contracts
from .errors import BadSettings

SEGMENT_CODES = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "BCD": 6, "MCX": 7, "NCO": 12}
INDICES = 9
LOTS_COUNTED = ("CDS", "BCD", "MCX", "NCO")  # their quantity is a number of lots
_FOUR_BYTES = 0xFFFF_FFFF
_SIGNED = 0x7FFF_FFFF  # an index packet has a signed change
DIVISORS = {3: 10_000_000, 6: 10_000, 12: 10_000}
DERIVATIVES = ("NFO", "BFO", "CDS", "BCD", "MCX", "NCO")

CSV_HEADER = (
    b"instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    b"instrument_type,segment,exchange\n"
)

# Real tokens of symbols that people write down; any other gets one of its own.
KNOWN_TOKENS = {
    "NSE:NIFTY 50": 256265,
    "NSE:NIFTY BANK": 260105,
    "NSE:NIFTY FIN SERVICE": 257801,
    "NSE:INDIA VIX": 264969,
    "BSE:SENSEX": 265,
    "NSE:AXISBANK": 1510401,
    "NSE:BAJFINANCE": 81153,
    "NSE:BHARTIARTL": 2714625,
    "NSE:HDFCBANK": 341249,
    "NSE:HINDUNILVR": 356865,
    "NSE:ICICIBANK": 1270529,
    "NSE:INFY": 408065,
    "NSE:ITC": 424961,
    "NSE:KOTAKBANK": 492033,
    "NSE:LT": 2939649,
    "NSE:MARUTI": 2815745,
    "NSE:NIFTYBEES": 2707457,
    "NSE:RELIANCE": 738561,
    "NSE:SBIN": 779521,
    "NSE:TATAMOTORS": 884737,
    "NSE:TCS": 2953217,
    "NSE:WIPRO": 969473,
}

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKLY_MONTHS = "123456789OND"
_FUTURE = re.compile(r"(?P<name>.+?)(?P<yy>\d{2})(?P<month>" + "|".join(_MONTHS) + r")FUT")
_MONTHLY = re.compile(
    r"(?P<name>.+?)(?P<yy>\d{2})(?P<month>" + "|".join(_MONTHS) + r")(?P<strike>\d+(\.\d+)?)(?P<type>CE|PE)"
)
_WEEKLY = re.compile(
    r"(?P<name>.+?)(?P<yy>\d{2})(?P<month>[1-9OND])(?P<dd>\d{2})(?P<strike>\d+(\.\d+)?)(?P<type>CE|PE)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRow:
    """One row of the dump. ``tick_size`` and ``strike`` in rupees, ``lot_size`` in units (of what is counted in
    lots, 1).

    ``multiplier`` is the rupees of one unit's move of one rupee (1000 for LEADMINI); it is not in the
    dump, only in positions. ``listed`` is its first day (None: long ago).
    """

    exchange: str
    tradingsymbol: str
    instrument_token: int = 0
    name: str = ""
    expiry: date | None = None
    strike: float = 0.0
    tick_size: float = 0.05
    lot_size: int = 1
    instrument_type: str = "EQ"
    segment: str = ""
    multiplier: float = 1.0
    listed: date | None = None

    @property
    def key(self) -> str:
        """``EXCHANGE:TRADINGSYMBOL``."""
        return f"{self.exchange}:{self.tradingsymbol}"

    def trades_on(self, day: date) -> bool:
        """Listed by ``day``, and not expired."""
        return (self.listed is None or self.listed <= day) and (self.expiry is None or self.expiry >= day)

    @property
    def exchange_token(self) -> int:
        return self.instrument_token >> 8

    @property
    def divisor(self) -> int:
        """What a price is multiplied by on the wire."""
        return DIVISORS.get(self.instrument_token & 0xFF, 100)

    @property
    def decimals(self) -> int:
        """Decimals of a price that the wire can carry."""
        return len(str(self.divisor)) - 1

    @property
    def largest_price(self) -> float:
        """Rupees: the most that four bytes of a packet hold."""
        return (_SIGNED if self.is_index else _FOUR_BYTES) / self.divisor

    def check_price(self, price: float, what: str) -> None:
        """Raise BadSettings if Kite's packets cannot carry ``price``; ``what`` it is begins the sentence."""
        if price > self.largest_price:
            raise BadSettings(
                f"{what} of {self.key} is ₹{price:,.2f}, and Kite's packets end at ₹{self.largest_price:,.2f} on "
                f"{self.exchange}: give prices in rupees per unit of quotation"
            )

    @property
    def is_index(self) -> bool:
        return self.segment == "INDICES"

    @property
    def is_option(self) -> bool:
        return self.instrument_type in ("CE", "PE")

    @property
    def is_derivative(self) -> bool:
        return self.exchange in DERIVATIVES

    def csv_fields(self) -> list[str]:
        """The twelve columns of Kite's dump; ``last_price`` is 0.0 there for equities too."""
        return [
            str(self.instrument_token),
            str(self.exchange_token),
            self.tradingsymbol,
            self.name,
            "0.0",
            self.expiry.isoformat() if self.expiry else "",
            f"{self.strike:g}" if self.strike % 1 else f"{self.strike:.1f}",
            f"{self.tick_size:g}",
            str(self.lot_size),
            self.instrument_type,
            self.segment,
            self.exchange,
        ]


def _derivative(exchange: str, symbol: str) -> dict[str, object]:
    """What a derivative's symbol says; empty if it says nothing."""
    if match := _FUTURE.fullmatch(symbol):
        month = _MONTHS.index(match["month"]) + 1
        expiry = contracts.monthly_expiry(exchange, match["name"], 2000 + int(match["yy"]), month)
        return {"name": match["name"], "expiry": expiry, "instrument_type": "FUT", "segment": f"{exchange}-FUT"}
    if match := _MONTHLY.fullmatch(symbol):
        month = _MONTHS.index(match["month"]) + 1
        expiry = contracts.monthly_expiry(exchange, match["name"], 2000 + int(match["yy"]), month)
    elif match := _WEEKLY.fullmatch(symbol):
        try:
            expiry = date(2000 + int(match["yy"]), _WEEKLY_MONTHS.index(match["month"]) + 1, int(match["dd"]))
        except ValueError:
            return {}
    else:
        return {}
    return {
        "name": match["name"],
        "expiry": expiry,
        "strike": float(match["strike"]),
        "instrument_type": match["type"],
        "segment": f"{exchange}-OPT",
    }


def _is_index(exchange: str, symbol: str) -> bool:
    if exchange == "BSE":
        return symbol in ("SENSEX", "BANKEX")
    return exchange == "NSE" and (symbol.startswith("NIFTY ") or symbol == "INDIA VIX")


def _own_token(key: str, segment: int, taken: set[int]) -> int:
    """A token that depends on the symbol only (but for a collision), so that runs agree."""
    number = 100_000 + zlib.crc32(key.encode()) % 12_000_000
    while (number << 8 | segment) in taken:
        number += 1
    return number << 8 | segment


def describe(
    key: str, *, tick_size: float | None = None, lot_size: int | None = None, on: date | None = None
) -> InstrumentRow:
    """The row of ``EXCHANGE:TRADINGSYMBOL`` as its name tells it, still without a token of its own.

    The lot of a contract is that of ``on`` (None: the latest); 1 if it is not known, see :func:`check_known`.
    """
    exchange, symbol, facts = _facts(key)
    name, expiry = str(facts["name"]), facts.get("expiry")
    lot, tick, multiplier = 1, 0.05, 1.0
    if isinstance(expiry, date):
        terms = contracts.terms_of(exchange, name, expiry)
        if terms is not None:
            tick = terms.future_tick if facts["instrument_type"] == "FUT" else terms.option_tick
            multiplier = terms.multiplier
        elif exchange not in LOTS_COUNTED:
            lot = _lot(name, expiry, on) or 1
    return InstrumentRow(
        exchange=exchange,
        tradingsymbol=symbol,
        instrument_token=KNOWN_TOKENS.get(key, 0),
        tick_size=tick_size or tick,
        lot_size=lot_size or lot,
        multiplier=multiplier,
        **facts,  # type: ignore[arg-type]
    )


def _facts(key: str) -> tuple[str, str, dict[str, object]]:
    """Exchange, symbol, and the columns that the symbol tells."""
    exchange, _, symbol = key.partition(":")
    if exchange not in SEGMENT_CODES or not symbol:
        known = ", ".join(SEGMENT_CODES)
        raise BadSettings(f"{key!r} is no instrument: write EXCHANGE:TRADINGSYMBOL with an exchange of {known}")
    facts: dict[str, object] = {"name": symbol, "segment": exchange}
    if exchange in DERIVATIVES:
        facts.update(_derivative(exchange, symbol))
    elif _is_index(exchange, symbol):
        facts["segment"] = "INDICES"
    return exchange, symbol, facts


def _lot(name: str, expiry: date, on: date | None) -> int | None:
    """Units of a lot; None if no table knows it."""
    return contracts.latest_lot(name) if on is None else contracts.lot_size(name, expiry, on)


def check_known(row: InstrumentRow, on: date | None) -> None:
    """Raise BadSettings if the size of a contract that only its symbol describes is not known on ``on``.

    A wrong size makes every profit wrong without a word, so none is guessed.
    """
    if row.expiry is None:
        return
    if row.exchange == "NCO":
        return  # quoted only
    if row.exchange in LOTS_COUNTED:
        if contracts.terms_of(row.exchange, row.name, row.expiry) is None:
            raise BadSettings(
                f"{row.key}: the multiplier of {row.name} is not known here: pass "
                "instruments=[InstrumentRow(..., multiplier=...)]"
            )
    elif _lot(row.name, row.expiry, on) is None:
        when = f" of {on}" if on is not None else ""
        raise BadSettings(
            f"{row.key}: the lot{when} of {row.name} is not known here: give lot_sizes, for example "
            f'lot_sizes={{"{row.name}": 500}}'
        )


def lot_given(key: str, name: str, lot_sizes: Mapping[str, int]) -> int | None:
    """The lot that the settings give a contract, or all contracts on its underlying."""
    return lot_sizes.get(key) or lot_sizes.get(name)


def chain_rows(
    chains: Mapping[str, int], on: date, spot_of: Callable[[str], float], lot_sizes: Mapping[str, int]
) -> list[InstrumentRow]:
    """Futures and options on the names of ``chains``, as listed on ``on``, that many strikes about the spot."""
    found = []
    for name, strikes in chains.items():
        spot = spot_of(name)
        index = name in contracts.STRIKE_STEPS
        for one in contracts.chain(name, on, spot, strikes):
            kind = (
                "opt"
                if one.strike
                else "index_fut_bse"
                if one.exchange == "BFO"
                else "index_fut"
                if index
                else "stock_fut"
            )
            tick = contracts.tick_size(kind, spot, on)
            lot = lot_given(one.key, name, lot_sizes)
            row = describe(one.key, tick_size=tick, lot_size=lot, on=on)
            if lot is None:
                check_known(row, on)
            found.append(replace(row, listed=one.listed))
    return found


def _described(
    key: str, tick_sizes: Mapping[str, float], lot_sizes: Mapping[str, int], on: date | None
) -> InstrumentRow:
    row = describe(key, tick_size=tick_sizes.get(key), on=on)
    lot = lot_given(key, row.name, lot_sizes) if row.is_derivative else lot_sizes.get(key)
    if lot is not None:
        return replace(row, lot_size=lot)
    check_known(row, on)
    return row


def make_rows(
    keys: Iterable[str],
    explicit: Iterable[InstrumentRow],
    tick_sizes: Mapping[str, float],
    lot_sizes: Mapping[str, int],
    on: date | None = None,
) -> list[InstrumentRow]:
    """All rows, in ascending order of key, each with a token; explicit rows win over what names say."""
    rows = {row.key: row for row in explicit}
    for key in keys:
        if key not in rows:
            rows[key] = _described(key, tick_sizes, lot_sizes, on)
    taken = {row.instrument_token for row in rows.values() if row.instrument_token}
    done = []
    for key in sorted(rows):
        row = rows[key]
        if row.exchange not in SEGMENT_CODES:
            raise BadSettings(f"{key!r}: {row.exchange!r} is not an exchange of Kite")
        if not row.segment:
            row = replace(row, segment=str(_facts(key)[2]["segment"]))
        if not row.instrument_token:
            segment = INDICES if row.is_index else SEGMENT_CODES[row.exchange]
            row = replace(row, instrument_token=_own_token(key, segment, taken))
            taken.add(row.instrument_token)
        done.append(row)
    tokens = [row.instrument_token for row in done]
    if len(set(tokens)) != len(tokens):
        raise BadSettings("two instruments have the same instrument_token: leave it 0 to have one chosen")
    return done


def rows_on(rows: Iterable[InstrumentRow], day: date) -> list[InstrumentRow]:
    """Those that the dump of ``day`` holds: listed by then, and not expired."""
    return [row for row in rows if row.trades_on(day)]


def to_csv(rows: Iterable[InstrumentRow]) -> bytes:
    """Kite's dump."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(row.csv_fields() for row in rows)
    return CSV_HEADER + text.getvalue().encode()
