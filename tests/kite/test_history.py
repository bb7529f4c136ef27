"""Downloading candles: chunks, resuming, what is not kept, and a past that changes."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from btkite.candles import CandleCache
from btkite.clock import ManualClock
from btkite.errors import ConfigError, DataError, KiteUnavailable
from btkite.kite.client import KiteClient
from btkite.kite.history import MAX_DAYS, Downloaded, Progress, chunks, download
from btkite.kite.pace import Pace
from btkite.values import INTERVALS, Instrument
from tests.kite.fakes import Asked, FakeRest, Reply, data, error

TOKEN = 408065
INFY = Instrument("NSE", "INFY", TOKEN, tick_size=0.1, name="INFOSYS")
NOON = datetime(2026, 11, 23, 12, 0)


class KiteHistory:
    """What Kite would have: bars of weekday sessions since the listing, and every request it got."""

    def __init__(self, clock: ManualClock, listed: datetime) -> None:
        self.clock, self.listed = clock, listed
        self.factor = 1.0  # of all prices before `split`
        self.split = datetime.min
        self.asked: list[tuple[str, datetime, datetime, dict[str, str]]] = []
        self.placeholders: list[datetime] = []
        self.refuse_from = 10**9  # requests from this number on are refused
        self.doubled = False

    def rows(self, interval: str, start: datetime, end: datetime) -> list[list[Any]]:
        step = timedelta(seconds=INTERVALS[interval])
        now, rows, day = self.clock.now(), [], start.date()
        while datetime.combine(day, time()) <= min(end, now):
            if day.weekday() < 5:
                opened = datetime.combine(day, time(9, 15))
                moments = [datetime.combine(day, time())] if interval == "day" else []
                while interval != "day" and opened < datetime.combine(day, time(15, 30)):
                    moments.append(opened)
                    opened += step
                rows += [self.bar(one) for one in moments if start <= one <= end and self.listed <= one <= now]
            day += timedelta(days=1)
        rows = [[one.isoformat() + "+0530", 0, 0, 0, 0, 0] for one in self.placeholders if start <= one <= end] + rows
        return [row for row in rows for _ in range(1 + self.doubled)]

    def bar(self, start: datetime) -> list[Any]:
        minutes = (start - datetime(2026, 1, 1)).total_seconds() / 60
        price = (1500 + np.sin(minutes / 97) * 20) * (self.factor if start < self.split else 1.0)
        return [f"{start.isoformat()}+0530", price, price + 1, price - 1, price + 0.5, int(abs(minutes)) % 1000]


@pytest.fixture
def kite(rest: FakeRest, clock: ManualClock) -> KiteHistory:
    kite = KiteHistory(clock, listed=datetime(2020, 1, 1))

    def answer(asked: Asked) -> Reply:
        interval = asked.path.rpartition("/")[2]
        query = {name: values[0] for name, values in asked.query.items()}
        start, end = datetime.fromisoformat(query["from"]), datetime.fromisoformat(query["to"])
        kite.asked.append((interval, start, end, query))
        if (end - start).days > MAX_DAYS[interval]:
            return error(400, "InputException", f"interval exceeds max limit: {MAX_DAYS[interval]} days")
        if len(kite.asked) > kite.refuse_from:
            return error(503, "NetworkException", "Gateway timed out")
        return data({"candles": kite.rows(interval, start, end)})

    for interval in INTERVALS:
        rest.on(f"/instruments/historical/{TOKEN}/{interval}", answer)
    return kite


@pytest.fixture
def client(rest: FakeRest, clock: ManualClock) -> Iterator[KiteClient]:
    client = KiteClient(rest.endpoint, "kitefakekey", "token", clock=clock, pace=Pace(clock), attempts=1)
    yield client
    client.close()


@pytest.fixture
def cache(tmp_path: Path) -> CandleCache:
    return CandleCache(tmp_path)


@pytest.fixture
def fetch(client: KiteClient, cache: CandleCache, clock: ManualClock) -> Any:
    def fetch(start: datetime, end: datetime, interval: str = "minute", **options: Any) -> Downloaded:
        return download(client, cache, options.pop("instrument", INFY), interval, start, end, clock=clock, **options)

    return fetch


def closes(starts: Any) -> Any:
    """Bar ends of NSE's regular session."""
    day = starts.astype("datetime64[D]").astype("datetime64[s]")
    return day + np.timedelta64(15 * 60 + 30, "m").astype("timedelta64[s]")


