"""KiteBroker: backtrader orders on Kite.

An order goes to the desk (a thread) and Cerebro goes on; what Kite says comes back through the store's
inbox and is applied in :mod:`~btkite.brokers.heard`. No call of this file waits for the network.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..kite.desk import Cancel, Modify, Place, Request
from ..linetime import DAY, seconds_of, to_seconds
from ..log import get_logger
from ..orders.progress import Progress
from ..values import OrderType
from .slices import Slicing

Order = bt.Order
log = get_logger(__name__)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARGINS_EVERY = 60
_CHANGES = 20
"""Kite takes 25 changes of one order; after this many it is cancelled and placed anew."""
_LAST_CHANGES = 24
"""As many when the run ends: then there is no time to place anything anew."""


def base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _ALPHABET[digit] + digits
    return digits.rjust(width, "0")[-width:]


class KiteBroker(Slicing):
    """Orders of one account of Kite, through an armed :class:`~btkite.store.KiteStore`.

    ``order.info`` carries ``order_id`` (Kite's), ``tag``, and ``reason`` if Kite refused it.

    Params:
      - ``store``: the store; it must be armed (``confirm=USER_ID``) when the run starts.
      - ``config``, ``cash``: see :class:`~btkite.brokers.book.BookBroker`.
    """

    params: Any = (("store", None),)
    hears_late = True

    def init(self) -> None:
        super().init()
        self.store = self.p.store
        self._run = base36(secrets.randbits(40), 8)
        self._placements = 0
        self._margins_at = -1

    def start(self) -> None:
        super().start()
        self._runs.add(self._run)
        if self._saved is not None:
            self.restore_account(self._saved)
        self.store.start(broker=self)
        if self.record is not None:
            self.store.client.pace.remember(self.record.sent_on(self.store.clock.now().date()))
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
        if self.waits(order) or self.exits.waits(order):
            return
        self.pin(order)
        if self.cut(order):
            return
        proposal = self.proposal(order)
        remaining = int(abs(order.executed.remsize))
        tag = self._tag(str(order.info.get("tag") or ""))
        variety = proposal.variety
        if self._session(proposal.instrument) is None and self.terms[order.ref].after_hours == "amo":
            variety = "amo"
        # What one order cannot hold was cut by us, and Kite refuses to slice what it can.
        proposal = replace(proposal, tag=tag, quantity=remaining, variety=variety, autoslice=False)
        self._tags[tag] = order.ref
        self._before[order.ref] = int(abs(order.executed.size))
        order.addinfo(tag=tag, variety=variety, filled_before=self._before[order.ref])
        if self.record is not None:
            self.record.intent(self, proposal)
        self._order_ids.pop(order.ref, None)
        self._desk.submit(Place(order.ref, proposal))

    def _tag(self, label: str) -> str:
        """Kite's only handle for an order whose answer was lost: unique, alphanumeric, 20 at most."""
        self._placements += 1
        label = "".join(character for character in label if character.isascii() and character.isalnum())[:6]
        return label + self._run + base36(self._placements, 6)

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        changed = super().modify(order, size, price, plimit)
        if changed and size is not None and self._changing.get(order.ref):
            self._by_strategy.add(order.ref)
        return changed

    def recall(self, order: Any) -> None:
        if self.recall_slices(order):
            return
        self._replacing.discard(order.ref)
        order.info.pop("replacing", None)
        self._take_out(order, wish=order.ref not in self._expiring)

    def _take_out(self, order: Any, *, wish: bool) -> None:
        """``wish``: somebody wants its end, which is written down before it is sent, so that a restart sends it."""
        ref = order.ref
        if self._waiting.pop(ref, None) is not None or self.held.pop(ref, None) is not None:
            self.ended(order, "canceled")
            return
        if ref in self._leaving or self.exits.drop(order):
            return
        if wish and not order.info.get("cancel_wanted"):
            order.addinfo(cancel_wanted=True)
            self._write("cancel", ref=ref)
        uncertain = self.is_uncertain(ref)
        if self._lapses(order) and not uncertain:
            if ref in self._replacing:  # in the morning it is placed as it is now, if it is carried
                self._replacing.discard(ref)
                order.info.pop("replacing", None)
            else:
                self._unwanted.add(ref)
            return
        self._leaving.add(ref)
        if uncertain:
            return  # cancelled as soon as its id is known
        order_id = self._order_ids.get(ref, "")
        if not order_id and self._desk.withdraw(ref):
            self._leaving.discard(ref)
            if ref in self._replacing:
                self._replacing.discard(ref)
                self.place_anew(order)
            else:
                self.ended(order, "canceled")
            return
        self._desk.submit(Cancel(ref, order_id, self._variety(order)))

    def is_leaving(self, order: Any) -> bool:
        if living := self.living(order):
            uncertain = any(self.is_uncertain(one.ref) for one in living)
            return uncertain or all(self.is_leaving(one) for one in living)
        return order.ref in self._leaving or order.ref in self._unwanted or self.is_uncertain(order.ref)

    def _lapses(self, order: Any) -> bool:
        """Whether the day's end takes the order out of the market by itself."""
        return self._variety(order) == "regular" and self._session(self.instrument_of_order(order)) is None

    def reroute(self, order: Any) -> None:
        if order.ref in self._waiting or self.exits.is_watched(order) or self.reroute_slices(order):
            return
        order_id = self._order_ids.get(order.ref, "")  # not known yet: the desk sends it after the placement
        self._changes[order.ref] = self._changes.get(order.ref, 0) + 1
        if self._changes[order.ref] > (_LAST_CHANGES if self.exits.sight.over else _CHANGES):
            if order.ref in self._leaving:
                return  # nobody wants it anew
            self._replacing.add(order.ref)
            order.addinfo(replacing=True)
            self._write("replace", ref=order.ref)  # or a restart would take its cancellation for its end
            self._take_out(order, wish=False)
            return
        wanted = self.proposal(order)
        quantity = wanted.quantity - self._before.get(order.ref, 0)
        changes: dict[str, Any] = {"quantity": quantity, "order_type": wanted.order_type.value}
        if wanted.price:
            changes["price"] = wanted.price
        if wanted.trigger_price:
            changes["trigger_price"] = wanted.trigger_price
        if wanted.order_type in (OrderType.MARKET, OrderType.SLM):
            changes["market_protection"] = wanted.market_protection
        self._changing[order.ref] = self._changing.get(order.ref, 0) + 1
        self._desk.submit(Modify(order.ref, order_id, changes, self._variety(order), reduces=self.is_exit(order)))

    def resume(self, order: Any) -> None:
        """An order of the last run: by its id or its tag it is found in Kite's book; one that never left is sent."""
        wished = self.is_wished_over(order)
        if wished:  # its cancellation may never have left
            self._recalls.append(order.ref)
        if self.exits.resume(order) or self.resume_slices(order):
            return
        order_id, tag = order.info.get("order_id"), order.info.get("tag")
        if order.ref in self.held or "filled_before" not in order.info:  # no placement of it was ever begun
            self.admit(order)
            return
        sent = self._sent_at(str(tag))
        if not order_id and sent is None:  # its first byte never left
            if wished:
                self._waiting[order.ref] = order
                return
            self._forget_placement(order)
            self.admit(order)
            return
        self._tags[str(tag)] = order.ref
        self._before[order.ref] = int(order.info.get("filled_before") or 0)
        if order_id:
            self._ids[str(order_id)] = order.ref
            self._order_ids[order.ref] = str(order_id)
            self._resumed[order.ref] = self._differs[order.ref] = self._asks + 1  # a change may have been on its way
            self._progress[str(order_id)] = self._booked_of(order, str(order_id))
        elif sent is not None and sent // DAY < self.now // DAY:  # the book of its day is gone
            self._resumed[order.ref] = self._asks + 1
        else:
            self._doubt.begin(order.ref, self.now if sent is None else min(sent, self.now))
            if wished:
                self._leaving.add(order.ref)
        if not wished and order.info.get("replacing"):
            self._replacing.add(order.ref)
            self._leaving.add(order.ref)
            self._again[order.ref] = self.now
            self._differs.pop(order.ref, None)  # what it is to be is ours to say

    def is_wished_over(self, order: Any) -> bool:
        """Whether somebody has asked for its end: the strategy, or its group."""
        return bool(order.info.get("cancel_wanted")) or self.groups.is_leaving(order.ref)

    def is_out(self, order: Any) -> bool:
        """Whether Kite may have it: then what became of it is Kite's to say."""
        if self.slices_of(order):
            return True
        info = order.info
        return "filled_before" in info and bool(info.get("order_id") or self._sent_at(str(info.get("tag"))) is not None)

    def _sent_at(self, tag: str) -> int | None:
        """When the last run was about to send a placement; None if it never was. Doubt says now."""
        if self.record is None:
            return self.now
        moment = self.record.sent_at(tag)
        return None if moment is None else to_seconds(moment)

    def _booked_of(self, order: Any, order_id: str) -> Progress:
        """What the last run has booked of the placement that counts now is no news."""
        done = left = int(abs(order.executed.size)) - self._before[order.ref]
        value = 0.0
        if done and (booked := order.info.get("booked")):  # it is not all that the order has traded
            average = float(booked) / done
            return Progress(order_id, filled=done, average_price=average, told=(done, average), booked=float(booked))
        for quantity, price in reversed(self.fills_of(order)):
            value += min(quantity, left) * price
            left -= min(quantity, left)
        value += left * order.executed.price  # without charges no fills are kept
        average = value / done if done else 0.0
        return Progress(order_id, filled=done, average_price=average, told=(done, average), booked=value)

    # -- time -----------------------------------------------------------------------------------------

    def on_time(self, now: int) -> None:
        """Market time is ``now``: deadlines, orders held for the open, look-ups."""
        self._now = max(self._now, now)
        lapsed = [ref for ref, at in self.held.items() if (self.terms[ref].deadline or now + 1) <= min(now, at)]
        self.ending = set(lapsed)
        for ref in sorted(lapsed):
            self.ended(self.orders[ref], "expired")
        self.ending = set()
        for ref, at in sorted(self.held.items()):
            if at <= now and ref in self.held:
                self.route(self.orders[ref])
        # After a restart what is over by then may have traded meanwhile: first the account is read.
        over = self._deadlines() if self.ready else []
        due = [self.orders[ref] for ref, deadline in sorted(over) if deadline <= now]
        self._expiring.update(order.ref for order in due)
        for order in due:
            self.recall(order)
        self.ask_again(now)
        self.look_again(now)
        if self._doubt.look(now):
            self._ask_book()
        self.poll(now)
        self.compare_on_time(now)
        if self._overhang:
            self.shrink_exits()
        self._ask_margins(now)
        self.ask_bands(now)
        self.widen(now)
        if self.ready:
            self.flush()  # of what was cancelled the strategy hears before the rest is closed, as in the other modes
            self.squaring.turn()
        self.tend_at(now)
        self.roll(now)

    def _deadlines(self) -> list[tuple[int, int]]:
        """Ref and second of each order at Kite that is still to be recalled when its time is over."""
        return [
            (ref, terms.deadline)
            for ref, terms in self.terms.items()  # of living orders
            if terms.deadline is not None
            and ref in self._order_ids
            and ref not in self._expiring
            and ref not in self.held
            and self.orders[ref].alive()
        ]

    def is_over(self, order: Any) -> bool:
        """Kite's book speaks of an order until its day is over, and a restart may look for it."""
        if not super().is_over(order) or order.ref in self._watched_refs():
            return False
        ended = max(int(order.info.get("ended") or 0), seconds_of(order.executed.dt) if order.executed.dt else 0)
        return 0 < ended < self.now - self.now % DAY

    def _watched_refs(self) -> set[int]:
        """Orders that something is still to be heard or done of."""
        return {*self._doubt.refs(), *self._again, *self._leaving, *self._replacing}

    def drop(self, ref: int) -> None:
        super().drop(ref)
        for numbers in (
            self._before, self._changes, self._changing, self._differs, self._lagging, self._resumed, self._tries,
        ):  # fmt: skip
            numbers.pop(ref, None)
        for refs in (self._expiring, self._unwanted, self._by_strategy):
            refs.discard(ref)
        self._order_ids.pop(ref, None)
        for tag in [tag for tag, of in self._tags.items() if of == ref]:
            del self._tags[tag]
        for order_id in [order_id for order_id, of in self._ids.items() if of == ref]:
            del self._ids[order_id]
            for known in (self._progress, self._twins, self._superfluous):
                known.pop(order_id, None)

    def next_due(self) -> int | None:
        """The next second at which :meth:`on_time` has something to do."""
        due = self.held_due()
        due += self.exits.due()
        due += [deadline for _, deadline in self._deadlines()]
        due += [
            *self._again.values(),
            *self._doubt.due(),
            *self._asked_account.values(),
            *self.poll_due(),
            *self.compare_due(),
            *self.widen_due(),
        ]
        if self.ready and (at := self.squaring.due()) is not None:
            due.append(at)
        return min(due, default=None)

    def _ask_margins(self, now: int) -> None:
        if self._margins_at >= 0 and now - self._margins_at < _MARGINS_EVERY:
            return
        self._margins_at = now
        self.store.reader.ask("margins", self, self.store.client.margins)
