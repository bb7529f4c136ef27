"""Market protection: what a market order becomes where the protection binds.

A buy is sent as a limit order so many per cent above the last price, a sell below it, on tick; a
stop-market order is measured from its trigger. The row shows the limit and a protection of 0, and only
the tags ``mktp`` and ``mktp:2.00`` tell what it was (a real row of 2026-04-09, and Zerodha's samples).
"""

from __future__ import annotations

import math

from .instruments import InstrumentRow
from .orders import Order
from .rulebook import Rulebook, Slabs

AUTO = -1.0
TAG = "mktp"


def kind(row: InstrumentRow) -> str:
    """``cash``, ``future`` or ``option``: the slabs of an instrument."""
    if row.is_option:
        return "option"
    return "future" if row.is_derivative else "cash"


def percent(order: Order, reference: float, rules: Rulebook) -> float:
    """The protection in per cent; -1 is what the slabs say; an exchange's own row wins over its kind's."""
    if order.market_protection != AUTO:
        return order.market_protection
    row = order.listing.row
    slabs: Slabs = rules.protection_slabs.get(row.exchange) or rules.protection_slabs[kind(row)]
    found = slabs[0][1]
    for price, rate in slabs:
        if reference >= price:
            found = rate
    return found


def protected_price(buys: bool, reference: float, rate: float, tick: float) -> float:
    """The last price at which it may trade: rounded towards ``reference``, never beyond the protection."""
    if buys:
        steps = math.floor(reference * (1 + rate / 100) / tick + 1e-6)
    else:
        steps = math.ceil(reference * (1 - rate / 100) / tick - 1e-6)
    return round(max(steps, 1) * tick, 7)


def bind(order: Order, rules: Rulebook) -> None:
    """Turn a protected MARKET into a LIMIT, a protected SL-M into an SL; any other order is left alone.

    So is a market order before anything has traded: there is nothing to measure from.
    """
    if order.order_type not in ("MARKET", "SL-M") or not order.market_protection:
        return
    is_stop = order.order_type == "SL-M"
    reference = order.trigger_price if is_stop else order.listing.path
    if not reference:
        return
    rate = percent(order, reference, rules)
    order.price = protected_price(order.buys, reference, rate, order.listing.row.tick_size)
    order.order_type = "SL" if is_stop else "LIMIT"
    order.market_protection = 0.0
    order.protected = True
    order.system_tags = [tag for tag in order.system_tags if not tag.startswith(TAG)]
    order.system_tags += [TAG, f"{TAG}:{rate:.2f}"]
