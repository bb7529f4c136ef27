"""Which of a position's exits stands on the book, as pure functions of prices.

Zerodha takes a second resting exit for a fresh order that needs margin, and both could fill. So one order, the
*carrier*, stands on the book for all exits of a position: for the stop, as long as the price is not within reach
of the target, then for the target, and back when the price has left by more than twice the reach. Which of them it
stands for at a price is :func:`choose`; which of them has traded, by what Kite says the order was, is
:func:`traded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..values import OrderType, OrderUpdate, Side
from .progress import Progress

_STOPS = (OrderType.SL, OrderType.SLM)
_PART = 3
"""A reach is at most this part of the way between stop and target: to leave the target, the price must go twice as
far, and is still this part away from the stop."""
_HAIR = 1e-9


@dataclass(frozen=True, slots=True)
class Exit:
    """One exit of a position as it would go to the market, in Kite's terms: prices in rupees, 0 for none.

    ``reach`` is how near the price must come to a target, in rupees.
    """

    ref: int
    side: Side
    price: float = 0.0
    trigger_price: float = 0.0
    reach: float = 0.0

    @property
    def is_stop(self) -> bool:
        return self.trigger_price > 0

    def tripped(self, last: float) -> bool:
        """Whether the price has reached a stop's trigger: the exchange takes no such stop any more."""
        return bool(self.is_stop and last > 0) and (last - self.trigger_price) * self.side.sign >= 0

    def distance(self, last: float) -> float:
        """How far the price has to go to it, in rupees; below zero beyond it."""
        if self.is_stop:
            return (self.trigger_price - last) * self.side.sign
        return (last - self.price) * self.side.sign


def choose(exits: Sequence[Exit], last: float, carried: int = 0) -> int:
    """The ref of the exit that the carrier is to stand for while the last price is ``last`` rupees (0: not known).

    ``carried`` is the one it stands for now, 0 for none. Of several stops the one nearest to the price stands, and
    the nearest target only where no stop is, or while it is in reach. ``exits`` must not be empty; all of them are of
    one position, so all have the same side.
    """
    stops = [exit for exit in exits if exit.is_stop]
    targets = [exit for exit in exits if not exit.is_stop]
    if not stops or not targets:
        return _nearest(exits).ref
    stop, nearest = _nearest(stops), _nearest(targets)
    if last <= 0:
        return carried if any(exit.ref == carried for exit in targets) else stop.ref
    reach = max(0.0, min(nearest.reach, nearest.distance(stop.trigger_price) / _PART))
    if nearest.ref == carried:
        reach *= 2
    return nearest.ref if nearest.distance(last) <= reach + _HAIR else stop.ref


def traded(exits: Sequence[Exit], carried: int, said: OrderUpdate | Progress, price: float = 0.0) -> int:
    """The ref of the exit that Kite's order stands for by what was ``said`` of it, or, with a ``price``, the one that
    traded at it.

    Kite tells what the order is now; what has traded may be from before its last change, and the price tells: a
    target never trades at less than its limit, and a stop that still waits has not traded.
    """
    stops = [exit for exit in exits if exit.is_stop]
    targets = [exit for exit in exits if not exit.is_stop]
    if not stops or not targets or not said.order_type:
        return carried
    side = stops[0].side
    if said.order_type in _STOPS:
        stop = min(stops, key=lambda exit: abs(exit.trigger_price - said.trigger_price))
        reached = [exit for exit in targets if price > 0 and (exit.price - price) * side.sign >= -_HAIR]
        if reached:
            return min(reached, key=lambda exit: abs(exit.price - price)).ref
        return stop.ref
    if said.order_type == OrderType.LIMIT and said.price > 0:
        if price > 0 and (price - said.price) * side.sign > _HAIR:
            return _nearest(stops).ref
        limits = [exit for exit in exits if exit.price]
        return min(limits, key=lambda exit: abs(exit.price - said.price)).ref
    standing = next((exit for exit in stops if exit.ref == carried), None)
    return (standing or _nearest(stops)).ref


def _nearest(exits: Sequence[Exit]) -> Exit:
    """The one that the price reaches first: of a sell's stops the highest, of its targets the lowest."""
    return min(exits, key=lambda exit: exit.distance(0.0))
