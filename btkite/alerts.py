"""Messages to a person: a level, a title, a body; delivered by apprise from a thread of its own.

Sending never waits: what is to be said goes into a bounded queue, the oldest is dropped (and counted)
if it is full. Delivery blocks for as long as a mail server likes, so it happens behind the queue, is
tried again after a pause, and its failure is a line in the log, never an error in the strategy. Every
alert is also logged, whatever its level; secrets are masked in both.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from .clock import Clock, SystemClock
from .errors import ConfigError
from .log import get_logger, redact_text, register_secret

LEVELS: Final = ("info", "warning", "error", "critical")
RETRY_AFTER: Final = (1.0, 5.0)  # seconds; real time, a mail server knows no market time
_TYPES: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
_TOKEN_LENGTH: Final = 12

_log = get_logger(__name__)


class Hidden(Protocol):
    """What holds an address without showing it, such as pydantic's SecretStr."""

    def get_secret_value(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``repeats`` is how often it came again, unsent, in the window before it."""

    level: str
    title: str
    body: str
    key: str
    repeats: int = 0

    @property
    def text(self) -> str:
        """The body as it is delivered."""
        if not self.repeats:
            return self.body
        return f"{self.body}\n({self.repeats} more of these since the last one)".lstrip()


@dataclass(slots=True)
class _Window:
    """When a key was last let through, and how often it was held back since."""

    since: datetime
    held: int = 0


class Alerts:
    """Takes alerts from any thread and delivers them one after the other.

    ``urls`` are addresses in apprise's notation, each delivered on its own. ``level`` is the least level
    delivered. ``dedupe_seconds`` (market time, by ``clock``) is how long an alert of the same key is held
    back. ``queue`` is how many may wait. Without addresses alerts are only logged.

    Raises:
        ConfigError: an address that apprise does not know, or an unknown level.
    """

    def __init__(
        self,
        urls: Sequence[Hidden | str] = (),
        level: str = "warning",
        dedupe_seconds: float = 60.0,
        queue: int = 1000,
        clock: Clock | None = None,
        *,
        retry_after: Sequence[float] = RETRY_AFTER,
    ) -> None:
        self._least = _rank(level)
        self._window = timedelta(seconds=dedupe_seconds)
        self._clock = clock or SystemClock()
        self._retry_after = tuple(retry_after)
        self._limit = queue
        self._waiting: deque[Alert] = deque()
        self._windows: dict[str, _Window] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._closing = False
        self.dropped = 0
        self.delivered = 0
        self.failed = 0
        self._targets = [_target(url, number) for number, url in enumerate(urls)]
        self._worker: threading.Thread | None = None
        if self._targets:
            self._worker = threading.Thread(target=self._work, name="btkite-alerts", daemon=True)
            self._worker.start()

    def send(self, level: str, title: str, body: str = "", key: str | None = None) -> bool:
        """Log an alert and queue it; True if it is on its way.

        ``key`` says which alerts are the same (by default the title). False: below the level, held back
        as a repetition, closed, or there is nobody to tell.
        """
        rank = _rank(level)
        alert = Alert(level, redact_text(title), redact_text(body), key if key is not None else title)
        getattr(_log, level)("alert", title=alert.title, body=alert.body, key=alert.key)
        if rank < self._least or self._worker is None:
            return False
        with self._changed:
            if self._closing:
                return False
            repeats = self._admit(alert.key)
            if repeats is None:
                return False
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(replace(alert, repeats=repeats))
            self._changed.notify()
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Take no more, deliver what waits for at most ``timeout`` real seconds; True if nothing is left."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._worker is None:
            return True
        self._worker.join(timeout)
        self._stop.set()
        with self._changed:
            left = len(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        done = not left and not self._worker.is_alive()
        if not done:
            _log.warning("alerts not delivered", left=left)
        return done

    def _admit(self, key: str) -> int | None:
        """How many of this key were held back before this one, or None if this one is held back too."""
        now = self._clock.now()
        window = self._windows.get(key)
        if window is not None and now - window.since < self._window:
            window.held += 1
            return None
        self._windows[key] = _Window(now)
        if len(self._windows) > self._limit:  # keys may hold order ids: forget those whose time is over
            self._windows = {name: one for name, one in self._windows.items() if now - one.since < self._window}
        return window.held if window is not None else 0

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                alert = self._waiting.popleft()
            for target in self._targets:
                if self._deliver(target, alert):
                    self.delivered += 1
                else:
                    self.failed += 1

    def _deliver(self, target: Any, alert: Alert) -> bool:
        for pause in (*self._retry_after, None):
            if _notify(target, alert):
                return True
            if pause is None or self._stop.wait(pause):
                break
        _log.warning("alert not delivered", to=target.scheme, title=alert.title)
        return False


@dataclass(frozen=True, slots=True)
class _Target:
    scheme: str
    apprise: Any


def _rank(level: str) -> int:
    if level not in LEVELS:
        raise ConfigError(f"alert level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    return LEVELS.index(level)


def _target(url: Hidden | str, number: int) -> _Target:
    import apprise

    text = url if isinstance(url, str) else url.get_secret_value()
    for secret in _secrets_in(text):
        register_secret(secret)
    one = apprise.Apprise()
    if not one.add(text):
        raise ConfigError(
            f"alerts.urls[{number}] is not an address that apprise knows; see https://github.com/caronc/apprise/wiki"
        )
    return _Target(text.partition(":")[0], one)


def _notify(target: _Target, alert: Alert) -> bool:
    try:
        return bool(
            target.apprise.notify(body=alert.text or alert.title, title=alert.title, notify_type=_TYPES[alert.level])
        )
    except Exception as error:  # noqa: BLE001  # a plugin's bug must not end the worker: the next alert may matter more
        _log.warning("alert plugin failed", to=target.scheme, error=f"{type(error).__name__}: {error}")
        return False


def _secrets_in(url: str) -> Iterable[str]:
    """The whole address, its password, and what in it looks like a token (a bot's token is a host to apprise)."""
    yield url
    parts = urlsplit(url)
    if parts.password:
        yield unquote(parts.password)
    words = [parts.username or "", parts.netloc.rpartition("@")[2], *parts.path.split("/")]
    words += [pair.partition("=")[2] for pair in parts.query.split("&")]
    for word in words:
        if len(word) >= _TOKEN_LENGTH and any(c.isdigit() for c in word) and any(c.isalpha() for c in word):
            yield unquote(word)
