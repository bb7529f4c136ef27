"""Days to learn on and days to be tested on: never the same, never in the wrong order."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from btkite.errors import ConfigError
from btkite.sweeps.splits import Window, first_day, held_out, last_day, walking

DAYS = [date(2026, 1, 1) + timedelta(days=number) for number in range(50)]
WHOLE = Window(None, datetime(2026, 3, 1))


def day(number: int) -> datetime:
    return datetime(2026, 1, 1) + timedelta(days=number)


def test_the_last_days_are_held_out() -> None:
    fold = held_out(DAYS, 20, WHOLE)
    assert fold.train == Window(None, day(40))
    assert fold.test == Window(day(40), datetime(2026, 3, 1))


def test_a_walk_tests_each_day_once_and_learns_on_three_times_as_many_before() -> None:
    folds = walking(DAYS, 7, WHOLE)
    assert [fold.test.begin for fold in folds] == [day(15 + 5 * number) for number in range(7)]
    for fold, after in pairwise(folds):
        assert fold.train.end == fold.test.begin
        assert fold.test.end == after.test.begin
    assert folds[0].train.begin is None
    assert folds[1].train.begin == day(5)
    assert folds[-1].test.end == WHOLE.end
    anchored = walking(DAYS, 7, WHOLE, anchored=True)
    assert [fold.test for fold in anchored] == [fold.test for fold in folds]
    assert {fold.train.begin for fold in anchored} == {None}


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 days are too few for 3 folds: take 12 days at least, or fewer folds"):
        walking(DAYS[:5], 3, WHOLE)
    with pytest.raises(ConfigError, match="--walk-forward takes 2 folds or more, not 1"):
        walking(DAYS, 1, WHOLE)
    with pytest.raises(ConfigError, match="10 % of 5 days are 0: both sides need 2 at least"):
        held_out(DAYS[:5], 10, WHOLE)
    with pytest.raises(ConfigError, match="--out-of-sample takes per cent of the days, between 0 and 100, not 100"):
        held_out(DAYS, 100, WHOLE)


def test_a_window_as_a_command_line_says_it() -> None:
    assert first_day(datetime(2026, 1, 2)) == "2026-01-02"
    assert last_day(datetime(2026, 1, 2)) == "2026-01-01"
    assert first_day(datetime(2026, 1, 2, 9, 30)) == "2026-01-02 09:30:00"
    assert last_day(datetime(2026, 1, 2, 9, 30)) == "2026-01-02 09:30:00"
