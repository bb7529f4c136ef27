"""The life of orders between the wire and the market: placed, released, changed, cancelled, lapsed.

What a client asks for is checked (:mod:`entry`, :mod:`checks`), paid for (the account), written down (the
book) and sent to the market, in this order. With ``order_delay`` the answer comes before the change, as on
Kite, and what happens in between (a fill, a trigger) wins.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import checks, co, entry, iceberg, protection, slicing
from .account import Account
from .book import Book
from .checks import Terms
from .clock import DAY, MINUTE, SECOND, day_of
from .errors import Refusal, bad_input
from .listing import Listing
from .market import Market
from .matching import Event
from .orders import AMO_RECEIVED, COMPLETE, Order
from .refusals import too_many_changes, unknown_order
from .ruling import Ruling
from .settings import ExchangeSettings

BEING_PROCESSED = "Order cannot be {} as it is being processed. Try later."
_PRE_OPEN = 30 * MINUTE  # an early release that lies further before the open waits for the open
_MONEY = ("MarginException", "HoldingException")  # what risk management may find out later
_FUNDS = re.compile(r"Required margin is (\d+\.\d\d) but available margin is (-?\d+\.\d\d)")
_CHANGED = (
    "quantity", "order_type", "validity", "validity_ttl", "price", "trigger_price", "disclosed_quantity",
    "market_protection", "triggered", "blocked", "reserved", "protected", "system_tags",
)  # fmt: skip

Form = Mapping[str, str]


class OrderFlow:
    """``on_new(order, origin)`` is told of each new order before anything is announced of it; ``origin`` is the
    order that it follows from (an iceberg's leg before, a cover order's entry), or None."""

    def __init__(
        self,
        settings: ExchangeSettings,
        ruling: Ruling,
        market: Market,
        account: Account,
        book: Book,
        on_new: Callable[[Order, Order | None], None],
    ) -> None:
        self._settings, self._ruling = settings, ruling
        self._market, self._account, self._book = market, account, book
        self._on_new = on_new
        self.admit_slice: Callable[[], None] = lambda: None  # counts an order that is no request of its own, or refuses
        self._delay = round(settings.order_delay * SECOND)
        self._leftovers: list[Order] = []  # lapse after the close, at Kite's own hour
        self._exchanges = sorted({listing.row.exchange for listing in market.listings.values()})
        market.every_day(self._appointments)

    # placing

    def place(
        self, variety: str, form: Form, *, placed_by: str | None = None, tags: Sequence[str] = (), sliced: bool = False
    ) -> Order:
        """A new order, or Kite's refusal. ``placed_by`` names someone else than the API's user."""
        market, now = self._market, self._market.now
        terms = self._ruling.terms(from_api=placed_by is None)
        listing = entry.find_listing(form, market.listings, day_of(now))
        order = Order(self._book.new_id(now), listing, now, placed_by or self._settings.user_id)
        order.foreign = placed_by is not None
        entry.fill_in(order, variety, form, terms)
        order.system_tags += tags
        entry.check(order, terms, sliced=sliced)
        is_open = market.phases.takes_orders(listing)
        amo = order.variety == "amo"
        if not is_open and not amo:
            raise bad_input(entry.NO_AMO, {"hints": ["switch_to_amo"]})
        if is_open and amo:
            raise bad_input(checks.NOT_AMO)
        checks.check_hours(order, terms, is_open)
        if not amo:
            market.phases.check(order)
            self._bind(order, terms)
        self._pay(order)
        if order.terminal:
            return order
        self._on_new(order, None)
        if amo:
            self._book.enter_amo(order, now)
        else:
            self._book.receive(order, now)
            self._later(lambda us: self._arrive(order))
        return order

    def place_for_broker(self, listing: Listing, product: str, buys: bool, quantity: int, placed_by: str) -> Order:
        """A market order of the broker's risk desk: nothing is asked of it."""
        now = self._market.now
        order = Order(self._book.new_id(now), listing, now, placed_by)
        order.foreign = True
        order.transaction_type = "BUY" if buys else "SELL"
        order.order_type, order.product, order.quantity = "MARKET", product, quantity
        self._account.reserve(order, check_margin=False, check_holdings=False)
        self._on_new(order, None)
        self._book.receive(order, now)
        self._book.enter(order, now)
        self._send(order)
        return order

    def place_for_wire(self, variety: str, form: Form) -> dict[str, Any]:
        """``POST /orders/{variety}``: one order, or with ``autoslice`` a parent and its children."""
        if form.get("autoslice", "").lower() == "true":
            return self._place_sliced(variety, form)
        return {"order_id": self.place(variety, form).order_id}

    def _place_sliced(self, variety: str, form: Form) -> dict[str, Any]:
        terms = self._ruling.terms()
        listing = entry.find_listing(form, self._market.listings, day_of(self._market.now))
        trial = Order("", listing, self._market.now, "")
        entry.fill_in(trial, variety, form, terms)
        if trial.variety in ("iceberg", "co"):
            raise bad_input(f"Order slicing is not allowed for orders of variety {trial.variety}.")
        entry.check(trial, terms, sliced=True)
        parent_id = self._book.new_id(self._market.now)
        children: list[dict[str, Any]] = []
        for number, size in enumerate(slicing.sizes(listing, trial.quantity, terms)):
            try:
                if number:
                    self.admit_slice()
                child = self.place(variety, {**form, "quantity": str(size)}, tags=slicing.tags(parent_id))
            except Refusal as refusal:
                children.append(slicing.failed(refusal))
            else:
                children.append({"order_id": child.order_id})
        return {"order_id": parent_id, "children": children}

    def _bind(self, order: Order, terms: Terms) -> None:
        """Where protection binds: the limit that a market order becomes is checked like any other."""
        if not self._settings.protection_binds:
            return
        protection.bind(order, terms.rules)
        if order.protected:
            entry.check(order, terms, sliced=True)

    def _pay(self, order: Order) -> None:
        """Hold the money, or refuse: at once, or as a rejection in the book."""
        try:
            self._reserve(order)
        except Refusal as refusal:
            if self._settings.rms == "sync" or refusal.error_type not in _MONEY:
                raise
            self._on_new(order, None)
            self._book.receive(order, self._market.now)
            self._reject_for_money(order, refusal)

    def _reserve(self, order: Order) -> None:
        settings = self._settings
        self._account.reserve(order, check_margin=settings.check_margin, check_holdings=settings.check_holdings)

    def _reject_for_money(self, order: Order, refusal: Refusal) -> None:
        raw = f"RMS:{refusal.message}"
        if found := _FUNDS.search(refusal.message):
            raw = (
                f"RMS:Margin Exceeds,Required:{found[1]}, Available:{found[2]} for entity "
                f"account-{order.placed_by} across exchange across segment across product "
            )
        message = f"{refusal.message} Check the orderbook for open orders."
        self._book.reject(order, self._market.now, message, raw)

    def _later(self, action: Callable[[int], bool | None]) -> None:
        if self._delay:
            self._market.at(self._market.now + self._delay, action)
        else:
            action(self._market.now)

    def _arrive(self, order: Order) -> bool:
        """At the exchange: into its market, or rejected; True if something is told of it."""
        if order.terminal:
            return False
        if checks.out_of_band(order, self._ruling.terms()):
            self._reject_for_band(order)
            return True
        if self._settings.profile == "sandbox" and checks.far_from_market(order):
            self._book.reject(order, self._market.now, checks.TOO_FAR, checks.TOO_FAR)
            return True
        self._book.enter(order, self._market.now)
        if order.variety != "amo" and not self._market.phases.takes_orders(order.listing):
            self._book.end(order, self._market.now)  # its exchange closed while it was on its way
            return True
        self._send(order)
        return False

    def _reject_for_band(self, order: Order) -> None:
        now = self._market.now
        self._market.remove(order)
        if self._settings.lpp_status == "REJECTED":
            self._book.reject(order, now, checks.OUT_OF_BAND, checks.OUT_OF_BAND, by_exchange=True)
        else:
            order.status_message = order.status_message_raw = checks.OUT_OF_BAND
            if order.exchange_order_id is None:
                self._book.enter(order, now)
            self._book.end(order, now)

    def _send(self, order: Order) -> None:
        """To the market, where it meets the next print; what a close left over stays out of it."""
        market = self._market
        if order in self._leftovers:
            return
        order.works_from = market.now + round(self._settings.latency * SECOND)
        order.deadline = market.now + order.validity_ttl * MINUTE if order.validity == "TTL" else 0
        market.add(order, self._book.next_arrival())

    # changing

    def modify(self, variety: str, order_id: str, form: Form, *, from_api: bool = True) -> Order:
        """Change a live order, or Kite's refusal; a refused change leaves it as it was.

        ``from_api`` is false for a change made on the web or the phone.
        """
        order = self._book.get(order_id)
        self._changeable(order, variety, "modified")
        if order.modifications >= self._ruling.terms().modification_cap:
            raise too_many_changes()
        trial = self._trial(order, form, from_api)
        order.modifications += 1
        if not self._delay:
            self._change(order, trial)
            return order

        def due(us: int) -> bool:
            if order.terminal:
                return False
            try:
                self._change(order, self._trial(order, form, from_api))
            except Refusal:
                return False  # what came between (a fill, a trigger) made it impossible
            return True

        self._later(due)
        return order

    def _changeable(self, order: Order, variety: str, verb: str) -> None:
        if not order.working and order.status != AMO_RECEIVED:
            raise bad_input(BEING_PROCESSED.format(verb))
        checks.check_amo_variety(order, variety, self._ruling.terms())

    def _trial(self, order: Order, form: Form, from_api: bool) -> Order:
        """The order as it would be; the money for it is asked for beside the others, and given back."""
        terms = self._ruling.terms(from_api=from_api and not order.foreign)
        trial = copy.copy(order)
        entry.change(trial, form, remaining=self._settings.modify_qty_semantics == "remaining")
        was_market = order.order_type in ("MARKET", "SL-M")
        is_market = trial.order_type in ("MARKET", "SL-M")
        known = (was_market and trial.order_type == order.order_type) or (is_market and order.protected)
        if order.protected and is_market and not trial.market_protection:
            trial.market_protection = protection.AUTO
        entry.check(trial, terms, protection_known=known)
        if order.status != AMO_RECEIVED:
            self._market.phases.check_auction(trial)
            self._bind(trial, terms)
        kept = order.blocked, order.reserved
        order.blocked, order.reserved = 0.0, 0
        try:
            trial.history = []  # judged as if it were new, beside the others
            self._reserve(trial)
        finally:
            order.blocked, order.reserved = kept
        return trial

    def _change(self, order: Order, trial: Order) -> None:
        now = self._market.now
        if order.status != AMO_RECEIVED and checks.out_of_band(trial, self._ruling.terms()):
            self._book.refuse_change(order, now, checks.OUT_OF_BAND)
            return

        def apply() -> None:
            for name in _CHANGED:
                setattr(order, name, getattr(trial, name))

        self._book.changed(order, now, apply)
        if order.pending_quantity == 0:  # reduced to what is filled already
            self._market.remove(order)
            self._book.end(order, now)
        elif order.status != AMO_RECEIVED:
            self._send(order)

    def cancel(self, variety: str, order_id: str, parent_order_id: str | None = None) -> Order:
        """Cancel a live order, or Kite's refusal. The stop of a cover order is exited."""
        order = self._book.get(order_id)
        if parent_order_id and order.parent_order_id != parent_order_id:
            raise unknown_order()
        self._changeable(order, variety, "cancelled")

        def due(us: int) -> bool:
            if order.terminal:
                return False  # it was filled before the cancel arrived
            if order.parent_order_id is not None:
                self._exit(order)
            else:
                self._market.remove(order)
                self._book.cancel(order, us)
            return True

        self._later(due)
        return order

    # what the market does

    def on_event(self, event: Event) -> None:
        """A trigger, a fill, the end of an IOC."""
        order, now = event.order, self._market.now
        if event.triggers and "lpp" in self._settings.enforced and order.order_type == "SL":
            order.triggered = True
            if checks.out_of_band(order, self._ruling.terms()):
                self._reject_for_band(order)
                return
        before = order.filled_quantity
        self._book.carry_out(event, now)
        if order.terminal:
            self._market.remove(order)
        if order.filled_quantity > before:
            if order.variety == "co" and order.parent_order_id is None:
                self._cover(order)
            if order.status == COMPLETE and iceberg.has_next(order):
                self._next_leg(order)

    def _cover(self, parent: Order) -> None:
        """The stop of a cover order follows what its entry has filled."""
        now, stop = self._market.now, parent.child
        stops = [order for order in self._book.orders.values() if order.parent_order_id == parent.order_id]
        wanted = parent.filled_quantity - sum(order.quantity for order in stops if order.terminal)
        if stop is None or stop.terminal:
            demanded = self._ruling.terms(from_api=not parent.foreign).protection_demanded
            stop = co.second_leg(parent, wanted, self._book.new_id(now), now, protected=demanded)
            parent.child = stop
            if self._settings.protection_binds:
                protection.bind(stop, self._ruling.today())
            self._on_new(stop, parent)
            self._account.reserve(stop, check_margin=False, check_holdings=False)
            self._book.receive(stop, now)
            self._book.enter(stop, now)
        else:
            grown = stop

            def apply() -> None:
                grown.quantity = wanted
                self._account.reserve(grown, check_margin=False, check_holdings=False)

            self._book.changed(stop, now, apply)
        self._send(stop)

    def _exit(self, stop: Order) -> None:
        """The stop of a cover order trades at the market."""

        def apply() -> None:
            stop.order_type = "MARKET"
            stop.trigger_price = stop.price = 0.0
            stop.triggered = False
            if self._settings.protection_binds:
                stop.market_protection = protection.AUTO
                protection.bind(stop, self._ruling.today())

        self._book.changed(stop, self._market.now, apply)
        self._send(stop)

    def _next_leg(self, before: Order) -> None:
        now = self._market.now
        leg = Order(self._book.new_id(now), before.listing, now, before.placed_by)
        for name in (
            "variety", "transaction_type", "order_type", "product", "validity", "validity_ttl", "disclosed_quantity",
            "price", "trigger_price", "market_protection", "protected", "tag", "algo_id", "foreign",
        ):  # fmt: skip
            setattr(leg, name, getattr(before, name))
        leg.system_tags = list(before.system_tags)
        leg.quantity, facts = iceberg.next_leg(before)
        leg.iceberg = dict(facts)
        self._on_new(leg, before)
        self._book.receive(leg, now)
        try:
            self._reserve(leg)
        except Refusal as refusal:
            self._reject_for_money(leg, refusal)
            return
        self._arrive(leg)

    def on_expiry(self, orders: Sequence[Order]) -> None:
        """Orders whose time is up, and those that a close leaves over."""
        now = self._market.now
        lapses = self._ruling.today().lapse if self._settings.lapse == "kite" else {}
        for order in orders:
            self._market.remove(order)
            exchange = order.listing.row.exchange
            session = self._market.session(exchange, now)
            at_close = session is not None and session[1] == now and order.deadline != now
            if at_close and now % DAY < lapses.get(exchange, 0) * SECOND:
                self._leftovers.append(order)
            else:
                self._book.end(order, now)

    def on_open(self, exchange: str) -> None:
        """An exchange opens: what waited for it is sent."""
        self._release(exchange, early=False)

    def on_roll(self) -> None:
        """A new day: whatever is left of the old one ends, but for after-market orders."""
        self._leftovers.clear()
        for order in self._book.live():
            if order.status != AMO_RECEIVED:
                self._market.remove(order)
                self._book.end(order, self._market.now)

    # appointments

    def _appointments(self, day: int) -> Iterator[tuple[int, Callable[[int], bool]]]:
        rules, midnight = self._ruling.of(day), day * DAY
        for exchange in self._exchanges:
            session = self._market.session(exchange, midnight)
            if session is None:
                continue
            release = midnight + rules.amo_release.get(exchange, 0) * SECOND
            if session[0] - _PRE_OPEN <= release < session[0]:
                yield release, lambda us, exchange=exchange: self._release(exchange, early=True)  # type: ignore[misc]
            lapse = midnight + rules.lapse.get(exchange, 0) * SECOND
            if self._settings.lapse == "kite" and lapse > session[1]:
                yield lapse, lambda us, exchange=exchange: self._lapse(exchange)  # type: ignore[misc]

    def _release(self, exchange: str, *, early: bool) -> bool:
        """Send the after-market orders of an exchange; ``early`` those that may take part in the pre-open."""
        now, told = self._market.now, False
        for order in self._book.live():
            if order.status != AMO_RECEIVED or order.listing.row.exchange != exchange:
                continue
            plain = order.order_type in ("LIMIT", "MARKET") and order.validity == "DAY" and not order.disclosed_quantity
            if early and not plain:
                continue
            try:
                self._bind(order, self._ruling.terms(from_api=not order.foreign))
            except Refusal as refusal:
                self._book.reject(order, now, refusal.message, refusal.message)
                told = True
                continue
            told |= self._arrive(order)
        return told

    def _lapse(self, exchange: str) -> bool:
        over = [order for order in self._leftovers if order.listing.row.exchange == exchange]
        self._leftovers = [order for order in self._leftovers if order not in over]
        ended = [order for order in over if not order.terminal]
        for order in ended:
            self._book.end(order, self._market.now)
        return bool(ended)
