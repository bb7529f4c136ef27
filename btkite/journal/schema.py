"""The journal's format: tables, the hash of a line, and the way from an older format to this one.

Each step of :data:`STEPS` takes a journal from one format to the next, in one transaction with all others that are
due. Lines that are there stay as they were written, to the letter, so that their hashes hold: a line is checked by
the rule of the format that wrote it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import JournalBroken

GENESIS = "0" * 64
"""What stands for the hash before the first event."""

SCHEMA = 3
"""Of this btkite. 1: the book of an event was part of its data. 2: it has a column of its own. 3: what stands there
may be what has changed in the book before (:mod:`~btkite.journal.books`)."""

OWN_COLUMN = 2
"""From this format on the book has a column of its own."""

_TABLE = """
CREATE TABLE events (
    seq  INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL,
    book TEXT
)
"""
_BY_KIND = "CREATE INDEX events_by_kind ON events (kind, seq)"
_BY_BOOK = "CREATE INDEX events_with_book ON events (seq) WHERE book > ''"
_STAY = """
CREATE TRIGGER events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
"""
_LAST = """
CREATE TRIGGER events_last BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
"""


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The format of the file, 0 for an empty one.

    :raises JournalBroken: if it is a newer btkite's, or no journal.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise JournalBroken(f"the journal {path} was written by a newer btkite (format {version}): upgrade btkite")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    if version == 0 and tables and "events" not in tables:
        raise JournalBroken(f"{path} is a database of something else: name another file for the journal")
    if version and version < min(STEPS):
        raise JournalBroken(f"the journal {path} has format {version}, which this btkite cannot read: move it away")
    return int(version)


def create(db: sqlite3.Connection) -> None:
    """The tables of an empty file; the caller has begun a transaction."""
    for statement in (_TABLE, _BY_KIND, _BY_BOOK, _STAY, _LAST):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def migrate(db: sqlite3.Connection, version: int) -> None:
    """From format ``version`` to this one; the caller has begun a transaction."""
    for step in range(version, SCHEMA):
        STEPS[step](db)
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def _give_the_book_a_column(db: sqlite3.Connection) -> None:
    db.execute("ALTER TABLE events ADD COLUMN book TEXT")
    db.execute(_BY_BOOK)


def _allow_changes(db: sqlite3.Connection) -> None:
    """The books that are there are whole ones, and stay: only an older btkite must not read what comes behind."""


STEPS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _give_the_book_a_column, 2: _allow_changes}
"""From which format, and how to the next."""


def digest(seq: int, time: str, kind: str, data: str, prev: str, book: str | None) -> str:
    """The hash of a line. ``book`` is None in lines of format 1, which had no such column."""
    parts = [seq, time, kind, data, prev] if book is None else [seq, time, kind, data, prev, book]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
