"""Renewal: a real client before a REST server that takes one token and no other; time is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.clock import ManualClock
from btkite.errors import SessionExpired
from btkite.kite.client import KiteClient
from btkite.kite.inbox import Answer
from btkite.renewal import Renewal
from tests.kite.fakes import KEY, Asked, FakeRest, Reply, data, error

MORNING = datetime(2026, 11, 23, 10, 0)  # a Monday
DEAD, FRESH = "token-that-died", "token-of-now"


class Scene:
    """One renewal; what lies ready as tokens, and what Kite takes."""

    def __init__(self, rest: FakeRest, start: datetime = MORNING, minutes: float | None = None) -> None:
        self.clock = ManualClock(start)
        self.good: set[str] = {DEAD}
        self.ready: list[str] = []
        self.down = False
        self.heard: list[str] = []
        self.answers: list[Answer] = []
        self.rest = rest
        rest.on("/user/profile", self._profile)
        self.client = KiteClient(rest.endpoint, KEY, DEAD, user_id="AB1234", clock=self.clock, attempts=1)
        self.client.guard(self.heard.append)
        self.renewal = Renewal(
            self.client,
            lambda: self.ready,
            self._ask,
            minutes=minutes,
            exchanges=lambda: ["NSE", "NFO"],
            lockstep=False,
            now=start,
        )

    def _profile(self, asked: Asked) -> Reply:
        if self.down:
            return Reply(status=503, raw=b"<html>", content_type="text/html")
        token = asked.headers["Authorization"].rpartition(":")[2]
        if token in self.good:
            return data({"user_id": "ZZ9999" if token == "token-of-another" else "AB1234"})
        return error(403, "TokenException", "Incorrect `api_key` or `access_token`.")

    def _ask(self, kind: str, subject: Any, fn: Callable[[], Any]) -> None:
        try:
            self.answers.append(Answer(kind, subject, fn()))
        except Exception as failure:
            self.answers.append(Answer(kind, subject, error=failure))

    def call(self) -> None:
        """A call of the run's own."""
        with pytest.raises(SessionExpired):
            self.client.profile()
        self.turn()

    def turn(self) -> bool:
        """One turn of the pump; whether there is a session again."""
        for reason in self.heard[:]:
            self.heard.remove(reason)
            self.renewal.refused(reason, self.clock.now())
        back = [self.renewal.take_answer(answer, self.clock.now()) for answer in self.answers]
        self.answers.clear()
        return any(back)

    def wait(self, seconds: int) -> bool:
        """Turns, a second each, until there is a session again."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.renewal.on_time(self.clock.now())
            if self.turn():
                return True
        return False

    def lose(self) -> None:
        self.good.clear()
        self.call()

    @property
    def attempts(self) -> int:
        return len(self.rest.asked)


@pytest.fixture
def rest() -> Iterator[FakeRest]:
    fake = FakeRest()
    yield fake
    fake.close()


@pytest.fixture
def scene(rest: FakeRest) -> Iterator[Scene]:
    made = Scene(rest)
    yield made
    made.client.close()


def test_after_a_refusal_nothing_is_asked_with_the_token_any_more(scene: Scene) -> None:
    scene.lose()
    before = scene.attempts
    for _ in range(5):
        with pytest.raises(SessionExpired, match="btkite login"):
            scene.client.profile()
        with pytest.raises(SessionExpired):
            scene.client.token_for_stream()
    assert scene.attempts == before == 1
    assert scene.renewal.lost == MORNING


def test_no_more_than_three_attempts_a_minute_in_all(scene: Scene) -> None:
    scene.lose()
    scene.ready = ["token-1", "token-2", "token-3", "token-4", "token-5"]
    assert not scene.wait(60)
    assert scene.attempts <= 3
    assert not scene.wait(240)
    assert 10 <= scene.attempts <= 15


def test_a_new_token_is_taken_within_ten_seconds_of_its_appearance(scene: Scene) -> None:
    scene.lose()
    assert not scene.wait(90)
    scene.good, scene.ready = {FRESH}, [FRESH]
    assert scene.wait(10)
    assert scene.client.access_token == FRESH
    assert scene.client.profile()["user_id"] == "AB1234"
    assert timedelta(seconds=90) < scene.renewal.missed <= timedelta(seconds=100)
    assert scene.renewal.deadline is None


def test_a_refusal_by_mistake_is_over_when_the_same_token_is_taken_again(scene: Scene) -> None:
    scene.lose()
    scene.good = {DEAD}
    assert scene.wait(5)
    assert scene.client.profile()


def test_the_token_of_another_account_is_not_taken(scene: Scene) -> None:
    scene.lose()
    scene.good, scene.ready = {"token-of-another"}, ["token-of-another"]
    assert not scene.wait(30)
    assert scene.client.refused
    scene.good, scene.ready = {"token-of-another", FRESH}, ["token-of-another", FRESH]
    assert scene.wait(60)
    assert scene.client.access_token == FRESH


def test_trouble_at_kite_says_nothing_of_a_token(scene: Scene) -> None:
    scene.lose()
    scene.good, scene.ready, scene.down = {FRESH}, [FRESH], True
    assert not scene.wait(60)
    assert scene.attempts <= 3
    scene.down = False
    assert scene.wait(60)


@pytest.mark.parametrize(
    ("start", "deadline"),
    [
        (MORNING, datetime(2026, 11, 23, 15, 40)),  # NFO closes last
        (datetime(2026, 11, 21, 6, 0), datetime(2026, 11, 23, 15, 40)),  # a Saturday
    ],
)
def test_by_default_the_run_waits_until_the_market_closes(rest: FakeRest, start: datetime, deadline: datetime) -> None:
    scene = Scene(rest, start)
    scene.lose()
    assert scene.renewal.deadline == deadline
    assert not scene.renewal.over(deadline - timedelta(seconds=1))
    assert scene.renewal.over(deadline)
    scene.client.close()


def test_the_wait_may_be_said_in_minutes(rest: FakeRest) -> None:
    scene = Scene(rest, minutes=2)
    scene.lose()
    assert scene.renewal.deadline == MORNING + timedelta(minutes=2)
    scene.client.close()


def test_a_token_is_asked_for_its_life_in_the_morning_and_warned_of_before(rest: FakeRest) -> None:
    scene = Scene(rest, datetime(2026, 11, 23, 5, 29, 58))
    assert scene.renewal.on_time(scene.clock.now()) == ""
    scene.clock.set(datetime(2026, 11, 23, 5, 30))
    assert "06:00" in scene.renewal.on_time(scene.clock.now())
    assert scene.renewal.on_time(scene.clock.now()) == ""
    assert scene.attempts == 0
    scene.clock.set(datetime(2026, 11, 23, 6, 0, 5))
    scene.renewal.on_time(scene.clock.now())
    scene.turn()
    assert scene.attempts == 1
    assert scene.renewal.lost is None  # Kite has not flushed it yet
    scene.good.clear()
    scene.clock.set(datetime(2026, 11, 23, 7, 35))
    scene.renewal.on_time(scene.clock.now())
    scene.turn()
    assert scene.renewal.lost == datetime(2026, 11, 23, 7, 35)
    scene.client.close()


def test_a_refusal_of_a_token_that_was_replaced_meanwhile_loses_nothing(scene: Scene) -> None:
    """The stream's door refused the old one; what it says of that is heard after the new one was taken."""
    scene.client.refuse(DEAD, "refused at the stream's door")
    scene.good = {FRESH}
    scene.client.believe(FRESH)
    scene.turn()
    assert scene.renewal.lost is None
    assert scene.renewal.deadline is None
    assert scene.client.profile()["user_id"] == "AB1234"


