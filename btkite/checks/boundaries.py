"""The places at which a process can die: around each journal write and each request, and where time moves.

Only :mod:`btkite.checks.child`, in a process of its own, puts these seams in; nothing else of btkite knows them.
"""

from __future__ import annotations

import os
import re
import select
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import ConfigError

_ANSWER_SECONDS = 10.0  # for an answer that is on its way to arrive
_IDS = re.compile(r"\d{5,}")

_KIND = 1  # its place in one of the journal's lines, of which several may be written at once

_EXAMPLE = "journal intent: durable #3"

BETWEEN_BARS = "market: about to move"
"""All that the bar before has brought is done: nothing is queued, nothing in flight."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """The ``nth`` time (the first is 1) that one life of the process comes to ``site``."""

    site: str
    nth: int

    def __str__(self) -> str:
        return f"{self.site} #{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """``journal intent: not written yet #3``.

        :raises ConfigError: for what is none.
        """
        site, _, nth = text.rpartition(" #")
        if not site or not nth.isdecimal():
            raise ConfigError(f"{text!r} is no boundary: write one as `btkite check crash` prints it, {_EXAMPLE!r}")
        return cls(site, int(nth))


class Crossings:
    """Counts how often this process has come to each site, notes it in ``trace``, and dies by SIGKILL at ``fatal``."""

    def __init__(self, trace: Path | None, fatal: Boundary | None) -> None:
        self._fatal = fatal
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._file = None if trace is None else os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def reach(self, site: str, at: object = "") -> None:
        """The process is at ``site``; it may not come back from there. ``at``: the market's time, if it is known."""
        with self._lock:
            nth = self._counts[site] = self._counts.get(site, 0) + 1
            here = Boundary(site, nth)
            if self._file is not None:
                os.write(self._file, f"{here}\t{at}\n".encode())
            if here == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()  # a signal to oneself takes effect when the kernel gets round to it


def install(crossings: Crossings) -> None:
    """Put the seams into this process. To be called once, in a process that lives for one run."""
    _around_the_journal(crossings)
    _around_requests(crossings)
    _around_news(crossings)
    _around_time(crossings)


def _around_the_journal(crossings: Crossings) -> None:
    from ..journal import Journal

    insert, write = Journal._insert, Journal._write

    def _insert(self: Journal, lines: list[Any]) -> Any:
        crossings.reach(f"journal {lines[-1][_KIND]}: not written yet")
        written = insert(self, lines)
        crossings.reach(f"journal {lines[-1][_KIND]}: written, not durable")
        return written

    def _write(self: Journal, lines: list[Any]) -> int:
        number = write(self, lines)
        crossings.reach(f"journal {lines[-1][_KIND]}: durable")
        return number

    _replace(Journal, "_insert", _insert)
    _replace(Journal, "_write", _write)


def _around_requests(crossings: Crossings) -> None:
    from urllib3.connection import HTTPConnection

    from ..kite.client import KiteClient

    last = threading.local()
    send, receive, handle = HTTPConnection.request, HTTPConnection.getresponse, KiteClient._request

    def request(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        last.name = f"{method} {_IDS.sub('ID', url.partition('?')[0])}"
        crossings.reach(f"{last.name}: not sent yet")
        return send(self, method, url, *args, **kwargs)

    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        crossings.reach(f"{last.name}: sent")
        select.select([self.sock], [], [], _ANSWER_SECONDS)
        crossings.reach(f"{last.name}: answered, not read")
        return receive(self, *args, **kwargs)

    def _request(self: KiteClient, *args: Any, **kwargs: Any) -> Any:
        try:
            return handle(self, *args, **kwargs)
        finally:
            if name := getattr(last, "name", ""):
                last.name = ""
                crossings.reach(f"{name}: read, not handled")

    _replace(HTTPConnection, "request", request)
    _replace(HTTPConnection, "getresponse", getresponse)
    _replace(KiteClient, "_request", _request)


def _around_news(crossings: Crossings) -> None:
    from ..kite.inbox import Inbox
    from ..values import OrderUpdate

    put = Inbox.put

    def heard(self: Inbox, event: Any) -> None:
        if isinstance(event, OrderUpdate):
            crossings.reach(f"order update {event.status}: heard, not handled")
        put(self, event)

    _replace(Inbox, "put", heard)


def _around_time(crossings: Crossings) -> None:
    from ..clock import ExchangeClock

    ask = ExchangeClock._ask

    def asked(self: ExchangeClock, body: dict[str, Any]) -> dict[str, Any]:
        if "next" not in body:
            return ask(self, body)
        crossings.reach(BETWEEN_BARS, self.now())
        answer = ask(self, body)
        crossings.reach("market: moved, not heard yet")
        return answer

    _replace(ExchangeClock, "_ask", asked)


def _replace(owner: type, name: str, function: Callable[..., Any]) -> None:
    setattr(owner, name, function)
