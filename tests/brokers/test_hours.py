from __future__ import annotations

from datetime import date, datetime

import pytest

from btkite.brokers import hours
from btkite.linetime import DAY, to_seconds
from btkite.market.calendar import calendar
from btkite.values import Instrument

INFY, GOLD, SPY = Instrument("NSE", "INFY"), Instrument("MCX", "GOLD"), Instrument("", "spy")


def at(*moment: int) -> int:
    return to_seconds(datetime(*moment))


def day(*moment: int) -> int:
    return at(*moment) // DAY


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ((2026, 11, 18, 9, 14, 59), False),
        ((2026, 11, 18, 9, 15), True),
        ((2026, 11, 18, 15, 29, 59), True),
        ((2026, 11, 18, 15, 30), False),
        ((2026, 11, 21, 12, 0), False),  # a Saturday
    ],
)
def test_a_session_holds_its_open_and_not_its_close(moment, inside):
    found = hours.session_at(INFY, at(*moment))
    assert found == ((at(2026, 11, 18, 9, 15), at(2026, 11, 18, 15, 30)) if inside else None)


def test_a_day_that_has_candles_is_traded_whatever_the_table_says():
    noon = at(2026, 11, 22, 12, 0)  # a Sunday
    assert hours.session_at(INFY, noon) is None
    assert hours.session_at(INFY, noon, traded_anyway=True) == (at(2026, 11, 22, 9, 15), at(2026, 11, 22, 15, 30))


def test_each_exchange_has_its_own_hours():
    evening = at(2026, 11, 18, 20, 0)
    assert hours.session_at(INFY, evening) is None
    assert hours.session_at(GOLD, evening) is not None


def test_the_next_open_is_today_before_it_tomorrow_after_it_and_skips_the_weekend():
    assert hours.next_open(INFY, at(2026, 11, 18, 8, 0)) == at(2026, 11, 18, 9, 15)
    assert hours.next_open(INFY, at(2026, 11, 18, 9, 15)) == at(2026, 11, 18, 9, 15)
    assert hours.next_open(INFY, at(2026, 11, 18, 9, 15, 1)) == at(2026, 11, 19, 9, 15)
    assert hours.next_open(INFY, at(2026, 11, 20, 15, 30)) == at(2026, 11, 23, 9, 15)


def test_the_next_open_may_be_a_day_that_only_the_candles_know():
    sunday = day(2026, 11, 22)
    assert hours.next_open(INFY, at(2026, 11, 20, 15, 30), candle_days=frozenset({sunday})) == at(2026, 11, 22, 9, 15)


def test_a_split_session_is_one_session():
    """A rehearsal Saturday has two parts: orders live through the break."""
    known = calendar()
    split = next(
        (session for session in known.sessions("NSE", date(2024, 1, 1), date(2024, 12, 31)) if len(session.parts) == 2),
        None,
    )
    assert split is not None
    (first, ends), (begins, last) = split.parts
    pause = (to_seconds(ends) + to_seconds(begins)) // 2
    assert hours.session_at(INFY, pause) == (to_seconds(first), to_seconds(last))
    assert hours.close_of_day(INFY, pause) == to_seconds(last)


def test_a_day_closes_with_its_session_and_a_closed_one_with_the_regular_hours():
    assert hours.close_of_day(INFY, at(2026, 11, 18, 10, 0)) == at(2026, 11, 18, 15, 30)
    assert hours.close_of_day(INFY, at(2026, 11, 22, 10, 0)) == at(2026, 11, 22, 15, 30)


def test_data_without_an_exchange_is_traded_around_the_clock():
    night = at(2026, 11, 22, 3, 0)
    assert hours.session_at(SPY, night) == (at(2026, 11, 22), at(2026, 11, 23))
    assert hours.next_open(SPY, at(2026, 11, 22)) == at(2026, 11, 22)
    assert hours.next_open(SPY, night) == at(2026, 11, 23)
    assert hours.close_of_day(SPY, night) == at(2026, 11, 23)


def test_an_exchange_that_nobody_knows_is_traded_around_the_clock_too():
    """A DataFrame without a symbol is DATA:frame."""
    frame = Instrument("DATA", "frame")
    night = at(2026, 11, 22, 3, 0)
    assert hours.session_at(frame, night) == (at(2026, 11, 22), at(2026, 11, 23))
    assert hours.close_of_day(frame, night) == at(2026, 11, 23)


def test_far_years_have_sessions_too():
    assert hours.next_open(INFY, at(2035, 6, 4, 8, 0)) == at(2035, 6, 4, 9, 15)
