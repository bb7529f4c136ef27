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
    ``outside`` those outside the session, ``untimed`` those without any time.
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
        self.late = self.stale = self.outside = self.untimed = 0
        self._calendar = calendar or shipped_calendar()
        self._class: InstrumentClass = instrument_class or class_of(instrument)
        self._decide_at = decide_at
        self._daily = self.interval is Interval.DAY
        self._step = self.interval.seconds
        self._closed: list[Bar] = []
        self._closed_until = -1  # epoch seconds: end of the last closed bar
        # the session's parts of the day of the last tick, in epoch seconds
        self._day = -1
        self._parts: tuple[tuple[int, int], ...] = ()
        # the day's volume at the last packet, and whether the next bar may count from it
        self._volume = 0
        self._counted = False
        # the forming bar; _start < 0 if there is none
        self._start = self._end = -1
        self._open = self._high = self._low = self._close = 0.0
        self._base = self._oi = self._time = 0
        self._whole_from: datetime | None = None
        self._since = -1
        if since is not None:
            self.resume(since)

    def resume(self, since: datetime) -> None:
        """The instrument was (re)subscribed at ``since``: older packets are cached ones.

        A forming bar goes on if its next tick still falls into it.
        """
        self._since = int(to_epoch(since))
        self._whole_from = since
        self._counted = False

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
        return self._bar() if self._start >= 0 else None

    @property
    def forming_end(self) -> datetime | None:
        """When the forming bar ends."""
        return from_epoch(self._end) if self._start >= 0 else None

    def add(self, tick: Tick, received: datetime | None = None) -> None:
        """Take one tick; ``received`` (naive IST) stands in where the packet has no time at all."""
        moment = tick.exchange_time or tick.last_trade_time
        if not moment:
            if received is None:
                self.untimed += 1
                return
            moment = int(to_epoch(received))
        if moment < self._since:
            self.stale += 1
            self._learn(tick, moment)
            return
        if moment < self._closed_until or moment < self._start:
            self.late += 1
            return
        if self._start >= 0 and moment >= self._end:
            self._finish()
        day = (moment + _IST) // DAY_SECONDS
        if day != self._day:
            self._turn(day)
        for part_open, part_close in self._parts:
            if part_open <= moment < part_close:
                break
        else:
            self.outside += 1
            return
        if tick.last_price <= 0:
            return
        if self._daily:
            self._add_to_day(tick, moment, part_close)
        else:
            self._add_to_bar(tick, moment, part_open, part_close)

    def close(self, now: datetime, grace_seconds: float, *, complete: bool) -> list[Bar]:
        """The bars that are over at ``now``, oldest first, each once.

        Over is what a later tick has passed, and what ended ``grace_seconds`` ago. ``complete``:
        everything sent up to ``now`` has been added, so no grace is needed.
        """
        if self._start >= 0 and self._end + (0.0 if complete else grace_seconds) <= to_epoch(now):
            self._finish()
        closed, self._closed = self._closed, []
        return closed

    # -- inside -----------------------------------------------------------------------------------

    def _add_to_bar(self, tick: Tick, moment: int, part_open: int, part_close: int) -> None:
        price = tick.last_price
        if self._start < 0:
            start = moment - (moment - part_open) % self._step
            # The day's first bar, and the first one that we can have seen from the open on, own all of it.
            session_open = self._parts[0][0]
            owns = not self._counted and (start == session_open or self._since <= session_open)
            if self._only_depth(tick, start):
                if not owns and not self._counted:
                    midnight = self._day * DAY_SECONDS - _IST
                    self._volume = tick.volume if tick.last_trade_time >= midnight else 0
                    self._counted = True
                return
            self._begin(start, min(start + self._step, part_close), price)
            if not owns:
                self._base = self._volume if self._counted else tick.volume
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        if moment >= self._time:  # an overtaken packet widens the bar, but is not its close
            self._close, self._time, self._oi = price, moment, tick.oi
        self._count(tick)

    def _add_to_day(self, tick: Tick, moment: int, close: int) -> None:
        price = tick.last_price
        if self._start < 0:
            midnight = self._day * DAY_SECONDS - _IST
            if self._only_depth(tick, midnight):
                return
            self._begin(midnight, self._parts[-1][1], price)
        if tick.open > 0:
            self._open = tick.open
            self._high = max(self._high, tick.high, tick.open, price)
            self._low = min(self._low, tick.low or price, tick.open, price)
        else:
            self._high = max(self._high, price)
            self._low = min(self._low, price)
        if moment >= self._time:
            self._close, self._time, self._oi = price, moment, tick.oi
        self._count(tick)

    def _only_depth(self, tick: Tick, start: int) -> bool:
        """No trade of the bar that begins at ``start`` is in this packet."""
        return 0 < tick.last_trade_time < start and not (self._counted and tick.volume > self._volume)

    def _learn(self, tick: Tick, moment: int) -> None:
        """The cached packet that comes with a subscription says what traded on the day before it."""
        day = (moment + _IST) // DAY_SECONDS
        if day == (self._since + _IST) // DAY_SECONDS:
            if day != self._day:
                self._turn(day)
            if not 0 < tick.last_trade_time < day * DAY_SECONDS - _IST:  # else the volume is an earlier day's
                self._count(tick)

    def _count(self, tick: Tick) -> None:
        self._volume = max(self._volume, tick.volume)
        self._counted = True

    def _begin(self, start: int, end: int, price: float) -> None:
        self._start, self._end, self._time = start, end, start
        self._open = self._high = self._low = self._close = price
        self._base = 0

    def _finish(self) -> None:
        self._closed.append(self._bar())
        self._closed_until = self._end
        self._start = -1

    def _bar(self) -> Bar:
        return Bar(
            from_epoch(self._start),
            from_epoch(self._end),
            self._open,
            self._high,
            self._low,
            self._close,
            float(self._volume - self._base),
            float(self._oi),
        )

    def _turn(self, day: int) -> None:
        """A new day: its session, and no volume yet."""
        self._day = day
        self._volume = 0
        self._counted = False
        today = date(1970, 1, 1) + timedelta(day)
        session = self._calendar.session(self.instrument.exchange, today, instrument_class=self._class)
        parts = session.parts if session else ()
        if parts and self._decide_at is not None:
            decide = datetime.combine(today, self._decide_at)
            # A session that lies wholly after it (muhurat) keeps its own close.
            if parts[0][0] < decide:
                parts = tuple((start, min(end, decide)) for start, end in parts if start < decide)
        self._parts = tuple((int(to_epoch(start)), int(to_epoch(end))) for start, end in parts)
