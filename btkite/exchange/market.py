"""The market in motion: instants are played one after the other, each order event a step of its own.

``step()`` does the next single thing and says what it was, so that a lock-step pull can stop right
after an order event, in the middle of a segment if need be (docs/fills.md, rule 8).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from enum import Enum

from . import opening, prints, schedule
from .agenda import Action, Agenda, Rule
from .candles import CandleSeries, interval_seconds
from .clock import SECOND, stamp
from .days import Days
from .depth import Book, put_side
from .errors import BadSettings
from .instruments import InstrumentRow
from .listing import Listing
from .matching import Event, Segment, next_event, sized, standing_event
from .orders import Order
from .phases import Phases
from .settings import ExchangeSettings


class Step(Enum):
    """What :meth:`Market.step` did."""

    EVENT = "event"  # an order changed
    PRINT = "print"
    BAR = "bar"  # a candle ended
    OPEN = "open"  # an exchange opened; nothing was printed yet
    QUIET = "quiet"  # something that concerns no order and no stop
    NOTHING = "nothing"  # nothing left before the limit
    DONE = "done"  # nothing left at all


class Market:
    """Prices and time. Orders are reached through callbacks, so that this file knows no account.

    ``first`` is the first day that is played if the settings name no start: earlier candles are history.
    ``on_event`` carries out an order event, ``on_expiry`` cancels orders whose time is up, ``on_open``
    releases what waited for an exchange's open, ``on_roll`` turns the account's day.
    """

    def __init__(
        self,
        rows: Sequence[InstrumentRow],
        candles: Mapping[str, CandleSeries],
        settings: ExchangeSettings,
        *,
        first: date | None = None,
        on_event: Callable[[Event, Listing], None],
        on_expiry: Callable[[list[Order]], None],
        on_open: Callable[[str], None],
        on_roll: Callable[[], None],
    ) -> None:
        self._prints = prints.Prints(settings)
        self._beyond = settings.beyond_depth == "walk"
        self._impact = settings.impact
        self._interval = settings.interval
        self._on_event, self._on_expiry = on_event, on_expiry
        self._on_open, self._on_roll = on_open, on_roll
        self._ranked = opening.make_listings(rows, candles, settings)
        self.listings = {listing.key: listing for listing in self._ranked}
        self.by_token = {listing.token: listing for listing in self._ranked}
        self.touched: list[Listing] = []  # printed at the instant that is being played
        self._walk: prints.Walk | None = None
        self._expiries: list[tuple[int, int, Order]] = []
        self._agenda = Agenda()
        tapes = [listing.tape for listing in self._ranked if listing.tape is not None]
        self._days = Days(tapes, sorted({row.exchange for row in rows}), settings, first, self._lay_out)
        self.now = self._days.start
        self._begin()
        self.end = stamp(settings.end) if settings.end is not None else self._days.last_moment()
        self.phases = Phases(self, settings)

    # where the day stands

    def _lay_out(self, day: int) -> None:
        self._agenda.lay_out(day, self.now, schedule.NOTICE)

    def _begin(self) -> None:
        """Stand at the first moment: what was printed earlier that day is history."""
        for listing in self._ranked:
            opening.stand_before(listing, self._days.first)
        self._days.load_next()
        while (instant := self._days.peek_today()) is not None and instant[0] < self.now:
            if instant[1] == schedule.PRINT:
                self._arrive(self._prints.walk(self._ranked[instant[2]], instant))
            self._days.move()
        self.touched.clear()

    def session(self, exchange: str, us: int) -> tuple[int, int] | None:
        """Open and close, as moments, of ``exchange`` on the day of ``us``; None if it is closed."""
        return self._days.session(exchange, us)

    def is_open(self, exchange: str) -> bool:
        """True if orders of ``exchange`` may trade now."""
        session = self.session(exchange, self.now)
        return session is not None and session[0] <= self.now < session[1]

    def next_instant(self) -> int | None:
        """The moment of the next thing to be played, None if there is none."""
        if self._walk is not None:
            return self._walk.segment.us
        plan = self._days.peek()
        first = plan[0] if plan is not None else None
        appointment = self._agenda.first()
        if appointment is not None and (first is None or appointment[0] < first):
            first = appointment[0]
        if self._expiries and (first is None or self._expiries[0][0] <= first):
            return self._expiries[0][0]
        return first

    @property
    def closed_until(self) -> int | None:
        """The next session's open if the day is over and nothing is to come before; else None."""
        return self._days.closed_until if self._walk is None else None

    def plays_on(self, day: int) -> bool:
        """True if a day (its number) is one of those that are played."""
        return self._days.plays_on(day)

    def next_session(self) -> int | None:
        """The first open of the next day that is played; None on the last."""
        return self._days.next_open(self.now)

    # orders

    def add(self, order: Order, arrival: int) -> None:
        """``order`` (new, or changed) arrives in the market: it meets the next print."""
        listing = order.listing
        order.arrival = arrival
        order.after = listing.printed
        if order in listing.orders:
            listing.orders.remove(order)
        listing.orders.append(order)
        listing.packets.clear()
        if order.deadline:
            heapq.heappush(self._expiries, (order.deadline, arrival, order))
        if listing.book is not None and listing.book.standing:
            order.dry = 0
            if order.works_from > self.now:
                self.at(order.works_from, lambda us: self._meet_standing(listing, order))
            else:
                self._meet_standing(listing, order)

    def remove(self, order: Order) -> None:
        """``order`` works no longer."""
        if order in order.listing.orders:
            order.listing.orders.remove(order)
            order.listing.packets.clear()

    def expire(self, listings: Iterable[Listing], which: Callable[[Order], bool] = lambda order: True) -> bool:
        """Cancel the orders of ``listings`` that ``which`` picks; True if there were any."""
        lapsing = [order for listing in listings for order in listing.orders if which(order)]
        for order in lapsing:
            order.deadline = self.now
        if lapsing:
            self._on_expiry(sorted(lapsing, key=lambda order: order.arrival))
        return bool(lapsing)

    def tell(self, listing: Listing) -> None:
        """Something changed that no print of the plan brought: it is published with this instant."""
        if listing not in self.touched:
            self.touched.append(listing)

    def _meet_standing(self, listing: Listing, arriving: Order | None = None) -> bool:
        """What the standing book offers, to one order or to all that rest; True if any traded."""
        traded = False
        here = Segment(listing.path, listing.path, listing.path, False, listing.printed + 1, self.now)
        while listing.book is not None and listing.book.standing:
            event = standing_event(listing.orders, here, listing.book, arriving=arriving, stops=False)
            sure = sized(event, listing.book, 0.0) if event is not None else None
            if sure is not None:
                traded = True
                self.carry_out(sure, listing)
            if event is None or (arriving is not None and arriving.terminal):
                return traded
        return traded

    def gap(self, listing: Listing, rupees: float) -> None:
        """From the next print on, every recorded price of ``listing`` lies ``rupees`` higher; that print is a jump.

        Raises BadSettings if one of them would leave Kite's packets.
        """
        series = listing.tape.series if listing.tape is not None else None
        highest = max(listing.path, float(series.high.max()) if series is not None and len(series) else 0.0)
        listing.row.check_price(highest + listing.lasting + rupees, "after this gap the highest price")
        listing.lasting += rupees
        listing.gap = True

    def put_depth(self, listing: Listing, bids: Sequence[Sequence[float]], asks: Sequence[Sequence[float]]) -> None:
        """A book by hand, best price first or not: it stands until the next print. Who crosses it trades now.

        Each level is ``[price, quantity]`` or ``[price, quantity, orders]``; resting orders that it passes
        trade at their own prices, orders that arrive later at its levels' prices. Raises BadSettings.
        """
        decimals = listing.row.decimals
        bid_side, ask_side = put_side(bids, True, decimals), put_side(asks, False, decimals)
        book = Book(listing.path, bid_side, ask_side, standing=True)
        best_bid, best_ask = book.best(False), book.best(True)
        if best_bid and best_ask and best_bid >= best_ask:
            raise BadSettings(f"the best bid, {best_bid:g}, must lie below the best ask, {best_ask:g}")
        if not listing.path:
            book.price = listing.path = best_bid or best_ask
        listing.show(book)
        self._meet_standing(listing)

    # appointments

    def at(self, us: int, action: Action, *, rank: int = schedule.NOTICE) -> None:
        """Do ``action(us)`` when the market comes to ``us``: at once, if that is past.

        At one moment it comes after closes, ends of bars and opens, and before prints, unless ``rank``
        (one of :mod:`btkite.exchange.schedule`) says otherwise. If it returns True, an order changed and
        a lock-step pull stops there.
        """
        self._agenda.at(us, action, rank)

    def every_day(self, rule: Rule) -> None:
        """Ask ``rule(day_number)`` for the moments and actions of each day, today's included."""
        self._agenda.every_day(rule)
        if self._days.plan is not None:
            self._agenda.lay_out(self._days.plan.day, self.now, schedule.NOTICE, [rule])

    # motion

    @property
    def mid_instant(self) -> bool:
        """True while other instruments, or other events, of the present instant are still to come."""
        if self._walk is not None:
            return True
        following = self._days.peek()
        return following is not None and following[0] == self.now and following[1] >= schedule.PRINT

    def step(self, limit: int, end: int) -> Step:
        """Do the next thing before ``limit``; expiries and closes at ``limit`` itself are done too.

        Nothing after ``end`` is done.
        """
        if self._walk is not None:
            walk = self._walk
            if self.phases.halted(walk.listing):
                self._walk = None
                return self._drop(walk.listing, walk.candle, walk.candle_print)
            return self._go_on(walk) if walk.segment.us < limit else Step.NOTHING
        instant = self._days.peek()
        while self._expiries and self._expiries[0][2].terminal:
            heapq.heappop(self._expiries)
        if self._expiries and (instant is None or self._expiries[0][0] <= instant[0]):
            return self._expire(limit) if self._expiries[0][0] <= end else Step.DONE
        appointment = self._agenda.first()
        if appointment is not None and (instant is None or appointment < instant[:2]):
            return self._keep(appointment, limit, end)
        if instant is None or instant[0] > end:
            return Step.DONE
        us, kind = instant[0], instant[1]
        if us > limit or (us == limit and kind != schedule.CLOSE):
            return Step.NOTHING
        self._days.move()
        self.now = max(self.now, us)
        if kind == schedule.PRINT:
            listing = self._ranked[instant[2]]
            if self.phases.any_halt and self.phases.halted(listing):
                return self._drop(listing, instant[6], instant[7])
            self._walk = self._prints.walk(listing, instant)
            return self._go_on(self._walk)
        if kind == schedule.SAMPLE:
            return self._sample(instant)
        if kind == schedule.BAR:
            return Step.BAR
        if kind == schedule.CLOSE:
            return self._close(self._days.exchange_of(instant))
        if kind == schedule.OPEN:
            self._on_open(self._days.exchange_of(instant))
            following = self._days.peek()
            several = following is not None and following[0] == us and following[1] == schedule.OPEN
            return Step.QUIET if several else Step.OPEN
        self._roll()
        return Step.QUIET

    def _expire(self, limit: int) -> Step:
        us, _, order = self._expiries[0]
        if us > limit:
            return Step.NOTHING
        heapq.heappop(self._expiries)
        if order.deadline != us:
            return Step.QUIET  # it was changed since
        self.now = max(self.now, us)
        self._on_expiry([order])
        return Step.EVENT

    def _keep(self, appointment: tuple[int, int], limit: int, end: int) -> Step:
        us, rank = appointment
        if us > end:
            return Step.DONE
        if us > limit or (us == limit and rank > schedule.CLOSE):
            return Step.NOTHING
        self.now = max(self.now, us)
        return Step.EVENT if self._agenda.keep() else Step.QUIET

    def _close(self, exchange: str) -> Step:
        lapsing = [order for listing in self._ranked if listing.row.exchange == exchange for order in listing.orders]
        if not lapsing:
            return Step.QUIET
        self._on_expiry(sorted(lapsing, key=lambda order: order.arrival))
        return Step.EVENT

    def _roll(self) -> None:
        for listing in self._ranked:
            listing.start_day(listing.last)
        self.phases.roll()
        self._on_roll()

    def _next_event(self, listing: Listing, segment: Segment) -> Event | None:
        book = listing.book
        if book is None:
            return next_event(listing.orders, segment)
        beyond = listing.row.tick_size if self._beyond else 0.0
        while True:
            if book.standing:
                event = standing_event(listing.orders, segment, book)
            else:
                event = next_event(listing.orders, segment, book.number)
            if event is None:
                return None
            sure = sized(event, book, beyond)
            if sure is not None:
                return sure

    def carry_out(self, event: Event, listing: Listing) -> None:
        """An order event happens; with ``impact`` it moves the prices to come."""
        if self._impact and event.parts:
            moved = event.parts[-1][1] - event.parts[0][1]
            listing.shift += self._impact * moved
        self._on_event(event, listing)
        listing.packets.clear()

    def _go_on(self, walk: prints.Walk) -> Step:
        listing, segment = walk.listing, walk.segment
        event = self._next_event(listing, segment) if listing.orders and not self.phases.still(listing) else None
        if event is None:
            self._walk = None
            self._arrive(walk)
            return Step.PRINT
        walk.segment = segment._replace(at=event.at)
        listing.pass_through(event.at)
        if segment.jump or event.at == segment.end:
            listing.printed = segment.number  # on the print: whoever arrives now meets the one after
        self.carry_out(event, listing)
        return Step.EVENT

    def _arrive(self, walk: prints.Walk) -> None:
        prints.arrive(walk)
        self.touched.append(walk.listing)

    def _drop(self, listing: Listing, candle: int, candle_print: int) -> Step:
        prints.drop(listing, candle, candle_print)
        return Step.QUIET

    def _sample(self, instant: schedule.Instant) -> Step:
        listing = self._ranked[instant[2]]
        if self.phases.halted(listing) or not prints.sample(listing, instant):
            return Step.QUIET
        self.touched.append(listing)
        return Step.PRINT

    def print_by_hand(self, listing: Listing, price: float, quantity: int) -> None:
        """A print that no candle holds, now; its events happen at once.

        Two prints of one instrument in the same interval are joined continuously, else it is a jump.
        """
        length = 60 if self._interval == "day" else interval_seconds(self._interval)
        jump = not listing.last_us or listing.last_us // (length * SECOND) != self.now // (length * SECOND)
        walk = self._prints.walk_by_hand(listing, price, quantity, self.now, jump=jump)
        waiting, listing.by_hand = self._walk, listing.by_hand + quantity
        while self._go_on(walk) is Step.EVENT:
            pass
        if waiting is not None and waiting.listing is listing:  # its segment now starts here
            waiting.segment = waiting.segment._replace(start=price, at=price, number=listing.printed + 1)
        self._walk = waiting
