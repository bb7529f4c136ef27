"""The order worker: one thread that places, changes and cancels, one request after the other.

First come, first served, as long as nobody has to wait. Where Kite's rate limit makes requests wait,
cancels go before exits, exits before entries, and within one lane the first comes first. The wait
happens *before* a request is chosen, so that a cancel that comes while an entry waits still goes
first. Then, right before the first byte, ``before_send`` writes the durable *sending* record and looks
at the kill state. Nothing is ever sent twice from here.

In lock step it goes by turns: what one turn of Cerebro gives leaves together when the turn is over
(:meth:`Desk.send_off`), so that it never depends on how quick a thread was whether an order that is taken
back at once had left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from ..clock import Bell, Clock
from ..errors import BtkiteError, OrderRefused, OrderUncertain, SessionExpired
from ..values import Proposal
from .client import KiteClient
from .failures import NOT_SENT
from .inbox import DeskReply, Inbox
from .pace import Kind, Lane
from .secret import redact

log = logging.getLogger("btkite.kite.desk")


@dataclass(frozen=True, slots=True)
class Place:
    """Place an order."""

    ref: int
    proposal: Proposal

    @property
    def action(self) -> str:
        return "place"

    @property
    def order_id(self) -> str:
        return ""

    @property
    def lane(self) -> Lane:
        return Lane.EXIT if self.proposal.reduces else Lane.ENTRY


@dataclass(frozen=True, slots=True)
class Modify:
    """Change an open order; ``changes`` are the fields of :meth:`KiteClient.modify`. Without an ``order_id`` it
    follows a placement of the same ``ref`` that was queued before it."""

    ref: int
    order_id: str
    changes: Mapping[str, Any]
    variety: str = "regular"
    reduces: bool = True  # it is of an order that closes a position

    @property
    def action(self) -> str:
        return "modify"

    @property
    def lane(self) -> Lane:
        return Lane.EXIT if self.reduces else Lane.ENTRY


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an open order; see :class:`Modify` for an empty ``order_id``."""

    ref: int
    order_id: str
    variety: str = "regular"
    parent_order_id: str | None = None

    @property
    def action(self) -> str:
        return "cancel"

    @property
    def lane(self) -> Lane:
        return Lane.CANCEL


Request: TypeAlias = Place | Modify | Cancel


