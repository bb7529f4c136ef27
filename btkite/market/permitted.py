"""What Kite and the exchanges take of an order whatever the market does: known beforehand, denied on our side.

Kite would refuse the same with an error of its own, and an exchange with a rejection; both cost a call and teach a
strategy nothing. The figures are the dated ones of ``btkite/data/rules.csv`` and ``freeze.csv``, so that a backtest
is held to what was in force on its day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from ..values import Denial, OrderType
from .dated import in_force
from .prices import INDEX_NAMES, freeze_quantity, whole_lots
from .squareoff import square_off_time
from .tables import read_table

if TYPE_CHECKING:
    from ..values import Instrument, Proposal

DATA_ONLY = frozenset({"NCO"})
"""Quoted and streamed by Kite; that a retail account may trade there was never found."""
CASH = frozenset({"NSE", "BSE"})
LONGEST_TTL = 120
FEWEST_LEGS = 2
_CRORE = 1e7
_DELIVERED = date(2019, 10, 1)
_NO_AUCTION = frozenset({"BSE:BSE", "BSE:CDSL"})
"""BSE leaves itself and its depository out."""


def largest_order(instrument: Instrument, day: date) -> int | None:
    """The freeze quantity of a contract in whole lots; None if there is none or it is not known."""
    if instrument.exchange in CASH or not instrument.exchange:
        return None
    most = freeze_quantity(instrument.name, day)
    return None if most is None else whole_lots(most, max(1, instrument.lot_size))


def most_slices(exchange: str, day: date) -> int:
    """How many orders at Kite one order may be cut into."""
    return int(in_force("slices", exchange, day) or 1)


def is_stock_option(instrument: Instrument) -> bool:
    """An option on a share: Kite takes no market orders in it."""
    return instrument.is_option and instrument.exchange in ("NFO", "BFO") and instrument.name not in INDEX_NAMES


def mis_cutoff(instrument: Instrument, session: tuple[datetime, datetime]) -> datetime | None:
    """From when on Kite takes no new MIS order in ``session`` (its open and close); None if it is not known.

    Exits are refused, too, then, but that is Kite's to say: what would be left without them is a position.
    """
    where = instrument.exchange
    of_auction = where in CASH and instrument.key not in _NO_AUCTION and instrument.tradingsymbol in _with_derivatives()
    return square_off_time(where, *session, cas=of_auction)


def settles_in_shares(instrument: Instrument, day: date) -> bool:
    """Whether what is held of it at its expiry becomes a delivery of shares: futures and options on a share, all of
    them since the expiry of October 2019 (index contracts are settled in cash)."""
    where = instrument.exchange
    derivative = instrument.is_future or instrument.is_option
    return derivative and where in ("NFO", "BFO") and instrument.name not in INDEX_NAMES and day >= _DELIVERED


def forbidden(order: Proposal, day: date, *, amo: bool = False) -> Denial | None:
    """Why Kite does not take ``order`` on ``day``, or None. ``amo``: it goes as an after-market order, also if its
    variety does not say so."""
    if not order.instrument.exchange:  # data that is not Kite's
        return None
    for look in _LOOKS:
        denial = look(order, day)
        if denial is not None:
            return denial
    if (amo or order.variety == "amo") and order.instrument.is_option and order.order_type is OrderType.MARKET:
        return Denial("amo", f"Kite takes no market order in {order.instrument.key} after hours: give a Limit")
    return None


def _exchange(order: Proposal, day: date) -> Denial | None:
    where = order.instrument.exchange
    if where not in DATA_ONLY:
        return None
    return Denial("exchange", f"{where} takes no orders through Kite: {order.instrument.key} is data only")


def _validity(order: Proposal, day: date) -> Denial | None:
    where, validity = order.instrument.exchange, order.validity
    if validity not in ("IOC", "TTL"):
        return None
    if in_force(validity.lower(), where, day) != "yes":
        instead = "a Limit and cancel it" if validity == "IOC" else "valid=timedelta(minutes=...)"
        return Denial("validity", f"Kite takes no {validity} orders on {where}: use validity DAY, or {instead}")
    if validity == "TTL" and not 1 <= order.validity_ttl <= LONGEST_TTL:
        return Denial(
            "validity", f"validity TTL needs a validity_ttl of 1 to {LONGEST_TTL} minutes, not {order.validity_ttl}"
        )
    return None


def _iceberg(order: Proposal, day: date) -> Denial | None:
    if order.variety != "iceberg":
        return None
    most, lot = int(in_force("iceberg_legs", order.instrument.exchange, day) or 0), max(1, order.instrument.lot_size)
    legs, lots = order.iceberg_legs, order.quantity // lot
    if not FEWEST_LEGS <= legs <= most:
        return Denial("iceberg", f"iceberg_legs must be between {FEWEST_LEGS} and {most}, not {legs}")
    if lots < legs:
        return Denial("iceberg", f"{order.quantity} of {order.instrument.key} are less than {legs} legs of a lot each")
    first = -(-lots // legs) * lot
    if order.iceberg_quantity != first:
        return Denial("iceberg", f"iceberg_quantity of {order.quantity} in {legs} legs is {first}, not "
                      f"{order.iceberg_quantity}")  # fmt: skip
    return None


def _freeze(order: Proposal, day: date) -> Denial | None:
    most = largest_order(order.instrument, day)
    iceberg = order.variety == "iceberg"
    size = order.iceberg_quantity if iceberg else order.quantity
    if most is None or size <= most:
        return None
    slices = 1 if iceberg else most_slices(order.instrument.exchange, day)
    if size <= slices * most:
        return None
    how = f"more than one order may have ({most})" if slices == 1 else f"more than {slices} slices of {most}"
    return Denial("freeze", f"{size} of {order.instrument.key} are {how}: give smaller ones")


def _size(order: Proposal, day: date) -> Denial | None:
    where = order.instrument.exchange
    most, worth = in_force("max_quantity", where, day), in_force("max_value", where, day)
    if most is not None and order.quantity > int(most):
        return Denial("order_size", f"Kite takes at most {most} of a share in one order, not {order.quantity}")
    price = order.price or order.trigger_price or order.reference_price
    if worth is not None and order.quantity * price > float(worth):
        return Denial(
            "order_size", f"Kite takes at most ₹{float(worth) / _CRORE:g} crore in one order: give smaller ones"
        )
    return None


def _disclosed(order: Proposal, day: date) -> Denial | None:
    shown, where = order.disclosed_quantity, order.instrument.exchange
    if not shown:
        return None
    if where not in CASH:
        return Denial("disclosed", f"a disclosed_quantity is for shares only, not for {order.instrument.key}")
    if shown > order.quantity:
        return Denial("disclosed", f"a disclosed_quantity of {shown} is more than the order's {order.quantity}")
    percent = float(in_force("disclosed_percent", where, day) or 0)
    if shown * 100 < order.quantity * percent:
        least = -(-order.quantity * percent // 100)
        return Denial("disclosed", f"a disclosed_quantity of {shown} is too small: {least:g} at least ({percent:g} %)")
    return None


_LOOKS: tuple[Callable[[Proposal, date], Denial | None], ...] = (
    _exchange, _validity, _iceberg, _freeze, _size, _disclosed,
)  # fmt: skip


@cache
def _with_derivatives() -> frozenset[str]:
    """Shares that have derivatives, whose day ends in the closing auction."""
    return frozenset(row["name"] for row in read_table("lots")) - INDEX_NAMES
