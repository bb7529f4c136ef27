from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from btkite.clock import SystemClock
from btkite.errors import BtkiteError, KiteUnavailable, SessionExpired
from btkite.kite.inbox import Answer, Inbox
from btkite.kite.reader import Reader


def answers(inbox: Inbox, count: int) -> list[Answer]:
    got: list[Answer] = []
    clock, end = SystemClock(), SystemClock().now() + timedelta(seconds=10)
    while len(got) < count:
        got += inbox.take()
        assert clock.now() < end, f"only {got} came"
        inbox.bell.wait(0.05)
    return got


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def reader(inbox: Inbox) -> Iterator[Reader]:
    made = Reader(inbox)
    yield made
    made.stop()


def test_a_value_comes_as_an_answer(inbox: Inbox, reader: Reader) -> None:
    reader.ask("margins", "equity", lambda: 42)
    assert answers(inbox, 1) == [Answer("margins", "equity", 42)]


def test_an_error_comes_as_an_answer_and_the_worker_lives_on(inbox: Inbox, reader: Reader) -> None:
    def fail() -> None:
        raise KiteUnavailable("down")

    for _ in range(4):
        reader.ask("history", 1, fail)
    reader.ask("history", 2, lambda: "fine")
    got = answers(inbox, 5)
    assert sorted(str(answer.error or answer.value) for answer in got) == ["down"] * 4 + ["fine"]


@pytest.mark.parametrize(("error", "warned"), [(KiteUnavailable("down"), 1), (SessionExpired("over"), 0)])
def test_a_session_that_is_over_is_not_said_at_each_question(
    inbox: Inbox, reader: Reader, caplog: pytest.LogCaptureFixture, error: BtkiteError, warned: int
) -> None:
    def fail() -> None:
        raise error

    with caplog.at_level(logging.INFO, "btkite.kite.reader"):
        reader.ask("orders", 1, fail)
        answers(inbox, 1)
    assert len(caplog.records) == warned


def test_a_slow_question_does_not_hold_another(inbox: Inbox, reader: Reader) -> None:
    held = threading.Event()
    reader.ask("slow", 1, lambda: held.wait(10))
    reader.ask("quick", 2, lambda: 2)
    assert [answer.kind for answer in answers(inbox, 1)] == ["quick"]
    assert reader.busy
    held.set()
    assert [answer.kind for answer in answers(inbox, 1)] == ["slow"]


def test_it_is_busy_until_the_answer_is_in_the_inbox(inbox: Inbox, reader: Reader) -> None:
    held = threading.Event()
    assert not reader.busy
    reader.ask("slow", 1, lambda: held.wait(10))
    assert reader.busy
    held.set()
    clock, end = SystemClock(), SystemClock().now() + timedelta(seconds=10)
    while reader.busy:
        assert clock.now() < end
    assert len(inbox) == 1


def test_after_stop_nothing_is_taken(inbox: Inbox, reader: Reader) -> None:
    reader.stop()
    reader.stop()
    with pytest.raises(RuntimeError, match="the reader is closed"):
        reader.ask("margins", "equity", lambda: 1)
    assert not reader.busy
