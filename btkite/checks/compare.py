"""A day that was interrupted against the same day that was not: nothing twice, nothing lost, and then the same.

:func:`broken` is about safety and holds always; :func:`differences` about what the strategy has and does, once it
has recovered. The judge of the first is the exchange's book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .lives import Day

_PAISA = 0.01
LASTING = ("position", "orders", "value", "worst")
"""What of a bar must be equal. ``worst``: how long and how short each position may become, by the risk ledger."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing that is not as in the uninterrupted day; ``at`` None: it is about the whole day."""

    at: datetime | None
    what: str
    uninterrupted: str
    restarted: str

    def __str__(self) -> str:
        when = "at the end" if self.at is None else f"{self.at:%H:%M}"
        return f"{when}, {self.what}: {self.uninterrupted} without the kill, {self.restarted} with it"


def broken(day: Day) -> Iterator[str]:
    """Promises that this day breaks, each as a sentence."""
    tags = Counter(str(order["tag"]) for order in day.orders if order.get("tag"))
    for tag, count in sorted(tags.items()):
        if count > 1:
            yield f"{count} orders of the tag {tag} are in the exchange's book"
    for order in day.orders:
        if str(order.get("tag") or "") not in day.intents:
            yield f"the order {order['order_id']} is in the exchange's book, and the journal announced none of its tag"
    for key, count in Counter((line["ref"], line["filled"]) for line in _ends(day, "Completed")).items():
        if count > 1:
            yield f"the strategy was told {count} times that order {key[0]} is completed"
    for at, count in Counter(str(bar["at"]) for bar in day.bars).items():
        if count > 1:
            yield f"next() was called {count} times for the bar of {at}"
    held = {key: size for key, (size, _) in day.end.get("position", {}).items()}
    real = {f"{row['exchange']}:{row['tradingsymbol']}": row["quantity"] for row in day.positions if row["quantity"]}
    if held != real:
        yield f"the strategy holds {held or 'nothing'} at the end, and the account {real or 'nothing'}"


def _ends(day: Day, status: str) -> Iterator[Mapping[str, Any]]:
    return (line for line in day.told if line["status"] == status and not _of_a_position(line))


def _of_a_position(line: Mapping[str, Any]) -> bool:
    """A position of the last run comes back as a completed order that nobody gave."""
    return bool(line["adopted"]) and line["status"] == "Completed" and not line["given"]


def differences(whole: Day, day: Day, *, within: int) -> Iterator[Difference]:
    """What is not as in ``whole``, but for ``within`` bars after each death."""
    bars = {str(bar["at"]): bar for bar in day.bars}
    spared = recovering(whole, day, within)
    for bar in whole.bars:
        at = datetime.fromisoformat(bar["at"])
        if at in spared:
            continue
        other = bars.get(bar["at"])
        if other is None:
            yield Difference(at, "next()", "called", "not called")
            continue
        for name in LASTING:
            if bar[name] != other[name]:
                yield Difference(at, name, _said(bar[name]), _said(other[name]))
    yield from _trades(whole, day, spared)
    yield from _at_the_end(whole, day)


def _trades(whole: Day, day: Day, spared: Collection[datetime]) -> Iterator[Difference]:
    """The strategy's own trades, with their profit: none too many, and of those that closed outside the recovery none
    too few. A trade of which a part was closed before a death goes on with the rest."""
    wanted, found = ([_Trade.of(one, row) for row in one.closed] for one in (whole, day))
    for trade in wanted:
        twin = next((one for one in found if one.is_as(trade, loose=_begun(whole, day, trade))), None)
        if twin is not None:
            found.remove(twin)
        elif trade.ends_in not in spared:
            yield Difference(trade.ends_in, "trade closed", str(trade), "none of the kind")
    for trade in found:
        yield Difference(trade.ends_in, "trade closed", "none of the kind", str(trade))


