"""What of an account must outlive the process, in the journal: every event, and the book after it.

The book that stands in the last event is the account: money, positions, living orders with their groups.
A restart reads that one line; nothing is replayed and nothing can be counted twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import backtrader as bt

from ..errors import KiteError, RuleViolation
from ..journal import Journal, canonical
from ..kite.desk import Place, Request
from ..kite.forms import order_fields
from ..kite.inbox import DeskReply
from ..linetime import from_seconds, seconds_of
from ..log import get_logger
from ..risk.ledger import Ledger
from ..slots import trade_id
from ..values import Instrument, Proposal
from .orders import whole_ref
from .terms import Terms

if TYPE_CHECKING:
    from .book import BookBroker

log = get_logger(__name__)
_KINDS = {"Buy": bt.order.BuyOrder, "Sell": bt.order.SellOrder}
_PLAIN = (str, int, float, bool)
_NO_TERMS = Terms(None, False, "next_open")
"""Of an order that is over."""


class Booked(NamedTuple):
    """Executions of one order, summed: units, ₹ × units, and ₹ of charges."""

    units: int = 0
    value: float = 0.0
    charges: float = 0.0


class Note(Protocol):
    """Where a broker's events go: :class:`Record`, or :class:`Jotter` for a run that leaves no account."""

    def note(self, kind: str, broker: BookBroker, **facts: Any) -> None:
        """An event, durable when this returns, and the book after it."""

    def remark(self, kind: str, now: int, **facts: Any) -> None:
        """An event at second ``now`` on which nothing depends."""

    def flush(self) -> None:
        """What was remarked is written now."""

    def intent(self, broker: BookBroker, proposal: Proposal) -> None:
        """Durable before the desk hears of it: without *sending* behind it, it was never on the wire."""

    def sending(self, request: Request) -> None:
        """The desk's thread, right before the first byte."""

    def reply(self, reply: DeskReply) -> None:
        """What became of a request."""

    def sent_at(self, tag: str) -> datetime | None:
        """When the last run's placement with this tag was about to leave; None if its first byte never did."""

    def sent_on(self, day: date) -> list[datetime]:
        """When order calls were about to leave on ``day``, in their order."""

    def booked(self) -> dict[str, Booked]:
        """What was booked of each of Kite's orders, by its id."""

    def last_book(self) -> dict[str, Any] | None:
        """The account as the last run left it; None for a new one."""


class Record:
    """Writes an account's events; Cerebro's thread, but for :meth:`sending`."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.began = journal.head[0]

    def note(self, kind: str, broker: BookBroker, **facts: Any) -> None:
        self.journal.append(kind, {**facts, "book": book_of(broker)})

    def remark(self, kind: str, now: int, **facts: Any) -> None:
        self.journal.later(kind, facts)

    def flush(self) -> None:
        self.journal.flush()

    def intent(self, broker: BookBroker, proposal: Proposal) -> None:
        self.note("intent", broker, proposal=asdict(proposal))

    def sending(self, request: Request) -> None:
        self.journal.append("sending", sent(request))

    def reply(self, reply: DeskReply) -> None:
        self.journal.append("reply", answered(reply))

    def sent_at(self, tag: str) -> datetime | None:
        for event in reversed(self.journal.events("sending", books=False)):
            if event.data.get("tag") == tag:
                return event.time
        return None

    def sent_on(self, day: date) -> list[datetime]:
        return [event.time for event in self.journal.events("sending", books=False) if event.time.date() == day]

    def booked(self) -> dict[str, Booked]:
        found: dict[str, Booked] = {}
        for event in self.journal.events("fill", books=False):
            if order_id := str(event.data.get("order_id") or ""):
                before, units = found.get(order_id, Booked()), int(event.data["quantity"])
                found[order_id] = Booked(
                    before.units + units,
                    before.value + units * float(event.data["price"]),
                    before.charges + float(event.data["charges"]),
                )
        return found

    def last_book(self) -> dict[str, Any] | None:
        found = self.journal.last_book()
        return None if found is None else dict(found.data["book"])

    def lines(self) -> Iterator[str]:
        """What was written in this run, a line of JSON each, without the books."""
        for event in self.journal.events(since=self.began, books=False):
            yield canonical({"time": event.time, "kind": event.kind, **event.data})


class Jotter:
    """Events of a run whose account ends with it: kept in memory for the run's folder. Any thread."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, str, dict[str, Any]]] = []
        self._now = 0

    def note(self, kind: str, broker: BookBroker, **facts: Any) -> None:
        self.remark(kind, broker.now, **facts)

    def remark(self, kind: str, now: int, **facts: Any) -> None:
        self._now = max(self._now, now)
        self._kept.append((self._now, kind, facts))

    def flush(self) -> None:
        """They are in memory until the run ends."""

    def intent(self, broker: BookBroker, proposal: Proposal) -> None:
        self.note("intent", broker, proposal=asdict(proposal))

    def sending(self, request: Request) -> None:
        self.remark("sending", 0, **sent(request))

    def reply(self, reply: DeskReply) -> None:
        self.remark("reply", 0, **answered(reply))

    def sent_at(self, tag: str) -> datetime | None:
        return None

    def sent_on(self, day: date) -> list[datetime]:
        return []

    def booked(self) -> dict[str, Booked]:
        return {}

    def last_book(self) -> dict[str, Any] | None:
        return None

    def lines(self) -> Iterator[str]:
        """See :meth:`Record.lines`."""
        for now, kind, facts in self._kept:
            yield canonical({"time": from_seconds(now), "kind": kind, **facts})


