"""One instrument as the market knows it now: its day so far, its place on the path, its open orders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clock import SECOND
from .instruments import InstrumentRow

if TYPE_CHECKING:
    from .orders import Order
    from .schedule import Tape

UNLIMITED = 10_000_000  # displayed at the touch: depth is unlimited (docs/fills.md, rule 9)
_NO_LEVEL = (0.0, 0, 0)
Level = tuple[float, int, int]  # price, quantity, orders


class Listing:
    """Prices in rupees, times as moments.

    ``printed`` counts the prints that were reached; an order remembers the count at its arrival and
    meets the next one. ``path`` is where the price is now: the last print or, in the middle of a
    segment, the last event on it.
    """

    __slots__ = (
        "ask_offset",
        "bid_offset",
        "by_hand",
        "candle",
        "candle_print",
        "high",
        "key",
        "last",
        "last_quantity",
        "last_us",
        "low",
        "oi",
        "oi_high",
        "oi_low",
        "open",
        "orders",
        "packets",
        "path",
        "previous_close",
        "printed",
        "row",
        "tape",
        "token",
        "traded_value",
        "volume",
    )

    def __init__(self, row: InstrumentRow, tape: Tape | None, spread_ticks: int) -> None:
        self.row = row
        self.key = row.key
        self.token = row.instrument_token
        self.tape = tape
        self.ask_offset = round((spread_ticks + 1) // 2 * row.tick_size, 7)
        self.bid_offset = round(spread_ticks // 2 * row.tick_size, 7)
        self.last = 0.0
        self.last_us = 0
        self.path = 0.0
        self.printed = 0
        self.candle = -1
        self.candle_print = -1
        self.orders: list[Order] = []
        self.packets: dict[str, bytes] = {}
        self.previous_close = 0.0
        self.start_day(0.0)

    def start_day(self, previous_close: float) -> None:
        """A new trading day: nothing traded yet."""
        self.previous_close = previous_close
        self.open = self.high = self.low = 0.0
        self.volume = self.by_hand = 0  # of the volume, what was put by hand
        self.traded_value = 0.0
        self.last_quantity = 0
        self.oi = self.oi_high = self.oi_low = 0
        self.packets.clear()

    def take_print(self, us: int, price: float, volume: int, quantity: int, oi: int) -> None:
        """A trade happened: the day's figures follow."""
        if self.open == 0.0:
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.last = self.path = price
        self.last_us = us
        self.volume = volume
        self.traded_value += price * quantity
        self.last_quantity = quantity
        if oi:
            self.oi = oi
            self.oi_high = max(self.oi_high, oi)
            self.oi_low = min(self.oi_low or oi, oi)
        if self.packets:
            self.packets.clear()

    @property
    def average(self) -> float:
        """Average traded price of the day, rupees."""
        return self.traded_value / self.volume if self.volume else self.last if self.open else 0.0

    @property
    def ask(self) -> float:
        return round(self.path + self.ask_offset, 7) if self.path else 0.0

    @property
    def bid(self) -> float:
        return round(max(self.path - self.bid_offset, 0.0), 7)

    def depth(self) -> tuple[list[Level], list[Level]]:
        """Five bids and five asks: one level without limit at the touch, once there is a price."""
        if not self.path:
            return [_NO_LEVEL] * 5, [_NO_LEVEL] * 5
        return (
            [(self.bid, UNLIMITED, 1), *[_NO_LEVEL] * 4],
            [(self.ask, UNLIMITED, 1), *[_NO_LEVEL] * 4],
        )

    def circuit(self) -> tuple[float, float]:
        """Lower and upper limit of the day's prices: ten per cent about the previous close, on tick."""
        tick = self.row.tick_size
        reference = self.previous_close or self.last
        lower, upper = round(reference * 0.9 / tick) * tick, round(reference * 1.1 / tick) * tick
        return round(lower, 7), round(upper, 7)

    @property
    def last_trade_second(self) -> int:
        return self.last_us - self.last_us % SECOND
