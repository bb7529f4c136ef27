"""What an expiry does: when a contract is over, what it ends at, what that costs, and what its last days need.

Contracts on indices, currencies and commodities end in cash; those on single shares, since the expiry of October 2019,
in shares (NSE Clearing: physical settlement). Delivery margins of the last days are Zerodha's steps, dated in
``data/margins.csv``.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from ..values import Denial, Side
from .calendar import EXCHANGES, calendar
from .charges import Charges
from .levies import delivery_charges, depository_charge, exercise_charges
from .prices import INDEX_NAMES

if TYPE_CHECKING:
    from ..values import Instrument, Proposal

PHYSICAL_SINCE = date(2019, 10, 1)
"""From the expiry of this month on all contracts on shares are settled in shares (46 shares were from July 2018)."""


def is_physical(instrument: Instrument) -> bool:
    """Whether a contract ends in shares."""
    contract = instrument.is_future or instrument.is_option
    of_share = instrument.exchange in ("NFO", "BFO") and instrument.name not in INDEX_NAMES
    return contract and of_share and instrument.expiry is not None and instrument.expiry >= PHYSICAL_SINCE


def sessions_left(instrument: Instrument, day: date, most: int = 30) -> int | None:
    """Trading days from ``day`` to the expiry: 0 on its day, negative after it; None if there is no expiry, or more
    than ``most`` are left."""
    expiry = instrument.expiry
    if expiry is None or instrument.exchange not in EXCHANGES:
        return None
    if day >= expiry:
        return 0 if day == expiry else -1
    known, left = calendar(), 0
    while day < expiry:
        day, left = known.next_session_day(instrument.exchange, day), left + 1
        if left > most:
            return None
    return left


def worth(instrument: Instrument, settlement: float) -> float:
    """₹ of one unit at the final price of the underlying: an option's intrinsic value, a future's settlement price."""
    if not instrument.is_option:
        return settlement
    inside = settlement - instrument.strike if instrument.instrument_type == "CE" else instrument.strike - settlement
    return round(max(0.0, inside), 4)


def expiry_charges(instrument: Instrument, quantity: int, settlement: float, on: date) -> Charges:
    """What ending a position of ``quantity`` (signed) costs; nothing for an option out of the money, and for a future
    that is settled in cash. Of shares that are given, the depository's charge is in it."""
    if instrument.is_option and not worth(instrument, settlement):
        return Charges()
    if is_physical(instrument):
        receives = (quantity > 0) == (instrument.instrument_type != "PE")
        price = instrument.strike if instrument.is_option else settlement
        paid = delivery_charges(abs(quantity) * price, on, receives=receives)
        return paid if receives else _with_depository(paid, on)
    if not instrument.is_option:
        return Charges()
    return exercise_charges(instrument, Side.BUY if quantity > 0 else Side.SELL, abs(quantity), settlement, on)


def _with_depository(paid: Charges, on: date) -> Charges:
    from dataclasses import replace

    return replace(paid, depository=depository_charge(on))


def over(order: Proposal, day: date, *, closed: bool) -> Denial | None:
    """Why an order in a contract that has expired by ``day`` is denied; ``closed``: its last session has ended."""
    expiry = order.instrument.expiry
    if expiry is None or day < expiry or (day == expiry and not closed):
        return None
    return Denial("expired", f"{order.instrument.key} has expired on {expiry}: nothing trades in it any more")


def too_near(order: Proposal, day: date, most: int) -> Denial | None:
    """Why an option on a share is not opened in its last ``most`` trading days before the expiry: it would end in
    shares, with the margin for them."""
    instrument = order.instrument
    if most <= 0 or order.reduces or not instrument.is_option or not is_physical(instrument):
        return None
    left = sessions_left(instrument, day, most)
    if left is None or left > most or left < 0:
        return None
    when = "today" if not left else f"in {left} trading day{'s' if left > 1 else ''}"
    return Denial(
        "physical",
        f"{instrument.key} expires {when} and ends in shares: options on shares are not opened in their last {most} "
        "trading days",
        "broker.physical_days",
    )
