"""The days that are played, and the plan of the one that is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from . import hours, schedule
from .clock import DAY, MINUTE, SECOND, day_from_number, day_number, stamp
from .errors import BadCandles
from .settings import ExchangeSettings

_BY_HAND = 31  # days of a market without candles
_BEFORE_OPEN = 5 * SECOND  # where a market begins that was given no start
_BEFORE_OPEN_IN_LOCK_STEP = 15 * MINUTE


class Days:
    """Days are numbers, sessions seconds of the day, moments of market time.

    ``first`` is the first day that is played if the settings name no start: earlier candles are history.
    ``on_day`` is told of each day when its plan is made. Raises BadCandles if there is no first day.
    """

    def __init__(
        self,
        tapes: Sequence[schedule.Tape],
        exchanges: Sequence[str],
        settings: ExchangeSettings,
        first: date | None,
        on_day: Callable[[int], None],
    ) -> None:
        self._tapes, self._exchanges = tapes, exchanges
        self._prints = settings.prints_per_candle
        self._on_day = on_day
        self._numbers = sorted({int(day) for tape in tapes for day in tape.days})
        self.plan: schedule.DayPlan | None = None
        self.start = self._begin(settings, first)
        today = self.start // DAY
        if not tapes:  # prices are put by hand: the days are the calendar's
            self._numbers = [day for day in range(today, today + _BY_HAND) if self._sessions(day)]
        self._numbers = [day for day in self._numbers if day >= today]
        self.first = self._numbers[0] if self._numbers else today

    def _begin(self, settings: ExchangeSettings, first: date | None) -> int:
        """The first moment."""
        if settings.start is not None:
            return stamp(settings.start)
        if not self._numbers:
            raise BadCandles("give a start: without candles the market has no first day")
        if first is not None and (later := [day for day in self._numbers if day >= day_number(first)]):
            self._numbers = later
        return self._opens(self._numbers[0]) - (_BEFORE_OPEN_IN_LOCK_STEP if settings.lockstep else _BEFORE_OPEN)

    def last_moment(self) -> int:
        """The end of the last candle that is played; asked when the first plan is made."""
        if not self._numbers:
            return self.start
        last = self._plan_of(self._numbers[-1]) if len(self._numbers) > 1 else self.plan
        return last.last_bar if last is not None else self.start

    # what comes

    def load_next(self) -> None:
        """Make the plan of the next day; none after the last."""
        later = [day for day in self._numbers if self.plan is None or day > self.plan.day]
        self.plan = self._plan_of(later[0]) if later else None
        if self.plan is not None:
            self._on_day(self.plan.day)

    def _plan_of(self, day: int) -> schedule.DayPlan:
        return schedule.plan_day(day, self._tapes, self._exchanges, self._prints)

    def peek_today(self) -> schedule.Instant | None:
        """The next instant of the plan; None after the day's last."""
        return self.plan.instants.peek() if self.plan is not None else None

    def peek(self) -> schedule.Instant | None:
        """The next instant, over nights; None after the last."""
        while self.plan is not None:
            instant = self.plan.instants.peek()
            if instant is not None:
                return instant
            self.load_next()
        return None

    def move(self) -> None:
        """On to the instant after it."""
        assert self.plan is not None
        self.plan.instants.move()

    def exchange_of(self, instant: schedule.Instant) -> str:
        """Whose open or close an instant is."""
        assert self.plan is not None
        return self.plan.exchanges[instant[2]]

    # sessions

    def _sessions(self, day: int) -> dict[str, hours.Session]:
        return schedule.sessions_of(day, self._tapes, self._exchanges)

    def _opens(self, day: int) -> int:
        """The first open of a day."""
        known = self.plan.sessions if self.plan is not None and self.plan.day == day else self._sessions(day)
        return day * DAY + min(session[0] for session in known.values()) * SECOND

    def session(self, exchange: str, us: int) -> tuple[int, int] | None:
        """Open and close, as moments, of ``exchange`` on the day of ``us``; None if it is closed."""
        day = us // DAY
        known = self.plan.sessions if self.plan is not None and self.plan.day == day else self._sessions(day)
        found = known.get(exchange) or hours.session(exchange, day_from_number(day))
        return (day * DAY + found[0] * SECOND, day * DAY + found[1] * SECOND) if found else None

    def plays_on(self, day: int) -> bool:
        """True if a day is one of those that are played."""
        return day in self._numbers

    def next_open(self, us: int) -> int | None:
        """The first open of the next day that is played after that of ``us``; None on the last."""
        later = [day for day in self._numbers if day > us // DAY]
        return self._opens(later[0]) if later else None

    @property
    def closed_until(self) -> int | None:
        """The next open if the day is over and nothing is to come before; else None."""
        instant = self.peek()
        if instant is None or instant[1] != schedule.ROLL:
            return None
        assert self.plan is not None
        return self._opens(self.plan.day)
