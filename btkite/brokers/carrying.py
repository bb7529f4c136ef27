"""Carrying: what a placement at Kite is to the broker that knows of it, and how it passes from one order to another.

One order of Kite's book may stand for several orders of the strategy, one after the other
(:mod:`~btkite.brokers.exits`). Everything that is known of a placement is kept by the ref of the order that it
stands for; here it is handed on as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kite.inbox import Answer, DeskReply
from ..values import Instrument, OrderUpdate, Source, Tick, Trade
from .exits import Exits
from .heard import OWN_TAG, Heard
from .sight import Sight


class Carrying(Heard):
    """Placements with a bearer, and the exits among them."""

    def init(self) -> None:
        super().init()
        self.exits = Exits(self)
        self._tended = -1

    # -- what comes in ----------------------------------------------------------------------------------

    def take_tick(self, data: Any, tick: Tick, now: int, bar_end: int, instrument: Instrument | None = None) -> None:
        """A tick at ``now`` (seconds) of ``data``'s instrument, or of one that it was bound to before."""
        self._now = max(self._now, now)
        self.exits.take_price((instrument or self.instrument(data)).key, tick.last_price)

    def take_update(self, update: OrderUpdate, trades: Sequence[Trade] = ()) -> None:
        super().take_update(update, trades)
        self._compare(update)
        self.exits.tend()

    def take_reply(self, reply: DeskReply) -> None:
        super().take_reply(reply)
        self.exits.tend()

    def take_answer(self, answer: Answer) -> None:
        if answer.kind == Sight.kind:
            self.exits.take_answer(answer)
            return
        super().take_answer(answer)
        self.exits.tend()

    def tend_at(self, now: int) -> None:
        """Once a second: watched orders have their time, too."""
        if now > self._tended:
            self._tended = now
            self.exits.tend()

    def _compare(self, update: OrderUpdate) -> None:
        """Kite's order is not what it was made, and no change of it is under way: its book says what is true."""
        ref = self._ids.get(update.order_id, 0)
        if not ref or update.terminal or self._changing.get(ref) or ref in self._differs or ref in self._resumed:
            return
        progress = self._progress[update.order_id]
        newest = (progress.price, progress.trigger_price) == (update.price, update.trigger_price)
        if newest and update.status in ("OPEN", "UPDATE"):
            self.exits.notice(self.orders[ref], update)
        if (newest or update.source is Source.POLL) and self.exits.differs(self.orders[ref], update):
            self.ask_terms(self.orders[ref])

    def ask_terms(self, order: Any) -> None:
        """What Kite's order is, its next book says."""
        self._differs[order.ref] = self._asks + 1
        self._ask_book()

    def before_end(self) -> None:
        """The run is about to end; may be called again. Exits are left as they are safe without us."""
        self.exits.before_end()

    def stop(self) -> None:
        self.before_end()
        super().stop()

    # -- a placement and its bearer -----------------------------------------------------------------------

    def is_expiring(self, order: Any) -> bool:
        """Whether its deadline has passed, and its cancellation is under way."""
        return order.ref in self._expiring

    def is_changing(self, order: Any) -> bool:
        """Whether a change of it was not answered yet."""
        return bool(self._changing.get(order.ref))

    def is_in_question(self, order: Any) -> bool:
        """Whether a change of it is under way, or has failed, and what it is now is still to be read."""
        return self.is_changing(order) or order.ref in self._differs

    def may_change(self, order: Any) -> bool:
        """Whether a change of it can be sent now, and will be judged by what Kite has: nothing else is under way."""
        ref = order.ref
        busy = self._changing.get(ref) or ref in self._differs or ref in self._replacing or ref in self._expiring
        known = ref in self._order_ids and ref not in self.held and ref not in self._resumed
        return known and not busy and not self.is_leaving(order) and self.is_in_session(order)

    def is_in_session(self, order: Any) -> bool:
        """Whether its market is open."""
        return self._session(self.instrument_of_order(order)) is not None

    def holding(self, key: str) -> float:
        """Signed units of an instrument's position."""
        position = self._positions.get(key)
        return position.size if position is not None else 0

    def pass_on(self, before: Any, order: Any) -> None:
        """The placement that stood for ``before`` stands for ``order``, with all that is under way."""
        old, new = before.ref, order.ref
        order_id = self._order_ids[old]
        filled = int(abs(before.executed.size)) - self._before.pop(old, 0)
        self._before[new] = int(abs(order.executed.size)) - filled
        self._ids[order_id] = new
        kept: tuple[dict[int, Any], ...] = (
            self._order_ids, self._changes, self._changing, self._differs, self._lagging, self._resumed, self._again,
            self._tries,
        )  # fmt: skip
        for known in kept:
            known.pop(new, None)
            if old in known:
                known[new] = known.pop(old)
        for marks in (self._leaving, self._unwanted, self._expiring, self._replacing, self._by_strategy):
            marks.discard(new)
            if old in marks:
                marks.discard(old)
                marks.add(new)
        tag = str(before.info.get("tag") or "")
        if tag:
            self._tags[tag] = new
            order.info["tag"], before.info["tag"] = tag, tag[:-OWN_TAG]
        for name in ("order_id", "variety", "booked", "replacing"):
            if name in before.info:
                order.info[name] = before.info[name]
        for name in ("order_id", "filled_before", "booked", "replacing"):
            before.info.pop(name, None)
        order.addinfo(filled_before=self._before[new])
        if old in self._pinned:
            self._pinned[new] = self._pinned[old]

    def write_swap(self, order: Any, before: Any) -> None:
        """On the record: whom the placement stands for now."""
        refs = [order.ref, before.ref]
        self._write("swap", refs=refs, ref=order.ref, of=before.ref, order_id=self._order_ids[order.ref])
