"""A run outlives its session: the token dies at 06:00 IST, or earlier, and a new one is picked up where it appears.

Kite has refused the token, to a call or to the stream, or the day's moments of doubt find it dead. Then entries
pause, requests to the desk wait, and new tokens are looked for where `btkite login` and ``.env`` put them. Not
more than three attempts a minute are made with any of them; the old one is tried again, too, for Kite has been
seen to refuse a good token. Nobody comes: the run ends at its deadline. Cerebro's thread, but for :meth:`_try`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from .errors import BtkiteError, ConfigError, SessionExpired
from .kite.inbox import Answer
from .log import get_logger
from .market.calendar import calendar

log = get_logger(__name__)
ATTEMPTS, WINDOW = 3, timedelta(minutes=1)
LOOK, LOCKSTEP_LOOK = timedelta(seconds=2), timedelta(seconds=30)
FIRST_RETRY, RETRY = timedelta(seconds=2), timedelta(seconds=30)
WARNING = time(5, 30)
DOUBTS = (time(6, 0, 5), time(7, 35), time(9, 0))
"""When a token is asked for its life: Kite flushes yesterday's from 06:00 on, and all are gone by 07:30."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a look: the token that Kite took or refused; none, if there was none to try."""

    token: str = ""
    taken: bool = False

    def __repr__(self) -> str:
        return f"Tried({'a token' if self.token else 'none'}, taken={self.taken})"


class Renewal:
    """The life of one run's session.

    ``client`` is the door, ``tokens`` gives those that lie ready, ``ask`` calls a function on another thread and
    puts its answer (kind ``session``) into the inbox. ``minutes``: of market time to wait for a new one; None: until
    the last close of ``exchanges`` that day. ``lockstep``: the exchange's time stands still while we work, and by
    itself says when a token is dead.
    """

    def __init__(
        self,
        client: Any,
        tokens: Callable[[], Iterable[str]],
        ask: Callable[[str, Any, Callable[[], Any]], None],
        *,
        minutes: float | None,
        exchanges: Callable[[], Iterable[str]],
        lockstep: bool,
        now: datetime,
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._ask = ask
        self._minutes = minutes
        self._exchanges = exchanges
        self._look = LOCKSTEP_LOOK if lockstep else LOOK
        self._attempts: deque[datetime] = deque()
        self._refused: set[str] = set()
        self._asking = False
        self._next_look = datetime.max
        self._retry_at = datetime.max
        self._doubt = datetime.max if lockstep else _next(DOUBTS, now)
        self._warn = datetime.max if lockstep else _next((WARNING,), now)
        self.lost: datetime | None = None
        self.reason = ""
        self.missed = timedelta()  # how long there was no session, the last time
        self.deadline: datetime | None = None

    # -- what happened --------------------------------------------------------------------------------

    def refused(self, reason: str, now: datetime) -> bool:
        """Kite has refused a token; True if the session was thought alive until now."""
        self._attempts.append(now)
        if self.lost is not None or not self._client.refused:
            return False
        self._refused.add(self._client.access_token)
        self.lost, self.reason = now, reason
        self.deadline = self._deadline(now)
        self._next_look, self._retry_at = now, now + FIRST_RETRY
        return True

    def take_answer(self, answer: Answer, now: datetime) -> bool:
        """What became of a look; True if there is a session again."""
        self._asking = False
        tried: Tried = answer.value or Tried()
        if answer.error is not None:  # the network, or Kite's own trouble: nothing is known of the token
            self._attempts.append(now)
            self._next_look = now + RETRY
        if tried.token and not tried.taken:
            self._refused.add(tried.token)
        if not tried.taken or self.lost is None:
            return False
        self.missed = now - self.lost
        self._refused.clear()
        self.lost, self.deadline, self.reason = None, None, ""
        self._next_look = self._retry_at = datetime.max
        return True

    # -- time -----------------------------------------------------------------------------------------

    def on_time(self, now: datetime) -> str:
        """Look for a token, or ask the one in use whether it lives, if it is time. A warning that is due, or
        nothing."""
        if self.lost is not None:
            self._look_for_one(now)
        elif now >= self._doubt and not self._asking:
            self._doubt = _next(DOUBTS, now)
            self._start(self._client.access_token, again=True)
        if now < self._warn:
            return ""
        self._warn = _next((WARNING,), now)
        return "the access token dies at 06:00: entries pause from then on, until you log in again (btkite login)"

    def over(self, now: datetime) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and now >= self.deadline

    @property
    def due(self) -> datetime | None:
        """When there is something to do; None while an answer is awaited."""
        if self.lost is None:
            return min(self._doubt, self._warn) if self._doubt < datetime.max else None
        moments = [self.deadline] if self._asking else [self._next_look, self.deadline]
        return min((moment for moment in moments if moment is not None), default=None)

    def _look_for_one(self, now: datetime) -> None:
        if self._asking or now < self._next_look:
            return
        self._next_look = now + self._look
        while self._attempts and now - self._attempts[0] >= WINDOW:
            self._attempts.popleft()
        if len(self._attempts) >= ATTEMPTS:
            return
        again = now >= self._retry_at
        if again:
            self._retry_at = now + RETRY
        self._start(self._client.access_token, again=again)

    def _start(self, known: str, *, again: bool) -> None:
        self._asking = True
        refused = frozenset(self._refused)
        self._ask("session", self, lambda: self._try(known, refused, again=again))

    def _try(self, known: str, refused: frozenset[str], *, again: bool) -> Tried:
        """Another thread: try a token that was not refused yet, else, if ``again``, the known one."""
        fresh = [token for token in self._tokens() if token not in refused and token != known]
        token = fresh[0] if fresh else known if again else ""
        if not token:
            return Tried()
        try:
            self._client.ask_for(token)
        except (SessionExpired, ConfigError) as error:
            tell = log.debug if token == known else log.warning  # of the known one the run has spoken already
            tell("an access token is refused", reason=str(error))
            self._client.refuse(token, str(error))
            return Tried(token, taken=False)
        self._client.believe(token)
        return Tried(token, taken=True)

    def _deadline(self, now: datetime) -> datetime:
        if self._minutes is not None:
            return now + timedelta(minutes=self._minutes)
        return max((_close(exchange, now) for exchange in self._exchanges()), default=now)


def _next(times: Iterable[time], now: datetime) -> datetime:
    """The first of these times of day after ``now``."""
    today = [datetime.combine(now.date(), one) for one in times]
    return min(one if one > now else one + timedelta(days=1) for one in today)


def _close(exchange: str, now: datetime) -> datetime:
    """The first close of the exchange after ``now``."""
    known, day = calendar(), now.date()
    while True:
        try:
            session = known.session(exchange, day)
        except BtkiteError:  # beyond the tables
            return now + timedelta(days=1)
        if session is not None and session.parts and session.close > now:
            return session.close
        day += timedelta(days=1)
