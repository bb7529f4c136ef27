"""Prices on their tick, quantities in whole lots, and the exchange's limits on one order.

Floats are taken for the decimal that they print as, and results are the floats that print as the
exact decimal (1500.05, never 1500.0500000000002). Prices are rupees.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..errors import DataError, RuleViolation
from ..values import Side
from .tables import read_table

if TYPE_CHECKING:
    from ..values import Instrument

Direction = Literal["nearest", "up", "down"]
TickKind = Literal["eq", "stock_fut", "index_fut", "index_fut_bse", "opt"]

_ROUNDING: dict[str, str] = {"nearest": ROUND_HALF_UP, "up": ROUND_CEILING, "down": ROUND_FLOOR}
# Finer than any tick, coarser than the noise of float arithmetic on prices.
_NOISE = Decimal("0.000001")
_PAISA = Decimal("0.01")

# Names that Kite's dumps of 2017 to 2026 carry for contracts on an index.
INDEX_NAMES = frozenset(
    {"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "NIFTYFPI", "SENSEX", "BANKEX", "SENSEX50", "FOCIT"}
    | {"NIFTYIT", "NIFTYMID50", "NIFTYINFRA", "NIFTYPSE", "NIFTYCPSE", "FTSE100", "DJIA", "INDIAVIX"}
)


def exact(price: float) -> Decimal:
    """The decimal that a float price stands for, free of the noise of float arithmetic.

    :raises RuleViolation: if it is not a finite number.
    """
    if not math.isfinite(price):
        raise RuleViolation(f"a price of {price} is not possible")
    return Decimal(repr(float(price))).quantize(_NOISE, ROUND_HALF_UP)


def round_to_tick(price: float, tick: float, direction: Direction = "nearest") -> float:
    """``price`` on the grid of ``tick`` rupees; a half goes up.

    A price that is on the grid but for float noise (below a millionth of a rupee) stays there in
    every direction. :raises RuleViolation: if ``tick`` is not positive.
    """
    step = _tick(tick)
    steps = (exact(price) / step).to_integral_value(_ROUNDING[direction])
    return float(steps * step)


def is_on_tick(price: float, tick: float) -> bool:
    """Whether ``price`` is a multiple of ``tick`` (float noise forgiven)."""
    return exact(price) % _tick(tick) == 0


def round_limit(price: float, tick: float, side: Side) -> float:
    """A limit price on its tick, never worse than asked: a buy down, a sell up."""
    return round_to_tick(price, tick, "down" if side is Side.BUY else "up")


def round_trigger(price: float, tick: float, side: Side) -> float:
    """A stop's trigger on its tick, never earlier than asked: a buy up, a sell down."""
    return round_to_tick(price, tick, "up" if side is Side.BUY else "down")


def to_paise(price: float) -> int:
    """Whole paise; a half goes up."""
    return int((exact(price) / _PAISA).to_integral_value(ROUND_HALF_UP))


def from_paise(paise: int) -> float:
    """Rupees."""
    return float(Decimal(paise) * _PAISA)


# -- quantities ---------------------------------------------------------------------------------------


def whole_lots(quantity: float, lot: int) -> int:
    """``quantity`` cut down to whole lots (towards zero). :raises RuleViolation: if ``lot`` is below 1."""
    if lot < 1:
        raise RuleViolation(f"a lot of {lot} is not possible; reload the instruments")
    units = int(abs(quantity)) // lot * lot
    return units if quantity >= 0 else -units


def is_whole_lots(quantity: int, lot: int) -> bool:
    """Whether ``quantity`` is a positive multiple of ``lot``."""
    return quantity > 0 and lot >= 1 and quantity % lot == 0


