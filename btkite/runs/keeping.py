"""While a run goes on: the account's lock and record."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Bell, Clock, SystemClock
from ..journal import AccountLock
from ..log import get_logger

if TYPE_CHECKING:
    from ..brokers.record import Record

log = get_logger(__name__)
_BEAT = timedelta(seconds=30)


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
