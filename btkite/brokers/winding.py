"""Winding down: what the kill switch, or a loss limit that was passed, asks of orders, and of what is held.

Asked again and again while that is so, on Cerebro's thread, so that whatever comes to light late (an
order that was uncertain, a fill that raced its cancellation) is cancelled and closed like the rest. Nothing waits
for an order of another instrument, nor for one that can only add to what is closed: what that fills later is closed
then. For an exit of which nobody knows whether Kite has it, the position waits until that is looked up: both could
trade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..log import get_logger
from .flattening import Flattening

if TYPE_CHECKING:
    from .book import BookBroker

log = get_logger(__name__)


class Winding(Flattening):
    """One account's way to rest."""

    word = "the kill switch"
    tag = "kill"

    def __init__(self, broker: BookBroker, *, word: str = "", tag: str = "") -> None:
        super().__init__(broker)
        self.word, self.tag = word or self.word, tag or self.tag
        self._cancelled: set[str] = set()  # instruments of which an order was cancelled in this turn

    def turn(self, *, flatten: bool) -> bool:
        """Cancel what works and does not reduce, an entry before what may be its exit; with ``flatten`` cancel
        everything, and close each position as soon as nothing of its instrument works any more, in a turn after that
        of the cancellation: a real market needs one too. True when nothing is left to be done."""
        self._cancelled.clear()
        left = self._cancel(everything=flatten)
        if flatten:
            left = self._close() or left
            self.look_for_stuck()
        return not left

    def _cancel(self, *, everything: bool) -> bool:
        broker, left = self._broker, False
        opening: set[tuple[str, bool]] = set()
        for order in sorted((order for order in broker.orders.values() if order.alive()), key=lambda order: order.ref):
            if order.ref in broker.safety or (order.parent is not None and not order.active()):
                continue  # a child that sleeps goes with its parent, or protects what that has filled
            if not everything and broker.proposal(order).reduces:
                continue
            left = True
            key = broker.instrument_of_order(order).key
            opening.add((key, order.isbuy()))
            if broker.is_leaving(order):
                broker.hasten(order)
            elif not everything and (key, not order.isbuy()) in opening:
                continue  # given after one of the other side: it protects what that may have filled unknown to us
            else:
                log.warning("cancelled", by=self.word, ref=order.ref, symbol=order.info.get("instrument"))
                self._cancelled.add(key)
                broker.cancel(order)
        return left

    def _close(self) -> bool:
        held = [key for key, _, _ in self._broker.holds()]
        for key in held:
            if self.may_close(key):
                self.close(key)
        return bool(held)

    def _works(self, key: str) -> bool:
        return super()._works(key) or key in self._cancelled
