"""Truth: our book is held against the account's, at the start, after every reconnect, and on a timer.

Orders, trades, positions and holdings are read together, off Cerebro's thread; what they mean is decided in
:mod:`~btkite.orders.reconcile`. Until the first comparison is complete nothing is sent, and feeds do not go live;
what a strategy orders meanwhile waits, and leaves then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..kite.inbox import Answer, Link, LinkChange
from ..linetime import from_seconds, to_seconds
from ..log import get_logger
from ..orders.progress import Progress
from ..orders.reconcile import DELIVERED, Slot, account_of, attribute, gaps
from ..values import OrderUpdate, Position, Trade
from .orders import spoken
from .outside import Others, Outside

log = get_logger(__name__)
_AGAIN = 5
"""Seconds until a reading that failed is made again, and until a gap is looked at a second time."""
_LAG = 90
"""Seconds for which the order book may lag behind positions, or they behind it: so long an order of ours that works, or
what one has just traded, may be what a gap is made of, and nothing is taken for an outsider's."""
_LOCKSTEP = 900
"""Seconds between two comparisons where the market waits for us, and nothing is lost by itself."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The account's books, read one after the other; orders last, so that they know of all that the rest shows."""

    trades: Sequence[Trade]
    positions: Sequence[Position]
    holdings: Sequence[Mapping[str, Any]]
    orders: Sequence[OrderUpdate]


