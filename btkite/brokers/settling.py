"""Settling: what an order is after a change of it has failed.

Whether Kite has made the change is seen in its order book, which may lag behind: what it says first may be how the
order was before. So its later words are listened to for a while, and what is older than news that we have is not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..orders.progress import Progress
from ..values import OrderUpdate
from .changes import reshape
from .doubt import LOOKS
from .uncertain import Uncertain

if TYPE_CHECKING:
    from .exits import Exits

Order = bt.Order


class Settling(Uncertain):
    """Sizes and prices as Kite has them."""

    exits: Exits
    _before: dict[int, int]
    _by_strategy: set[int]
    _changing: dict[int, int]
    _react: Any
    _try_again: Any

    def init(self) -> None:
        super().init()
        self._differs: dict[int, int] = {}  # a change has failed: what the book says from this asking on is the order
        self._lagging: dict[int, int] = {}  # ref -> second until which a later book may still say otherwise

    def doubt_terms(self, order: Any) -> None:
        """A change of it has failed, or nobody knows."""
        self._differs[order.ref] = self._asks + 1
        self._lagging[order.ref] = self.now + LOOKS[-1]

    def _settle(self, update: OrderUpdate, number: int = 0) -> None:
        """A row of the book of the ``number``-th asking, or (0) a word of the stream."""
        ref = self._ids.get(update.order_id)
        if ref is None or self._order_ids.get(ref) != update.order_id or self._changing.get(ref):
            return
        order, update = self.orders[ref], _newest(update, self._progress[update.order_id])
        first = number >= self._differs.get(ref, number + 1)  # a book that was asked for before may be older
        if first or (self.now <= self._lagging.get(ref, -1) and self._is_other(order, update)):
            self._take_terms(order, update)

    def _is_other(self, order: Any, update: OrderUpdate) -> bool:
        """Whether Kite's order is not what ours is."""
        price, plimit = _prices(order.exectype, update)
        return bool(
            self.exits.differs(order, update)
            or self._units(order, update) != abs(order.size)
            or (price is not None and price != order.created.price)
            or (plimit is not None and plimit != order.created.pricelimit)
        )

    def _units(self, order: Any, update: OrderUpdate) -> int:
        """How large it is in all, if its placement is what Kite says."""
        return int(max(self._before.get(order.ref, 0) + update.quantity, abs(order.executed.size)))

    def _take_terms(self, order: Any, update: OrderUpdate) -> None:
        """After a change that failed: size and prices are what Kite's book says, also of an order that has ended."""
        self._differs.pop(order.ref, None)
        if self._is_iceberg(order):
            return
        order = self.exits.truth(order, update)
        ref = order.ref
        size = self._units(order, update)
        reshape(order, size, *_prices(order.exectype, update))
        mine = ref in self._by_strategy
        self._by_strategy.discard(ref)
        if update.terminal or not order.alive():
            return
        self.count(order)
        if mine:
            self.groups.resized(ref, size)
            self._react(ref)
        elif self.groups.told(ref, size):
            self._try_again(ref)

    @staticmethod
    def _is_iceberg(order: Any) -> bool:
        return bool(order.info.get("variety") == "iceberg")


def _newest(update: OrderUpdate, known: Progress) -> OrderUpdate:
    """``update`` with the terms that were told last: a book that lags behind does not take them back."""
    told = update.exchange_time or update.order_time
    if told is None or known.exchange_time is None or told >= known.exchange_time:
        return update
    return replace(
        update, status=known.status, quantity=known.quantity, price=known.price, trigger_price=known.trigger_price,
        order_type=known.order_type,
    )  # fmt: skip


def _prices(exectype: int, update: OrderUpdate) -> tuple[float | None, float | None]:
    """backtrader's ``price`` and ``plimit`` of what Kite has; None where it says nothing."""
    if exectype == Order.Limit:
        return update.price or None, None
    if exectype in (Order.StopLimit, Order.StopTrailLimit):
        return update.trigger_price or None, update.price or None
    return update.trigger_price or None, None
