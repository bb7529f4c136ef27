"""Looking: when the account's own books at Kite are read, and for what.

The stream tells of orders, but not surely: it repeats, forgets and breaks. So while an order works, the order
book is read every ``broker.poll`` seconds; in lock step, where nothing is lost by itself, once a minute. What an
order traded at is asked of its trades, if the book does not say. No call of this file waits for the network.
"""

from __future__ import annotations

import math
from typing import Any

from .book import BookBroker

_LOCKSTEP = 60
"""Seconds between two looks where the market waits for us."""


class Looking(BookBroker):
    """The asking half of what :class:`~btkite.brokers.heard.Heard` is told."""

    store: Any

    def init(self) -> None:
        super().init()
        self._order_ids: dict[int, str] = {}  # of the placement that counts now; earlier ones stay in ``_ids``
        self._asks = 0  # how often the order book was asked for
        self._open_asks = 0  # of these, not answered yet
        self._looked = -1  # second of the last look; while nothing works it goes along with the time
        self._unpriced: set[str] = set()  # orders whose trades were asked for
        self._moves = 0  # executions that were booked

    def filled(self, order: Any, quantity: int, price: float, when: int, order_id: str = "") -> None:
        """Counted, for those who compare what was read before and after it."""
        self._moves += 1
        super().filled(order, quantity, price, when, order_id)

    def works(self) -> bool:
        """Whether an order of ours is at Kite."""
        return any(ref in self._order_ids and ref not in self.held for ref in self.terms)  # of those that live

    def poll(self, now: int) -> None:
        """The safety net, if it is time for it."""
        if self._looked < 0 or not self.works():
            self._looked = now
        elif not self._open_asks and now - self._looked >= self._every:
            self._ask_book()

    def poll_due(self) -> list[int]:
        """The second of the next look, on a clock that runs."""
        if self.store.clock.complete or self._looked < 0 or self._open_asks or not self.works():
            return []
        return [self._looked + self._every]

    @property
    def _every(self) -> int:
        wanted = math.ceil(self.config.broker.poll)
        return max(wanted, _LOCKSTEP) if self.store.clock.complete else wanted

    def _ask_book(self) -> None:
        self._asks += 1
        self._open_asks += 1
        self._looked = max(self._looked, self.now)
        self.store.reader.ask("orders", (self.now, self._asks), self.store.client.orders)

    def _ask_trades(self, order_id: str) -> None:
        """What it was filled at is not known yet; asked once at a time."""
        if order_id not in self._unpriced:
            self._unpriced.add(order_id)
            client = self.store.client
            self.store.reader.ask("trades", order_id, lambda: client.order_trades(order_id))
