"""The oracles are the compiled facts of the sessions reference: counts, dates and hours, not our rules."""

from __future__ import annotations

import time as timer
from datetime import date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.errors import ConfigError, DataError
from btkite.exchange import hours as exchange_hours
from btkite.market.calendar import EXCHANGES, Calendar, ExceptionRow, calendar, us_daylight_saving
from btkite.market.intervals import Interval
from btkite.market.sessions import SessionKind

moments = st.datetimes(datetime(2016, 1, 1), datetime(2027, 3, 1))
exchanges = st.sampled_from(EXCHANGES)
intervals = st.sampled_from(list(Interval))


def hours(exchange: str, day: str, **asked: str) -> list[str]:
    session = calendar().session(exchange, date.fromisoformat(day), **asked)  # type: ignore[arg-type]
    return [] if session is None else [f"{start:%H:%M}-{end:%H:%M}" for start, end in session.parts]


# -- trading days -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "count"),
    list(zip(range(2016, 2027), (247, 248, 246, 245, 252, 248, 248, 246, 249, 249, 247), strict=True)),
)
def test_sessions_of_a_year_are_as_measured(year: int, count: int) -> None:
    for exchange in ("NSE", "BSE", "NFO", "BFO"):
        assert len(calendar().sessions(exchange, date(year, 1, 1), date(year, 12, 31))) == count


def test_sessions_of_2026_until_the_last_measured_day() -> None:
    assert len(calendar().sessions("NSE", date(2026, 1, 1), date(2026, 8, 21))) == 158


def test_exactly_ten_weekend_days_traded_and_one_is_to_come() -> None:
    weekend = [
        s.date.isoformat()
        for s in calendar().sessions("NSE", date(2016, 1, 1), date(2026, 12, 31))
        if s.date.weekday() >= 5
    ]
    assert weekend == [
        "2016-10-30",
        "2019-10-27",
        "2020-02-01",
        "2020-11-14",
        "2023-11-12",
        "2024-01-20",
        "2024-03-02",
        "2024-05-18",
        "2025-02-01",
        "2026-02-01",
        "2026-11-08",
    ]


@pytest.mark.parametrize(
    "day",
    ["2019-04-29", "2019-10-21", "2020-05-25", "2023-06-29", "2024-01-22", "2024-05-20", "2024-11-20", "2026-01-15"],
)
def test_days_that_were_closed_at_short_notice_are_closed(day: str) -> None:
    assert hours("NSE", day) == hours("NFO", day) == []


@pytest.mark.parametrize("day", ["2023-06-28", "2020-07-31", "2025-11-14", "2024-04-16"])
def test_days_that_lists_wrongly_close_are_open(day: str) -> None:
    assert hours("NSE", day) == ["09:15-15:30"]


# -- hours --------------------------------------------------------------------------------------------


def test_continuous_trading_of_2026_08_03_ends_by_what_is_traded() -> None:
    assert hours("NSE", "2026-07-31", instrument_class="cas") == ["09:15-15:30"]
    assert hours("NSE", "2026-08-03", instrument_class="cas") == ["09:15-15:15"]
    assert hours("BSE", "2026-08-03", instrument_class="cas") == ["09:15-15:15"]
    assert hours("NSE", "2026-08-03") == hours("NSE", "2026-08-03", instrument_class="noncas") == ["09:15-15:30"]
    for exchange in ("NFO", "BFO"):
        assert hours(exchange, "2026-07-31", instrument_class="options") == ["09:15-15:30"]
        assert hours(exchange, "2026-08-03", instrument_class="options") == ["09:15-15:40"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2016-10-30", "18:30-19:30"),
        ("2017-10-19", "18:30-19:30"),
        ("2018-11-07", "17:30-18:30"),
        ("2019-10-27", "18:15-19:15"),
        ("2020-11-14", "18:15-19:15"),
        ("2021-11-04", "18:15-19:15"),
        ("2022-10-24", "18:15-19:15"),
        ("2023-11-12", "18:15-19:15"),
        ("2024-11-01", "18:00-19:00"),
        ("2025-10-21", "13:45-14:45"),
    ],
)
def test_muhurat_hours(day: str, expected: str) -> None:
    for exchange in ("NSE", "BSE", "NFO", "BFO", "CDS"):
        assert hours(exchange, day) == [expected]


