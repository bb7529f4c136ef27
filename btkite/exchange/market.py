"""The market in motion: instants are played one after the other, each order event a step of its own.

``step()`` does the next single thing and says what it was, so that a lock-step pull can stop right
after an order event, in the middle of a segment if need be (docs/fills.md, rule 8).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

import numpy as np

from . import hours, schedule
from .agenda import Action, Agenda, Rule
from .candles import CandleSeries, interval_seconds
from .clock import DAY, MINUTE, SECOND, day_from_number, day_number, stamp
from .depth import Book, Side, put_side, shape_of
from .errors import BadCandles, BadSettings
from .instruments import InstrumentRow
from .listing import FAR, Listing
from .matching import Event, Segment, next_event, sized, standing_event
from .orders import Order
from .phases import Phases
from .settings import ExchangeSettings
from .ticks import TickTape
from .ticks import load as load_ticks
from .timetable import auction_shares

_DAYS_BY_HAND = 31
ALL_PRINTS = 1 << 30
MOST_UNITS = 0xFFFF_FFFF


class Step(Enum):
    """What :meth:`Market.step` did."""

    EVENT = "event"  # an order changed
    PRINT = "print"
    BAR = "bar"  # a candle ended
    OPEN = "open"  # an exchange opened; nothing was printed yet
    QUIET = "quiet"  # something that concerns no order and no stop
    NOTHING = "nothing"  # nothing left before the limit
    DONE = "done"  # nothing left at all


@dataclass(slots=True)
class Walk:
    """A print on its way: the segment and what the print will say."""

    listing: Listing
    segment: Segment
    volume: int
    quantity: int
    oi: int
    candle: int
    candle_print: int


def _band(row: InstrumentRow, settings: ExchangeSettings) -> float | None:
    """The band of an instrument: its own, else an option's or everybody's."""
    if row.key in settings.price_bands:
        return settings.price_bands[row.key]
    return FAR if row.is_option and settings.price_band is not None else settings.price_band


def _check_carried(tape: schedule.Tape) -> None:
    """Raise BadSettings if Kite's packets cannot carry the prices or the day's volume of a tape."""
    row, series = tape.row, tape.series
    row.check_price(float(series.high.max()), "the highest recorded price")
    most = max(int(np.add.reduceat(series.volume, tape.first).max()), int(series.oi.max()))
    if not row.is_index and most > MOST_UNITS:
        raise BadSettings(
            f"{row.key} has a day's volume or an open interest of {most:,}, and Kite's packets end at {MOST_UNITS:,}: "
            "give fewer units"
        )


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
        self._shape = shape_of(settings)
        self._beyond = settings.beyond_depth == "walk"
        self._impact = settings.impact
        self._prints = settings.prints_per_candle
        shares = auction_shares(rows, settings)
        recorded = load_ticks(settings.ticks)
        self._banded = settings.check_circuit
        self._on_event, self._on_expiry = on_event, on_expiry
        self._on_open, self._on_roll = on_open, on_roll
        self.listings: dict[str, Listing] = {}
        self.by_token: dict[int, Listing] = {}
        self._ranked: list[Listing] = []
        self._first = first
        self._tapes: list[schedule.Tape] = []
        for row in rows:
            series = candles.get(row.key)
            tape: schedule.Tape | None = None
            if row.key in recorded:
                tape = TickTape.record(len(self._ranked), row, recorded[row.key])
                self._tapes.append(tape)
            elif series is not None and len(series):
                rounded = series.rounded(row.decimals)
                tape = schedule.Tape.of(len(self._ranked), row, rounded, auction=row.key in shares)
                self._tapes.append(tape)
            if tape is not None:
                _check_carried(tape)
            listing = Listing(row, tape, settings.spread_ticks, _band(row, settings))
            self._ranked.append(listing)
            self.listings[row.key] = listing
            self.by_token[row.instrument_token] = listing
        self._interval = settings.interval
        self._exchanges = sorted({row.exchange for row in rows})
        self._days: list[int] = sorted({int(day) for tape in self._tapes for day in tape.days})
        self.touched: list[Listing] = []  # printed at the instant that is being played
        self.now = 0
        self._walk: Walk | None = None
        self._expiries: list[tuple[int, int, Order]] = []
        self._agenda = Agenda()
        self._plan: schedule.DayPlan | None = None
        self._first_day = 0
        self.end = 0
        self._begin(settings)
        self.phases = Phases(self, settings)

    # where the day stands

    def _begin(self, settings: ExchangeSettings) -> None:
        if settings.start is not None:
            self.now = stamp(settings.start)
        elif self._first is not None and (later := [day for day in self._days if day >= day_number(self._first)]):
            self._days = later
        if settings.start is None and self._days:
            sessions = self._sessions(self._days[0])
            opens = min(session[0] for session in sessions.values())
            self.now = self._days[0] * DAY + opens * SECOND - (15 * MINUTE if settings.lockstep else 5 * SECOND)
        elif settings.start is None:
            raise BadCandles("give a start: without candles the market has no first day")
        today = self.now // DAY
        if not self._tapes:  # prices are put by hand: the days are the calendar's
            self._days = [day for day in range(today, today + _DAYS_BY_HAND) if self._sessions(day)]
        self._days = [day for day in self._days if day >= today]
        for listing in self._ranked:
            self._stand_before(listing, self._days[0] if self._days else today)
        self._load_next_day()
        while self._plan is not None and (instant := self._plan.instants.peek()) is not None:
            if instant[0] >= self.now:
                break
            if instant[1] == schedule.PRINT:
                walk = self._walk_of(instant)
                self._arrive(walk)
            self._plan.instants.move()
        self.touched.clear()
        if settings.end is not None:
            self.end = stamp(settings.end)
        elif self._days:
            last = self._plan_of(self._days[-1]) if len(self._days) > 1 else self._plan
            self.end = last.last_bar if last is not None else self.now
        else:
            self.end = self.now

    def _sessions(self, day: int) -> dict[str, hours.Session]:
        return schedule.sessions_of(day, self._tapes, self._exchanges)

    def _stand_before(self, listing: Listing, day: int) -> None:
        """The listing as the last candle before ``day`` left it."""
        tape = listing.tape
        if tape is None or (at := tape.last_before(day)) < 0:
            return
        series = tape.series
        number = int(series.start[at]) // schedule.DAY_SECONDS
        begin, _ = tape.slice_of(number)
        session = schedule.sessions_of(number, [tape])[tape.row.exchange]
        start, length = tape.spans(number, session)
        price = float(series.close[at])
        listing.last = listing.path = listing.shown = price
        listing.last_us = int(start[at - begin] + length[at - begin] - 1) * SECOND
        listing.candle, listing.candle_print = at, ALL_PRINTS
        listing.previous_close = price

    def _load_next_day(self) -> None:
        if self._plan is not None:
            later = [day for day in self._days if day > self._plan.day]
        else:
            later = self._days
        self._plan = self._plan_of(later[0]) if later else None
        if self._plan is not None:
            self._agenda.lay_out(self._plan.day, self.now, schedule.NOTICE)

    def _plan_of(self, day: int) -> schedule.DayPlan:
        return schedule.plan_day(day, self._tapes, self._exchanges, self._prints)

    def session(self, exchange: str, us: int) -> tuple[int, int] | None:
        """Open and close, as moments, of ``exchange`` on the day of ``us``; None if it is closed."""
        day = us // DAY
        known = self._plan.sessions if self._plan is not None and self._plan.day == day else self._sessions(day)
        found = known.get(exchange) or hours.session(exchange, day_from_number(day))
        return (day * DAY + found[0] * SECOND, day * DAY + found[1] * SECOND) if found else None

    def is_open(self, exchange: str) -> bool:
        """True if orders of ``exchange`` may trade now."""
        session = self.session(exchange, self.now)
        return session is not None and session[0] <= self.now < session[1]

    def next_instant(self) -> int | None:
        """The moment of the next thing to be played, None if there is none."""
        if self._walk is not None:
            return self._walk.segment.us
        plan = self._peek()
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
        plan = self._peek()
        if plan is None or self._walk is not None or plan[1] != schedule.ROLL:
            return None
        assert self._plan is not None
        opens = min(session[0] for session in self._plan.sessions.values())
        return self._plan.day * DAY + opens * SECOND

    def plays_on(self, day: int) -> bool:
        """True if a day (its number) is one of those that are played."""
        return day in self._days

    def next_session(self) -> int | None:
        """The first open of the next day that is played; None on the last."""
        later = [day for day in self._days if day > self.now // DAY]
        if not later:
            return None
        return later[0] * DAY + min(opens for opens, _ in self._sessions(later[0]).values()) * SECOND

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
        if self._plan is not None:
            self._agenda.lay_out(self._plan.day, self.now, schedule.NOTICE, [rule])

    # motion

    def _peek(self) -> schedule.Instant | None:
        while self._plan is not None:
            instant = self._plan.instants.peek()
            if instant is not None:
                return instant
            self._load_next_day()
        return None

    @property
    def mid_instant(self) -> bool:
        """True while other instruments, or other events, of the present instant are still to come."""
        if self._walk is not None:
            return True
        following = self._peek()
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
        instant = self._peek()
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
        plan = self._plan
        assert plan is not None
        if us > limit or (us == limit and kind != schedule.CLOSE):
            return Step.NOTHING
        plan.instants.move()
        self.now = max(self.now, us)
        if kind == schedule.PRINT:
            if self.phases.any_halt and self.phases.halted(self._ranked[instant[2]]):
                return self._drop(self._ranked[instant[2]], instant[6], instant[7])
            self._walk = self._walk_of(instant)
            return self._go_on(self._walk)
        if kind == schedule.SAMPLE:
            return self._sample(instant)
        if kind == schedule.BAR:
            return Step.BAR
        if kind == schedule.CLOSE:
            return self._close(self._exchange_of(instant))
        if kind == schedule.OPEN:
            self._on_open(self._exchange_of(instant))
            following = self._peek()
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

    def _exchange_of(self, instant: schedule.Instant) -> str:
        assert self._plan is not None
        return self._plan.exchanges[instant[2]]

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

    def _walk_of(self, instant: schedule.Instant) -> Walk:
        us, _, rank, price, volume, quantity, candle, candle_print = instant
        listing = self._ranked[rank]
        assert listing.tape is not None
        end = self._shifted(listing, price, candle_print) if listing.shift or listing.lasting else price
        start = listing.path or end
        segment = Segment(start, start, end, candle_print == 0 or listing.gap, listing.printed + 1, us)
        listing.gap = False
        tape = listing.tape
        if tape.recorded:
            listing.show(tape.book_at(candle, candle_print))
        elif self._shape is not None or listing.book is not None:
            self._show(listing, end)
        return Walk(listing, segment, volume, quantity, tape.oi_at(candle, candle_print), candle, candle_print)

    def _shifted(self, listing: Listing, price: float, candle_print: int) -> float:
        """Where the print of a moved market lies; the move halves with every candle."""
        tick = listing.row.tick_size
        if candle_print == 0:
            listing.shift = listing.shift / 2 if abs(listing.shift) > tick else 0.0
        moved = listing.shift + listing.lasting
        return max(round(price + round(moved / tick) * tick, listing.row.decimals), tick)

    def _show(self, listing: Listing, price: float) -> None:
        """The depth of the coming print; at a price limit nobody stands on one side."""
        if self._shape is None:
            listing.show(None)
            return
        ask_offset, bid_offset = listing.spread
        book = self._shape.book(listing.row, price, price + ask_offset, price - bid_offset, listing.printed + 1)
        lower, upper = listing.circuit() if self._banded and listing.band != FAR else (0.0, 0.0)
        if upper:
            if price >= upper:
                book.asks = Side(())
            if price <= lower:
                book.bids = Side(())
        listing.show(book)

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

    def _go_on(self, walk: Walk) -> Step:
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

    def _arrive(self, walk: Walk) -> None:
        listing, segment = walk.listing, walk.segment
        listing.printed = segment.number
        if listing.tape is not None and walk.candle >= 0:
            self._note(walk)
        listing.take_print(segment.us, segment.end, walk.volume + listing.by_hand, walk.quantity, walk.oi)
        listing.candle, listing.candle_print = walk.candle, walk.candle_print
        for order in listing.orders:
            if order.works_from > segment.us:
                order.after = segment.number
        self.touched.append(listing)

    def _note(self, walk: Walk) -> None:
        """Keep the prints of a candle that is not played as recorded."""
        listing = walk.listing
        if walk.candle in listing.altered:
            listing.altered[walk.candle].append((walk.segment.end, walk.quantity))
        elif listing.shift or listing.lasting:
            listing.altered[walk.candle] = [
                *self._played(listing, walk.candle, walk.candle_print), (walk.segment.end, walk.quantity)
            ]  # fmt: skip

    @staticmethod
    def _played(listing: Listing, candle: int, count: int) -> list[tuple[float, int]]:
        """The first ``count`` prints of a candle, as recorded."""
        return listing.tape.prints(candle)[:count] if listing.tape is not None else []

    def _drop(self, listing: Listing, candle: int, candle_print: int) -> Step:
        """A print of an instrument that is halted never happens."""
        listing.altered.setdefault(candle, self._played(listing, candle, candle_print))
        listing.candle, listing.candle_print = candle, candle_print
        listing.gap = True
        return Step.QUIET

    def _sample(self, instant: schedule.Instant) -> Step:
        """A print between two of a candle's four: shown only (docs/fills.md knows four)."""
        us, _, rank, price, volume, quantity, candle, _ = instant
        listing = self._ranked[rank]
        if self.phases.halted(listing) or listing.shift or listing.lasting:
            return Step.QUIET
        assert listing.tape is not None
        listing.sample(us, price, volume + listing.by_hand, quantity, int(listing.tape.series.oi[candle]))
        self.touched.append(listing)
        return Step.PRINT

    def print_by_hand(self, listing: Listing, price: float, quantity: int) -> None:
        """A print that no candle holds, now; its events happen at once.

        Two prints of one instrument in the same interval are joined continuously, else it is a jump.
        """
        length = 60 if self._interval == "day" else interval_seconds(self._interval)
        jump = not listing.last_us or listing.last_us // (length * SECOND) != self.now // (length * SECOND)
        start = listing.path or price
        segment = Segment(start, start, price, jump, listing.printed + 1, self.now)
        if self._shape is not None or listing.book is not None:
            self._show(listing, price)
        volume = listing.volume - listing.by_hand
        walk = Walk(listing, segment, volume, quantity, listing.oi, listing.candle, listing.candle_print)
        waiting, listing.by_hand = self._walk, listing.by_hand + quantity
        while self._go_on(walk) is Step.EVENT:
            pass
        if waiting is not None and waiting.listing is listing:  # its segment now starts here
            waiting.segment = waiting.segment._replace(start=price, at=price, number=listing.printed + 1)
        self._walk = waiting
