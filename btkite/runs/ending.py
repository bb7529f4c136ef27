"""How a run ends before its time: Ctrl-C, SIGTERM, a session that nobody renewed.

Ctrl-C ends it cleanly, with its tables. SIGTERM is an operator, or a machine that goes down, and will not wait:
entries stop at once, what rests at Kite stays there, and the process is gone within five seconds with exit code 0,
whatever hangs. It may be: each step of an order is in the journal before it is done.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..errors import SessionExpired
from ..log import get_logger

log = get_logger(__name__)
LEAVE_AFTER = 4.0
"""Real seconds after SIGTERM at which the process leaves, however far it has come."""
_SIGNALLED = 128  # and the signal's number, as shells count


class Ending:
    """Why a run ended early, and the exit code for that. ``asked``: it ends by SIGTERM, and 0 is the code."""

    def __init__(self) -> None:
        self.why = ""
        self.code = 0
        self.asked = False
        self.cerebro: Any = None
        self.store: Any = None
        self.last_words: Callable[[str], None] = lambda why: None
        """What is to be written down before the process leaves; any thread."""
        self._leaving: threading.Timer | None = None

    def heard(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """A notification of the store."""
        if message == "session over" and not self.why:
            self.why, self.code = str(args[0]), SessionExpired.exit_code
            self._stop()

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """SIGINT: once cleanly, twice at once."""
        if self.why:
            raise KeyboardInterrupt
        self.why, self.code = "Ctrl-C", _SIGNALLED + number
        self._stop()

    def terminate(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: cleanly if that is quick, at once the second time."""
        if self.asked:
            self._leave()
        self.asked = True
        self.why, self.code = signal.Signals(number).name, 0
        self._leaving = threading.Timer(LEAVE_AFTER, self._leave)
        self._leaving.daemon = True
        self._leaving.start()
        if self.store is not None:
            self.store.hurry(self.why)
        if not getattr(self.cerebro, "runningstrats", None):
            raise SystemExit(0)  # nothing runs yet
        self._stop()

    def _stop(self) -> None:
        if self.cerebro is not None:
            self.cerebro.runstop()
        if self.store is not None:
            self.store.inbox.bell.ring()

    def _leave(self) -> None:
        log.warning("the process leaves before all is done", why=self.why)
        try:
            self.last_words(self.why)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(0)

    def close(self, *, leaves: bool) -> None:
        """The run is over. ``leaves``: so is the process, within the time that SIGTERM gave it."""
        self.last_words = lambda why: None
        if self._leaving is not None and not leaves:
            self._leaving.cancel()


@contextmanager
def stoppable(*, on: bool) -> Iterator[Ending]:
    """Signals are the run's for this time, if it is one on a market that goes on without it."""
    ending = Ending()
    if not on or threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield ending
        return
    handlers = {signal.SIGINT: ending.interrupt, signal.SIGTERM: ending.terminate}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield ending
    finally:
        # Who has no answer of its own to SIGTERM would be gone: tables and the interpreter's end have what time is
        # left.
        ending.close(leaves=before[signal.SIGTERM] is signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, handler)