@pytest.mark.parametrize("day", ["2024-03-02", "2024-05-18"])
def test_the_two_drill_saturdays_have_two_parts(day: str) -> None:
    assert hours("NSE", day) == hours("BFO", day) == ["09:15-10:00", "11:30-12:30"]
    assert hours("CDS", day) == hours("MCX", day) == []


def test_2024_01_20_was_a_full_day_whatever_was_announced() -> None:
    assert hours("NSE", "2024-01-20") == ["09:15-15:30"]


def test_the_outage_of_2021_02_24_split_nse_while_bse_went_on() -> None:
    assert hours("NSE", "2021-02-24") == hours("NFO", "2021-02-24") == ["09:15-11:40", "15:45-17:00"]
    assert hours("BSE", "2021-02-24") == hours("BFO", "2021-02-24") == ["09:15-17:00"]
    assert hours("CDS", "2021-02-24") == ["09:00-11:40", "15:30-17:00"]


def test_the_market_wide_halts_of_2020() -> None:
    assert hours("NSE", "2020-03-13") == ["09:15-09:21", "10:20-15:30"]
    assert hours("BSE", "2020-03-23") == ["09:15-09:58", "10:58-15:30"]


def test_currency_hours_and_holidays_of_its_own() -> None:
    assert hours("CDS", "2025-06-10") == ["09:00-17:00"]
    assert hours("CDS", "2025-02-19") == hours("BCD", "2026-03-19") == []
    assert hours("NSE", "2025-02-19") == ["09:15-15:30"]
    assert hours("CDS", "2018-01-26") == []  # equity holidays close it too, where its own were not compiled
    before = calendar().session("CDS", date(2018, 1, 25))
    assert before is not None
    assert not before.verified


@pytest.mark.parametrize(
    ("summer", "winter"),
    [
        ("2016-03-14", "2016-11-07"),
        ("2017-03-13", "2017-11-06"),
        ("2018-03-12", "2018-11-05"),
        ("2019-03-11", "2019-11-04"),
        ("2020-03-09", "2020-11-02"),
        ("2021-03-15", "2021-11-08"),
        ("2022-03-14", "2022-11-07"),
        ("2023-03-13", "2023-11-06"),
        ("2024-03-11", "2024-11-04"),
        ("2025-03-10", "2025-11-03"),
        ("2026-03-09", "2026-11-02"),
        ("2027-03-15", "2027-11-08"),
    ],
)
def test_mcx_changes_its_close_with_the_united_states(summer: str, winter: str) -> None:
    first, last = date.fromisoformat(summer), date.fromisoformat(winter)
    assert us_daylight_saving(first)
    assert not us_daylight_saving(first - timedelta(1))
    assert us_daylight_saving(last - timedelta(1))
    assert not us_daylight_saving(last)
    friday = (first - timedelta(3)).isoformat()
    assert hours("MCX", winter)[0].endswith("23:55")
    assert hours("MCX", friday)[0].endswith("23:55")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2018-12-28", ["10:00-23:55"]),
        ("2018-12-31", ["09:00-23:55"]),
        ("2020-03-30", ["09:00-17:00"]),
        ("2020-04-23", ["09:00-23:30"]),
        ("2020-04-10", []),
        ("2025-03-14", ["17:00-23:30"]),
        ("2026-11-24", ["17:00-23:55"]),
        ("2026-01-26", []),
        ("2026-01-01", ["09:00-17:00"]),
        ("2025-07-23", ["10:15-23:30"]),
        # years without rows of their own follow the pattern
        ("2022-08-31", ["17:00-23:30"]),
        ("2022-03-01", ["17:00-23:55"]),
        ("2022-08-15", []),
        ("2022-04-15", []),
        ("2017-04-14", []),
        ("2022-10-05", ["17:00-23:30"]),
        ("2021-01-01", ["09:00-17:00"]),
    ],
)
def test_mcx_days(day: str, expected: list[str]) -> None:
    assert hours("MCX", day) == expected


