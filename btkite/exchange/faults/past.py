"""Answers as they were: kept while a fault is armed that may want an old one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from ..clock import SECOND

if TYPE_CHECKING:
    from ..venue import Venue

KEPT = 5_000


def _orders(venue: Venue) -> Any:
    return [order.latest() for order in venue.book.orders.values()]


def _trades(venue: Venue) -> Any:
    return venue.book.trades


def _positions(venue: Venue) -> Any:
    return venue.positions()


def _holdings(venue: Venue) -> Any:
    return [holding.row() for holding in venue.account.holdings.values()]


SHELVES: Mapping[str, Callable[[Venue], Any]] = {
    "/orders": _orders,
    "/trades": _trades,
    "/portfolio/positions": _positions,
    "/portfolio/holdings": _holdings,
}


class Past:
    """The answers of a few paths, each with the moment from which on it held."""

    def __init__(self) -> None:
        self.wanted = False
        self._kept: dict[str, deque[tuple[int, bytes]]] = {path: deque(maxlen=KEPT) for path in SHELVES}

    def begin(self, venue: Venue) -> None:
        """From now on, what was answered is kept."""
        self.wanted = True
        self.note(venue)

    def end(self) -> None:
        """Nobody asks any more."""
        self.wanted = False
        for kept in self._kept.values():
            kept.clear()

    def note(self, venue: Venue) -> None:
        """Something may have changed."""
        if not self.wanted:
            return
        for path, make in SHELVES.items():
            body = orjson.dumps({"status": "success", "data": make(venue)})
            kept = self._kept[path]
            if not kept or kept[-1][1] != body:
                kept.append((venue.now, body))

    def answer(self, venue: Venue, path: str, seconds: float) -> bytes | None:
        """What ``path`` answered ``seconds`` of market time ago; the oldest that is kept if none is older."""
        kept = self._kept.get(path)
        if not kept:
            return None
        then = venue.now - round(seconds * SECOND)
        return next((body for us, body in reversed(kept) if us <= then), kept[0][1])
