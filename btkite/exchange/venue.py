"""The exchange behind its wire: market, book, account, sessions and sockets, tied together.

Everything here runs in one thread (the server's loop), so there are no locks: a request sees the market
between two steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from . import settle, squareoff
from .account import Account
from .alerts import Alerts
from .apps import App
from .book import Book
from .candles import CandleSeries, read_cache
from .clock import DAY, MINUTE, SECOND, MarketClock, day_of, iso, stamp, wire_epoch
from .errors import BadSettings
from .faults import Delivery, Plan
from .flow import OrderFlow
from .funds import Funds
from .gtt import Triggers
from .instruments import make_rows, rows_on, to_csv
from .limits import ORDERS, Limits, Windows
from .listed import check_names, explicit_rows, first_day
from .listing import Listing
from .market import Market, Step
from .matching import Event
from .orders import Order
from .postbacks import Postbacks, update_of
from .quoting import quote_row
from .refusals import too_many_calls
from .ruling import Ruling
from .session import Sessions
from .settings import ExchangeSettings
from .stream import FOREVER, Hub

KEPT_REQUESTS = 200_000
DUMP_AT = 8 * 3600 * SECOND
BEFORE_OPEN = 15 * MINUTE  # where a jump over closed time lands


def load_candles(settings: ExchangeSettings) -> Mapping[str, CandleSeries]:
    """The candles that the settings speak of."""
    if settings.cache_dir is not None:
        return read_cache(settings.cache_dir, settings.symbols, settings.interval)
    if settings.seed is not None:
        from .generator import generate_market  # lazily: only a generated market needs it

        return generate_market(settings, explicit_rows(settings, {}), history=True)
    return settings.candles


class Venue:
    """One market day after the other, for one account."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        candles = load_candles(settings)
        keys = [*candles, *settings.symbols, *settings.ticks, *settings.holdings]
        self.rows = make_rows(
            keys,
            explicit_rows(settings, candles),
            settings.tick_sizes,
            settings.lot_sizes,
            first_day(settings, candles),
        )
        check_names(settings, self.rows, candles)
        self.market = Market(
            self.rows,
            candles,
            settings,
            first=first_day(settings, candles) if settings.seed is not None else None,
            on_event=self._on_event,
            on_expiry=self._on_expiry,
            on_open=self._on_open,
            on_roll=self._on_roll,
        )
        self.account = Account(settings, day_of(self.market.now))
        self.account.add_holdings(settings.holdings, self.market.listings)
        self.account.auctions.update(settings.auctions)
        self.hub = Hub(self.market.by_token, settings.max_tokens_per_socket, settings.snapshot_ms * 1000)
        self.alerts = Alerts(self.market.listings, settings.user_id)
        self.funds = Funds(settings.funds, settings.fund_holdings, settings.user_id)
        self.postbacks = Postbacks(settings.postback_timeout)
        self.caller: App | None = None  # whose request is being answered
        self._placed_with: dict[str, App] = {}
        self.book = Book(
            self.account,
            self._announce,
            duplicate_cancelled=settings.duplicate_cancelled,
            as_seen=settings.history_profile == "seen",
        )
        self.ruling = Ruling(settings, self.market)
        self.flow = OrderFlow(settings, self.ruling, self.market, self.account, self.book, self._on_new)
        self.gtt = Triggers(
            self.market.listings,
            settings.user_id,
            settings.app_id,
            place=self.flow.place,
            terms=self.ruling.terms,
            now=lambda: self.market.now,
        )
        self.market.every_day(lambda day: squareoff.appointments(self, day))
        self.sessions = Sessions(settings, self.market.now)
        self.limits = Limits(
            self._order_windows,
            abuse_refusals=settings.abuse_refusals,
            abuse_block=settings.abuse_block_seconds * SECOND,
        )
        self.flow.admit_slice = self._count_slice
        self.clock = MarketClock(self.market.now, settings.initial_speed)
        self.lockstep = settings.lockstep
        self._hard_end = stamp(settings.end) if settings.end is not None else FOREVER
        self.done = False
        self.requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self.request_count = 0
        self.told = 0  # changes of orders so far
        self.faults = Plan(self)
        self.faults.arm_all(settings.faults)
        self._dump: tuple[int, bytes] = (-1, b"")

    # callbacks of the market

    def _announce(self, order: Order, row: dict[str, Any]) -> None:
        app = self._app_of(order)
        self.told += 1
        for one in self.faults.updates(update_of(row, self.settings.user_id, app), app.postback_url if app else None):
            self.send_update(one)

    def send_update(self, one: Delivery) -> None:
        """An order update by its channels."""
        if one.stream:
            self.hub.tell("order", one.row)
        if one.postback:
            self.postbacks.put(one.postback, one.row)

    def _app_of(self, order: Order) -> App | None:
        """The app that an order was placed with; what no request of an app placed is the first one's."""
        if order.foreign:
            return None
        return self._placed_with.get(order.order_id, self.sessions.first)

    def _on_event(self, event: Event, listing: Listing) -> None:
        self.flow.on_event(event)

    def _on_expiry(self, orders: list[Order]) -> None:
        self.flow.on_expiry(orders)

    def _on_open(self, exchange: str) -> None:
        self.flow.on_open(exchange)

    def _on_roll(self) -> None:
        self.flow.on_roll()
        self.gtt.on_roll()
        settle.roll(self.account, self.market.listings, day_of(self.now), squares_off=squareoff.is_on(self))
        self.book.wipe()
        self._placed_with = {key: app for key, app in self._placed_with.items() if key in self.book.orders}

    # orders

    @property
    def now(self) -> int:
        return self.market.now

    def _on_new(self, order: Order, origin: Order | None) -> None:
        """An order exists, and nothing was told of it yet: remember whose it is."""
        app = self.caller if origin is None else self._placed_with.get(origin.order_id)
        if app is not None:
            self._placed_with[order.order_id] = app
        if origin is not None and order.variety == "iceberg" and self.limited:
            self.limits.add(ORDERS, self.now)  # each leg is an order at the exchange

    def place(self, variety: str, form: Mapping[str, str], *, placed_by: str | None = None) -> Order:
        """A new order, or Kite's refusal."""
        return self.flow.place(variety, form, placed_by=placed_by)

    def modify(self, variety: str, order_id: str, form: Mapping[str, str], *, from_api: bool = True) -> Order:
        """Change a live order, or Kite's refusal; a refused change leaves it as it was."""
        return self.flow.modify(variety, order_id, form, from_api=from_api)

    def cancel(self, variety: str, order_id: str, parent_order_id: str | None = None) -> Order:
        """Cancel a live order, or Kite's refusal."""
        return self.flow.cancel(variety, order_id, parent_order_id)

    def take_cash(self, amount: float) -> None:
        """Rupees that leave the account in the middle of the day."""
        self.account.add_cash(-amount, text="taken out")

    # time

    def pull(self, stop_at_prints: bool, until: int | None) -> None:
        """Lock step: on to the next stop (an order event, a bar's end, an open, ``until``, the end of data)."""
        self.done = False
        market = self.market
        limit = FOREVER if until is None else max(until, market.now)
        while True:
            step = market.step(limit, market.end)
            if market.touched:
                self._publish()
            if step is Step.PRINT:
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
        market, hub = self.market, self.hub
        while True:
            step = market.step(min(limit, hub.due), self._hard_end)
            if market.touched:
                self._publish()
            if step is Step.NOTHING:
                if hub.due > limit:
                    break
                hub.release()
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
            self.gtt.on_prints(market.touched)
            self.alerts.look(market.touched, market.now)
            if self.clock.speed:
                self.hub.hold(market.touched, market.now)
            else:
                self.hub.publish(market.touched)
            market.touched.clear()

    def next_stop(self) -> int | None:
        """While the clock runs: when there is something to play or to tell; None if there is nothing."""
        following = self.market.next_instant()
        return self.hub.due if self.hub.due < (following or FOREVER) else following

    def after_call(self) -> None:
        """Send what a call or a while of the clock left to be sent; nobody waits for slow readers."""
        if not self.clock.speed:
            self.hub.release()
        if self.settings.ws_kill_on_expiry:
            for socket in list(self.hub.sockets):
                if not self.sessions.valid(socket.api_key, socket.token, self.now):
                    socket.abort()
        self.hub.start_flush()
        self.postbacks.start()

    def print_by_hand(self, listing: Listing, price: float, quantity: int) -> None:
        """One print that no candle holds."""
        self.market.print_by_hand(listing, price, quantity)
        self.market.touched.remove(listing)
        self.gtt.on_prints([listing])
        self.alerts.look([listing], self.now)
        self.hub.publish([listing])

    def depth_by_hand(self, listing: Listing, bids: Sequence[Sequence[float]], asks: Sequence[Sequence[float]]) -> None:
        """A book that no candle holds; it stands until the next print."""
        self.market.put_depth(listing, bids, asks)
        self.hub.publish([listing])

    # the record

    def clock_state(self) -> dict[str, Any]:
        """What the clock says."""
        return {"now": iso(self.now), "speed": self.clock.speed, "done": self.done, "sent": self.hub.sent()}

    @property
    def dump(self) -> bytes:
        """Today's instrument dump."""
        today = self.now // DAY
        if self._dump[0] != today:
            self._dump = today, self.dump_of(day_of(self.now))
        return self._dump[1]

    def dump_of(self, day: date) -> bytes:
        """The instrument dump of another day: without what was listed later or had expired."""
        return to_csv(rows_on(self.rows, day))

    @property
    def etag(self) -> str:
        """What the stream's greeting says of the dump: when it was made (08:00 IST of the day), how long it is."""
        made = wire_epoch(self.now - self.now % DAY + DUMP_AT)
        return f'W/"{made:x}-{len(self.dump):x}"'

    def _count_slice(self) -> None:
        """A slice counts like an order; what is over the limit is refused alone."""
        if self.limited and not self.limits.take(ORDERS, self.now):
            raise too_many_calls()
        self.faults.at_slice()

    def _order_windows(self, now: int) -> Windows:
        rules = self.ruling.of(now // DAY)
        return (SECOND, rules.orders_per_second), (MINUTE, rules.orders_per_minute), (DAY, rules.orders_per_day)

    @property
    def limited(self) -> bool:
        """True if rate limits apply."""
        if self.settings.rate_limits is None:
            return self.clock.speed > 0
        return self.settings.rate_limits

    def state(self) -> dict[str, Any]:
        """Everything that a judge wants to see; ``ranks`` put the rows of all orders' histories into one order."""
        orders = self.book.orders.values()
        ranks = {serial: n for n, serial in enumerate(sorted(one for order in orders for one in order.serials))}
        return {
            "clock": {**self.clock_state(), "lockstep": self.lockstep, "paused": self.clock.speed == 0},
            "account": {
                "user_id": self.settings.user_id,
                "opening_balance": self.account.opening_balance,
                "available": self.account.available,
                "margins": self.account.margins(),
                "ledger": [entry.row() for entry in self.account.ledger.entries],
            },
            "orders": [
                {
                    **order.latest(),
                    "algo_id": order.algo_id,
                    "history": order.history,
                    "ranks": [ranks[serial] for serial in order.serials],
                }
                for order in orders
            ],
            "gtt": self.gtt.rows(),
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
            "faults": self.faults.rows(),
            "market": [quote_row(listing) for listing in self.market.listings.values()],
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
