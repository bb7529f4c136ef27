"""Flattening: closing positions at market by orders of our own, past every limit, until nothing is held.

What the kill switch and the square-off have in common. A position is closed when nothing of its instrument works that
could trade beside the closing order; one that is refused is given again, after ever longer waits; one that does not
trade is told to a person.
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


class Flattening:
    """One reason to close what is held. ``word``: who does it, for the log, alerts and the order's story;
    ``tag``: the label of its orders."""

    word = ""
    tag = ""
    usual = False  # nothing that a person must be told of

    def __init__(self, broker: BookBroker) -> None:
        self._broker = broker
        self._tries: dict[str, int] = {}
        self._again: dict[str, int] = {}
        self._waited_for: set[int] = set()
        self._given: dict[str, int] = {}  # when the position of an instrument was first sent to be closed
        self.stuck: dict[str, str] = {}  # instruments whose closing order rests unfilled, and where

    def may_close(self, key: str) -> bool:
        """Whether the closing order of a position may leave at this moment."""
        broker = self._broker
        if broker.feed_of(key) is None or not getattr(broker.cerebro, "runningstrats", ()) or self._works(key):
            return False
        return self._again.get(key, 0) <= broker.now

    def close(self, key: str) -> None:
        """Give the order that closes a position."""
        broker = self._broker
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        self._again[key] = broker.now + min(2 ** max(0, tries - _PATIENT), _LONGEST_WAIT)
        self._given.setdefault(key, broker.now)
        say = log.info if self.usual else log.warning
        say("closed by us", why=self.word, symbol=key, size=broker.position_of(key).size)
        broker.close_out(key, broker.cerebro.runningstrats[0], because=f"{self.word} closes what is held", tag=self.tag)

    def _held(self, key: str) -> bool:
        return bool(self._broker.position_of(key).size)

    def _works(self, key: str) -> bool:
        """Whether an order of the instrument may still trade that the closing one must not meet."""
        broker, found = self._broker, False
        for order in broker.orders.values():
            if not order.alive() or not order.active() or broker.instrument_of_order(order).key != key:
                continue
            if not self._meets(order):
                continue
            until = broker.uncertain_until(order.ref)
            if until is None:
                found = True
            elif broker.proposal(order).reduces:
                found = True
                self._say_that_it_waits(order, until)
        return found

    def _meets(self, order: Any) -> bool:
        """Whether the closing order has to wait for it."""
        return True

    def look_for_stuck(self) -> None:
        """A position whose closing order does not trade: locked at its circuit, or nobody is there."""
        broker = self._broker
        store = getattr(broker, "store", None)
        patient = store is not None and store.clock.complete  # in lock step the next print is when it is
        for key, since in list(self._given.items()):
            if not self._held(key):
                for known in (self._given, self._again, self._tries, self.stuck):
                    known.pop(key, None)
            elif not patient and broker.now - since >= _RESTS and key not in self.stuck:
                self.stuck[key] = f"{broker.position_of(key).size:g} {key} cannot be closed now: {self._why(key)}"
                broker.alert("critical", f"{self.word}: {self.stuck[key]}", f"stuck {self.word} {key}")

    def _why(self, key: str) -> str:
        """What is known of the closing order that does not trade."""
        broker = self._broker
        mine = [broker.orders[ref] for ref in sorted(broker.safety) if ref in broker.orders]
        mine = [order for order in mine if order.alive() and broker.instrument_of_order(order).key == key]
        if not mine:
            return "its closing order is refused, or waits"
        return f"order {mine[-1].ref} rests unfilled{broker.locked(key)}"

    def _say_that_it_waits(self, order: Any, until: int) -> None:
        if order.ref not in self._waited_for:
            self._waited_for.add(order.ref)
            self._broker.alert(
                "warning",
                f"{order.info.get('instrument')} is closed when it is known whether Kite has order {order.ref}, "
                f"by {from_seconds(until):%H:%M:%S} at the latest",
                f"kill waits {order.ref}",
            )
