"""Couriers: one address each, with a thread and a queue of its own, so that one that hangs holds up no other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from ..errors import ConfigError
from ..log import get_logger, register_secret

if TYPE_CHECKING:
    from . import Alert, Hidden
    from .history import History

_TYPES: Final = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
_TOKEN_LENGTH: Final = 12
_LAST_WORD: Final = 0.2
"""Real seconds for a courier that was between two tries to say that it has given up."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """An address as apprise knows it, and the only part of it that may be shown."""

    scheme: str
    apprise: Any


class Courier:
    """Delivers to one address, one alert after the other, each again after the pauses ``retry_after`` (real
    seconds)."""

    def __init__(self, target: Target, limit: int, retry_after: Sequence[float], history: History | None) -> None:
        self._target = target
        self._limit = limit
        self._retry_after = tuple(retry_after)
        self._history = history
        self._waiting: deque[Alert] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._closing = False
        self.dropped = self.delivered = self.failed = 0
        self._worker = threading.Thread(target=self._work, name=f"btkite-alerts-{target.scheme}", daemon=True)
        self._worker.start()

    def take(self, alert: Alert) -> None:
        """Into the queue; the oldest leaves it if it is full."""
        with self._changed:
            if len(self._waiting) >= self._limit:
                self._became(self._waiting.popleft(), "dropped")
                self.dropped += 1
            self._waiting.append(alert)
            self._changed.notify()

    def finish(self) -> None:
        """There will be no more."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def end(self, timeout: float) -> int:
        """Wait for what is under way, at most so many seconds; how many are left undelivered."""
        self._worker.join(timeout)
        self._stop.set()
        with self._changed:
            left = list(self._waiting)
            self._waiting.clear()
            self._changed.notify()
        for alert in left:
            self._became(alert, "dropped")
        alive = self._worker.is_alive()
        if alive:
            self._worker.join(_LAST_WORD)
        return len(left) + alive

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                alert = self._waiting.popleft()
            done = self._deliver(alert)
            self.delivered += done
            self.failed += not done
            self._became(alert, "delivered" if done else "failed")

    def _became(self, alert: Alert, what: str) -> None:
        if self._history is not None:
            self._history.became(alert, what, self._target.scheme)

    def _deliver(self, alert: Alert) -> bool:
        for pause in (*self._retry_after, None):
            if notify(self._target, alert):
                return True
            if pause is None or self._stop.wait(pause):
                break
        _log.warning("alert not delivered", to=self._target.scheme, title=alert.title)
        return False


def notify(target: Target, alert: Alert) -> bool:
    """Deliver once; waits as long as apprise does."""
    try:
        return bool(
            target.apprise.notify(body=alert.text or alert.title, title=alert.title, notify_type=_TYPES[alert.level])
        )
    except Exception as error:  # noqa: BLE001  # a plugin's bug must not end the worker: the next alert may matter more
        _log.warning("alert plugin failed", to=target.scheme, error=f"{type(error).__name__}: {error}")
        return False


def targets(urls: Sequence[Hidden | str]) -> list[Target]:
    """Each address known to apprise, its secrets known to the log.

    Raises:
        ConfigError: one that apprise does not know.
    """
    return [_target(url, number) for number, url in enumerate(urls)]


def _target(url: Hidden | str, number: int) -> Target:
    import apprise

    text = url if isinstance(url, str) else url.get_secret_value()
    for secret in _secrets_in(text):
        register_secret(secret)
    one = apprise.Apprise()
    if not one.add(text):
        raise ConfigError(
            f"alerts.urls[{number}] is not an address that apprise knows; see https://github.com/caronc/apprise/wiki"
        )
    return Target(text.partition(":")[0], one)


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
