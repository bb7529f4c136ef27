"""Where candles meet the calendar."""

from __future__ import annotations

import os
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from btkite.files import named, read_file
from btkite.grid import Quality, ends_of, quality, windows_of
from btkite.series import Candles, aggregate, bar_starts
from btkite.values import INTERVALS


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).parents[2] / "shared") / "data"
    if not (folder / "minute").is_dir():
        pytest.skip(f"no shared data: {folder}/minute is absent (set BTKITE_SHARED)")
    return folder


def flat(starts: list[datetime], interval: str = "minute") -> Candles:
    ones = np.ones(len(starts))
    columns = {"date": np.array(starts, "datetime64[s]"), "open": ones, "high": ones, "low": ones, "close": ones}
    return Candles.of("NSE:INFY", interval, columns)


def minutes(day: date, opened: time, closed: time) -> list[datetime]:
    start, end = datetime.combine(day, opened), datetime.combine(day, closed)
    return [start + timedelta(minutes=number) for number in range(int((end - start).total_seconds()) // 60)]


@pytest.mark.parametrize(
    ("key", "day", "hours"),
    [
        ("NSE:INFY", date(2024, 11, 4), [("09:15", "15:30")]),
        ("NSE:INFY", date(2025, 10, 21), [("13:45", "14:45")]),
        ("NSE:INFY", date(2021, 2, 24), [("09:15", "11:40"), ("15:45", "17:00")]),
        ("MCX:GOLD26DECFUT", date(2024, 11, 5), [("09:00", "23:55")]),
        ("NSE:INFY", date(2024, 11, 10), [("09:15", "15:30")]),  # a Sunday: the regular hours
        ("DATA:frame", date(2024, 11, 4), [("09:15", "15:30")]),  # no exchange of ours: NSE's
    ],
)
def test_windows_of_regular_and_special_days(key: str, day: date, hours: list[tuple[str, str]]) -> None:
    found = [(f"{start:%H:%M}", f"{end:%H:%M}") for start, end in windows_of(key)(day)]
    assert found == hours


def test_ends_are_cut_at_the_close() -> None:
    starts = np.array(["2024-11-04T14:15", "2024-11-04T15:15"], "datetime64[s]")
    ends = ends_of("NSE:INFY", "60minute")(starts).astype("datetime64[s]").tolist()
    assert ends == [datetime(2024, 11, 4, 15, 15), datetime(2024, 11, 4, 15, 30)]


def test_a_whole_series_lacks_nothing() -> None:
    days = [date(2024, 10, 31), date(2024, 11, 4)]
    starts = minutes(days[0], time(9, 15), time(15, 30)) + minutes(days[1], time(9, 15), time(15, 30))
    muhurat = minutes(date(2024, 11, 1), time(18, 0), time(19, 0))
    assert quality(flat(sorted(starts + muhurat))) == Quality()
    assert quality(flat(starts)) == Quality(days=(date(2024, 11, 1),))


def test_missing_bars_and_bars_outside_are_counted() -> None:
    day = date(2024, 11, 4)
    starts = minutes(day, time(9, 15), time(15, 30))
    del starts[100:103]
    outside = [datetime(2024, 11, 4, 9, 7), datetime(2024, 11, 4, 15, 31)]
    assert quality(flat(sorted(starts + outside))) == Quality(bars=3, outside=2)


def test_what_lies_before_the_first_and_after_the_last_bar_is_not_missing() -> None:
    assert quality(flat(minutes(date(2024, 11, 4), time(10, 0), time(11, 0)))) == Quality()


def test_day_candles_of_closed_days_are_outside() -> None:
    days = [datetime(2024, 11, 4), datetime(2024, 11, 6), datetime(2024, 11, 9)]
    found = quality(flat(days, "day"))
    assert found == Quality(days=(date(2024, 11, 5), date(2024, 11, 7), date(2024, 11, 8)), outside=1)


def test_no_candles_lack_nothing() -> None:
    assert quality(Candles.empty("NSE:INFY", "minute")) == Quality()


def test_the_grid_is_the_one_of_kites_own_hours(shared: Path) -> None:
    """Every real 60minute candle, a muhurat session's among them, starts where our grid starts one."""
    for path in sorted((shared / "hourly").glob("*.csv")):
        name = named(path)
        (one,) = read_file(path, f"NSE:{name.symbol}", "60minute")
        candles = one.candles
        windows = windows_of(candles.key)
        slots = np.concatenate(
            [
                np.arange(
                    np.datetime64(start, "s"), np.datetime64(end, "s"), np.timedelta64(INTERVALS["60minute"], "s")
                )
                for day in np.unique(candles.start.astype("datetime64[D]")).tolist()
                for start, end in windows(day)
            ]
        )
        assert candles.start.tolist() == slots.tolist()
        assert bar_starts(candles.key, candles.start, "60minute", windows).tolist() == candles.start.tolist()
        assert quality(candles).outside == 0


def test_real_minutes_of_a_year_make_seven_hours_a_day(shared: Path) -> None:
    (one,) = read_file(shared / "minute" / "NIFTY_50_minute_2022.parquet", "NSE:NIFTY 50", "minute")
    windows = windows_of(one.candles.key)
    hours = aggregate(one.candles, "60minute", windows)
    days = hours.start.astype("datetime64[D]")
    found, counts = np.unique(days, return_counts=True)
    assert dict(zip(*np.unique(counts, return_counts=True), strict=True)) == {7: len(found) - 1, 1: 1}
    muhurat = found[counts == 1][0]
    assert hours.start[days == muhurat].tolist() == [datetime(2022, 10, 24, 18, 15)]
    assert hours.high.max() == one.candles.high.max()
    assert aggregate(hours, "day", windows).digest() == aggregate(one.candles, "day", windows).digest()
