"""The calendar's end: refused, warned of, or told every day; the exchange's book says whether anything was sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite import almanac
from btkite.config import Config
from btkite.errors import ConfigError
from btkite.market.calendar import calendar, put_in_force
from tests.receiver import Receiver
from tests.runs.scene import at, go, orders_sent, served


@pytest.fixture(autouse=True)
def as_shipped() -> Iterator[None]:
    yield
    put_in_force(None)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def ends(config: Config, day: datetime, **more: Any) -> Config:
    return config.with_(**{"calendar.valid_until": day.date(), **more})


def test_live_past_the_end_of_the_calendar_is_refused_and_paper_is_not(
    config: Config, made: Any, begin: datetime
) -> None:
    old = ends(config, begin - timedelta(days=1))
    with served(made) as exchange:
        with pytest.raises(
            ConfigError, match=r"the calendar of NSE ends on .*`btkite calendar import FILE`.*unverified: weekdays"
        ):
            go(at(old, exchange), mode="live")
        assert orders_sent(exchange) == []
        go(at(old, exchange), mode="paper")
    with served(made) as exchange:
        go(at(ends(config, begin + timedelta(days=90)), exchange), mode="live")
        assert orders_sent(exchange) != []


def told_of(receiver: Receiver) -> list[str]:
    return [one["message"] for one in receiver.got if "calendar" in one["message"]]


def test_weekdays_are_taken_for_sessions_with_an_alert_a_day(
    config: Config, receiver: Receiver, begin: datetime
) -> None:
    old = ends(config, begin - timedelta(days=1), **{"calendar.unverified": "weekdays", "alerts.urls": [receiver.url]})
    result = go(old, mode="live", start=begin, sessions=2)
    assert len(result.trades) > 5
    messages = told_of(receiver)
    assert len(messages) >= 2, messages
    assert len(set(messages)) == len(messages)
    assert f"{begin:%Y-%m-%d} is taken for a session: the calendar of NSE ends on" in messages[0]


def test_the_end_is_told_thirty_days_ahead(config: Config, receiver: Receiver, begin: datetime) -> None:
    near = ends(config, begin + timedelta(days=30), **{"alerts.urls": [receiver.url]})
    go(near, mode="live", start=begin, sessions=1)
    assert "in 30 days: give `btkite calendar import FILE`" in told_of(receiver)[0]
    before = len(told_of(receiver))
    far = ends(config, begin + timedelta(days=60), **{"alerts.urls": [receiver.url]})
    go(far, mode="live", start=begin, sessions=1)
    assert len(told_of(receiver)) == before


def test_a_run_that_outlives_the_calendar_opens_nothing_more(
    config: Config, receiver: Receiver, begin: datetime
) -> None:
    last = ends(config, begin, **{"alerts.urls": [receiver.url]})
    result = go(last, mode="live", start=begin, sessions=2)
    asked = result.orders[(result.orders["side"] == "BUY") & (result.orders["created"] > begin + timedelta(days=1))]
    assert len(result.trades) > 3
    assert set(asked["status"]) <= {"Rejected"}
    assert any("entries pause: the calendar of NSE ends on" in message for message in told_of(receiver))


def test_a_run_with_rows_of_its_own_has_them_in_force(config: Config, begin: datetime) -> None:
    day = begin + timedelta(days=400)
    go(config.with_(**{"calendar.overlay": [f"{day:%Y-%m-%d} NSE muhurat 18:00-19:00"]}), mode="backtest")
    session = calendar().session("NSE", day.date())
    assert session is not None
    assert (session.kind, session.source) == ("muhurat", "calendar.overlay")
    go(config, mode="backtest")
    other = calendar().session("NSE", day.date())
    assert other is None or other.kind != "muhurat"


def test_what_other_exchanges_know_is_not_asked(begin: datetime) -> None:
    """NSE's list speaks for a run on NSE, though nobody has given MCX's."""
    day = (begin - timedelta(days=1)).date()
    put_in_force(calendar().with_overlay([], until={"MCX": day, "NSE": begin.date() + timedelta(days=90)}))
    assert almanac.beyond(begin.date(), {"NSE", "BFO"}) == ""
    assert almanac.beyond(begin.date(), {"NSE", "MCX"}).startswith(f"the calendar of MCX ends on {day}")
    assert "in 0 days" in almanac.soon_over(day, {"MCX"})
    assert almanac.soon_over(begin.date(), {"NSE"}) == ""
