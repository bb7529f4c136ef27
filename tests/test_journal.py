"""A real file, real threads and real processes; damage is done with sqlite3 behind the journal's back."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.clock import ManualClock
from btkite.errors import AccountLocked, JournalBroken
from btkite.journal import GENESIS, AccountLock, Journal, canonical
from btkite.journal.books import change_of, changed
from btkite.journal.events import quick
from btkite.values import Side

NOON = datetime(2026, 11, 20, 12, 0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "AB1234.journal"


def behind_its_back(path: Path, statement: str) -> None:
    """Run a statement with the journal's own guards taken off."""
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER IF EXISTS events_stay")
        db.execute("DROP TRIGGER IF EXISTS events_last")
        db.execute(statement)
    db.close()


def written(path: Path, clock: ManualClock, count: int = 5) -> tuple[int, str]:
    with Journal(path, clock) as journal:
        for number in range(1, count + 1):
            journal.append("intent", {"ref": number})
        return journal.head


# -- the journal -------------------------------------------------------------------------------------


def test_what_was_appended_is_read_back_in_order(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        assert journal.head == (0, GENESIS)
        assert journal.append("intent", {"ref": 1, "tag": "ORB₹x1"}) == 1
        clock.advance(1.5)
        assert journal.append("sending", {"ref": 1}) == 2
        assert journal.append("intent", {"ref": 2}) == 3
        assert [(event.seq, event.kind, event.data) for event in journal.events()] == [
            (1, "intent", {"ref": 1, "tag": "ORB₹x1"}),
            (2, "sending", {"ref": 1}),
            (3, "intent", {"ref": 2}),
        ]
        assert [event.time for event in journal.events(since=1)] == [datetime(2026, 11, 20, 12, 0, 1, 500_000)] * 2
        assert [event.seq for event in journal.events("intent")] == [1, 3]
        assert [event.seq for event in journal.events("intent", since=1)] == [3]
        assert journal.last("intent") == journal.events()[-1]
        assert journal.last("fill") is None
        assert journal.head == (3, journal.events()[-1].hash)
        assert journal.verify() is None


def test_a_restart_goes_on_where_it_ended(path: Path, clock: ManualClock) -> None:
    head = written(path, clock, 2)
    with Journal(path, clock) as journal:
        assert journal.head == head
        assert journal.append("intent", {}) == 3
        assert journal.verify(head) is None


def test_values_become_json_that_reads_the_same_everywhere(path: Path, clock: ManualClock) -> None:
    @dataclass(frozen=True)
    class Quote:
        side: Side
        price: float

    data = {
        "b": (1, 2.5, None, True),
        "a": {"on": date(2026, 11, 20), "at": NOON, "quote": Quote(Side.BUY, 0.1)},
    }
    text = (
        '{"a":{"at":"2026-11-20T12:00:00","on":"2026-11-20","quote":{"price":0.1,"side":"BUY"}},"b":[1,2.5,null,true]}'
    )
    assert canonical(data) == text
    with Journal(path, clock) as journal:
        journal.append("quote", data)
        assert journal.events()[0].data == json.loads(text)


@settings(deadline=None)
@given(
    data=st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_the_text_of_equal_data_is_equal_and_reads_back(data: dict[str, Any]) -> None:
    assert canonical(dict(reversed(data.items()))) == canonical(data)
    assert json.loads(canonical(data)) == data


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"x": object()}, TypeError),
        ({"x": {1, 2}}, TypeError),
        ({1: "x"}, TypeError),
        ({"x": float("nan")}, ValueError),
    ],
)
def test_what_json_cannot_hold_is_refused_and_nothing_written(
    path: Path, clock: ManualClock, data: Any, error: type[Exception]
) -> None:
    with Journal(path, clock) as journal:
        with pytest.raises(error):
            journal.append("x", data)
        assert journal.events() == []


