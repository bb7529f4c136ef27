"""Candles in memory: what is refused, how they are cut, and coarser bars from finer ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.errors import ConfigError, DataError
from btkite.series import Candles, aggregate, bar_ends, bar_starts, can_make, check_interval, date_numbers, moment
from btkite.values import INTERVALS

REGULAR = ((time(9, 15), time(15, 30)),)


def windows(day: date, hours: Sequence[tuple[time, time]] = REGULAR) -> list[tuple[datetime, datetime]]:
    return [(datetime.combine(day, start), datetime.combine(day, end)) for start, end in hours]


def walk(start: datetime, count: int, *, seed: int = 1, interval: str = "minute") -> Candles:
    """``count`` candles on end, with prices that a market could have made."""
    rng = np.random.default_rng(seed)
    close = np.round(500 + np.cumsum(rng.normal(0, 0.4, count)), 2)
    opened = np.round(np.append(500.0, close[:-1]) + rng.normal(0, 0.1, count), 2)
    return Candles.of(
        "NSE:INFY",
        interval,
        {
            "date": np.datetime64(start, "s") + np.arange(count) * np.timedelta64(INTERVALS[interval], "s"),
            "open": opened,
            "high": np.maximum(opened, close) + 0.25,
            "low": np.minimum(opened, close) - 0.25,
            "close": close,
            "volume": rng.integers(0, 10_000, count),
            "oi": rng.integers(0, 900, count),
        },
    )


def sessions(days: Sequence[date], hours: Sequence[tuple[time, time]] = REGULAR) -> Candles:
    """Every minute of the sessions of these days."""
    parts = []
    for number, day in enumerate(days):
        for start, end in windows(day, hours):
            parts.append(walk(start, int((end - start).total_seconds()) // 60, seed=number))
    columns = {name: np.concatenate([part.columns()[name] for part in parts]) for name in parts[0].columns()}
    return Candles.of("NSE:INFY", "minute", columns)


def one(**changes: Any) -> dict[str, Any]:
    columns = {
        "date": np.array(["2026-11-23T09:15", "2026-11-23T09:16", "2026-11-23T09:17"], "datetime64[s]"),
        "open": np.array([10.0, 11.0, 12.0]),
        "high": np.array([12.0, 13.0, 14.0]),
        "low": np.array([9.0, 10.0, 11.0]),
        "close": np.array([11.0, 12.0, 13.0]),
    }
    return {**columns, **changes}


def test_columns_of_any_number_type_become_line_buffers_and_what_lacks_is_zero() -> None:
    candles = Candles.of("NSE:INFY", "minute", one(open=[10, 11, 12]))
    assert candles.start.dtype == np.dtype("datetime64[s]")
    assert {getattr(candles, name).dtype for name in ("open", "close", "volume", "oi")} == {np.dtype(np.float64)}
    assert candles.volume.tolist() == candles.oi.tolist() == [0, 0, 0]
    assert (candles.first, candles.last) == (datetime(2026, 11, 23, 9, 15), datetime(2026, 11, 23, 9, 17))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"close": [11.0, math.nan, 13.0]}, r"row 2 \(2026-11-23 09:16:00\): close is missing"),
        ({"volume": [1, math.inf, 1]}, r"row 2 .*volume is missing"),
        ({"high": [12.0, 13.0, 12.5]}, r"row 3 .*high is below open or close"),
        ({"low": [10.5, 10.0, 11.0]}, r"row 1 .*low is above open or close"),
        ({"date": np.array(["2026-11-23T09:15"] * 3, "datetime64[s]")}, r"row 2 .*is not after the row before"),
        ({"date": np.array(["2026-11-23T09:15", "2026-11-23T09:14", "2026-11-23T09:17"], "datetime64[s]")}, "row 2"),
        (
            {"date": np.array(["2026-11-23T09:15", "NaT", "2026-11-23T09:17"], "datetime64[s]")},
            "row 2 .*date is missing",
        ),
        ({"close": [11.0, 12.0]}, "different lengths"),
    ],
)
def test_the_first_bad_row_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Candles.of("NSE:INFY", "minute", one(**changes))


def test_tidy_puts_rows_in_order_and_drops_equal_repeats() -> None:
    columns = {name: column[[2, 0, 1, 1]] for name, column in one().items()}
    assert (
        Candles.of("NSE:INFY", "minute", columns, tidy=True).digest()
        == Candles.of("NSE:INFY", "minute", one()).digest()
    )


def test_tidy_refuses_two_different_bars_of_one_time() -> None:
    columns = {name: column[[0, 1, 1]].copy() for name, column in one().items()}
    columns["volume"] = np.array([1, 2, 3])
    with pytest.raises(DataError, match="row 3"):
        Candles.of("NSE:INFY", "minute", columns, tidy=True)


def test_an_unknown_interval_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 5minute"):
        check_interval("5minutes")


def test_between_takes_starts_from_inclusive_to_exclusive() -> None:
    candles = walk(datetime(2026, 11, 23, 9, 15), 10)
    part = candles.between(datetime(2026, 11, 23, 9, 17), datetime(2026, 11, 23, 9, 20))
    assert [str(start)[-5:-3] for start in part.start] == ["17", "18", "19"]


@pytest.mark.parametrize(("warmup", "bars"), [(0, 3), (1, 4), (2, 5), (50, 5)])
def test_warmup_counts_bars_before_the_start(warmup: int, bars: int) -> None:
    candles = walk(datetime(2026, 11, 23, 9, 15), 10)
    start, end = datetime(2026, 11, 23, 9, 17), datetime(2026, 11, 23, 9, 20)
    part = candles.between(start, end, warmup_bars=warmup)
    assert len(part) == bars
    assert part.last == datetime(2026, 11, 23, 9, 19)


def test_tail_gives_the_last_bars_and_no_more_than_there_are() -> None:
    candles = walk(datetime(2026, 11, 23, 9, 15), 10)
    assert candles.tail(3).first == datetime(2026, 11, 23, 9, 22)
    assert len(candles.tail(0)) == 0
    assert len(candles.tail(99)) == 10


def test_a_frame_has_kites_columns_and_whole_volumes() -> None:
    frame = walk(datetime(2026, 11, 23, 9, 15), 3).frame()
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume", "oi"]
    assert str(frame["date"].dtype).startswith("datetime64[")
    assert frame["date"].dt.tz is None
    assert frame["volume"].dtype == frame["oi"].dtype == np.int64


def test_the_digest_depends_on_the_numbers_and_on_nothing_else() -> None:
    candles = walk(datetime(2026, 11, 23, 9, 15), 50)
    again = Candles.of(candles.key, "minute", candles.columns(), source="elsewhere")
    assert again.digest() == candles.digest()
    changed = {**candles.columns(), "volume": candles.volume + (np.arange(50) == 49)}
    assert Candles.of(candles.key, "minute", changed).digest() != candles.digest()
    assert Candles.of("NSE:TCS", "minute", candles.columns()).digest() != candles.digest()


@pytest.mark.parametrize(
    ("given", "end", "result"),
    [
        (None, False, None),
        (date(2026, 11, 23), False, datetime(2026, 11, 23)),
        (date(2026, 11, 23), True, datetime(2026, 11, 24)),
        ("2026-11-23", True, datetime(2026, 11, 24)),
        ("2026-11-23 09:15", True, datetime(2026, 11, 23, 9, 15)),
        (datetime(2026, 11, 23, 9, 15), True, datetime(2026, 11, 23, 9, 15)),
        (datetime(2026, 11, 23, 3, 45, tzinfo=UTC), False, datetime(2026, 11, 23, 9, 15)),
        (
            datetime(2026, 11, 23, 9, 15, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            False,
            datetime(2026, 11, 23, 9, 15),
        ),
    ],
)
def test_times_as_users_write_them(given: Any, end: bool, result: datetime | None) -> None:
    assert moment(given, end=end) == result


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="'23/11/2026' is not a date"):
        moment("23/11/2026")


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0)))
def test_date_numbers_equal_backtraders_to_the_last_bit(when: datetime) -> None:
    assert date_numbers(np.array([when], "datetime64[s]"))[0] == bt.date2num(when)


# ---- coarser bars -----------------------------------------------------------------------------


def by_hand(candles: Candles, minutes: int, anchor: datetime) -> dict[datetime, tuple[float, ...]]:
    """The same grouping, bar by bar."""
    bars: dict[datetime, list[float]] = {}
    for row in range(len(candles)):
        start = candles.start[row].item()
        open_at = anchor.replace(year=start.year, month=start.month, day=start.day)
        slot = open_at + (start - open_at) // timedelta(minutes=minutes) * timedelta(minutes=minutes)
        high, low, close = candles.high[row], candles.low[row], candles.close[row]
        if slot not in bars:
            bars[slot] = [candles.open[row], high, low, close, candles.volume[row], candles.oi[row]]
        else:
            bar = bars[slot]
            bar[1], bar[2], bar[3] = max(bar[1], high), min(bar[2], low), close
            bar[4], bar[5] = bar[4] + candles.volume[row], candles.oi[row]
    return {slot: tuple(bar) for slot, bar in bars.items()}


@pytest.mark.parametrize("interval", [name for name in INTERVALS if name not in ("minute", "day")])
def test_coarser_bars_are_anchored_at_the_open(interval: str) -> None:
    candles = sessions([date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)])
    # An illiquid instrument lacks minutes, also the first of a bar.
    keep = np.arange(len(candles)) % 7 != 0
    candles = Candles.of(candles.key, "minute", {name: column[keep] for name, column in candles.columns().items()})
    made = aggregate(candles, interval, windows)
    expected = by_hand(candles, INTERVALS[interval] // 60, datetime(2026, 11, 19, 9, 15))
    columns = (made.open, made.high, made.low, made.close, made.volume, made.oi)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    assert dict(zip(made.start.tolist(), rows, strict=True)) == expected


def test_hours_begin_at_0915_and_the_last_is_short() -> None:
    made = aggregate(sessions([date(2026, 11, 23)]), "60minute", windows)
    assert [f"{start:%H:%M}" for start in made.start.tolist()] == [
        "09:15",
        "10:15",
        "11:15",
        "12:15",
        "13:15",
        "14:15",
        "15:15",
    ]
    ends = bar_ends("NSE:INFY", made.start, "60minute", windows)
    assert [f"{end:%H:%M}" for end in ends.tolist()][-2:] == ["15:15", "15:30"]


def test_a_day_is_one_bar_from_midnight_that_ends_at_the_close() -> None:
    fine = sessions([date(2026, 11, 20), date(2026, 11, 23)])
    made = aggregate(fine, "day", windows)
    assert made.start.tolist() == [datetime(2026, 11, 20), datetime(2026, 11, 23)]
    assert made.volume.sum() == fine.volume.sum()
    assert bar_ends("NSE:INFY", made.start, "day", windows).tolist() == [
        datetime(2026, 11, 20, 15, 30),
        datetime(2026, 11, 23, 15, 30),
    ]


def test_a_muhurat_hour_is_anchored_at_its_own_open() -> None:
    hours = ((time(13, 45), time(14, 45)),)
    made = aggregate(sessions([date(2025, 10, 21)], hours), "60minute", lambda day: windows(day, hours))
    assert made.start.tolist() == [datetime(2025, 10, 21, 13, 45)]


def test_no_bar_bridges_the_two_windows_of_a_halted_day() -> None:
    hours = ((time(9, 15), time(11, 40)), (time(15, 45), time(17, 0)))

    def halted(day: date) -> list[tuple[datetime, datetime]]:
        return windows(day, hours)

    made = aggregate(sessions([date(2021, 2, 24)], hours), "60minute", halted)
    starts = [f"{start:%H:%M}" for start in made.start.tolist()]
    assert starts == ["09:15", "10:15", "11:15", "15:45", "16:45"]
    ends = [f"{end:%H:%M}" for end in bar_ends("NSE:INFY", made.start, "60minute", halted).tolist()]
    assert ends == ["10:15", "11:15", "11:40", "16:45", "17:00"]


def test_prints_outside_the_session_stay_on_its_grid_and_are_not_lost() -> None:
    day = datetime(2026, 11, 23)
    stamps = [
        day + timedelta(hours=9, minutes=7),
        day + timedelta(hours=9, minutes=15),
        day + timedelta(hours=15, minutes=33),
    ]
    starts = np.array(stamps, "datetime64[s]")
    slots = bar_starts("NSE:INFY", starts, "5minute", windows).tolist()
    assert [f"{slot:%H:%M}" for slot in slots] == ["09:05", "09:15", "15:30"]


def test_candles_on_a_day_without_a_session_are_refused() -> None:
    with pytest.raises(DataError, match="2026-11-23, when the calendar knows no session"):
        aggregate(sessions([date(2026, 11, 23)]), "5minute", lambda day: [])


@pytest.mark.parametrize(
    ("fine", "coarse", "possible"),
    [
        ("minute", "60minute", True),
        ("5minute", "15minute", True),
        ("10minute", "15minute", False),
        ("3minute", "5minute", False),
        ("60minute", "day", True),
        ("day", "60minute", False),
        ("minute", "minute", False),
    ],
)
def test_which_bars_can_be_made_from_which(fine: str, coarse: str, possible: bool) -> None:
    assert can_make(fine, coarse) is possible


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(DataError, match="15minute candles cannot be made from 10minute"):
        aggregate(walk(datetime(2026, 11, 23, 9, 15), 4, interval="10minute"), "15minute", windows)


@given(st.sampled_from(["3minute", "5minute", "15minute", "30minute"]), st.integers(0, 9))
def test_two_steps_make_what_one_step_makes(middle: str, seed: int) -> None:
    candles = walk(datetime(2026, 11, 23, 9, 15), 375, seed=seed)
    coarse = "60minute" if can_make(middle, "60minute") else "day"
    assert (
        aggregate(aggregate(candles, middle, windows), coarse, windows).digest()
        == aggregate(candles, coarse, windows).digest()
    )
