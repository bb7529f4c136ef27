"""Rows of the user's own, in words, over the shipped calendar."""

from __future__ import annotations

from datetime import date, time

import pytest

from btkite.errors import ConfigError
from btkite.market.calendar import EXCHANGES, Calendar, shipped
from btkite.market.overlay import parse_row
from btkite.market.sessions import ExceptionRow


def over(*rows: str) -> Calendar:
    return shipped().with_overlay([parse_row(row, EXCHANGES) for row in rows])


def hours(known: Calendar, exchange: str, day: str) -> list[str] | None:
    session = known.session(exchange, date.fromisoformat(day))
    return None if session is None else [f"{start:%H:%M}-{end:%H:%M}" for start, end in session.parts]


def test_a_row_is_one_sentence() -> None:
    assert parse_row("2027-10-29 nse muhurat 18:00-19:00 Laxmi Pujan", EXCHANGES) == ExceptionRow(
        date(2027, 10, 29), "NSE", "muhurat", time(18), time(19), note="Laxmi Pujan"
    )
    split = parse_row("2027-03-06 NFO special 9:15-10:00 11:30-12:30", EXCHANGES)
    assert split[3:7] == (time(9, 15), time(10), time(11, 30), time(12, 30))
    assert parse_row("2026-12-16 NSE closed polling in Mumbai", EXCHANGES).note == "polling in Mumbai"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("16-12-2026 NSE closed", "no date YYYY-MM-DD"),
        ("2026-12-16 NSEE closed", "the exchange is one of NSE"),
        ("2026-12-16 NSE shut", "the kind is one of closed"),
        ("2026-12-16", "the exchange is one of"),
        ("2026-12-16 NSE closed 09:15-15:30", "closed has none of its own"),
        ("2026-12-16 NSE special", "has no hours"),
        ("2026-12-16 NSE special 19:00-18:00", "do not follow one another"),
        ("2026-12-16 NSE special 09:15-10:00 09:45-12:30", "do not follow one another"),
        ("2026-12-16 NSE special 29:15-30:00", "no times of day"),
        ("2026-12-16 NSE special 09:15-10:00 11:00-12:00 13:00-14:00", "at most two parts"),
    ],
)
def test_a_row_that_makes_no_sense_is_refused_with_the_form(row: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_row(row, EXCHANGES)


def test_muhurat_hours_that_were_notified_late_hold_on_all_that_follow_nse() -> None:
    known = over("2026-11-08 NSE muhurat 18:00-19:00")
    for exchange in ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD"):
        assert hours(known, exchange, "2026-11-08") == ["18:00-19:00"]
    assert hours(known, "MCX", "2026-11-08") == []  # MCX notifies its own
    both = over("2026-11-08 NSE muhurat 18:00-19:00", "2026-11-08 MCX muhurat 18:00-19:15")
    assert hours(both, "MCX", "2026-11-08") == ["18:00-19:15"]


def test_a_holiday_that_was_moved() -> None:
    """As 2023-06-28, which was closed by the list and traded after all, and the day after instead."""
    known = over("2026-11-24 NSE regular", "2026-11-25 NSE closed Guru Nanak Jayanti")
    assert hours(known, "NSE", "2026-11-24") == ["09:15-15:30"]
    assert hours(known, "NFO", "2026-11-24") == ["09:15-15:40"]
    assert hours(known, "BFO", "2026-11-25") is None
    assert hours(known, "MCX", "2026-11-25") == ["17:00-23:55"]
    assert hours(known, "CDS", "2026-11-24") is None  # currency's own list says so


def test_a_special_saturday_is_not_currencys() -> None:
    known = over("2026-12-05 NSE special 09:15-10:00 11:30-12:30")
    assert hours(known, "BFO", "2026-12-05") == ["09:15-10:00", "11:30-12:30"]
    assert hours(known, "CDS", "2026-12-05") is None
    assert hours(known, "MCX", "2026-12-05") is None


def test_a_halt_is_one_exchanges_own() -> None:
    known = over("2026-12-03 NSE halt 09:15-11:40 15:45-17:00")
    assert hours(known, "NSE", "2026-12-03") == ["09:15-11:40", "15:45-17:00"]
    assert hours(known, "BSE", "2026-12-03") == ["09:15-15:30"]


def test_a_follower_with_a_row_of_its_own_has_its_own() -> None:
    known = over("2026-12-03 NSE closed", "2026-12-03 CDS special 09:00-12:00")
    assert hours(known, "CDS", "2026-12-03") == ["09:00-12:00"]
    assert hours(known, "BCD", "2026-12-03") is None


def test_what_lies_over_the_shipped_rows_is_told_with_its_hours() -> None:
    rows = {(row.exchange, row.date): row for row in over("2026-12-05 NSE regular").overlaid()}
    assert {exchange for exchange, _ in rows} == {"NSE", "BSE", "NFO", "BFO"}
    assert rows["NFO", date(2026, 12, 5)][3:5] == (time(9, 15), time(15, 40))
    assert shipped().overlaid() == []
