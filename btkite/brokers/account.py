"""Account: positions and money of one account by instrument, and what an order means for them.

The same for simulated and real fills. Positions and money are keyed by instrument, so two feeds of one
symbol share one position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from threading import get_ident
from typing import Any

import backtrader as bt

from ..commissions import InstrumentCommission, default_product
from ..config import Config
from ..errors import WrongThread
from ..linetime import from_seconds, seconds_of
from ..market.calendar import EXCHANGES
from ..market.margins import Leg, margin_rate, margin_required
from ..portfolio import Portfolio
from ..risk.gate import RiskGate
from ..risk.ledger import Ledger
from ..risk.rules import build_rules
from ..slots import Left
from ..values import Denial, Instrument, OrderType, Proposal
from . import hours, translate
from .base import strategy_name
from .charging import Charging
from .folio import portfolio_of
from .grouping import Groups
from .overnight import INTRADAY, Overnight
from .tally import Tally
from .upkeep import Upkeep

_TRIGGERED = {OrderType.SL: OrderType.LIMIT, OrderType.SLM: OrderType.MARKET}


class Account(Charging):
    """What is held and what it is worth; Cerebro's thread only."""

    gate: RiskGate
    config: Config
    groups: Groups
    own_commission = False  # the user has set one for all instruments

    def init(self) -> None:
        super().init()
        settings = self.config
        capital = float(self.p.cash if self.p.cash is not None else settings.broker.capital)
        self.startingcash = self.startingvalue = capital
        self.ledger = Ledger(capital, margin_rate=self.ledger_margin_rate())
        self.ledger.going = self.going
        steps = settings.risk.model_dump(include={"reduce_at_pct", "on_daily_loss", "on_halt"})
        rules = build_rules(settings.risk.model_dump())
        self.gate = RiskGate(rules, self.ledger, kill=self.p.kill, steps=steps)
        self._positions: dict[str, bt.Position] = {}
        self._products: dict[str, str] = {}
        self._since: dict[str, date] = {}
        self._datas: dict[str, Any] = {}  # of an instrument's feeds, the one with the shortest bars
        self._foreign: dict[int, Instrument] = {}
        self._bound: dict[int, Instrument] = {}  # ref -> what its data was bound to when it was given
        self.overnight = Overnight()
        self.tally = Tally()
        self.upkeep = Upkeep()
        self._held: dict[str, Instrument] = {}  # what was traded, by key
        self._pinned: dict[int, str] = {}  # ref -> the product with which it went to the market
        self._safety: set[int] = set()  # orders that close what a race has left: they pass every limit
        self._flattening = False
        self._thread = 0  # Cerebro's, while it runs
        self._now = -1

    @property
    def now(self) -> int:
        """Market time in seconds (naive IST since 1970)."""
        return self._now

    @property
    def safety(self) -> set[int]:
        """Refs of orders that close what must be closed: they pass every limit, and nothing cancels them."""
        return self._safety

    @property
    def feeds(self) -> dict[str, Any]:
        """The feed of each instrument that was ever traded or watched here."""
        return self._datas

    @property
    def holds_anything(self) -> bool:
        """Whether any position is open."""
        return any(position.size for position in self._positions.values())

    def feed_of(self, key: str) -> Any:
        """Of the feeds of ``EXCHANGE:TRADINGSYMBOL``, the one with the shortest bars; None if there is none."""
        return self._datas.get(key)

    def check_thread(self) -> None:
        """Positions, orders and limits belong to the thread on which Cerebro runs.

        :raises WrongThread: on any other.
        """
        if self._thread not in (0, get_ident()):
            raise WrongThread(
                "orders are given, changed and cancelled on the thread on which Cerebro runs, from next() or a "
                "notify method: hand over to it what another thread has found; nothing was done"
            )

    def open_instruments(self) -> list[tuple[str, Instrument]]:
        """What is held, by key."""
        found = []
        for key, position in self._positions.items():
            if position.size and (data := self._datas.get(key)) is not None:
                found.append((key, self._held.get(key) or self.instrument_named(key, data)))
        return found

    # -- what an order means ----------------------------------------------------------------------------

    def instrument_of_order(self, order: Any) -> Instrument:
        """The instrument that was bound when the order was given."""
        return self._bound.get(order.ref) or self.instrument(order.data)

    def feed_for(self, order: Any) -> Any:
        """The order's data, or, where that is a slot which has gone on, what tells the prices of what it left."""
        key = self.instrument_of_order(order).key
        return order.data if self.instrument(order.data).key == key else self._datas.get(key, order.data)

    def is_in(self, key: str) -> bool:
        """Whether a position or a living order of ours is in an instrument."""
        held = self._positions.get(key)
        return bool(held is not None and held.size) or self._works_in(key)

    def _works_in(self, key: str) -> bool:
        return False

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

    def proposal(self, order: Any) -> Proposal:
        instrument = self.instrument_of_order(order)
        settings, info = self.config.broker, order.info
        feed = self.feed_for(order)
        last = float(feed.close[0]) if len(feed) else float(order.created.pclose or 0.0)
        last = last or self.ledger.position(instrument.key).last_price  # closed before the first bar of a run
        kind, price, trigger = translate.sent_as(order, instrument, settings, last)
        if order.triggered:  # what rests of a stop is its limit, or it takes what there is
            kind, trigger = _TRIGGERED.get(kind, kind), 0.0
        held = self._positions.get(instrument.key)
        wanted = Proposal(
            ref=order.ref,
            instrument=instrument,
            side=translate.side(order),
            quantity=int(abs(order.size)),
            order_type=kind,
            product=self._product(order, instrument, held.size if held else 0),
            variety=info.get("variety") or settings.default_variety,
            validity=info.get("validity") or settings.default_validity,
            price=price,
            trigger_price=trigger,
            reference_price=float(order.created.pclose or (feed.close[0] if len(feed) else 0.0)),
            tag=str(info.get("tag") or ""),
            market_protection=translate.protection_of(order, settings),
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
        return self._usual_product(instrument, held, isbuy=order.isbuy())

    def _usual_product(self, instrument: Instrument, held: float, *, isbuy: bool) -> str:
        if held * (1 if isbuy else -1) < 0 and instrument.key in self._products:
            return self._products[instrument.key]
        return default_product(instrument, self.config.broker.default_product)

    def product_for(self, instrument: Instrument, isbuy: bool) -> str:
        """Kite's product of an order that names none and is given now."""
        held = self._positions.get(instrument.key)
        return self._usual_product(instrument, held.size if held else 0, isbuy=isbuy)

    def product_of_order(self, order: Any) -> str:
        """Kite's product that it went to the market with, or would go with."""
        instrument = self.instrument_of_order(order)
        held = self._positions.get(instrument.key)
        return self._pinned.get(order.ref) or self._product(order, instrument, held.size if held else 0)

    def pin(self, order: Any) -> None:
        """It goes to the market: from now on its product is what it goes with, whatever is held later."""
        instrument = self.instrument_of_order(order)
        held = self._positions.get(instrument.key)
        self._pinned.pop(order.ref, None)
        self._pinned[order.ref] = self._product(order, instrument, held.size if held else 0)

    @property
    def trades_repaired(self) -> bool:
        return bool(self.config.data.trade_repaired)

    def judge(self, orders: Sequence[Any]) -> Denial | None:
        """The gate's word; what makes a race good is no entry and passes it."""
        if not self._flattening:
            return super().judge(orders)
        for order in orders:
            self._safety.add(order.ref)
            self.ledger.allowed(self.proposal(order))
        return None

    # -- money and positions ----------------------------------------------------------------------------

    def getposition(self, data: Any) -> bt.Position:
        """The live position of the data's instrument."""
        return self._positions.setdefault(self.instrument(data).key, bt.Position())

    def getvalue(self, datas: Any = None) -> float:
        """₹: allotted capital + realized + unrealized − charges; of ``datas`` only: their positions' worth."""
        if datas:
            return float(
                sum(
                    size * d.close[0] * self.instrument(d).multiplier
                    for d in datas
                    if len(d) and (size := self.getposition(d).size)
                )
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
                if data is not None and len(data) and self.instrument(data).key == key:  # a slot may have gone on
                    self.ledger.mark(key, data.close[0])

    def _mark_closes(self, today: date) -> None:
        """The ledger's last prices are those of the session before ``today``, if its bars are still the last ones."""
        for key, position in self._positions.items():
            data = self._datas.get(key) if position.size else None
            if data is None or not len(data) or self.instrument(data).key != key:
                continue
            if from_seconds(seconds_of(data.datetime[0])).date() < today:
                self.ledger.mark(key, data.close[0])

    @property
    def portfolio(self) -> Portfolio:
        """What the account has, owes and has made, by instrument and product; made now."""
        self._mark()
        return portfolio_of(self)

    def roll(self, now: int) -> None:
        """Time went on: the day's book turns over when the date does, at the last marks before."""
        self.turn(now)
        if self.ledger.roll(from_seconds(now).date()):
            self.groups.tidy()

    def turn(self, now: int) -> None:
        """Before anything of a new day is booked: what was held over the night."""
        today, night = from_seconds(now).date(), self.upkeep.night
        if today > self.tally.day:
            self._mark_closes(today)
            if self.on_night is not None and self.tally.day > date.min:
                self.on_night(self.tally.day, portfolio_of(self))
            self.tally.turn(today, {key: held.last_price for key, held in self.ledger.positions().items()})
        if self.upkeep.is_new(today) and night is not None:
            self.upkeep.close(night, self.legs(), self.ledger.value)
        self.overnight.turn(
            today,
            (
                (key, position.size, self._since[key])
                for key, position in self._positions.items()
                if position.size and self.product_of(key) == INTRADAY and key.partition(":")[0] in EXCHANGES
            ),
        )

    def data_started(self, data: Any) -> None:
        """A store's feed has started."""
        self._know(data)

    def _know(self, data: Any) -> None:
        """A feed of an instrument; its last price is that of the feed with the shortest bars."""
        key = self.instrument(data).key
        known = self._datas.get(key)
        gone_on = isinstance(known, Left) or (known is not None and self.instrument(known).key != key)
        if gone_on or known is None or (data._timeframe, data._compression) < (known._timeframe, known._compression):
            self._datas[key] = data

    def book_fill(self, order: Any, quantity: int, price: float, when: int) -> float:
        """``quantity`` units of the order traded at ``price`` rupees: position, order and ledger; returns its
        charges in ₹."""
        self.turn(when)
        moment = from_seconds(when)
        instrument = self.instrument_of_order(order)
        position = self._positions.setdefault(instrument.key, bt.Position())
        product = self._product(order, instrument, position.size)
        charges = self.charge(order, instrument, product, quantity, price, when)
        comminfo = order.comminfo
        if not position.size:
            self._products[instrument.key] = product
            self._since[instrument.key] = moment.date()
        before = position.price
        signed = quantity if order.isbuy() else -quantity
        size, average, opened, closed = position.update(signed, price, moment)
        if opened and closed:
            self._products[instrument.key] = product
        closed_charges = charges * abs(closed) / quantity
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
            comminfo.profitandloss(-closed, before, price),
            size,
            average,
        )
        self.ledger.fill(instrument, translate.side(order), quantity, price, charges, moment, ref=order.ref)
        self.tally.fill(instrument.key, product, instrument.multiplier, signed, price, charges)
        self._held[instrument.key] = instrument
        self.upkeep.blocked(self.ledger.used, moment.date())
        return charges

    def held_instrument(self, key: str) -> Instrument | None:
        """What is held under a key; None if nothing of it was traded here."""
        return self._held.get(key)

    def hold_instrument(self, instrument: Instrument) -> None:
        """An instrument that is held since before the run."""
        self._held[instrument.key] = instrument

    def legs(self) -> list[Leg]:
        """What is held, at its last prices; a position from before the run counts once it trades."""
        return [
            Leg(self._held[key], self.product_of(key), held.quantity, held.last_price)
            for key, held in self.ledger.positions().items()
            if key in self._held
        ]

    def product_of(self, key: str) -> str:
        """Kite's product of a position."""
        return self._products.get(key, self.config.broker.default_product)

    def ledger_margin_rate(self) -> Any:
        return partial(_margin_rate, self.config.broker.leverage)

    # -- charges ----------------------------------------------------------------------------------------

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

    def drop(self, ref: int) -> None:
        """Nothing will ever be asked of this order again."""
        for table in (self._bound, self._pinned):
            table.pop(ref, None)
        self.settled(ref)
        self._safety.discard(ref)


def _margin_rate(leverage: float, order: Proposal) -> float:
    """The part of an order's value that it ties up: the table's on its day, and of shares no more than
    ``broker.leverage`` allows. Delivery has none.

    At module level, so that a broker can be sent to another process.
    """
    instrument, value = order.instrument, order.value
    day = order.given.date() if order.given is not None else date.max
    if not instrument.exchange:  # data that is not Kite's
        return 1.0 / leverage
    if not (instrument.is_future or instrument.is_option) or value <= 0:
        return max(1.0 / leverage, margin_rate(instrument, order.side, order.product, day))
    return margin_required(instrument, order.side, order.product, order.quantity, order.worst_price, day) / value
