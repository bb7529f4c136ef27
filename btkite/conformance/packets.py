"""Binary frames read from the page https://kite.trade/docs/connect/v3/websocket/, for judging a stream."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_DIVISORS = {3: 1e7, 6: 1e4, 12: 1e4}
"""By the token's lowest byte: CDS, BCD, NCO. All others have paise."""


def packets_of(frame: bytes) -> Iterator[bytes]:
    """The packets of a frame; a heartbeat has none.

    :raises ValueError: if the lengths do not add up to the frame's.
    """
    if len(frame) < 4:
        return
    count, at = struct.unpack_from(">H", frame)[0], 2
    for _ in range(count):
        if at + 2 > len(frame):
            raise ValueError(f"the frame says {count} packets and ends early")
        size = struct.unpack_from(">H", frame, at)[0]
        if at + 2 + size > len(frame):
            raise ValueError(f"a packet of {size} bytes does not fit into its frame")
        yield frame[at + 2 : at + 2 + size]
        at += 2 + size
    if at != len(frame):
        raise ValueError(f"{len(frame) - at} bytes are left over in the frame")


def read(packet: bytes) -> dict[str, Any]:
    """A packet of a tradable instrument (8, 44 or 184 bytes) or of an index (8, 28, 32), in rupees and seconds."""
    token = struct.unpack_from(">I", packet)[0]
    divisor = _DIVISORS.get(token & 0xFF, 100.0)
    figures = struct.unpack_from(f">{min(len(packet), 64) // 4}I", packet)
    tick: dict[str, Any] = {"instrument_token": token, "last_price": figures[1] / divisor}
    if len(packet) in (28, 32):
        high, low, opened, close = (figure / divisor for figure in figures[2:6])
        tick["ohlc"] = {"open": opened, "high": high, "low": low, "close": close}
        if len(packet) == 32:
            tick["timestamp"] = figures[7]
    if len(packet) >= 44:
        opened, high, low, close = (figure / divisor for figure in figures[7:11])
        tick.update(
            last_quantity=figures[2],
            average_price=figures[3] / divisor,
            volume=figures[4],
            buy_quantity=figures[5],
            sell_quantity=figures[6],
            ohlc={"open": opened, "high": high, "low": low, "close": close},
        )
    if len(packet) == 184:
        names = ("last_trade_time", "oi", "oi_day_high", "oi_day_low", "timestamp")
        tick.update(zip(names, figures[11:16], strict=True))
        levels = [struct.unpack_from(">IIHxx", packet, 64 + 12 * number) for number in range(10)]
        rows = [{"price": price / divisor, "quantity": size, "orders": orders} for size, price, orders in levels]
        tick["depth"] = {"buy": rows[:5], "sell": rows[5:]}
    return tick
