"""Which order trades next on a segment of the path. Pure: the rules of docs/fills.md, read for the exchange.

A segment leads from where the price is to the next print. It is a *jump* into the first print of a
candle. Orders that arrived since the last print *meet* the print at its end; all others rest, and trade
where the path reaches them.

With a spread, a buy walks the path of the best ask, a sell that of the best bid, and a stop is triggered
by the last price; so a limit is looked for on the path of the last price shifted by its side's offset.
"""

from __future__ import annotations

from typing import NamedTuple

from .depth import Book, Parts
from .orders import Order


class Segment(NamedTuple):
    """The path from ``start`` to ``end``, walked up to ``at``; ``number`` is the print at its end."""

    start: float
    at: float
    end: float
    jump: bool
    number: int
    us: int


class Event(NamedTuple):
    """What happens next: ``order`` at price ``at`` of the path; it trades at ``price`` unless None.

    ``triggers`` is true if a stop goes off; with ``price`` None it then rests as a limit, otherwise an
    order without a price is one that must not rest (IOC). ``parts`` are its trades where depth is
    displayed, as (quantity, price); None: the whole order trades at ``price``.
    """

    order: Order
    at: float
    triggers: bool
    price: float | None
    parts: Parts | None = None


def next_event(orders: list[Order], segment: Segment, book: int = 0) -> Event | None:
    """The event that the path reaches first; of several at one price, the earliest arrival's.

    ``book`` is the number of the displayed book, if there is one: who used it up waits for the next.
    """
    best: Event | None = None
    best_rank: tuple[float, int] | None = None
    for order in orders:
        if order.works_from > segment.us or (book and order.dry == book):
            continue
        newcomer = order.after >= segment.number
        if newcomer:
            continue  # it arrived after this print was reached
        resting = not segment.jump and order.after < segment.number - 1
        event = _on_path(order, segment) if resting else _meets(order, segment.end)
        if event is None:
            continue
        rank = (abs(event.at - segment.start) if not segment.jump else 0.0, order.arrival)
        if best_rank is None or rank < best_rank:
            best, best_rank = event, rank
    return best


def touch(order: Order, price: float) -> float:
    """What the order pays or gets at once when the last price is ``price``."""
    listing = order.listing
    if order.buys:
        return round(price + listing.ask_offset, 7) if listing.ask_offset else price
    return round(price - listing.bid_offset, 7) if listing.bid_offset else price


def _level(order: Order) -> float:
    """The last price at which the order's limit is touched."""
    listing = order.listing
    if order.buys:
        return round(order.price - listing.ask_offset, 7) if listing.ask_offset else order.price
    return round(order.price + listing.bid_offset, 7) if listing.bid_offset else order.price


def _satisfied(order: Order, price: float) -> bool:
    return price <= _level(order) if order.buys else price >= _level(order)


def _triggered(order: Order, at: float) -> Event:
    if order.order_type == "SL" and not _satisfied(order, at):
        return Event(order, at, True, None)
    return Event(order, at, True, touch(order, at))


def _meets(order: Order, price: float) -> Event | None:
    if order.is_stop:
        reached = price >= order.trigger_price if order.buys else price <= order.trigger_price
        return _triggered(order, price) if reached else None
    if order.order_type in ("MARKET", "SL-M") or _satisfied(order, price):
        return Event(order, price, False, touch(order, price))
    return Event(order, price, False, None) if order.validity == "IOC" else None


def _on_path(order: Order, segment: Segment) -> Event | None:
    """A resting order: where the rest of the segment reaches it."""
    at, end = segment.at, segment.end
    if order.is_stop:
        trigger = order.trigger_price
        reached = at <= trigger <= end if order.buys else end <= trigger <= at
        return _triggered(order, trigger) if reached else _meets(order, end)
    if order.order_type in ("LIMIT", "SL"):
        level = _level(order)
        if end <= level <= at if order.buys else at <= level <= end:
            return Event(order, level, False, order.price)
    return _meets(order, end)


def standing_event(
    orders: list[Order], segment: Segment, book: Book, *, arriving: Order | None = None, stops: bool = True
) -> Event | None:
    """What happens next while ``book`` stands: stops by the path, the others by what it offers, oldest first.

    An order that rested is passed and trades at its own price; one that is ``arriving``, or meets a jump,
    takes the levels at their prices. ``stops`` wait for a print.
    """
    for order in sorted(orders, key=lambda one: one.arrival) if arriving is None else (arriving,):
        if order.works_from > segment.us or order.dry == book.number:
            continue
        if order.is_stop:
            fresh = segment.jump or order.after >= segment.number - 1
            if not stops:
                continue
            event = _meets(order, segment.end) if fresh else _on_path(order, segment)
            if event is not None:
                return event
            continue
        best = book.best(order.buys)
        if best and (order.order_type == "MARKET" or order.order_type == "SL-M" or _inside(order, best)):
            passed = arriving is None and not segment.jump and order.rests
            return Event(order, segment.end, False, order.price if passed else best)
        if order.validity == "IOC":
            return Event(order, segment.end, False, None)
    return None


def _inside(order: Order, price: float) -> bool:
    return price <= order.price if order.buys else price >= order.price


def sized(event: Event, book: Book, beyond: float) -> Event | None:
    """``event`` with the trades that ``book`` has for it; None if there are none and nothing else happens."""
    order = event.order
    if event.price is None:
        return event
    bound = order.price if order.order_type in ("LIMIT", "SL") else 0.0
    own = order.price if bound and not event.triggers and event.price == order.price else 0.0
    left, parts = book.take(order.buys, order.pending_quantity, event.at, bound, own, 0.0 if bound else beyond)
    if left:
        order.dry = book.number
    if parts:
        return event._replace(parts=parts)
    return event._replace(price=None) if event.triggers or order.validity == "IOC" else None
