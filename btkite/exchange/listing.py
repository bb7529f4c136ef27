"""One instrument as the market knows it now: its day so far, its place on the path, its open orders."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .clock import SECOND
from .depth import Book, Level, merged
from .instruments import InstrumentRow

if TYPE_CHECKING:
    from .orders import Order
    from .reference import Reference
    from .schedule import Tape

UNLIMITED = 10_000_000  # displayed at the touch: depth is unlimited (docs/fills.md, rule 9)
_NO_LEVEL: Level = (0.0, 0, 0)
_NO_LEVELS = (_NO_LEVEL,) * 4
DEFAULT_BAND = 10.0  # per cent
FAR = math.inf  # an option's band: from one tick up to far away; what binds it is the exchange's range about its trades
_FAR_TIMES = 20  # of an option's reference price, if that is above its strike


class Listing:
    """Prices in rupees, times as moments.

    ``printed`` counts the prints that were reached; an order remembers the count at its arrival and
    meets the next one. ``path`` is where the price is now: the last print or, in the middle of a
    segment, the last event on it. ``shown`` is the price about which the depth is displayed. ``book`` is
    the displayed depth, None if it is unlimited. ``band`` is the day's price range in per cent about the
    reference price, FAR for an option's, None for no limits. ``shift`` is how far our own orders moved the
    price (``impact``), ``lasting`` how far a gap put by hand did.
    ``reference`` is what the exchange's own band lies about, None: the last price.
    ``altered`` holds the prints of those candles that were not played as recorded.
    """

    __slots__ = (
        "altered",
        "ask_offset",
        "band",
        "bid_offset",
        "book",
        "books",
        "by_hand",
        "candle",
        "candle_print",
        "gap",
        "high",
        "key",
        "last",
        "last_quantity",
        "last_us",
        "lasting",
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
        "reference",
        "row",
        "sampled",
        "shift",
        "shown",
        "spread",
        "tape",
        "token",
        "traded_value",
        "volume",
    )

    def __init__(
        self, row: InstrumentRow, tape: Tape | None, spread_ticks: int, band: float | None = DEFAULT_BAND
    ) -> None:
        self.row = row
        self.key = row.key
        self.token = row.instrument_token
        self.tape = tape
        self.ask_offset = round((spread_ticks + 1) // 2 * row.tick_size, 7)
        self.bid_offset = round(spread_ticks // 2 * row.tick_size, 7)
        self.spread = self.ask_offset, self.bid_offset
        self.band = band
        self.reference: Reference | None = None
        self.book: Book | None = None
        self.books = 0
        self.shift = 0.0
        self.lasting = 0.0
        self.shown = 0.0
        self.sampled: list[tuple[float, int]] = []  # what was shown since the last print
        self.gap = False  # prints were dropped: the next one is a jump
        self.altered: dict[int, list[tuple[float, int]]] = {}
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
        self.last = self.path = self.shown = price
        self.last_us = us
        if self.sampled:
            self.sampled = []
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

    def sample(self, us: int, price: float, volume: int, quantity: int, oi: int) -> None:
        """A trade on the way to the next print: shown, but nothing meets it."""
        path, sampled = self.path, [*self.sampled, (price, quantity)]
        self.take_print(us, price, volume, quantity, oi)
        self.path, self.sampled = path, sampled

    def pass_through(self, price: float) -> None:
        """An event in the middle of a segment: the price stands there."""
        self.path = self.shown = price
        self.packets.clear()

    def show(self, book: Book | None) -> None:
        """Another book from here on; a standing one sets the spread."""
        self.book = book
        self.ask_offset, self.bid_offset = self.spread
        if book is not None:
            self.books += 1
            book.number = self.books
            if book.standing:
                ask, bid = book.best(True), book.best(False)
                self.ask_offset = round(ask - book.price, 7) if ask else 0.0
                self.bid_offset = round(book.price - bid, 7) if bid else 0.0
        self.packets.clear()

    @property
    def ask(self) -> float:
        return round(self._about + self.ask_offset, 7) if self._about else 0.0

    @property
    def bid(self) -> float:
        return round(max(self._about - self.bid_offset, 0.0), 7)

    @property
    def _about(self) -> float:
        return self.shown or self.path

    def depth(self) -> tuple[list[Level], list[Level]]:
        """Five bids and five asks, our own resting orders among them.

        Without a displayed depth: one level without limit at the touch, once there is a price.
        """
        book = self.book
        if book is None and not self.orders:  # the usual case, for every packet of every print
            about = self.shown or self.path
            if not about:
                return [_NO_LEVEL] * 5, [_NO_LEVEL] * 5
            ask = round(about + self.ask_offset, 7) if self.ask_offset else about
            bid = round(max(about - self.bid_offset, 0.0), 7) if self.bid_offset else about
            return [(bid, UNLIMITED, 1), *_NO_LEVELS], [(ask, UNLIMITED, 1), *_NO_LEVELS]
        if book is not None:
            moved = book.moved(self._about)
            bids, asks = book.bids.shown(moved), book.asks.shown(moved)
        elif self._about:
            bids, asks = [(self.bid, UNLIMITED, 1)], [(self.ask, UNLIMITED, 1)]
        else:
            bids, asks = [], []
        if self.orders:
            bids, asks = merged(bids, self.orders, True), merged(asks, self.orders, False)
        return (bids + [_NO_LEVEL] * 5)[:5], (asks + [_NO_LEVEL] * 5)[:5]

    def circuit(self) -> tuple[float, float]:
        """Lower and upper limit of the day's prices, on tick; zeros if there is none.

        They stand about the previous close, on the first day of an instrument about its open; before it has
        either there are none.
        """
        reference = self.previous_close or self.open
        if self.band is None or not reference:
            return 0.0, 0.0
        tick = self.row.tick_size
        if self.band == FAR:
            most = max(self.row.strike, _FAR_TIMES * reference)
            return tick, round(round(most / tick) * tick, 7)
        lower = round(reference * (1 - self.band / 100) / tick) * tick
        upper = round(reference * (1 + self.band / 100) / tick) * tick
        return round(lower, 7), round(upper, 7)

    @property
    def last_trade_second(self) -> int:
        return self.last_us - self.last_us % SECOND
