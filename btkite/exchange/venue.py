"""The exchange behind its wire: market, book, account, sessions and sockets, tied together.

Everything here runs in one thread (the server's loop), so there are no locks: a request sees the market
between two steps.
"""

from __future__ import annotations

import copy
import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Any

from . import entry
from .account import Account
from .book import Book
from .candles import CandleSeries, read_cache
from .clock import MINUTE, SECOND, MarketClock, iso, stamp
from .errors import BadSettings, Refusal, bad_input
from .instruments import make_rows, to_csv
from .limits import Limits
from .listing import Listing
from .market import Market, Step
from .matching import Event
from .orders import AMO_RECEIVED, Order
from .session import Sessions
from .settings import ExchangeSettings
from .stream import Hub

FOREVER = 1 << 62
KEPT_REQUESTS = 200_000
BEFORE_OPEN = 15 * MINUTE  # where a jump over closed time lands


def load_candles(settings: ExchangeSettings) -> Mapping[str, CandleSeries]:
    """The candles that the settings speak of."""
    if settings.cache_dir is not None:
        return read_cache(settings.cache_dir, settings.symbols, settings.interval)
    if settings.seed is not None:
        from .generator import generate_market  # lazily: only a generated market needs it

        return generate_market(settings)
    return settings.candles


class Venue:
    """One market day after the other, for one account."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        candles = load_candles(settings)
        keys = [*candles, *settings.symbols, *settings.holdings]
        self.rows = make_rows(keys, settings.instruments, settings.tick_sizes, settings.lot_sizes)
        self.market = Market(
            self.rows,
            candles,
            settings,
            on_event=self._on_event,
            on_expiry=self._on_expiry,
            on_open=self._on_open,
            on_roll=self._on_roll,
        )
        self.account = Account(settings.cash, settings.sale_proceeds_usable)
        self.account.add_holdings(settings.holdings, self.market.listings)
        self.hub = Hub(self.market.by_token, settings.user_id, settings.max_tokens_per_socket)
        self.book = Book(self.account, self._announce, duplicate_cancelled=settings.duplicate_cancelled)
        self.sessions = Sessions(settings, self.market.now)
        self.limits = Limits()
        self.clock = MarketClock(self.market.now, settings.initial_speed)
        self.lockstep = settings.lockstep
        self._hard_end = stamp(settings.end) if settings.end is not None else FOREVER
        self.done = False
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.request_count = 0
        self.dump = to_csv(self.rows)
        self.etag = f'W/"{hashlib.sha256(self.dump).hexdigest()[:8]}-{len(self.dump):x}"'

    # callbacks of the market

    def _announce(self, order: Order, row: dict[str, Any]) -> None:
        self.hub.tell_order(row)

    def _on_event(self, event: Event, listing: Listing) -> None:
        self.book.carry_out(event, self.market.now)
        if event.order.terminal:
            self.market.remove(event.order)

    def _on_expiry(self, orders: list[Order]) -> None:
        for order in orders:
            self.market.remove(order)
            self.book.end(order, self.market.now)

    def _on_open(self, exchange: str) -> None:
        for order in self.book.live():
            if order.status == AMO_RECEIVED and order.listing.row.exchange == exchange:
                self.book.release(order, self.market.now)
                self._send(order)

    def _on_roll(self) -> None:
        leftovers = [order for order in self.book.live() if order.status != AMO_RECEIVED]
        self._on_expiry(leftovers)
        self.account.roll()
        self.book.wipe()

    # orders

    @property
    def now(self) -> int:
        return self.market.now

    def _send(self, order: Order) -> None:
        """To the market, where it meets the next print."""
        order.works_from = self.now + round(self.settings.latency * SECOND)
        order.deadline = self.now + order.validity_ttl * MINUTE if order.validity == "TTL" else 0
        self.market.add(order, self.book.next_arrival())

    def place(self, variety: str, form: Mapping[str, str], *, placed_by: str | None = None) -> Order:
        """A new order, or Kite's refusal."""
        listing = entry.find_listing(form, self.market.listings)
        order = Order(self.book.new_id(self.now), listing, self.now, placed_by or self.settings.user_id)
        order.foreign = placed_by is not None
        entry.fill_in(order, variety, form)
        entry.check(order, self.settings)
        is_open = self.market.is_open(listing.row.exchange)
        amo = order.variety == "amo"
        if not is_open and not amo:
            raise bad_input(entry.NO_AMO, {"hints": ["switch_to_amo"]})
        if is_open and amo:
            raise bad_input("After Market Orders (AMO) can only be placed outside of market hours.")
        self._reserve(order)
        if amo:
            self.book.enter_amo(order, self.now)
        else:
            self.book.enter(order, self.now)
            self._send(order)
        return order

    def _reserve(self, order: Order) -> None:
        self.account.reserve(
            order, check_margin=self.settings.check_margin, check_holdings=self.settings.check_holdings
        )

    def modify(self, variety: str, order_id: str, form: Mapping[str, str]) -> Order:
        """Change a live order, or Kite's refusal; a refused change leaves it as it was."""
        order = self.book.get(order_id)
        if order.terminal:
            raise bad_input("Order cannot be modified as it is being processed. Try later.")
        if order.modifications >= self.settings.max_modifications:
            raise entry.too_many_changes()
        trial = copy.copy(order)
        entry.change(trial, form)
        was_market = order.order_type in ("MARKET", "SL-M")
        entry.check(trial, self.settings, protection_known=was_market and trial.order_type == order.order_type)
        kept = order.blocked, order.reserved
        order.blocked = 0.0
        order.reserved = 0
        try:
            trial.history = []  # judged as if it were new, beside the others
            self._reserve(trial)
        except Refusal:
            order.blocked, order.reserved = kept
            raise

        def apply() -> None:
            for name in (
                "quantity", "order_type", "validity", "validity_ttl", "price", "trigger_price",
                "disclosed_quantity", "market_protection", "triggered", "blocked", "reserved",
            ):  # fmt: skip
                setattr(order, name, getattr(trial, name))

        order.modifications += 1
        self.book.changed(order, self.now, apply)
        if order.pending_quantity == 0:  # reduced to what is filled already
            self.market.remove(order)
            self.book.end(order, self.now)
        elif order.status != AMO_RECEIVED:
            self._send(order)
        return order

    def cancel(self, variety: str, order_id: str) -> Order:
        """Cancel a live order, or Kite's refusal."""
        order = self.book.get(order_id)
        if order.terminal:
            raise bad_input("Order cannot be cancelled as it is being processed. Try later.")
        self.market.remove(order)
        self.book.cancel(order, self.now)
        return order

    # time

    def pull(self, stop_at_prints: bool, until: int | None) -> None:
        """Lock step: on to the next stop (an order event, a bar's end, an open, ``until``, the end of data)."""
        self.done = False
        market = self.market
        limit = FOREVER if until is None else max(until, market.now)
        while True:
            step = market.step(limit, market.end)
            if step is Step.PRINT:
                self._publish()
                if stop_at_prints and not market.mid_instant:
                    break
            elif step in (Step.EVENT, Step.BAR, Step.OPEN):
                break
            elif step is Step.NOTHING:
                market.now = limit
                break
            elif step is Step.DONE:
                self.done = True
                break
        self.clock.set(market.now)

    def play_until(self, limit: int) -> None:
        """Everything before ``limit``, without a stop."""
        market = self.market
        while True:
            step = market.step(limit, self._hard_end)
            if step is Step.PRINT:
                self._publish()
            elif step is Step.NOTHING:
                break
            elif step is Step.DONE:
                self.done = True
                break
        market.now = max(market.now, limit)

    def catch_up(self) -> None:
        """While the clock runs: play what is due."""
        if self.clock.speed:
            self.play_until(self.clock.now())

    def move_to(self, limit: int) -> None:
        """Play up to ``limit`` and stand there."""
        if limit < self.now:
            raise BadSettings(f"{iso(limit)} is in the past: now is {iso(self.now)}")
        self.play_until(limit)
        self.clock.set(limit)

    def skip_closed(self) -> None:
        """While the clock runs: over the night, if the settings want it."""
        wanted = self.settings.skip_closed
        if wanted is None:
            wanted = self.clock.speed > 1
        opens = self.market.closed_until if wanted and self.clock.speed else None
        if opens is not None and opens - BEFORE_OPEN > self.now:
            self.play_until(opens - BEFORE_OPEN)
            self.clock.set(opens - BEFORE_OPEN)

    def _publish(self) -> None:
        market = self.market
        if not market.mid_instant:
            self.hub.publish(market.touched)
            market.touched.clear()

    def print_by_hand(self, listing: Listing, price: float, quantity: int) -> None:
        """One print that no candle holds."""
        self.market.print_by_hand(listing, price, quantity)
        self.market.touched.remove(listing)
        self.hub.publish([listing])

    # the record

    def clock_state(self) -> dict[str, Any]:
        """What the clock says."""
        return {"now": iso(self.now), "speed": self.clock.speed, "done": self.done, "sent": self.hub.sent()}

    @property
    def limited(self) -> bool:
        """True if rate limits apply."""
        if self.settings.rate_limits is None:
            return self.clock.speed > 0
        return self.settings.rate_limits

    def state(self) -> dict[str, Any]:
        """Everything that a judge wants to see."""
        return {
            "clock": {**self.clock_state(), "lockstep": self.lockstep, "paused": self.clock.speed == 0},
            "account": {
                "user_id": self.settings.user_id,
                "opening_balance": self.account.opening_balance,
                "available": self.account.available,
                "margins": self.account.margins(),
            },
            "orders": [{**order.latest(), "history": order.history} for order in self.book.orders.values()],
            "trades": self.book.trades,
            "positions": self.positions(),
            "holdings": [holding.row() for holding in self.account.holdings.values()],
            "sockets": [
                {
                    "peer": socket.peer,
                    "sent": socket.sent,
                    "subscriptions": {str(token): mode for token, mode in socket.modes.items()},
                }
                for socket in self.hub.sockets
            ],
        }

    def positions(self) -> dict[str, list[dict[str, Any]]]:
        """``/portfolio/positions``."""
        rows = self.account.positions.values()
        return {
            "net": [position.row() for position in rows],
            "day": [
                position.row(day_only=True) for position in rows if position.buy_quantity or position.sell_quantity
            ],
        }
