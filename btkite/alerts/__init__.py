"""Messages to a person: a kind, a level, a title, a body; delivered by apprise, each address from a thread of its own.

Sending never waits: what is to be said goes into bounded queues, the oldest is dropped (and counted) where one is
full. Delivery blocks for as long as a mail server likes, so it happens behind the queues (:mod:`.couriers`), is tried
again after a pause, and its failure is a line in the log, never an error in the strategy. An address that hangs holds
up no other one. Every alert is logged, counted by its kind and, where a file is named, kept with what became of it
(:mod:`.history`), whatever its level; secrets are masked in all of them.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from ..clock import Clock, SystemClock
from ..errors import ConfigError
from ..log import get_logger, redact_text
from ..values import ALERT_KINDS as KINDS

LEVELS: Final = ("info", "warning", "error", "critical")
RETRY_AFTER: Final = (1.0, 5.0)  # seconds; real time, a mail server knows no market time
_MINUTE: Final = 60.0

_log = get_logger(__name__)


class Hidden(Protocol):
    """What holds an address without showing it, such as pydantic's SecretStr."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``at``: market time · ``repeats``: how often it came again, unsent, in the window before it ·
    ``more``: what the rate limit has held back since the last one that passed."""

    level: str
    title: str
    body: str
    key: str
    kind: str = "other"
    at: datetime | None = None
    number: str = ""
    repeats: int = 0
    more: str = ""

    @property
    def text(self) -> str:
        """The body as it is delivered."""
        lines = [self.body] if self.body else []
        if self.repeats:
            lines.append(f"({self.repeats} more of these since the last one)")
        if self.more:
            lines.append(f"({self.more})")
        return "\n".join(lines)


@dataclass(slots=True)
class _Window:
    """When a key was last let through, and how often it was held back since."""

    since: datetime
    held: int = 0


class Alerts:
    """Takes alerts from any thread and delivers them one after the other.

    ``urls`` are addresses in apprise's notation, each delivered on its own. ``level`` is the least level delivered;
    kinds in ``also`` are delivered whatever their level, kinds in ``mute`` never. ``dedupe_seconds`` (market time, by
    ``clock``) is how long an alert of the same key is held back. ``per_minute`` (real minutes) is how many are
    delivered at most, critical ones aside; what is held back is counted in the next. ``queue`` is how many may wait at
    each address. ``history`` is the file that keeps them all. Without addresses alerts are only logged and kept.

    Raises:
        ConfigError: an address that apprise does not know, or an unknown level or kind.
    """

    def __init__(
        self,
        urls: Sequence[Hidden | str] = (),
        level: str = "warning",
        dedupe_seconds: float = 60.0,
        queue: int = 1000,
        clock: Clock | None = None,
        *,
        per_minute: int | None = None,
        also: Collection[str] = (),
        mute: Collection[str] = (),
        history: Path | None = None,
        retry_after: Sequence[float] = RETRY_AFTER,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        from .couriers import Courier, targets
        from .history import History

        self._least = _rank(level)
        self._also, self._mute = _kinds(also), _kinds(mute)
        self._window = timedelta(seconds=dedupe_seconds)
        self._clock = clock or SystemClock()
        self._limit = queue
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._passed: deque[float] = deque()
        self._held: Counter[str] = Counter()
        self._windows: dict[str, _Window] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._numbers = (f"{me}-{count}" for me in [secrets.token_hex(4)] for count in itertools.count(1))
        self.counts: Counter[str] = Counter()
        """How many of each kind, delivered or not."""
        found = targets(urls)
        self.history = History(history) if history is not None else None
        self._couriers = [Courier(target, queue, tuple(retry_after), self.history) for target in found]

    @property
    def delivered(self) -> int:
        return sum(one.delivered for one in self._couriers)

    @property
    def failed(self) -> int:
        return sum(one.failed for one in self._couriers)

    @property
    def dropped(self) -> int:
        return sum(one.dropped for one in self._couriers)

    def send(self, level: str, title: str, body: str = "", key: str | None = None, kind: str = "other") -> bool:
        """Log an alert, keep it and queue it; True if it is on its way.

        ``key`` says which alerts are the same (by default the title). False: below the level, muted, held back as a
        repetition or by the rate limit, closed, or there is nobody to tell.
        """
        rank, now = _rank(level), self._clock.now()
        if kind not in KINDS:
            kind = "other"
        name = redact_text(key if key is not None else title)
        alert = Alert(level, redact_text(title), redact_text(body), name, kind, now)
        said = level if self._couriers else "info"  # who told of it has logged it
        getattr(_log, said)("alert", kind=kind, title=alert.title, body=alert.body, key=alert.key)
        with self._lock:
            self.counts[kind] += 1
            alert = replace(alert, number=next(self._numbers))
            wanted = kind not in self._mute and (rank >= self._least or kind in self._also)
            became = "logged"
            if wanted and self._couriers and not self._closed:
                alert, became = self._admit(alert, now)
            if self.history is not None:
                self.history.keep(alert, became)
            if became != "sent":
                return False
            for courier in self._couriers:
                courier.take(alert)
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Take no more, deliver what waits for at most ``timeout`` real seconds; True if nothing is left."""
        with self._lock:
            if not self._closed and self._held and self._couriers:
                more = self._more()
                last = Alert("info", f"{self._held.total()} alerts were held back", more, "held back")
                for courier in self._couriers:
                    courier.take(last)
            self._closed = True
        until = self._monotonic() + timeout
        for courier in self._couriers:
            courier.finish()
        left = sum(courier.end(max(0.0, until - self._monotonic())) for courier in self._couriers)
        if self.history is not None:
            self.history.close(2.0)
        if left:
            _log.warning("alerts not delivered", left=left)
        return not left

    def _admit(self, alert: Alert, now: datetime) -> tuple[Alert, str]:
        """As it is sent, and ``sent``; or why it is not."""
        window = self._windows.get(alert.key)
        if window is not None and now - window.since < self._window:
            window.held += 1
            return alert, "repeated"
        if not self._may_pass(alert):
            self._held[alert.kind] += 1
            return alert, "held back"
        self._windows[alert.key] = _Window(now)
        if len(self._windows) > self._limit:  # keys may hold order ids: forget those whose time is over
            self._windows = {name: one for name, one in self._windows.items() if now - one.since < self._window}
        alert = replace(alert, repeats=window.held if window is not None else 0, more=self._more())
        self._held.clear()
        return alert, "sent"

    def _may_pass(self, alert: Alert) -> bool:
        """Whether the minute has room for it; what is critical needs none."""
        if self._per_minute is None or alert.level == "critical":
            return True
        moment = self._monotonic()
        while self._passed and moment - self._passed[0] >= _MINUTE:
            self._passed.popleft()
        if len(self._passed) >= self._per_minute:
            return False
        self._passed.append(moment)
        return True

    def _more(self) -> str:
        if not self._held:
            return ""
        kinds = ", ".join(f"{kind} {count}" for kind, count in self._held.most_common())
        return f"{self._held.total()} more were held back by alerts.per_minute: {kinds}"


def _rank(level: str) -> int:
    if level not in LEVELS:
        raise ConfigError(f"alert level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    return LEVELS.index(level)


def _kinds(given: Collection[str]) -> frozenset[str]:
    for kind in given:
        if kind not in KINDS:
            raise ConfigError(f"alert kind {kind!r} is unknown; use some of {', '.join(KINDS)}")
    return frozenset(given)
