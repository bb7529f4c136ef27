"""Market time. The only file of btkite (beside the exchange's own) that asks what time it is.

Times are naive datetimes in IST wall time. Every wait but a socket's timeout goes through a clock,
so that a day at 60x behaves as a day, and a test needs no sleep.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

IST_OFFSET = timedelta(hours=5, minutes=30)
_EPOCH = datetime(1970, 1, 1)


def from_epoch(seconds: float) -> datetime:
    """Epoch seconds as naive IST, whatever the host's zone."""
    return _EPOCH + timedelta(seconds=seconds) + IST_OFFSET


def to_epoch(ist: datetime) -> float:
    """Naive IST as epoch seconds."""
    return (ist - IST_OFFSET - _EPOCH).total_seconds()


def to_ist(moment: datetime) -> datetime:
    """Any datetime as naive IST: an aware one is converted, a naive one is taken as IST."""
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(UTC).replace(tzinfo=None) + IST_OFFSET


class Bell:
    """Rung by any thread, heard by one. A ring that nobody waits for is kept."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        self._event.set()

    def wait(self, seconds: float | None) -> bool:
        """Wait real seconds; True if it rang (the ring is then used up)."""
        rang = self._event.wait(seconds)
        if rang:
            self._event.clear()
        return rang


class Clock(Protocol):
    """What btkite asks of time.

    ``complete`` is true if everything that the market sent up to :meth:`now` has been read (lock
    step): a bar may then close at its end, without grace. ``done`` is true when a replay has come
    to its end.
    """

    complete: bool
    done: bool

    def now(self) -> datetime:
        """Naive IST."""
        ...

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        """Until the bell rings or market time reaches ``until``; True if it rang."""
        ...

    def settle(self, bell: Bell) -> None:
        """In lock step: until everything that the market has sent so far has been read. Else nothing."""
        ...


class SystemClock:
    """The machine's clock."""

    complete = False
    done = False

    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + IST_OFFSET

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        seconds = None if until is None else max(0.0, (until - self.now()).total_seconds())
        return bell.wait(seconds)

    def settle(self, bell: Bell) -> None:
        """The world cannot be asked to stand still."""


class ManualClock:
    """Moves when told; a wait jumps to its end. For tests."""

    complete = True
    done = False

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        if bell.wait(0):
            return True
        if until is not None:
            self._now = max(self._now, until)
        return False

    def settle(self, bell: Bell) -> None:
        """Nothing is under way."""


class ExchangeClock:
    """The simulated exchange's clock, at its speed or in lock step by pull.

    In lock step the exchange moves only when asked. We ask when there is nothing left to do here
    (``idle()``); its answer says how many frames each socket was sent in all, and we go on when
    ``frames_read()`` says that we have read as many. ``root`` is the exchange's REST root.
    """

    def __init__(self, root: str, *, lockstep: bool | None = None, timeout: float = 30.0) -> None:
        parts = urlsplit(root)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self.complete = bool(lockstep)
        self.done = False
        self.idle: Callable[[], bool] = lambda: True
        self.frames_read: Callable[[], Mapping[str, int]] = dict
        self._read_at = time.monotonic()
        self._take(self._ask({}))
        if lockstep is None:  # an exchange in lock step stands still
            self.complete = self._speed == 0

    def now(self) -> datetime:
        if self.complete or self._speed == 0:
            return self._now
        return self._now + timedelta(seconds=(time.monotonic() - self._read_at) * self._speed)

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        if self.complete:
            return self._pull(bell, until)
        seconds = None
        if until is not None and self._speed:
            seconds = max(0.0, (until - self.now()).total_seconds() / self._speed)
        rang = bell.wait(1.0 if seconds is None else min(seconds, 1.0))
        self._take(self._ask({}))
        return rang

    def settle(self, bell: Bell) -> None:
        if self.complete:
            answer = self._ask({})
            self._take(answer)
            self._await_frames(answer.get("sent", {}), bell)

    def _pull(self, bell: Bell, until: datetime | None) -> bool:
        if bell.wait(0):
            return True
        if not self.idle():
            return bell.wait(self._timeout)
        ask: dict[str, Any] = {"next": "bar"}
        if until is not None:
            ask["until"] = until.isoformat(timespec="microseconds") + "+05:30"
        answer = self._ask(ask)
        self._take(answer)
        self._await_frames(answer.get("sent", {}), bell)
        return True

    def _await_frames(self, sent: Mapping[str, int], bell: Bell) -> None:
        limit = time.monotonic() + self._timeout
        while True:
            read = self.frames_read()
            if all(read.get(socket, count) >= count for socket, count in sent.items() if socket in read):
                return
            if time.monotonic() > limit:
                raise TimeoutError(f"lock step: the exchange sent {dict(sent)} frames, {dict(read)} were read")
            bell.wait(0.05)

    def _take(self, answer: Mapping[str, Any]) -> None:
        self._now = to_ist(datetime.fromisoformat(answer["now"]))
        self._read_at = time.monotonic()
        self._speed = float(answer.get("speed", 1.0))
        self.done = bool(answer.get("done", False))

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            for attempt in (1, 2):
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
                try:
                    self._connection.request(
                        "POST", "/_exchange/clock", json.dumps(body), {"Content-Type": "application/json"}
                    )
                    reply = self._connection.getresponse()
                    answer = json.loads(reply.read())
                    break
                except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                    # An idle keep-alive connection was closed; the request was never taken up.
                    self._connection.close()
                    self._connection = None
                    if attempt == 2:
                        raise
        if reply.status != 200:
            raise RuntimeError(f"the exchange's clock refused {body}: {answer}")
        return dict(answer["data"]) if "data" in answer else dict(answer)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