def slices(quantity: int, largest: int, lot: int = 1) -> list[int]:
    """``quantity`` as orders of at most ``largest`` units, each in whole lots; the rest comes last.

    :raises RuleViolation: if not one lot fits into ``largest``, or ``quantity`` is not whole lots.
    """
    if not is_whole_lots(quantity, lot):
        raise RuleViolation(f"a quantity of {quantity} is not a multiple of the lot {lot}")
    piece = whole_lots(largest, lot)
    if piece < lot:
        raise RuleViolation(f"not one lot of {lot} fits into an order of at most {largest}")
    full, rest = divmod(quantity, piece)
    return [piece] * full + ([rest] if rest else [])


# -- dated tables -------------------------------------------------------------------------------------


class _TickRegime(NamedTuple):
    since: date
    bands: tuple[tuple[float, float], ...]  # (from price, tick), ascending


def tick_kind(instrument: Instrument) -> TickKind | None:
    """The rows of the tick table that an instrument follows; None for currency and commodities.

    An exchange-traded fund looks like a share in the dump but had other ticks: read its row there.
    """
    if instrument.exchange in ("NSE", "BSE"):
        return "eq"
    if instrument.exchange not in ("NFO", "BFO"):
        return None
    if instrument.is_option:
        return "opt"
    if instrument.name not in INDEX_NAMES:
        return "stock_fut"
    return "index_fut_bse" if instrument.exchange == "BFO" else "index_fut"


def tick_by_date(kind: TickKind, on: date, price: float) -> float:
    """The tick that was in force on a date, in rupees.

    ``price`` is the one that sets the band: the last close of the month before, or the index level
    of an index future. Dates before the table take its first rows. For a live contract read the
    instruments dump instead. :raises DataError: for a kind that the table has not.
    """
    regimes = _tick_regimes().get(kind)
    if regimes is None:
        raise DataError(f"no tick sizes are known for {kind!r}; take the tick_size of the instruments dump")
    place = bisect_right([regime.since for regime in regimes], on)
    bands = regimes[max(place - 1, 0)].bands
    return bands[max(bisect_right([low for low, _ in bands], price) - 1, 0)][1]


def freeze_quantity(name: str, on: date) -> int | None:
    """The largest quantity of one order in a contract on index ``name``, in units; None if not known.

    An order above it is refused, an equal one is accepted.
    """
    known = None
    for since, quantity in _freeze_rows().get(name, ()):
        if since > on:
            break
        known = quantity
    return known


_SLABS = (
    (5_750, 8_500),
    (8_625, 5_500),
    (11_500, 4_200),
    (17_250, 2_800),
    (27_500, 1_800),
    (40_000, 1_200),
    (55_000, 900),
)


def freeze_from_level(level: float) -> int:
    """NSE's slab for an index at ``level`` (circular of 2021-07-31; applied monthly to the closing level)."""
    return next((quantity for top, quantity in _SLABS if level <= top), 600)


def _tick(tick: float) -> Decimal:
    step = Decimal(repr(float(tick)))
    if not step.is_finite() or step <= 0:
        raise RuleViolation(f"a tick of {tick} is not possible; reload the instruments")
    return step


@cache
def _tick_regimes() -> dict[str, list[_TickRegime]]:
    bands: dict[str, dict[date, list[tuple[float, float]]]] = {}
    for row in read_table("ticks"):
        by_date = bands.setdefault(row["kind"], {})
        by_date.setdefault(date.fromisoformat(row["from"]), []).append((float(row["from_price"]), float(row["tick"])))
    return {
        kind: [_TickRegime(since, tuple(sorted(rows))) for since, rows in sorted(by_date.items())]
        for kind, by_date in bands.items()
    }


@cache
def _freeze_rows() -> dict[str, list[tuple[date, int | None]]]:
    rows: dict[str, list[tuple[date, int | None]]] = {}
    for row in read_table("freeze"):
        quantity = int(row["quantity"]) if row["quantity"] else None
        rows.setdefault(row["name"], []).append((date.fromisoformat(row["from"]), quantity))
    return {name: sorted(dated, key=lambda pair: pair[0]) for name, dated in rows.items()}
