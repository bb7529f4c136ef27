"""The journal: events, each with the hash of the one before it.

An order's *intent* and its *sending* are on the disk before its first byte is on the wire (SQLite, WAL,
``synchronous=FULL``; about 0.2 ms an append). Each event carries the hash of the one before, so that a
changed or removed line is found by :meth:`Journal.verify`; an update or a delete is refused by the database
itself. A second process may read while the first one writes.

The *book*, what the account is after an event, lies in a column of its own, as what has changed in it
(:mod:`~btkite.journal.books`): who looks for what happened does not read it, and the newest is found without
reading anything else.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from ..clock import Clock
from ..errors import JournalBroken
from . import schema
from .books import WHOLE_EVERY, change_of, changed, is_whole
from .schema import GENESIS, OWN_COLUMN, SCHEMA, digest

_Line = tuple[str, str, str, Mapping[str, Any] | None]
"""Time, kind, data, book."""
_BACK = "SELECT book FROM events WHERE book > '' AND seq <= ? AND seq > ? ORDER BY seq DESC"
_INSERT = "INSERT INTO events (seq, time, kind, data, prev, hash, book) VALUES (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal; ``time`` is naive IST, ``data`` what JSON made of it, with its ``book`` if that was
    asked for."""

    seq: int
    time: datetime
    kind: str
    data: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class _Written:
    """What this process wrote last: the event's number, its book, and how many changes stand since a whole one."""

    seq: int
    book: Mapping[str, Any] | None = None
    changes: int = 0


