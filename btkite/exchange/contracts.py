"""Derivative contracts by date: when they expire, how many units a lot has, which ones are listed, and chains.

The dated tables are ``btkite/data/expiries.csv``, ``lots.csv``, ``multipliers.csv`` and ``ticks.csv``; each row has
its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from . import hours, tables

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKLY_MONTHS = "123456789OND"
# Where the price of an index stands, by the name that its contracts carry.
INDEX_OF = {
    "NIFTY": "NSE:NIFTY 50",
    "BANKNIFTY": "NSE:NIFTY BANK",
    "FINNIFTY": "NSE:NIFTY FIN SERVICE",
    "MIDCPNIFTY": "NSE:NIFTY MID SELECT",
    "NIFTYNXT50": "NSE:NIFTY NEXT 50",
    "INDIAVIX": "NSE:INDIA VIX",
    "SENSEX": "BSE:SENSEX",
    "BANKEX": "BSE:BANKEX",
    "SENSEX50": "BSE:SNSX50",
}
BSE_INDICES = tuple(name for name, key in INDEX_OF.items() if key.startswith("BSE:"))
MONTHLY, WEEKLY = "monthly", "weekly"
LISTED_MONTHS = 3  # how many monthly contracts stand beside each other
LISTED_WEEKS = 5  # a weekly contract is listed this long before it expires
_FULL_DAY = 4 * 3600  # seconds of trading below which a day is no day for an expiry
# Rupees between two strikes, from the spot level on; the steps of the indices are the exchanges' usual ones.
STRIKE_STEPS = {"NIFTY": 50.0, "BANKNIFTY": 100.0, "FINNIFTY": 50.0, "MIDCPNIFTY": 25.0, "NIFTYNXT50": 100.0,
                "SENSEX": 100.0, "BANKEX": 100.0, "SENSEX50": 50.0}  # fmt: skip
_SHARE_STEPS = ((100, 1.0), (250, 2.5), (500, 5.0), (1000, 10.0), (2500, 20.0), (5000, 50.0), (1 << 30, 100.0))


class _Rule(NamedTuple):
    since: date
    weekday: int  # -1: none any more


class _Lot(NamedTuple):
    traded_from: date
    expiry_from: date
    lot: int


class Terms(NamedTuple):
    """Of a commodity or a currency: rupees of one lot's move of one rupee, ticks in rupees."""

    multiplier: float
    future_tick: float
    option_tick: float


@lru_cache(maxsize=1)
def _rules() -> Mapping[tuple[str, str, str], tuple[_Rule, ...]]:
    found: dict[tuple[str, str, str], list[_Rule]] = {}
    for row in tables.rows("expiries.csv"):
        weekday = WEEKDAYS.index(row["weekday"]) if row["weekday"] else -1
        rule = _Rule(date.fromisoformat(row["from"]), weekday)
        found.setdefault((row["exchange"], row["name"], row["kind"]), []).append(rule)
    return {key: tuple(sorted(rules)) for key, rules in found.items()}


@lru_cache(maxsize=1)
def _lots() -> Mapping[str, tuple[_Lot, ...]]:
    found: dict[str, list[_Lot]] = {}
    for row in tables.rows("lots.csv"):
        lot = _Lot(date.fromisoformat(row["traded_from"]), date.fromisoformat(row["expiry_from"]), int(row["lot"]))
        found.setdefault(row["name"], []).append(lot)
    return {name: tuple(lots) for name, lots in found.items()}


@lru_cache(maxsize=1)
def _terms() -> Mapping[tuple[str, str], tuple[tuple[date, Terms], ...]]:
    found: dict[tuple[str, str], list[tuple[date, Terms]]] = {}
    for row in tables.rows("multipliers.csv"):
        terms = Terms(float(row["multiplier"]), float(row["future_tick"]), float(row["option_tick"]))
        found.setdefault((row["exchange"], row["name"]), []).append((date.fromisoformat(row["expiry_from"]), terms))
    return {key: tuple(rows) for key, rows in found.items()}


def terms_of(exchange: str, name: str, expiry: date) -> Terms | None:
    """The terms of a commodity's or a currency's contract that expires on ``expiry``; None: not known.

    Kite counts the quantity of these in lots: their ``lot_size`` is 1.
    """
    found = None
    for since, terms in _terms().get((exchange, name), ()):
        if since <= expiry:
            found = terms
    return found


def latest_lot(name: str) -> int | None:
    """The lot of the last row of ``name``; None: not known."""
    lots = _lots().get(name)
    return lots[-1].lot if lots else None


@lru_cache(maxsize=1)
def _ticks() -> tuple[tuple[str, date, float, float], ...]:
    return tuple(
        (row["kind"], date.fromisoformat(row["from"]), float(row["from_price"]), float(row["tick"]))
        for row in tables.rows("ticks.csv")
    )


def lot_size(name: str, expiry: date, day: date) -> int | None:
    """Units of a lot of the contract on ``name`` that expires on ``expiry``, as listed on ``day``; None: not known."""
    found = None
    for lot in _lots().get(name, ()):
        if lot.traded_from <= day and lot.expiry_from <= expiry:
            found = lot.lot
    return found


def tick_size(kind: str, price: float, day: date) -> float:
    """Rupees of a tick by ``kind`` of ticks.csv (``eq``, ``stock_fut``, ``index_fut``, ``index_fut_bse``, ``opt``)."""
    rows = [row for row in _ticks() if row[0] == kind and row[1] <= day]
    if not rows:
        return 0.05
    latest = max(row[1] for row in rows)
    return max((row for row in rows if row[1] == latest and row[2] <= price), key=lambda row: row[2])[3]


