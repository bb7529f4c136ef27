"""What Kite and the regulator demanded of an order on a date, as one frozen value.

The dated tables are ``btkite/data/rules.csv``, ``lpp.csv`` and ``freeze.csv``; every row there has a source.
A 2024 day plays by 2024's rules; a setting may override each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cache, lru_cache
from typing import Any, NamedTuple

from . import tables
from .errors import BadSettings

EARLIEST = date(2010, 1, 1)

Window = tuple[int, int]  # seconds of the day; over midnight if the first is later
Slabs = tuple[tuple[float, float], ...]  # (from this price, per cent), ascending


class Band(NamedTuple):
    """One row of the price bands: see lpp.csv."""

    below: float
    rupees: float
    percent: float
    minimum: float

    def around(self, reference: float) -> tuple[float, float]:
        """Lowest and highest price that the exchange takes, rupees."""
        if reference <= self.below:
            width = self.rupees
        else:
            width = max(reference * self.percent / 100, self.minimum)
        return max(reference - width, 0.0), reference + width


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The rules of one day. Mappings are by exchange (or by kind); what they do not name has no such rule.

    ``market_protection``: MARKET and SL-M must carry it. ``static_ip``: order calls need a known address.
    ``ioc`` and ``ttl``: the exchanges (``""`` is all others) that take this validity. ``iceberg_legs`` 0:
    no icebergs yet. ``mis_cutoff``: from this second of the day no new MIS, by exchange, ``NSE:cas`` for
    shares of the closing auction; ``mis_before_close`` the same in minutes before the close.
    ``amo_window``: when after-market orders are taken; ``amo_release``: when those that may meet the
    pre-open are sent, all others at the open. ``lapse``: when the day's leftovers are cancelled, else at
    the close. ``max_quantity`` units and ``max_value`` rupees of one cash order. ``protection_slabs``: what
    a protection of -1 means, by ``cash``, ``future``, ``option``. ``lpp``: price bands by exchange and kind
    (``index_option`` ...). ``freeze``: largest quantity of one order by underlying.
    """

    day: date
    market_protection: bool
    static_ip: bool
    orders_per_second: int
    orders_per_minute: int
    orders_per_day: int
    ioc: Mapping[str, bool]
    ttl: Mapping[str, bool]
    closing_auction: bool
    modification_cap: int
    iceberg_legs: int
    autoslice: bool
    slices: int
    gtt_active: int
    gtt_market: bool
    mis_cutoff: Mapping[str, int]
    mis_before_close: Mapping[str, int]
    amo_window: Mapping[str, Window]
    amo_release: Mapping[str, int]
    lapse: Mapping[str, int]
    max_quantity: Mapping[str, int]
    max_value: Mapping[str, float]
    disclosed_percent: Mapping[str, float]
    protection_slabs: Mapping[str, Slabs]
    lpp: Mapping[tuple[str, str], Band]
    freeze: Mapping[str, int]

    def takes(self, validity: str, exchange: str) -> bool:
        """True if orders of this validity may be placed on ``exchange``."""
        if validity == "DAY":
            return True
        table = self.ioc if validity == "IOC" else self.ttl
        return table.get(exchange, table.get("", True)) and table.get("", True)


def _yes(text: str) -> bool:
    return text == "yes"


def clock_seconds(text: str) -> int:
    """``HH:MM`` in seconds of the day."""
    hours, minutes = text.split(":")
    return int(hours) * 3600 + int(minutes) * 60


def _window(text: str) -> Window:
    begin, end = text.split("-")
    return clock_seconds(begin), clock_seconds(end)


def _slabs(text: str) -> Slabs:
    pairs = (part.split(":") for part in text.split())
    return tuple((float(price), float(percent)) for price, percent in pairs)


_READ: Mapping[str, Callable[[str], Any]] = {
    "market_protection": _yes,
    "static_ip": _yes,
    "orders_per_second": int,
    "orders_per_minute": int,
    "orders_per_day": int,
    "ioc": _yes,
    "ttl": _yes,
    "closing_auction": _yes,
    "modification_cap": int,
    "iceberg_legs": int,
    "autoslice": _yes,
    "slices": int,
    "gtt_active": int,
    "gtt_market": _yes,
    "mis_cutoff": clock_seconds,
    "mis_before_close": int,
    "amo_window": _window,
    "amo_release": clock_seconds,
    "lapse": clock_seconds,
    "max_quantity": int,
    "max_value": float,
    "disclosed_percent": float,
    "protection_slabs": _slabs,
}
NAMES = frozenset(_READ) | {"lpp", "freeze"}


@cache
def _table(name: str) -> tuple[dict[str, str], ...]:
    return tuple(sorted(tables.rows(name), key=lambda row: row["from"]))


def _in_force(name: str, day: date) -> Iterator[dict[str, str]]:
    """The rows of a table that began by ``day``, oldest first, so that later ones overwrite."""
    text = max(day, EARLIEST).isoformat()
    return (row for row in _table(name) if row["from"] <= text)


@lru_cache(maxsize=64)
def on(day: date) -> Rulebook:
    """The rules of ``day``."""
    scoped: dict[str, dict[str, Any]] = {name: {} for name in _READ}
    for row in _in_force("rules.csv", day):
        scoped[row["rule"]][row["scope"]] = _READ[row["rule"]](row["value"])
    bands = {
        (row["exchange"], row["kind"]): Band(*(float(row[name]) for name in Band._fields))
        for row in _in_force("lpp.csv", day)
    }
    freeze = {row["name"]: row["quantity"] for row in _in_force("freeze.csv", day)}
    values: dict[str, Any] = {}
    for one in fields(Rulebook):
        if one.name in scoped:
            values[one.name] = scoped[one.name] if str(one.type).startswith("Mapping") else scoped[one.name][""]
    known_freeze = {name: int(quantity) for name, quantity in freeze.items() if quantity}
    return Rulebook(day=day, lpp=bands, freeze=known_freeze, **values)


def known(overrides: Mapping[str, Any]) -> None:
    """Refuse overrides of rules that do not exist."""
    for name in overrides:
        if name not in NAMES:
            raise BadSettings(f"there is no rule {name!r}: choose of {', '.join(sorted(NAMES))}")


def with_changes(day: date, overrides: Mapping[str, Any]) -> Rulebook:
    """The rules of ``day`` with a setting's changes; mappings are merged, other values replaced."""
    rules = on(day)
    if not overrides:
        return rules
    changes: dict[str, Any] = {
        name: {**getattr(rules, name), **value} if isinstance(value, Mapping) else value
        for name, value in overrides.items()
    }
    return replace(rules, **changes)
