"""Uncertain: orders of which Kite may or may not know, from the lost answer to the end of the doubt.

While one is in doubt its symbol takes no new entries, and no second exit. It is looked up by its tag for the whole
window (:mod:`~btkite.brokers.doubt`). Then an entry is given up, because its price is stale; an order that reduces
is sent anew under the same tag, after a last look at the account that shows it is still needed. If both of its
placements come to light, the one too many is cancelled, and what it has filled is traded back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..kite.desk import Cancel, Place
from ..log import get_logger
from ..orders.progress import Progress
from ..orders.reconcile import Slot, account_of
from ..values import Denial
from .changes import reshape
from .doubt import LOOKS, Doubt
from .looking import Looking
from .orders import spoken

log = get_logger(__name__)
_AGAIN = 5
"""Seconds until the last look at the account is made again, if it was not answered."""


class Uncertain(Looking):
    """The doubts of one account."""

    ready: bool
    _desk: Any
    _ids: dict[str, int]
    _progress: dict[str, Progress]

    def init(self) -> None:
        super().init()
        self._doubt = Doubt()
        self._leaving: set[int] = set()
        self._asked_account: dict[int, int] = {}  # ref -> second at which the account is looked at for it, again
        self._twins: dict[str, int] = {}  # a second placement under one tag -> ref
        self._superfluous: dict[str, int] = {}  # what of two must go and has not gone yet -> ref
        self._surplus: dict[int, int] = {}  # ref -> units that were traded back already
        self._once: dict[int, int] = {}  # ref -> units that it was to be when it was sent anew

    def _variety(self, order: Any) -> str:
        """Under which name Kite takes a change of it now: a released after-market order keeps its variety in the book
        but is changed as regular."""
        variety = str(order.info.get("variety") or "regular")
        in_session = self._session(self.instrument_of_order(order)) is not None
        return "regular" if variety == "amo" and in_session else variety

    def unresolved(self) -> list[Any]:
        """Orders of which Kite may or may not know."""
        return [self.orders[ref] for ref in self._in_doubt()]

    def _in_doubt(self) -> list[int]:
        return [*self._doubt.refs(), *self._asked_account]

    def is_uncertain(self, ref: int) -> bool:
        """Whether nobody knows if Kite has it."""
        return ref in self._doubt or ref in self._asked_account

    def uncertain_until(self, ref: int) -> int | None:
        """The second at which the doubt of an order is over at the latest; None if there is none."""
        if ref in self._doubt:
            return self._doubt.until(ref)
        return self._asked_account.get(ref)

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """Also what must not be sent while an order of its symbol is uncertain."""
        return super().unfit(group) or self._waits_for_an_answer(group)

    def _waits_for_an_answer(self, group: Sequence[Any]) -> Denial | None:
        if self._flattening or not (doubts := self.unresolved()):
            return None
        for order in group:
            key = self.instrument_of_order(order).key
            other = next((one for one in doubts if self.instrument_of_order(one).key == key), None)
            if other is None or order.parent is not None:
                continue
            what = "entry" if not self.is_exit(order) else "second exit" if self.is_exit(other) else ""
            if what:
                return Denial(
                    "uncertain",
                    f"Kite has not answered order {other.ref} of {key}: for {LOOKS[-1]} s at most, "
                    f"there is no {'new ' if what == 'entry' else ''}{what} in {key}",
                )
        return None

    def is_exit(self, order: Any) -> bool:
        """Whether it can only reduce: as it was allowed, or as it would be now."""
        if self.ledger.is_working(order.ref):
            return self.ledger.is_exit(order.ref)
        return bool(self.gate.classify([self.proposal(order)])[0].reduces)

    # -- the end of the window ------------------------------------------------------------------------

    def _end_doubts(self, asked: int) -> None:
        """After a look at the book of second ``asked``: what it should have held and did not is decided."""
        for ref, seconds in self._doubt.give_up(asked):
            order = self.orders[ref]
            if not order.alive():
                continue
            if self.is_exit(order) and ref not in self._leaving:
                self._look_at_account(ref)
            else:
                self._leaving.discard(ref)
                self._unresolved(order, f"Kite knows no order of this tag after {seconds} s")

    def _unresolved(self, order: Any, why: str) -> None:
        self._asked_account.pop(order.ref, None)
        self.alert("warning", f"{spoken(order.ref)} is unresolved and given up: {why}", f"unresolved {order.ref}")
        self.ended(order, "rejected", f"unresolved: {why}")

    def _look_at_account(self, ref: int) -> None:
        self._asked_account[ref] = self.now + _AGAIN
        client = self.store.client
        self.store.reader.ask(
            "account", ref, lambda: (account_of(client.positions(), client.holdings()), client.orders())
        )

    def look_again(self, now: int) -> None:
        """Last looks that were not answered."""
        for ref in [ref for ref, at in self._asked_account.items() if at <= now]:
            self._look_at_account(ref)

    def take_account(self, ref: int, held: Mapping[Slot, int]) -> None:
        """The last look is answered, and its order book shows no such tag: is the exit still needed?"""
        order = self.orders[ref]
        if self._asked_account.pop(ref, None) is None or not order.alive() or ref in self._order_ids:
            return
        if not self.ready:  # nothing is sent before the books were compared
            self._asked_account[ref] = self.now + _AGAIN
            return
        key, product = self.instrument_of_order(order).key, self.product_of_order(order)
        way = 1 if order.isbuy() else -1
        ours = self._positions[key].size if key in self._positions else 0
        units = min(int(abs(order.executed.remsize)), -way * int(ours), -way * held.get((key, product), 0))
        if ref in self._leaving:
            self._leaving.discard(ref)
            self.ended(order, "canceled", "Kite never had it")
        elif units <= 0:
            self._unresolved(order, "Kite knows no order of this tag, and there is nothing left for it to reduce")
        else:
            self._send_anew(order, units)

    def _send_anew(self, order: Any, units: int) -> None:
        """Under the same tag, so that whatever comes to light of it is known as ours."""
        ref, filled = order.ref, int(abs(order.executed.size))
        if filled + units < abs(order.size):
            reshape(order, filled + units)
            self.count(order)
        self._once[ref] = int(abs(order.size))
        self.alert("warning", f"{spoken(ref)} never arrived at Kite and is sent anew, for {units}", f"anew {ref}")
        proposal = replace(
            self.proposal(order), tag=str(order.info.get("tag")), quantity=units, autoslice=False, reduces=True
        )
        if self.record is not None:
            self.record.intent(self, proposal)
        self._desk.submit(Place(ref, proposal))

    def count(self, order: Any) -> None:
        """The risk ledger knows what the order is now; an exit stays one, also if it is larger than what is held by
        now: that is what it is made smaller by."""
        wanted = self.proposal(order)
        self.ledger.allowed(replace(wanted, reduces=wanted.reduces or self.ledger.is_exit(order.ref)))
        self.ledger.working(order.ref, abs(order.executed.remsize))

    # -- one tag, two orders ----------------------------------------------------------------------------

    def works(self) -> bool:
        """Also what is one too many is an order at Kite."""
        return bool(self._superfluous) or super().works()

    def _meet_twin(self, order_id: str, ref: int) -> None:
        """A second placement of an order that was sent anew has come to light: it is ours, and one too many."""
        self._twins[order_id] = self._ids[order_id] = ref
        self._once.setdefault(ref, int(abs(self.orders[ref].size)))
        self.alert("critical", f"{spoken(ref)} is at Kite twice: {order_id} is one too many", f"twice {ref}")
        self._write("twin", ref=ref, order_id=order_id)

    def _after_news_of_two(self, order: Any) -> None:
        """While one of the two works the other must go; what both have filled in excess is traded back."""
        ref = order.ref
        ids = [one for one, mine in self._twins.items() if mine == ref]
        if not ids:
            return
        for order_id in [*ids, self._order_ids.get(ref, "")]:
            progress = self._progress.get(order_id)
            over = progress is not None and progress.terminal
            if over:
                self._superfluous.pop(order_id, None)
            elif order_id and (order_id in ids or not order.alive()) and order_id not in self._superfluous:
                self._superfluous[order_id] = ref
                self._desk.submit(Cancel(ref, order_id, self._variety(order)))
        surplus = int(abs(order.executed.size)) - self._once[ref] - self._surplus.get(ref, 0)
        if surplus > 0 and order.parent is None:  # of a bracket's child, its group sees to it
            self._surplus[ref] = self._surplus.get(ref, 0) + surplus
            self._flatten(order, surplus)

    def _retire(self) -> None:
        """After a look at the book: what still works of it is cancelled once more."""
        for order_id, ref in self._superfluous.items():
            self._desk.submit(Cancel(ref, order_id, self._variety(self.orders[ref])))