class Desk:
    """Sends requests to Kite and puts what became of each into the inbox as a ``DeskReply``.

    Params:
      - ``before_send``: called with the request right before its first byte, on the desk's thread;
        writes the *sending* record and checks the kill state. A text that it returns, or an error
        that it raises, keeps the request from being sent: the reply then carries ``OrderRefused``
        with ``error_type`` ``NotSent``.
      - ``by_turns``: lock step; nothing leaves before :meth:`send_off`.
    """

    def __init__(
        self,
        client: KiteClient,
        inbox: Inbox,
        clock: Clock,
        before_send: Callable[[Request], str | None],
        *,
        by_turns: bool = False,
    ) -> None:
        self._client = client
        self._inbox = inbox
        self._clock = clock
        self._before_send = before_send
        self._queue: list[Request] = []
        self._placed: dict[int, str] = {}  # ids of orders that were placed from here
        self._crowded = False  # the rate limit made somebody wait: from now on by lane
        self._lock = threading.Lock()
        self._bell = Bell()
        self._in_flight = False
        self._open = True
        self._by_turns = by_turns
        self._may_send = True
        self._leaving = False
        self._lost = False  # the session was over when there was something to send: :meth:`wake` says that it is back
        self._due: datetime | None = None
        self._thread = threading.Thread(target=self._work, name="kite-desk", daemon=True)
        self._thread.start()

    # -- any thread ----------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Queue a request. After :meth:`stop` it is refused, by a reply like any other."""
        with self._lock:
            accepted = self._open
            if accepted:
                if not (self._queue or self._in_flight):
                    self._crowded = self._client.refused  # what waits for a session goes by lane, too
                self._queue.append(request)
                self._due = None
                self._may_send = not self._by_turns
        if accepted:
            self._bell.ring()
        else:
            self._reply(request, error=_not_sent("the desk is closed"))

    def send_off(self) -> bool:
        """The turn is over: what was given in it may leave; True if there is something. Only in lock step does
        anything wait for it."""
        with self._lock:
            news, self._may_send = not self._may_send, True
        if news:
            self._bell.ring()
        return news

    def withdraw(self, ref: int) -> bool:
        """Take back a placement that still waits, and what was to follow it; True if it was there and will
        never be sent."""
        with self._lock:
            waits = any(isinstance(request, Place) and request.ref == ref for request in self._queue)
            if waits:
                self._queue = [request for request in self._queue if request.ref != ref]
        return waits

    def drop(self, ref: int) -> None:
        """Take back what waits to change or cancel a placement of ``ref`` that is over: its next one must not get it.
        There is no reply."""
        with self._lock:
            self._queue = [one for one in self._queue if isinstance(one, Place) or one.ref != ref]

    @property
    def busy(self) -> bool:
        """Whether there is something to do *now*: a request in flight, or one whose turn has come.

        A request that waits for the rate limit is no business before :attr:`due`: in lock step the
        exchange must move on to let it go.
        """
        with self._lock:
            if self._in_flight:
                return True
            if not self._queue or self._lost or self._client.refused:
                return False
            return self._due is None or self._clock.now() >= self._due

    @property
    def due(self) -> datetime | None:
        """When the request that waits for the rate limit may go; None if none waits."""
        with self._lock:
            return self._due if self._queue and not (self._lost or self._client.refused) else None

    def wake(self) -> None:
        """There is a session again, and what must not leave any more has been taken back: go on."""
        with self._lock:
            self._lost = False
        self._bell.ring()

    def waiting(self) -> list[Request]:
        """What was not sent yet."""
        with self._lock:
            return list(self._queue)

    def idle(self) -> bool:
        """Nothing queued and nothing in flight."""
        with self._lock:
            return not self._in_flight and not self._queue

    def stop(self, drain_seconds: float = 5.0, *, patience: float | None = None, entries: bool = True) -> bool:
        """Take no more requests, send what is queued for at most ``drain_seconds`` (real), and end.

        What was not sent by then is refused by a reply. True if all was sent. A request in flight is
        waited for: it ends with its own timeout, or is left behind after ``patience`` more seconds; the record
        says that it was being sent. ``entries`` False: orders that open a position are not sent any more.
        """
        unsent: list[Request] = []
        with self._lock:
            self._open, self._may_send = False, True
            if not entries:
                unsent = [request for request in self._queue if request.lane is Lane.ENTRY]
                self._queue = [request for request in self._queue if request.lane is not Lane.ENTRY]
        self._bell.ring()
        if self._thread is threading.current_thread():
            raise RuntimeError("the desk cannot stop itself")
        self._thread.join(drain_seconds)
        with self._lock:
            self._leaving = True
            left = sorted(self._queue, key=lambda request: request.lane)
            self._queue.clear()
        self._bell.ring()
        self._thread.join(patience)
        if self._thread.is_alive():
            log.warning("a request is left behind without its answer: the next start looks it up")
        for request in (*unsent, *left):
            self._reply(request, error=_not_sent("the desk closed before its turn came"))
        return not (unsent or left)

    # -- the desk's thread ---------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            request = self._next()
            if request is None:
                return
            try:
                order_id = self._send(request)
            except SessionExpired as error:
                if self._client.guarded:
                    self._put_back(request)
                else:
                    self._done(request, error=error)
            except BtkiteError as error:
                self._done(request, error=error)
            except Exception as error:
                # A fault of ours, perhaps after the first byte: to be looked up like a lost reply.
                log.exception("the desk failed on %s of order %s", request.action, request.ref)
                fault = OrderUncertain(f"{type(error).__name__}: {redact(error)}", error_type=type(error).__name__)
                self._done(request, error=fault)
            else:
                self._done(request, order_id)

    def _next(self) -> Request | None:
        """The next request, when its turn has come; None at the end."""
        pace = self._client.pace
        while True:
            with self._lock:
                self._lost = self._lost or (self._client.refused and bool(self._queue))
                request = self._first() if self._may_send and not self._lost else None
                if request is None and (self._leaving or not self._open):
                    return None
                if request is not None:
                    try:
                        until = pace.ready_at(Kind.ORDER, request.lane)
                    except BtkiteError:
                        until = self._clock.now()  # the day's budget is used up: taking the turn says so
                    if until <= self._clock.now():
                        self._due, self._in_flight = None, True
                        self._queue.remove(request)
                        return request
                    self._due, self._crowded = until, True
            if request is None:
                self._bell.wait(None)
            else:
                pace.wait(self._bell, until)

    def _put_back(self, request: Request) -> None:
        """Kite said no to the token, so there is no such order. It waits for the next session, and is sent by lane:
        cancels and exits go first."""
        with self._lock:
            self._queue.insert(0, request)
            self._crowded, self._in_flight = True, False
            self._lost = self._lost or self._client.refused  # before a new token, taken elsewhere, can hide it from us
        self._inbox.bell.ring()

    def _first(self) -> Request | None:
        """First come, first served, until the rate limit makes somebody wait: then by lane."""
        if not self._queue:
            self._crowded = False
            return None
        if not self._crowded:
            return self._queue[0]
        placing = {request.ref for request in self._queue if isinstance(request, Place)}
        # What follows a placement that waits itself can not overtake it.
        able = [request for request in self._queue if isinstance(request, Place) or request.ref not in placing]
        return min(able, key=lambda request: request.lane)

    def _send(self, request: Request) -> str:
        client = self._client
        if not (isinstance(request, Place) or request.order_id or request.ref in self._placed):
            raise _not_sent("it was to follow a placement that failed or was not answered")
        try:
            counted = client.pace.take(Kind.ORDER, request.lane)
        except BtkiteError as error:
            raise _not_sent(str(error)) from error
        try:
            reason = self._before_send(request)
        except Exception as error:
            log.exception("the record before sending failed for order %s", request.ref)
            raise _not_sent(f"the record before sending failed: {type(error).__name__}: {redact(error)}") from error
        if reason is not None:
            raise _not_sent(reason)
        try:
            return self._call(request)
        finally:
            client.pace.answered(Kind.ORDER, counted)

    def _call(self, request: Request) -> str:
        client = self._client
        if isinstance(request, Place):
            order_id = self._placed[request.ref] = client.place(request.proposal, paced=True)
            return order_id
        order_id = request.order_id or self._placed[request.ref]
        if isinstance(request, Modify):
            return client.modify(order_id, request.variety, paced=True, **request.changes)
        return client.cancel(order_id, request.variety, parent_order_id=request.parent_order_id, paced=True)

    def _done(self, request: Request, order_id: str = "", error: Exception | None = None) -> None:
        self._reply(request, order_id, error)
        with self._lock:
            self._in_flight = False
        # Who waits for the desk to be idle must look again.
        self._inbox.bell.ring()

    def _reply(self, request: Request, order_id: str = "", error: Exception | None = None) -> None:
        self._inbox.put(DeskReply(request.action, request.ref, order_id or request.order_id, error))


def _not_sent(reason: str) -> OrderRefused:
    return OrderRefused(reason, error_type=NOT_SENT)
