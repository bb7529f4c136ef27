"""Lasting: the account over restarts. The journal holds it; what the last run left becomes this run's again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import backtrader as bt

from ..slots import Left
from ..values import Instrument, OrderUpdate
from . import hours, translate
from .facts import Sizing, order_facts, strategy_facts, watch_sizers
from .fitting import Fitting
from .orders import Orders, whole_ref
from .record import Note, restore_orders
from .terms import Terms


class Lasting(Fitting):
    """With a ``record``, every event is written down with the account after it."""

    orders: Orders
    terms: dict[int, Terms]

    def init(self) -> None:
        super().init()
        self.record: Note | None = self.p.record
        self.who: dict[int, dict[str, Any]] = {}  # a strategy's id -> its name, number and digest, for the record
        self.sizing: dict[int, dict[str, Any]] = {}  # ref -> how its size came about, until it is written down
        self._sizers: dict[int, Sizing] = {}
        self._noted: dict[str, tuple[Any, ...]] = {}  # order_id -> what was last written down of it
        self._saved: dict[str, Any] | None = None
        self._adopted = self._takes_up = self._restoring = False
        self.newest = 0  # the highest ref of the runs before
        self._trailing: dict[int, int] = {}  # ref -> length of its data when last looked at

    def _write(self, kind: str, **facts: Any) -> None:
        if self.record is not None:
            self.record.note(kind, self, **facts)

    def remark(self, kind: str, **facts: Any) -> None:
        """For who asks later what happened: nothing depends on it, and it costs next to nothing."""
        if self.record is not None:
            self.record.remark(kind, self.now, **facts)

    def record_flush(self) -> None:
        """What was remarked becomes durable, and is to be seen by others."""
        if self.record is not None:
            self.record.flush()

    def alert(self, level: str, sentence: str, key: str = "") -> None:
        super().alert(level, sentence, key)
        self.remark("alert", level=level, text=sentence, key=key)

    def explained(self, group: Sequence[Any]) -> list[dict[str, Any]]:
        """What explains these orders, if it is written down."""
        return [order_facts(self, order) for order in group] if self.record is not None else []

    def note_sizing(self, order: Any, size: float) -> None:
        """The order is new: whether its size is its strategy's sizer's."""
        sizer = self._sizers.get(id(order.p.owner))
        if sizer is not None and (note := sizer.take(order.data, size)) is not None:
            self.sizing[order.ref] = note

    def note_update(self, ref: int, update: OrderUpdate) -> None:
        """What Kite said of an order, and by which way; what was said already is not written again."""
        if self.record is None:
            return
        said = (
            update.status, update.status_message, update.quantity, update.filled_quantity, update.cancelled_quantity,
            update.price, update.trigger_price, update.average_price,
        )  # fmt: skip
        if self._noted.get(update.order_id) == said:
            return
        self._noted[update.order_id] = said
        self.remark(
            "update",
            ref=ref,
            order_id=update.order_id,
            source=update.source,
            status=update.status,
            message=update.status_message,
            quantity=update.quantity,
            filled=update.filled_quantity,
            cancelled=update.cancelled_quantity,
            price=update.price,
            trigger_price=update.trigger_price,
            average_price=update.average_price,
            exchange_time=update.exchange_time,
        )

    def meet_strategies(self) -> None:
        """Once, when strategies exist: who gives orders here, and how they are sized."""
        strategies = getattr(self.cerebro, "runningstrats", None)
        if self.record is None or self.who or not strategies:
            return
        for number, strategy in enumerate(strategies):
            facts = strategy_facts(strategy)
            self.who[id(strategy)] = {"strategy": facts["strategy"], "number": number, "digest": facts["digest"]}
            self.remark("strategy", number=number, **facts)
        self._sizers = watch_sizers(strategies, self)

    def adopt(self) -> None:
        """Once, when strategies exist: what the last run left becomes theirs again."""
        self.meet_strategies()
        strategies = getattr(self.cerebro, "runningstrats", None)
        if self._saved is None or not strategies:
            return
        book, self._saved = self._saved, None
        self._adopted = self._restoring = True
        restore_orders(self, book, strategies)
        self._restoring = False
        refs = sorted({whole_ref(row["ref"]) for row in book["orders"]})
        self._write("restored", refs=refs, orders=len(book["orders"]), positions=len(book["positions"]))
        self.flush()

    @property
    def takes_up(self) -> bool:
        """Whether orders or positions of an earlier run go on in this one."""
        return self._takes_up

    @property
    def is_settled(self) -> bool:
        """Whether what the last run left is known: before that, nobody can say that nothing is open."""
        return self._saved is None

    def account_state(self) -> dict[str, Any]:
        """What a restart must know beside the book; nothing, where the account is ours alone."""
        return {}

    def holds(self) -> list[tuple[str, bt.Position, str]]:
        """Open positions: key, position, ISO date since when."""
        return [
            (key, position, self._since.get(key, date.min).isoformat())
            for key, position in self._positions.items()
            if position.size
        ]

    def holdings(self, today: date) -> list[dict[str, Any]]:
        """Delivery positions as Kite's holdings: what was bought before ``today``; until the exchange has
        delivered it, one trading day later, it counts as ``t1_quantity``."""
        rows = []
        for key, position, since in self.holds():
            if self._products.get(key) not in ("CNC", "MTF") or date.fromisoformat(since) >= today:
                continue
            exchange = key.partition(":")[0]
            delivered = hours.next_session_day(exchange, date.fromisoformat(since)) < today
            rows.append(
                {
                    "tradingsymbol": key.partition(":")[2],
                    "exchange": exchange,
                    "quantity": position.size if delivered else 0,
                    "t1_quantity": 0 if delivered else position.size,
                    "average_price": position.price,
                }
            )
        return rows

    def set_position(self, key: str, size: int, price: float, product: str, since: date) -> None:
        """A position as the journal has it."""
        self._positions[key] = bt.Position(size, price)
        self._products[key], self._since[key] = product, since

    def place_of(self, key: str) -> int:
        """Which of the run's feeds trades an instrument, as a number."""
        datas, own = self.cerebro.datas, self._datas.get(key)
        own = own.slot if isinstance(own, Left) else own
        return next((n for n, data in enumerate(datas) if data is own), len(datas))

    def position_of(self, key: str) -> bt.Position:
        """The live position of an instrument."""
        return self._positions.setdefault(key, bt.Position())

    def slot_moved(self, slot: Any, before: Instrument | None, left: Left | None) -> None:
        """A slot was bound to another instrument than ``before``, or to none."""
        if before is not None and left is not None:
            left.known_at(self.ledger.position(before.key).last_price)
            known = self._datas.get(before.key)
            if known is None or known is slot or isinstance(known, Left):
                self._datas[before.key] = left
        if slot.instrument is not None:
            self._know(slot)
        if self._saved is None and not self._restoring:  # a book without what the last run left is none
            self._write("bound", slot=slot._name, symbol=None if slot.instrument is None else slot.instrument.key)

    def knows_again(self, key: str, data: Any) -> bool:
        """An instrument of the last run that a slot was bound to then: the slot has it again, or, if it is bound to
        another by now, its ticks are heard. False if ``data`` is no slot."""
        if not getattr(data.p, "slot", False):
            return False
        if data.instrument is None:
            data.bind(key)
            self._datas.setdefault(key, data)
        elif data.is_stream:
            instrument = data._store.instrument(key)
            data._store.watch(data, instrument)
            if key not in self._datas:
                self._datas[key] = data.leaves(instrument, self.ledger.position(key).last_price)
        return True

    def instrument_named(self, key: str, data: Any) -> Any:
        """The instrument of a key that ``data`` has, or had."""
        instrument = self.instrument(data)
        return instrument if instrument.key == key else data._store.instrument(key)

    def put_back(self, order: Any, terms: Terms, fills: list[tuple[int, float]], key: str) -> None:
        """An order of the last run is known again."""
        self.orders[order.ref] = order
        if order.alive() or order.ref < 0:  # a slice that is over has those of its order, which lives
            self.terms[order.ref] = terms
        self._bound[order.ref] = self.instrument_named(key, order.data)
        self._know(order.data)
        if fills:
            self._fills[order.ref] = fills
            self._charged[order.ref] = order.executed.comm
        if order.exectype in translate.TRAILING and order.ref > 0:
            self._trailing[order.ref] = len(order.data)

    def is_out(self, order: Any) -> bool:
        """Whether a market that outlives the process may have it."""
        return False

    def resume(self, order: Any) -> None:
        """A living order of the last run goes on."""
        self.admit(order)
