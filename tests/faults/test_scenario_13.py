"""Scenario 13, token expiry: the session ends in mid-day, and the same process goes on with the next one."""

from __future__ import annotations

import random
import urllib.request
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.faults.process import KEY, SECRET, TOKEN, Live, live, moment, until
from tests.faults.seeds import seeds

MINUTE = timedelta(seconds=60)


def no_more_than_three_a_minute(running: Live) -> None:
    """What was on the wire already when the first call was refused is no attempt of its own."""
    (lost, *_) = running.moments("store", "session lost")
    first, *others = running.refusals()
    refused = [first, *(one for one in others if one > lost)]
    assert all(later - before >= MINUTE for before, later in zip(refused, refused[3:], strict=False)), refused


def renew(running: Live, how: str) -> str:
    if how == ".env":
        token = running.steer.issue_token()
        running.keep_token(token)
        return token
    with urllib.request.urlopen(f"{running.exchange.url}/connect/login?api_key={KEY}&auto=1", timeout=10) as page:
        given = parse_qs(urlsplit(page.url).query)["request_token"][0]
    login = running.command("login", "--request-token", given)
    assert login.wait(60) == 0
    return given


def nowhere_in(folder: Path, *secrets: str) -> None:
    """Not in a byte of what the run wrote, but for the files that are there to hold the token."""
    holders = {folder / ".env", *(folder / "state").glob("session-*.json")}
    files = [path for path in folder.rglob("*") if path.is_file() and path not in holders]
    assert any(path.suffix == ".log" for path in files)
    assert any(path.name == "journal.sqlite" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path


@pytest.mark.parametrize("how", [".env", "login"])
def test_a_new_token_resumes_the_same_process_with_its_state(tmp_path: Path, how: str) -> None:
    with live(tmp_path) as running:
        running.start("flat_when_lost=True")
        running.hears("order", "Completed", "BUY")
        pid = running.process.pid
        running.steer.expire_token()
        running.steer.arm("socket_cut")
        running.hears("store", "session lost")
        running.hears("order", "Submitted", "SELL")
        running.passes(90)
        no_more_than_three_a_minute(running)
        sent = {row["tag"] for row in running.steer.orders()}
        seen = len(running.steer.requests())
        running.steer.speed(1)
        token = renew(running, how)
        given = running.steer.now()
        running.hears("store", "session renewed")
        running.hears("order", "Completed", "SELL")
        until(lambda: running.steer.sockets(), "the stream is back")
        exit_sent = next(row for row in running.asked("POST", "/orders") if row["seq"] > seen and row["status"] == 200)
        assert exit_sent["form"]["transaction_type"] == "SELL"  # exits go first
        assert moment(exit_sent) - given <= timedelta(seconds=10)
        until(
            lambda: any(len(socket["subscriptions"]) == 2 for socket in running.steer.sockets()),
            "all is subscribed again",
        )
        running.steer.speed(60)
        before = len(running.lines("order", "Completed", "BUY"))
        running.hears("order", "Completed", "BUY", count=before + 1)  # entries go on
        no_more_than_three_a_minute(running)
        assert running.process.pid == pid
        assert running.terminate()[0] == 0, running.words()
        denied = running.lines("order", "Rejected")  # by our gate, and by nobody else
        ours = ("only orders that reduce the position pass", "(data.trade_repaired)")
        strange = [line for line in denied if not line[-1].endswith(ours)]
        assert strange == []
        assert not [row for row in running.steer.orders() if row["status"] == "REJECTED"]
        assert len(running.lines("store", "session lost")) == len(running.lines("store", "session renewed")) == 1
        tags = [row["tag"] for row in running.steer.orders()]
        assert len(tags) == len(set(tags)) > len(sent)
        nowhere_in(tmp_path, TOKEN, token, SECRET)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", seeds(1, 12))
def test_sessions_that_end_at_any_moment_and_come_back_by_any_way(tmp_path: Path, seed: int) -> None:
    """Twice in one run: told once each, no order doubled, refused or lost; a token that is nobody's changes nothing."""
    rng = random.Random(seed)
    tokens = []
    with live(tmp_path, speed=60, seed=rng.randint(1, 10_000)) as running:
        running.start()
        for count in (1, 2):
            seen = len(running.lines("order", "Completed", "BUY"))
            running.hears("order", "Completed", "BUY", count=seen + rng.randint(1, 4))
            running.passes(rng.randint(0, 59))
            running.steer.expire_token()
            if rng.random() < 0.5:
                running.steer.arm("socket_cut")
            running.hears("store", "session lost", count=count)
            if rng.random() < 0.5:
                running.keep_token("tokenOfNobody00000000000000000000")
            running.passes(rng.randint(1, 200))
            running.steer.speed(1)
            tokens.append(renew(running, rng.choice([".env", "login"])))
            running.steer.speed(rng.choice([10, 60]))
            running.hears("store", "session renewed", count=count)
            running.steer.speed(60)
            seen = len(running.lines("order", "Completed", "BUY"))
            running.hears("order", "Completed", "BUY", count=seen + 1)
        until(lambda: running.steer.sockets(), "the stream is back")
        assert running.terminate()[0] == 0, running.words()
        book = running.steer.orders()
        assert not [row for row in book if row["status"] == "REJECTED"]
        assert len({row["tag"] for row in book}) == len(book)
        assert len(running.lines("store", "session lost")) == len(running.lines("store", "session renewed")) == 2
        filled = sum(row["filled_quantity"] for row in book if row["transaction_type"] == "BUY")
        assert len(running.lines("order", "Completed", "BUY")) == filled
        nowhere_in(tmp_path, TOKEN, SECRET, *tokens)


def test_entries_pause_meanwhile_and_say_why(tmp_path: Path) -> None:
    with live(tmp_path) as running:
        running.start()
        running.hears("order", "Completed", "BUY")
        running.steer.expire_token()
        running.hears("store", "session lost")
        count = len(running.steer.orders())
        running.hears("order", "Rejected", "BUY")
        assert "the session is over: btkite login" in running.lines("order", "Rejected", "BUY")[0][-1]
        assert len(running.steer.orders()) == count


def test_nobody_comes_and_the_run_ends_with_its_own_exit_code(tmp_path: Path) -> None:
    with live(tmp_path) as running:
        running.start(BTKITE_RUN__RENEW_WITHIN=3)
        running.hears("order", "Completed", "BUY")
        running.steer.expire_token()
        assert running.end() == 4, running.words()
        no_more_than_three_a_minute(running)
        assert "btkite login" in running.words()
        assert "position 1 NSE:INFY" in running.words() or "position 2 NSE:INFY" in running.words()
        nowhere_in(tmp_path, TOKEN, SECRET)