@pytest.mark.parametrize(
    ("exchange", "day", "asked", "expected"),
    [
        ("NSE", "2025-12-08", {"kind": "pre_open"}, ["09:00-09:08"]),
        ("NSE", "2026-09-07", {"kind": "pre_open"}, ["09:00-09:10"]),
        ("NSE", "2026-07-31", {"kind": "post_close"}, ["15:40-16:00"]),
        ("NSE", "2026-08-03", {"kind": "post_close"}, ["15:50-16:00"]),
        ("NSE", "2026-08-03", {"kind": "closing_auction", "instrument_class": "cas"}, ["15:15-15:35"]),
        ("NSE", "2026-08-03", {"kind": "closing_auction"}, []),
        ("NFO", "2025-12-05", {"kind": "pre_open", "instrument_class": "futures"}, []),
        ("NFO", "2025-12-08", {"kind": "pre_open", "instrument_class": "futures"}, ["09:00-09:08"]),
        ("NFO", "2025-12-08", {"kind": "pre_open", "instrument_class": "options"}, []),
        ("NSE", "2025-12-25", {"kind": "pre_open"}, []),
    ],
)
def test_other_windows_by_date(exchange: str, day: str, asked: dict[str, str], expected: list[str]) -> None:
    assert hours(exchange, day, **asked) == expected


# -- unknown ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exchange", "day"), [("NSE", "2026-11-08"), ("MCX", "2026-11-08"), ("NFO", "2017-07-10"), ("MCX", "2024-11-01")]
)
def test_unknown_hours_are_refused_not_guessed(exchange: str, day: str) -> None:
    session = calendar().session(exchange, date.fromisoformat(day))
    assert session is not None
    assert not session.times_known
    assert session.parts == ()
    assert not any(calendar().is_open(exchange, datetime.combine(session.date, time(hour))) for hour in range(24))
    with pytest.raises(DataError, match=f"hours of {exchange} on {day}"):
        _ = session.open


@pytest.mark.parametrize(("exchange", "kind"), [("NFO", "closing_auction"), ("CDS", "pre_open"), ("MCX", "post_close")])
def test_unknown_hours_bring_no_window_that_the_exchange_has_not(exchange: str, kind: SessionKind) -> None:
    assert calendar().session(exchange, date(2026, 11, 8)) is not None
    assert calendar().session(exchange, date(2026, 11, 8), kind=kind) is None


def test_a_special_day_has_the_other_windows_at_their_distances() -> None:
    """SEBI's rules of the closing auction hold for special sessions with the same durations; entry for the open
    begins 15 minutes before it, as on every muhurat day of the record."""
    day = date(2026, 11, 8)
    special = calendar().with_overlay([ExceptionRow(day, "NSE", "muhurat", time(18), time(19))])

    def window(**asked: str) -> list[str]:
        session = special.session("NSE", day, **asked)  # type: ignore[arg-type]
        return [f"{start:%H:%M}-{end:%H:%M}" for start, end in session.parts] if session else []

    assert window() == ["18:00-19:00"]
    assert window(instrument_class="cas") == ["18:00-18:45"]
    assert window(kind="closing_auction", instrument_class="cas") == ["18:45-19:05"]
    assert window(kind="pre_open") == ["17:45-17:55"]
    assert window(kind="post_close") == ["19:10-19:20"]


@pytest.mark.parametrize(
    ("day", "kind", "expected"),
    [  # as the notices of those days had them
        ("2018-11-07", "pre_open", ["17:15-17:23"]),
        ("2020-11-14", "pre_open", ["18:00-18:08"]),
        ("2025-10-21", "pre_open", ["13:30-13:38"]),
        ("2024-03-02", "pre_open", ["09:00-09:08", "11:15-11:23"]),
        ("2021-02-24", "pre_open", ["09:00-09:08", "15:30-15:38"]),
        ("2023-11-12", "post_close", ["19:25-19:35"]),
        ("2024-11-01", "post_close", ["19:10-19:20"]),
        ("2024-03-02", "post_close", ["12:40-12:50"]),
        ("2021-02-24", "post_close", ["17:10-17:30"]),
        ("2025-02-01", "post_close", ["15:40-16:00"]),
    ],
)
def test_the_other_windows_of_special_days(day: str, kind: str, expected: list[str]) -> None:
    assert hours("NSE", day, kind=kind) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-03", {"": "09:00-23:55", "agri_linked": "09:00-21:30", "agri": "09:00-17:00"}),
        ("2026-10-30", {"": "09:00-23:30", "agri_linked": "09:00-21:00", "agri": "09:00-17:00"}),
        ("2026-09-14", {"": "17:00-23:30", "agri_linked": "17:00-21:00", "agri": ""}),
        ("2026-01-01", {"": "09:00-17:00", "agri_linked": "09:00-17:00", "agri": "09:00-17:00"}),
        ("2017-06-01", {"": "10:00-23:30", "agri_linked": "10:00-21:00", "agri": "10:00-17:00"}),
    ],
)
def test_agricultural_contracts_end_earlier(day: str, expected: dict[str, str]) -> None:
    found = {name: "".join(hours("MCX", day, **({"instrument_class": name} if name else {}))) for name in expected}
    assert found == expected


