"""While a run goes on: the account's lock and record, and the signals that end it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..clock import Bell, Clock, SystemClock
from ..errors import SessionExpired
from ..journal import AccountLock
from ..log import get_logger

if TYPE_CHECKING:
    from ..brokers.record import Record

log = get_logger(__name__)
_BEAT = timedelta(seconds=30)
_SIGNALLED = 128  # and the signal's number, as shells count


@contextmanager
def account_record(path: Path, clock: Clock) -> Iterator[Record]:
    """The account's journal. One whose last event lies in the future belongs to a market that has begun anew (a
    simulated exchange was started again): it is put aside, and the account begins anew too.

    :raises JournalBroken: if the file is damaged.
    """
    from ..brokers.record import Record
    from ..journal import Journal

    last = None
    if path.exists():
        with Journal(path, clock, read_only=True) as journal:
            last = next(iter(journal.newest(1)), None)
    if last is not None and last.time > clock.now():
        aside = path.with_name(f"{path.stem}-{last.time:%Y%m%d-%H%M%S}{path.suffix}")
        for suffix in ("", "-wal", "-shm"):
            side = Path(f"{path}{suffix}")
            if side.exists():
                side.replace(f"{aside}{suffix}")
        log.warning("the market began anew, and so does the account", journal=str(aside))
    with Journal(path, clock) as journal:
        yield Record(journal)


@contextmanager
def held(lock: AccountLock) -> Iterator[AccountLock]:
    """The account's lock, with a sign of life every half minute."""
    clock, bell = SystemClock(), Bell()

    def beat() -> None:
        while not clock.wait(bell, clock.now() + _BEAT):
            try:
                lock.beat()
            except OSError as error:
                log.warning("the lock's note cannot be renewed", error=repr(error))

    with lock:
        thread = threading.Thread(target=beat, name="btkite-lock", daemon=True)
        thread.start()
        try:
            yield lock
        finally:
            bell.ring()
            thread.join()


@dataclass(slots=True)
class Stopped:
    """Why a run ended early, and the exit code for that."""

    why: str = ""
    code: int = 0


@contextmanager
def stoppable(cerebro: Any, *, on: bool) -> Iterator[Stopped]:
    """The first Ctrl-C (or SIGTERM) ends the run cleanly, a second one at once; so does a dead session."""
    stopped = Stopped()
    if not on:
        yield stopped
        return

    def heard(message: Any, *args: Any, **kwargs: Any) -> None:
        if message == "session over" and not stopped.code:
            stopped.why, stopped.code = str(args[0]), SessionExpired.exit_code
            cerebro.runstop()

    cerebro.addstorecb(heard)
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.code:
            raise KeyboardInterrupt
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        stopped.why, stopped.code = name, _SIGNALLED + number
        cerebro.runstop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
