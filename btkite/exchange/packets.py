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
_MAX = 0xFFFF_FFFF
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
        parts.append(_COUNT.pack(len(one)))
        parts.append(one)
    return b"".join(parts)


def _build(listing: Listing, mode: str) -> bytes:
    divisor = listing.row.divisor
    last = round(listing.last * divisor)
    if mode == "ltp":
        return _LTP.pack(listing.token, last)
    prices = [round(price * divisor) for price in (listing.open, listing.high, listing.low, listing.previous_close)]
    if listing.row.is_index:
        return _index(listing, mode, last, prices)
    bids, asks = listing.depth()
    head = (
        listing.token,
        last,
        min(listing.last_quantity, _MAX),
        round(listing.average * divisor),
        min(listing.volume, _MAX),
        min(sum([level[1] for level in bids]), _MAX),
        min(sum([level[1] for level in asks]), _MAX),
        *prices,
    )
    if mode == "quote":
        return _QUOTE.pack(*head)
    traded_at = wire_epoch(listing.last_us)
    depth: list[int] = []
    for price, quantity, orders in (*bids, *asks):
        depth += (quantity, round(price * divisor), orders) if quantity else _NO_LEVEL
    return _FULL.pack(*head, traded_at, listing.oi, listing.oi_high, listing.oi_low, traded_at, *depth)


def _index(listing: Listing, mode: str, last: int, prices: list[int]) -> bytes:
    day_open, high, low, close = prices
    change = last - close if close else 0
    if mode == "quote":
        return _INDEX_QUOTE.pack(listing.token, last, high, low, day_open, close, change)
    return _INDEX_FULL.pack(listing.token, last, high, low, day_open, close, change, wire_epoch(listing.last_us))
