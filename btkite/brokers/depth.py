"""What an order gets of the depth that a tick shows: level by level, and no unit twice."""

from __future__ import annotations

from collections.abc import Sequence

from ..market.matching import Event, Working
from ..values import Level, OrderType

Side = list[Level] | None
"""One side of the book as shown, less what we took of it; None if the tick came without depth."""


def sides(bids: Sequence[Level], asks: Sequence[Level]) -> tuple[Side, Side]:
    """Both sides of a tick. Depth on one side only is depth: at a circuit limit nobody stands on the other."""
    shown = [level for level in bids if level.price], [level for level in asks if level.price]
    return shown if shown[0] or shown[1] else (None, None)


def take(side: Side, working: Working, event: Event, quantity: int) -> list[tuple[int, float]]:
    """(units, ₹) of each execution of ``quantity``: whole without depth, else down the levels of ``side``.

    What is taken is gone from ``side``. A market order pays each level. A limit that rests and is passed
    trades at its own price, with those who stand inside it; a stop that is triggered on the way meets a
    book of the same shape there.
    """
    if side is None:
        return [(quantity, event.price)]
    resting = working.order_type is OrderType.LIMIT or working.triggered
    moved = 0.0 if event.on_print or resting or not side else event.price - side[0].price
    parts: list[tuple[int, float]] = []
    for number, level in enumerate(side):
        price = round(level.price + moved, 4) if moved else level.price
        if not quantity or (working.price and (price - working.price) * working.sign > 0):
            break
        taken = min(quantity, level.quantity)
        if taken:
            parts.append((taken, event.price if resting and not event.on_print else price))
            side[number] = level._replace(quantity=level.quantity - taken)
            quantity -= taken
    return parts


def slipped(working: Working, price: float, slippage: float) -> float:
    """``price`` worse by ``slippage`` ₹ for what trades at the market, never beyond an order's own limit."""
    if not slippage or working.order_type is OrderType.LIMIT or working.triggered:
        return price
    worse = round(price + working.sign * slippage, 4)
    if not working.price:
        return worse
    return min(worse, working.price) if working.sign > 0 else max(worse, working.price)