def sent(request: Request) -> dict[str, Any]:
    """A request as it goes to Kite."""
    facts: dict[str, Any] = {"action": request.action, "ref": request.ref, "order_id": request.order_id, "tag": ""}
    if isinstance(request, Place):
        facts["tag"] = request.proposal.tag
        try:
            facts["fields"] = order_fields(request.proposal)
        except RuleViolation as error:  # the client will say so too, and nothing is sent
            facts["fields"] = {"refused": str(error)}
    else:
        facts["fields"] = {**getattr(request, "changes", {}), "variety": request.variety}
    return facts


def answered(reply: DeskReply) -> dict[str, Any]:
    """What Kite said to a request."""
    error = reply.error
    text = None if error is None else f"{type(error).__name__}: {error}"
    facts = {"action": reply.action, "ref": reply.ref, "order_id": reply.order_id, "error": text}
    if isinstance(error, KiteError):
        facts.update(code=error.code, error_type=error.error_type)
    return facts


# -- the book as JSON ---------------------------------------------------------------------------------


def book_of(broker: BookBroker) -> dict[str, Any]:
    """Everything that :func:`restore_money` and :func:`restore_orders` need."""
    feeds = {id(data): number for number, data in reversed(list(enumerate(broker.cerebro.datas)))}
    owners = {id(one): number for number, one in enumerate(getattr(broker.cerebro, "runningstrats", ()))}
    return {
        "ledger": broker.ledger.state(),
        "positions": {
            key: {
                "size": position.size,
                "price": position.price,
                "product": broker.product_of(key),
                "since": since,
                "data": broker.place_of(key),
                "contract": _contract(broker.held_instrument(key)),
            }
            for key, position, since in broker.holds()
        },
        "orders": [
            *(_row(broker, order, feeds, owners) for order in _owed(broker)),
            *(_row(broker, order, feeds, owners) for order in broker.orders.values() if order.alive()),
            *(_row(broker, order, feeds, owners) for order in broker.orders.parts()),
        ],
        "groups": broker.groups.state(),
        "demat": broker.demat.state(),
        "tally": broker.tally.state(),
        "newest": max([broker.newest, *broker.orders]),
        "slots": bound(broker),
        **broker.account_state(),
    }


def _contract(instrument: Instrument | None) -> dict[str, Any] | None:
    """What a dump of after its expiry does not tell any more."""
    if instrument is None or instrument.expiry is None:
        return None
    return {**asdict(instrument), "expiry": instrument.expiry.isoformat()}


def bound(broker: BookBroker) -> dict[str, str | None]:
    """What each slot of the run is bound to, by its place among the feeds."""
    slots = ((n, data) for n, data in enumerate(broker.cerebro.datas) if getattr(data.p, "slot", False))
    return {str(place): None if data.instrument is None else data.instrument.key for place, data in slots}


def rebind(broker: BookBroker, book: dict[str, Any]) -> None:
    """Slots have again what they had, before the run starts."""
    datas = broker.cerebro.datas
    for place, key in book.get("slots", {}).items():
        if int(place) < len(datas) and getattr(datas[int(place)].p, "slot", False):
            datas[int(place)].bound_again(key)


def _owed(broker: BookBroker) -> list[Any]:
    """Orders that are over and of which something is still to be traded back."""
    refs = sorted(ref for ref in broker.groups.owed() if ref in broker.orders)
    return [order for order in map(broker.orders.__getitem__, refs) if not order.alive()]


