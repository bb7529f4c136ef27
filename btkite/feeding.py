"""How one live feed gets its bars: history first, then ticks, spliced without a gap or a repetition.

``history`` → (``repair`` if we came in the middle of a bar) → ``live`` → ``broken`` → ``history`` …
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from .clock import from_epoch
from .kite.inbox import Answer, Link, LinkChange
from .linetime import as_seconds, from_seconds, to_seconds
from .log import get_logger
from .market.bars import BarBuilder
from .market.calendar import calendar
from .values import Bar, Tick

if TYPE_CHECKING:
    from .store import KiteStore

log = get_logger(__name__)


class Feeding:
    """The store's side of one live :class:`~btkite.feed.KiteData`. Cerebro's thread only."""

    def __init__(self, store: KiteStore, data: Any) -> None:
        self.store = store
        self.data = data
        self.instrument = data.instrument
        self.key: str = self.instrument.key
        self.token: int = self.instrument.instrument_token
        self.interval = str(data.interval)
        self.state = "history"
        self.pending: deque[Bar] = deque()
        self.due: datetime | None = None
        self._joined = store.clock.now()
        self._repair: tuple[datetime, datetime] | None = None
        self._days_over: set[Any] = set()
        self._loaded: Any = None
        self._not_before: datetime | None = None
        self._late: deque[Bar] = deque()
        self.builder = BarBuilder(
            self.instrument, self.interval, since=self._joined, decide_at=data.p.decide_at or self._decide_at()
        )

    def _decide_at(self) -> Any:
        return self.store.config.broker.decide_at if self.interval == "day" else None

    def __repr__(self) -> str:
        return f"{self.key} {self.interval}"

    # -- history --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask for the bars before now."""
        self.data.put_notification(self.data.DELAYED)
        warmup = self.data._warmup_bars()
        now = self.store.clock.now()
        if not warmup and self.data._last_end < 0:
            self._whole_bars_from(now)
            return
        start = now - self.store.lookback(self.interval, warmup)
        if self.data._last_end >= 0:
            start = from_seconds(self.data._last_end) - timedelta(days=1)
        self._ask(start, now)

    def _ask(self, start: datetime, end: datetime) -> None:
        self.state = "history" if self._repair is None else "repair"
        self.due = None
        self.store.reader.ask(
            "history",
            self,
            lambda: self.store.live_history(self.instrument, self.interval, start, end),
        )

    def take_answer(self, answer: Answer) -> None:
        """The bars asked for, or why they did not come."""
        now = self.store.clock.now()
        if answer.error is not None:
            log.warning("history failed; asked again in 5 s", symbol=self.key, error=repr(answer.error))
            self.store.put_notification(f"history of {self.key} failed", str(answer.error))
            self.due = now + timedelta(seconds=5)
            return
        candles = answer.value
        ends = as_seconds(self.data._ends(candles)) if len(candles) else np.array([], dtype=np.int64)
        limit = to_seconds(self._repair[1] if self._repair else now)
        whole = candles[: int(np.searchsorted(ends, limit, side="right"))]
        if self.data._last_end < 0:
            whole = whole.tail(self.data._warmup_bars())
        self._loaded = whole
        self.state = "loaded"

    def deliver_history(self) -> None:
        """Hand over the history that has come; the store calls it when all feeds have theirs."""
        whole, self._loaded = self._loaded, None
        if whole is None:
            return
        self.data.take_history(whole)
        if self._repair is None:
            self._whole_bars_from(self.store.clock.now())
        else:
            self._go_live(self._repair[1])

    def _whole_bars_from(self, now: datetime) -> None:
        """If a bar is under way that we did not see from its start, history has to give it when it is over."""
        start = calendar().bar_start(self.instrument.exchange, self._joined, self.interval)
        known = self.data._warmup_bars() or self.data._last_end >= 0
        if start is None or start == self._joined or self.interval == "day":
            self._go_live(now)
            return
        end = calendar().bar_end(self.instrument.exchange, start, self.interval)
        if not known:  # nothing to be contiguous with: the first bar is the first whole one
            self._repair = (start, end)
            self._go_live(end)
            return
        self.state, self._repair = "repair", (start, end)
        self.due = end + timedelta(seconds=self.store.config.data.history_lag)

    def _go_live(self, moment: datetime) -> None:
        self.state, self.due = "live", None
        self._drop_partial()
        self._repair = None
        if self.data.live_from is None:
            self.data.live_from = to_seconds(moment)
        self.data.put_notification(self.data.LIVE)

    def _drop_partial(self) -> None:
        if self._repair is not None:
            end = self._repair[1]
            self.pending = deque(bar for bar in self.pending if bar.end > end)
            self._not_before = end

    # -- ticks ----------------------------------------------------------------------------------------

    def take(self, tick: Tick) -> None:
        """One tick, to the bar and to a broker that fills on ticks."""
        builder = self.builder
        unused = builder.late + builder.stale + builder.outside + builder.untimed
        builder.add(tick)
        if builder.late + builder.stale + builder.outside + builder.untimed != unused:
            return
        take = getattr(self.store.broker, "take_tick", None)
        end = builder.forming_end
        if take is not None and end is not None and self._finest():
            moment = tick.exchange_time or tick.last_trade_time
            now = to_seconds(from_epoch(moment)) if moment else to_seconds(self.store.clock.now())
            take(self.data, tick, now, to_seconds(end))

    def _finest(self) -> bool:
        """Only one feed of an instrument plays its ticks to the broker: the one with the shortest bars."""
        feeds = self.store._by_token[self.token]
        return min(feeds, key=lambda feeding: feeding.data.interval.seconds) is self

    def on_time(self, now: datetime) -> None:
        """What is due without anything coming."""
        if self.due is not None and now >= self.due:
            if self.state == "repair" and self._repair is not None:
                self._ask(self._repair[0] - timedelta(days=1), now)
            else:
                self.begin()

    def close(self, now: datetime, grace: float, *, complete: bool) -> None:
        """Bars that are over wait in ``pending`` until all feeds have theirs."""
        for bar in self.builder.close(now, grace, complete=complete):
            if self._not_before is None or bar.end > self._not_before:
                self.pending.append(bar)

    def forming_until(self, end: datetime) -> bool:
        """Whether a bar that ends by ``end`` is still being built."""
        forming = self.builder.forming_end
        return forming is not None and forming <= end

    def release(self, end: datetime) -> None:
        """Hand over pending bars up to ``end``; while history is missing they wait."""
        while self.pending and self.pending[0].end <= end:
            bar = self.pending.popleft()
            if self.state == "live":
                self.data.take_bar(bar)
            else:
                self._late.append(bar)
        if self.state == "live" and self._late:
            for bar in self._late:
                self.data.take_bar(bar)
            self._late.clear()

    # -- the link -------------------------------------------------------------------------------------

    def take_link(self, change: LinkChange) -> None:
        """The stream broke or came back."""
        if change.link in (Link.BROKEN, Link.REFUSED):
            if self.state == "live":
                self.state = "broken"
            self.data.put_notification(self.data.CONNBROKEN)
        elif change.link is Link.CONNECTED and self.state == "broken":
            self._joined = self.store.clock.now()
            self.builder.resume(self._joined)
            self._repair = None
            self.begin()

    def session_over(self, now: datetime, sessions: int) -> bool:
        """Whether the sessions that the run was to last have closed."""
        known = calendar()
        days = {self._joined.date(), now.date(), *self._days_over}
        for day in days:
            session = known.session(self.instrument.exchange, day)
            if session is None or not session.parts or session.close <= self._joined:
                continue
            if now >= session.close + timedelta(seconds=self.store.config.data.grace):
                self._days_over.add(day)
        return len(self._days_over) >= sessions
