"""Which order trades where, at a print or between two: the fill conventions of docs/fills.md.

Pure and small on purpose. A *print* is a price that was really seen; between two prints of one candle
the price moves continuously, into a candle it jumps. The caller walks the prints, asks for one event
at a time and carries it out, because after every event the strategy may answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ..values import OrderType


class Quote(NamedTuple):
    """A print: the last price and the touch on both sides, in rupees. Without a spread all are equal."""

    last: float
    bid: float
    ask: float

    @classmethod
    def at(cls, price: float) -> Quote:
        return cls(price, price, price)


@dataclass(slots=True)
class Working:
    """What matching must know of one order that is in the market.

    ``sign`` is +1 for a buy, -1 for a sell. ``met`` is the number of the instrument's last print that
    the order can not trade at, because it arrived after it. ``arrival`` orders equals. ``ioc``: what does not
    trade at the first print that it meets as a market order or a limit is over there.
    """

    ref: int
    sign: int
    order_type: OrderType
    price: float
    trigger: float
    arrival: int
    met: int
    triggered: bool = False
    ioc: bool = False


class Event(NamedTuple):
    """The next thing that happens: ``working`` trades at ``price``, or (not ``trades``) its stop is
    triggered and it rests as a limit, or, if it must not rest (``ioc``), it is over. ``where`` is the
    quote at that point of the path, ``on_print`` whether that point is the print itself."""

    working: Working
    price: float
    trades: bool
    where: Quote
    on_print: bool


def prints(open_: float, high: float, low: float, close: float) -> tuple[float, float, float, float]:
    """The four prints of a candle, in the order in which they happen."""
    if close >= open_:
        return open_, low, high, close
    return open_, high, low, close


def print_times(start: int, end: int) -> tuple[int, int, int, int]:
    """When a candle from ``start`` to ``end`` (epoch seconds) prints."""
    span = end - start
    return start, start + span // 3, start + 2 * span // 3, max(start, end - 1)


def next_event(orders: Iterable[Working], before: Quote | None, now: Quote, number: int) -> Event | None:
    """The first event on the way from ``before`` to the print ``now``, which has this ``number``.

    ``before`` is None where the price jumps. Only orders whose ``met`` lies before this print take
    part: one that arrived since the last print meets ``now`` itself, an older one is walked.
    """
    best: Event | None = None
    best_key: tuple[float, int] = (2.0, 0)
    for working in orders:
        if working.met >= number:
            continue
        if before is None or working.met == number - 1:
            found = _meet(working, now)
            if found is None:
                continue
            far, event = 1.0, Event(working, found[0], found[1], now, True)
        else:
            walked = _walk(working, before, now)
            if walked is None:
                continue
            far, event = walked
        if (far, working.arrival) < best_key:
            best, best_key = event, (far, working.arrival)
    return best


def _is_limit(working: Working) -> bool:
    return working.order_type is OrderType.LIMIT or (working.order_type is OrderType.SL and working.triggered)


def _meet(working: Working, quote: Quote) -> tuple[float, bool] | None:
    """Price and whether it trades, if ``working`` meets ``quote`` as an open; None if nothing happens."""
    touch = quote.ask if working.sign > 0 else quote.bid
    if working.order_type is OrderType.MARKET:
        return touch, True
    if _is_limit(working):
        trades = _satisfies(working, touch)
        return (touch, trades) if trades or working.ioc else None
    if (quote.last - working.trigger) * working.sign < 0:
        return None
    return _triggered_at(working, touch)


def _satisfies(working: Working, touch: float) -> bool:
    return touch <= working.price if working.sign > 0 else touch >= working.price


def _triggered_at(working: Working, touch: float) -> tuple[float, bool]:
    """A stop becomes a market order, a stop-limit a limit that trades at once if it can."""
    return touch, working.order_type is OrderType.SLM or _satisfies(working, touch)


def _walk(working: Working, before: Quote, now: Quote) -> tuple[float, Event] | None:
    """How far along the way (0 to 1) something happens to a resting order, and what."""
    if _is_limit(working):
        a, b = (before.ask, now.ask) if working.sign > 0 else (before.bid, now.bid)
        level, wanted = working.price, -working.sign  # a buy is reached from above
    else:
        a, b = before.last, now.last
        level, wanted = working.trigger, working.sign
    if (a - level) * wanted >= 0:  # it is there already: a tie with an event at this very price
        far, level = (1.0 if a == b else 0.0), a
    elif (b - level) * wanted >= 0:
        far = (level - a) / (b - a)
    else:
        return None
    where = now if far == 1.0 else _between(before, now, far, level, limit=_is_limit(working), sign=working.sign)
    if _is_limit(working):
        return far, Event(working, level, True, where, far == 1.0)
    price, trades = _triggered_at(working, where.ask if working.sign > 0 else where.bid)
    return far, Event(working, price, trades, where, far == 1.0)


def _between(before: Quote, now: Quote, far: float, level: float, *, limit: bool, sign: int) -> Quote:
    """The quote at a point of the way; exact at the price that is known exactly."""
    if before.bid == before.ask == before.last and now.bid == now.ask == now.last:
        return Quote.at(level)
    last, bid, ask = (a + (b - a) * far for a, b in zip(before, now, strict=True))
    if not limit:
        last = level
    elif sign > 0:
        ask = level
    else:
        bid = level
    return Quote(last, bid, ask)