@dataclass(frozen=True, slots=True)
class _Trade:
    key: str
    long: bool
    opened: datetime | None
    closed: datetime
    ends_in: datetime
    """The end of the bar in which it closed: backtrader gives it the time of the bar before."""
    pnl: float

    @classmethod
    def of(cls, day: Day, row: Mapping[str, Any]) -> _Trade:
        closed = datetime.fromisoformat(row["closed"])
        ends = (datetime.fromisoformat(bar["at"]) for bar in day.bars)
        bar = min((end for end in ends if end > closed), default=closed)
        opened = datetime.fromisoformat(row["opened"]) if row["opened"] else None
        return cls(row["key"], row["long"], opened, closed, bar, row["pnl"])

    def is_as(self, other: _Trade, *, loose: bool) -> bool:
        same = (self.key, self.long) == (other.key, other.long)
        return same and (loose or abs(self.pnl - other.pnl) < _PAISA)

    def __str__(self) -> str:
        return f"{'long' if self.long else 'short'} {self.key} with ₹{self.pnl:,.2f}"


def _begun(whole: Day, day: Day, trade: _Trade) -> bool:
    """Whether a part of it had been closed when a life ended."""
    opened, closing = trade.opened or trade.closed, "SELL" if trade.long else "BUY"
    parts = [
        datetime.fromisoformat(row["fill_timestamp"]).replace(tzinfo=None)
        for row in whole.trades
        if f"{row['exchange']}:{row['tradingsymbol']}" == trade.key and row["transaction_type"] == closing
    ]
    return any(opened < part <= death.at < trade.closed for part in parts for death in day.deaths)


def _at_the_end(whole: Day, day: Day) -> Iterator[Difference]:
    """The exchange's own book: the same orders, traded alike, none of them placed again."""
    placed, again = (Counter(map(_placed, one.orders)) for one in (whole, day))
    if placed != again:
        yield Difference(None, "orders placed", _counted(placed - again), _counted(again - placed))
    wanted, found = (Counter(map(_traded, filter(_fills, one.orders))) for one in (whole, day))
    if wanted != found:
        yield Difference(None, "executions", _counted(wanted - found), _counted(found - wanted))
    working = [[_row(order) for order in one.orders if order["status"] not in _OVER] for one in (whole, day)]
    if sorted(working[0]) != sorted(working[1]):
        yield Difference(None, "working orders", _said(working[0]), _said(working[1]))


_OVER = ("COMPLETE", "CANCELLED", "REJECTED")


def _fills(order: Mapping[str, Any]) -> bool:
    return bool(order["filled_quantity"])


def _placed(order: Mapping[str, Any]) -> str:
    return f"{order['transaction_type']} {order['tradingsymbol']}"


def _row(order: Mapping[str, Any]) -> str:
    return f"{order['transaction_type']} {order['quantity']} {order['tradingsymbol']} {order['order_type']}"


def _traded(order: Mapping[str, Any]) -> str:
    side = order["transaction_type"]
    return f"{side} {order['filled_quantity']} {order['tradingsymbol']} at {order['average_price']:.2f}"


def _counted(orders: Counter[str]) -> str:
    return _said([text if count == 1 else f"{count} x {text}" for text, count in sorted(orders.items())])


def _said(value: Any) -> str:
    if not value:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {' at '.join(map(str, item))}" for key, item in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def recovering(whole: Day, day: Day, within: int) -> frozenset[datetime]:
    """The bars that end within ``within`` bars after a death: the one under way counts."""
    ends = [datetime.fromisoformat(bar["at"]) for bar in whole.bars]
    spared: set[datetime] = set()
    for death in day.deaths:
        # The bar that ended at this very moment may not have been seen.
        after = [end for end in ends if end >= death.at]
        spared.update(after[: within + (1 if after and after[0] == death.at else 0)])
    return frozenset(spared)


def recovery(whole: Day, day: Day) -> int:
    """After how many bars from the last death on everything is as in the uninterrupted day; 0: from the first one."""
    if not day.deaths:
        return 0
    bars = {str(bar["at"]): bar for bar in day.bars}
    after = [bar for bar in whole.bars if datetime.fromisoformat(bar["at"]) > day.deaths[-1].at]
    needed = 0
    for number, bar in enumerate(after, 1):
        other = bars.get(bar["at"])
        if other is None or any(bar[name] != other[name] for name in LASTING):
            needed = number
    return needed
