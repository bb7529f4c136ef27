"""Heard: what Kite says of our orders, from wherever it comes, and what follows from it.

Answers of the desk, updates of the stream, the order book, the margins: all come through the store's inbox
and are applied here, on Cerebro's thread. No call of this file waits for the network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import backtrader as bt

from ..errors import KiteError, OrderUncertain
from ..kite.desk import Cancel
from ..kite.failures import NOT_SENT
from ..kite.inbox import Answer, DeskReply, Link, LinkChange
from ..linetime import from_seconds, to_seconds
from ..log import get_logger
from ..orders.progress import Progress, apply
from ..values import OrderType, OrderUpdate, Source
from . import hours, translate
from .book import BookBroker
from .doubt import Doubt
from .terms import Terms

Order = bt.Order
log = get_logger(__name__)


class Heard(BookBroker):
    """The listening half of :class:`~btkite.brokers.kite.KiteBroker`."""

    store: Any

    def init(self) -> None:
        super().init()
        self._desk: Any = None
        self._ids: dict[str, int] = {}
        self._order_ids: dict[int, str] = {}  # of the placement that counts now; earlier ones stay in ``_ids``
        self._before: dict[int, int] = {}  # ref -> units that earlier placements had filled
        self._tags: dict[str, int] = {}
        self._progress: dict[str, Progress] = {}
        self._parked: dict[str, list[OrderUpdate]] = {}
        self._expiring: set[int] = set()
        self._leaving: set[int] = set()
        self._unwanted: set[int] = set()  # cancelled after the close: not to be placed again
        self._changes: dict[int, int] = {}
        self._changing: dict[int, int] = {}  # ref -> changes that were not answered yet
        self._differs: set[int] = set()  # a change has failed: Kite's book says what the order is
        self._replacing: set[int] = set()
        self._doubt = Doubt()

    def _variety(self, order: Any) -> str:
        """Under which name Kite takes a change of it now."""
        raise NotImplementedError

    def take_reply(self, reply: DeskReply) -> None:
        """The answer to one of our requests."""
        order = self.orders.get(reply.ref)
        if order is None:
            return
        if self.record is not None:
            self.record.reply(reply)
        if reply.action == "place":
            self._placed(order, reply)
            return
        if reply.action == "modify":
            self._changing[order.ref] = self._changing.get(order.ref, 1) - 1
            self._differs.discard(order.ref)
        if reply.error is not None:
            self._not_changed(order, reply)

    def _placed(self, order: Any, reply: DeskReply) -> None:
        error = reply.error
        seen = next((told[0].order_id for told in self._parked.values() if self._tags[told[0].tag] == order.ref), "")
        if error is None or seen:  # if Kite has told of it, it exists, whatever the answer was
            self._known(order, reply.order_id or seen)
        elif isinstance(error, OrderUncertain) and error.error_type != NOT_SENT:
            order.addinfo(uncertain=str(error))
            self._doubt.begin(order.ref, self.now)
            self.store.put_notification(f"order {order.ref} is uncertain", str(error))
            log.warning("uncertain order", ref=order.ref, tag=order.info.get("tag"), reason=str(error))
        else:
            kind = error.error_type if isinstance(error, KiteError) else ""
            self.ended(order, "margin" if _lacks_money(f"{kind} {error}") else "rejected", str(error))

    def _known(self, order: Any, order_id: str) -> None:
        """Kite has it; from now on it has an id."""
        doubted = self._doubt.end(order.ref)
        self._ids[order_id] = order.ref
        self._order_ids[order.ref] = order_id
        order.addinfo(order_id=order_id)
        if not order.alive():
            self._adopt(order)
        self.accepted(order)
        self._write("placed", ref=order.ref, order_id=order_id)
        for update in self._parked.pop(order_id, ()):
            self.take_update(update)
        if doubted and order.alive() and order.ref in self._leaving:
            self._desk.submit(Cancel(order.ref, order_id, self._variety(order)))

    def _adopt(self, order: Any) -> None:
        """Given up, and there all the same: its tag says that it is ours. What it fills counts; the strategy was
        told that it is no more, so the rest is cancelled."""
        order.status = Order.Accepted
        order.addinfo(adopted=True)
        self.terms[order.ref] = Terms(None, False, "next_open")
        self.ledger.allowed(self.proposal(order))
        self.notify(order)
        self.store.put_notification(f"order {order.ref} was given up and has surfaced", order.info.get("order_id"))
        log.error("a given-up order has surfaced", ref=order.ref, tag=order.info.get("tag"))

    def _not_changed(self, order: Any, reply: DeskReply) -> None:
        """A cancel or a change failed: what is true now is in the order book."""
        if reply.action == "modify" or order.ref in self._replacing:
            self._differs.add(order.ref)
        if reply.action == "cancel":
            self._leaving.discard(order.ref)
            self._replacing.discard(order.ref)
        order.addinfo(**{f"{reply.action}_failed": str(reply.error)})
        self.store.put_notification(f"{reply.action} of order {order.ref} failed", str(reply.error))
        log.warning("request failed", action=reply.action, ref=order.ref, reason=str(reply.error))
        self._ask_book()

    def take_update(self, update: OrderUpdate) -> None:
        """What Kite says of one order, from wherever; repeats and old news change nothing."""
        self._now = max(self._now, to_seconds(self.store.clock.now()))
        ref = self._ids.get(update.order_id)
        if ref is None:
            ref = self._tags.get(update.tag)
            if ref is None or ref in self._order_ids:
                self.store.put_notification("foreign order", update.order_id, update.status)
                return
            order = self.orders[ref]
            if order.alive() and ref not in self._doubt:  # the answer to its placement is still to come
                self._parked.setdefault(update.order_id, []).append(update)
                return
            surfaced = not order.alive()
            self._known(order, update.order_id)
            if surfaced and not update.terminal:
                self.recall(order)
        order = self.orders[ref]
        current = self._order_ids.get(ref) == update.order_id and ref not in self.held
        if current and update.status == "OPEN" and translate.TO_KITE.get(order.exectype) is OrderType.SL:
            order.triggered = True  # it was TRIGGER PENDING; what rests now is its limit
        progress, fill = apply(self._progress.get(update.order_id), update, from_seconds(max(self.now, 0)))
        self._progress[update.order_id] = progress
        complete = current and progress.status == "COMPLETE"
        if fill is not None:
            done = int(abs(order.executed.size)) + fill.quantity
            if complete or done > abs(order.size):  # Kite's quantity is the truth, also if a change of ours was late
                self._set(order, done, None, None)
            self.filled(order, fill.quantity, fill.price, to_seconds(fill.time))
        if complete and progress.filled < progress.quantity:
            if update.source is not Source.POLL:
                self._ask_book()  # complete, and what it was filled at is still to be told
        elif current and progress.terminal and order.alive():
            self._over(order, progress)

    def _take_terms(self, order: Any, update: OrderUpdate) -> None:
        """After a change that failed: size and prices are what Kite's book says."""
        self._differs.discard(order.ref)
        size = self._before.get(order.ref, 0) + update.quantity
        if update.terminal or not order.alive() or size <= abs(order.executed.size):
            return
        if order.exectype == Order.Limit:
            self._set(order, size, update.price or None, None)
        else:
            self._set(order, size, update.trigger_price or None, update.price or None)
        self.ledger.allowed(self.proposal(order))
        self.ledger.working(order.ref, abs(order.executed.remsize))
        self._react(self.groups.resized(order.ref, size))

    def _over(self, order: Any, progress: Progress) -> None:
        ref = order.ref
        asked = ref in self._leaving
        self._leaving.discard(ref)
        replacing = ref in self._replacing
        self._replacing.discard(ref)
        open_now = self._session(self.instrument_of_order(order)) is not None
        if progress.status == "COMPLETE":  # it was smaller there than a change of ours would have made it
            self._set(order, int(abs(order.executed.size)), None, None)
            self.ended(order, "completed")
        elif progress.status.startswith("REJECTED"):
            short = _lacks_money(progress.status_message)
            self.ended(order, "margin" if short else "rejected", progress.status_message)
        elif replacing and open_now:
            self._changes.pop(ref, None)
            self.route(order)
        elif ref in self._expiring:
            self._expiring.discard(ref)
            self.ended(order, "expired")
        elif open_now or asked:
            self.ended(order, "canceled", "" if asked else progress.status_message)
        else:
            self._day_is_over(order)

    def _day_is_over(self, order: Any) -> None:
        """The market closed with it: placed again in the morning, unless somebody wanted its end."""
        terms, unwanted = self.terms[order.ref], order.ref in self._unwanted
        self._unwanted.discard(order.ref)
        if not (terms.carry or (terms.deadline is not None and terms.deadline > self.now)):
            self.ended(order, "expired")
        elif unwanted:
            self.ended(order, "canceled")
        else:
            self._hold_till_open(order)

    def _hold_till_open(self, order: Any) -> None:
        instrument = self.instrument_of_order(order)
        self.hold(order, hours.next_open(instrument, self.now, candle_days=self._candle_days(instrument)))

    def _ask_book(self) -> None:
        self.store.reader.ask("orders", self.now, self.store.client.orders)

    def take_answer(self, answer: Answer) -> None:
        """The order book, or the margins."""
        if answer.error is not None:
            self.store.put_notification(f"reading {answer.kind} failed", str(answer.error))
            return
        if answer.kind == "orders":
            for update in answer.value:
                if update.order_id in self._ids or update.tag in self._tags:
                    self.take_update(update)
                    self._settle(update)
            for ref, seconds in self._doubt.give_up(answer.subject):
                self._leaving.discard(ref)
                reason = f"unresolved: Kite knows no order of this tag after {seconds} s"
                self.ended(self.orders[ref], "rejected", reason)
        elif answer.kind == "margins":
            self.ledger.funds_limit = available(answer.value, self._segments())

    def _settle(self, update: OrderUpdate) -> None:
        ref = self._ids.get(update.order_id)
        if ref in self._differs and self._order_ids.get(ref) == update.order_id and not self._changing.get(ref):
            self._take_terms(self.orders[ref], update)

    def _segments(self) -> set[str]:
        """Kite's names for the purses that the run's instruments are paid from."""
        exchanges = {key.partition(":")[0] for key in self._datas}
        return {"commodity" if exchange in ("MCX", "NCO") else "equity" for exchange in exchanges}

    def take_link(self, change: LinkChange) -> None:
        """Order updates sent while we were away are not repeated: read the book after every connect."""
        if change.link is Link.CONNECTED and self._order_ids:
            self._ask_book()

    def unresolved(self) -> list[Any]:
        """Orders of which Kite may or may not know."""
        return [self.orders[ref] for ref in self._doubt.refs()]


def available(margins: Mapping[str, Any], segments: Collection[str]) -> float | None:
    """₹ that Kite would let us use in these segments; None if it does not say."""
    found = [
        float(margins[segment]["available"]["live_balance"])
        for segment in segments
        if (margins.get(segment) or {}).get("enabled") and "available" in margins[segment]
    ]
    return sum(found) if found else None


def _lacks_money(words: str) -> bool:
    return any(word in words.lower() for word in ("margin", "funds"))
