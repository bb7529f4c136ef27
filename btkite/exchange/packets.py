"""Binary frames, byte by byte as https://kite.trade/docs/connect/v3/websocket/ lays them out.

Big endian. ``ltp`` 8 bytes, ``quote`` 44, ``full`` 184; an index has 8, 28 and 32. A frame is a count
of packets, and before each packet its length. A price that does not fit is refused where it enters
the market; one that comes here all the same is an error, never another price.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

from .clock import wire_epoch
from .errors import TooLarge
from .listing import Listing

MODES = ("ltp", "quote", "full")
HEARTBEAT = b"\x00"

_LTP = struct.Struct(">II")
_QUOTE = struct.Struct(">11I")
_FULL = struct.Struct(">16I" + "IIHxx" * 10)
_INDEX_QUOTE = struct.Struct(">6Ii")
_INDEX_FULL = struct.Struct(">6IiI")
_COUNT = struct.Struct(">H")
_LENGTHS = [_COUNT.pack(size) for size in range(256)]
_MOST = 0xFFFF_FFFF
_MOST_ORDERS = 0xFFFF
_PRICES = (1, 3, 7, 8, 9, 10)  # of a packet's head
_NO_LEVEL = (0, 0, 0)
_LOG = logging.getLogger(__name__)
_TOLD: set[str] = set()


def packet(listing: Listing, mode: str) -> bytes:
    """The packet of an instrument as it stands; kept until its next print."""
    found = listing.packets.get(mode)
    if found is None:
        found = listing.packets[mode] = _build(listing, mode)
    return found


def frame(packets: Sequence[bytes]) -> bytes:
    """One frame of any number of packets."""
    parts = [_COUNT.pack(len(packets))]
    for one in packets:
        parts.append(_LENGTHS[len(one)])
        parts.append(one)
    return b"".join(parts)


def _build(listing: Listing, mode: str) -> bytes:
    row = listing.row
    divisor = row.divisor
    last = round(listing.last * divisor)
    if listing.last > row.largest_price:
        raise TooLarge(f"a packet of {listing.key} cannot carry its last price, {listing.last:g}")
    if mode == "ltp":
        return _LTP.pack(listing.token, last)
    day_open, high = round(listing.open * divisor), round(listing.high * divisor)
    low, close = round(listing.low * divisor), round(listing.previous_close * divisor)
    if row.is_index:
        return _index(listing, mode, last, high, low, day_open, close)
    bids, asks = listing.depth()
    buys = sells = 0
    levels: list[int] = []
    for price, quantity, orders in bids:
        buys += quantity
        levels += (quantity, round(price * divisor), orders) if quantity else _NO_LEVEL
    for price, quantity, orders in asks:
        sells += quantity
        levels += (quantity, round(price * divisor), orders) if quantity else _NO_LEVEL
    head = (
        listing.token,
        last,
        listing.last_quantity,
        round(listing.average * divisor),
        listing.volume,
        buys,
        sells,
        day_open,
        high,
        low,
        close,
    )
    traded_at = wire_epoch(listing.last_us)
    try:
        if mode == "quote":
            return _QUOTE.pack(*head)
        return _FULL.pack(*head, traded_at, listing.oi, listing.oi_high, listing.oi_low, traded_at, *levels)
    except struct.error:
        return _counted(listing, mode, head, traded_at, levels)


def _counted(listing: Listing, mode: str, head: tuple[int, ...], traded_at: int, levels: Sequence[int]) -> bytes:
    """The packet with every count that fits no field at the field's end, and a word of it in the log.

    What the account's own orders add up to has no bound; a price never comes here.
    """
    prices = (*(head[at] for at in _PRICES), *levels[1::3])
    if max(prices) > _MOST or min(prices) < 0:
        raise TooLarge(f"a packet of {listing.key} cannot carry one of its prices, last {listing.last:g}")
    if listing.key not in _TOLD:
        _TOLD.add(listing.key)
        _LOG.warning(
            "%s: a quantity is above what Kite's packets hold (%d): they show that (volume %d, oi %d, %d wanted, "
            "%d offered)", listing.key, _MOST, listing.volume, listing.oi, head[5], head[6]
        )  # fmt: skip
    fitted = [min(figure, _MOST) for figure in head]
    if mode == "quote":
        return _QUOTE.pack(*fitted)
    interest = [min(figure, _MOST) for figure in (listing.oi, listing.oi_high, listing.oi_low)]
    fits = [min(figure, _MOST_ORDERS if at % 3 == 2 else _MOST) for at, figure in enumerate(levels)]
    return _FULL.pack(*fitted, traded_at, *interest, traded_at, *fits)


def _index(listing: Listing, mode: str, last: int, high: int, low: int, day_open: int, close: int) -> bytes:
    change = last - close if close else 0
    if mode == "quote":
        return _INDEX_QUOTE.pack(listing.token, last, high, low, day_open, close, change)
    return _INDEX_FULL.pack(listing.token, last, high, low, day_open, close, change, wire_epoch(listing.last_us))
