"""Winding down: what the kill switch asks of the orders that work, and of what is held.

Asked again and again while the switch is engaged, on Cerebro's thread, so that whatever comes to light late (an
order that was uncertain, a fill that raced its cancellation) is cancelled and closed like the rest. Nothing waits
for an order of another instrument, nor for one that can only add to what is closed: what that fills later is closed
then. For an exit of which nobody knows whether Kite has it, the position waits until that is looked up: both could
trade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..linetime import from_seconds
from ..log import get_logger

if TYPE_CHECKING:
    from .book import BookBroker

log = get_logger(__name__)
_PATIENT = 8
"""Closing orders of one instrument that are refused a second apart; then the waits grow."""
_LONGEST_WAIT = 16
_RESTS = 10
"""Seconds after which a closing order that has not traded is told to a person: nobody buys, or nobody sells."""


class Winding:
    """One account's way to rest."""

    def __init__(self, broker: BookBroker) -> None:
        self._broker = broker
        self._tries: dict[str, int] = {}
        self._again: dict[str, int] = {}
        self._waited_for: set[int] = set()
        self._given: dict[str, int] = {}  # when the position of an instrument was first sent to be closed
        self.stuck: dict[str, str] = {}  # instruments whose closing order rests unfilled, and where

    def turn(self, *, flatten: bool) -> bool:
        """Cancel what works and does not reduce, an entry before what may be its exit; with ``flatten`` cancel
        everything, and close each position as soon as nothing of its instrument works any more. True when nothing is
        left to be done."""
        left = self._cancel(everything=flatten)
        if flatten:
            left = self._close() or left
            self._look_for_stuck()
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
                log.warning("cancelled by the kill switch", ref=order.ref, symbol=order.info.get("instrument"))
                broker.cancel(order)
        return left

    def _close(self) -> bool:
        broker, left = self._broker, False
        owners = list(getattr(broker.cerebro, "runningstrats", ()))
        for key, position, _ in broker.holds():
            left = True
            data = broker.feed_of(key)
            if data is None or not owners or self._works(key):
                continue
            if self._again.get(key, 0) > broker.now:
                continue
            tries = self._tries[key] = self._tries.get(key, 0) + 1
            self._again[key] = broker.now + min(2 ** max(0, tries - _PATIENT), _LONGEST_WAIT)
            self._given.setdefault(key, broker.now)
            log.warning("closed by the kill switch", symbol=key, size=position.size)
            broker.close_out(key, owners[0])
        return left

    def _works(self, key: str) -> bool:
        """Whether an order of the instrument may still trade that the closing one must not meet."""
        broker, found = self._broker, False
        for order in broker.orders.values():
            if not order.alive() or not order.active() or broker.instrument_of_order(order).key != key:
                continue
            until = broker.uncertain_until(order.ref)
            if until is None:
                found = True
            elif broker.proposal(order).reduces:
                found = True
                self._say_that_it_waits(order, until)
        return found

    def _look_for_stuck(self) -> None:
        """A position whose closing order does not trade: locked at its circuit, or nobody is there."""
        broker = self._broker
        held = {key: position.size for key, position, _ in broker.holds()}
        for key, since in list(self._given.items()):
            if key not in held:
                del self._given[key]
                self.stuck.pop(key, None)
            elif broker.now - since >= _RESTS and key not in self.stuck:
                self.stuck[key] = f"{held[key]:g} {key} cannot be closed now: {broker.why_it_rests(key)}"
                broker.alert("critical", f"the kill switch: {self.stuck[key]}", f"kill stuck {key}")

    def _say_that_it_waits(self, order: Any, until: int) -> None:
        if order.ref not in self._waited_for:
            self._waited_for.add(order.ref)
            self._broker.alert(
                "warning",
                f"{order.info.get('instrument')} is closed when it is known whether Kite has order {order.ref}, "
                f"by {from_seconds(until):%H:%M:%S} at the latest",
                f"kill waits {order.ref}",
            )
