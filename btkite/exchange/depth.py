"""The displayed book: up to five levels a side around a price, less what our orders took from it.

Without a setting the depth is unlimited and there is no book (docs/fills.md, rule 9). With one, each print
brings a book of its shape, an order takes level by level, and no unit is sold twice before the next print.
Between two prints the book of the second one moves along the path. A *standing* book (put by hand, or
recorded with a tick) stays where it is, and an order that crosses it trades at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import BadSettings

if TYPE_CHECKING:
    from .instruments import InstrumentRow
    from .orders import Order
    from .settings import ExchangeSettings

UNLIMITED_DEPTH = "unlimited"
SEEDED_DEPTH = "seeded"
LEVELS = 5
BEYOND = ("wait", "walk")
_WORTH = 200_000.0  # rupees that a seeded level shows on average
_MASK = 0xFFFF_FFFF_FFFF_FFFF

Level = tuple[float, int, int]  # price in rupees, quantity, orders
Parts = tuple[tuple[int, float], ...]  # (quantity, price) of each trade


class Side:
    """One side: its levels, best first; ``edge`` and ``deep`` are price and quantity of its last one."""

    __slots__ = ("deep", "edge", "levels")

    def __init__(self, levels: Sequence[Level]) -> None:
        self.levels: list[Level] = [level for level in levels if level[0] > 0 and level[1] > 0]
        self.edge, self.deep, _ = self.levels[-1] if self.levels else (0.0, 0, 0)

    def shown(self, moved: float) -> list[Level]:
        """What is left, ``moved`` rupees along the path."""
        return [
            (round(price + moved, 7) if moved else price, quantity, orders) for price, quantity, orders in self.levels
        ]


@dataclass(slots=True)
class Book:
    """Both sides as they stand around ``price``; ``number`` tells one book of an instrument from the next."""

    price: float
    bids: Side
    asks: Side
    standing: bool = False
    number: int = 0

    def best(self, buys: bool) -> float:
        """The price at which an order would trade first; 0 if nobody stands there."""
        levels = (self.asks if buys else self.bids).levels
        return levels[0][0] if levels else 0.0

    def moved(self, at: float) -> float:
        """How far along the path the book lies when the price is ``at``."""
        return 0.0 if self.standing else at - self.price

    def take(
        self, buys: bool, quantity: int, at: float, bound: float, own: float = 0.0, beyond: float = 0.0
    ) -> tuple[int, Parts]:
        """What ``quantity`` gets when the price is ``at``: what is left over, and (quantity, price) of each trade.

        ``bound`` is the worst price that will do (0: any). ``own`` is the price of a limit order that rested
        and was passed: it trades there with those who stand inside it. ``beyond`` above zero: past the last
        level the book goes on in steps of that many rupees, each as deep as the last level.
        """
        side = self.asks if buys else self.bids
        moved = 0.0 if own else self.moved(at)
        parts: list[tuple[int, float]] = []
        left: list[Level] = []
        for price, shown, orders in side.levels:
            there = round(price + moved, 7) if moved else price
            taken = 0 if bound and (there > bound if buys else there < bound) else min(quantity, shown)
            if taken:
                quantity -= taken
                parts.append((taken, own or there))
            if shown > taken:
                left.append((price, shown - taken, orders))
        side.levels = left
        while beyond and quantity and side.deep and not left:
            price = round(side.edge + beyond if buys else side.edge - beyond, 7)
            there = round(price + moved, 7) if moved else price
            if there <= 0 or (bound and (there > bound if buys else there < bound)):
                break
            side.edge = price
            taken = min(quantity, side.deep)
            quantity -= taken
            parts.append((taken, there))
        return quantity, _joined(parts)


def _joined(parts: list[tuple[int, float]]) -> Parts:
    """Trades at one price are one trade."""
    joined: list[tuple[int, float]] = []
    for quantity, price in parts:
        if joined and joined[-1][1] == price:
            joined[-1] = (joined[-1][0] + quantity, price)
        elif quantity:
            joined.append((quantity, price))
    return tuple(joined)


def _mixed(number: int) -> int:
    """A well mixed 64-bit number (splitmix64), the same on every machine."""
    number = (number + 0x9E37_79B9_7F4A_7C15) & _MASK
    number = ((number ^ number >> 30) * 0xBF58_476D_1CE4_E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D0_49BB_1331_11EB) & _MASK
    return number ^ number >> 31


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is displayed on each level: the same ``quantities`` always, or drawn from ``seed`` if empty."""

    quantities: tuple[int, ...]
    seed: int = 0

    def book(self, row: InstrumentRow, price: float, ask: float, bid: float, number: int) -> Book:
        """The book of the print with this ``number``, whose touch is ``bid`` and ``ask``."""
        tick, lot = row.tick_size, row.lot_size
        drawn = (
            _mixed(self.seed << 48 ^ row.instrument_token << 24 ^ number) if not self.quantities else 0
        )  # fifty bits: five for each level
        asks: list[Level] = []
        bids: list[Level] = []
        for index in range(len(self.quantities) or LEVELS):
            if self.quantities:
                for_bid = for_ask = self.quantities[index]
                bid_orders = ask_orders = 1
            else:
                bits = drawn >> (10 * index)
                for_bid = int(_WORTH / price * (1 + (bits & 31)) / 16) if price else 1
                for_ask = int(_WORTH / price * (1 + (bits >> 5 & 31)) / 16) if price else 1
                bid_orders, ask_orders = 1 + (bits & 7), 1 + (bits >> 5 & 7)
            step = index * tick
            asks.append((round(ask + step, 7), -(-max(for_ask, 1) // lot) * lot, ask_orders))
            bids.append((round(bid - step, 7), -(-max(for_bid, 1) // lot) * lot, bid_orders))
        return Book(price, Side(bids), Side(asks))


def shape_of(settings: ExchangeSettings) -> Shape | None:
    """The depth that the settings ask for; None: unlimited. Raises BadSettings."""
    wanted = settings.depth
    if wanted is None or wanted == UNLIMITED_DEPTH:
        return None
    if wanted == SEEDED_DEPTH:
        return Shape((), (settings.seed or 0) + 1)
    if isinstance(wanted, (bool, str)):
        raise BadSettings(f"depth {wanted!r}: give 'unlimited', 'seeded', a quantity or up to five quantities")
    quantities = (wanted,) * LEVELS if isinstance(wanted, int) else tuple(wanted)
    if not 1 <= len(quantities) <= LEVELS or any(one < 1 for one in quantities):
        raise BadSettings("depth: give one to five quantities, each above zero")
    return Shape(quantities)


def put_side(levels: Sequence[Sequence[float]], buys: bool, decimals: int) -> Side:
    """A side put by hand or recorded: ``[price, quantity(, orders)]`` each, in any order; best first."""
    clean: list[Level] = []
    for level in levels:
        if not 2 <= len(level) <= 3 or level[0] < 0 or level[1] < 0:
            raise BadSettings("a level of the depth is [price, quantity] or [price, quantity, orders]")
        clean.append((round(float(level[0]), decimals), int(level[1]), int(level[2]) if len(level) > 2 else 1))
    clean.sort(key=lambda level: -level[0] if buys else level[0])
    return Side(clean)


def merged(levels: list[Level], orders: Sequence[Order], buys: bool) -> list[Level]:
    """A side with the user's own resting limit orders among it, best five."""
    by_price = {price: (quantity, count) for price, quantity, count in levels}
    for order in orders:
        if order.buys is buys and order.rests:
            shown = min(order.disclosed_quantity or order.pending_quantity, order.pending_quantity)
            quantity, count = by_price.get(order.price, (0, 0))
            by_price[order.price] = (quantity + shown, count + 1)
    best = sorted(by_price, reverse=buys)[:LEVELS]
    return [(price, *by_price[price]) for price in best]