def test_a_second_refusal_moves_neither_the_loss_nor_its_deadline(rest: FakeRest) -> None:
    scene = Scene(rest, minutes=10)
    scene.lose()
    scene.clock.advance(120)
    assert not scene.renewal.refused("again", scene.clock.now())
    assert (scene.renewal.lost, scene.renewal.deadline) == (MORNING, MORNING + timedelta(minutes=10))
    assert scene.renewal.reason != "again"
    scene.client.close()


def test_a_token_that_was_refused_in_an_earlier_loss_is_tried_in_the_next(scene: Scene) -> None:
    scene.lose()
    scene.ready = ["token-1"]
    assert not scene.wait(10)
    scene.good, scene.ready = {FRESH}, ["token-1", FRESH]
    assert scene.wait(90)
    scene.clock.advance(3600)
    scene.good = {"token-1"}
    scene.call()
    assert scene.wait(90)
    assert scene.client.access_token == "token-1"


def test_each_loss_is_as_long_as_it_was(scene: Scene) -> None:
    scene.lose()
    scene.good = {DEAD}
    assert scene.wait(5)
    first = scene.renewal.missed
    scene.clock.advance(600)
    scene.lose()
    assert not scene.wait(120)
    scene.good = {DEAD}
    assert scene.wait(40)
    assert timedelta() < first <= timedelta(seconds=5)
    assert timedelta(seconds=120) < scene.renewal.missed <= timedelta(seconds=160)


def test_the_moments_of_doubt_are_one_question_each(rest: FakeRest) -> None:
    scene = Scene(rest, datetime(2026, 11, 23, 6, 0, 4))
    assert scene.renewal.due == datetime(2026, 11, 23, 6, 0, 5)
    scene.wait(60)
    assert scene.attempts == 1
    assert scene.renewal.due == datetime(2026, 11, 23, 7, 35)
    scene.clock.set(datetime(2026, 11, 23, 7, 35))
    scene.renewal.on_time(scene.clock.now())
    scene.turn()
    scene.wait(60)
    assert scene.attempts == 2
    assert scene.renewal.due == datetime(2026, 11, 23, 9, 0)
    scene.clock.set(datetime(2026, 11, 23, 9, 0))
    scene.wait(60)
    assert scene.attempts == 3
    assert scene.renewal.due == datetime(2026, 11, 24, 5, 30)  # the next warning comes before the next doubt
    scene.client.close()


def test_an_answer_that_says_the_token_lives_is_no_new_session(rest: FakeRest) -> None:
    scene = Scene(rest, datetime(2026, 11, 23, 6, 0, 4))
    assert not scene.wait(10)  # nothing was lost, so nothing is back
    assert scene.attempts == 1
    scene.client.close()


def test_it_is_due_when_there_is_something_to_do(scene: Scene) -> None:
    scene.lose()
    assert scene.renewal.due == MORNING
    scene.wait(1)
    assert scene.renewal.due is not None
    assert scene.clock.now() < scene.renewal.due <= scene.clock.now() + timedelta(seconds=2)


def test_while_kite_is_out_of_reach_a_token_that_lies_ready_is_tried_twice_a_minute(scene: Scene) -> None:
    """Nothing is known of it, so it is tried again; but what is left of the attempts is for when Kite is back."""
    scene.lose()
    scene.down, scene.ready = True, [FRESH]
    before = scene.attempts
    assert not scene.wait(20)
    assert scene.attempts - before == 1
    scene.down = False
    scene.good.add(FRESH)
    assert scene.wait(30)
