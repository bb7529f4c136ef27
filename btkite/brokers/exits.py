"""Exits: of a position's exits one order stands on Kite's book, for the one that is next.

backtrader's view stays as it is: stop and target are two orders. One of them, the *carrier*, has the order at Kite
(its id, its tag); the others are *watched*: accepted, and nowhere but here. When the price comes within reach of a
target, Kite's order becomes the target's limit by one modification, and back. Whom it stands for is decided in
:mod:`~btkite.orders.exits`; whom a fill belongs to is what Kite says the order was. Where the two differ (a change
that was refused, or that raced a fill, or a process that ended in the middle of it) Kite is right.

All of this is Cerebro's thread. The state is in the orders themselves (``order.info.watched``, and the id with its
bearer), so the journal has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..log import get_logger
from ..orders.exits import Exit, choose, gone_off, traded
from ..orders.groups import Cancel
from ..orders.progress import Progress
from ..values import Fill, OrderUpdate
from . import translate
from .cutting import is_many
from .sight import Seeing

if TYPE_CHECKING:
    from .carrying import Carrying

Order = bt.Order
log = get_logger(__name__)
_TYPES = (Order.Limit, Order.Stop, Order.StopLimit, Order.StopTrail, Order.StopTrailLimit)
_LONGEST_PAUSE = 60
_HASTE = 3
"""How many changes may have failed before there is a pause of a second, while the price is beyond the stop."""
_BEHIND = "last traded price"
"""Of Kite's sentence about a stop on the wrong side of the price."""


