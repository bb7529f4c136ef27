"""BookBroker: orders, executions, positions and money, the same for simulated and real fills.

Subclasses say only how an order reaches a market (:meth:`route`, :meth:`recall`, :meth:`reroute`).
Everything here runs on Cerebro's thread. Positions, working orders and money are keyed by instrument,
so two feeds of one symbol share one position.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import backtrader as bt

from ..commissions import InstrumentCommission
from ..config import Config
from ..errors import ConfigError
from ..linetime import DAY, from_seconds, seconds_of
from ..log import get_logger
from ..market.charges import Charges, charge_order
from ..market.margins import margin_required
from ..orders.groups import Action, Activate, Cancel, End, Flatten, Resize
from ..risk.gate import RiskGate
from ..risk.ledger import Ledger
from ..risk.rules import EXCHANGE_RULES, build_rules, check
from ..values import Denial, Instrument, Proposal
from . import hours, translate
from .base import GatedBroker, strategy_name
from .grouping import Groups
from .record import Record, restore_money, restore_orders
from .terms import Terms, terms_of

Order = bt.Order
log = get_logger(__name__)


class BookBroker(GatedBroker, bt.BrokerBase):
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
    gate: RiskGate

    own_commission = False  # the user has set one for all instruments

    def __init__(self, **kwargs: Any) -> None:
        self.config: Config = self.p.config or Config()
        super().__init__()

    def __repr__(self) -> str:
        return type(self).__name__

    # -- a run's state ----------------------------------------------------------------------------

    def init(self) -> None:
        super().init()
        settings = self.config
        capital = float(self.p.cash if self.p.cash is not None else settings.broker.capital)
        self.startingcash = self.startingvalue = capital
        self.ledger = Ledger(capital, margin_rate=self.ledger_margin_rate())
        self.gate = RiskGate(build_rules(settings.risk.model_dump()), self.ledger, kill=self.p.kill)
        self.orders: dict[int, Any] = {}
        self.terms: dict[int, Terms] = {}
        self.held: dict[int, int] = {}  # ref -> second at which it may be sent
        self.notifs: deque[Any] = deque()
        self._positions: dict[str, bt.Position] = {}
        self._products: dict[str, str] = {}
        self._since: dict[str, date] = {}
        self.record: Record | None = self.p.record
        self._saved: dict[str, Any] | None = None
        self._datas: dict[str, Any] = {}  # of an instrument's feeds, the one with the shortest bars
        self._foreign: dict[int, Instrument] = {}
        self._bound: dict[int, Instrument] = {}  # ref -> what its data was bound to when it was given
        self._pinned: dict[int, str] = {}  # ref -> the product with which it went to the market
        self._safety: set[int] = set()  # orders that close what a race has left: they pass every limit
        self._flattening = False
        self._forming: dict[int, list[Any]] = {}  # parent ref -> members not yet transmitted
        self.groups = Groups()
        self._fills: dict[int, list[tuple[int, float]]] = {}
        self._charged: dict[int, float] = {}
        self._trailing: dict[int, int] = {}  # ref -> length of its data when last looked at
        self._adopted = False
        self.ending: set[int] = set()  # orders that end at this moment by themselves
        self._now = -1
        self._flushing = False

    # -- time -------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Market time in seconds (naive IST since 1970)."""
        return self._now

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
        instrument = self.instrument(data)
        self._know(data)
        exectype = Order.Market if exectype is None else exectype
        quantity = int(size + 1e-9) if math.isfinite(size) else 0
        if self.config.broker.tick_rounding and exectype not in translate.TRAILING:
            price, plimit = translate.on_tick(instrument, exectype, kind is bt.order.BuyOrder, price, plimit)
        terms = terms_of(self.config, instrument, valid, kwargs, self._time_of(data))
        order = kind(
            owner=owner,
            data=data,
            size=quantity or size,
            price=price,
            pricelimit=plimit,
            exectype=exectype,
            valid=None if terms.deadline is None else from_seconds(terms.deadline),
            tradeid=tradeid,
            trailamount=trailamount,
            trailpercent=trailpercent,
            parent=parent,
            transmit=transmit,
        )
        order.addinfo(**kwargs)
        order.addinfo(instrument=instrument.key)
        order.addcomminfo(self.getcommissioninfo(data))
        self.orders[order.ref] = order
        self.terms[order.ref] = terms
        self._bound[order.ref] = instrument
        if exectype in translate.TRAILING:
            self._trailing[order.ref] = len(data)
            if self.config.broker.tick_rounding:
                self._tidy_trail(order)
        if oco is not None:
            other = self.orders.get(oco.ref, oco)
            self.groups.add_oco(order.ref, quantity, other.ref, abs(other.size), other_alive=other.alive())
        return self.submit(order)

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
        if denial is not None:
            self.deny(group, denial)
            return
        for order in group:
            order.submit(self)
            self.notify(order)
        self._write("order", refs=[order.ref for order in group])
        head = parent or group[0]
        children = [(o.ref, o.exectype, int(abs(o.size))) for o in group if o is not head]
        if children:
            self.groups.add_bracket((head.ref, int(abs(head.size))), children)
        for order in group:
            if order.parent is None:
                self.admit(order)
            else:
                order.accept(self)
                self.notify(order)
        if parent is not None and parent.executed.size:
            self._react(self.groups.filled(parent.ref, int(abs(parent.executed.size))))

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """What no broker of ours can send."""
        for order in group:
            if order.exectype not in translate.TO_KITE:
                return Denial(
                    "exectype",
                    f"an order of type {order.getordername()} has no counterpart on Kite; use Market, Limit or Stop",
                )
            if not 1 <= abs(order.size) < math.inf:  # also of a size that is no number
                return Denial("quantity", f"a quantity of {abs(order.size):g} is less than one")
            if (problem := translate.missing_price(order)) is not None:
                return Denial("price", problem)
            instrument = self.instrument_of_order(order)
            if not self.config.broker.tick_rounding and (problem := translate.off_tick(instrument, order)) is not None:
                return Denial("tick", problem, "broker.tick_rounding")
            problem = translate.wrong_product(instrument, self.proposal(order).product)
            if problem is not None:
                return Denial("product", problem, "broker.default_product")
            if self.terms[order.ref].after_hours == "refuse" and self._session(instrument) is None:
                return Denial("after_hours", "the market is closed", "broker.after_hours")
        return None

    def cancel(self, order: Any) -> bool:
        """Ask for the order's end; False if it has ended already."""
        order = self.orders.get(order.ref, order)
        if not order.alive():
            return False
        if order.ref in self.held or not order.active() or order.status == Order.Created:
            self.ended(order, "canceled")
        else:
            self.recall(order)
        return True

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        """Change a living order in place: same order, same ref, a new arrival in the market.

        ``size`` is the new total (positive), not less than what has been filled. Returns False, and
        changes nothing, if the order has ended or the gate denies the change (then
        ``order.info.denied_change`` says why).
        """
        order = self.orders.get(order.ref, order)
        if not order.alive() or self.is_leaving(order):
            return False
        instrument = self.instrument_of_order(order)
        if self.config.broker.tick_rounding:
            price, plimit = translate.on_tick(instrument, order.exectype, order.isbuy(), price, plimit)
        if size is not None and not math.isfinite(size):
            return False
        quantity = int(abs(order.size) if size is None else size)
        if quantity <= abs(order.executed.size):
            return False
        before = self._state_of(order)
        grows = quantity > abs(order.size) or price is not None or plimit is not None
        self._set(order, quantity, price, plimit)
        denial = self._judge_change(order, grows)
        if denial is not None:
            (order.size, order.executed.remsize, order.price, order.plimit) = before[:4]
            (order.created.size, order.created.price, order.created.pricelimit) = before[4:]
            order.addinfo(denied_change=str(denial))
            return False
        self.ledger.working(order.ref, abs(order.executed.remsize))
        self._write("change", ref=order.ref)
        if order.active() and order.ref not in self.held:
            self.reroute(order)
        if size is not None:
            self._react(self.groups.resized(order.ref, quantity))
        return True

    def _judge_change(self, order: Any, grows: bool) -> Denial | None:
        """The gate's word on what an order is to become; a smaller one needs only whole lots."""
        problem = translate.missing_price(order)
        if problem is not None:
            return Denial("price", problem)
        if self.gate is None or order.status == Order.Created:  # not transmitted yet: judged with its group
            return None
        wanted = self.proposal(order)
        return self.gate.judge([wanted]) if grows else check(wanted, EXCHANGE_RULES, self.ledger)

    @staticmethod
    def _state_of(order: Any) -> tuple[Any, ...]:
        created = order.created
        return (
            order.size, order.executed.remsize, order.price, order.plimit,
            created.size, created.price, created.pricelimit,
        )  # fmt: skip

    def _set(self, order: Any, quantity: int, price: float | None, plimit: float | None) -> None:
        sign = 1 if order.isbuy() else -1
        order.size = order.created.size = sign * quantity
        order.executed.remsize = order.size - order.executed.size
        if price is not None:
            order.created.price = order.price = price
        if plimit is not None:
            order.created.pricelimit = order.plimit = plimit

    # -- what subclasses say ------------------------------------------------------------------------

    def route(self, order: Any) -> None:
        """Send an active, admitted order to the market."""
        raise NotImplementedError

    def recall(self, order: Any) -> None:
        """Take it out of the market."""
        raise NotImplementedError

    def reroute(self, order: Any) -> None:
        """Its size or prices changed."""
        raise NotImplementedError

    def is_leaving(self, order: Any) -> bool:
        """Whether it can not be changed: its cancellation is under way, or nobody knows whether it exists."""
        return False

    def next(self) -> None:
        """A turn of Cerebro, after the lines have moved."""
        self.adopt()
        self.trail()

    # -- sessions -----------------------------------------------------------------------------------

    def admit(self, order: Any) -> None:
        """Into the market now, or held until it opens."""
        instrument = self.instrument_of_order(order)
        if self._session(instrument) is None and self.terms[order.ref].after_hours != "amo":
            self.hold(order, hours.next_open(instrument, self.now, candle_days=self._candle_days(instrument)))
        else:
            self.route(order)

    def hold(self, order: Any, until: int) -> None:
        self.held[order.ref] = until

    def held_due(self) -> list[int]:
        """When each held order is sent, or ends before that."""
        return [min(at, self.terms[ref].deadline or at) for ref, at in self.held.items()]

    def _session(self, instrument: Instrument) -> tuple[int, int] | None:
        days = self._candle_days(instrument)
        return hours.session_at(instrument, self.now, traded_anyway=self.now // DAY in days)

    def _candle_days(self, instrument: Instrument) -> frozenset[int]:
        return frozenset()

    def close_after(self, order: Any) -> int:
        """When the session ends in which the order is working, in seconds."""
        return hours.close_of_day(self.instrument_of_order(order), self.now)

    def _time_of(self, data: Any) -> int:
        return self.now if self.now >= 0 else (seconds_of(data.datetime[0]) if len(data) else 0)

    # -- trailing stops -------------------------------------------------------------------------------

    def trail(self) -> None:
        """Move trailing stops with the close of the bars that have just been seen, never back (as BackBroker
        does at the end of each bar); Cerebro's turn, before ``next()``."""
        for ref, seen in list(self._trailing.items()):
            order = self.orders[ref]
            if not order.alive():
                del self._trailing[ref]
                continue
            if len(order.data) == seen or not order.active() or self.is_leaving(order):
                continue
            self._trailing[ref] = len(order.data)
            before = order.created.price
            order.trailadjust(order.data.close[0])
            if order.created.price == before:
                continue
            self._tidy_trail(order)
            if order.created.price != before and not order.triggered and ref not in self.held:
                self.reroute(order)

    def _tidy_trail(self, order: Any) -> None:
        """Its prices on the tick."""
        created = order.created
        created.price, limit = translate.on_tick(
            self.instrument_of_order(order), Order.StopLimit, order.isbuy(), created.price, created.pricelimit
        )
        if order.exectype == Order.StopTrailLimit:
            created.pricelimit = limit

    # -- what happens to an order ---------------------------------------------------------------------

    def accepted(self, order: Any) -> None:
        if order.status in (Order.Created, Order.Submitted):
            order.accept(self)
            self.notify(order)

    def filled(self, order: Any, quantity: int, price: float, when: int) -> None:
        """An execution of ``quantity`` at ``price`` rupees: order, position, money, group. One that surfaces after
        the order's end counts all the same and does not bring it back to life."""
        ended = None if order.alive() else order.status
        signed = quantity if order.isbuy() else -quantity
        instrument = self.instrument_of_order(order)
        position = self._positions.setdefault(instrument.key, bt.Position())
        product = self._product(order, instrument, position.size)
        if not position.size:
            self._products[instrument.key] = product
            self._since[instrument.key] = from_seconds(when).date()
        before = position.price
        comminfo = order.comminfo
        charges = self._charge(order, instrument, product, quantity, price, when)
        moment = from_seconds(when)
        size, average, opened, closed = position.update(signed, price, moment)
        if opened and closed:
            self._products[instrument.key] = product
        closed_charges = charges * abs(closed) / quantity
        pnl = comminfo.profitandloss(-closed, before, price)
        order.execute(
            order.data.date2num(moment),
            signed,
            price,
            closed,
            comminfo.getoperationcost(closed, before),
            closed_charges,
            opened,
            comminfo.getoperationcost(opened, price),
            charges - closed_charges,
            comminfo.margin,
            pnl,
            size,
            average,
        )
        self.ledger.fill(
            instrument,
            translate.side(order),
            quantity,
            price,
            charges,
            moment,
            ref=order.ref,
        )
        self.notify(order)
        if ended is not None and order.alive():
            order.status = ended
            self.notify(order)
        if not order.alive():
            self._forget(order)
        self._write("fill", ref=order.ref, quantity=quantity, price=price, charges=charges, at=moment)
        self._react(self.groups.filled(order.ref, int(abs(order.executed.size))))

    def ended(self, order: Any, how: str, reason: str = "") -> None:
        """The order is over without (further) fills: canceled, expired, rejected, margin; or completed, when it
        turns out to have been smaller."""
        if not order.alive():
            return
        if reason:
            order.addinfo(reason=reason)
        order.status = _STATUS[how]
        if len(order.data):  # backtrader's own cancel() and reject() need a bar
            order.executed.dt = order.data.datetime[0]
        self.notify(order)
        self._forget(order, refused=how in ("rejected", "margin"))
        self._write("end", ref=order.ref, how=how, reason=reason)
        end = _ENDS.get(how, End.CANCELED)
        self._react(self.groups.ended(order.ref, end, int(abs(order.executed.size))))

    def _forget(self, order: Any, *, refused: bool = False) -> None:
        self.held.pop(order.ref, None)
        self.terms.pop(order.ref, None)
        if order.status == Order.Completed:  # of any other, a fill may surface late
            self._fills.pop(order.ref, None)
            self._charged.pop(order.ref, None)
        self.ledger.done(order.ref, refused=refused)

    def _react(self, actions: Iterable[tuple[int, Action]]) -> None:
        """What a group asks for after one of its members traded or ended."""
        for key, action in actions:
            if isinstance(action, Flatten):
                self._flatten(self.orders[abs(key)], action.size)
                continue
            order = self.orders.get(action.ref)
            if order is None or not order.alive():
                continue
            if isinstance(action, Cancel):
                if order.ref not in self.ending:
                    self.cancel(order)
            elif isinstance(action, Resize):
                self._set(order, int(action.size), None, None)
                self.ledger.working(order.ref, abs(order.executed.remsize))
                if order.active() and order.ref not in self.held:
                    self.reroute(order)
            elif isinstance(action, Activate):
                self._set(order, int(action.size), None, None)
                order.activate()
                self.admit(order)

    def _flatten(self, entry: Any, size: int) -> None:
        """Close at market what a race has left without an exit (or buy back what was exited twice)."""
        closes = (size > 0) == entry.isbuy()
        give = self.sell if closes else self.buy
        log.warning("closing at market what no exit is left for", entry=entry.ref, size=size)
        self._flattening = True
        try:
            give(
                entry.p.owner, entry.data, abs(size),
                tradeid=entry.tradeid, tag="flat", flattens=entry.ref, after_hours="next_open",
            )  # fmt: skip
        finally:
            self._flattening = False

    def judge(self, orders: Sequence[Any]) -> Denial | None:
        """The gate's word; what makes a race good is no entry and passes it."""
        if not self._flattening:
            return super().judge(orders)
        for order in orders:
            self._safety.add(order.ref)
            self.ledger.allowed(self.proposal(order))
        return None

    def _charge(
        self, order: Any, instrument: Instrument, product: str, quantity: int, price: float, when: int
    ) -> float:
        """₹ that this execution adds to the order's charges (brokerage is capped per order, not per fill)."""
        if not isinstance(order.comminfo, InstrumentCommission):  # of the user's own making
            return float(order.comminfo.getcommission(quantity, price))
        if not self.config.broker.charges:
            return 0.0
        fills = self._fills.setdefault(order.ref, [])
        fills.append((quantity, price))
        total: Charges = charge_order(instrument, translate.side(order), product, fills, from_seconds(when).date())
        added = float(total.total) - self._charged.get(order.ref, 0.0)
        self._charged[order.ref] = float(total.total)
        return added

    def instrument_of_order(self, order: Any) -> Instrument:
        """The instrument that was bound when the order was given."""
        return self._bound.get(order.ref) or self.instrument(order.data)

    def instrument(self, data: Any) -> Instrument:
        """Of a data that is not ours, its name, with the multiplier that was set for it."""
        found = getattr(data, "instrument", None)
        if isinstance(found, Instrument):
            return found
        known = self._foreign.get(id(data))
        if known is None:
            units = float(bt.BrokerBase.getcommissioninfo(self, data).p.mult)
            known = self._foreign[id(data)] = replace(super().instrument(data), multiplier=units)
        return known

    # -- the proposal -------------------------------------------------------------------------------

    def proposal(self, order: Any) -> Proposal:
        instrument = self.instrument_of_order(order)
        price, trigger = translate.kite_prices(order)
        settings, info = self.config.broker, order.info
        held = self._positions.get(instrument.key)
        wanted = Proposal(
            ref=order.ref,
            instrument=instrument,
            side=translate.side(order),
            quantity=int(abs(order.size)),
            order_type=translate.kite_type(order),
            product=self._product(order, instrument, held.size if held else 0),
            variety=info.get("variety") or settings.default_variety,
            validity=info.get("validity") or settings.default_validity,
            price=price,
            trigger_price=0.0 if order.triggered else trigger,
            reference_price=float(order.created.pclose or order.data.close[0]),
            tag=str(info.get("tag") or ""),
            market_protection=info.get("market_protection", settings.market_protection),
            disclosed_quantity=int(info.get("disclosed_quantity") or 0),
            iceberg_legs=int(info.get("iceberg_legs") or 0),
            iceberg_quantity=int(info.get("iceberg_quantity") or 0),
            autoslice=bool(info.get("autoslice") or False),
            validity_ttl=int(info.get("validity_ttl") or 0),
            strategy=strategy_name(order),
            given=from_seconds(max(self.now, 0)),
            parent=getattr(order.parent, "ref", 0),
            group=self.groups.leader(order.ref),
        )
        return replace(wanted, reduces=order.ref in self._safety or self.ledger.reduces(wanted))

    def _product(self, order: Any, instrument: Instrument, held: float) -> str:
        """An order that reduces takes the product of what it reduces; the default is for opening."""
        named = order.info.get("product") or self._pinned.get(order.ref)
        if named:
            return str(named)
        against = held * (1 if order.isbuy() else -1) < 0
        if against and instrument.key in self._products:
            return self._products[instrument.key]
        default = self.config.broker.default_product
        if default in ("CNC", "MTF") and (instrument.is_future or instrument.is_option):
            return "NRML"
        return default

    def pin(self, order: Any) -> None:
        """It goes to the market: from now on its product is what it goes with, whatever is held later."""
        instrument = self.instrument_of_order(order)
        held = self._positions.get(instrument.key)
        self._pinned.pop(order.ref, None)
        self._pinned[order.ref] = self._product(order, instrument, held.size if held else 0)

    # -- money and positions --------------------------------------------------------------------------

    def getposition(self, data: Any) -> bt.Position:
        """The live position of the data's instrument."""
        return self._positions.setdefault(self.instrument(data).key, bt.Position())

    def getvalue(self, datas: Any = None) -> float:
        """₹: allotted capital + realized + unrealized − charges; of ``datas`` only: their positions' worth."""
        if datas:
            return float(
                sum(self.getposition(d).size * d.close[0] * self.instrument(d).multiplier for d in datas if len(d))
            )
        self._mark()
        return self.ledger.value

    get_value = getvalue

    def getcash(self) -> float:
        """₹ that the next order may use: what is not blocked, in live no more than Kite's margins allow."""
        limit = self.ledger.funds_limit
        return self.ledger.cash if limit is None else min(self.ledger.cash, limit)

    get_cash = getcash

    def get_fundvalue(self) -> float:
        return self.getvalue()

    fundvalue = property(get_fundvalue)

    def setcash(self, cash: float) -> None:
        """Allot ``cash`` ₹; before a run."""
        self.p.cash = float(cash)
        self.init()

    set_cash = setcash

    def _mark(self) -> None:
        for key, position in self._positions.items():
            if position.size:
                data = self._datas.get(key)
                if data is not None and len(data):
                    self.ledger.mark(key, data.close[0])

    def roll(self, now: int) -> None:
        """A bar ended: the day's book turns over when the date does."""
        if self.ledger.roll(from_seconds(now).date()):
            self.groups.tidy()
        self._mark()
        self.ledger.observe()

    def data_started(self, data: Any) -> None:
        """A store's feed has started."""
        self._know(data)

    def _know(self, data: Any) -> None:
        """A feed of an instrument; its last price is that of the feed with the shortest bars."""
        key = self.instrument(data).key
        known = self._datas.get(key)
        if known is None or (data._timeframe, data._compression) < (known._timeframe, known._compression):
            self._datas[key] = data

    # -- the account over restarts ------------------------------------------------------------------------

    def _write(self, kind: str, **facts: Any) -> None:
        if self.record is not None:
            self.record.note(kind, self, **facts)

    def adopt(self) -> None:
        """Once, when strategies exist: what the last run left becomes theirs again."""
        strategies = getattr(self.cerebro, "runningstrats", None)
        if self._saved is None or not strategies:
            return
        book, self._saved = self._saved, None
        self._adopted = True
        restore_orders(self, book, strategies)
        self._write("restored", orders=len(book["orders"]), positions=len(book["positions"]))
        self.flush()

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

    def product_of(self, key: str) -> str:
        """Kite's product of a position."""
        return self._products.get(key, self.config.broker.default_product)

    def fills_of(self, order: Any) -> list[tuple[int, float]]:
        """Quantity and price of each execution so far."""
        return self._fills.get(order.ref, [])

    def set_position(self, key: str, size: int, price: float, product: str, since: date) -> None:
        """A position as the journal has it."""
        self._positions[key] = bt.Position(size, price)
        self._products[key], self._since[key] = product, since

    def put_back(self, order: Any, terms: Terms, fills: list[tuple[int, float]]) -> None:
        """An order of the last run is known again."""
        self.orders[order.ref] = order
        self.terms[order.ref] = terms
        self._know(order.data)
        if fills:
            self._fills[order.ref] = fills
            self._charged[order.ref] = order.executed.comm
        if order.exectype in translate.TRAILING:
            self._trailing[order.ref] = len(order.data)

    def resume(self, order: Any) -> None:
        """A living order of the last run goes on."""
        self.admit(order)

    def ledger_margin_rate(self) -> Any:
        return partial(_margin_rate, self.config.broker.leverage)

    # -- the rest of backtrader's contract ------------------------------------------------------------

    def start(self) -> None:
        super().start()
        self._saved = self.record.last_book() if self.record is not None else None
        if self._saved is not None:
            restore_money(self, self._saved)
        for data in getattr(self.cerebro, "datas", ()):
            self._know(data)

    def setcommission(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        """As backtrader's: what is set here is charged instead of Zerodha's tables."""
        self.own_commission = self.own_commission or name is None
        super().setcommission(*args, name=name, **kwargs)

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """As backtrader's; see :meth:`setcommission`."""
        self.own_commission = self.own_commission or name is None
        super().addcommissioninfo(comminfo, name=name)

    def getcommissioninfo(self, data: Any) -> Any:
        """What the user has set for this data (or for all), else an estimate by Zerodha's tables."""
        instrument = self.instrument(data)
        own = data._name in self.comminfo or self.own_commission
        if own or not hours.has_sessions(instrument):
            return super().getcommissioninfo(data)
        found = self.comminfo.get(instrument.key)
        if found is None:
            found = self.comminfo[instrument.key] = InstrumentCommission.of(instrument, self)
        return found

    def notify(self, order: Any) -> None:
        """Queue exactly one clone: a clone carries only its new execution bits."""
        self.notifs.append(order.clone())

    def get_notification(self) -> Any:
        return self.notifs.popleft() if self.has_news else None

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell that can be told: after a restart strategies have no bar yet, and
        what they would look at in ``notify_order`` is not there."""
        if not self.notifs:
            return False
        return not self._adopted or all(len(strategy) for strategy in self.cerebro.runningstrats)

    def flush(self) -> None:
        """Tell the strategies at once, in the middle of a bar, if Cerebro wants it so (``quicknotify``)."""
        cerebro = getattr(self, "cerebro", None)
        if cerebro is None or not cerebro.p.quicknotify or self._flushing:
            return
        self._flushing = True
        try:
            while self.has_news:
                order = self.notifs.popleft()
                owner = cerebro.runningstrats[0] if order.p.owner is None else order.p.owner
                owner._addnotification(order, quicknotify=True)
        finally:
            self._flushing = False

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """Living orders; ``safe`` gives copies that no longer change."""
        import copy

        return [copy.copy(order) if safe else order for order in self.orders.values() if order.alive()]

    def orderstatus(self, order: Any) -> int:
        return int(self.orders.get(order.ref, order).status)

    def set_coc(self, coc: bool) -> None:
        self._no_cheating(coc, "cheat-on-close")

    def set_coo(self, coo: bool) -> None:
        self._no_cheating(coo, "cheat-on-open")

    def _no_cheating(self, wanted: bool, what: str) -> None:
        if wanted:
            raise ConfigError(f'{what} has no counterpart in a live market; use SimBroker(rule="backtrader") for it')


_STATUS = {
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


def _margin_rate(leverage: float, order: Proposal) -> float:
    """The part of an order's value that it ties up: shares by ``broker.leverage``, derivatives by the table.

    At module level, so that a broker can be sent to another process.
    """
    instrument, value = order.instrument, order.value
    if not (instrument.is_future or instrument.is_option) or value <= 0:
        return 1.0 / leverage
    needed = margin_required(instrument, order.side, order.product, order.quantity, order.worst_price)
    return needed / value
