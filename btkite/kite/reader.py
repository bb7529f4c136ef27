"""Reads for Cerebro's thread, made by others: history, margins, the order book. It never waits for Kite."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import SessionExpired
from .inbox import Answer, Inbox
from .secret import redact

log = logging.getLogger("btkite.kite.reader")


class Reader:
    """A few threads that call functions and put each result into the inbox as an ``Answer``."""

    def __init__(self, inbox: Inbox, *, threads: int = 2) -> None:
        self._inbox = inbox
        self._asked: queue.SimpleQueue[tuple[str, Any, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = True
        self._pending = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"kite-reader-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, kind: str, subject: Any, fn: Callable[[], Any]) -> None:
        """Call ``fn()`` on a worker thread; its value or its error comes as ``Answer(kind, subject, …)``.

        Raises:
            RuntimeError: after :meth:`stop`.
        """
        with self._lock:
            if not self._open:
                raise RuntimeError(f"the reader is closed: {kind} of {subject} was not asked")
            self._pending += 1
        self._asked.put((kind, subject, fn))

    @property
    def busy(self) -> bool:
        """Whether an answer is still to come."""
        with self._lock:
            return self._pending > 0

    def stop(self, seconds: float = 1.0) -> None:
        """Take no more questions; wait at most ``seconds`` (real) for the workers. Idempotent."""
        with self._lock:
            if not self._open:
                return
            self._open = False
        for _ in self._threads:
            self._asked.put(None)
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            kind, subject, fn = asked
            try:
                answer = Answer(kind, subject, fn())
            except Exception as error:  # noqa: BLE001 - whatever it is, the asker must hear of it
                # While there is no session, each question fails, and that was said once.
                level = logging.DEBUG if isinstance(error, SessionExpired) else logging.WARNING
                log.log(level, "reading %s of %s failed: %s", kind, subject, redact(error))
                answer = Answer(kind, subject, error=error)
            self._inbox.put(answer)
            with self._lock:
                self._pending -= 1
            self._inbox.bell.ring()