@pytest.mark.parametrize(
    "statement", ["UPDATE events SET kind = 'x' WHERE seq = 2", "DELETE FROM events WHERE seq = 5"]
)
def test_the_database_itself_refuses_to_change_a_line(path: Path, clock: ManualClock, statement: str) -> None:
    written(path, clock)
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE events SET data = '{\"ref\":9}' WHERE seq = 2", 2),
        ("UPDATE events SET time = '2026-11-20 12:00:01.000000' WHERE seq = 3", 3),
        ("UPDATE events SET kind = 'sending' WHERE seq = 1", 1),
        ("UPDATE events SET hash = prev WHERE seq = 5", 5),
        ("DELETE FROM events WHERE seq = 1", 1),
        ("DELETE FROM events WHERE seq = 4", 4),
        ("UPDATE events SET seq = 10 WHERE seq = 5", 5),
        ("INSERT INTO events SELECT 6, time, kind, data, prev, hash, book FROM events WHERE seq = 5", 6),
    ],
)
def test_a_line_that_was_tampered_with_is_found(path: Path, clock: ManualClock, statement: str, broken: int) -> None:
    written(path, clock)
    behind_its_back(path, statement)
    with Journal(path, clock) as journal:
        assert journal.verify() == broken


def test_a_tail_that_was_cut_off_is_found_by_a_head_kept_elsewhere(path: Path, clock: ManualClock) -> None:
    head = written(path, clock)
    behind_its_back(path, "DELETE FROM events WHERE seq = 5")
    with Journal(path, clock) as journal:
        assert journal.verify() is None
        assert journal.verify(head) == 5
        journal.append("intent", {"ref": 99})
        assert journal.verify() is None
        assert journal.verify(head) == 5


def test_many_threads_append_without_gap_or_fork(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        numbers: list[int] = []

        def write(name: str) -> None:
            numbers.extend(journal.append(name, {"n": number}) for number in range(20))

        threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 81))
        assert journal.verify() is None
        assert [event.data["n"] for event in journal.events("t3")] == list(range(20))


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=60, check=False
    )


PREAMBLE = """
import os, signal, sys
from datetime import datetime
from btkite.clock import ManualClock
from btkite.journal import AccountLock, Journal
clock = ManualClock(datetime(2026, 11, 20, 12, 0))
"""


