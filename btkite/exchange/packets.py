"""Binary frames, byte by byte as https://kite.trade/docs/connect/v3/websocket/ lays them out.

Big endian. ``ltp`` 8 bytes, ``quote`` 44, ``full`` 184; an index has 8, 28 and 32. A frame is a count
of packets, and before each packet its length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from .clock import wire_epoch
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
_MAX = 0xFFFF_FFFF
_MAX_ORDERS = 0xFFFF
_NO_LEVEL = (0, 0, 0)


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
    except struct.error:  # a figure that four bytes do not hold: the largest that they do
        capped = [min(figure, _MAX) for figure in head]
        if mode == "quote":
            return _QUOTE.pack(*capped)
        interest = [min(figure, _MAX) for figure in (listing.oi, listing.oi_high, listing.oi_low)]
        levels = [min(figure, _MAX_ORDERS if at % 3 == 2 else _MAX) for at, figure in enumerate(levels)]
        return _FULL.pack(*capped, traded_at, *interest, traded_at, *levels)


def _index(listing: Listing, mode: str, last: int, high: int, low: int, day_open: int, close: int) -> bytes:
    change = last - close if close else 0
    if mode == "quote":
        return _INDEX_QUOTE.pack(listing.token, last, high, low, day_open, close, change)
    return _INDEX_FULL.pack(listing.token, last, high, low, day_open, close, change, wire_epoch(listing.last_us))
