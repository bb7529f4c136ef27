"""How one live feed gets its bars: history first, then ticks, spliced without a gap or a repetition.

``joining`` → ``history`` → ``loaded`` → (``repair`` if we came in the middle of a bar) → ``flowing``; from
anywhere ``broken`` when the link breaks, and ``joining`` when it is back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from .clock import from_epoch
from .kite.inbox import Answer, Link, LinkChange
from .linetime import as_seconds, from_seconds, to_seconds
from .log import get_logger
from .market.bars import BarBuilder
from .market.calendar import calendar
from .series import lookback
from .values import Bar, Instrument, Tick

if TYPE_CHECKING:
    from .pump import Pump

log = get_logger(__name__)
_ATTEMPTS = 5
_AGAIN = timedelta(seconds=5)
_TOLERATED = 2
"""Questions for history that may fail before the other feeds go on without this one."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One question for history. Its answer counts only while no later one was asked."""

    feeding: Feeding
    until: datetime

    def __str__(self) -> str:
        return repr(self.feeding)


@dataclass(frozen=True, slots=True, eq=False)
class RollAsked:
    """Whether a continuous future goes on to its next contract on ``day``."""

    data: Any
    day: date

    def __str__(self) -> str:
        return str(self.data._name)


class Feeding:
    """The store's side of one live :class:`~btkite.feed.KiteData`. Cerebro's thread only."""

    def __init__(self, store: Pump, data: Any, instrument: Instrument | None = None) -> None:
        self.store = store
        self.data = data
        self.instrument = instrument or data.instrument
        self.key: str = self.instrument.key
        self.token: int = self.instrument.instrument_token
        self.interval, self.seconds = str(data.interval), data.interval.seconds
        self._joined = store.clock.now()
        self._early = data.decide_at  # asked for at every turn
        self.builder = BarBuilder(self.instrument, self.interval, since=self._joined, decide_at=self._early)
        self.row = -1  # of the store's table of bars
        self.state = "joining"
        self.pending: deque[Bar] = deque()
        self.due: datetime | None = None
        self._asked: Asked | None = None
        self._under_way: tuple[datetime, datetime] | None = None  # the bar that we joined in the middle of
        self._unseen: datetime | None = None  # end of the last bar that we threw away as not whole
        self._attempts = 0
        self._failures = 0
        self._loaded: Any = None
        self._cached: Tick | None = None
        self._not_before: datetime | None = None
        self._late: deque[Bar] = deque()
        self.over: datetime | None = None
        """When the sessions that the run was to last have closed."""

    def __repr__(self) -> str:
        return f"{self.key} {self.interval}"

    @property
    def state(self) -> str:
        return self._state

    @state.setter
    def state(self, state: str) -> None:
        self._state = state
        self.builder.state.muted = state == "joining"

    # -- history --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Bars come as soon as the stream has our subscription."""
        self.state, self.due, self._asked, self._loaded, self._cached = "joining", None, None, None, None
        self.data.put_notification(self.data.DELAYED)

    def only_ticks(self) -> None:
        """Its data has gone on to another instrument: what is heard of this one is for orders and positions."""
        self.state, self.due, self._asked, self._loaded = "flowing", None, None, None

    def join(self, now: datetime) -> None:
        """Every tick from now on is heard: ask for the bars before."""
        self._joined = now
        self.builder.resume(now)
        if self._cached is not None:
            self.builder.add(self._cached)
        self._under_way = self._bar_under_way(now)
        self._attempts = self._failures = 0
        # What was built before is not whole, or history has it, too.
        self._not_before = self._under_way[1] if self._under_way else now
        self._late.clear()
        self.pending.clear()
        if self.over is None:
            self.over = self._last_close(now)
        if self.data._last_end >= 0 or self.data._warmup_bars():
            written = self._just_ended(now)
            if written is None:
                self._ask(now)
            else:
                self.state, self.due = "history", written
        else:  # nothing to be contiguous with: the first bar is the first whole one
            self._go_live(self._not_before)

    def _bar_under_way(self, now: datetime) -> tuple[datetime, datetime] | None:
        """The bar of which we missed the beginning; history has to give it when it is over. A packet of the day
        tells all of the day, so its bar is never that."""
        exchange, known = self.instrument.exchange, calendar()
        start = known.bar_start(exchange, now, self.interval)
        if start is None or start == now or self.interval == "day":
            return None
        return start, known.bar_end(exchange, start, self.interval)

    def _just_ended(self, now: datetime) -> datetime | None:
        """When history will have the bar that has ended a moment ago, which it may not have yet; None if there is
        none. (Of a market in lock step, history is never late.)"""
        if self.store.clock.complete:
            return None
        exchange, known = self.instrument.exchange, calendar()
        lag = timedelta(seconds=self.store.config.data.history_lag)
        start = known.bar_start(exchange, now - lag, self.interval)
        end = None if start is None else known.bar_end(exchange, start, self.interval)
        return None if end is None or end > now else end + lag

    def _ask(self, until: datetime) -> None:
        self.state, self.due = "history", None
        last = self.data._last_end
        start = from_seconds(last) - timedelta(days=1)
        if last < 0:
            start = until - lookback(self.interval, self.data._warmup_bars())
        self._asked = Asked(self, until)
        self.store.reader.ask("history", self._asked, lambda: self.data.live_candles(self.instrument, start, until))

    def take_answer(self, asked: Asked, answer: Answer) -> None:
        """The bars asked for, or why they did not come."""
        if asked is not self._asked:
            return  # the link has broken since
        now = self.store.clock.now()
        if answer.error is not None:
            log.warning("history failed; asked again in 5 s", symbol=self.key, error=repr(answer.error))
            self.store.put_notification(f"history of {self.key} failed", str(answer.error))
            self.due = now + _AGAIN
            self._failures += 1
            if self._failures == _TOLERATED and not self.waited_for:
                self.data.failing = True
                self.store.put_notification(f"history of {self.key} does not come: the other symbols go on without it")
                log.error("the other symbols go on without one whose history fails", symbol=self.key)
            return
        candles = answer.value
        ends = as_seconds(self.data._ends(candles)) if len(candles) else np.array([], dtype=np.int64)
        whole = candles[: int(np.searchsorted(ends, to_seconds(asked.until), side="right"))]
        if self._lacks(ends[: len(whole)], asked.until):
            self._attempts += 1
            self.due = now + _AGAIN
            return
        if self.data._last_end < 0:
            rest = self._under_way is not None and asked.until < self._under_way[1]
            whole = whole.tail(max(0, self.data._warmup_bars() - rest))
        self._loaded = whole
        self.state = "loaded"

    @property
    def waited_for(self) -> bool:
        """Whether other feeds wait for this one's history, so that ``next()`` sees bars of one time together."""
        if self._state not in ("joining", "history"):
            return False
        return self._failures < _TOLERATED or self.store.config.data.patience is None

    def _lacks(self, ends: Any, until: datetime) -> bool:
        """Whether history does not have the bar yet that we saw traded and could not build."""
        if self._under_way is None or self._unseen != self._under_way[1] or until < self._unseen:
            return False
        if len(ends) and ends[-1] >= to_seconds(self._unseen):
            return False
        if self._attempts < _ATTEMPTS:
            return True
        log.warning("history lacks a bar", symbol=self.key, end=self._unseen)
        self.store.put_notification(f"history of {self.key} lacks the bar that ended at {self._unseen}")
        return False

    def deliver_history(self) -> None:
        """Hand over the history that has come; the store calls it when all feeds have theirs."""
        whole, self._loaded = self._loaded, None
        if whole is None or self._asked is None:
            return
        self.data.take_history(whole)
        self.data.failing = False
        until, self._asked = self._asked.until, None
        if self._under_way is not None and until < self._under_way[1]:
            self.state, self.due = "repair", self._under_way[1] + timedelta(seconds=self.store.config.data.history_lag)
        else:
            self._go_live(max(until, self._not_before or until))

    def _go_live(self, moment: datetime) -> None:
        """Bars that end after ``moment`` are ours."""
        self.state, self.due, self._under_way = "flowing", None, None
        if self.data.live_from is None:
            self.data.live_from = to_seconds(moment)
        self.data.put_notification(self.data.LIVE)
        while self._late:  # before the next one closes: a bar that comes after it would be too old
            self.data.take_bar(self._late.popleft())

    def catch_up(self, now: datetime) -> bool:
        """The run is about to end: what the stream has not brought is fetched from history; False if nothing is
        missing, or does not come."""
        if self.state in ("history", "repair", "loaded"):
            if self.due is not None and self.store.clock.done:  # time stands still
                self.on_time(self.due)
            return self._failures < _ATTEMPTS
        if self.state != "broken" or self.data._last_end < 0 or self._failures >= _ATTEMPTS:
            return False
        self._joined, self._under_way, self._attempts = now, None, 0
        self._not_before = now
        self.pending.clear()
        self._late.clear()
        self._ask(now)
        return True

    # -- ticks ----------------------------------------------------------------------------------------

    def take(self, tick: Tick) -> None:
        """One tick, to the bar and to a broker that fills on ticks."""
        if self.state == "joining":
            self._cached = tick
            return
        builder = self.builder
        unused, outside = builder.unused, builder.outside
        builder.add(tick)
        if builder.unused != unused:
            return
        moment = tick.exchange_time or tick.last_trade_time
        when = from_epoch(moment) if moment else self.store.clock.now()
        end = builder.forming_end if builder.outside == outside else self.rest_of_day(when)
        take = getattr(self.store.broker, "take_tick", None)
        if take is not None and end is not None and self._finest():
            take(self.data, tick, to_seconds(when), to_seconds(end), self.instrument)

    def rest_of_day(self, moment: datetime) -> datetime | None:
        """The close that trading goes on to after the day's bar was closed early."""
        if self._early is None:
            return None
        session = calendar().session_at(self.instrument.exchange, moment)
        return session.close if session is not None else None

    def _finest(self) -> bool:
        """Only one feed of an instrument plays its ticks to the broker: the one with the shortest bars."""
        feeds = self.store._by_token[self.token]
        return min(feeds, key=lambda feeding: feeding.seconds) is self

    def on_time(self, now: datetime) -> None:
        """What is due without anything coming."""
        if self.due is None or now < self.due:
            return
        under_way = self._under_way
        self._ask(under_way[1] if under_way is not None and now >= under_way[1] else now)

    def close(self, now: datetime, grace: float, *, complete: bool) -> None:
        """Bars that are over wait in ``pending`` until all feeds have theirs."""
        for bar in self.builder.close(now, grace, complete=complete):
            if self._not_before is None or bar.end > self._not_before:
                self.pending.append(bar)
            else:
                self._unseen = bar.end

    def forming_until(self, end: datetime) -> bool:
        """Whether a bar that ends by ``end`` is still being built."""
        forming = self.builder.forming_end
        return forming is not None and forming <= end

    @property
    def early_end(self) -> datetime | None:
        """When the bar of the day is to be closed, if that is before the market's own end: also of a bar that has
        not begun, for on day candles in lock step the exchange would go on to the day's end at once."""
        early = self._early
        if early is None:
            return None
        forming = self.builder.forming_end
        if forming is not None:
            return forming
        exchange, known, now = self.instrument.exchange, calendar(), self.store.clock.now()
        day = now.date()
        while True:
            session = known.session(exchange, day)
            if session is not None and session.parts and session.parts[0][0].time() < early:
                end = min(datetime.combine(day, early), session.close)
                if end > now:
                    return end
            day = known.next_session_day(exchange, day)

    def release(self, end: datetime) -> None:
        """Hand over pending bars up to ``end``; while history is missing they wait."""
        while self.pending and self.pending[0].end <= end:
            bar = self.pending.popleft()
            if self.state == "flowing":
                self.data.take_bar(bar)
            else:
                self._late.append(bar)

    # -- the link -------------------------------------------------------------------------------------

    def take_link(self, change: LinkChange) -> None:
        """The stream broke or came back."""
        if change.link in (Link.BROKEN, Link.REFUSED):
            self.state, self.due, self._asked, self._loaded = "broken", None, None, None
            self.data.put_notification(self.data.CONNBROKEN)
        elif change.link is Link.CONNECTED and self.state == "broken":
            self.begin()

    def _last_close(self, now: datetime) -> datetime | None:
        """The close of the last session of the run, if it was told how many."""
        left, day, known = self.store.config.run.sessions, now.date(), calendar()
        if left is None:
            return None
        while True:
            session = known.session(self.instrument.exchange, day)
            if session is not None and session.parts and session.close > now:
                left -= 1
                if not left:
                    return session.close
            day = known.next_session_day(self.instrument.exchange, day)