def _row(broker: BookBroker, order: Any, feeds: dict[int, int], owners: dict[int, int]) -> dict[str, Any]:
    terms = broker.terms.get(whole_ref(order.ref) if not order.alive() else order.ref, _NO_TERMS)
    return {
        "ref": order.ref,
        "side": order.ordtypename(),
        "key": order.info.get("instrument"),
        "data": feeds.get(id(order.data), 0),
        "owner": owners.get(id(order.p.owner), 0),
        "size": order.size,
        "price": order.created.price,
        "plimit": order.created.pricelimit,
        "last": order.created.pclose,
        "exectype": order.exectype,
        "tradeid": order.tradeid,
        "trailamount": order.trailamount,
        "trailpercent": order.trailpercent,
        "offset": order._limitoffset,
        "triggered": bool(order.triggered),
        "active": bool(order.active()),
        "over": None if order.alive() else order.status,
        "parent": getattr(order.parent, "ref", None),
        "executed": [order.executed.size, order.executed.price, order.executed.comm],
        "terms": [terms.deadline, terms.carry, terms.after_hours],
        "closes": broker.close_after(order),
        "given": seconds_of(order.created.dt) if order.created.dt else broker.now,
        "fills": list(broker.fills_of(order)),
        "info": {name: value for name, value in order.info.items() if isinstance(value, _PLAIN)},
    }


# -- after a restart ----------------------------------------------------------------------------------


def restore_money(broker: BookBroker, book: dict[str, Any]) -> None:
    """Ledger and positions, before the run starts."""
    broker.demat.restore(book.get("demat", {}))
    broker.ledger = broker.gate.ledger = Ledger.from_state(book["ledger"], margin_rate=broker.ledger_margin_rate())
    broker.ledger.going = broker.going
    for key, row in book["positions"].items():
        broker.set_position(
            key, int(row["size"]), float(row["price"]), str(row["product"]), date.fromisoformat(row["since"])
        )
        if said := row.get("contract"):
            broker.hold_instrument(Instrument(**{**said, "expiry": date.fromisoformat(said["expiry"])}))
    if (saved := book.get("tally")) is not None:
        broker.tally.restore(saved)
        return
    for key, row in book["positions"].items():
        units, since = broker.ledger.position(key).multiplier, date.fromisoformat(row["since"])
        broker.tally.adopt(key, str(row["product"]), int(row["size"]), float(row["price"]), units, since)


def restore_orders(broker: BookBroker, book: dict[str, Any], strategies: Sequence[Any]) -> None:
    """Positions and orders as backtrader objects, when strategies exist; each strategy hears of its own.

    A position becomes a simulated, completed order, so that the trade that closes it is right. Living orders
    come back with their refs and ``order.info.adopted``.
    """
    datas = {broker.instrument(data).key: data for data in reversed(broker.cerebro.datas)}
    for key, place in _without_feed(book, datas).items():
        slot = broker.cerebro.datas[place] if place < len(broker.cerebro.datas) else None
        if slot is not None and broker.knows_again(key, slot):
            datas[key] = slot
    # A ref is given once, whatever became of its order: groups and the journal speak of it for longer.
    broker.newest = max([int(book.get("newest", 0)), *(int(row["ref"]) for row in book["orders"])])
    bt.Order.refbasis = itertools.count(max(next(bt.Order.refbasis), broker.newest + 1))
    for key in book["positions"]:
        if key in datas:
            _adopt_position(broker, key, datas[key])
        elif (gone := broker.held_instrument(key)) is not None and broker.expiring.is_over(gone):
            _adopt_position(broker, key, broker.cerebro.datas[0], key)  # no feed can have it any more
        else:
            log.warning("a position has no feed in this run", symbol=key)
    entries = {row["ref"]: row for row in book["ledger"]["orders"] if not row["alive"]}
    rows = [row for row in book["orders"] if row["key"] in datas]
    orders = [_revive(broker, row, datas, strategies, entries) for row in rows]
    broker.groups.restore(book["groups"])
    living = [(order, row) for order, row in zip(orders, rows, strict=True) if order.alive()]
    for order, row in living:
        _put_back(broker, order, row)
    broker.regroup()
    for strategy in strategies:
        told = getattr(strategy, "restored", None)
        if told is not None:
            mine = [order for order, _ in living if order.p.owner is strategy and order.ref > 0]
            told(mine, {key: broker.position_of(key) for key in datas})


def _without_feed(book: dict[str, Any], datas: dict[str, Any]) -> dict[str, int]:
    """Instruments of the last run's positions and orders that no feed of this run has, with the place of the feed
    that had them then: a slot, which begins empty, or with another one."""
    rows = dict(book["positions"])
    rows |= {row["key"]: row for row in book["orders"]}
    return {key: int(row.get("data", len(datas))) for key, row in rows.items() if key not in datas}