@pytest.mark.parametrize(
    ("exchange", "day", "of", "expected"),
    [
        ("NSE", "2024-06-10", None, "15:20"),
        ("NSE", "2026-08-03", None, "15:25"),
        ("NSE", "2026-08-03", "cas", "15:12"),
        ("NSE", "2026-07-31", "cas", "15:25"),
        ("NFO", "2018-06-11", None, "15:20"),
        ("NFO", "2026-08-03", None, "15:25"),
        ("CDS", "2024-06-10", None, "16:45"),
        ("MCX", "2024-06-10", None, "23:05"),
        ("MCX", "2024-12-10", None, "23:30"),
        ("MCX", "2026-11-03", None, "23:45"),
        ("MCX", "2022-08-31", None, "23:05"),
        ("NSE", "2025-10-21", None, "14:35"),
        ("NSE", "2024-03-02", None, "12:20"),
        ("NSE", "2026-12-25", None, None),
        ("NSE", "2026-11-08", None, None),
    ],
)
def test_square_off_by_segment_and_date(exchange: str, day: str, of: str | None, expected: str | None) -> None:
    at = calendar().square_off(exchange, date.fromisoformat(day), instrument_class=of)  # type: ignore[arg-type]
    assert (f"{at:%H:%M}" if at else None) == expected


def test_every_exception_and_every_regular_session_names_its_source() -> None:
    for exchange in EXCHANGES:
        for days in range((date(2026, 12, 31) - date(2016, 1, 1)).days + 1):
            day = date(2016, 1, 1) + timedelta(days)
            session = calendar().session(exchange, day)
            row = calendar().exception(exchange, day)
            assert session is None or session.source or not session.verified, f"{exchange} {day}"
            assert row is None or row.source or row.note, f"{exchange} {day}"


