"""How often we may ask: Kite's rate limits, kept on our side with a margin.

Kite counts order calls per account in calendar seconds of its own clock: 10 a second, 400 a minute,
5000 a day (https://kite.trade/docs/connect/v3/exceptions/); quotes 1 a second, candles 3, the rest
10. We keep each limit in *every* window of 1.1 s, which satisfies any calendar second of any clock. A call
counts from the moment of its answer, when that is known: Kite has counted it by then, however long it was on the
way. Entries may use no more than eight tenths of a window in eight tenths of its length: so they keep up nine a
second, and an exit or a cancel finds room at once, or within 0.22 s. Of a minute's and a day's budget the last
part is not theirs at all.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum

from ..clock import Bell, Clock, ExchangeClock
from ..errors import RuleViolation

WINDOW = 1.1  # seconds: one calendar second, and 0.1 s for two clocks that do not run alike
_STEP = timedelta(milliseconds=5)
_LOCKSTEP_PATIENCE = 30.0  # real seconds without any market time before we give up


class Kind(StrEnum):
    """The classes that Kite counts apart."""

    ORDER = "order"
    QUOTE = "quote"
    HISTORICAL = "historical"
    OTHER = "other"


class Lane(IntEnum):
    """Who goes first: lower is sooner."""

    CANCEL = 0
    EXIT = 1
    ENTRY = 2


@dataclass(frozen=True, slots=True)
class Limit:
    """``calls`` in any ``seconds``; entries may only use ``entries`` of them."""

    calls: int
    seconds: float
    entries: int

    def allowed(self, lane: Lane) -> int:
        return self.entries if lane is Lane.ENTRY else self.calls


@dataclass(frozen=True, slots=True)
class Budget:
    """All limits of one class; ``per_day`` is 0 where there is none."""

    limits: tuple[Limit, ...]
    per_day: int = 0
    entries_per_day: int = 0


BUDGETS: Mapping[Kind, Budget] = {
    Kind.ORDER: Budget(
        (Limit(10, WINDOW, 10), Limit(10, 0.8 * WINDOW, 8), Limit(400, 60.0 + WINDOW - 1.0, 360)), 5000, 4500
    ),
    Kind.QUOTE: Budget((Limit(1, WINDOW, 1),)),
    Kind.HISTORICAL: Budget((Limit(3, WINDOW, 3),)),
    Kind.OTHER: Budget((Limit(10, WINDOW, 10),)),
}


class Pace:
    """The account's limiter: one for all clients and threads of a process.

    Time is the clock's. In lock step the exchange's time moves only when Cerebro's thread asks for
    it, so an order that must wait watches the clock until others have moved it (the desk says when
    it is due), and reads, which cost no market time there, never wait.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        budgets: Mapping[Kind, Budget] = BUDGETS,
        used_today: int = 0,
    ) -> None:
        self._clock = clock
        self._budgets = budgets
        self._calls: dict[Kind, list[datetime]] = {kind: [] for kind in Kind}
        self._waiting: Counter[tuple[Kind, Lane]] = Counter()
        self._lock = threading.Lock()
        self._lockstep = isinstance(clock, ExchangeClock) and clock.complete
        self._day: date = clock.now().date()
        self._used_today = used_today

    @property
    def orders_today(self) -> int:
        """Order calls made on this day, as far as this process knows."""
        with self._lock:
            self._turn_day(self._clock.now())
            return self._used_today

    def remember(self, moments: Sequence[datetime]) -> None:
        """Order calls that were made before this process began (in their order): Kite counts them, too."""
        with self._lock:
            now = self._clock.now()
            self._turn_day(now)
            self._used_today = max(self._used_today, sum(moment.date() == self._day for moment in moments))
            longest = timedelta(seconds=max(limit.seconds for limit in self._budgets[Kind.ORDER].limits))
            recent = [moment for moment in moments if now - longest < moment <= now]
            if len(recent) > len(self._calls[Kind.ORDER]):
                self._calls[Kind.ORDER] = recent

    def ready_at(self, kind: Kind, lane: Lane = Lane.ENTRY) -> datetime:
        """The earliest moment at which such a call may go; now or before if it may go at once.

        Raises:
            RuleViolation: if the day's budget is used up.
        """
        with self._lock:
            return self._ready_at(kind, lane, self._clock.now())

    def take(self, kind: Kind, lane: Lane = Lane.ENTRY) -> datetime:
        """Wait for the turn and count the call; the moment at which it counts, for :meth:`answered`.

        Raises:
            RuleViolation: if the day's budget is used up.
        """
        if self._lockstep and kind is not Kind.ORDER:
            return self._clock.now()
        bell = Bell()
        waiter = (kind, lane)
        with self._lock:
            self._waiting[waiter] += 1
        try:
            while True:
                counted, moment = self._try(kind, lane)
                if counted:
                    return moment
                self.wait(bell, moment, _LOCKSTEP_PATIENCE)
        finally:
            with self._lock:
                self._waiting[waiter] -= 1

    def answered(self, kind: Kind, moment: datetime) -> None:
        """The call that was counted at ``moment`` is over: Kite has counted it now at the latest."""
        with self._lock:
            calls, now = self._calls[kind], self._clock.now()
            if moment in calls and now > moment:
                calls.remove(moment)
                insort(calls, now)

    def wait(self, bell: Bell, until: datetime, patience: float | None = None) -> None:
        """Until the bell rings or market time is at ``until``. In lock step others move it.

        ``patience``: real seconds in which the exchange's clock must move at all in lock step.
        """
        if not self._lockstep:
            self._clock.wait(bell, until)
            return
        began, seen = time.monotonic(), self._clock.now()
        while self._clock.now() < until and not bell.wait(0.002):
            if self._clock.now() != seen:
                began, seen = time.monotonic(), self._clock.now()
            elif patience is not None and time.monotonic() - began > patience:
                raise RuleViolation(
                    "an order waits for Kite's rate limit, but nobody moves the exchange's clock: "
                    "in lock step, orders are sent by the desk while the store pumps"
                )

    def _try(self, kind: Kind, lane: Lane) -> tuple[bool, datetime]:
        """Whether the call was counted, and when; or until when to wait."""
        with self._lock:
            now = self._clock.now()
            ready = self._ready_at(kind, lane, now)
            if ready > now:
                return False, ready
            if any(self._waiting[kind, Lane(first)] for first in range(lane)):
                return False, now + _STEP
            self._calls[kind].append(now)
            if kind is Kind.ORDER:
                self._used_today += 1
            return True, now

    def _turn_day(self, now: datetime) -> None:
        if now.date() != self._day:
            self._day, self._used_today = now.date(), 0

    def _ready_at(self, kind: Kind, lane: Lane, now: datetime) -> datetime:
        budget, calls = self._budgets[kind], self._calls[kind]
        if calls and now < calls[-1]:
            # The clock was set back: what we know happened no earlier than now, as far as we can tell.
            calls[:] = [now] * len(calls)
        longest = timedelta(seconds=max(limit.seconds for limit in budget.limits))
        del calls[: bisect_right(calls, now - longest)]
        if budget.per_day:
            self._turn_day(now)
            allowed = budget.entries_per_day if lane is Lane.ENTRY else budget.per_day
            if self._used_today >= allowed:
                kept = budget.per_day - allowed
                raise RuleViolation(
                    f"{self._used_today} order calls were made today and Kite allows {budget.per_day}"
                    + (f", {kept} of them kept for exits and cancels" if kept else "")
                )
        ready = now
        for limit in budget.limits:
            allowed = limit.allowed(lane)
            if len(calls) >= allowed:
                ready = max(ready, calls[-allowed] + timedelta(seconds=limit.seconds))
        return ready