@dataclass(frozen=True, slots=True)
class Asked:
    """When a reading was asked for, as which look at the order book, and what had been booked by then."""

    at: int
    number: int
    moves: int


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What a look could not explain: gaps, and orders that the book did not show; and how much was booked by then.
    ``since``: the second from which on it looked like this."""

    gaps: Mapping[Slot, int] = field(default_factory=dict)
    missing: frozenset[int] = frozenset()
    moves: int = -1
    since: int = field(default=-1, compare=False)

    def __bool__(self) -> bool:
        return bool(self.gaps or self.missing)


class Truth(Outside):
    """The comparing part of :class:`~btkite.brokers.kite.KiteBroker`."""

    def init(self) -> None:
        super().init()
        self.begun = False  # the first reading was asked for
        self.ready = False  # the first comparison is complete: orders may leave
        self.in_step = False  # so is the one since the last connect: feeds may go live
        self._waiting: dict[int, Any] = {}  # orders that were routed before
        self._reading = self._read_again = False
        self._compare_at: int | None = None
        self._suspected = Suspicion()
        self._ahead: dict[Slot, tuple[int, int]] = {}  # what no order explained, and since when
        self._lately: list[tuple[Slot, int, int]] = []  # executions of late, when they were booked, units (signed)
        self._missing: dict[int, int] = {}  # ref -> units (signed) that it had open when the book did not show it
        self._recalls: list[int] = []  # cancellations that the last run wished for and may not have sent
        self._compared_day: Any = None

    # -- when ---------------------------------------------------------------------------------------------

    def next(self) -> None:
        super().next()
        if not self.begun and self.store.stream is not None and self.store.stream.connected:
            self.begun = True
            self._read_account()

    def take_link(self, change: LinkChange) -> None:
        """What happened while we were away is not repeated: the account is read after every connect."""
        if change.link is Link.CONNECTED and self.begun:
            self.in_step = False
            self._read_account()

    def compare_on_time(self, now: int) -> None:
        """The timer."""
        if self._compare_at is not None and now >= self._compare_at:
            self._read_account()

    def compare_due(self) -> list[int]:
        """The second of the next reading; in lock step only of one that is waited for."""
        waited_for = not self.store.clock.complete or not self.in_step or bool(self._suspected)
        return [self._compare_at] if self._compare_at is not None and waited_for else []

    def _read_account(self) -> None:
        if self._reading:
            self._read_again = True
            return
        self._reading, self._read_again, self._compare_at = True, False, None
        self._asks += 1
        client = self.store.client
        shares = any(key.partition(":")[0] in ("NSE", "BSE") for key in self.instruments())
        whole = not self.in_step or not self.store.clock.complete

        def read() -> Reading:
            trades = client.trades() if whole else ()
            positions = client.positions()
            holdings = client.holdings() if shares else ()
            return Reading(trades, positions, holdings, client.orders())

        self.store.reader.ask("reconcile", Asked(self.now, self._asks, self._moves), read)

    # -- what -----------------------------------------------------------------------------------------------

    def take_answer(self, answer: Answer) -> None:
        if answer.kind != "reconcile":
            super().take_answer(answer)
            return
        self._reading = False
        if answer.error is not None:
            self.reading_failed("the account", answer.error)
            self._compare_at = self.now + _AGAIN
        else:
            self._take_reading(answer.subject, answer.value)
        if self._read_again:
            self._read_account()
        self.exits.tend()

    def _take_reading(self, asked: Asked, reading: Reading) -> None:
        self._looked = max(self._looked, self.now)
        self.take_book(reading.orders, asked.number, reading.trades)
        for order_id in {trade.order_id for trade in reading.trades} & self._progress.keys():
            self.take_trades(order_id, [trade for trade in reading.trades if trade.order_id == order_id])
        self._end_doubts(asked.at)
        self._retire()
        self._forget_strangers(reading.orders)
        certain = self._hold_against(asked, reading)
        self._compare_at = self.now + (self._period if certain else _AGAIN)
        if certain and not self._read_again:
            self._is_in_step()

    @property
    def is_settled(self) -> bool:
        """Also what became of it at Kite."""
        return super().is_settled and self.ready

    @property
    def _period(self) -> int:
        wanted = math.ceil(self.config.broker.reconcile)
        return max(wanted, _LOCKSTEP) if self.store.clock.complete else wanted

    def _is_in_step(self) -> None:
        if not self.in_step:
            log.info("orders, positions and holdings agree", instruments=len(self._others))
            self._write("reconciled")
        self.in_step = True
        if not self.ready:
            self.ready = True
            for ref in self._recalls:
                if self.orders[ref].alive():
                    self.recall(self.orders[ref])
            self.regroup()
            for order in list(self._waiting.values()):
                self.leave(order)

    def _hold_against(self, asked: Asked, reading: Reading) -> bool:
        """Positions and holdings are the cross-check; true if nothing is left to be explained.

        What cannot be explained counts when a second look, with no execution in between, shows it again: the readings
        are of different moments, and Kite's books may lag behind each other.
        """
        account = account_of(reading.positions, reading.holdings)
        keys = {key for key in self.instruments() & set(self._datas) if not self._has_ended(key)}
        for key in keys - self._others.keys():
            self._first_sight(key, account)
        ours = {(key, self.product_of(key)): int(position.size) for key, position, _ in self.holds()}
        others = {(k, product): o.held(product) for k, o in self._others.items() for product in o.products()}
        found = gaps(account, ours, others, keys)
        before = self._suspected
        self._suspected = Suspicion(found, frozenset(self._missing), self._moves, self.now)
        if not found and not self._missing:
            return True
        if asked.moves != self._moves or before != self._suspected:
            return False
        self._suspected = before
        if self.now - before.since < _LAG and any(self._may_be_ours(*gap) for gap in found.items()):
            return False
        prices = _prices(reading)
        for slot, units in self._converted(found).items():
            left = self._by_missing(slot, units, prices.get(slot, 0.0))
            if left:
                self._explain(slot, left, prices.get(slot, 0.0))
        self._suspected = Suspicion()
        self._end_missing()
        return True

    def _has_ended(self, key: str) -> bool:
        """Whether it is a contract that has expired: Kite shows its position until the next day, our book does not."""
        instrument = self._held.get(key) or self.instrument(self._datas[key])
        return self.expiring.is_over(instrument)

    def _may_be_ours(self, slot: Slot, units: int) -> bool:
        """Whether orders of ours that work could have made this gap, if the order book lags behind; or those that have
        traded the other way, if positions do."""
        lately = sum(n for one, _, n in self._of_late() if one == slot and n * units < 0)
        if abs(lately) >= abs(units):
            return True
        left = sum(
            int(abs(order.executed.remsize))
            for order in map(self.orders.__getitem__, self.terms)  # of those that live
            if order.isbuy() == (units > 0)
            and self._may_be_there(order)
            and (self.instrument_of_order(order).key, self.product_of_order(order)) == slot
        )
        return left >= abs(units)

    def _of_late(self) -> list[tuple[Slot, int, int]]:
        return [row for row in self._lately if self.now - row[1] < _LAG]

    def _may_be_there(self, order: Any) -> bool:
        """Whether Kite has it or may have: also one whose placement is not answered yet, for the account may show what
        it has traded before the answer comes."""
        return order.ref in self._order_ids or self.is_uncertain(order.ref) or "filled_before" in order.info

    def _first_sight(self, key: str, account: Mapping[Slot, int]) -> None:
        """What an instrument has when it is looked at for the first time: shares in the demat account are others'."""
        others = self._others[key] = Others()
        for slot, units in account.items():
            if slot[0] == key and slot[1] in DELIVERED:
                ours = self._size(key) if self.product_of(key) == slot[1] else 0
                if units != ours:
                    others.begin(slot[1], units - ours)

    def _explain(self, slot: Slot, units: int, price: float) -> None:
        """Squared off by the broker, transferred, split, forgotten: by the same policy as an order of others."""
        key, product = slot
        opens = self._size(key) * units >= 0
        last = self.last_price(key)
        at = (price if opens and price > 0 else last) or price
        before, _ = self._ahead.get(slot, (0, 0))
        self._ahead[slot] = (before + units, self._suspected.since)
        if at > 0:
            self.outside(key, product, units, at, from_seconds(self.now))
        else:  # nobody can say at what: a position that has no price is nobody's here
            self._others[key].add(product, units)
            self._write(
                "foreign", order_id="", symbol=key, product=product, quantity=units, followed=0, policy="unpriced"
            )
            self.alert(
                "critical", f"{units:+} {key} ({product}) that no order explains, at no known price", f"foreign {key}"
            )

    def outside(
        self,
        key: str,
        product: str,
        units: int,
        price: float,
        when: datetime,
        order_id: str = "",
        *,
        ours: bool = False,
    ) -> None:
        """Not again what positions have shown before the order book did."""
        if order_id:
            units -= self._known_of((key, product), units, to_seconds(when))
            self._lately = [*self._of_late(), ((key, product), self.now, units)]
        if units:
            super().outside(key, product, units, price, when, order_id, ours=ours)

    def _known_of(self, slot: Slot, units: int, when: int) -> int:
        """What of ``units``, traded at second ``when``, was booked already when no order explained it."""
        ahead, seen = self._ahead.get(slot, (0, -1))
        if when > seen or ahead * units <= 0:
            return 0
        known = min(units, ahead) if units > 0 else max(units, ahead)
        self._ahead[slot] = (ahead - known, seen)
        return known

    def last_price(self, key: str) -> float:
        """₹; 0 if there is none."""
        data = self._datas.get(key)
        return float(data.close[0]) if data is not None and len(data) else self.ledger.position(key).last_price

    def _converted(self, found: dict[Slot, int]) -> dict[Slot, int]:
        """The gaps without those of a position that was made one of another product: that is followed."""
        left = dict(found)
        for (key, product), units in found.items():
            size = self._size(key)
            into = next((p for (k, p), n in found.items() if k == key and p != product and n == -units), None)
            if into is not None and size and product == self.product_of(key) and units == -size:
                self._products[key] = into
                self.tally.convert(key, product, into)
                self.alert("warning", f"{abs(size)} {key} were converted from {product} to {into}", f"converted {key}")
                self._write("converted", symbol=key, quantity=size, product=into)
                del left[key, product], left[key, into]
        return left

    # -- orders of the last run that no book shows any more --------------------------------------------------

    def take_book(self, book: Sequence[OrderUpdate], number: int, trades: Sequence[Trade] = ()) -> None:
        super().take_book(book, number, trades)
        known = {update.order_id for update in book}
        for ref, since in list(self._resumed.items()):
            order = self.orders[ref]
            left = int(abs(order.executed.remsize))
            if number < since:
                continue
            if self._order_ids.get(ref, "") in known or not order.alive():
                del self._resumed[ref]
                self._missing.pop(ref, None)
            else:  # whether it has traded is seen in positions and holdings
                self._missing[ref] = left if order.isbuy() else -left

    def _by_missing(self, slot: Slot, units: int, price: float) -> int:
        """What of a gap such orders explain is their fill; the rest of the gap."""
        mine = [
            (ref, left)
            for ref, left in self._missing.items()
            if (self.instrument_of_order(self.orders[ref]).key, self.product_of_order(self.orders[ref])) == slot
        ]
        explained, rest = attribute(units, mine)
        for ref, some in explained.items():
            order = self.orders[ref]
            # Kite's average is what was paid: of an exit it says nothing.
            opened = price if self._size(slot[0]) * some >= 0 else 0.0
            at = opened or float(order.created.pricelimit or order.created.price or 0.0) or self.last_price(slot[0])
            self.alert(
                "warning",
                f"{spoken(ref)} has traded {abs(some)} {slot[0]} while btkite was not running, at about {at:g}",
                f"missed {ref}",
            )
            self.filled(order, abs(some), at, max(self.now, 0))
        return rest

    def _end_missing(self) -> None:
        for ref in list(self._missing):
            del self._missing[ref]
            self._resumed.pop(ref, None)
            order = self.orders[ref]
            for refs in (self._leaving, self._replacing):
                refs.discard(ref)  # of the placement that is gone
            self._again.pop(ref, None)
            if order.alive() and self.is_wished_over(order):
                self.ended(order, "canceled", "Kite's order book of today does not have it")
            elif order.alive() and self.outlives_the_day(order):
                self._forget_placement(order)
                self.admit(order)
            elif order.alive():
                self.ended(order, "expired", "Kite's order book of today does not have it")
                self.alert("warning", f"{spoken(ref)} is not in Kite's book of today: it is over", f"missing {ref}")

    def regroup(self) -> None:
        """What a group wants may have happened already: first the account is read."""
        if self.ready:
            super().regroup()

    # -- orders that wait -----------------------------------------------------------------------------------

    def waits(self, order: Any) -> bool:
        """Whether it must not leave yet; it will when it may."""
        if not self.ready or self.follows(order):
            self._waiting[order.ref] = order
        return order.ref in self._waiting

    def leave(self, order: Any) -> None:
        """The wait is over."""
        self._waiting.pop(order.ref, None)
        terms = self.terms.get(order.ref)
        if not order.alive() or terms is None:
            return
        closed = order.ref in self._closing and not self.closes_what_is_left(order)
        denial = None if self._flattening else self._not_ours([order])
        if closed:
            self.ended(order, "canceled", "what it was to close was closed by the order that it waited for")
        elif terms.deadline is not None and terms.deadline <= self.now:
            self.ended(order, "expired")
        elif denial is not None:  # what it waited for has traded
            self.ended(order, "rejected", denial.reason)
        else:
            self.admit(order)

    def ended(self, order: Any, how: str, reason: str = "") -> None:
        super().ended(order, how, reason)
        self._make_way(order)

    def filled(self, order: Any, quantity: int, price: float, when: int, order_id: str = "") -> None:
        if order_id and not order.info.get("foreign"):  # what is followed was noted with what is not
            slot, way = (self.instrument_of_order(order).key, self.product_of_order(order)), 1 if order.isbuy() else -1
            self._lately = [*self._of_late(), (slot, self.now, way * quantity)]
        super().filled(order, quantity, price, when, order_id)
        self._make_way(order)

    def _make_way(self, over: Any) -> None:
        """What waited for an order to be over leaves."""
        if over.alive() or not self.ready:
            return
        key = self.instrument_of_order(over).key
        for order in list(self._waiting.values()):
            if self.instrument_of_order(order).key == key:
                self.leave(order)

    # -- over restarts --------------------------------------------------------------------------------------

    def _forget_strangers(self, book: Sequence[OrderUpdate]) -> None:
        """On a new day: those of the day before."""
        today = from_seconds(max(self.now, 0)).date()
        if self._compared_day is not None and today != self._compared_day:
            there = {update.order_id for update in book}
            self._strangers = {name: one for name, one in self._strangers.items() if name in there}
        self._compared_day = today

    def account_state(self) -> dict[str, Any]:
        """What a restart must know beside our own book: the names of our runs, what is others', and what of ours the
        account's books may not show yet."""
        return {
            "lately": [[*slot, at, units] for slot, at, units in self._of_late()],
            "runs": sorted(self._runs),
            "others": {key: others.state() for key, others in self._others.items()},
            "strangers": {name: [one.filled, one.average_price] for name, one in self._strangers.items() if one.filled},
        }

    def restore_account(self, book: Mapping[str, Any]) -> None:
        """What :meth:`account_state` was."""
        self._runs.update(book.get("runs", ()))
        self._lately = [((key, product), at, units) for key, product, at, units in book.get("lately", ())]
        self._others = {key: Others(saved) for key, saved in book.get("others", {}).items()}
        self._strangers = {
            name: Progress(name, filled=filled, average_price=price, told=(filled, price), booked=filled * price)
            for name, (filled, price) in book.get("strangers", {}).items()
        }


def _prices(reading: Reading) -> dict[Slot, float]:
    """₹ per unit that Kite's rows tell."""
    held = {
        (f"{row['exchange']}:{row['tradingsymbol']}", "CNC"): float(row["average_price"]) for row in reading.holdings
    }
    return held | {
        (f"{row.exchange}:{row.tradingsymbol}", row.product): row.average_price
        for row in reading.positions
        if row.average_price > 0
    }
