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
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from .errors import ConfigError

IST_OFFSET = timedelta(hours=5, minutes=30)
_EPOCH = datetime(1970, 1, 1)
_SHORTEST, _LONGEST = 0.005, 1.0  # seconds between two looks at a running exchange's clock
_FRESH = 0.25
"""Seconds of market time for which what a running exchange has said of its clock holds."""
_BUSY = 4
"""So many times as long it holds while there is work to do."""


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
    """Rung by any thread, heard by one. A ring that nobody waits for is kept; two of them are one.

    A bare lock, held while nothing has rung: who waits is woken by the operating system alone, and no lock of
    Python's stands between (an ``Event`` has two more, and is five times as slow).
    """

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # it has rung, and nobody has heard it yet
            self._silent.release()

    def wait(self, seconds: float | None) -> bool:
        """Wait real seconds; True if it rang (the ring is then used up)."""
        return self._silent.acquire(timeout=-1 if seconds is None else min(max(seconds, 0.0), threading.TIMEOUT_MAX))


class Clock(Protocol):
    """What btkite asks of time.

    ``complete`` is true if everything that the market sent up to :meth:`now` has been read (lock
    step): a bar may then close at its end, without grace. ``done`` is true when a replay has come
    to its end.
    """

    complete: bool

    @property
    def done(self) -> bool: ...

    def now(self) -> datetime:
        """Naive IST."""
        ...

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        """Until the bell rings or market time reaches ``until``; True if it rang."""
        ...

    def settle(self, bell: Bell) -> datetime:
        """Look at the time anew; in lock step, wait until everything that the market has sent has been read. The
        moment that the market has surely reached, and that lies not before the call."""
        ...

    def heard(self) -> datetime:
        """The moment up to which we have surely read what the market sent; :meth:`now` where nobody can tell."""
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

    def settle(self, bell: Bell) -> datetime:
        """The machine's clock is always new."""
        return self.now()

    def heard(self) -> datetime:
        return self.now()


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

    def settle(self, bell: Bell) -> datetime:
        """Nothing is under way."""
        return self._now

    def heard(self) -> datetime:
        return self._now


@dataclass(frozen=True, slots=True)
class _Told:
    """What the exchange said of its time, and when by our own monotonic clock. Replaced whole: several threads ask.
    ``now`` is what we go on from; while an answer is on its way we may be ahead of what was ``said``."""

    said: datetime
    now: datetime
    at: float
    speed: float
    done: bool
    sent: Mapping[str, int]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> _Told:
        now = to_ist(datetime.fromisoformat(answer["now"]))
        return cls(
            said=now,
            now=now,
            at=time.monotonic(),
            speed=float(answer.get("speed", 1.0)),
            done=bool(answer.get("done", False)),
            sent=answer.get("sent") or {},
        )

    def goes_on(self, at: float | None = None) -> datetime:
        """Market time at ``at``, if nothing has happened since."""
        return self.now + timedelta(seconds=((time.monotonic() if at is None else at) - self.at) * self.speed)