class Journal:
    """The journal in the file ``path``, which is made if it is not there. Any thread may use it.

    A file of an older format becomes one of this format; its lines stay as they are. With ``read_only``, nothing is
    made, changed, locked or migrated: for those who look at a journal that another process writes.

    Raises :class:`JournalBroken` if the file cannot be opened or is no journal.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[_Line] = []
        self._written = _Written(-1)
        with self._guard("read" if read_only else "opened"):
            self._db = self._look() if read_only else self._open()
            try:
                self._version = schema.version_of(self._db, self.path)
                if not read_only:
                    self._prepare()
                elif not self._version:  # its writer died before the first word
                    self._db.close()
                    self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                    schema.create(self._db)
                    self._version = SCHEMA
            except BaseException:
                self._db.close()
                raise

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Made by us, so that nobody else on the machine may read it; SQLite's side files follow suit.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        # autocommit: transactions begin and end where this file says so.
        return sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)

    def _look(self) -> sqlite3.Connection:
        # Without a write-ahead log beside it nobody writes, and SQLite need not make its side files to read.
        still = "" if Path(f"{self.path}-wal").exists() else "&immutable=1"
        place = f"file:{quote(str(self.path.absolute()))}?mode=ro{still}"
        return sqlite3.connect(place, uri=True, timeout=10.0, isolation_level=None, check_same_thread=False)

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        before = self._version
        if before == SCHEMA:
            return
        with self._transaction():
            self._version = schema.version_of(self._db, self.path)  # another process may have been quicker
            if not self._version:
                schema.create(self._db)
            elif self._version < SCHEMA:
                schema.migrate(self._db, self._version)
            first, self._version = self._version, SCHEMA
            if 0 < first < SCHEMA:
                said = canonical({"from": first, "to": SCHEMA})
                book = self._last_of_format_1() if first < OWN_COLUMN else None
                self._insert([(self._moment(), "migrated", said, book)])

    def _last_of_format_1(self) -> dict[str, Any] | None:
        rows = self._db.execute("SELECT data FROM events WHERE book IS NULL ORDER BY seq DESC")
        return next((found["book"] for found in (json.loads(data) for (data,) in rows) if "book" in found), None)

    # -- writing --------------------------------------------------------------------------------------

    def append(self, kind: str, data: Mapping[str, Any]) -> int:
        """Write one event and return its number, once it is on the disk.

        ``data`` may hold what JSON knows, dates, enums and dataclasses; anything else raises
        :class:`TypeError`, a NaN :class:`ValueError`. What it has under ``book`` goes to the column of that name, and
        must not be changed afterwards.
        Raises :class:`JournalBroken` if it cannot be written: what it announces must then not be done.
        """
        line = self._line(kind, data)
        with self._lock, self._guard("written"):
            return self._write([*self._waiting, line])

    def later(self, kind: str, data: Mapping[str, Any]) -> None:
        """An event that nothing depends on: it is written with the next one, or by :meth:`flush`, at no cost of its
        own, in the order in which it happened."""
        line = self._line(kind, data)
        with self._lock:
            self._waiting.append(line)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            with self._guard("written"):
                self._write(self._waiting)

    def _line(self, kind: str, data: Mapping[str, Any]) -> _Line:
        facts = {name: value for name, value in data.items() if name != "book"}
        return self._moment(), kind, canonical(facts), data.get("book")

    def _moment(self) -> str:
        return self._clock.now().isoformat(sep=" ", timespec="microseconds")

    def _write(self, lines: list[_Line]) -> int:
        with self._transaction():
            written = self._insert(lines)
        self._waiting, self._written = [], written
        return written.seq

    def _insert(self, lines: list[_Line]) -> _Written:
        last = self._db.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        seq, prev = (int(last[0]), str(last[1])) if last else (0, GENESIS)
        # Behind what another process wrote stands a whole book.
        written = self._written if self._written.seq == seq else _Written(seq)
        for time, kind, data, book in lines:
            seq, text = seq + 1, ""
            if book is not None:
                before, changes = written.book, written.changes + 1
                if before is None or changes > WHOLE_EVERY:
                    written, text = _Written(seq, book), quick(book)
                else:
                    written, text = _Written(seq, book, changes), quick(change_of(before, book))
            mark = digest(seq, time, kind, data, prev, text)
            self._db.execute(_INSERT, (seq, time, kind, data, prev, mark, text))
            prev = mark
        return replace(written, seq=seq)

    # -- reading --------------------------------------------------------------------------------------

    def events(self, kind: str | None = None, since: int = 0, *, books: bool = True) -> list[Event]:
        """The events after number ``since``, oldest first; of one kind, or all; without their books if nobody needs
        them, which is much quicker. Books share what is equal in them: they are to be read only."""
        query, values = f"SELECT {self._columns(books)} FROM events WHERE seq > ?", (since,)  # noqa: S608 - our own words
        if kind is not None:
            query, values = query + " AND kind = ?", (*values, kind)  # type: ignore[assignment]
        return self._read(query + " ORDER BY seq", values)

    def newest(self, count: int, *, books: bool = False) -> list[Event]:
        """The last ``count`` events, oldest first."""
        query = f"SELECT {self._columns(books)} FROM events ORDER BY seq DESC LIMIT ?"  # noqa: S608 - our own words
        return self._read(query, (count,))

    def last(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        query = f"SELECT {self._columns(True)} FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1"  # noqa: S608
        return next(iter(self._read(query, (kind,))), None)

    def last_book(self) -> Event | None:
        """The newest event that has a book: the account as it is. One look, however long the journal is."""
        if self._version < OWN_COLUMN:  # it is only looked at, and nobody has migrated it
            return next((event for event in reversed(self.events()) if "book" in event.data), None)
        query = f"SELECT {self._columns(True)} FROM events WHERE book > '' ORDER BY seq DESC LIMIT 1"  # noqa: S608
        return next(iter(self._read(query, ())), None)

    def _columns(self, books: bool) -> str:
        book = "book > ''" if books and self._version >= OWN_COLUMN else "NULL"
        return f"seq, time, kind, data, hash, {book}"

    def _read(self, query: str, values: tuple[Any, ...]) -> list[Event]:
        """Oldest first."""
        with self._lock:
            self._flush()
            with self._guard("read"):
                rows = sorted(self._db.execute(query, values).fetchall())
                books = self._books([int(row[0]) for row in rows if row[5]])
                return [_event(row, books.get(row[0])) for row in rows]

    def _books(self, wanted: list[int]) -> dict[int, Mapping[str, Any]]:
        """The books after events of these numbers, which are in order."""
        found: dict[int, Mapping[str, Any]] = {}
        before, book = 0, None
        for seq in wanted:
            changes: list[Mapping[str, Any]] = []
            for (text,) in self._db.execute(_BACK, (seq, before)):
                changes.append(json.loads(text))
                if is_whole(changes[-1]):
                    break
            for change in reversed(changes):
                book = changed(book, change)
            before, found[seq] = seq, book or {}
        return found

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the newest event; ``(0, GENESIS)`` if there is none.

        Kept elsewhere (a log, an alert) it also proves that nothing was cut off at the end.
        """
        with self._lock:
            self._flush()
            with self._guard("read"):
                row = self._db.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return (0, GENESIS) if row is None else (int(row[0]), str(row[1]))

    def verify(self, head: tuple[int, str] | None = None) -> int | None:
        """The number of the first event that is not as it was written, or is missing; None if all are.

        With a ``head`` noted earlier, also that the journal still contains it.
        """
        column = "book" if self._version >= OWN_COLUMN else "NULL"
        with self._lock:
            self._flush()
            with self._guard("read"):
                prev, expected = GENESIS, 1
                seen = head is None or head[0] == 0
                for seq, time, kind, data, before, mark, book in self._db.execute(
                    f"SELECT seq, time, kind, data, prev, hash, {column} FROM events ORDER BY seq"  # noqa: S608
                ):
                    if seq != expected or before != prev or mark != digest(seq, time, kind, data, prev, book):
                        return expected
                    if head is not None and seq == head[0]:
                        if mark != head[1]:
                            return expected
                        seen = True
                    prev, expected = mark, expected + 1
        return None if seen else expected

    def close(self) -> None:
        """Write what waits and let go of the file. Closing twice is harmless."""
        with self._lock:
            try:
                self._flush()
            finally:
                self._waiting = []
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


def _event(row: tuple[Any, ...], book: Mapping[str, Any] | None) -> Event:
    seq, time, kind, text, mark, _ = row
    data = json.loads(text)
    if book is not None:
        data["book"] = book
    return Event(seq, datetime.fromisoformat(time), kind, data, mark)


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


def quick(book: Mapping[str, Any]) -> str:
    """As :func:`canonical`, for a large tree whose keys are known to be words: one pass, in C."""
    return json.dumps(book, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
