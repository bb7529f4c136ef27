from __future__ import annotations

import pytest

from btkite.errors import ConfigError
from btkite.market.intervals import Interval, from_backtrader, parse_interval
from btkite.values import INTERVALS


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("minute", "minute"),
        ("1minute", "minute"),
        ("1m", "minute"),
        ("5minute", "5minute"),
        (" 5 Min ", "5minute"),
        ("5", "5minute"),
        ("1h", "60minute"),
        ("hour", "60minute"),
        ("60m", "60minute"),
        ("day", "day"),
        ("1d", "day"),
        ("D", "day"),
        ("daily", "day"),
    ],
)
def test_many_spellings_name_one_of_kites_intervals(written: str, name: str) -> None:
    assert parse_interval(written) == name


@pytest.mark.parametrize(
    ("written", "hint"), [("7m", "5minute"), ("2h", "60minute"), ("5minuet", "5minute"), ("", "day")]
)
def test_an_unknown_interval_is_refused_with_the_nearest_one(written: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{hint}'"):
        parse_interval(written)


def test_an_interval_is_its_kite_name_and_survives_parsing() -> None:
    for interval in Interval:
        assert parse_interval(interval) is interval
        assert parse_interval(str(interval)) is interval
        assert f"{interval}" == interval.value


def test_lengths_and_backtrader_names_agree() -> None:
    for interval in Interval:
        unit = 86_400 if interval.timeframe == "Days" else 60
        assert interval.seconds == unit * interval.compression
        assert from_backtrader(interval.timeframe, interval.compression) is interval


def test_a_backtrader_timeframe_without_candles_is_refused() -> None:
    with pytest.raises(ConfigError, match="Minutes x 7"):
        from_backtrader("Minutes", 7)


def test_the_intervals_are_those_of_the_one_table() -> None:
    assert {interval.value: interval.seconds for interval in Interval} == dict(INTERVALS)