def test_another_process_reads_while_this_one_writes(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        journal.append("intent", {"ref": 1})
        code = PREAMBLE + "j = Journal(sys.argv[1], clock); print(len(j.events()), j.head[0], j.verify())"
        assert python(code, path).stdout.split() == ["1", "1", "None"]
        journal.append("intent", {"ref": 2})
        assert python(code, path).stdout.split() == ["2", "2", "None"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_what_was_appended_survives_a_kill(path: Path, clock: ManualClock) -> None:
    code = (
        PREAMBLE
        + "j = Journal(sys.argv[1], clock); j.append('intent', {'ref': 7}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert python(code, path).returncode == -signal.SIGKILL
    with Journal(path, clock) as journal:
        assert [event.data for event in journal.events()] == [{"ref": 7}]
        assert journal.verify() is None


def test_every_append_waits_for_the_disk(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        assert journal._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def spoil(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)


def belongs_to_another(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE notes (id)")
    db.close()


def from_the_future(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (spoil, "cannot be opened: file is not a database"),
        (belongs_to_another, "is a database of something else"),
        (from_the_future, "was written by a newer btkite"),
        (Path.mkdir, "cannot be opened"),
    ],
)
def test_a_file_that_is_no_journal_is_refused_in_one_sentence(
    path: Path, clock: ManualClock, damage: Callable[[Path], None], sentence: str
) -> None:
    path.parent.mkdir()
    damage(path)
    with pytest.raises(JournalBroken, match=sentence) as refusal:
        Journal(path, clock)
    assert path.name in str(refusal.value)


def test_a_journal_that_cannot_be_written_says_so(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        behind_its_back(path, "DROP TABLE events")
        with pytest.raises(JournalBroken, match="cannot be written"):
            journal.append("intent", {})
    with pytest.raises(JournalBroken, match="closed"):
        journal.append("intent", {})
    journal.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no permission bits")
def test_the_journal_is_the_owners_alone(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        journal.append("intent", {})
        files = list(path.parent.iterdir())
        assert len(files) > 1  # SQLite's own beside it
        assert all(file.stat().st_mode & 0o077 == 0 for file in files)


# -- the account's lock ------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "AB1234.lock"


def test_a_second_start_is_told_who_has_the_account(file: Path, clock: ManualClock) -> None:
    with AccountLock(file, clock, command="btkite live orb") as first:
        first.acquire()  # ours already
        second = AccountLock(file, clock, command="btkite live sma")
        with pytest.raises(AccountLocked) as refusal:
            second.acquire()
        assert str(refusal.value) == (
            f"another process runs this account: btkite live orb, pid {os.getpid()} on {socket.gethostname()}, "
            f"since 2026-11-20 12:00:00 IST (lock {file}): end it first"
        )
        assert first.held
        assert not second.held
    second.acquire()
    assert second.owner()["command"] == "btkite live sma"
    second.release()
    second.release()
    assert second.owner() == {}


def test_the_note_is_renewed_by_each_beat(file: Path, clock: ManualClock) -> None:
    with AccountLock(file, clock) as lock:
        clock.advance(60)
        lock.beat()
        assert (lock.owner()["since"], lock.owner()["beat"]) == ("2026-11-20 12:00:00", "2026-11-20 12:01:00")
    with pytest.raises(AccountLocked, match="not held"):
        lock.beat()


def test_a_lost_note_does_not_open_the_lock(file: Path, clock: ManualClock) -> None:
    with AccountLock(file, clock):
        for note in (b"", b"[]", b"\xff"):
            (file.parent / (file.name + ".owner")).write_bytes(note)
            with pytest.raises(AccountLocked, match="another process runs this account"):
                AccountLock(file, clock).acquire()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_the_lock_dies_with_its_owner_however_that_dies(file: Path, clock: ManualClock) -> None:
    code = PREAMBLE + (
        "AccountLock(sys.argv[1], clock, command='the other').acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AccountLocked, match=f"the other, pid {other.pid}"):
            AccountLock(file, clock).acquire()
        other.kill()
    with AccountLock(file, clock) as lock:
        assert lock.owner()["pid"] == os.getpid()


@pytest.mark.parametrize(("seconds", "refused"), [(0, True), (89, True), (90, False), (-89, True), (86_400, False)])
def test_another_machines_owner_counts_while_it_beats(
    file: Path, clock: ManualClock, seconds: int, refused: bool
) -> None:
    with AccountLock(file, clock) as lock:
        note = lock.owner()
    note["host"] = "another-machine"
    (file.parent / (file.name + ".owner")).write_text(json.dumps(note))
    clock.advance(seconds)
    lock = AccountLock(file, clock)
    if refused:
        with pytest.raises(AccountLocked, match="another-machine"):
            lock.acquire()
        assert not lock.held
    else:
        lock.acquire()
        lock.release()


def test_a_dead_owners_unreadable_beat_is_no_reason_to_refuse(file: Path, clock: ManualClock) -> None:
    file.parent.mkdir()
    (file.parent / (file.name + ".owner")).write_text('{"host": "another-machine", "beat": "never"}')
    with AccountLock(file, clock) as lock:
        assert lock.held


# -- an older format ---------------------------------------------------------------------------------

FORMAT_1 = Path(__file__).parent / "journal_format_1.sql"
"""Of a paper account with a position and three working orders, as the first format wrote it."""


@pytest.fixture
def older(path: Path) -> Path:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(FORMAT_1.read_text(encoding="utf-8"))
    db.close()
    return path


def test_an_older_journal_becomes_one_of_this_format_and_its_chain_still_holds(older: Path, clock: ManualClock) -> None:
    with Journal(older, clock) as journal:
        assert journal.verify((5, "f668f495c9b2ad3df9b921a666210c81806a2696058613c20a5af1a3a9ea4e58")) is None
        kinds = [event.kind for event in journal.events()]
        assert kinds == ["order", "order", "fill", "order", "order", "migrated"]
        migrated = journal.events("migrated", books=False)[0]
        assert migrated.data == {"from": 1, "to": 3}
        last = journal.last_book()
        assert last is not None
        assert last.data["book"]["positions"]["NSE:AAA"]["size"] == 3
        assert last.data["book"] == journal.events()[4].data["book"]
        journal.append("order", {"refs": [9], "book": {"positions": {}}})
    with Journal(older, clock) as again:
        assert again.verify() is None
        assert len(again.events("migrated")) == 1
        assert again.last_book().data["book"] == {"positions": {}}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE events SET data = replace(data, '100.85', '100.80') WHERE seq = 2", 2),
        ("UPDATE events SET book = '' WHERE seq = 3", 3),
        ("UPDATE events SET book = NULL WHERE seq = 6", 6),
        ("UPDATE events SET book = replace(book, '100.85', '100.80') WHERE seq = 6", 6),
    ],
)
def test_what_was_changed_before_or_after_a_migration_is_found(
    older: Path, clock: ManualClock, statement: str, broken: int
) -> None:
    Journal(older, clock).close()
    behind_its_back(older, statement)
    with Journal(older, clock) as journal:
        assert journal.verify() == broken


def test_a_migration_that_breaks_off_leaves_the_older_journal(older: Path, clock: ManualClock) -> None:
    behind_its_back(older, "CREATE INDEX events_with_book ON events (time)")  # the last step will fail
    with pytest.raises(JournalBroken, match="events_with_book already exists"):
        Journal(older, clock)
    db = sqlite3.connect(older)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert [row[1] for row in db.execute("PRAGMA table_info(events)")][-1] == "hash"
    db.close()
    behind_its_back(older, "DROP INDEX events_with_book")
    with Journal(older, clock) as journal:
        assert journal.verify() is None
        assert journal.head[0] == 6


def test_looking_at_an_older_journal_changes_nothing(older: Path, clock: ManualClock) -> None:
    before = older.read_bytes()
    with Journal(older, clock, read_only=True) as journal:
        assert journal.verify() is None
        assert journal.last_book().data["book"]["positions"]["NSE:AAA"]["size"] == 3  # type: ignore[union-attr]
        assert "book" not in journal.newest(1)[0].data or journal.newest(1)[0].seq == 5
    assert older.read_bytes() == before
    assert [file.name for file in older.parent.iterdir()] == [older.name]


# -- a second process that only looks ----------------------------------------------------------------


def test_who_only_looks_makes_nothing_and_writes_nothing(path: Path, clock: ManualClock) -> None:
    with pytest.raises(JournalBroken, match="cannot be read"):
        Journal(path, clock, read_only=True)
    assert not path.parent.exists()
    written(path, clock)
    before = path.read_bytes()
    with Journal(path, clock, read_only=True) as journal:
        assert len(journal.events()) == 5
        with pytest.raises(JournalBroken, match="cannot be written"):
            journal.append("intent", {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_who_only_looks_sees_what_is_being_written_and_stops_nobody(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as writer:
        writer.append("intent", {"ref": 1})
        with Journal(path, clock, read_only=True) as reader:
            assert reader.newest(3)[-1].data == {"ref": 1}
            writer.append("intent", {"ref": 2, "book": {"a": 1}})
            assert [event.data for event in reader.newest(1)] == [{"ref": 2}]
            assert reader.last_book().data == {"ref": 2, "book": {"a": 1}}  # type: ignore[union-attr]


def test_what_may_wait_is_written_with_the_next_event_in_order(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal, Journal(path, clock) as other:
        journal.later("update", {"status": "OPEN"})
        assert other.head[0] == 0
        clock.advance(1)
        journal.append("fill", {"ref": 1})
        assert [(event.seq, event.kind) for event in other.events()] == [(1, "update"), (2, "fill")]
        assert other.events()[0].time == NOON
        journal.later("update", {"status": "COMPLETE"})
        assert journal.events()[-1].data == {"status": "COMPLETE"}  # who reads through it misses nothing
        journal.later("update", {"status": "late"})
    with Journal(path, clock) as journal:
        assert journal.events()[-1].data == {"status": "late"}
        assert journal.verify() is None


BRANCH = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.dictionaries(st.text("xyz", min_size=1, max_size=1), inner, max_size=4)
        | st.lists(inner, max_size=3)
        | st.lists(st.fixed_dictionaries({"ref": st.integers(-2, 5), "of": inner}), max_size=4)
    ),
    max_leaves=20,
)
BOOKS = st.lists(
    st.fixed_dictionaries(
        {
            "orders": st.lists(st.fixed_dictionaries({"ref": st.integers(-2, 8), "of": BRANCH}), max_size=5),
            "positions": st.dictionaries(st.text("ABC", min_size=1, max_size=2), BRANCH, max_size=4),
            "ledger": BRANCH,
        }
    ),
    min_size=2,
    max_size=8,
)


@given(BOOKS)
def test_a_book_is_what_it_was_whatever_changed_in_it(books: list[dict[str, Any]]) -> None:
    found: Mapping[str, Any] | None = None
    for before, after in itertools.pairwise([books[0], *books]):
        change = json.loads(quick(change_of(before, after)))
        found = changed(before if found is None else found, change)
        assert found == after
        assert canonical(changed(None, after)) == canonical(after)


def account(number: int) -> dict[str, Any]:
    """A book of fifty symbols, in which an event changes an order and the money."""
    return {
        "ledger": {"realized": number / 4, "gains": {f"NSE:S{row}": float(row == number % 50) for row in range(50)}},
        "positions": {f"NSE:S{row}": {"size": row, "price": 100.5, "product": "CNC"} for row in range(50)},
        "orders": [{"ref": ref, "size": 5, "info": {"tag": f"bk{ref:014}"}} for ref in range(number // 8, number)],
    }


def test_what_does_not_change_is_not_written_again(path: Path, clock: ManualClock) -> None:
    books = [account(number) for number in range(250)]
    with Journal(path, clock) as journal:
        for book in books[:240]:
            journal.append("fill", {"book": book})
            journal.later("update", {})
        assert [event.data["book"] for event in journal.events("fill")] == books[:240]
        assert journal.last_book().data["book"] == books[239]  # type: ignore[union-attr]
        written = sum(size for (size,) in journal._db.execute("SELECT length(book) FROM events"))
        assert written < sum(len(quick(book)) for book in books[:240]) / 10
    with Journal(path, clock) as journal:  # another process; and a third one beside it
        with Journal(path, clock, read_only=True) as reader:
            journal.append("fill", {"book": books[240]})
            assert reader.last_book().data["book"] == books[240]  # type: ignore[union-attr]
        with Journal(path, clock) as other:
            other.append("armed", {"book": books[241]})
        journal.append("fill", {"book": books[242]})
        assert [event.data["book"] for event in journal.events(since=480)] == books[240:243]
        assert [event.data["book"] for event in journal.newest(2, books=True)] == books[241:243]
        assert journal.last("armed").data["book"] == books[241]  # type: ignore[union-attr]
        assert journal.verify() is None


def test_a_book_that_cannot_be_written_leaves_the_next_one_whole_to_read(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        journal.append("fill", {"book": {"a": 1, "b": {"c": 1}}})
        with pytest.raises(JournalBroken, match="cannot be written"):
            journal.append("fill", {"book": {"a": 2, "b": {"c": float("nan")}}})
        journal.append("fill", {"book": {"a": 2, "b": {"c": 1}}})
        assert [event.data["book"]["a"] for event in journal.events()] == [1, 2]


def test_a_change_without_its_book_is_damage(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        journal.append("fill", {"book": {"a": 1}})
        journal.append("fill", {"book": {"a": 2}})
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER events_last")
    db.execute("DELETE FROM events WHERE seq = 1")
    db.commit()
    db.close()
    with Journal(path, clock, read_only=True) as journal, pytest.raises(JournalBroken, match="before any book"):
        journal.last_book()


def test_the_newest_book_is_found_without_reading_the_journal(path: Path, clock: ManualClock) -> None:
    with Journal(path, clock) as journal:
        for number in range(200):
            journal.append("fill", {"ref": number, "book": {"number": number}})
            journal.later("update", {"ref": number})
        journal.flush()
    db = sqlite3.connect(path)
    asked = "EXPLAIN QUERY PLAN SELECT seq, data, book FROM events WHERE book > '' ORDER BY seq DESC LIMIT 1"
    assert "events_with_book" in str(db.execute(asked).fetchall())
    db.close()
    with Journal(path, clock) as journal:
        found = journal.last_book()
        assert found is not None
        assert found.data == {"ref": 199, "book": {"number": 199}}
