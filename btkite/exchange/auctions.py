"""Matching at one price: the pre-open session, and the closing auction since 2026-08-03.

The price is history's: at the open the day's first print, at the close the auction's print if the candles
hold one, else the reference price (the volume-weighted price of the last quarter of an hour). Orders do not
move it; who accepts it trades whole, in the order of arrival, market orders first. What is left of the
pre-open rests in the continuous session, what is left of the closing auction is cancelled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import Refusal, bad_input
from .listing import Listing
from .matching import Event
from .orders import Order
from .schedule import DAY_SECONDS, Tape
from .timetable import AUCTIONS, RANDOM_AFTER, Phase

REFERENCE_SECONDS = 15 * 60
BAND_PERCENT = 3.0  # SEBI HO/47/11/11(3)2025-MRD-POD2/I/2765/2026; the text of the refusal is our own
PRINT_SECONDS = 7 * 60  # the auction's print comes within this time of the end of order entry
NO_MARKET = "Market orders are currently not allowed."
NO_STOPS = "Stop loss, IOC and disclosed quantity orders are not allowed in an auction session."


def check(order: Order, phase: Phase, reference: float = 0.0) -> None:
    """Refuse what an auction does not take; about ``reference``, if there is one, lies the range of the closing one."""
    if phase not in AUCTIONS:
        return
    if order.order_type in ("SL", "SL-M") or order.validity == "IOC" or order.disclosed_quantity or order.iceberg:
        raise bad_input(NO_STOPS)
    if order.order_type == "MARKET" and phase in (Phase.PRE_OPEN_LIMITS, Phase.AUCTION_LIMITS):
        raise bad_input(NO_MARKET)
    if order.order_type == "LIMIT" and reference and phase in (Phase.AUCTION, Phase.AUCTION_LIMITS):
        _check_range(order, reference)


def _check_range(order: Order, reference: float) -> None:
    row = order.listing.row
    lower, upper = (reference * (1 + sign * BAND_PERCENT / 100) for sign in (-1, 1))
    if not lower - 1e-9 <= order.price <= upper + 1e-9:
        raise bad_input(
            f"The order price {order.price:g} is outside of the closing auction's range, "
            f"{round(lower, row.decimals):g} to {round(upper, row.decimals):g}: "
            f"{BAND_PERCENT:g}% about the reference price of {reference:g}."
        )


def halted() -> Refusal:
    """An order for an instrument that does not trade; the text is NSE's as remembered."""
    return bad_input("16387 : Security is not allowed to trade in this market")


def matches(orders: list[Order], price: float, us: int) -> list[Event]:
    """The trades at ``price``: market orders first, then by arrival."""
    found = []
    for order in sorted(orders, key=lambda one: (one.order_type != "MARKET", one.arrival)):
        if order.is_stop or order.works_from > us:
            continue
        if order.order_type in ("MARKET", "SL-M") or (order.price >= price if order.buys else order.price <= price):
            found.append(Event(order, price, False, price))
    return found


def opening_price(listing: Listing, day: int) -> float:
    """The day's first recorded price; without candles the last price put by hand; 0 if there is none."""
    if listing.tape is None:
        return listing.last
    begin, end = listing.tape.slice_of(day)
    return float(listing.tape.series.open[begin]) if begin < end else 0.0


def _starts(tape: Tape, day: int) -> tuple[int, NDArray[np.int64]]:
    """The place of a day's first candle, and the second of the day at which each of them starts."""
    first, last = tape.slice_of(day)
    return first, tape.series.start[first:last] - day * DAY_SECONDS


def trades_on(listing: Listing, day: int, begin: int) -> bool:
    """True if the candles of a share go on after ``begin`` (seconds of the day): then it has no auction."""
    if listing.tape is None:
        return False
    if listing.tape.series.interval == "day":
        return True
    _, seconds = _starts(listing.tape, day)
    return bool(np.any((seconds >= begin) & (seconds < begin + RANDOM_AFTER)))


def closing_price(listing: Listing, day: int, begin: int) -> float:
    """The auction's price: its recorded print, else the reference price, on tick; 0 if nothing traded."""
    tape = listing.tape
    if tape is None:
        return listing.last
    first, seconds = _starts(tape, day)
    printed = np.flatnonzero((seconds >= begin + RANDOM_AFTER) & (seconds < begin + RANDOM_AFTER + PRINT_SECONDS))
    if len(printed):
        return float(tape.series.close[first + int(printed[-1])])
    return reference_price(listing, day, begin)


def reference_price(listing: Listing, day: int, begin: int) -> float:
    """The volume-weighted price of the last quarter of an hour before ``begin``, on tick; else the last price."""
    tape = listing.tape
    if tape is None:
        return listing.last
    first, seconds = _starts(tape, day)
    series = tape.series
    window = np.flatnonzero((seconds >= begin - REFERENCE_SECONDS) & (seconds < begin)) + first
    weights = series.volume[window]
    if not len(window) or not weights.sum():
        return listing.last
    value = float((series.close[window] * weights).sum() / weights.sum())
    tick = listing.row.tick_size
    return round(round(value / tick) * tick, listing.row.decimals)
