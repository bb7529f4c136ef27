"""Heard: what Kite says of our orders, from wherever it comes, and what follows from it.

Answers of the desk, updates of the stream, the order book, the margins: all come through the store's inbox
and are applied here, on Cerebro's thread. No call of this file waits for the network.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..errors import KiteError, OrderUncertain, SessionExpired
from ..kite.desk import Cancel
from ..kite.failures import NOT_SENT
from ..kite.inbox import Answer, DeskReply
from ..linetime import from_seconds, to_seconds
from ..log import get_logger
from ..orders.progress import Progress, apply, apply_trade
from ..values import Fill, OrderType, OrderUpdate, Trade
from . import translate
from .changes import reshape
from .orders import spoken
from .settling import Settling
from .terms import Terms

if TYPE_CHECKING:
    from .exits import Exits

Order = bt.Order
log = get_logger(__name__)
OWN_TAG = 14
"""Characters at the end of a tag that are ours; a strategy's own label is before them."""
_LONGEST_WAIT = 60


class Heard(Settling):
    """The listening half of :class:`~btkite.brokers.kite.KiteBroker`."""

    exits: Exits

    def init(self) -> None:
        super().init()
        self._desk: Any = None
        self._ids: dict[str, int] = {}
        self._before: dict[int, int] = {}  # ref -> units that earlier placements had filled
        self._tags: dict[str, int] = {}
        self._progress: dict[str, Progress] = {}
        self._parked: dict[str, list[OrderUpdate]] = {}
        self._expiring: set[int] = set()
        self._unwanted: set[int] = set()  # cancelled after the close: not to be placed again
        self._changes: dict[int, int] = {}
        self._changing: dict[int, int] = {}  # ref -> changes that were not answered yet
        self._resumed: dict[int, int] = {}  # of the last run: the book must know it from this asking on
        self._by_strategy: set[int] = set()  # the size that was asked for last is the strategy's, not its group's
        self._again: dict[int, int] = {}  # ref -> second at which a cancel, or its group's size, is asked for again
        self._tries: dict[int, int] = {}
        self._replacing: set[int] = set()

    def take_reply(self, reply: DeskReply) -> None:
        """The answer to one of our requests."""
        known = reply.ref if reply.action == "place" else self._ids.get(reply.order_id, reply.ref)
        order = self.orders.get(known)  # of exits that share one order at Kite, the one that it stands for now
        if order is None:
            return
        if self.record is not None:
            self.record.reply(reply)
        if reply.action == "place":
            self._placed(order, reply)
            return
        if reply.action == "modify":
            self._changing[order.ref] = self._changing.get(order.ref, 1) - 1
            self._differs.pop(order.ref, None)
            self._lagging.pop(order.ref, None)
            self.exits.changed(order, "" if reply.error is None else str(reply.error) or "no words")
        if reply.error is not None:
            self._not_changed(order, reply)
        elif reply.action == "modify":
            self._by_strategy.discard(order.ref)
            self._tries.pop(order.ref, None)

    def _placed(self, order: Any, reply: DeskReply) -> None:
        error = reply.error
        seen = next((told[0].order_id for told in self._parked.values() if self._tags[told[0].tag] == order.ref), "")
        if error is None or seen:  # if Kite has told of it, it exists, whatever the answer was
            self._known(order, reply.order_id or seen)
        elif isinstance(error, OrderUncertain) and error.error_type != NOT_SENT:
            order.addinfo(uncertain=str(error))
            self._doubt.begin(order.ref, self.now)
            self.store.put_notification(f"{spoken(order.ref)} is uncertain", str(error))
            self.remark("uncertain", ref=order.ref, tag=order.info.get("tag"), reason=str(error))
            log.warning("uncertain order", ref=order.ref, tag=order.info.get("tag"), reason=str(error))
        else:
            kind = error.error_type if isinstance(error, KiteError) else ""
            if not self.exits.refused(order, str(error)):
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
        self._write("placed", ref=order.ref, order_id=order_id, looked_up=doubted)
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
        self.store.put_notification(f"{spoken(order.ref)} was given up and has surfaced", order.info.get("order_id"))
        self.remark("adopted", ref=order.ref, tag=order.info.get("tag"), reason="it was given up and has surfaced")
        log.error("a given-up order has surfaced", ref=order.ref, tag=order.info.get("tag"))

    def _not_changed(self, order: Any, reply: DeskReply) -> None:
        """A cancel or a change failed: what is true now is in the order book. Who wanted an order's end still wants
        it: while it lives, a cancel is sent again, after ever longer waits."""
        if reply.action == "modify":
            self.doubt_terms(order)
        else:
            self._try_again(order.ref)
        order.addinfo(**{f"{reply.action}_failed": str(reply.error)})
        self.store.put_notification(f"{reply.action} of {spoken(order.ref)} failed", str(reply.error))
        log.warning("request failed", action=reply.action, ref=order.ref, reason=str(reply.error))
        self._ask_book()

    def _try_again(self, ref: int) -> None:
        tries = self._tries[ref] = self._tries.get(ref, 0) + 1
        self._again[ref] = self.now + min(2**tries, _LONGEST_WAIT)

    def hasten(self, order: Any) -> None:
        if order.ref in self._again:
            self._again[order.ref] = min(self._again[order.ref], self.now + 1)

    def ask_again(self, now: int) -> None:
        """Cancels that failed, and sizes that a group wanted and Kite refused, are asked for once more."""
        for ref in sorted(ref for ref, at in self._again.items() if at <= now):
            del self._again[ref]
            order = self.orders[ref]
            if not order.alive() or ref in self.held or self.is_uncertain(ref):
                continue
            if ref in self._leaving:
                self._desk.submit(Cancel(ref, self._order_ids.get(ref, ""), self._variety(order)))
            elif not self.is_leaving(order):
                self._react(ref)

    def take_update(self, update: OrderUpdate, trades: Sequence[Trade] = ()) -> None:
        """What Kite says of one order, from wherever; repeats and old news change nothing. ``trades``: those of the
        order that were read with it."""
        self._now = max(self._now, to_seconds(self.store.clock.now()))
        ref = self._ids.get(update.order_id)
        if ref is None:
            ref = self._meet(update)
        if ref is None:
            return
        order, was_stop = self.orders[ref], update.status == "OPEN" and update.order_type != OrderType.LIMIT
        self.note_update(ref, update)
        if was_stop and self.is_current(order, update.order_id) and self._is_stop_with_limit(order):
            order.triggered = True  # it was TRIGGER PENDING; what rests now is its limit
        known = self._progress.get(update.order_id)
        progress, fill = apply(known, update, from_seconds(max(self.now, 0)), trades)
        self._advance(order, progress, fill)
        if update.filled_quantity > progress.filled or (progress.status == "COMPLETE" and not progress.filled):
            self._ask_trades(update.order_id)  # what it was filled at is still to be told
        if update.terminal and update.status != "COMPLETE":
            self._settle(update)

    def take_trades(self, order_id: str, trades: Sequence[Trade]) -> None:
        """The trades of one order, each of which counts once."""
        for trade in trades:
            progress = self._progress.get(order_id)
            if progress is None or trade.order_id != order_id:
                continue
            when = trade.time or from_seconds(max(self.now, 0))
            known, fill = apply_trade(progress, Fill(trade.quantity, trade.average_price, when, trade.trade_id))
            self._advance(self.orders[self._ids[order_id]], known, fill)

    def _meet(self, update: OrderUpdate) -> int | None:
        """The ref of an order id that was not heard of before; None if it is nobody's, or too early to say."""
        ref = self._tags.get(update.tag) if update.tag else None
        if ref is None:
            self.take_stranger(update)
            return None
        order = self.orders[ref]
        if ref in self._order_ids:
            if self._is_iceberg(order):
                self._ids[update.order_id] = ref  # its next leg is an order of its own
                self._order_ids[ref] = update.order_id
                order.addinfo(order_id=update.order_id)
            else:
                self._meet_twin(update.order_id, ref)
            return ref
        if order.alive() and not self.is_uncertain(ref):  # the answer to its placement is still to come
            self._parked.setdefault(update.order_id, []).append(update)
            return None
        surfaced = not order.alive()
        self._known(order, update.order_id)
        if surfaced and not update.terminal:
            self.recall(order)
        return ref

    def take_stranger(self, update: OrderUpdate) -> None:
        """An order that none of ours is."""
        self.store.put_notification("foreign order", update.order_id, update.status)

    def is_current(self, order: Any, order_id: str) -> bool:
        """Whether this is the placement that counts now."""
        return self._order_ids.get(order.ref) == order_id and order.ref not in self.held

    def _advance(self, order: Any, progress: Progress, fill: Fill | None) -> None:
        """What is known of a placement has grown: its fill, its end."""
        order_id = progress.order_id
        self._progress[order_id] = progress
        if fill is not None:
            order = self.orders[self.exits.credit(order.ref, progress, fill)]
        ref = order.ref
        current, legs = self.is_current(order, order_id), self._is_iceberg(order)
        complete = current and progress.status == "COMPLETE" and not legs
        if fill is not None:
            done = int(abs(order.executed.size)) + fill.quantity
            # Kite's quantity is the truth, also if a change of ours was late.
            if complete and not self.goes_on(order, done):
                reshape(order, done)
            elif done > abs(order.size):  # by as much as still works of it, it is not at its end
                reshape(order, done + (progress.remaining if current else 0))
            self.filled(order, fill.quantity, fill.price, to_seconds(fill.time), order_id)
            if order.alive() and not (current or legs or ref in self.held):
                # Of a placement that was replaced: the one that works is too large by it.
                self._before[ref] = self._before.get(ref, 0) + fill.quantity
                self.reroute(order)
        self._after_news_of_two(order)
        if legs and progress.status == "COMPLETE":
            return  # a leg; the last one has filled the order
        whole = progress.status != "COMPLETE" or progress.filled >= progress.quantity
        if current and progress.terminal and whole and order.alive():
            self._over(order, progress)

    def goes_on(self, order: Any, done: int) -> bool:
        """Whether a bracket's exit that is complete at Kite with ``done`` units is not at its end: it was to grow with
        its entry, and was too fast. The rest of it is placed anew."""
        ref = order.ref
        mine = order.parent is not None and ref not in self._by_strategy and ref not in self._leaving
        return bool(mine and done < self.groups.told_of(ref))

    def _is_stop_with_limit(self, order: Any) -> bool:
        sent = translate.sent_as(order, self.instrument_of_order(order), self.config.broker)
        return sent[0] is OrderType.SL

    def _over(self, order: Any, progress: Progress) -> None:
        ref = order.ref
        replacing = ref in self._replacing
        self._replacing.discard(ref)
        asked = ref in self._leaving and not replacing
        self._leaving.discard(ref)
        open_now = self._session(self.instrument_of_order(order)) is not None
        if progress.status == "COMPLETE" and not asked and self.goes_on(order, int(abs(order.executed.size))):
            order.triggered = order.triggered or translate.is_waiting_stop(order)
            self.place_anew(order)
        elif progress.status == "COMPLETE":  # it was smaller there than a change of ours would have made it
            reshape(order, int(abs(order.executed.size)))
            self.ended(order, "completed")
        elif progress.status.startswith("REJECTED"):
            short = _lacks_money(progress.status_message)
            if asked or not self.exits.refused(order, progress.status_message):
                self.ended(order, "margin" if short else "rejected", progress.status_message)
        elif replacing and open_now:
            self.place_anew(order)
        elif ref in self._expiring:
            self._expiring.discard(ref)
            self.ended(order, "expired")
        elif open_now or asked:
            self.ended(order, "canceled", "" if asked else progress.status_message)
        else:
            self._day_is_over(order)

    def place_anew(self, order: Any) -> None:
        """Its placement is over and it is not: another one, for the rest, as it is now."""
        self._desk.drop(order.ref)
        for known in (
            self._order_ids, self._changes, self._changing, self._differs, self._lagging, self._resumed,
        ):  # fmt: skip
            known.pop(order.ref, None)
        self._forget_placement(order)
        self.route(order)

    def _day_is_over(self, order: Any) -> None:
        """The market closed with it: placed again in the morning, unless somebody wanted its end."""
        unwanted = order.ref in self._unwanted
        self._unwanted.discard(order.ref)
        if not self.outlives_the_day(order):
            self.ended(order, "expired")
        elif unwanted:
            self.ended(order, "canceled")
        else:
            self._forget_placement(order)
            self.hold_till_open(order, self.now)

    def outlives_the_day(self, order: Any) -> bool:
        """Whether it is to be placed again when the day has taken it out of the market."""
        terms = self.terms[order.ref]
        return bool(terms.carry or (terms.deadline is not None and terms.deadline > self.now))

    @staticmethod
    def _forget_placement(order: Any) -> None:
        """Its next one has a tag of its own, is of today, and no restart looks for this one."""
        info = order.info
        info["tag"] = str(info.get("tag") or "")[:-OWN_TAG]
        if info.get("variety") == "amo":
            info["variety"] = "regular"
        for name in ("order_id", "filled_before", "cancel_wanted", "replacing"):
            info.pop(name, None)

    def reading_failed(self, what: str, error: Exception) -> None:
        """A strategy hears of it; that a token is dead it has been told already, and once."""
        if not isinstance(error, SessionExpired):
            self.store.put_notification(f"reading {what} failed", str(error))

    def take_answer(self, answer: Answer) -> None:
        """The order book, the trades of an order, the account, or the margins."""
        if answer.kind == "orders":
            self._open_asks -= 1
        elif answer.kind == "trades":
            self._unpriced.discard(answer.subject)
        if answer.error is not None:
            self.reading_failed(answer.kind, answer.error)
            return
        if answer.kind == "orders":
            when, number = answer.subject
            self.take_book(answer.value, number)
            self._end_doubts(when)
            self._retire()
        elif answer.kind == "trades":
            self.take_trades(answer.subject, answer.value)
        elif answer.kind == "account":
            held, book = answer.value
            self.take_book(book, 0)
            self.take_account(answer.subject, held)
        elif answer.kind == "margins":
            self.ledger.funds_limit = available(answer.value, self._segments())

    def take_book(self, book: Sequence[OrderUpdate], number: int, trades: Sequence[Trade] = ()) -> None:
        """The order book of the ``number``-th asking, and the trade book, if it was read with it."""
        traded: dict[str, list[Trade]] = {}
        for trade in trades:
            traded.setdefault(trade.order_id, []).append(trade)
        for update in book:
            self.take_update(update, traded.get(update.order_id, ()))
            self._settle(update, number)

    def _segments(self) -> set[str]:
        """Kite's names for the purses that the run's instruments are paid from."""
        exchanges = {key.partition(":")[0] for key in self._datas}
        return {"commodity" if exchange in ("MCX", "NCO") else "equity" for exchange in exchanges}


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
