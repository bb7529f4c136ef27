"""Ticks of one instrument become bars of one interval.

The exchange's time of a tick decides its bar; where the packet has none, the time of the last trade
does. A bar closes when a later tick passes its end, or when the clock does, whether ticks come or
not; then nothing opens it again.

What is a print
    A tick with a price, inside the session, whose trade belongs to the bar. Kite also sends a packet
    when only the depth changed: such a one (volume as before, last trade before the bar) makes no
    bar, as it makes none in Kite's candles. Nor does the old packet that Kite sends on (re)subscribing.

Volume
    The tick carries the day's. A bar's is what the day's grew by since the print before the bar. The
    day's first bar owns all of the day's volume so far (the pre-open auction is in it, so that the
    bars of a day sum to the day's volume). Whoever joins later learns from the cached packet what
    traded before; without one the first bar's volume counts from the first tick, and
    :attr:`BarBuilder.whole_from` says from when on bars are complete.

Day bars
    Take the packet's own open, high, low and volume of the day when it has them (modes quote, full).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ..clock import IST_OFFSET, from_epoch, to_epoch
from ..errors import ConfigError
from ..values import Bar
from .barstate import BarState, fresh
from .calendar import calendar as shipped_calendar
from .intervals import DAY_SECONDS, Interval, parse_interval
from .segments import instrument_class as class_of

if TYPE_CHECKING:
    from ..values import Instrument, Tick
    from .calendar import Calendar, InstrumentClass

_IST = int(IST_OFFSET.total_seconds())


class BarBuilder:
    """Builds the bars of one instrument, one tick at a time. Pure: it asks no clock.

    ``since``: when the subscription began; what is older is a cached packet and is not used.
    ``decide_at``: for day bars, the time of day at which the day's bar closes early.

    ``late`` counts ticks older than the last closed bar, ``stale`` those older than ``since``,
    ``outside`` those outside the session, ``untimed`` those without any time. Where frames are large, builders share
    a :class:`~btkite.market.bartable.BarTable`, which adds the ticks of many at once; :attr:`state` is then its row.
    """

    def __init__(
        self,
        instrument: Instrument,
        interval: str,
        calendar: Calendar | None = None,
        *,
        since: datetime | None = None,
        decide_at: time | None = None,
        instrument_class: InstrumentClass | None = None,
    ) -> None:
        self.instrument = instrument
        self.interval = parse_interval(interval)
        if decide_at is not None and self.interval is not Interval.DAY:
            raise ConfigError(
                f"decide_at closes day bars early; {self.interval} bars of {instrument.key} have their own end"
            )
        self.state: BarState = fresh()
        self.state.step, self.state.daily = self.interval.seconds, self.interval is Interval.DAY
        self._calendar = calendar or shipped_calendar()
        self._class: InstrumentClass = instrument_class or class_of(instrument)
        self._decide_at = decide_at
        self._daily = self.interval is Interval.DAY
        self._closed: list[Bar] = []
        self._parts: tuple[tuple[int, int], ...] = ()  # of the session of the day of the last tick
        self._whole_from: datetime | None = None
        if since is not None:
            self.resume(since)

    def resume(self, since: datetime) -> None:
        """The instrument was (re)subscribed at ``since``: older packets are cached ones.

        A forming bar goes on if its next tick still falls into it.
        """
        self.state.since = int(to_epoch(since))
        self._whole_from = since
        self.state.counted = 0

    @property
    def whole_from(self) -> datetime | None:
        """Bars that start at or after this moment saw all of their ticks; None: all did.

        The moment of the last :meth:`resume`. A day's first bar is whole if it is at or before that
        day's open.
        """
        return self._whole_from

    @property
    def forming(self) -> Bar | None:
        """The bar that is being built, as it stands."""
        return self._bar() if self.state.start >= 0 else None

    @property
    def forming_end(self) -> datetime | None:
        """When the forming bar ends."""
        return from_epoch(self.state.end) if self.state.start >= 0 else None

    @property
    def late(self) -> int:
        return self.state.late

    @property
    def stale(self) -> int:
        return self.state.stale

    @property
    def outside(self) -> int:
        return self.state.outside

    @property
    def untimed(self) -> int:
        return self.state.untimed

    @property
    def unused(self) -> int:
        """Ticks that came too late or too early, or without any time."""
        return self.state.late + self.state.stale + self.state.untimed

    def add(self, tick: Tick, received: datetime | None = None) -> None:
        """Take one tick; ``received`` (naive IST) stands in where the packet has no time at all."""
        state = self.state
        moment = tick.exchange_time or tick.last_trade_time
        if not moment:
            if received is None:
                state.untimed += 1
                return
            moment = int(to_epoch(received))
        if moment < state.since:
            state.stale += 1
            self._learn(tick, moment)
            return
        start = state.start
        if moment < state.closed_until or moment < start:
            state.late += 1
            return
        if start >= 0 and moment >= state.end:
            self._finish()
        if not 0 <= moment - state.midnight < DAY_SECONDS:
            self._turn(moment)
        for part_open, part_close in self._parts:
            if part_open <= moment < part_close:
                break
        else:
            state.outside += 1
            return
        if tick.last_price <= 0:
            return
        if self._daily:
            self._add_to_day(tick, moment)
        else:
            self._add_to_bar(tick, moment, part_open, part_close)

    def close(self, now: datetime, grace_seconds: float, *, complete: bool) -> list[Bar]:
        """The bars that are over at ``now``, oldest first, each once.

        Over is what a later tick has passed, and what ended ``grace_seconds`` ago. ``complete``:
        everything sent up to ``now`` has been added, so no grace is needed.
        """
        state = self.state
        if state.start >= 0 and state.end + (0.0 if complete else grace_seconds) <= to_epoch(now):
            self._finish()
        closed, self._closed = self._closed, []
        state.ready = 0
        return closed

    def keep(self, bar: Bar) -> None:
        """A bar of ours that a table has closed: :meth:`close` gives it."""
        self._closed.append(bar)

    # -- inside -----------------------------------------------------------------------------------

    def _add_to_bar(self, tick: Tick, moment: int, part_open: int, part_close: int) -> None:
        state, price = self.state, tick.last_price
        if state.start < 0:
            start = moment - (moment - part_open) % state.step
            # The day's first bar, and the first one that we can have seen from the open on, own all of it.
            session_open = self._parts[0][0]
            owns = not state.counted and (start == session_open or state.since <= session_open)
            if self._only_depth(tick, start):
                if not owns and not state.counted:
                    state.volume = tick.volume if tick.last_trade_time >= state.midnight else 0
                    state.counted = 1
                return
            self._begin(start, min(start + state.step, part_close), price)
            if not owns:
                state.base = state.volume if state.counted else tick.volume
        elif price > state.high:
            state.high = price
        elif price < state.low:
            state.low = price
        if moment >= state.time:  # an overtaken packet widens the bar, but is not its close
            state.close, state.time, state.oi = price, moment, tick.oi
        self._count(tick)

    def _add_to_day(self, tick: Tick, moment: int) -> None:
        state, price = self.state, tick.last_price
        if state.start < 0:
            if self._only_depth(tick, state.midnight):
                return
            self._begin(state.midnight, state.last_close, price)
        if tick.open > 0:
            state.open = tick.open
            state.high = max(state.high, tick.high, tick.open, price)
            state.low = min(state.low, tick.low or price, tick.open, price)
        else:
            state.high = max(state.high, price)
            state.low = min(state.low, price)
        if moment >= state.time:
            state.close, state.time, state.oi = price, moment, tick.oi
        self._count(tick)

    def _only_depth(self, tick: Tick, start: int) -> bool:
        """No trade of the bar that begins at ``start`` is in this packet."""
        return 0 < tick.last_trade_time < start and not (self.state.counted and tick.volume > self.state.volume)

    def _learn(self, tick: Tick, moment: int) -> None:
        """The cached packet that comes with a subscription says what traded on the day before it."""
        state = self.state
        if (moment + _IST) // DAY_SECONDS == (state.since + _IST) // DAY_SECONDS:
            if not 0 <= moment - state.midnight < DAY_SECONDS:
                self._turn(moment)
            if not 0 < tick.last_trade_time < state.midnight:  # else the volume is an earlier day's
                self._count(tick)

    def _count(self, tick: Tick) -> None:
        state = self.state
        if tick.volume > state.volume:
            state.volume = tick.volume
        state.counted = 1

    def _begin(self, start: int, end: int, price: float) -> None:
        state = self.state
        state.start, state.end, state.time = start, end, start
        state.open = state.high = state.low = state.close = price
        state.base = 0

    def _finish(self) -> None:
        state = self.state
        self._closed.append(self._bar())
        state.closed_until, state.start, state.ready = state.end, -1, 1

    def _bar(self) -> Bar:
        state = self.state
        return Bar(
            from_epoch(state.start),
            from_epoch(state.end),
            state.open,
            state.high,
            state.low,
            state.close,
            float(state.volume - state.base),
            float(state.oi),
        )

    def _turn(self, moment: int) -> None:
        """A new day: its session, and no volume yet."""
        day = (moment + _IST) // DAY_SECONDS
        today = date(1970, 1, 1) + timedelta(day)
        session = self._calendar.session(self.instrument.exchange, today, instrument_class=self._class)
        parts = session.parts if session else ()
        if parts and self._decide_at is not None:
            decide = datetime.combine(today, self._decide_at)
            # A session that lies wholly after it (muhurat) keeps its own close.
            if parts[0][0] < decide:
                parts = tuple((start, min(end, decide)) for start, end in parts if start < decide)
        self._parts = tuple((int(to_epoch(start)), int(to_epoch(end))) for start, end in parts)
        self.state.take_session(day * DAY_SECONDS - _IST, self._parts)
