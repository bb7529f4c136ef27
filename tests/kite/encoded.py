"""Ticks as Kite sends them: an encoder of the tests' own, written from the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from btkite.values import Tick


def scale(token: int) -> int:
    return {3: 10_000_000, 6: 10_000, 12: 10_000}.get(token % 256, 100)


def be(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in numbers)


def paise(price: float, token: int) -> int:
    return round(price * scale(token))


def packet(tick: Tick) -> bytes:
    """A tick as Kite sends it."""
    token = tick.instrument_token

    def money(*prices: float) -> bytes:
        return be(*(paise(price, token) for price in prices))

    head = be(token) + money(tick.last_price)
    if tick.mode == "ltp":
        return head
    if token % 256 == 9:
        body = head + money(tick.high, tick.low, tick.open, tick.close) + be(0)
        return body + be(tick.exchange_time) if tick.mode == "full" else body
    body = head + be(tick.last_quantity) + money(tick.average_price)
    body += be(tick.volume, tick.buy_quantity, tick.sell_quantity)
    body += money(tick.open, tick.high, tick.low, tick.close)
    if tick.mode == "quote":
        return body
    body += be(tick.last_trade_time, tick.oi, 0, 0, tick.exchange_time)
    for level in (*tick.bids, *tick.asks):
        body += be(level.quantity) + money(level.price) + level.orders.to_bytes(2, "big") + b"\0\0"
    return body


def frame(packets: Sequence[bytes]) -> bytes:
    parts = [len(packets).to_bytes(2, "big")]
    for one in packets:
        parts += [len(one).to_bytes(2, "big"), one]
    return b"".join(parts)
