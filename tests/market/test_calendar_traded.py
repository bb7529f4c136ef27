"""The calendar equals the traded dates and minutes of all the real candles beside the repository, and each of their
own gaps is named here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from importlib import resources
from pathlib import Path

import pandas as pd
import pytest

from btkite.market.calendar import shipped
from tests.shared import ROOT, need

pytestmark = pytest.mark.shared

# What a file lacks although it was traded: faults of a feed, not of the market (both indices froze for a while on
# days on which shares traded on).
GAPS = {
    ("NIFTY_50_minute_2022.parquet", "2022-01-21"): 13,
    ("NIFTY_BANK_minute_2022.parquet", "2022-01-21"): 13,
    ("NIFTY_50_minute_2022.parquet", "2022-03-07"): 40,
    ("NIFTY_BANK_minute_2022.parquet", "2022-03-07"): 77,
}
MISSING_DAYS = {"60minute": {date(2025, 1, 9)}}  # day candles and NSE's own files have it


def stamps(path: Path) -> pd.Series:
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, parse_dates=["date"])
    return frame["date"].dt.tz_localize(None)


def files(pattern: str) -> list[str]:
    """Relative names; one that says what lacks where the folder is not there."""
    found = sorted(path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").glob(pattern))
    return found or [pattern]


def grid(exchange: str, day: date, minutes: int) -> set[datetime]:
    session = shipped().session(exchange, day)
    assert session is not None, f"{day} was traded, and the calendar calls it closed"
    assert session.source, f"nobody vouches for {day}"
    step = timedelta(minutes=minutes)
    return {start + step * count for start, end in session.parts for count in range(-(-(end - start) // step))}


def by_day(times: pd.Series) -> Iterator[tuple[date, set[datetime]]]:
    for day, group in times.groupby(times.dt.date):
        assert isinstance(day, date)
        yield day, set(group.dt.to_pydatetime() if hasattr(group.dt, "to_pydatetime") else group)


@pytest.mark.parametrize("name", files("daily/*_day.csv"))
def test_the_days_of_a_daily_series_are_the_sessions(name: str) -> None:
    traded = set(stamps(need(name)).dt.date)
    assert {session.date for session in shipped().sessions("NSE", min(traded), max(traded))} == traded


@pytest.mark.parametrize("name", [name for name in files("minute/*") if "lean" not in name])
def test_the_minutes_of_a_series_are_those_of_the_sessions(name: str) -> None:
    times = stamps(need(name))
    days = dict(by_day(times))
    if "sample" not in name:  # those have single days
        assert [one.date for one in shipped().sessions("NSE", min(days), max(days))] == sorted(days)
    lacking = {}
    for day, have in days.items():
        minutes = grid("NSE", day, 1)
        assert have <= minutes, f"{name}: {min(have - minutes)} is outside the session"
        assert (min(have), max(have)) == (min(minutes), max(minutes))
        if have < minutes:
            lacking[Path(name).name, day.isoformat()] = len(minutes - have)
    assert lacking == {gap: count for gap, count in GAPS.items() if gap[0] == Path(name).name}


@pytest.mark.parametrize("name", files("hourly/*"))
def test_the_hours_of_a_series_are_those_of_the_sessions(name: str) -> None:
    days = dict(by_day(stamps(need(name))))
    sessions = {session.date for session in shipped().sessions("NSE", min(days), max(days))}
    assert sessions - set(days) == MISSING_DAYS["60minute"]
    for day, have in days.items():
        assert have == grid("NSE", day, 60)


def test_sparse_minutes_lie_in_the_sessions_of_their_days() -> None:
    """The library's samples have minutes with trades only, and label the pre-open's print and what came after 15:30
    with the minute in which it was published."""
    frame = pd.read_parquet(need("minute/lean_india_samples_2019.parquet"))
    times = pd.to_datetime(frame["date"]).dt.tz_localize(None)
    published = {"09:07", "15:30", "15:31", "15:40"}
    for _, series in times.groupby(frame["symbol"]):
        for day, have in by_day(series):
            outside = have - grid("NSE", day, 1)
            assert {f"{moment:%H:%M}" for moment in outside} <= published
            assert len(outside) <= 3


def test_the_seconds_of_an_index_show_pre_open_and_session() -> None:
    with gzip.open(need("ticks/NIFTY50_1s_last_price_2022-08-29.csv.gz"), "rt") as lines:
        times = [datetime.fromisoformat(line.partition(",")[0]) for line in lines if line.strip()]
    session = shipped().session("NSE", date(2022, 8, 29))
    early = shipped().session("NSE", date(2022, 8, 29), kind="pre_open")
    assert session is not None
    assert early is not None
    assert early.open <= times[0] < early.close
    inside = [moment for moment in times if session.is_open(moment)]
    assert (inside[0] - session.open).total_seconds() < 2
    assert (session.close - inside[-1]).total_seconds() < 2


def test_a_captured_book_of_options_lies_in_the_session() -> None:
    path = need("ticks/kite_top_of_book_BANKNIFTY26FEB59700_CE_PE_2026-01-29.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        written = [json.loads(line)["ts"] for line in lines]
    times = pd.to_datetime(pd.Series(written), utc=True, format="ISO8601").dt.tz_convert("Asia/Kolkata")
    naive = times.dt.tz_localize(None).dt.floor("us")
    assert len(naive) > 1000
    assert shipped().is_open("NFO", naive.min().to_pydatetime())
    assert shipped().is_open("NFO", naive.max().to_pydatetime())


def test_the_table_is_that_of_the_reference_and_more() -> None:
    """Every row of the compiled exceptions is shipped, to the letter; what is more concerns currency only."""
    theirs = need("sessions_nse.csv").read_text(encoding="utf-8").splitlines()
    ours = (resources.files("btkite") / "data" / "sessions.csv").read_text(encoding="utf-8").splitlines()
    assert not set(theirs) - set(ours)
    more = [line.split(",") for line in sorted(set(ours) - set(theirs))]
    assert {row[1] for row in more} == {"CDS", "BCD"}
    assert {row[-1] for row in more} == {"background"}
