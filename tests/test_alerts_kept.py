"""Rate limit, kinds, history, and addresses that are dead or swallow everything."""

from __future__ import annotations

import json
import logging
import stat
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from btkite import log
from btkite.alerts import Alerts
from btkite.alerts.history import chosen, kept, older, summary
from btkite.clock import ManualClock
from btkite.errors import ConfigError
from tests.receiver import BlackHole, Receiver

NOON = datetime(2026, 11, 2, 12, 0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def hole() -> Iterator[BlackHole]:
    one = BlackHole()
    yield one
    one.close()


def test_a_minute_takes_so_many_and_the_next_one_counts_the_rest(receiver: Receiver) -> None:
    now = [0.0]
    alerts = Alerts([receiver.url], per_minute=2, monotonic=lambda: now[0])
    sent = [alerts.send("warning", f"denied {n}", kind="denial") for n in range(5)]
    assert not alerts.send("warning", "a fill", kind="trade")
    assert alerts.send("critical", "halted", kind="risk")  # needs no room
    now[0] = 60.0
    assert alerts.send("warning", "denied 6", kind="denial")
    assert alerts.close(10)
    assert sent == [True, True, False, False, False]
    assert [got["title"] for got in receiver.got] == ["denied 0", "denied 1", "halted", "denied 6"]
    assert "4 more were held back by alerts.per_minute: denial 3, trade 1" in receiver.got[2]["message"]
    assert "held back" not in receiver.got[3]["message"]
    assert alerts.counts == {"denial": 6, "trade": 1, "risk": 1}


def test_what_was_held_back_is_told_at_the_end_at_the_latest(receiver: Receiver) -> None:
    alerts = Alerts([receiver.url], per_minute=1)
    for number in range(4):
        alerts.send("warning", f"denied {number}", kind="denial")
    assert alerts.close(10)
    assert [got["title"] for got in receiver.got] == ["denied 0", "3 alerts were held back"]


def test_kinds_are_delivered_whatever_their_level_or_never(receiver: Receiver) -> None:
    alerts = Alerts([receiver.url], also=["summary"], mute=["denial"])
    assert alerts.send("info", "the day", kind="summary")
    assert not alerts.send("info", "a fill", kind="trade")
    assert not alerts.send("critical", "denied", kind="denial")
    assert alerts.close(10)
    assert [got["title"] for got in receiver.got] == ["the day"]
    with pytest.raises(ConfigError, match="summary"):
        Alerts(also=["sumary"])


def test_an_address_that_swallows_everything_holds_up_nobody(receiver: Receiver, hole: BlackHole) -> None:
    alerts = Alerts([hole.url, receiver.url], queue=50, retry_after=())
    began = time.monotonic()
    for number in range(500):
        assert alerts.send("warning", f"alert {number}")
        if number % 40 == 0:  # the living one keeps up, or its queue, too, would lose the oldest
            wait_for(lambda: alerts.delivered >= number)
    assert time.monotonic() - began < 30
    assert hole.asked.wait(10)
    wait_for(lambda: len(receiver.got) == 500)
    assert alerts.dropped >= 448  # of the hole: one on its way, fifty wait
    began = time.monotonic()
    assert not alerts.close(0.2)
    assert time.monotonic() - began < 5


def wait_for(holds: object) -> None:
    ring = threading.Event()
    for _ in range(6000):
        if holds():  # type: ignore[operator]
            return
        ring.wait(0.005)
    raise AssertionError("never came")


def test_what_became_of_each_is_kept(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "state" / "alerts.jsonl"
    dead = Receiver()
    url = dead.url
    dead.close()
    clock = ManualClock(NOON)
    alerts = Alerts([receiver.url, url], clock=clock, per_minute=2, history=path, retry_after=())
    alerts.send("warning", "one", "access_token=Zm9vYmFyMTIz", kind="denial")
    alerts.send("warning", "one", kind="denial")
    alerts.send("info", "two", kind="trade")
    alerts.send("error", "three", kind="risk")
    alerts.send("error", "four", kind="risk")
    assert alerts.close(20)
    rows = kept(path)
    assert [(row["title"], row["became"]) for row in rows] == [
        ("one", "delivered"), ("one", "repeated"), ("two", "logged"), ("three", "delivered"), ("four", "held back"),
    ]  # fmt: skip
    assert sorted(rows[0]["to"]) == [["json", "delivered"], ["json", "failed"]]
    assert rows[0]["time"] == "2026-11-02 12:00:00"
    assert "Zm9v" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert summary(rows)["kinds"] == {"denial": 2, "risk": 2, "trade": 1}
    levels = ("info", "warning", "error", "critical")
    assert [row["title"] for row in chosen(rows, kinds=["risk", "trade"], least=2, levels=levels)] == ["three", "four"]
    assert chosen(rows, since=NOON.replace(hour=13)) == []
    assert [row["title"] for row in chosen(rows, words="TWO")] == ["two"]


def test_an_alert_of_a_process_that_was_killed_is_there_and_a_cut_line_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    first = Alerts(history=path)
    first.send("warning", "before")
    assert first.close()
    with path.open("a") as file:
        file.write('{"number": "7-1", "ti')
    path.open("a").write("\n")
    second = Alerts(history=path)
    second.send("warning", "after")
    assert second.close()
    assert [row["title"] for row in kept(path)] == ["before", "after"]


def test_a_long_history_is_put_aside_and_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "alerts.jsonl"
    row = {"number": "0-0", "time": None, "kind": "trade", "level": "info", "title": "old", "body": "", "key": "old"}
    path.write_text((json.dumps({**row, "became": "logged"}) + "\n") * 15_000)
    assert path.stat().st_size > 1_500_000
    for _ in range(2):
        with path.open("a") as file:
            file.write((json.dumps({**row, "became": "logged"}) + "\n") * 5_000)
        alerts = Alerts(history=path)
        alerts.send("warning", "new")
        assert alerts.close()
    assert older(path).exists()
    assert path.stat().st_size < 1_000_000
    assert [row["title"] for row in kept(path)] == ["old", "new", "new"]


def test_a_disk_that_takes_nothing_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder")
    alerts = Alerts(history=folder / "alerts.jsonl")
    with caplog.at_level(logging.WARNING, logger="btkite.alerts.history"):
        assert not alerts.send("critical", "halted")
        assert not alerts.send("critical", "again")
        assert alerts.close()
    assert caplog.text.count("the history of alerts cannot be written") == 1


def test_no_token_of_an_address_is_in_log_or_history(tmp_path: Path, receiver: Receiver) -> None:
    """Also at the level debug, where apprise and urllib3 show the addresses that they ask."""
    token = "s3cr3tTok3nOfAChannel42"
    file, path = tmp_path / "btkite.log", tmp_path / "alerts.jsonl"
    log.configure("debug", file)
    try:
        receiver.statuses = [500]
        url = f"{receiver.url}{token}/?key={token}&password=hunter2hunter2x"
        alerts = Alerts([url], history=path, retry_after=(0.0,))
        alerts.send("error", "halted", f"by {token}")
        assert alerts.close(10)
    finally:
        log.close()
    text = file.read_text()
    assert "halted" in text
    assert "POST" in text  # urllib3's own line is there
    for secret in (token, "hunter2hunter2x"):
        assert secret not in text
        assert secret not in path.read_text()
