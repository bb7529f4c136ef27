"""What happened, written down before it matters: append-only, durable, hash-chained; and the account's lock.

An order's *intent* and its *sending* are on the disk before its first byte is on the wire (SQLite, WAL,
``synchronous=FULL``; about 0.2 ms an append). Each event carries the hash of the one before, so that a
changed or removed line is found by :meth:`Journal.verify`; an update or a delete is refused by the database
itself. A second process may read while the first one writes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .clock import Clock
from .errors import AccountLocked, JournalBroken

GENESIS = "0" * 64
"""What stands for the hash before the first event."""

_SCHEMA = 1
_CREATE = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS events (
    seq  INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (kind, seq);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_last BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
PRAGMA user_version = 1;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal; ``time`` is naive IST, ``data`` what JSON made of it."""

    seq: int
    time: datetime
    kind: str
    data: dict[str, Any]
    hash: str


class Journal:
    """The journal in the file ``path``, which is made if it is not there. Any thread may use it.

    Raises :class:`JournalBroken` if the file cannot be opened or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock) -> None:
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        with self._guard("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Made by us, so that nobody else on the machine may read it; SQLite's side files follow suit.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            # autocommit: transactions begin and end where this file says so.
            self._db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA:
            raise JournalBroken(
                f"the journal {self.path} was written by a newer btkite (format {version}): upgrade btkite"
            )
        if version == 0:
            (foreign,) = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name <> 'events'").fetchone()
            (ours,) = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'").fetchone()
            if foreign and not ours:
                raise JournalBroken(f"{self.path} is a database of something else: name another file for the journal")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if version == 0:
            self._db.executescript(_CREATE)

    def append(self, kind: str, data: Mapping[str, Any]) -> int:
        """Write one event and return its number, once it is on the disk.

        ``data`` may hold what JSON knows, dates, enums and dataclasses; anything else raises
        :class:`TypeError`, a NaN :class:`ValueError`. Raises :class:`JournalBroken` if it cannot be written:
        what it announces must then not be done.
        """
        text = canonical(data)
        time = self._clock.now().isoformat(sep=" ", timespec="microseconds")
        with self._lock, self._guard("written"), self._transaction():
            last = self._db.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
            seq, prev = (last[0] + 1, last[1]) if last else (1, GENESIS)
            self._db.execute(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
                (seq, time, kind, text, prev, _hash(seq, time, kind, text, prev)),
            )
        return int(seq)

    def events(self, kind: str | None = None, since: int = 0) -> list[Event]:
        """The events after number ``since``, oldest first; of one kind, or all."""
        query = "SELECT seq, time, kind, data, hash FROM events WHERE seq > ?"
        values: tuple[Any, ...] = (since,)
        if kind is not None:
            query, values = query + " AND kind = ?", (since, kind)
        with self._lock, self._guard("read"):
            rows = self._db.execute(query + " ORDER BY seq", values).fetchall()
            return [
                Event(seq, datetime.fromisoformat(time), name, json.loads(data), digest)
                for seq, time, name, data, digest in rows
            ]

    def last(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        with self._lock, self._guard("read"):
            row = self._db.execute(
                "SELECT seq, time, kind, data, hash FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1", (kind,)
            ).fetchone()
            if row is None:
                return None
            return Event(row[0], datetime.fromisoformat(row[1]), row[2], json.loads(row[3]), row[4])

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event; ``(0, GENESIS)`` if there is none.

        Kept elsewhere (a log, an alert) it also proves that nothing was cut off at the end.
        """
        with self._lock, self._guard("read"):
            row = self._db.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))

    def verify(self, head: tuple[int, str] | None = None) -> int | None:
        """The number of the first event that is not as it was written, or is missing; None if all are.

        With a ``head`` noted earlier, also that the journal still contains it.
        """
        with self._lock, self._guard("read"):
            prev, expected = GENESIS, 1
            seen = head is None or head[0] == 0
            for seq, time, kind, data, before, digest in self._db.execute(
                "SELECT seq, time, kind, data, prev, hash FROM events ORDER BY seq"
            ):
                if seq != expected or before != prev or digest != _hash(seq, time, kind, data, prev):
                    return expected
                if head is not None and seq == head[0]:
                    if digest != head[1]:
                        return expected
                    seen = True
                prev, expected = digest, expected + 1
        return None if seen else expected

    def close(self) -> None:
        """Let go of the file. Closing twice is harmless."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _guard(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise JournalBroken(f"the journal {self.path} cannot be {deed}: {error}") from error


def canonical(data: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no blanks: equal data, equal text, equal hash."""
    return json.dumps(
        _plain(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=True
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the journal's keys are words, not {type(key).__name__} {key!r}")
        return {str(key): _plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"the journal cannot hold a {type(value).__name__}")


def _hash(seq: int, time: str, kind: str, data: str, prev: str) -> str:
    text = json.dumps([seq, time, kind, data, prev], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def account_folder(state: Path, endpoint: str, account: str, mode: str) -> Path:
    """Where the lock, the kill switch and the journal of one account lie, of each endpoint and mode apart."""
    return state / endpoint.replace(":", "-") / (account or "account") / mode


class AccountLock:
    """One live process per account and journal.

    The operating system holds the lock on the file ``path`` and lets go of it when the process dies, however
    it dies. Beside it lies a note on the owner, renewed by :meth:`beat`: for the message to a second start, and
    for file systems shared by machines that do not lock for each other. ``command`` is what was started,
    without secrets.
    """

    STALE = timedelta(seconds=90)
    """After this long without a beat, another machine's owner is taken for dead."""

    def __init__(self, path: str | os.PathLike[str], clock: Clock, *, command: str = "") -> None:
        self.path = Path(path)
        self._note = self.path.with_name(self.path.name + ".owner")
        self._clock = clock
        self._command = command or Path(sys.argv[0]).name
        self._since = ""
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the account, or raise :class:`AccountLocked`, saying who has it."""
        if self._file is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _try_lock(file):
            os.close(file)
            raise AccountLocked(self._sentence(self.owner()))
        owner = self.owner()
        if owner and owner.get("host") != socket.gethostname() and self._fresh(owner):
            os.close(file)
            raise AccountLocked(self._sentence(owner))
        self._file = file
        self._since = self._now()
        self.beat()

    def beat(self) -> None:
        """Say that the owner lives. Every half minute or so."""
        if self._file is None:
            raise AccountLocked(f"the account's lock {self.path} is not held by this process")
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": self._since,
            "beat": self._now(),
            "command": self._command,
        }
        fresh = self._note.with_name(f"{self._note.name}.{os.getpid()}")
        fresh.write_text(json.dumps(note), encoding="utf-8")
        fresh.replace(self._note)

    def owner(self) -> dict[str, Any]:
        """What the last owner wrote of itself; empty if there is nothing to read."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def release(self) -> None:
        """Give the account back. Releasing twice is harmless."""
        if self._file is None:
            return
        self._note.unlink(missing_ok=True)
        # The lock's own file stays: removing it would let two processes lock two files of one name.
        os.close(self._file)
        self._file = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _now(self) -> str:
        return self._clock.now().isoformat(sep=" ", timespec="seconds")

    def _fresh(self, owner: Mapping[str, Any]) -> bool:
        try:
            beat = datetime.fromisoformat(str(owner.get("beat")))
        except ValueError:
            return False
        return abs(self._clock.now() - beat) < self.STALE

    def _sentence(self, owner: Mapping[str, Any]) -> str:
        if not owner:
            return f"another process runs this account (lock {self.path}): end it first"
        return (
            f"another process runs this account: {owner.get('command')}, pid {owner.get('pid')} on "
            f"{owner.get('host')}, since {owner.get('since')} IST (lock {self.path}): end it first"
        )


if sys.platform == "win32":  # pragma: no cover - this half runs on Windows only
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