def test_the_exchange_reads_the_same_days_and_hours() -> None:
    """Two codes read the tables; what they make of them is the same on every date, by table and by pattern."""
    for exchange in EXCHANGES:
        for days in range(4200):
            day = date(2016, 1, 1) + timedelta(days)
            session = calendar().session(exchange, day)
            if session is not None and not session.times_known:
                continue  # a stop whose time is unknown: the exchange plays it as one window
            ours = (
                []
                if session is None
                else [(start.hour * 60 + start.minute, end.hour * 60 + end.minute) for start, end in session.parts]
            )
            theirs = [(start // 60, end // 60) for start, end in exchange_hours.windows(exchange, day)]
            assert ours == theirs, f"{exchange} {day}"


@pytest.mark.parametrize(
    ("day", "verified"), [("2015-12-31", False), ("2016-01-04", True), ("2026-12-31", True), ("2027-01-04", False)]
)
def test_what_lies_outside_the_tables_is_not_verified(day: str, verified: bool) -> None:
    session = calendar().session("NSE", date.fromisoformat(day))
    assert session is not None
    assert session.parts
    assert session.verified is verified


@pytest.mark.parametrize(("wrong", "hint"), [("NSEE", "NSE"), ("nfo", "NFO")])
def test_an_unknown_exchange_is_refused_with_a_hint(wrong: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {hint}"):
        calendar().session(wrong, date(2025, 1, 1))


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(ConfigError, match="noncas, cas"):
        calendar().session("NSE", date(2025, 1, 1), instrument_class="shares")  # type: ignore[arg-type]


# -- overlay ------------------------------------------------------------------------------------------


def test_a_holiday_declared_this_week_closes_every_segment_but_mcx_evening() -> None:
    day = date(2026, 12, 16)
    patched = calendar().with_overlay([ExceptionRow(day, "NSE", "closed", note="polling")])
    for exchange in ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD"):
        assert patched.session(exchange, day) is None
    evening = patched.session("MCX", day)
    assert evening is not None
    assert evening.open == datetime(2026, 12, 16, 17)
    assert calendar().session("NSE", day) is not None


def test_an_overlay_may_extend_the_horizon() -> None:
    longer = calendar().with_overlay(
        [ExceptionRow(date(2027, 1, 26), "NSE", "closed")], until={"NSE": date(2027, 12, 31)}
    )
    assert longer.session("NSE", date(2027, 1, 26)) is None
    monday = longer.session("NSE", date(2027, 1, 25))
    assert monday is not None
    assert monday.verified
    assert (longer.valid_until("NSE"), longer.valid_until("MCX")) == (date(2027, 12, 31), date(2026, 12, 31))
    commodity = longer.session("MCX", date(2027, 1, 25))
    assert commodity is not None
    assert not commodity.verified


def test_a_malformed_row_says_what_a_row_needs() -> None:
    with pytest.raises(ConfigError, match="YYYY-MM-DD"):
        ExceptionRow.parse({"date": "26-01-2027", "exchange_segment": "NSE", "kind": "closed"})


# -- moving about -------------------------------------------------------------------------------------


def test_next_open_from_inside_between_and_after() -> None:
    market = calendar()
    assert market.next_open("NSE", datetime(2024, 3, 2, 9)) == datetime(2024, 3, 2, 9, 15)
    assert market.next_open("NSE", datetime(2024, 3, 2, 9, 15)) == datetime(2024, 3, 2, 9, 15)
    assert market.next_open("NSE", datetime(2024, 3, 2, 9, 16)) == datetime(2024, 3, 2, 11, 30)
    assert market.next_open("NSE", datetime(2024, 3, 2, 12, 30)) == datetime(2024, 3, 4, 9, 15)
    assert market.next_open("NSE", datetime(2026, 11, 7, 12)) == datetime(2026, 11, 9, 9, 15)  # muhurat hours unknown


def test_the_gap_of_a_split_session_is_in_the_session_but_not_open() -> None:
    gap = datetime(2024, 3, 2, 10, 30)
    assert calendar().session_at("NSE", gap) is not None
    assert not calendar().is_open("NSE", gap)
    assert calendar().session_at("NSE", datetime(2024, 3, 2, 12, 30)) is None
    assert calendar().session_at("NSE", datetime(2024, 3, 3, 10)) is None


def test_neighbouring_session_days_step_over_long_weekends() -> None:
    assert calendar().previous_session_day("NSE", date(2024, 1, 23)) == date(2024, 1, 20)
    assert calendar().next_session_day("NSE", date(2024, 1, 20)) == date(2024, 1, 23)


@given(exchanges, moments, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_next_open_never_goes_back_and_is_an_open(exchange: str, moment: datetime, later: timedelta) -> None:
    market = calendar()
    first, second = market.next_open(exchange, moment), market.next_open(exchange, moment + later)
    assert moment <= first <= second
    assert market.is_open(exchange, first)
    assert not market.is_open(exchange, first - timedelta(microseconds=1))
    assert market.next_open(exchange, first) == first


@given(exchanges, st.dates(date(2016, 1, 1), date(2027, 3, 1)))
def test_parts_are_ordered_and_within_their_date(exchange: str, day: date) -> None:
    session = calendar().session(exchange, day)
    edges = [edge for part in session.parts for edge in part] if session else []
    assert edges == sorted(set(edges))
    assert all(edge.date() == day for edge in edges)


# -- bars ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "interval", "end"),
    [
        ("2025-06-10T09:15", "minute", "2025-06-10T09:16"),
        ("2025-06-10T15:15", "60minute", "2025-06-10T15:30"),
        ("2025-06-10T00:00", "day", "2025-06-10T15:30"),
        ("2025-10-21T13:45", "60minute", "2025-10-21T14:45"),
        ("2025-10-21T00:00", "day", "2025-10-21T14:45"),
        ("2024-03-02T09:45", "30minute", "2024-03-02T10:00"),
        ("2024-03-02T12:15", "30minute", "2024-03-02T12:30"),
        ("2021-02-24T11:15", "60minute", "2021-02-24T11:40"),
        ("2021-02-24T00:00", "day", "2021-02-24T17:00"),
        ("2025-06-14T00:00", "day", "2025-06-14T15:30"),  # a Saturday that the table calls closed
        ("2025-06-14T15:15", "60minute", "2025-06-14T15:30"),
        ("2026-11-08T18:15", "minute", "2026-11-08T18:16"),  # hours unknown: not cut
        ("2025-06-10T15:40", "minute", "2025-06-10T15:41"),  # a print after the close
    ],
)
def test_a_bar_ends_after_its_length_or_with_its_part(start: str, interval: str, end: str) -> None:
    assert calendar().bar_end("NSE", datetime.fromisoformat(start), interval) == datetime.fromisoformat(end)


def test_a_bar_end_follows_the_class() -> None:
    start = datetime(2026, 8, 3, 15, 10)
    assert calendar().bar_end("NSE", start, "10minute", instrument_class="cas") == datetime(2026, 8, 3, 15, 15)
    assert calendar().bar_end("NSE", start, "10minute") == datetime(2026, 8, 3, 15, 20)


def test_bars_are_counted_from_the_open_of_their_own_part() -> None:
    market = calendar()
    assert market.bar_start("NSE", datetime(2025, 6, 10, 10, 20), "60minute") == datetime(2025, 6, 10, 10, 15)
    assert market.bar_start("NSE", datetime(2024, 3, 2, 12, 10), "30minute") == datetime(2024, 3, 2, 12)
    assert market.bar_start("NSE", datetime(2021, 2, 24, 16, 50), "60minute") == datetime(2021, 2, 24, 16, 45)
    assert market.bar_start("NSE", datetime(2024, 3, 2, 10, 30), "minute") is None
    assert market.bar_start("NSE", datetime(2025, 6, 10, 12), "day") == datetime(2025, 6, 10)


@given(exchanges, moments, intervals)
def test_a_moment_lies_in_its_bar_and_bars_meet(exchange: str, moment: datetime, interval: Interval) -> None:
    market = calendar()
    start = market.bar_start(exchange, moment, interval)
    assert (start is not None) == market.is_open(exchange, moment)
    if start is None:
        return
    end = market.bar_end(exchange, start, interval)
    assert start <= moment < end
    if interval.intraday and market.is_open(exchange, end):
        assert market.bar_start(exchange, end, interval) == end


@given(exchanges, st.lists(moments, max_size=40), intervals)
def test_many_ends_at_once_are_the_single_ends(exchange: str, at: list[datetime], interval: Interval) -> None:
    starts = np.array([moment.replace(microsecond=0) for moment in at], dtype="datetime64[s]")
    ends = calendar().bar_ends(exchange, starts, interval)
    assert ends.dtype == "datetime64[s]"
    assert ends.tolist() == [calendar().bar_end(exchange, start, interval) for start in starts.tolist()]


def test_a_split_days_ends_are_cut_at_each_part_at_once() -> None:
    written = ["2024-03-02T09:15", "2024-03-02T09:45", "2024-03-02T12:00", "2024-03-04T15:15"]
    starts = np.array(written, dtype="datetime64[m]")
    assert calendar().bar_ends("NSE", starts, "30minute").astype(str).tolist() == [
        "2024-03-02T09:45:00",
        "2024-03-02T10:00:00",
        "2024-03-02T12:30:00",
        "2024-03-04T15:30:00",
    ]


def test_ends_of_a_million_bars_take_a_blink() -> None:
    starts = np.datetime64("2016-01-01", "s") + np.arange(1_000_000) * np.timedelta64(300, "s")
    calendar().bar_ends("NSE", starts[:1], "5minute")
    best = min(_cpu_seconds(starts) for _ in range(5))
    assert best < 0.1, f"{best:.3f} s"


def _cpu_seconds(starts: np.ndarray) -> float:
    begun = timer.process_time()
    calendar().bar_ends("NSE", starts, "5minute")
    return timer.process_time() - begun


def test_a_calendar_of_ones_own_needs_no_tables() -> None:
    market = Calendar([ExceptionRow(date(2030, 1, 1), "NSE", "closed")], valid_until=date(2030, 12, 31))
    assert market.session("NSE", date(2030, 1, 1)) is None
    assert market.session("NSE", date(2030, 1, 2)) is not None
