"""What is known of one order. It only grows, whatever the order, repetition or loss of what Kite says.

Kite tells an order's state as often as it likes: in the reply, on the stream, in a postback, in the order
book, each late, twice or never. Each says how much has filled *in all*, so the greatest such number is the
truth so far, and a fill is what a message adds to it. Trades may tell the same executions once more, one by
one; each trade counts once, and only what neither source had said before is a fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..values import Fill, OrderUpdate, Trade

Weight = tuple[bool, int, datetime, int, str, int, float, float]

_RANKS = {"OPEN": 3, "TRIGGER PENDING": 2}
"""Between two messages of one second that tell the same fills, the later of a life's stages is believed:
in transit (``... PENDING``, ``... RECEIVED``) 1, then these, then all that is not known here 4."""

_DUST = 1e-6
"""₹ that are the remainder of a multiplication, and no money."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The facts of one order.

    ``status`` and ``quantity`` are those of the weightiest message (:func:`weight`). ``filled`` is the most
    that any source told, ``average_price`` the ₹ per unit of all of it. ``trades`` are the trades seen, by
    id. ``booked`` is what the fills given out so far add up to, in ₹ × units.
    """

    order_id: str
    status: str = ""
    quantity: int = 0
    filled: int = 0
    cancelled: int = 0
    average_price: float = 0.0
    terminal: bool = False
    exchange_time: datetime | None = None
    status_message: str = ""
    price: float = 0.0
    trigger_price: float = 0.0
    order_type: str = ""
    trades: tuple[tuple[str, int, float], ...] = ()
    told: tuple[int, float] = (0, 0.0)  # the most that an order message said: filled, average price
    weight: Weight | None = None
    booked: float = field(default=0.0, compare=False)

    @property
    def remaining(self) -> int:
        """Units that may still trade."""
        return 0 if self.terminal else max(0, self.quantity - self.filled)


def apply(
    progress: Progress | None, update: OrderUpdate, now: datetime, trades: Sequence[Trade] = ()
) -> tuple[Progress, Fill | None]:
    """The facts after ``update``, and the fill that it brought to light, if any.

    ``progress`` is None for the first message of an order. ``trades``: those of the order that were read with it,
    which know when it was filled; ``update`` has the time of its last change, which may be a cancellation. ``now``
    (naive IST) dates a fill for which Kite gives no time. A fill told without an average price waits for a message
    that has one. Raises :class:`ValueError` for a message of another order.
    """
    if progress is None:
        progress = Progress(update.order_id)
    elif update.order_id != progress.order_id:
        raise ValueError(f"an update of order {update.order_id} was handed to order {progress.order_id}")
    weight = _weight(update)
    if progress.weight is None or weight > progress.weight:
        progress = replace(
            progress,
            status=update.status,
            quantity=update.quantity,
            cancelled=update.cancelled_quantity,
            terminal=update.terminal,
            exchange_time=update.exchange_time or update.order_time,
            status_message=update.status_message,
            price=update.price,
            trigger_price=update.trigger_price,
            order_type=update.order_type,
            weight=weight,
        )
    if update.average_price > 0 and update.filled_quantity > progress.told[0]:
        progress = replace(progress, told=(update.filled_quantity, update.average_price))
    when = _filled_at(trades, progress.told[0]) or update.exchange_time or update.order_time or now
    return _advance(progress, when, "")


def _filled_at(trades: Iterable[Trade], units: int) -> datetime | None:
    """When the order had traded ``units``; None if its trades do not say."""
    done = 0
    for trade in sorted((one for one in trades if one.time is not None), key=lambda one: one.time or datetime.min):
        done += trade.quantity
        if done >= units:
            return trade.time
    return None


def apply_trade(progress: Progress, trade: Fill) -> tuple[Progress, Fill | None]:
    """The facts after one trade of Kite's trade book, and what of it was not known before, if anything."""
    if any(trade.trade_id == known for known, _, _ in progress.trades):
        return progress, None
    trades = tuple(sorted((*progress.trades, (trade.trade_id, trade.quantity, trade.price))))
    return _advance(replace(progress, trades=trades), trade.time, trade.trade_id)


def _advance(progress: Progress, time: datetime, trade_id: str) -> tuple[Progress, Fill | None]:
    """Take the source that knows of more; the fill is the difference in units and in money."""
    told, average = progress.told
    traded = sum(quantity for _, quantity, _ in progress.trades)
    if traded >= told:
        filled, value = traded, sum(quantity * price for _, quantity, price in progress.trades)
        prices = {price for _, _, price in progress.trades}
        average = prices.pop() if len(prices) == 1 else value / filled if filled else 0.0
    else:
        filled, value = told, told * average
    more = filled - progress.filled
    if not filled:
        return progress, None
    known = replace(progress, filled=filled, average_price=average)
    if not more:
        return known, None
    # A price that is Kite's own figure is taken to the last bit, not multiplied and divided: the first fill's, and
    # those of fills that have all traded at one price.
    even = progress.filled and abs(progress.booked - progress.filled * average) < _DUST
    price = average if even or not progress.filled else (value - progress.booked) / more
    if price <= 0:
        # Averages are rounded, and of two trades the second may be told first: then the difference is no
        # price. What this fill gets wrong is in ``booked``, so the next one puts it right.
        price = value / filled
        value = progress.booked + more * price
    return replace(known, booked=value), Fill(more, price, time, trade_id)


def _weight(update: OrderUpdate) -> Weight:
    """A total order of an order's messages: ended, filled more, later, further on.

    What follows that decides nothing in earnest, but makes the winner the same in whatever order
    messages of one second come.
    """
    status = update.status
    transit = status.endswith((" PENDING", " RECEIVED")) and status not in _RANKS
    return (
        update.terminal,
        update.filled_quantity,
        update.exchange_time or update.order_time or datetime.min,
        1 if transit else _RANKS.get(status, 4),
        status,
        update.quantity,
        update.price,
        update.trigger_price,
    )