class ExchangeClock:
    """The simulated exchange's clock, at its speed or in lock step by pull.

    In lock step the exchange moves only when asked. We ask when there is nothing left to do here
    (``idle()``); its answer says how many frames each socket was sent in all, and we go on when
    ``frames_read()`` says that we have read as many. A running exchange is asked every now and then;
    between two answers time goes on at its speed. ``lockstep`` None: as the exchange is.
    ``root`` is the exchange's REST root.
    """

    def __init__(self, root: str, *, lockstep: bool | None = None, timeout: float = 30.0) -> None:
        parts = urlsplit(root)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self.complete = bool(lockstep)
        self.idle: Callable[[], bool] = lambda: True
        self.frames_read: Callable[[], Mapping[str, int]] = dict
        self._known: frozenset[str] = frozenset()  # sockets of ours that the exchange has spoken of
        try:
            self._told = _Told.of(self._ask({}))
        except OSError:
            raise ConfigError(f"nobody serves an exchange on {root}: start it with `btkite exchange`") from None
        except (KeyError, ValueError):
            raise ConfigError(f"{root} is no simulated exchange: it does not say what time it is") from None
        self._heard = self._told.now
        if lockstep is None:  # an exchange in lock step stands still
            self.complete = self._told.speed == 0

    @property
    def speed(self) -> float:
        """Market seconds a real second; 0 in lock step."""
        return self._told.speed

    @property
    def done(self) -> bool:
        """The market's data has ended, and we have read all of it."""
        return self._told.done and self._has_read(self._told.sent)

    def now(self) -> datetime:
        return self._told.now if self.complete else self._told.goes_on()

    def heard(self) -> datetime:
        if self.complete:
            return self._told.now
        told = self._told
        if told.said > self._heard and self._has_read(told.sent):
            self._heard = told.said
        return self._heard

    def wait(self, bell: Bell, until: datetime | None = None) -> bool:
        if self.complete:
            return self._pull(bell, until)
        # What has rung comes first: nothing that has come waits for an answer on the time of day.
        rang, age = bell.wait(0), time.monotonic() - self._told.at
        if age > (_BUSY if rang else 1) * self._fresh:
            self._look()
        if rang:
            return True
        seconds, speed = _LONGEST, self._told.speed
        if until is not None and speed:
            seconds = min(max((until - self.now()).total_seconds() / speed, _SHORTEST), _LONGEST)
        rang = bell.wait(seconds)
        if not rang:
            self._look()
        return rang

    @property
    def _fresh(self) -> float:
        """Real seconds for which the last answer is new enough: who is busy with ticks does not ask at each."""
        return min(max(_FRESH / self._told.speed, _SHORTEST), _LONGEST) if self._told.speed else _SHORTEST

    def _look(self) -> datetime:
        """What the exchange says. Where nobody answers, time goes on as it did: that the exchange is gone is the
        stream's to tell."""
        with suppress(OSError, http.client.HTTPException):
            answer = self._ask({})
            self._take(answer)
            return _Told.of(answer).said
        return self.now()

    def settle(self, bell: Bell) -> datetime:
        if not self.complete:
            return self._look()
        self._take(self._ask({}))
        self._await_frames(bell)
        return self._told.now

    def _pull(self, bell: Bell, until: datetime | None) -> bool:
        if bell.wait(0):
            return True
        if not self.idle():
            return bell.wait(self._timeout)
        ask: dict[str, Any] = {"next": "bar"}
        if until is not None:
            ask["until"] = until.isoformat(timespec="microseconds") + "+05:30"
        self._take(self._ask(ask))
        self._await_frames(bell)
        return True

    def _has_read(self, sent: Mapping[str, int]) -> bool:
        """Sockets that are not ours do not count. One of ours that the exchange knew and knows no more was
        cut, and we have not noticed yet."""
        read = self.frames_read()
        self._known = known = self._known.intersection(read)
        return all(socket in sent and read[socket] >= sent[socket] for socket in known)

    def _await_frames(self, bell: Bell) -> None:
        limit, sent = time.monotonic() + self._timeout, self._told.sent
        while not self._has_read(sent):
            if time.monotonic() > limit:
                read = dict(self.frames_read())
                raise TimeoutError(f"lock step: the exchange sent {dict(sent)} frames, {read} were read")
            bell.wait(0.05)

    def _take(self, answer: Mapping[str, Any]) -> None:
        """What was told replaces what we thought, but for the way of an answer: time does not go back for it."""
        told, before = _Told.of(answer), self._told
        if not self.complete and told.speed == before.speed:
            thought = before.goes_on(told.at)
            if timedelta() < thought - told.now < timedelta(seconds=told.speed * _LONGEST):
                told = replace(told, now=thought)
        self._known = self._known.union(told.sent.keys() & self.frames_read().keys())
        self._told = told

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
