"""Whole seconds and backtrader's line datetimes: exact both ways."""

from __future__ import annotations

from datetime import datetime, timedelta

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.linetime import DAY, as_seconds, from_seconds, seconds_of, to_seconds
from btkite.series import date_numbers

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 12, 31)).map(lambda moment: moment.replace(microsecond=0))


@given(MOMENTS)
def test_a_lines_datetime_is_the_second_that_it_was_made_of(moment: datetime) -> None:
    assert from_seconds(seconds_of(bt.date2num(moment))) == moment
    assert seconds_of(date_numbers(np.array([moment], dtype="datetime64[s]"))[0]) == to_seconds(moment)


@given(MOMENTS)
def test_seconds_and_back(moment: datetime) -> None:
    assert from_seconds(to_seconds(moment)) == moment
    assert from_seconds(np.int64(to_seconds(moment))) == moment


@given(st.lists(MOMENTS, max_size=20), st.sampled_from(["s", "ms", "us", "ns"]))
def test_columns_of_any_unit_are_the_same_seconds(moments: list[datetime], unit: str) -> None:
    column = np.array(moments, dtype=f"datetime64[{unit}]")
    assert as_seconds(column).tolist() == [to_seconds(moment) for moment in moments]


def test_seconds_are_counted_from_1970_in_ist() -> None:
    assert to_seconds(datetime(1970, 1, 1)) == 0
    assert to_seconds(datetime(1970, 1, 2)) == DAY
    assert to_seconds(datetime(2024, 7, 1, 9, 15, 0, 999_999)) == to_seconds(datetime(2024, 7, 1, 9, 15))


@pytest.mark.parametrize("microseconds", [-40, 40])
def test_the_grain_of_a_line_does_not_move_a_second(microseconds: int) -> None:
    moment = datetime(2024, 7, 1, 9, 16)
    assert seconds_of(bt.date2num(moment + timedelta(microseconds=microseconds))) == to_seconds(moment)
