"""Silence, the judge: what it is told comes with the time at which it happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from btkite.silence import Silence
from btkite.values import Tick

OPEN = datetime(2026, 11, 23, 9, 15)
ONE, TWO = 408065, 738561
BOTH = {ONE: OPEN, TWO: OPEN}


class Scene:
    """A feed of two instruments; ``step`` is a second in which frames and ticks come, or do not."""

    def __init__(self, limit: float = 30.0, now: datetime = OPEN - timedelta(minutes=1)) -> None:
        self.judge = Silence(limit)
        self.now = self.heard = now
        self.judge.link(True, "", now)
        self.volume = 100
        self.opened: dict[int, datetime] = dict(BOTH)
        self.kite: dict[int, dict[str, Any]] = {}
        self.asked: list[tuple[int, ...]] = []
        self.answers = True
        self.speed = 1.0

    def step(self, seconds: int = 1, *, ticks: tuple[int, ...] = (), frames: bool = True, frozen: bool = False) -> None:
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            if frames:
                self.heard = self.now
            stamp = 1000 if frozen else int(self.now.timestamp())
            self.volume += bool(ticks) and not frozen
            self.judge.ticked(
                [Tick(token, "full", 100.0, volume=self.volume, exchange_time=stamp) for token in ticks], self.now
            )
            opened = {token: since for token, since in self.opened.items() if since <= self.now}
            tokens = self.judge.judge(self.now, opened, self.heard, self.speed)
            if tokens:
                self.asked.append(tokens)
                if self.answers:
                    self.judge.answered(self.kite, self.now)

    def trades(self, *tokens: int) -> None:
        """Kite knows of trades that the stream did not bring."""
        self.kite = {token: {"last_price": 101.0, "volume": self.volume + 50} for token in tokens}

    def nothing_new(self) -> None:
        self.kite = {token: {"last_price": 100.0, "volume": self.volume} for token in BOTH}


def a_day() -> Scene:
    scene = Scene()
    scene.step(120, ticks=(ONE, TWO))
    assert scene.judge.reason == ""
    return scene


def test_a_link_that_is_down_is_told_after_a_reconnect_had_its_chance() -> None:
    scene = a_day()
    scene.judge.link(False, "cut", scene.now)
    scene.step(3, frames=False)
    assert scene.judge.reason == ""
    scene.step(1, frames=False)
    assert "down (cut)" in scene.judge.reason
    scene.judge.link(True, "", scene.now)
    scene.step(1)
    assert scene.judge.reason == ""


def test_a_link_that_stands_and_says_nothing_is_told_within_two_seconds_of_the_limit() -> None:
    scene = a_day()
    scene.step(30, frames=False)
    assert scene.judge.reason == ""
    scene.step(2, frames=False)
    assert "nothing has come" in scene.judge.reason
    scene.step(1, ticks=(ONE,))
    assert scene.judge.reason == ""


def test_heartbeats_without_ticks_are_silence_if_kite_has_newer_prices() -> None:
    scene = a_day()
    scene.trades(ONE)
    scene.step(30)
    assert scene.judge.reason == ""
    scene.step(2)
    assert "newer prices" in scene.judge.reason
    assert scene.asked == [(ONE, TWO)]
    scene.step(1, ticks=(TWO,))
    assert scene.judge.reason == ""


def test_a_halt_and_the_freeze_before_the_auction_are_no_alarm() -> None:
    scene = a_day()
    scene.nothing_new()
    scene.step(15 * 60)
    assert scene.judge.reason == ""
    assert scene.judge.stale == {}
    assert 25 <= len(scene.asked) <= 31  # once in the limit, no oftener


def test_ticks_that_repeat_one_moment_are_no_news() -> None:
    scene = Scene()
    scene.step(120, ticks=(ONE, TWO), frozen=True)
    scene.trades(ONE, TWO)
    scene.step(35, ticks=(ONE, TWO), frozen=True)
    assert "newer prices" in scene.judge.reason


def test_no_answer_of_kites_counts_against_the_feed() -> None:
    scene = a_day()
    scene.answers = False
    scene.step(31)
    scene.judge.answered(None, scene.now)
    scene.step(2)
    assert scene.judge.reason != ""


def test_a_tick_that_came_while_kite_was_asked_clears_the_feed() -> None:
    scene = a_day()
    scene.answers = False
    scene.step(31)
    scene.step(1, ticks=(ONE,))
    scene.trades(ONE, TWO)
    scene.judge.answered(scene.kite, scene.now)
    scene.step(3)
    assert scene.judge.reason == ""


def test_an_illiquid_symbol_among_others_is_left_alone() -> None:
    scene = a_day()
    scene.nothing_new()
    scene.step(400, ticks=(ONE,))
    assert scene.judge.reason == ""
    assert scene.judge.stale == {}
    assert scene.asked[0] == (TWO,)


def test_one_symbol_that_is_behind_kite_stops_its_own_entries_only() -> None:
    scene = a_day()
    scene.trades(TWO)
    scene.step(299, ticks=(ONE,))
    assert scene.judge.stale == {}
    scene.step(4, ticks=(ONE,))
    assert list(scene.judge.stale) == [TWO]
    assert scene.judge.reason == ""
    scene.step(1, ticks=(TWO,))
    assert scene.judge.stale == {}


def test_before_the_open_and_after_the_close_silence_is_the_rule() -> None:
    scene = Scene(now=OPEN - timedelta(minutes=10))
    scene.trades(ONE, TWO)
    scene.judge.link(False, "cut", scene.now)
    scene.step(590, frames=False)
    assert scene.judge.reason == ""
    assert scene.asked == []
    scene.judge.link(True, "", scene.now)
    scene.step(12)
    assert scene.judge.reason == ""  # the open has just been: nobody can be late yet
    scene.opened.clear()
    scene.step(60, frames=False)
    assert scene.judge.reason == ""


def test_a_link_that_was_down_at_the_open_is_told_then() -> None:
    scene = Scene(now=OPEN - timedelta(minutes=10))
    scene.judge.link(False, "cut", scene.now)
    scene.step(600 + 4, frames=False)
    assert "down" in scene.judge.reason


def test_in_a_market_that_runs_faster_than_ours_the_heartbeat_is_not_missed() -> None:
    scene = a_day()
    scene.speed = 60.0
    scene.nothing_new()
    scene.step(3 * 60, frames=False)
    assert scene.judge.reason == ""
    scene.step(17, frames=False)
    assert scene.judge.reason != ""


def test_a_reconnect_alone_does_not_end_the_silence_a_tick_does() -> None:
    scene = a_day()
    scene.trades(ONE)
    scene.step(33)
    assert scene.judge.reason != ""
    scene.judge.link(False, "silent", scene.now)
    scene.step(1, frames=False)
    scene.judge.link(True, "", scene.now)
    scene.step(5)
    assert scene.judge.reason != ""
    scene.step(1, ticks=(ONE,))
    assert scene.judge.reason == ""


def test_the_silence_ends_too_when_kite_has_nothing_newer_any_more() -> None:
    scene = a_day()
    scene.trades(ONE)
    scene.step(33)
    scene.judge.link(True, "", scene.now)
    scene.nothing_new()
    scene.step(40)
    assert scene.judge.reason == ""
