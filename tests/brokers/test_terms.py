from __future__ import annotations

from datetime import date, datetime, timedelta

import backtrader as bt
import pytest

from btkite.brokers.terms import Terms, terms_of
from btkite.config import Config
from btkite.errors import ConfigError
from btkite.linetime import to_seconds
from btkite.values import Instrument

INFY = Instrument("NSE", "INFY")
ELSEWHERE = Instrument("", "spy")
NOW = to_seconds(datetime(2026, 11, 18, 10, 0))


def terms(valid=None, instrument=INFY, config=None, **extra) -> Terms:
    return terms_of(Config().with_(**(config or {})), instrument, valid, extra, NOW)


@pytest.mark.parametrize("valid", [None, bt.Order.DAY, timedelta(), 0, 0.0])
def test_without_a_deadline_an_order_is_the_days(valid):
    assert terms(valid) == Terms(None, False, "next_open")


@pytest.mark.parametrize(
    ("valid", "deadline"),
    [
        (timedelta(minutes=5), datetime(2026, 11, 18, 10, 5)),
        (timedelta(days=2), datetime(2026, 11, 20, 10, 0)),
        (timedelta(minutes=-5), datetime(2026, 11, 18, 9, 55)),
        (datetime(2026, 11, 19, 11, 30), datetime(2026, 11, 19, 11, 30)),
        (date(2026, 11, 19), datetime(2026, 11, 19, 15, 30)),
        (date(2026, 11, 18), datetime(2026, 11, 18, 15, 30)),
        (0.5, datetime(2026, 11, 18, 22, 0)),
        (1, datetime(2026, 11, 19, 10, 0)),
        (2 / 1440, datetime(2026, 11, 18, 10, 2)),
    ],
)
def test_a_deadline_is_a_moment_of_market_time(valid, deadline):
    assert terms(valid).deadline == to_seconds(deadline)


def test_a_number_as_large_as_a_date_is_backtraders_date():
    """What ``bt.date2num`` gives, and ``data.datetime[0] + 2``: documented by backtrader for ``valid``."""
    assert terms(bt.date2num(datetime(2026, 11, 20, 12, 0))).deadline == to_seconds(datetime(2026, 11, 20, 12, 0))


def test_a_date_without_a_session_ends_with_the_regular_hours():
    assert terms(date(2026, 11, 22)).deadline == to_seconds(datetime(2026, 11, 22, 15, 30))  # a Sunday


def test_a_date_of_data_without_an_exchange_ends_at_midnight():
    assert terms(date(2026, 11, 19), ELSEWHERE).deadline == to_seconds(datetime(2026, 11, 20))


def test_carry_is_the_configurations_unless_the_order_says():
    assert terms(config={"broker.carry": True}).carry
    assert not terms(config={"broker.carry": True}, carry=False).carry
    assert terms(carry=True).carry


@pytest.mark.parametrize("valid", [bt.Order.DAY, timedelta(days=3), date(2026, 11, 20)])
def test_who_names_an_end_is_not_carried_beyond_it(valid):
    assert terms(valid, carry=True).carry is False


def test_after_hours_is_the_configurations_unless_the_order_says():
    assert terms(config={"broker.after_hours": "refuse"}).after_hours == "refuse"
    assert terms(config={"broker.after_hours": "refuse"}, after_hours="amo").after_hours == "amo"


def test_an_order_of_variety_amo_is_an_after_market_order():
    assert terms(variety="amo").after_hours == "amo"
    assert terms(variety="amo", after_hours="next_open").after_hours == "next_open"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"valid": "tomorrow"}, "give None, a timedelta, a datetime or a date"),
        ({"valid": float("nan")}, "is not a time"),
        ({"valid": float("inf")}, "is not a time"),
        ({"after_hours": "later"}, "after_hours='later' is not one of next_open, amo, refuse"),
    ],
)
def test_what_is_no_term_is_refused_in_one_sentence(given, words):
    with pytest.raises(ConfigError, match=words):
        terms(**given)


def test_an_aware_datetime_is_taken_as_the_moment_that_it_is():
    from datetime import UTC

    assert terms(datetime(2026, 11, 18, 5, 0, tzinfo=UTC)).deadline == to_seconds(datetime(2026, 11, 18, 10, 30))