class Exits(Seeing):
    """The carriers of one broker."""

    def __init__(self, broker: Carrying) -> None:
        super().__init__(broker)
        self._failed: dict[int, tuple[int, int]] = {}  # ref of a carrier -> changes that failed, second of the last
        self._mixed: set[int] = set()  # carriers that became it while a change was on its way
        self._behind: set[int] = set()  # stops that Kite did not take any more: the price was beyond them
        self._tending = False

    @property
    def one(self) -> bool:
        """Whether one order stands for all: as configured; by itself on a market that runs."""
        named = self._broker.config.groups.exits
        return named == "one" or (named == "auto" and not self._broker.store.clock.complete)

    def is_watched(self, order: Any) -> bool:
        """Whether it is nowhere but here."""
        return order.ref in self._watched

    # -- who belongs together -------------------------------------------------------------------------

    def _mates(self, order: Any) -> list[Any]:
        """The living exits of one position of which ``order`` is one, itself included; alone if it is no exit."""
        orders = self._broker.orders
        mates = [orders[ref] for ref in self._broker.groups.mates(order.ref) if ref in orders]
        if len(mates) < 2 or not self._fits(order):
            return [order]
        return [mate for mate in mates if mate is order or (mate.alive() and self._fits(mate, order))]

    def _fits(self, order: Any, other: Any = None) -> bool:
        info, instrument = order.info, self._broker.instrument_of_order(order)
        if is_many(order) or order.exectype not in _TYPES or info.get("variety") not in (None, "", "regular"):
            return False
        if info.get("validity") not in (None, "", "DAY") or info.get("disclosed_quantity"):
            return False
        if other is not None:
            same = order.isbuy() == other.isbuy() and instrument == self._broker.instrument_of_order(other)
            return same and (order.active() or other.parent is not None)
        if order.parent is not None:
            return bool(order.isbuy() != order.parent.isbuy())
        if info.get("exit"):
            return True
        held = self._broker.holding(instrument.key)
        return bool(held * (-1 if order.isbuy() else 1) >= abs(order.executed.remsize))

    def _carrier(self, mates: Iterable[Any]) -> Any:
        """The one of them that is on the book or on its way there; None if none is."""
        broker = self._broker
        out = (mate for mate in mates if mate.alive() and mate.active() and mate.ref not in self._watched)
        return next((mate for mate in out if "filled_before" in mate.info and mate.ref not in broker.held), None)

    def _exit(self, order: Any) -> Exit:
        instrument = self._broker.instrument_of_order(order)
        _, price, trigger = translate.sent_as(order, instrument, self._broker.config.broker)
        reach = price * self._broker.config.groups.reach_pct / 100 if not trigger else 0.0
        return Exit(order.ref, translate.side(order), price, trigger, reach, bool(order.triggered))

    def _price(self, order: Any) -> float:
        key = self._broker.instrument_of_order(order).key
        return self.heard(key) or self._broker.last_seen(order)

    def _choose(self, mates: list[Any], carried: int = 0) -> int:
        """Who is next at the price that is seen; the stop, if it is not."""
        seen = self.sight.trusts(self._broker.instrument_of_order(mates[0]).key)
        return choose([self._exit(mate) for mate in mates], self._price(mates[0]) if seen else 0.0, carried)

    # -- to the market --------------------------------------------------------------------------------

    def waits(self, order: Any) -> bool:
        """``order`` is to be placed. True if it is not, because another exit of its position stands for it."""
        self._watched.pop(order.ref, None)
        mates = self._mates(order) if self.one else [order]
        if len(mates) > 1:
            for mate in mates:
                mate.addinfo(exit=True)  # and it stays one while what it closes is being closed
            if self._carrier(mate for mate in mates if mate is not order) is not None:
                self._watch(order)
                return True
            chosen = self._choose(mates)
            if chosen != order.ref:  # its own turn is to come, or it is watched and tended to
                self._watch(order)
                return True
        order.info.pop("watched", None)
        if self.one and self._is_exit(order):
            self._trip(order)
        return False

    @staticmethod
    def _is_exit(order: Any) -> bool:
        return order.parent is not None or bool(order.info.get("exit"))

    def refused(self, order: Any, words: str) -> bool:
        """Kite has refused ``order``. True if it is a stop that the price has passed on its way: then it goes as what
        it becomes there, or the position would be left without it. Not if somebody wants its end."""
        waits = self.one and self._is_exit(order) and translate.is_waiting_stop(order)
        if not (waits and _BEHIND in words.lower()) or self._broker.is_leaving(order):
            return False
        order.triggered = True
        self._broker.place_anew(order)
        return True

    def _watch(self, order: Any) -> None:
        self._watched[order.ref] = self._broker.instrument_of_order(order).key
        order.addinfo(watched=True)
        self._broker.accepted(order)

    def _trip(self, order: Any) -> None:
        """A stop that the price has reached goes as what it becomes there: Kite takes no such stop."""
        if translate.is_waiting_stop(order) and self._exit(order).tripped(self._price(order)):
            order.triggered = True

    def resume(self, order: Any) -> bool:
        """An order of the last run: True if it was watched, and is again."""
        if not order.info.get("watched") or not self.one:
            return False
        self._watch(order)
        return True

    # -- what happens to those that are watched -----------------------------------------------------------

    def drop(self, order: Any) -> bool:
        """``order`` is to end. True if it was watched: then it is over at once."""
        if order.ref not in self._watched:
            return False
        self._end(order)
        return True

    def _end(self, order: Any) -> None:
        del self._watched[order.ref]
        self._broker.ended(order, "expired" if self._is_over(order) else "canceled")

    def _is_over(self, order: Any) -> bool:
        """Whether its own time is up."""
        broker = self._broker
        terms = broker.terms[order.ref]
        if terms.deadline is not None:
            return terms.deadline <= broker.now
        return not terms.carry and not broker.is_in_session(order)

    def due(self) -> list[int]:
        """The seconds at which watched orders end."""
        terms = (self._broker.terms.get(ref) for ref in self._watched)
        return [one.deadline for one in terms if one is not None and one.deadline is not None]

    # -- prices ---------------------------------------------------------------------------------------

    def take_price(self, key: str, last: float) -> None:
        """The last price of an instrument, in rupees."""
        self.sight.take(key, last, self._broker.now)
        if key in self._watched.values():
            self.tend(key)

    def take_prices(self, keys: Sequence[str], last: Sequence[float]) -> None:
        """The last prices of instruments that no watched order is of, in rupees; a later one wins."""
        for key, price in zip(keys, last, strict=True):
            self.sight.take(key, price, self._broker.now)

    @property
    def watched_keys(self) -> frozenset[str]:
        """The instruments of watched orders."""
        return frozenset(self._watched.values())

    def tend(self, key: str = "") -> None:
        """Each watched order: over if its time is up, placed if nobody stands for it any more, and whoever stands is
        the right one. To be called after everything that happens; without cause it does nothing."""
        if self._tending or not self._watched:
            return
        self._tending = True
        try:
            for ref in [ref for ref, at in self._watched.items() if key in ("", at)]:
                if ref in self._watched:
                    self._tend(self._broker.orders[ref])
        finally:
            self._tending = False

    def _tend(self, order: Any) -> None:
        if not order.alive():
            del self._watched[order.ref]
            return
        mates = self._mates(order)
        carrier = self._carrier(mates)
        if carrier is not None:
            if self._is_over(order) and not (self._broker.is_expiring(carrier) or self._is_over(carrier)):
                self._end(order)
            else:
                self._steer(carrier, mates)
        elif self._is_over(order):
            self._end(order)
        elif not any(mate.ref in self._broker.held for mate in mates) and not self._unsettled_group(mates):
            able = [mate for mate in mates if mate.ref in self._watched]
            chosen = self._choose(able)
            del self._watched[chosen]
            self._broker.admit(self._broker.orders[chosen])

    def _steer(self, carrier: Any, mates: list[Any]) -> None:
        """Have Kite's order stand for the exit that is next at this price."""
        broker = self._broker
        if carrier.triggered or not broker.may_change(carrier) or self._unsettled_group(mates):
            return
        able = [mate for mate in mates if mate is carrier or mate.ref in self._watched]
        chosen = self._choose(able, carrier.ref)
        if chosen == carrier.ref or self._pauses(carrier, broker.orders[chosen]):
            return
        order = broker.orders[chosen]
        self._pass_on(carrier, order)
        self._trip(order)
        broker.write_swap(order, carrier)
        broker.reroute(order)

    def _unsettled_group(self, mates: Iterable[Any]) -> bool:
        """Whether their group still wants something of one of them: after a restart it is done when the account was
        read. Until then a sibling that is to go, or to become smaller, is nobody's to stand for. Later it is asked for
        at once; what Kite has refused of it keeps no stop waiting: a swap carries the right size."""
        wanted = [action for mate in mates for _, action in self._broker.groups.wanted(mate.ref)]
        return any(isinstance(one, Cancel) for one in wanted) or bool(wanted and not self._broker.is_settled)

    def before_end(self) -> None:
        if not self.sight.over:
            self._failed.clear()  # what Kite did not take a while ago it may take now, and there is no later
        super().before_end()

    def _pauses(self, carrier: Any, order: Any) -> bool:
        """Whether a change that has failed is not to be tried again yet. While the price is beyond the stop there is
        no time to lose."""
        tries, since = self._failed.get(carrier.ref, (0, 0))
        if self.sight.over:
            return tries > _HASTE
        if order.triggered or self._exit(order).tripped(self._price(carrier)):
            return tries > _HASTE and self._broker.now <= since
        return bool(tries) and self._broker.now < since + min(2**tries, _LONGEST_PAUSE)

    def changed(self, order: Any, words: str) -> None:
        """A change of ``order`` was answered; ``words``: why not."""
        if words:
            if _BEHIND in words.lower() and translate.is_waiting_stop(order):
                self._behind.add(order.ref)
            tries, _ = self._failed.get(order.ref, (0, 0))
            self._failed[order.ref] = (tries + 1, self._broker.now)
            return
        self._failed.pop(order.ref, None)
        if order.ref in self._mixed:  # the change was another's: it came, and after a fill that was not
            self._mixed.discard(order.ref)
            self._broker.ask_terms(order)

    # -- who it stands for ------------------------------------------------------------------------------

    def _pass_on(self, before: Any, order: Any) -> None:
        """Kite's order is ``order``'s from now on."""
        self._watched.pop(order.ref, None)
        order.info.pop("watched", None)
        self._broker.pass_on(before, order)
        order.addinfo(stood=True)
        self._watch(before)
        if before.ref in self._failed:
            self._failed[order.ref] = self._failed.pop(before.ref)

    def credit(self, ref: int, progress: Progress, fill: Fill) -> int:
        """Whose a new ``fill`` is: the carrier's ``ref``, or the one of another exit that Kite's order stood for; then
        that one carries it."""
        carrier = self._broker.orders[ref]
        mates = self._known_as(carrier, progress.order_id)
        if len(mates) > 1:
            found = traded([self._exit(mate) for mate in mates], ref, progress, fill.price)
            if found != ref:
                log.info("the fill is another exit's", ref=found, carrier=ref, order_id=progress.order_id)
                before, carrier = carrier, self._broker.orders[found]
                self._pass_on(before, carrier)
                if self._broker.is_changing(carrier):
                    self._mixed.add(found)
        info = carrier.info
        if (info.get("stood") or info.get("filled_before")) and self._broker.is_current(carrier, progress.order_id):
            carrier.addinfo(booked=progress.booked)
        return int(carrier.ref)

    def truth(self, carrier: Any, update: OrderUpdate) -> Any:
        """Whom Kite's order stands for, as its book says; from now on that one carries it."""
        mates = self._known_as(carrier, update.order_id)
        if len(mates) < 2:
            return carrier
        found = traded([self._exit(mate) for mate in mates], carrier.ref, update)
        behind = carrier.ref in self._behind
        self._behind.discard(carrier.ref)
        if found == carrier.ref:
            return carrier
        order = self._broker.orders[found]
        if behind and order.exectype == Order.Limit:  # it goes as what it becomes there
            carrier.triggered = True
        self._pass_on(carrier, order)
        self._broker.write_swap(order, carrier)
        return order

    def differs(self, carrier: Any, update: OrderUpdate) -> bool:
        """Whether ``update`` says that Kite's order is another than it was made."""
        mates = self._known_as(carrier, update.order_id)
        return len(mates) > 1 and traded([self._exit(mate) for mate in mates], carrier.ref, update) != carrier.ref

    def notice(self, order: Any, update: OrderUpdate) -> None:
        """A stop of ours that waits may have gone off at Kite."""
        if not translate.is_waiting_stop(order) or len(self._known_as(order, update.order_id)) < 2:
            return
        if gone_off(self._exit(order), update) and not self.differs(order, update):
            order.triggered = True

    def _known_as(self, carrier: Any, order_id: str) -> list[Any]:
        """Those for whom an order at Kite may stand: its carrier, and the watched ones with it."""
        if not self._watched or not self._broker.is_current(carrier, order_id):
            return [carrier]
        return [mate for mate in self._mates(carrier) if mate is carrier or mate.ref in self._watched]
