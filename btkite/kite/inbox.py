"""The one queue between Kite's threads and Cerebro's, and its bell.

Any thread appends immutable events; only Cerebro's thread takes them. An event is any of the types
of this file, or an :class:`~btkite.values.OrderUpdate`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..clock import Bell
from ..values import Tick


@dataclass(frozen=True, slots=True)
class Ticks:
    """One frame of the stream, decoded: a few ticks as a list, many as :class:`~btkite.kite.columns.TickColumns`."""

    ticks: Sequence[Tick]


class Link(StrEnum):
    """State of the stream."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    BROKEN = "broken"  # will be tried again
    REFUSED = "refused"  # 403: not tried again until there is a new token
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkChange:
    """The stream's state changed; ``reason`` never holds a secret."""

    link: Link
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Kite has refused the access token, to a call or to the stream; ``reason`` never holds a secret."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeskReply:
    """What became of one request of the desk. ``error`` is None if Kite said yes."""

    action: str  # place modify cancel
    ref: int
    order_id: str = ""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a read that a worker thread made for Cerebro's thread (history, margins …)."""

    kind: str
    subject: Any
    value: Any = None
    error: Exception | None = None


class Inbox:
    """Appended to by all, emptied by one."""

    def __init__(self) -> None:
        self._events: deque[Any] = deque()
        self.bell = Bell()

    def put(self, event: Any) -> None:
        self.add(event)
        self.bell.ring()

    def add(self, event: Any) -> None:
        """Without the bell, which the caller rings when all is said."""
        self._events.append(event)

    def take(self) -> list[Any]:
        """All events so far, oldest first."""
        events = []
        while True:
            try:
                events.append(self._events.popleft())
            except IndexError:
                return events

    def __len__(self) -> int:
        return len(self._events)
