"""KiteBroker: backtrader orders on Kite.

An order goes to the desk (a thread) and Cerebro goes on; what Kite says comes back through the store's
inbox and is applied here, on Cerebro's thread. No call of this file waits for the network.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..errors import KiteError, OrderUncertain
from ..kite.desk import Cancel, Modify, Place, Request
from ..kite.failures import NOT_SENT
from ..kite.inbox import Answer, DeskReply, Link, LinkChange
from ..linetime import from_seconds, to_seconds
from ..log import get_logger
from ..orders.progress import Progress, apply
from ..values import OrderType, OrderUpdate
from . import hours, translate
from .book import BookBroker

Order = bt.Order
log = get_logger(__name__)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOOKUP = (1, 2, 4, 8, 15, 30, 45, 60, 75, 90)
"""Seconds after an uncertain answer at which the order book is asked for the tag (90 s were seen)."""
_MARGINS_EVERY = 60
_CHANGES = 20
"""Kite takes 25 changes of one order; after this many it is cancelled and placed anew."""


def base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    return digits.rjust(width, "0")[-width:]


class KiteBroker(BookBroker):
    """Orders of one account of Kite, through an armed :class:`~btkite.store.KiteStore`.

    ``order.info`` carries ``order_id`` (Kite's), ``tag``, and ``reason`` if Kite refused it.

    Params:
      - ``store``: the store; it must be armed (``confirm=USER_ID``) when the run starts.
      - ``config``, ``cash``: see :class:`~btkite.brokers.book.BookBroker`.
    """

    params: Any = (("store", None),)

    def init(self) -> None:
        super().init()
        self.store = self.p.store
        self._run = base36(secrets.randbits(40), 8)
        self._ids: dict[str, int] = {}
        self._order_ids: dict[int, str] = {}
        self._tags: dict[str, int] = {}
        self._placements = 0
        self._progress: dict[int, Progress] = {}
        self._parked: dict[str, list[OrderUpdate]] = {}
        self._expiring: set[int] = set()
        self._leaving: set[int] = set()
        self._changing: dict[int, tuple[float, Any, Any]] = {}
        self._changes: dict[int, int] = {}
        self._replacing: set[int] = set()
        self._uncertain: dict[int, tuple[int, int]] = {}  # ref -> (when it began, look-ups made)
        self._margins_at = -1
        self._desk: Any = None

    def start(self) -> None:
        super().start()
        self.store.start(broker=self)
        self._desk = self.store.open_desk(self._before_send)

    def _before_send(self, request: Request) -> str | None:
        """The desk's thread, right before the first byte: the durable record, then the kill state."""
        if self.record is not None:
            self.record.sending(request)
        kill = self.gate.kill if self.gate is not None else None
        if isinstance(request, Place) and not request.proposal.reduces and kill is not None and kill.engaged():
            return f"the kill switch is engaged: {kill.reason}"
        return None

    # -- to Kite --------------------------------------------------------------------------------------

    def route(self, order: Any) -> None:
        self.held.pop(order.ref, None)
        self.pin(order)
        proposal = self.proposal(order)
        remaining = int(abs(order.executed.remsize))
        tag = self._tag(str(order.info.get("tag") or ""))
        variety = proposal.variety
        if self._session(proposal.instrument) is None and self.terms[order.ref].after_hours == "amo":
            variety = "amo"
        proposal = replace(proposal, tag=tag, quantity=remaining, variety=variety)
        self._tags[tag] = order.ref
        order.addinfo(tag=tag, variety=variety)
        if self.record is not None:
            self.record.intent(self, proposal)
        self._order_ids.pop(order.ref, None)
        self._progress.pop(order.ref, None)
        self._desk.submit(Place(order.ref, proposal))

    def _tag(self, label: str) -> str:
        """Kite's only handle for an order whose answer was lost: unique, alphanumeric, 20 at most."""
        self._placements += 1
        label = "".join(character for character in label if character.isalnum())[:6]
        return label + self._run + base36(self._placements, 6)

    def recall(self, order: Any) -> None:
        ref = order.ref
        self._replacing.discard(ref)
        if ref in self._leaving or self._lapses(order):
            return
        self._leaving.add(ref)
        order_id = self._order_ids.get(ref, "")
        if not order_id and self._desk.withdraw(ref):
            self._leaving.discard(ref)
            self.ended(order, "canceled")
            return
        if ref in self._uncertain:
            return  # cancelled as soon as its id is known
        self._desk.submit(Cancel(ref, order_id, self._variety(order)))

    def is_leaving(self, order: Any) -> bool:
        return order.ref in self._leaving

    def _lapses(self, order: Any) -> bool:
        """Whether the day's end takes the order out of the market by itself."""
        return self._variety(order) == "regular" and self._session(self.instrument_of_order(order)) is None

    def reroute(self, order: Any) -> None:
        order_id = self._order_ids.get(order.ref, "")  # not known yet: the desk sends it after the placement
        self._changes[order.ref] = self._changes.get(order.ref, 0) + 1
        if self._changes[order.ref] > _CHANGES:
            self.recall(order)
            self._replacing.add(order.ref)
            return
        price, trigger = translate.kite_prices(order)
        kind = translate.kite_type(order)
        changes: dict[str, Any] = {"quantity": int(abs(order.size)), "order_type": kind.value}
        if price:
            changes["price"] = price
        if trigger and kind in (OrderType.SL, OrderType.SLM):
            changes["trigger_price"] = trigger
        if kind in (OrderType.MARKET, OrderType.SLM):
            changes["market_protection"] = self.proposal(order).market_protection
        self._desk.submit(Modify(order.ref, order_id, changes, self._variety(order)))

    def _variety(self, order: Any) -> str:
        """A released after-market order keeps its variety in the book but is changed as regular."""
        variety = str(order.info.get("variety") or "regular")
        in_session = self._session(self.instrument_of_order(order)) is not None
        return "regular" if variety == "amo" and in_session else variety

    # -- from Kite ------------------------------------------------------------------------------------

    def take_reply(self, reply: DeskReply) -> None:
        """The answer to one of our requests."""
        order = self.orders.get(reply.ref)
        if order is None:
            return
        if self.record is not None:
            self.record.reply(reply)
        if reply.action == "place":
            self._placed(order, reply)
        elif reply.error is not None:
            self._not_changed(order, reply)

    def _placed(self, order: Any, reply: DeskReply) -> None:
        if reply.error is None:
            self._known(order, reply.order_id)
        elif isinstance(reply.error, OrderUncertain) and reply.error.error_type != NOT_SENT:
            order.addinfo(uncertain=str(reply.error))
            self._uncertain[order.ref] = (self.now, 0)
            self.store.put_notification(f"order {order.ref} is uncertain", str(reply.error))
            log.warning("uncertain order", ref=order.ref, tag=order.info.get("tag"), reason=str(reply.error))
        else:
            short = isinstance(reply.error, KiteError) and "margin" in reply.error.error_type.lower()
            self.ended(order, "margin" if short else "rejected", str(reply.error))

    def _known(self, order: Any, order_id: str) -> None:
        """Kite has it; from now on it has an id."""
        uncertain = self._uncertain.pop(order.ref, None) is not None
        self._ids[order_id] = order.ref
        self._order_ids[order.ref] = order_id
        order.addinfo(order_id=order_id)
        self.accepted(order)
        self._write("placed", ref=order.ref, order_id=order_id)
        for update in self._parked.pop(order_id, ()):
            self.take_update(update)
        if uncertain and order.alive() and order.ref in self._leaving:
            self._desk.submit(Cancel(order.ref, order_id, self._variety(order)))

    def _not_changed(self, order: Any, reply: DeskReply) -> None:
        """A cancel or a change failed: what is true now is in the order book."""
        self._leaving.discard(order.ref)
        order.addinfo(**{f"{reply.action}_failed": str(reply.error)})
        self.store.put_notification(f"{reply.action} of order {order.ref} failed", str(reply.error))
        log.warning("request failed", action=reply.action, ref=order.ref, reason=str(reply.error))
        self._ask_book()

    def take_update(self, update: OrderUpdate) -> None:
        """What Kite says of one order, from wherever; repeats and old news change nothing."""
        self._now = max(self._now, to_seconds(self.store.clock.now()))
        ref = self._ids.get(update.order_id)
        if ref is None and update.tag in self._tags:
            ref = self._tags[update.tag]
            order = self.orders[ref]
            if ref in self._uncertain:
                self._known(order, update.order_id)
            elif ref not in self._order_ids:
                self._parked.setdefault(update.order_id, []).append(update)
                return
        if ref is None:
            self.store.put_notification("foreign order", update.order_id, update.status)
            return
        order = self.orders[ref]
        if update.status == "OPEN" and translate.TO_KITE.get(order.exectype) is OrderType.SL:
            order.triggered = True  # it was TRIGGER PENDING; what rests now is its limit
        progress, fill = apply(self._progress.get(ref), update, from_seconds(max(self.now, 0)))
        self._progress[ref] = progress
        if fill is not None:
            quantity = min(fill.quantity, int(abs(order.executed.remsize)))
            if quantity:
                self.filled(order, quantity, fill.price, to_seconds(fill.time))
        if progress.terminal and order.alive():
            self._over(order, progress)

    def _over(self, order: Any, progress: Progress) -> None:
        ref = order.ref
        terms = self.terms[ref]
        asked = ref in self._leaving
        self._leaving.discard(ref)
        replacing = ref in self._replacing
        self._replacing.discard(ref)
        if replacing and progress.status.startswith("CANCELLED") and self._session(self.instrument_of_order(order)):
            self._changes.pop(ref, None)
            self.route(order)
        elif progress.status.startswith("REJECTED"):
            short = "margin" in progress.status_message.lower() or "funds" in progress.status_message.lower()
            self.ended(order, "margin" if short else "rejected", progress.status_message)
        elif ref in self._expiring:
            self._expiring.discard(ref)
            self.ended(order, "expired")
        elif self._session(self.instrument_of_order(order)) is None:  # the day ended
            later = terms.deadline is not None and terms.deadline > self.now
            if terms.carry or later:
                self._hold_till_open(order)
            else:
                self.ended(order, "expired")
        else:
            self.ended(order, "canceled", "" if asked else progress.status_message)

    def _hold_till_open(self, order: Any) -> None:
        instrument = self.instrument_of_order(order)
        self.hold(order, hours.next_open(instrument, self.now, candle_days=self._candle_days(instrument)))

    def resume(self, order: Any) -> None:
        """An order of the last run: by its id or its tag it is found in Kite's book; one that never left is sent."""
        order_id, tag = order.info.get("order_id"), order.info.get("tag")
        if order.ref in self.held or (not order_id and not tag):
            self.admit(order)
            return
        self._tags[str(tag)] = order.ref
        if order_id:
            self._ids[str(order_id)] = order.ref
            self._order_ids[order.ref] = str(order_id)
        else:
            self._uncertain[order.ref] = (self.now, 0)
        self._ask_book()

    # -- time -----------------------------------------------------------------------------------------

    def on_time(self, now: int) -> None:
        """Market time is ``now``: deadlines, orders held for the open, look-ups."""
        self._now = max(self._now, now)
        over = [ref for ref, at in self.held.items() if (self.terms[ref].deadline or now + 1) <= min(now, at)]
        self.ending = set(over)
        for ref in sorted(over):
            self.ended(self.orders[ref], "expired")
        self.ending = set()
        for ref, at in sorted(self.held.items()):
            if at <= now and ref in self.held:
                self.route(self.orders[ref])
        due: list[Any] = []
        for ref in sorted(self._order_ids):
            order = self.orders[ref]
            terms = self.terms.get(ref)
            if terms is None or terms.deadline is None or ref in self.held or not order.alive():
                continue
            if terms.deadline <= now and ref not in self._expiring:
                due.append(order)
        self._expiring.update(order.ref for order in due)
        for order in due:
            self.recall(order)
        self._look_up(now)
        self._ask_margins(now)
        self.roll(now)

    def next_due(self) -> int | None:
        """The next second at which :meth:`on_time` has something to do."""
        due = self.held_due()
        for ref in self._order_ids:
            terms = self.terms.get(ref)
            if terms is not None and terms.deadline is not None and ref not in self._expiring:
                due.append(terms.deadline)
        for began, made in self._uncertain.values():
            due.append(began + _LOOKUP[min(made, len(_LOOKUP) - 1)])
        return min(due, default=None)

    # -- reads ----------------------------------------------------------------------------------------

    def _look_up(self, now: int) -> None:
        """Uncertain orders: ask the order book for their tags, for the whole window."""
        asked = False
        for ref, (began, made) in list(self._uncertain.items()):
            if made < len(_LOOKUP) and now >= began + _LOOKUP[made]:
                self._uncertain[ref] = (began, made + 1)
                asked = True
        if asked:
            self._ask_book()

    def _ask_book(self) -> None:
        self.store.reader.ask("orders", self, self.store.client.orders)

    def _ask_margins(self, now: int) -> None:
        if self._margins_at >= 0 and now - self._margins_at < _MARGINS_EVERY:
            return
        self._margins_at = now
        self.store.reader.ask("margins", self, self.store.client.margins)

    def take_answer(self, answer: Answer) -> None:
        """The order book, or the margins."""
        if answer.error is not None:
            self.store.put_notification(f"reading {answer.kind} failed", str(answer.error))
            return
        if answer.kind == "orders":
            for update in answer.value:
                if update.order_id in self._ids or update.tag in self._tags:
                    self.take_update(update)
            self._give_up()
        elif answer.kind == "margins":
            self.ledger.funds_limit = _available(answer.value)

    def _give_up(self) -> None:
        for ref, (began, made) in list(self._uncertain.items()):
            if made >= len(_LOOKUP):
                del self._uncertain[ref]
                since = self.now - began
                self.ended(self.orders[ref], "rejected", f"unresolved: Kite knows no order of this tag after {since} s")

    def take_link(self, change: LinkChange) -> None:
        """Order updates sent while we were away are not repeated: read the book after every connect."""
        if change.link is Link.CONNECTED and self._order_ids:
            self._ask_book()

    def unresolved(self) -> list[Any]:
        """Orders of which Kite may or may not know."""
        return [self.orders[ref] for ref in self._uncertain]


def _available(margins: Mapping[str, Any]) -> float | None:
    """₹ that Kite would let us use, over both segments; None if it does not say."""
    found = [
        float(segment["available"]["live_balance"])
        for segment in margins.values()
        if isinstance(segment, Mapping) and segment.get("enabled") and "available" in segment
    ]
    return sum(found) if found else None