def _adopt_position(broker: BookBroker, key: str, data: Any, tradeid: Any = None) -> None:
    position = broker.position_of(key)
    kind = _KINDS["Buy" if position.size > 0 else "Sell"]
    order = kind(
        owner=None, data=data, size=abs(position.size), price=position.price, exectype=bt.Order.Market, simulated=True,
        tradeid=trade_id(data, key) if tradeid is None else tradeid,
    )  # fmt: skip
    order.addcomminfo(broker.getcommissioninfo(data))
    order.addinfo(adopted=True, instrument=key)
    value = order.comminfo.getoperationcost(position.size, position.price)
    stamp = order.created.dt = data.date2num(from_seconds(broker.now))
    order.execute(
        stamp, position.size, position.price, 0, 0.0, 0.0, position.size, value, 0.0, order.comminfo.margin, 0.0,
        position.size, position.price,
    )  # fmt: skip
    broker.notify(order)


def _entry_of(broker: BookBroker, exit: dict[str, Any], data: Any, owner: Any, row: dict[str, Any]) -> Any:
    """The entry of a living ``exit``, that is over: theirs to be told by, and what its exits do once too often is
    traded back for it. Without it each exit of a bracket would stand for itself, and two of one position look like one
    too many."""
    filled = row["sign"] * row["filled"]
    kind = _KINDS["Buy" if row["sign"] > 0 else "Sell"]
    entry = kind(
        owner=owner, data=data, size=row["quantity"], price=row["price"], exectype=bt.Order.Market,
        tradeid=exit["tradeid"], simulated=True,
    )  # fmt: skip
    entry.ref = row["ref"]
    entry.addinfo(adopted=True, instrument=exit["key"], ended=max(broker.now, 0))
    entry.executed.size, entry.executed.remsize = filled, entry.size - filled
    entry.status = bt.Order.Canceled if entry.executed.remsize else bt.Order.Completed
    broker.put_back(entry, _NO_TERMS, [], exit["key"])
    return entry


def _revive(
    broker: BookBroker,
    row: dict[str, Any],
    datas: dict[str, Any],
    strategies: Sequence[Any],
    entries: dict[int, dict[str, Any]],
) -> Any:
    data = broker.cerebro.datas[row["data"]] if row["data"] < len(broker.cerebro.datas) else datas[row["key"]]
    owner = strategies[row["owner"] if row["owner"] < len(strategies) else 0]
    parent = broker.orders.get(row["parent"])
    if parent is None and row["parent"] in entries:
        parent = _entry_of(broker, row, data, owner, entries[row["parent"]])
    order = _KINDS[row["side"]](
        owner=owner,
        data=data,
        size=abs(row["size"]),
        price=row["price"],
        pricelimit=row["plimit"],
        exectype=row["exectype"],
        tradeid=row["tradeid"],
        trailamount=row["trailamount"],
        trailpercent=row["trailpercent"],
        parent=parent,
        simulated=True,
    )
    order.p.simulated = False
    order.ref = row["ref"]
    order.created.dt = data.date2num(from_seconds(row["given"]))
    order.created.price, order.created.pricelimit = row["price"], row["plimit"]
    order._limitoffset = row.get("offset", order._limitoffset)  # of the prices that were asked for, not of rounded ones
    order.created.pclose = row.get("last")  # what it may cost is judged by the price at which it was given
    order.triggered = row["triggered"]
    order.addinfo(**{**row["info"], "adopted": True})
    order.addcomminfo(broker.getcommissioninfo(data))
    size, price, charges = row["executed"]
    if size:
        order.executed.size, order.executed.price, order.executed.comm = size, price, charges
        order.executed.remsize = order.size - size
    order.status = bt.Order.Partial if size else bt.Order.Accepted
    if row.get("over") is not None:  # a slice of an order that lives
        order.status = row["over"]
    order.broker = broker
    order._active = row["active"]
    broker.put_back(order, Terms(*row["terms"]), [tuple(fill) for fill in row["fills"]], row["key"])
    return order


def _put_back(broker: BookBroker, order: Any, row: dict[str, Any]) -> None:
    """Into the market again, held for the next open, or over: its session closed while we were away."""
    if not order.alive():  # with another of its group
        return
    deadline, carry, _ = row["terms"]
    over = row["closes"] <= broker.now
    lapsed = (deadline is not None and deadline <= broker.now) or (over and not carry and deadline is None)
    if lapsed and not broker.is_out(order):
        broker.ended(order, "expired", "its session closed while btkite was not running")
    elif order.active():
        broker.resume(order)