# expiries


def _weekday(exchange: str, name: str, kind: str, day: date) -> int:
    table = _rules()
    rules = table.get((exchange, name, kind)) or (table.get((exchange, "", kind), ()) if kind == MONTHLY else ())
    in_force = [rule for rule in rules if rule.since <= day]
    return in_force[-1].weekday if in_force else -1


def trades_fully(exchange: str, day: date) -> bool:
    """True if ``day`` is one on which a contract can expire: more than a muhurat hour or a drill."""
    return sum(end - begin for begin, end in hours.windows(exchange, day)) >= _FULL_DAY


def _moved(exchange: str, day: date) -> date:
    while not trades_fully(exchange, day):
        day -= timedelta(days=1)
    return day


def monthly_expiry(exchange: str, name: str, year: int, month: int) -> date:
    """When the monthly contract of ``name`` expires: the last such weekday of the month, or the trading day before.

    Currency contracts: two working days before the last one of the month (background knowledge). For MCX, whose
    dates differ by commodity, the last Thursday: give an InstrumentRow where the true date matters.
    """
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    if exchange in ("CDS", "BCD"):
        day = _moved(exchange, last)
        for _ in range(2):
            day = _moved(exchange, day - timedelta(days=1))
        return day
    weekday = _weekday(exchange, name, MONTHLY, last)
    if weekday < 0:
        weekday = 3
    day = last - timedelta(days=(last.weekday() - weekday) % 7)
    return _moved("MCX" if exchange == "NCO" else exchange, day)


def weekly_expiries(exchange: str, name: str, first: date, last: date) -> list[date]:
    """All expiries of weekly contracts from ``first`` to ``last``, those that are monthly ones left out."""
    found = []
    day = first - timedelta(days=7)
    while day <= last + timedelta(days=7):
        weekday = _weekday(exchange, name, WEEKLY, day)
        if weekday >= 0 and day.weekday() == weekday:
            expiry = _moved(exchange, day)
            monthly = monthly_expiry(exchange, name, day.year, day.month)
            if first <= expiry <= last and expiry != monthly:
                found.append(expiry)
        day += timedelta(days=1)
    return found


def monthly_expiries(exchange: str, name: str, day: date, count: int = LISTED_MONTHS) -> list[date]:
    """The next ``count`` monthly expiries from ``day`` on."""
    found: list[date] = []
    year, month = day.year, day.month
    while len(found) < count:
        expiry = monthly_expiry(exchange, name, year, month)
        if expiry >= day:
            found.append(expiry)
        year, month = year + month // 12, month % 12 + 1
    return found


# symbols


def future_symbol(name: str, expiry: date) -> str:
    """``NIFTY26NOVFUT``."""
    return f"{name}{expiry:%y}{MONTHS[expiry.month - 1]}FUT"


def option_symbol(name: str, expiry: date, strike: float, kind: str, *, monthly: bool) -> str:
    """``NIFTY26NOV26000CE``, or the weekly form ``NIFTY26N1726000CE``."""
    middle = MONTHS[expiry.month - 1] if monthly else f"{WEEKLY_MONTHS[expiry.month - 1]}{expiry.day:02d}"
    return f"{name}{expiry:%y}{middle}{strike:g}{kind}"


def strike_step(name: str, spot: float) -> float:
    """Rupees between two strikes."""
    return STRIKE_STEPS.get(name) or next(step for below, step in _SHARE_STEPS if spot < below)


class Contract(NamedTuple):
    """One contract of a chain; ``strike`` 0 and kind FUT for a future."""

    exchange: str
    symbol: str
    name: str
    expiry: date
    strike: float
    kind: str
    listed: date

    @property
    def key(self) -> str:
        """``EXCHANGE:TRADINGSYMBOL``."""
        return f"{self.exchange}:{self.symbol}"


def chain(name: str, day: date, spot: float, strikes: int, *, weeks: int = 2, months: int = 1) -> list[Contract]:
    """What is listed on ``day`` on ``name``: three futures, and options of the next expiries around ``spot``.

    ``strikes`` on either side of the money, for ``weeks`` weekly and ``months`` monthly expiries.
    """
    exchange = "BFO" if name in BSE_INDICES else "NFO"
    monthlies = monthly_expiries(exchange, name, day, max(months, LISTED_MONTHS))
    weeklies = weekly_expiries(exchange, name, day, day + timedelta(weeks=LISTED_WEEKS))[:weeks]
    found = [
        Contract(exchange, future_symbol(name, expiry), name, expiry, 0.0, "FUT", listed_since(exchange, name, expiry))
        for expiry in monthlies
    ]
    step = strike_step(name, spot)
    middle = round(spot / step)
    for expiry in (*weeklies, *monthlies[:months]):
        monthly = expiry in monthlies
        for number in range(middle - strikes, middle + strikes + 1):
            for kind in ("CE", "PE"):
                symbol = option_symbol(name, expiry, number * step, kind, monthly=monthly)
                since = listed_since(exchange, name, expiry)
                found.append(Contract(exchange, symbol, name, expiry, number * step, kind, since))
    return found


def listed_since(exchange: str, name: str, expiry: date) -> date:
    """The first day of a contract: the day after the expiry that made room for it."""
    if expiry == monthly_expiry(exchange, name, expiry.year, expiry.month):
        year, month = divmod(expiry.year * 12 + expiry.month - 1 - LISTED_MONTHS, 12)
        before = monthly_expiry(exchange, name, year, month + 1)
    else:
        before = expiry - timedelta(weeks=LISTED_WEEKS)
    day = before + timedelta(days=1)
    while hours.session(exchange, day) is None:
        day += timedelta(days=1)
    return day
