"""BookBroker: the life of orders, the same for simulated and real markets.

From ``buy()`` over the gate to the market, its fills, its end, and what its group makes of that. Subclasses
say only how an order reaches a market (:meth:`route`, :meth:`recall`, :meth:`reroute`). Everything here runs
on Cerebro's thread. What stands below it: :mod:`~btkite.brokers.account` (positions, money),
:mod:`~btkite.brokers.lasting` (restarts), :mod:`~btkite.brokers.changes` and :mod:`~btkite.brokers.news`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Sequence
from threading import get_ident
from typing import Any

import backtrader as bt

from ..config import Config
from ..linetime import DAY, from_seconds, seconds_of
from ..log import get_logger
from ..market.permitted import largest_order, mis_cutoff, most_slices
from ..orders.groups import Action, Activate, Cancel, End, Flatten, Resize
from ..slots import Left, trade_id, trades_in
from ..values import Denial, Instrument
from . import hours, translate
from .changes import reshape
from .cutting import is_too_large
from .expiring import Expiring
from .grouping import Groups
from .heeding import Heeding
from .orders import Orders
from .overnight import INTRADAY
from .record import rebind, restore_money
from .squaring import Squaring
from .terms import Terms, terms_of
from .wording import misunderstood

Order = bt.Order
log = get_logger(__name__)


class BookBroker(Heeding):
    """The common half of :class:`~btkite.brokers.sim.SimBroker` and
    :class:`~btkite.brokers.kite.KiteBroker`.

    Params:
      - ``config`` (``None``): a :class:`~btkite.config.Config`; ``None`` reads config.yaml and the
        environment.
      - ``cash`` (``None``): ₹ allotted; ``None`` takes ``broker.capital``.
      - ``kill`` (``None``): the account's :class:`~btkite.risk.gate.KillSwitch`.
      - ``record`` (``None``): a :class:`~btkite.brokers.record.Record`; the account then outlives the process.
    """

    params: Any = (("config", None), ("cash", None), ("kill", None), ("record", None))

    def __init__(self, **kwargs: Any) -> None:
        self.config: Config = self.p.config or Config()
        super().__init__()

    def __repr__(self) -> str:
        return type(self).__name__

    # -- a run's state ----------------------------------------------------------------------------

    def init(self) -> None:
        super().init()
        self.orders = Orders()
        self.terms: dict[int, Terms] = {}
        self.held: dict[int, int] = {}  # ref -> second at which it may be sent
        self.groups = Groups()
        self.expiring = Expiring(self)
        self.ending: set[int] = set()  # orders that end at this moment by themselves
        self.squaring = Squaring(self)
        self._shutting: Instrument | None = None  # what is closed at this moment, by us
        self._forget_at = 0
        self._forming: dict[int, list[Any]] = {}  # parent ref -> members not yet transmitted

    def start(self) -> None:
        super().start()
        self._thread = get_ident()
        self._saved = self.record.last_book() if self.record is not None else None
        self.gate.noted = None if self.record is None else {}
        if self._saved is not None:
            self._takes_up = bool(self._saved["orders"] or self._saved["positions"])
            restore_money(self, self._saved)
            rebind(self, self._saved)
            self._cold = True
        for data in getattr(self.cerebro, "datas", ()):
            self._know(data)

    # -- what a strategy calls ----------------------------------------------------------------------

    def buy(self, owner: Any, data: Any, size: float, price: Any = None, plimit: Any = None, **kwargs: Any) -> Any:
        """As in backtrader; Kite's own fields (``product``, ``variety``, ``validity``, ``tag``,
        ``market_protection``, ``disclosed_quantity``, ``iceberg_legs``, ``iceberg_quantity``,
        ``autoslice``, ``validity_ttl``) and ours (``carry``, ``after_hours``) are keyword arguments."""
        return self._give(bt.order.BuyOrder, owner, data, size, price, plimit, **kwargs)

    def sell(self, owner: Any, data: Any, size: float, price: Any = None, plimit: Any = None, **kwargs: Any) -> Any:
        """See :meth:`buy`."""
        return self._give(bt.order.SellOrder, owner, data, size, price, plimit, **kwargs)

    def _give(
        self,
        kind: Any,
        owner: Any,
        data: Any,
        size: float,
        price: Any,
        plimit: Any,
        exectype: Any = None,
        valid: Any = None,
        tradeid: int = 0,
        oco: Any = None,
        trailamount: Any = None,
        trailpercent: Any = None,
        parent: Any = None,
        transmit: bool = True,
        **kwargs: Any,
    ) -> Any:
        self.check_thread()
        instrument = self._shutting or self.instrument(data)
        if not isinstance(data, Left):
            self._know(data)
        tradeid = tradeid or trade_id(data, instrument.key)
        exectype = Order.Market if exectype is None else exectype
        quantity = translate.whole(size)
        if self.config.broker.tick_rounding and exectype not in translate.TRAILING:
            price, plimit = translate.on_tick(instrument, exectype, kind is bt.order.BuyOrder, price, plimit)
        said = {} if misunderstood(kwargs) else kwargs  # it will be denied
        terms = terms_of(self.config, instrument, valid, said, self._time_of(data))
        order = self._made(
            kind,
            owner=owner,
            data=data,
            size=quantity or size,
            price=price if price is not None or len(data) else 0.0,
            pricelimit=plimit,
            exectype=exectype,
            valid=None if terms.deadline is None else from_seconds(terms.deadline),
            tradeid=tradeid,
            trailamount=trailamount,
            trailpercent=trailpercent,
            parent=parent,
            transmit=transmit,
            simulated=not len(data),  # without a bar backtrader cannot make an order otherwise; it will be denied
        )
        if self._flattening:  # it leaves without a bar, too: backtrader shows it to its strategy
            order.p.simulated = False
        if isinstance(data, Left):
            order.p.data = trades_in(data)
            order.addinfo(left=True)
        order.addinfo(**kwargs)
        order.addinfo(instrument=instrument.key)
        self.note_fraction(order, quantity, size)
        order.addcomminfo(self.getcommissioninfo(data))
        self.orders[order.ref] = order
        self.terms[order.ref] = terms
        self.note_sizing(order, size)
        self._bound[order.ref] = instrument
        if exectype in translate.TRAILING:
            self._trailing[order.ref] = len(data)
            if self.config.broker.tick_rounding:
                self._tidy_trail(order)
        if oco is not None:
            other = self.orders.get(oco.ref, oco)
            self.groups.add_oco(
                order.ref, quantity, other.ref, abs(other.size), other_alive=other.alive(), alone=parent is None
            )
        return self.submit(order)

    def _made(self, kind: Any, **given: Any) -> Any:
        """An order of backtrader's own class."""
        return kind(**given)

    def submit(self, order: Any) -> Any:
        parent = getattr(order.parent, "ref", None)
        group = self._forming.setdefault(parent if parent is not None else order.ref, [])
        group.append(order)
        if not order.transmit:
            return order
        del self._forming[parent if parent is not None else order.ref]
        self._transmit(group, None if parent is None else self.orders.get(parent))
        return order

    def _transmit(self, group: list[Any], parent: Any) -> None:
        """One order, or a whole bracket, before the gate and on."""
        group = [order for order in group if order.alive()]  # less what was cancelled before it was transmitted
        if parent is not None and not parent.alive() and parent.status != Order.Completed:
            self.deny(group, self.gate.deny(Denial("parent", "its parent is no longer alive"), len(group)))
            return
        denial = self.unfit(group)
        if denial is not None:
            self.gate.deny(denial, len(group))
        else:
            denial = self.judge(group)
        told = self.explained(group)
        if denial is not None:
            self.deny(group, denial)
            refs = [order.ref for order in group]
            self._write("denied", refs=refs, rule=denial.rule, reason=denial.reason, key=denial.key, orders=told)
            return
        for order in group:
            if is_too_large(order, self.instrument_of_order(order), self._today):
                order.addinfo(sliced=True)
            order.submit(self)
            self.notify(order)
        head = parent or group[0]
        children = [(o.ref, o.exectype, int(abs(o.size))) for o in group if o is not head]
        if children:
            self.groups.add_bracket((head.ref, int(abs(head.size))), children)
        # With its group: no entry without its exits.
        self._write("order", refs=[order.ref for order in group], orders=told)
        for order in group:
            if order.parent is not None:
                order.accept(self)
                self.notify(order)
        for order in group:
            if order.parent is None:
                self.admit(order)
        if parent is not None and parent.executed.size:
            self.groups.filled(parent.ref, int(abs(parent.executed.size)))
            self._react(parent.ref)

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """What no broker of ours can send."""
        for order in group:
            if (misheard := misunderstood(order.info)) is not None:
                return misheard
            if order.exectype not in translate.TO_KITE:
                return Denial(
                    "exectype",
                    f"an order of type {order.getordername()} has no counterpart on Kite; use Market, Limit or Stop",
                )
            if not 1 <= abs(order.size) < math.inf:  # also of a size that is no number
                return Denial("quantity", f"a quantity of {abs(order.size):g} is less than one")
            if (problem := translate.missing_price(order)) is not None:
                return Denial("price", problem)
            if (problem := translate.crossed(order)) is not None:
                return Denial("trigger", problem)
            if order.parent is None and (problem := self.behind(order)) is not None:
                return Denial("trigger", problem)
            instrument = self.instrument_of_order(order)
            if not self.config.broker.tick_rounding and (problem := translate.off_tick(instrument, order)) is not None:
                return Denial("tick", problem, "broker.tick_rounding")
            problem = translate.wrong_product(instrument, self.proposal(order).product)
            if problem is not None:
                return Denial("product", problem, "broker.default_product")
            if (denial := self._forbidden(order) or self._after_its_end(order)) is not None:
                return denial
            if (denial := self._too_late(order)) is not None:
                return denial
            if order.info.get("left") and not self._flattening and not self.proposal(order).reduces:
                return Denial(
                    "left",
                    f"{order.data._name} has gone on from {instrument.key}: only what closes what is left there may be "
                    "traded; bind it again to open",
                )
            if self.terms[order.ref].after_hours == "refuse" and self._session(instrument) is None:
                return Denial("after_hours", "the market is closed", "broker.after_hours")
        return None

    def _after_its_end(self, order: Any) -> Denial | None:
        """Why nothing is traded, or opened, in a contract that ends."""
        return None if self._flattening else self.expiring.denial(self.proposal(order))

    def _too_late(self, order: Any) -> Denial | None:
        """Why no intraday order is taken at this hour: it is squared off by us, or Kite takes none."""
        instrument = self.instrument_of_order(order)
        if not self._flattening and self.squaring.is_time(instrument, self.now):
            denial = self.squaring.denial(instrument, self.product_of_order(order))
            if denial is not None:
                return denial
        if self.config.broker.mis_cutoff == "send" or order.parent is not None:
            return None
        wanted = self.proposal(order)
        session = self._session(wanted.instrument)
        if wanted.product != INTRADAY or wanted.reduces or session is None or not wanted.instrument.exchange:
            return None
        held = self.position_of(wanted.instrument.key).size
        if held * wanted.side.sign < 0 and wanted.quantity <= abs(held):  # whatever else is still on its way out
            return None
        until = mis_cutoff(wanted.instrument, (from_seconds(session[0]), from_seconds(session[1])))
        if until is None or from_seconds(self.now) < until:
            return None
        return Denial(
            "mis_cutoff",
            f"Kite takes no new MIS orders in {wanted.instrument.key} from {until:%H:%M} on: use another product",
            "broker.mis_cutoff",
        )

    def cancel(self, order: Any) -> bool:
        """Ask for the order's end; False if it has ended already."""
        self.check_thread()
        order = self.orders.get(order.ref, order)
        if not order.alive():
            return False
        if order.ref in self.held or not order.active() or order.status == Order.Created:
            self.ended(order, "canceled")
        else:
            self.recall(order)
        return True

    # -- what subclasses say ------------------------------------------------------------------------

    @abc.abstractmethod
    def route(self, order: Any) -> None:
        """Send an active, admitted order to the market."""

    @abc.abstractmethod
    def recall(self, order: Any) -> None:
        """Take it out of the market."""

    @abc.abstractmethod
    def reroute(self, order: Any) -> None:
        """Its size or prices changed."""

    def is_leaving(self, order: Any) -> bool:
        """Whether it can not be changed: its cancellation is under way, or nobody knows whether it exists."""
        return False

    def going(self) -> Collection[int]:
        """Refs of orders whose cancellation is on its way."""
        return ()

    def uncertain_until(self, ref: int) -> int | None:
        """The second until which nobody may know whether the market has it; None if that is known."""
        return None

    def next(self) -> None:
        """A turn of Cerebro, after the lines have moved."""
        self.adopt()
        self.heed()
        self.trail()
        self.expiring.turn()

    # -- sessions -----------------------------------------------------------------------------------

    def admit(self, order: Any) -> None:
        """Into the market now, or held until it opens."""
        instrument = self.instrument_of_order(order)
        if self._session(instrument) is None and self.terms[order.ref].after_hours != "amo":
            self.hold_till_open(order, self.now)
        else:
            self.route(order)

    def hold_till_open(self, order: Any, since: int) -> None:
        """To be sent when the market opens next, at ``since`` or after it."""
        instrument = self.instrument_of_order(order)
        self.hold(order, hours.next_open(instrument, since, candle_days=self._candle_days(instrument)))

    def hold(self, order: Any, until: int) -> None:
        self.held[order.ref] = until
        self._write("held", ref=order.ref, until=from_seconds(until))

    def held_due(self) -> list[int]:
        """When each held order is sent, or ends before that."""
        return [min(at, self.terms[ref].deadline or at) for ref, at in self.held.items()]

    def _session(self, instrument: Instrument) -> tuple[int, int] | None:
        return self._session_at(instrument, self.now)

    def _session_at(self, instrument: Instrument, when: int) -> tuple[int, int] | None:
        return hours.session_at(instrument, when, traded_anyway=when // DAY in self._candle_days(instrument))

    def session_on(self, instrument: Instrument, day: int) -> tuple[int, int] | None:
        """Open and close of an instrument's session on a day (days since 1970)."""
        return hours.session_on(instrument, day, traded_anyway=day in self._candle_days(instrument))

    def _candle_days(self, instrument: Instrument) -> frozenset[int]:
        """Days since 1970 that have candles, whatever the calendar says of them."""
        return frozenset()

    def close_after(self, order: Any) -> int:
        """When the session ends in which the order is working, or will when it opens, in seconds."""
        return hours.close_of_day(self.instrument_of_order(order), max(self.now, self.held.get(order.ref, 0)))

    def _time_of(self, data: Any) -> int:
        return self.now if self.now >= 0 else (seconds_of(data.datetime[0]) if len(data) else 0)

    # -- what happens to an order ---------------------------------------------------------------------

    def accepted(self, order: Any) -> None:
        if order.status in (Order.Created, Order.Submitted):
            order.accept(self)
            self.notify(order)

    def filled(self, order: Any, quantity: int, price: float, when: int, order_id: str = "") -> None:
        """An execution of ``quantity`` at ``price`` rupees: order, position, money, group. One that surfaces after
        the order's end counts all the same and does not bring it back to life. ``order_id``: Kite's, if it has one."""
        ended = None if order.alive() else order.status
        charges = self.book_fill(order, quantity, price, when)
        parts = self.charged_for(order.ref)
        self.notify(order)
        if ended is not None and order.alive():
            order.status = ended
            self.notify(order)
        if not order.alive():
            self._forget(order)
        done = int(abs(order.executed.size))
        if order.status == Order.Completed:  # also if its group had wanted it larger
            self.groups.ended(order.ref, End.COMPLETED, done)
        else:
            self.groups.filled(order.ref, done)
        self._write(
            "fill", ref=order.ref, order_id=order_id, quantity=quantity, price=price, charges=charges,
            at=from_seconds(when), of_it=parts,
        )  # fmt: skip
        self._react(order.ref)
        self.heed()

    def ended(self, order: Any, how: str, reason: str = "") -> None:
        """The order is over without (further) fills: canceled, expired, rejected, margin; or completed, when it
        turns out to have been smaller."""
        if not order.alive():
            return
        if reason:
            order.addinfo(reason=reason)
        order.addinfo(ended=max(self.now, 0))
        order.status = STATUS[how]
        if len(order.data):  # backtrader's own cancel() and reject() need a bar
            order.executed.dt = order.data.datetime[0]
        self.notify(order)
        self._forget(order, refused=how in ("rejected", "margin"))
        self.groups.ended(order.ref, _ENDS.get(how, End.CANCELED), int(abs(order.executed.size)))
        self._write("end", ref=order.ref, how=how, reason=reason)
        self._react(order.ref)

    def _forget(self, order: Any, *, refused: bool = False) -> None:
        self.held.pop(order.ref, None)
        self.terms.pop(order.ref, None)
        if order.status == Order.Completed:  # of any other, a fill may surface late
            self.settled(order.ref)
        self.ledger.done(order.ref, refused=refused)

    def forget_orders(self, kept: int) -> bool:
        """Drop the oldest orders that are over for good, all but the newest ``kept``, each time as many have come
        again; True if it was looked at."""
        if len(self.orders) < max(self._forget_at, 2 * kept):
            return False
        over = [ref for ref, order in self.orders.items() if self.is_over(order)]
        for ref in over[:-kept]:
            self.drop(ref)
        self._forget_at = len(self.orders) + kept
        return True

    def _works_in(self, key: str) -> bool:
        return any(self.orders[ref].alive() and self.instrument_of_order(self.orders[ref]).key == key
                   for ref in self.terms if ref in self.orders)  # fmt: skip

    def is_over(self, order: Any) -> bool:
        """Whether nothing can be heard of it, or of its group, any more."""
        return not order.alive() and order.ref not in self.groups

    def drop(self, ref: int) -> None:
        super().drop(ref)
        for table in (self.orders, self.terms, self._trailing):
            table.pop(ref, None)

    def _react(self, ref: int) -> None:
        """Do what the groups of an order want, after it traded or ended.

        An action counts as asked for when its turn has come: in whatever book is written before, it is still wanted,
        and a restart does it.
        """
        for key, action in self.groups.wanted(ref):
            if self.groups.ask(key, action):
                self._fulfil(action)

    def _fulfil(self, action: Action) -> None:
        order = self.orders.get(action.ref)
        if order is None:  # of the last run, and no feed of this one has its instrument
            return
        if isinstance(action, Flatten):
            self._flatten(order, action.size)
        elif not order.alive():
            return
        elif isinstance(action, Cancel):
            if order.ref not in self.ending:
                self.cancel(order)
        elif isinstance(action, Resize):
            reshape(order, int(action.size))
            self.ledger.working(order.ref, abs(order.executed.remsize))
            if order.active() and order.ref not in self.held:
                self.reroute(order)
        elif isinstance(action, Activate):
            self.work(order, int(action.size))

    def regroup(self) -> None:
        """After a restart: do what the groups wanted when the last run ended."""
        for ref in self.groups.refs():
            self._react(ref)

    def work(self, child: Any, size: int) -> None:
        """A bracket's child goes to the market."""
        reshape(child, size)
        child.activate()
        self.admit(child)

    def close_out(
        self, key: str, owner: Any, *, because: str = "a person closes what is held", tag: str = "kill"
    ) -> Any:
        """The whole position of ``EXCHANGE:TRADINGSYMBOL`` at market, past every limit: nobody asks the strategy."""
        size, data = self._positions[key].size, self._datas[key]
        instrument = self._held.get(key) or self.instrument_named(key, data)  # a slot may have gone on
        self._flattening, self._shutting = True, instrument
        try:
            give = self.sell if size > 0 else self.buy
            for piece in self._pieces(instrument, int(abs(size))):
                last = give(owner, data, piece, tag=tag, after_hours="next_open", because=because)
            return last
        finally:
            self._flattening, self._shutting = False, None

    def locked(self, key: str) -> str:
        """What is known of why nothing trades in an instrument, for the end of a sentence."""
        return ""

    def hasten(self, order: Any) -> None:
        """Its cancellation has failed and is to be asked for again without a long wait."""

    def _flatten(self, entry: Any, size: int) -> None:
        """Close at market what a race has left without an exit (or buy back what was exited twice)."""
        closes = (size > 0) == entry.isbuy()
        give = self.sell if closes else self.buy
        key = self.instrument_of_order(entry).key
        what = "have no exit left" if size > 0 else "were exited once too often"
        self.alert("critical", f"{key}: {abs(size)} units of order {entry.ref} {what}; they are traded back", key)
        self._flattening = True
        try:
            for piece in self._pieces(self.instrument_of_order(entry), abs(size)):
                give(
                    entry.p.owner, self.feed_for(entry), piece,
                    tradeid=entry.tradeid, tag="flat", flattens=entry.ref, after_hours="next_open",
                )  # fmt: skip
        finally:
            self._flattening = False

    def _pieces(self, instrument: Instrument, size: int) -> list[int]:
        """What is closed by us is one order, in slices if need be; above what those may have together, several."""
        day = from_seconds(max(self.now, 0)).date()
        most = (largest_order(instrument, day) or size) * most_slices(instrument.exchange, day)
        return [most] * (size // most) + ([size % most] if size % most else [])


STATUS = {
    "expired": Order.Expired,
    "rejected": Order.Rejected,
    "margin": Order.Margin,
    "canceled": Order.Canceled,
    "completed": Order.Completed,
}
_ENDS = {
    "expired": End.EXPIRED,
    "rejected": End.REJECTED,
    "margin": End.REJECTED,
    "canceled": End.CANCELED,
    "completed": End.COMPLETED,
}
