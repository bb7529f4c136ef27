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

    ``reach`` is how near the price must come to a target, in rupees. ``gone_off``: the stop was triggered, and is a
    market order or a limit by now.
    """

    ref: int
    side: Side
    price: float = 0.0
    trigger_price: float = 0.0
    reach: float = 0.0
    gone_off: bool = False

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

    def away(self, limit: float) -> float:
        """How far Kite's limit order at ``limit`` is from being this one, in rupees. A stop that has gone off is a
        limit beyond its trigger, as far as Kite's protection of market orders, or our own widening, goes."""
        if self.is_stop:
            beyond = (limit - self.trigger_price) * self.side.sign >= -_HAIR
            return 0.0 if beyond else abs(limit - (self.price or self.trigger_price))
        return abs(limit - self.price)


def choose(exits: Sequence[Exit], last: float, carried: int = 0) -> int:
    """The ref of the exit that the carrier is to stand for while the last price is ``last`` rupees (0: nobody knows, or
    what is known is not to be trusted).

    ``carried`` is the one it stands for now, 0 for none. A stop that has gone off goes on. Of several stops the one
    nearest to the price stands, and the nearest target only where no stop is, or while it is seen to be in reach: who
    does not see the price stands at the stop. ``exits`` must not be empty; all of them are of one position, so all
    have the same side.
    """
    stops = [exit for exit in exits if exit.is_stop]
    targets = [exit for exit in exits if not exit.is_stop]
    if not stops or not targets:
        return _nearest(exits).ref
    stop, nearest = _nearest([exit for exit in stops if exit.gone_off] or stops), _nearest(targets)
    if last <= 0 or stop.gone_off:
        return stop.ref
    reach = max(0.0, min(nearest.reach, nearest.distance(stop.trigger_price) / _PART))
    if nearest.ref == carried:
        reach *= 2
    return nearest.ref if nearest.distance(last) <= reach + _HAIR else stop.ref


def traded(exits: Sequence[Exit], carried: int, said: OrderUpdate | Progress, price: float = 0.0) -> int:
    """The ref of the exit that Kite's order stands for by what was ``said`` of it, or, with a ``price``, the one that
    traded at it.

    Kite tells what the order is now; what has traded may be from before its last change, and the price tells: a
    target never trades at less than its limit, and a stop that still waits has not traded. A stop that has gone off is
    told as LIMIT, at its own limit or at the one that protects a market order: so a LIMIT that would sell for less
    than any target is the stop's.
    """
    stops = [exit for exit in exits if exit.is_stop]
    targets = [exit for exit in exits if not exit.is_stop]
    if not stops or not targets or not said.order_type:
        return carried
    if said.order_type in _STOPS:
        stop = min(stops, key=lambda exit: abs(exit.trigger_price - said.trigger_price))
        return _reached(targets, price) or stop.ref
    if said.order_type == OrderType.LIMIT and said.price > 0:
        found = _limit_of(stops, targets, carried, said.price)
        if not found.is_stop:
            worse = price > 0 and (price - said.price) * found.side.sign > _HAIR
            return _stop_of(stops, carried).ref if worse else found.ref
        return (0 if found.price else _reached(targets, price)) or found.ref
    return _stop_of(stops, carried).ref


def gone_off(stop: Exit, said: OrderUpdate | Progress) -> bool:
    """Whether Kite's order, which stands for ``stop``, waits for its trigger no more."""
    if said.order_type == OrderType.LIMIT:
        return said.price > 0 and (said.price - stop.trigger_price) * stop.side.sign >= -_HAIR
    return said.order_type == OrderType.MARKET or (said.order_type in _STOPS and said.status == "OPEN")


def _limit_of(stops: Sequence[Exit], targets: Sequence[Exit], carried: int, limit: float) -> Exit:
    """Whose a LIMIT of Kite's is. Between trigger and target it is a target's that has been moved since, unless the
    stop is known to have gone off: then the price has come back in the moment in which it was sent."""
    stop, target = _stop_of(stops, carried), min(targets, key=lambda exit: exit.away(limit))
    if target.away(limit) <= _HAIR:
        return target
    if any(exit.away(limit) <= _HAIR for exit in stops):
        return next((exit for exit in (stop, *stops) if abs(exit.price - limit) <= _HAIR), stop)
    less = (limit - target.price) * target.side.sign > 0
    return stop if less and (stop.gone_off or (stop.price and stop.away(limit) < target.away(limit))) else target


def _reached(targets: Sequence[Exit], price: float) -> int:
    """The ref of the target whose price this is, or better; 0 if it is no target's."""
    reached = [exit for exit in targets if price > 0 and (exit.price - price) * exit.side.sign >= -_HAIR]
    return min(reached, key=lambda exit: abs(exit.price - price)).ref if reached else 0


def _stop_of(stops: Sequence[Exit], carried: int) -> Exit:
    """The stop that stands, or would: one that has gone off, the carried one, the nearest."""
    named = [exit for exit in stops if exit.gone_off] or [exit for exit in stops if exit.ref == carried]
    return _nearest(named or stops)


def _nearest(exits: Sequence[Exit]) -> Exit:
    """The one that the price reaches first: of a sell's stops the highest, of its targets the lowest."""
    return min(exits, key=lambda exit: exit.distance(0.0))
