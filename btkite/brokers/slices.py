"""Slices: an order above the freeze quantity, as several orders at Kite that are one here.

Kite takes no order above the quantity at which the exchange freezes. Its own ``autoslice`` makes children whose ids are
in one answer, which may be lost, under one tag; so an order of ours is cut here. Each slice is an order with a tag,
a doubt, changes and an end of its own, as if the strategy had given it, but nobody hears of it: its fills are its
order's, and the order ends when all its slices have. Slices have negative refs, so that they take none from the
strategy's orders; what of an order is not in them yet (a crash between two) is cut when it is looked at again.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..linetime import from_seconds
from ..log import get_logger
from ..market.permitted import largest_order
from ..values import Denial, Proposal
from .book import STATUS
from .changes import reshape
from .cutting import is_many
from .orders import whole_ref
from .widening import Widening

Order = bt.Order
log = get_logger(__name__)
_ENDS = {"margin": 4, "rejected": 3, "expired": 2, "canceled": 1}
"""How an order ends whose slices ended in different ways: the gravest."""
_MORE = (
    "sliced", "order_id", "filled_before", "cancel_wanted", "replacing", "uncertain", "booked", "slices_ended",
    "slices_reason",
)  # fmt: skip
"""What an order is told of itself; a slice has its own."""


class Slicing(Widening):
    """The part of :class:`~btkite.brokers.kite.KiteBroker` that knows of slices."""

    def whole_of(self, order: Any) -> Any:
        """The order that a slice is of; None for what is no slice."""
        return self.orders[whole_ref(order.ref)] if order.ref < 0 else None

    def slices_of(self, order: Any) -> list[Any]:
        """All slices of an order that were cut so far, those that have ended too."""
        return self.orders.slices_of(order.ref)  # none of a slice

    def living(self, order: Any) -> list[Any]:
        return [one for one in self.slices_of(order) if one.alive()]

    # -- to the market ----------------------------------------------------------------------------------

    def cut(self, order: Any) -> bool:
        """``order`` is to be placed. True if it goes in slices, which are sent."""
        if not is_many(order):
            return False
        for one in self._add(order, int(abs(order.size)) - self._accounted(order)):
            self.admit(one)
        return True

    def _add(self, order: Any, units: int) -> list[Any]:
        """New slices of ``units`` in all. They are all known before the first is sent."""
        most = self._most(order)
        made = []
        while units > 0:
            made.append(self._slice(order, min(units, most)))
            units -= most
        return made

    def _most(self, order: Any) -> int:
        day = from_seconds(max(self.now, 0)).date()
        return largest_order(self.instrument_of_order(order), day) or int(abs(order.size))

    def _accounted(self, order: Any) -> int:
        """Units of the order that are, or were, a slice's."""
        return sum(int(abs(one.size)) for one in self.slices_of(order))

    def _slice(self, order: Any, units: int) -> Any:
        one = copy.copy(order)
        one.p = one.params = copy.copy(order.p)
        one.p.parent = None
        one.ref = self.orders.next_slice(order.ref)
        one.created, one.executed = copy.copy(order.created), bt.order.OrderData(remsize=0)
        one.info = type(order.info)()
        one.addinfo(**{name: value for name, value in order.info.items() if name not in _MORE})
        one.addinfo(product=self.product_of_order(order))
        one.status = Order.Submitted
        reshape(one, units)
        one.activate()
        self.orders[one.ref] = one
        self.terms[one.ref] = self.terms[order.ref]
        self._bound[one.ref] = self.instrument_of_order(order)
        return one

    def recall_slices(self, order: Any) -> bool:
        """Take an order's slices out of the market. False if it has none."""
        if not self.slices_of(order):
            return False
        if not order.info.get("cancel_wanted"):
            order.addinfo(cancel_wanted=True)
            self._write("cancel", ref=order.ref)
        for one in self.living(order):
            self.cancel(one)
        return True

    def reroute_slices(self, order: Any) -> bool:
        """The order's size or prices changed, so its slices do. False if it has none."""
        if not self.slices_of(order):
            return False
        resized = self._share(order, int(abs(order.size)) - self._accounted(order))
        price, plimit = order.created.price, order.created.pricelimit
        for one in self.living(order):
            moved = (one.created.price, one.created.pricelimit) != (price, plimit)
            if one.ref in resized or moved:
                reshape(one, int(abs(one.size)), price, plimit)
                if not self.is_leaving(one) and one.ref not in self.held:
                    self.reroute(one)
        return True

    def _share(self, order: Any, more: int) -> set[int]:
        """Hand out ``more`` units (fewer, if negative) among the slices; refs of those that must be changed."""
        changed = set()
        free = [one for one in reversed(self.living(order)) if not self.is_leaving(one)]
        for one in free:
            size, done = int(abs(one.size)), int(abs(one.executed.size))
            units = max(more, done - size) if more < 0 else min(more, self._most(order) - size)
            if not units:
                continue
            more -= units
            reshape(one, size + units)
            if size + units > done:
                changed.add(one.ref)
            else:
                self.cancel(one)
        for one in self._add(order, more):
            self.admit(one)
        return changed

    # -- what is heard of a slice, is of its order ---------------------------------------------------------

    def notify(self, order: Any) -> None:
        if order.ref > 0:
            super().notify(order)

    def accepted(self, order: Any) -> None:
        if order.ref > 0:
            super().accepted(order)
        elif order.status in (Order.Created, Order.Submitted):
            order.status = Order.Accepted
            super().accepted(self.whole_of(order))

    def filled(self, order: Any, quantity: int, price: float, when: int, order_id: str = "") -> None:
        whole = self.whole_of(order)
        if whole is None:
            super().filled(order, quantity, price, when, order_id)
            return
        book = order.executed
        done = int(abs(book.size)) + quantity
        book.price = (book.price * (done - quantity) + price * quantity) / done
        book.size = done if order.isbuy() else -done
        book.remsize = order.size - book.size
        if order.alive():
            order.status = Order.Partial if book.remsize else Order.Completed
        if order.triggered:
            whole.triggered = True
        # A slice may have traded beyond a size that Kite refused: by what works of it still, its order goes on.
        works = sum(int(abs(one.executed.remsize)) for one in self.living(whole))
        self._fit(whole, at_least=int(abs(whole.executed.size)) + quantity + works)
        super().filled(whole, quantity, price, when, order_id)
        if not order.alive():
            self._forget_slice(order)
        self._tally(whole)

    def ended(self, order: Any, how: str, reason: str = "") -> None:
        whole = self.whole_of(order)
        if whole is None:
            super().ended(order, how, reason)
            return
        if not order.alive():
            return
        order.addinfo(ended=max(self.now, 0))
        order.status = STATUS[how]
        self._forget_slice(order)
        if how in ("rejected", "margin"):
            left = int(abs(order.executed.remsize))
            level = "critical" if self.is_exit(whole) else "warning"
            key = self.instrument_of_order(order).key
            words = f"a slice of order {whole.ref}, {left} of {key}, was refused: {reason}"
            self.alert(level, words, f"slice {whole.ref}")
        if _ENDS.get(how, 0) > _ENDS.get(str(whole.info.get("slices_ended")), 0):
            whole.addinfo(slices_ended=how, slices_reason=reason)
        self._write("slice", ref=whole.ref, of=order.ref, how=how, reason=reason)
        self._tally(whole)

    def _forget_slice(self, order: Any) -> None:
        self.held.pop(order.ref, None)
        self.terms.pop(order.ref, None)

    def _tally(self, order: Any) -> None:
        """A slice has changed or ended: what that makes of the order."""
        if not order.alive():
            return
        left = int(abs(order.size)) - self._accounted(order)
        if left > 0 and not order.info.get("cancel_wanted") and self.goes_on(order, self._accounted(order)):
            for one in self._add(order, left):  # its group has wanted it larger, and a slice was too fast
                self.admit(one)
        elif left:
            self._fit(order, self._accounted(order))
        if not self.living(order):
            how = str(order.info.get("slices_ended") or "completed")
            self.ended(order, how, str(order.info.get("slices_reason") or ""))

    def _fit(self, order: Any, size: int = 0, *, at_least: int = 0) -> None:
        """Kite's quantities are the truth: the order has that many units, or at least so many."""
        size = max(size, at_least) if size else max(int(abs(order.size)), at_least)
        if size != abs(order.size) and order.alive():
            reshape(order, size)
            self.ledger.working(order.ref, abs(order.executed.remsize))

    def count(self, order: Any) -> None:
        whole = self.whole_of(order)
        if whole is None:
            super().count(order)
        else:
            size = self._accounted(whole)
            self._fit(whole, size)
            super().count(whole)
            if self.groups.told(whole.ref, size):
                self._try_again(whole.ref)

    def hasten(self, order: Any) -> None:
        for one in (order, *self.living(order)):
            super().hasten(one)

    def _adopt(self, order: Any) -> None:
        whole = self.whole_of(order)
        if whole is None:
            super()._adopt(order)
            return
        order.status = Order.Accepted
        order.addinfo(adopted=True)
        if not whole.alive():
            super()._adopt(whole)
        self.terms[order.ref] = self.terms[whole.ref]

    # -- questions -----------------------------------------------------------------------------------------

    def proposal(self, order: Any) -> Proposal:
        whole, wanted = self.whole_of(order), super().proposal(order)
        return wanted if whole is None else replace(wanted, reduces=super().proposal(whole).reduces)

    def is_exit(self, order: Any) -> bool:
        return super().is_exit(self.whole_of(order) or order)

    def unresolved(self) -> list[Any]:
        found = {one.ref: one for one in (self.whole_of(order) or order for order in super().unresolved())}
        return list(found.values())

    def _not_ours(self, group: Sequence[Any]) -> Denial | None:
        return super()._not_ours([order for order in group if order.ref > 0])  # a slice was judged with its order

    def _goes(self, order: Any) -> bool:
        living = self.living(order) if order.ref > 0 else []
        return all(map(super()._goes, living)) if living else super()._goes(order)

    # -- over restarts ----------------------------------------------------------------------------------------

    def resume_slices(self, order: Any) -> bool:
        """An order of the last run that was cut: its slices come back by themselves. False if it has none."""
        if not self.slices_of(order):
            return False
        left = int(abs(order.size)) - self._accounted(order)
        if left > 0 and not self.is_wished_over(order):
            for one in self._add(order, left):
                self.admit(one)
        return True

    def is_over(self, order: Any) -> bool:
        return super().is_over(order) and not self._watched_refs().intersection(
            one.ref for one in self.slices_of(order)
        )

    def drop(self, ref: int) -> None:
        for one in self.orders.slices_of(ref):
            self.drop(one.ref)
        super().drop(ref)
