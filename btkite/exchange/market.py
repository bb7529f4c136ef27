"""The market in motion: instants are played one after the other, each order event a step of its own.

``step()`` does the next single thing and says what it was, so that a lock-step pull can stop right
after an order event, in the middle of a segment if need be (docs/fills.md, rule 8).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from . import hours, schedule
from .agenda import Action, Agenda, Rule
from .candles import CandleSeries, interval_seconds
from .clock import DAY, MINUTE, SECOND, day_from_number, stamp
from .errors import BadCandles
from .instruments import InstrumentRow
from .listing import Listing
from .matching import Event, Segment, next_event
from .orders import Order
from .settings import ExchangeSettings

_DAYS_BY_HAND = 31


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


class Market:
    """Prices and time. Orders are reached through callbacks, so that this file knows no account.

    ``on_event`` carries out an order event, ``on_expiry`` cancels orders whose time is up, ``on_open``
    releases what waited for an exchange's open, ``on_roll`` turns the account's day.
    """

    def __init__(
        self,
        rows: Sequence[InstrumentRow],
        candles: Mapping[str, CandleSeries],
        settings: ExchangeSettings,
        *,
        on_event: Callable[[Event, Listing], None],
        on_expiry: Callable[[list[Order]], None],
        on_open: Callable[[str], None],
        on_roll: Callable[[], None],
    ) -> None:
        self._on_event, self._on_expiry = on_event, on_expiry
        self._on_open, self._on_roll = on_open, on_roll
        self.listings: dict[str, Listing] = {}
        self.by_token: dict[int, Listing] = {}
        self._ranked: list[Listing] = []
        self._tapes: list[schedule.Tape] = []
        for row in rows:
            series = candles.get(row.key)
            tape = None
            if series is not None and len(series):
                rounded = series.rounded(row.decimals)
                tape = schedule.Tape.of(len(self._ranked), row, rounded)
                self._tapes.append(tape)
            listing = Listing(row, tape, settings.spread_ticks)
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
        self._next = 0
        self._first_day = 0
        self.end = 0
        self._begin(settings)

    # where the day stands

    def _begin(self, settings: ExchangeSettings) -> None:
        if settings.start is not None:
            self.now = stamp(settings.start)
        elif self._days:
            sessions = self._sessions(self._days[0])
            opens = min(session[0] for session in sessions.values())
            self.now = self._days[0] * DAY + opens * SECOND - (15 * MINUTE if settings.lockstep else 5 * SECOND)
        else:
            raise BadCandles("give a start: without candles the market has no first day")
        today = self.now // DAY
        if not self._tapes:  # prices are put by hand: the days are the calendar's
            self._days = [day for day in range(today, today + _DAYS_BY_HAND) if self._sessions(day)]
        self._days = [day for day in self._days if day >= today]
        for listing in self._ranked:
            self._stand_before(listing, self._days[0] if self._days else today)
        self._load_next_day()
        while self._plan is not None and self._next < len(self._plan.instants):
            instant = self._plan.instants[self._next]
            if instant[0] >= self.now:
                break
            if instant[1] == schedule.PRINT:
                walk = self._walk_of(instant)
                self._arrive(walk)
            self._next += 1
        self.touched.clear()
        if settings.end is not None:
            self.end = stamp(settings.end)
        elif self._days:
            last = (
                schedule.plan_day(self._days[-1], self._tapes, self._exchanges) if len(self._days) > 1 else self._plan
            )
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
        listing.last = listing.path = price
        listing.last_us = int(start[at - begin] + length[at - begin] - 1) * SECOND
        listing.candle, listing.candle_print = at, 3
        listing.previous_close = price

    def _load_next_day(self) -> None:
        if self._plan is not None:
            later = [day for day in self._days if day > self._plan.day]
        else:
            later = self._days
        self._plan = schedule.plan_day(later[0], self._tapes, self._exchanges) if later else None
        self._next = 0
        if self._plan is not None:
            self._agenda.lay_out(self._plan.day, self.now, schedule.NOTICE)

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
        if order.deadline:
            heapq.heappush(self._expiries, (order.deadline, arrival, order))

    def remove(self, order: Order) -> None:
        """``order`` works no longer."""
        if order in order.listing.orders:
            order.listing.orders.remove(order)

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
        while self._plan is not None and self._next >= len(self._plan.instants):
            self._load_next_day()
        return None if self._plan is None else self._plan.instants[self._next]

    @property
    def mid_instant(self) -> bool:
        """True while other instruments, or other events, of the present instant are still to come."""
        if self._walk is not None:
            return True
        following = self._peek()
        return following is not None and following[0] == self.now and following[1] == schedule.PRINT

    def step(self, limit: int, end: int) -> Step:
        """Do the next thing before ``limit``; expiries and closes at ``limit`` itself are done too.

        Nothing after ``end`` is done.
        """
        if self._walk is not None:
            return self._go_on(self._walk) if self._walk.segment.us < limit else Step.NOTHING
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
        if us > limit or (us == limit and kind != schedule.CLOSE):
            return Step.NOTHING
        self._next += 1
        self.now = max(self.now, us)
        if kind == schedule.PRINT:
            self._walk = self._walk_of(instant)
            return self._go_on(self._walk)
        if kind == schedule.BAR:
            return Step.BAR
        if kind == schedule.CLOSE:
            return self._close(instant[2])
        if kind == schedule.OPEN:
            self._on_open(instant[2])
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

    def _close(self, exchange: str) -> Step:
        lapsing = [order for listing in self._ranked if listing.row.exchange == exchange for order in listing.orders]
        if not lapsing:
            return Step.QUIET
        self._on_expiry(sorted(lapsing, key=lambda order: order.arrival))
        return Step.EVENT

    def _roll(self) -> None:
        for listing in self._ranked:
            listing.start_day(listing.last)
        self._on_roll()

    def _walk_of(self, instant: schedule.Instant) -> Walk:
        us, _, rank, price, volume, quantity, candle, candle_print = instant
        listing = self._ranked[rank]
        assert listing.tape is not None
        start = listing.path or price
        segment = Segment(start, start, price, candle_print == 0, listing.printed + 1, us)
        return Walk(listing, segment, volume, quantity, int(listing.tape.series.oi[candle]), candle, candle_print)

    def _go_on(self, walk: Walk) -> Step:
        listing, segment = walk.listing, walk.segment
        event = next_event(listing.orders, segment) if listing.orders else None
        if event is None:
            self._walk = None
            self._arrive(walk)
            return Step.PRINT
        walk.segment = segment._replace(at=event.at)
        listing.path = event.at
        if segment.jump or event.at == segment.end:
            listing.printed = segment.number  # on the print: whoever arrives now meets the one after
        self._on_event(event, listing)
        return Step.EVENT

    def _arrive(self, walk: Walk) -> None:
        listing, segment = walk.listing, walk.segment
        listing.printed = segment.number
        listing.take_print(segment.us, segment.end, walk.volume + listing.by_hand, walk.quantity, walk.oi)
        listing.candle, listing.candle_print = walk.candle, walk.candle_print
        for order in listing.orders:
            if order.works_from > segment.us:
                order.after = segment.number
        self.touched.append(listing)

    def print_by_hand(self, listing: Listing, price: float, quantity: int) -> None:
        """A print that no candle holds, now; its events happen at once.

        Two prints of one instrument in the same interval are joined continuously, else it is a jump.
        """
        length = 60 if self._interval == "day" else interval_seconds(self._interval)
        jump = not listing.last_us or listing.last_us // (length * SECOND) != self.now // (length * SECOND)
        start = listing.path or price
        segment = Segment(start, start, price, jump, listing.printed + 1, self.now)
        volume = listing.volume - listing.by_hand
        walk = Walk(listing, segment, volume, quantity, listing.oi, listing.candle, listing.candle_print)
        waiting, listing.by_hand = self._walk, listing.by_hand + quantity
        while self._go_on(walk) is Step.EVENT:
            pass
        if waiting is not None and waiting.listing is listing:  # its segment now starts here
            waiting.segment = waiting.segment._replace(start=price, at=price, number=listing.printed + 1)
        self._walk = waiting
