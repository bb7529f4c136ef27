"""What a feed carries: its instrument, the symbol to print, the lot. For any backtrader feed.

A btkite feed has an ``instrument``; a plain ``PandasData`` has only a name and trades in lots of 1.
"""

from __future__ import annotations

from typing import Any

from .values import Instrument


def instrument_of(feed: Any) -> Instrument | None:
    """The feed's instrument, also through the clone that ``resampledata`` makes; else None."""
    found = getattr(feed, "instrument", None)
    if found is None and getattr(feed, "_clone", False):
        return instrument_of(feed.data)
    return found


def symbol_of(feed: Any) -> str:
    """``EXCHANGE:TRADINGSYMBOL`` if known, else the name that the feed was given."""
    instrument = instrument_of(feed)
    return instrument.key if instrument is not None else str(feed._name or "")


def symbol_traded(order: Any) -> str:
    """What an order is of: of a slot, the instrument that it was bound to when the order was given."""
    slot = getattr(order.data.p, "slot", False)
    return str(order.info.get("instrument")) if slot else symbol_of(order.data)


def was_held(order: Any) -> bool:
    """Whether this is no order but a position from before the run, which backtrader is told of as one: nobody gave it
    in this run, and when it was filled is not known."""
    return bool(order.p.simulated and order.info.get("adopted"))


def lot_size(feed: Any, default: int = 1) -> int:
    """Units in one lot of what this feed carries; ``default`` if it does not say."""
    instrument = instrument_of(feed)
    return max(1, int(instrument.lot_size)) if instrument is not None else default
