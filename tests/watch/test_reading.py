"""Whether a run lives, hangs, died or ended: told from the note of its lock and its own last word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.clock import ManualClock
from btkite.journal import AccountLock, Journal
from btkite.risk.gate import KillSwitch
from btkite.watch.places import Place, likeliest
from btkite.watch.reading import LAST, _running, lives, said_by, standing

NOW = datetime(2026, 11, 23, 10, 0)
HERE = socket.gethostname()


def ago(seconds: float) -> str:
    return str(NOW - timedelta(seconds=seconds))


def owner(**more: Any) -> dict[str, Any]:
    return {"pid": os.getpid(), "host": HERE, "since": ago(3600), "beat": ago(5), **more}


def word(**more: Any) -> dict[str, Any]:
    return {"pid": os.getpid(), "host": HERE, "wall": ago(2), **more}


def nobody() -> int:
    """The number of a process that is no more."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    return gone.pid


@pytest.mark.parametrize(
    ("note", "said", "known", "how"),
    [
        ({}, {}, False, "never"),
        ({}, word(), True, "ended"),
        (owner(), word(), True, "running"),
        (owner(), word(wall=ago(14)), True, "running"),
        (owner(), word(wall=ago(15)), True, "silent"),
        (owner(), {}, True, "silent"),  # it holds the account for an hour, and has never spoken
        (owner(since=ago(5)), {}, False, "running"),  # it has just begun, and has not spoken yet
        (owner(since=ago(5)), word(wall=ago(600), pid=1), True, "running"),
        (owner(), word(pid=1), True, "silent"),  # another process's word says nothing of this one
        (owner(), word(host="elsewhere"), True, "silent"),
        (owner(), word(wall="?"), True, "silent"),
        (owner(pid="?"), word(), True, "died"),
        (owner(host="elsewhere", beat=ago(89)), word(host="elsewhere"), True, "running"),
        (owner(host="elsewhere", beat=ago(91)), word(host="elsewhere"), True, "died"),
        (owner(host="elsewhere", beat="?"), word(host="elsewhere"), True, "died"),
    ],
)
def test_how_a_run_stands(note: dict[str, Any], said: dict[str, Any], known: bool, how: str) -> None:
    assert _running(note, said, NOW, known=known) == how


def test_a_process_that_is_no_more_has_died_however_young_its_beat() -> None:
    assert not lives(owner(pid=nobody(), beat=ago(0)), NOW)
    assert lives(owner(beat=ago(10_000)), NOW)
    assert lives(owner(pid=1, beat=ago(10_000)), NOW)  # perhaps somebody else's; it is there


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\xff"])
def test_a_word_that_cannot_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "status.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    assert said_by(path) == {}


def test_an_account_is_looked_at_as_its_journal_and_its_switch_say(tmp_path: Path) -> None:
    place, clock = Place("A", "live", "kite", tmp_path), ManualClock(NOW)
    assert standing(place, clock).running == "never"
    with Journal(place.journal, clock) as journal:
        journal.append("fill", {"ref": 1, "book": {"positions": {"NSE:A": {"size": 5}}}})
        for number in range(LAST + 2):
            journal.append("said", {"number": number})
    KillSwitch(place.kill).engage("lunch", NOW, flatten=True)
    now = standing(place, clock)
    assert (now.running, now.is_running) == ("ended", False)
    assert now.book == {"time": NOW, "positions": {"NSE:A": {"size": 5}}}
    assert [event["number"] for event in now.events] == list(range(2, LAST + 2))
    assert (now.kill, now.flatten) == (f"lunch, since {NOW}", True)
    with AccountLock(place.lock, clock):
        now = standing(place, clock)
    assert now.is_running
    assert now.owner["pid"] == os.getpid()


def test_of_several_accounts_the_one_that_was_written_to_last_is_meant(tmp_path: Path) -> None:
    first, second = (Place("A", "live", name, tmp_path / name) for name in ("first", "second"))
    assert likeliest([first, second]) is second  # neither was ever used
    for place, at in ((first, 2000), (second, 1000)):
        place.folder.mkdir()
        place.status.write_text("{}")
        os.utime(place.status, (at, at))
    assert likeliest([first, second]) is first
    second.kill.write_text("")  # set for all of them at once: it says nothing
    assert likeliest([first, second]) is first
    beside = second.folder / "journal.sqlite-wal"
    beside.write_text("")
    os.utime(beside, (3000, 3000))
    assert likeliest([first, second]) is second
