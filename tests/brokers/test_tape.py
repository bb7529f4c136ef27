from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.brokers.tape import Tape
from btkite.linetime import DAY
from btkite.market.matching import Quote

MORNING = 20_000 * DAY + 33_300  # 09:15 of some day
UP, DOWN = (100.0, 103.0, 99.0, 102.0), (102.0, 104.0, 98.0, 99.0)


def tape(*candles: tuple[float, ...], starts: list[int] | None = None, span: int = 60) -> Tape:
    starts = starts if starts is not None else [MORNING + span * n for n in range(len(candles))]
    columns = [list(column) for column in zip(*candles, strict=True)] if candles else [[], [], [], []]
    return Tape(starts, [start + span for start in starts], *columns)


def play(one: Tape) -> list[Any]:
    found = []
    while (ahead := one.peek()) is not None:
        found.append(ahead)
        one.advance()
    return found


def test_a_rising_candle_prints_its_low_first_a_falling_one_its_high():
    assert [ahead.quote.last for ahead in play(tape(UP, DOWN))] == [100.0, 99.0, 103.0, 102.0, 102.0, 104.0, 98.0, 99.0]


def test_prints_are_numbered_and_timed_over_the_candle():
    found = play(tape(UP, DOWN))
    assert [ahead.number for ahead in found] == list(range(8))
    assert [ahead.time - MORNING for ahead in found] == [0, 20, 40, 59, 60, 80, 100, 119]


def test_the_price_jumps_into_a_candle_and_walks_inside_it():
    found = play(tape(UP, DOWN))
    assert [ahead.before for ahead in found[:4]] == [None, Quote.at(100.0), Quote.at(99.0), Quote.at(103.0)]
    assert found[4].before is None


@pytest.mark.parametrize(
    ("now", "inclusive", "number"),
    [
        (-1, False, -1),
        (0, False, -1),
        (0, True, 0),
        (20, False, 0),
        (20, True, 1),
        (59, True, 3),
        (60, False, 3),
        (60, True, 4),
    ],
)
def test_what_lies_before_a_moment_is_over(now, inclusive, number):
    one = tape(UP, DOWN)
    one.seek(MORNING + now, inclusive=inclusive)
    assert one.number == number


def test_a_gap_between_candles_holds_no_print():
    one = tape(UP, UP, starts=[MORNING, MORNING + 600])
    one.seek(MORNING + 300)
    assert one.number == 3
    ahead = one.peek()
    assert ahead is not None
    assert (ahead.time, ahead.before) == (MORNING + 600, None)


def test_seeking_back_and_forth_ends_where_it_should():
    one = tape(*[UP] * 10)
    for second in (300, 30, 599, 0):
        one.seek(MORNING + second)
    assert one.peek().time == MORNING


def test_candles_may_be_added_while_it_is_played():
    one = tape()
    assert one.peek() is None
    assert one.number == -1
    one.add(MORNING, MORNING + 60, *UP)
    assert len(play(one)) == 4
    one.add(MORNING + 60, MORNING + 120, *DOWN)
    ahead = one.peek()
    assert (ahead.number, ahead.before, ahead.quote) == (4, None, Quote.at(102.0))


def test_days_are_those_that_have_candles_also_the_ones_added_later():
    one = tape(UP, UP, starts=[MORNING, MORNING + 3 * DAY])
    assert one.days == {20_000, 20_003}
    one.add(MORNING + 4 * DAY, MORNING + 4 * DAY + 60, *UP)
    assert one.days == {20_000, 20_003, 20_004}


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
    st.integers(-10, 2_000),
    st.booleans(),
    st.sampled_from([60, 61, 300]),
)
def test_seek_leaves_exactly_the_prints_from_that_moment_on(gaps, second, inclusive, span):
    starts, at = [], 0
    for gap in gaps:
        starts.append(at)
        at += span + (gap - 1) * 7
    every = play(tape(*[UP] * len(starts), starts=starts, span=span))
    one = tape(*[UP] * len(starts), starts=starts, span=span)
    one.seek(second, inclusive=inclusive)
    assert play(one) == [ahead for ahead in every if ahead.time > second or (ahead.time == second and not inclusive)]