@pytest.mark.parametrize("interval", INTERVALS)
def test_chunks_are_as_long_as_kite_answers_and_leave_nothing_out(interval: str) -> None:
    start, end = datetime(2015, 2, 3), datetime(2026, 11, 23, 12)
    spans = list(chunks(start, end, interval))
    assert spans[0][0] == start
    assert spans[-1][1] == end
    assert all(left[1] == right[0] for left, right in itertools.pairwise(spans))
    assert max(high - low for low, high in spans) == timedelta(days=MAX_DAYS[interval])


def test_years_of_minutes_come_in_chunks_and_are_whole(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    seen: list[Progress] = []
    start, end = datetime(2026, 5, 4), datetime(2026, 10, 5)
    done = fetch(start, end, "5minute", progress=seen.append)
    assert done.requests == len(kite.asked) == 2
    assert [(one.done, one.chunks) for one in seen] == [(1, 2), (2, 2)]
    assert seen[-1].rows == done.rows
    expected = kite.rows("5minute", start, end - timedelta(seconds=1))
    candles = cache.read("NSE:INFY", "5minute")
    assert [f"{one.isoformat()}+0530" for one in candles.start.tolist()] == [row[0] for row in expected]
    assert candles.close.tolist() == [row[4] for row in expected]
    assert candles.volume.tolist() == [row[5] for row in expected]


def test_the_instruments_facts_and_the_time_are_kept(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    fetch(datetime(2026, 11, 16), datetime(2026, 11, 17))
    row = cache.stored("NSE:INFY", "minute")
    assert row is not None
    assert (row.source, row.fetched_at) == ("kite", NOON)
    assert row.facts["instrument_token"] == TOKEN
    assert (row.facts["tick_size"], row.facts["name"]) == (0.1, "INFOSYS")


def test_what_was_asked_for_is_not_asked_again(fetch: Any, kite: KiteHistory) -> None:
    fetch(datetime(2026, 11, 2), datetime(2026, 11, 14))
    done = fetch(datetime(2026, 11, 2), datetime(2026, 11, 14))
    assert (done.requests, done.rows, len(kite.asked)) == (0, 0, 1)


def test_going_on_costs_one_request_and_gives_the_same_as_at_once(
    fetch: Any, kite: KiteHistory, cache: CandleCache, tmp_path: Path, client: KiteClient, clock: ManualClock
) -> None:
    fetch(datetime(2026, 11, 2), datetime(2026, 11, 10))
    done = fetch(datetime(2026, 11, 2), datetime(2026, 11, 21))
    assert done.requests == 1
    other = CandleCache(tmp_path / "other")
    download(client, other, INFY, "minute", datetime(2026, 11, 2), datetime(2026, 11, 21), clock=clock)
    assert cache.digest("NSE:INFY", "minute") == other.digest("NSE:INFY", "minute")


def test_an_interrupted_download_keeps_its_chunks_and_goes_on(
    fetch: Any, kite: KiteHistory, cache: CandleCache
) -> None:
    start, end = datetime(2026, 2, 2), datetime(2026, 11, 21)
    kite.refuse_from = 2
    with pytest.raises(KiteUnavailable):
        fetch(start, end, "5minute")
    row = cache.stored("NSE:INFY", "5minute")
    assert row is not None
    assert row.covered == ((start, start + timedelta(days=200)),)
    kite.refuse_from = 10**9
    kite.asked.clear()
    fetch(start, end, "5minute")
    assert len(kite.asked) == 1
    assert kite.asked[0][1] >= start + timedelta(days=190)
    assert cache.read("NSE:INFY", "5minute").start.tolist() == [
        datetime.fromisoformat(row[0][:19]) for row in kite.rows("5minute", start, end)
    ]


def test_the_forming_candle_and_one_too_young_are_not_kept(
    fetch: Any, kite: KiteHistory, cache: CandleCache, clock: ManualClock
) -> None:
    clock.set(datetime(2026, 11, 23, 10, 30, 10))
    fetch(datetime(2026, 11, 23), datetime(2026, 11, 24))
    assert len(kite.rows("minute", datetime(2026, 11, 23), clock.now())) == 76
    assert cache.read("NSE:INFY", "minute").last == datetime(2026, 11, 23, 10, 28)  # 10:29 ended 10 s ago
    clock.set(datetime(2026, 11, 23, 10, 32, 20))
    fetch(datetime(2026, 11, 23), datetime(2026, 11, 24))
    assert cache.read("NSE:INFY", "minute").last == datetime(2026, 11, 23, 10, 31)
    assert len(cache.read("NSE:INFY", "minute")) == 77


def test_todays_day_candle_waits_for_the_close(
    fetch: Any, kite: KiteHistory, cache: CandleCache, clock: ManualClock
) -> None:
    start, end = datetime(2026, 11, 16), datetime(2026, 11, 24)
    clock.set(datetime(2026, 11, 23, 16, 15))
    fetch(start, end, "day", ends=closes)
    assert cache.read("NSE:INFY", "day").last == datetime(2026, 11, 20)
    clock.set(datetime(2026, 11, 23, 16, 31))
    fetch(start, end, "day", ends=closes)
    assert cache.read("NSE:INFY", "day").last == datetime(2026, 11, 23)


def test_nothing_is_asked_before_it_can_be_there(fetch: Any, kite: KiteHistory) -> None:
    with pytest.raises(ConfigError, match="lies in the future"):
        fetch(datetime(2026, 11, 24), datetime(2026, 11, 25))
    with pytest.raises(ConfigError, match="is empty"):
        fetch(datetime(2026, 11, 20), datetime(2026, 11, 20))
    with pytest.raises(ConfigError, match="no candle interval '2minute'"):
        fetch(datetime(2026, 11, 2), datetime(2026, 11, 20), "2minute")
    assert kite.asked == []


def test_before_the_listing_is_a_known_gap_and_not_asked_again(
    fetch: Any, kite: KiteHistory, cache: CandleCache
) -> None:
    kite.listed = datetime(2026, 10, 1, 9, 15)
    kite.placeholders = [datetime(2026, 6, 15), datetime(2026, 9, 30)]
    start, end = datetime(2026, 4, 1), datetime(2026, 11, 1)
    done = fetch(start, end)
    assert done.gaps == (
        (start, datetime(2026, 5, 31)),
        (datetime(2026, 5, 31), datetime(2026, 7, 30)),
        (datetime(2026, 7, 30), datetime(2026, 9, 28)),
    )
    row = cache.stored("NSE:INFY", "minute")
    assert row is not None
    assert row.first == datetime(2026, 10, 1, 9, 15)
    assert row.gaps == ((start, datetime(2026, 10, 1, 9, 15)),)
    assert fetch(start, end).requests == 0


def test_rows_that_come_twice_are_kept_once(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    kite.doubled = True
    fetch(datetime(2026, 11, 16), datetime(2026, 11, 17))
    assert len(cache.read("NSE:INFY", "minute")) == 375


def test_a_split_replaces_the_whole_series(
    fetch: Any, kite: KiteHistory, cache: CandleCache, clock: ManualClock
) -> None:
    start = datetime(2026, 6, 1)
    fetch(start, datetime(2026, 11, 20))
    before = cache.read("NSE:INFY", "minute")
    kite.factor, kite.split = 0.5, datetime(2026, 11, 23)
    done = fetch(start, datetime(2026, 11, 24))
    assert done.replaced
    after = cache.read("NSE:INFY", "minute")
    assert after.first == before.first
    assert np.allclose(after.close[: len(before)], (before.close - 0.5) / 2 + 0.5)
    assert after.last == datetime(2026, 11, 23, 11, 58)
    assert fetch(start, datetime(2026, 11, 23, 11, 58)).requests == 0


def test_a_split_that_kite_works_in_late_replaces_all_too(
    fetch: Any, kite: KiteHistory, cache: CandleCache, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the days that are asked for again only the oldest is from before the split: most candles are as they were."""
    start = datetime(2026, 10, 1)
    fetch(start, datetime(2026, 11, 20))  # the last candle is of Thursday the 19th
    kite.factor, kite.split = 0.2, datetime(2026, 11, 17)
    done = fetch(start, datetime(2026, 11, 23))
    assert done.replaced
    assert done.ratio == pytest.approx(0.2, rel=5e-3)
    whole = cache.read("NSE:INFY", "minute")
    fetch(start, datetime(2026, 11, 23), refresh=True)
    assert whole.digest() == cache.digest("NSE:INFY", "minute")
    assert whole.close[whole.start < np.datetime64("2026-11-17")].max() < 400
    told = [one for one in caplog.records if "the past has changed" in one.getMessage()]
    assert len(told) == 1
    assert "1:5, as after a split or a bonus issue" in told[0].getMessage()


def test_a_split_is_noticed_when_older_candles_are_fetched(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    fetch(datetime(2026, 10, 1), datetime(2026, 10, 20))
    kite.factor, kite.split = 0.2, datetime(2026, 11, 2)
    done = fetch(datetime(2026, 8, 3), datetime(2026, 10, 20))
    assert done.replaced
    assert cache.read("NSE:INFY", "minute").high.max() < 400


def test_a_replacement_that_breaks_leaves_the_old_series(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    fetch(datetime(2026, 6, 1), datetime(2026, 11, 20))
    digest = cache.digest("NSE:INFY", "minute")
    kite.factor, kite.split, kite.refuse_from = 0.5, datetime(2026, 11, 23), len(kite.asked) + 2
    with pytest.raises(KiteUnavailable):
        fetch(datetime(2026, 6, 1), datetime(2026, 11, 24))
    assert cache.digest("NSE:INFY", "minute") == digest


def test_a_replacement_by_nothing_is_refused(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    fetch(datetime(2026, 11, 2), datetime(2026, 11, 14))
    kite.listed = datetime(2027, 1, 1)
    with pytest.raises(DataError, match=r"has no candle of NSE:INFY minute .* what was stored is kept"):
        fetch(datetime(2026, 11, 2), datetime(2026, 11, 14), refresh=True)
    assert len(cache.read("NSE:INFY", "minute")) == 10 * 375


def test_a_candle_that_was_corrected_takes_the_new_numbers(fetch: Any, kite: KiteHistory, cache: CandleCache) -> None:
    fetch(datetime(2026, 11, 18), datetime(2026, 11, 20))
    kite.factor, kite.split = 1.01, datetime(2026, 11, 18, 9, 17)  # the two first minutes only
    done = fetch(datetime(2026, 11, 18), datetime(2026, 11, 21))
    assert (done.replaced, done.revised) == (False, 2)
    bar = kite.bar(datetime(2026, 11, 18, 9, 15))
    assert cache.read("NSE:INFY", "minute").close[0] == bar[4]


def test_refresh_asks_for_everything_again(fetch: Any, kite: KiteHistory) -> None:
    fetch(datetime(2026, 11, 2), datetime(2026, 11, 14))
    done = fetch(datetime(2026, 11, 9), datetime(2026, 11, 14), refresh=True)
    assert done.replaced
    assert (done.requests, done.rows) == (1, 10 * 375)


@pytest.mark.parametrize(("kind", "oi"), [("EQ", "0"), ("FUT", "1"), ("CE", "1")])
def test_open_interest_is_asked_for_where_there_is_one(fetch: Any, kite: KiteHistory, kind: str, oi: str) -> None:
    one = Instrument("NFO", "NIFTY26NOVFUT", TOKEN, instrument_type=kind, expiry=date(2026, 11, 24))
    fetch(datetime(2026, 11, 2), datetime(2026, 11, 3), instrument=one)
    assert kite.asked[0][3]["oi"] == oi


def test_two_downloads_of_two_symbols_side_by_side(
    rest: FakeRest, kite: KiteHistory, client: KiteClient, cache: CandleCache, clock: ManualClock
) -> None:
    def one(symbol: str) -> None:
        instrument = Instrument("NSE", symbol, TOKEN)
        download(client, cache, instrument, "minute", datetime(2026, 11, 16), datetime(2026, 11, 21), clock=clock)

    threads = [threading.Thread(target=one, args=(symbol,)) for symbol in ("INFY", "TCS")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [(row.key, row.rows) for row in cache.list()] == [("NSE:INFY", 5 * 375), ("NSE:TCS", 5 * 375)]
