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


def test_a_link_that_fails_again_and_again_is_down_since_it_first_was() -> None:
    scene = a_day()
    for number in range(3):
        scene.judge.link(False, f"cut {number}", scene.now)
        scene.step(2, frames=False)
    assert scene.judge.reason == "the stream is down (cut 0)"


def test_a_link_that_was_down_at_the_open_has_its_chance_from_then_on() -> None:
    scene = Scene(now=OPEN - timedelta(minutes=10))
    scene.judge.link(False, "cut", scene.now)
    scene.step(600 + 3, frames=False)
    assert scene.judge.reason == ""
    scene.step(1, frames=False)
    assert "down" in scene.judge.reason


def test_a_link_that_has_just_come_back_owes_nothing_yet() -> None:
    """Not a frame, not a tick: the limit is counted from its coming back."""
    scene = a_day()
    scene.nothing_new()
    scene.judge.link(False, "cut", scene.now)
    scene.step(60, frames=False)
    scene.judge.link(True, "", scene.now)
    scene.step(30, frames=False)
    assert scene.judge.reason == ""
    assert scene.asked == []
    scene.step(2, frames=False)
    assert "nothing has come on it for 32 s" in scene.judge.reason


def test_ticks_that_a_link_owes_are_counted_from_its_coming_back() -> None:
    scene = a_day()
    scene.trades(ONE, TWO)
    scene.judge.link(False, "cut", scene.now)
    scene.step(60, frames=False)
    scene.judge.link(True, "", scene.now)
    scene.step(30)
    assert (scene.judge.reason, scene.asked) == ("", [])
    scene.step(2)
    assert "newer prices" in scene.judge.reason


def test_at_the_open_a_stream_that_was_silent_before_owes_nothing_yet() -> None:
    scene = Scene(now=OPEN - timedelta(minutes=10))
    scene.step(600 + 30, frames=False)
    assert scene.judge.reason == ""
    scene.step(3, frames=False)
    assert "nothing has come" in scene.judge.reason


def test_ticks_without_a_time_are_news_each() -> None:
    scene = Scene()
    scene.trades(ONE, TWO)
    for _ in range(120):
        scene.step()
        scene.judge.ticked([Tick(token, "ltp", 100.0) for token in BOTH], scene.now)
    assert scene.asked == []
    assert scene.judge.reason == ""


def test_an_older_tick_is_no_news_and_does_not_change_what_is_known() -> None:
    scene = a_day()
    stamp = int(scene.now.timestamp())
    scene.kite = {token: {"last_price": 100.0, "volume": scene.volume} for token in BOTH}
    for _ in range(40):
        scene.step()
        scene.judge.ticked([Tick(token, "full", 90.0, volume=5, exchange_time=stamp - 60) for token in BOTH], scene.now)
    assert scene.asked != []
    assert scene.judge.reason == ""


def test_what_a_second_brought_last_is_what_kites_word_is_compared_with() -> None:
    """Several trades in one second: the last of them is the price that Kite tells, too."""
    scene = a_day()
    stamp = int(scene.now.timestamp())
    scene.judge.ticked([Tick(token, "full", 103.0, volume=500, exchange_time=stamp) for token in BOTH], scene.now)
    scene.kite = {token: {"last_price": 103.0, "volume": 500} for token in BOTH}
    scene.step(60)
    assert scene.asked != []
    assert scene.judge.reason == ""


def test_what_a_second_brought_last_is_not_missed_if_kite_has_the_price_before() -> None:
    scene = a_day()
    stamp = int(scene.now.timestamp())
    scene.judge.ticked([Tick(token, "full", 103.0, volume=500, exchange_time=stamp) for token in BOTH], scene.now)
    scene.kite = {token: {"last_price": 103.0, "volume": 501} for token in BOTH}
    scene.step(33)
    assert "newer prices" in scene.judge.reason


def test_kites_word_counts_once() -> None:
    """What it said of an instrument that has traded since says nothing of its next quiet hour."""
    scene = a_day()
    scene.trades(TWO)
    scene.step(305, ticks=(ONE,))
    assert list(scene.judge.stale) == [TWO]
    scene.step(1, ticks=(ONE, TWO))
    scene.nothing_new()
    scene.kite[TWO]["volume"] = scene.volume
    scene.step(320, ticks=(ONE,))
    assert scene.judge.stale == {}


def test_kite_is_asked_one_question_at_a_time() -> None:
    scene = a_day()
    scene.answers = False
    scene.step(300)
    assert scene.asked == [(ONE, TWO)]
    scene.nothing_new()
    scene.judge.answered(scene.kite, scene.now)
    scene.step(1)
    assert scene.asked == [(ONE, TWO)] * 2


def test_an_answer_about_one_does_not_end_the_silence_of_all() -> None:
    scene = a_day()
    known = scene.volume
    scene.step(299, ticks=(ONE,))
    scene.answers = False
    scene.step(2, ticks=(ONE,))
    assert scene.asked[-1] == (TWO,)
    scene.step(32, frames=False)
    said = scene.judge.reason
    assert "nothing has come" in said
    scene.kite = {TWO: {"last_price": 100.0, "volume": known}}
    scene.judge.answered(scene.kite, scene.now)
    assert scene.judge.reason == said


def test_at_the_close_all_that_was_said_of_single_instruments_is_over() -> None:
    scene = a_day()
    scene.trades(TWO)
    scene.step(303, ticks=(ONE,))
    assert list(scene.judge.stale) == [TWO]
    opened = dict(scene.opened)
    scene.opened.clear()
    scene.step(1)
    assert scene.judge.stale == {}
    scene.opened = dict.fromkeys(opened, scene.now)
    scene.step(1)
    assert scene.judge.stale == {}


def test_in_a_fast_market_what_came_behind_kites_word_has_time_to_be_read() -> None:
    scene = a_day()
    scene.speed = 60.0
    scene.trades(ONE)
    while not scene.asked:
        scene.step()
    scene.step(10)
    assert scene.judge.reason == ""
    scene.step(1, ticks=(ONE,))
    scene.step(20)
    assert scene.judge.reason == ""
    scene.trades(ONE)
    scene.step(90)
    assert "newer prices" in scene.judge.reason
