"""One contract for every source of candles: ordered, IST, no duplicates, gaps known, warm-up counted right.

The market is three sessions around a weekend, one of them a muhurat hour, with a minute missing. What
the source ``kite`` is asked comes from the simulated exchange, which groups its intervals in code of
its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from btkite.candles import CandleCache
from btkite.clock import ManualClock
from btkite.errors import ConfigError, DataError
from btkite.exchange import CandleSeries, Exchange, ExchangeSettings
from btkite.grid import quality
from btkite.kite.client import KiteClient
from btkite.kite.endpoints import resolve
from btkite.series import Candles
from btkite.sources import SOURCES, load
from btkite.values import Instrument

KEY = "NSE:INFY"
HOURS = [
    (date(2024, 10, 31), time(9, 15), time(15, 30)),
    (date(2024, 11, 1), time(18, 0), time(19, 0)),  # muhurat
    (date(2024, 11, 4), time(9, 15), time(15, 30)),
]
AFTER = datetime(2024, 11, 4, 20, 0)
MONDAY = date(2024, 11, 4)


def _market() -> dict[str, Any]:
    starts = []
    for day, opened, closed in HOURS:
        start = datetime.combine(day, opened)
        while start < datetime.combine(day, closed):
            starts.append(start)
            start += timedelta(minutes=1)
    del starts[200]
    rng = np.random.default_rng(7)
    close = np.round(1500 + np.cumsum(rng.normal(0, 1, len(starts))), 1)
    opened = np.append(1500.0, close[:-1])
    return {
        "date": np.array(starts, "datetime64[s]"),
        "open": opened,
        "high": np.round(np.maximum(opened, close) + 0.4, 1),
        "low": np.round(np.minimum(opened, close) - 0.3, 1),
        "close": close,
        "volume": rng.integers(0, 5000, len(starts)),
    }


MARKET = _market()
TRUTH = Candles.of(KEY, "minute", MARKET)
FRAME = pd.DataFrame(MARKET)


@dataclass
class Given:
    """A source, set up: its name and the arguments that lead to the market."""

    name: str
    where: dict[str, Any]

    def __call__(self, interval: str = "minute", start: Any = None, end: Any = None, **options: Any) -> Candles:
        if self.name == "kite" and start is None:
            start = date(2024, 10, 1)  # Kite has to be told from when
        return load(self.name, KEY, interval, start, end, **{**self.where, **options})


def _cache(folder: Path) -> dict[str, Any]:
    cache = CandleCache(folder)
    cache.write(TRUTH)
    return {"cache": cache}


def _csv(folder: Path) -> dict[str, Any]:
    stamps = FRAME["date"].dt.tz_localize("Asia/Kolkata").astype(str)
    FRAME.assign(date=stamps).sample(frac=1, random_state=1).to_csv(folder / "NSE-INFY.csv", index=False)
    return {"path": folder / "{exchange}-{symbol}.csv"}


def _parquet(folder: Path) -> dict[str, Any]:
    utc = pa.array(MARKET["date"].astype("datetime64[ms]") - np.timedelta64(330, "m")).cast(pa.timestamp("ms", "UTC"))
    pq.write_table(pa.table({**MARKET, "date": utc}), folder / "x.parquet")
    return {"path": folder / "x.parquet"}


def _frame(folder: Path) -> dict[str, Any]:
    return {"frame": pd.concat([FRAME.iloc[::-1], FRAME.iloc[5:9]]).set_index("date")}


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    series = CandleSeries(interval="minute", start=MARKET["date"], **{k: v for k, v in MARKET.items() if k != "date"})
    with Exchange(ExchangeSettings(candles={KEY: series}, start=AFTER, auto_token="letmein")) as exchange:
        yield exchange


@pytest.fixture
def kite(exchange: Exchange, tmp_path: Path) -> Iterator[dict[str, Any]]:
    clock = ManualClock(AFTER)
    client = KiteClient(resolve(exchange.url), exchange.settings.api_key, "letmein", clock=clock)
    yield {"cache": CandleCache(tmp_path / "kite"), "client": client, "clock": clock}
    client.close()


@pytest.fixture(params=sorted(SOURCES))
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Given:
    makers = {"cache": _cache, "csv": _csv, "parquet": _parquet, "frame": _frame}
    name = request.param
    return Given(name, makers[name](tmp_path) if name in makers else request.getfixturevalue("kite"))


def test_every_bar_comes_in_order_in_ist_and_once(given: Given) -> None:
    candles = given()
    assert candles.key == KEY
    assert candles.start.dtype == np.dtype("datetime64[s]")
    assert bool((np.diff(candles.start.astype(np.int64)) > 0).all())
    assert candles.digest() == TRUTH.digest()


def test_gaps_are_known(given: Given) -> None:
    found = quality(given())
    assert (found.days, found.bars, found.outside) == ((), 1, 0)


def test_a_date_as_end_includes_that_day_and_a_moment_does_not_include_itself(given: Given) -> None:
    friday = given(start=date(2024, 11, 1), end=date(2024, 11, 1))
    assert (len(friday), friday.first, friday.last) == (60, datetime(2024, 11, 1, 18), datetime(2024, 11, 1, 18, 59))
    some = given(start=datetime(2024, 11, 4, 9, 20), end=datetime(2024, 11, 4, 9, 25))
    assert some.start.tolist() == [datetime(2024, 11, 4, 9, minute) for minute in range(20, 25)]


@pytest.mark.parametrize("warmup", [1, 59, 60, 61, 200])
def test_warmup_bars_lie_right_before_the_start(given: Given, warmup: int) -> None:
    candles = given(start=MONDAY, end=datetime(2024, 11, 4, 9, 45), warmup_bars=warmup)
    place = int(np.searchsorted(TRUTH.start, np.datetime64(MONDAY)))
    assert candles.start.tolist() == TRUTH.start[place - warmup : place + 30].tolist()


def test_more_warmup_than_there_is_gives_what_there_is(given: Given) -> None:
    candles = given(start=MONDAY, warmup_bars=5000)
    assert candles.start.tolist() == TRUTH.start.tolist()


@pytest.mark.parametrize("interval", ["3minute", "5minute", "15minute", "60minute"])
def test_coarser_bars_are_the_same_from_every_source(given: Given, interval: str) -> None:
    """kite's come from the exchange, all others are made of minutes here: two codes, one answer."""
    candles = given(interval, start=date(2024, 10, 31))
    anchors = {f"{start:%H:%M}" for start in candles.start.tolist() if start.date() == date(2024, 11, 1)}
    assert "18:00" in anchors
    assert "09:15" in {f"{start:%H:%M}" for start in candles.start.tolist()}
    made = load("frame", KEY, interval, date(2024, 10, 31), frame=FRAME)
    assert candles.digest() == made.digest()
    assert candles.volume.sum() == TRUTH.volume.sum()


def test_days_start_at_midnight_and_a_start_within_the_day_includes_it(given: Given) -> None:
    candles = given("day", start=datetime(2024, 11, 1, 15, 0), end=MONDAY)
    assert candles.start.tolist() == [datetime(2024, 11, 1), datetime(2024, 11, 4)]
    assert candles.volume.sum() == TRUTH.between(datetime(2024, 11, 1), None).volume.sum()


def test_warmup_counts_coarse_bars(given: Given) -> None:
    candles = given("60minute", start=MONDAY, end=datetime(2024, 11, 4, 10), warmup_bars=2)
    assert candles.start.tolist() == [
        datetime(2024, 10, 31, 15, 15),
        datetime(2024, 11, 1, 18),
        datetime(2024, 11, 4, 9, 15),
    ]


def test_an_unknown_interval_is_one_sentence(given: Given) -> None:
    with pytest.raises(ConfigError, match=r"interval '2minute' is unknown.*did you mean"):
        given("2minute")


def test_a_range_that_ends_before_it_starts_is_refused(given: Given) -> None:
    with pytest.raises(ConfigError, match="the end must come after the start"):
        given(start=MONDAY, end=date(2024, 11, 1))


def test_nothing_in_the_range_is_one_sentence_that_says_what_there_is(given: Given) -> None:
    with pytest.raises(DataError) as raised:
        given(start=date(2024, 11, 2), end=date(2024, 11, 3))
    text = str(raised.value)
    assert KEY in text
    assert "\n" not in text
    assert "2024-11-02" in text
    if given.name == "kite":
        assert text.startswith("Kite has no minute candles of NSE:INFY between")
    else:
        assert "from 2024-10-31 09:15" in text


def test_an_argument_that_no_source_takes_is_refused(given: Given) -> None:
    with pytest.raises(ConfigError, match="no source takes that argument"):
        given(colour="red")


# ---- what is a source's own -------------------------------------------------------------------


def test_an_unknown_source_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no data source 'parket'.*did you mean parquet"):
        load("parket", KEY, "minute")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cache", "a candle cache is needed"),
        ("csv", "the source csv needs a path"),
        ("parquet", "the source parquet needs a path"),
        ("frame", "the source frame needs a frame"),
        ("kite", "log in with `btkite login`"),
    ],
)
def test_what_a_source_lacks_is_said(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load(name, KEY, "minute", MONDAY, **({"cache": CandleCache(tmp_path)} if name == "kite" else {}))


def test_kite_is_asked_once_and_then_the_cache_answers(kite: dict[str, Any]) -> None:
    first = load("kite", KEY, "minute", MONDAY, MONDAY, **kite)
    offline = load("cache", KEY, "minute", MONDAY, MONDAY, cache=kite["cache"])
    assert offline.digest() == first.digest()
    assert kite["cache"].facts(KEY)["tick_size"] > 0


def test_the_cache_with_a_client_fills_its_gaps(kite: dict[str, Any]) -> None:
    assert len(load("cache", KEY, "minute", MONDAY, MONDAY, **kite)) == 375


def test_kite_looks_further_back_until_the_warmup_is_there_or_the_listing(kite: dict[str, Any]) -> None:
    candles = load("kite", KEY, "day", MONDAY, MONDAY, warmup_bars=2, **kite)
    assert candles.start.tolist() == [datetime(2024, 10, 31), datetime(2024, 11, 1), datetime(2024, 11, 4)]


def test_an_unknown_symbol_is_suggested_for(kite: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="did you mean NSE:INFY"):
        load("kite", "NSE:INFI", "minute", MONDAY, **kite)


def test_kite_takes_an_instrument_without_a_look_at_the_master(kite: dict[str, Any]) -> None:
    master = load("kite", KEY, "minute", MONDAY, MONDAY, **kite)
    token = kite["cache"].facts(KEY)["instrument_token"]
    kite["cache"].remove(KEY, "minute")
    for path in kite["cache"].instruments_folder.iterdir():
        path.unlink()
    again = load("kite", KEY, "minute", MONDAY, MONDAY, instrument=Instrument("NSE", "INFY", token), **kite)
    assert again.digest() == master.digest()
    assert list(kite["cache"].instruments_folder.iterdir()) == []


def test_a_file_of_several_symbols_gives_the_one_that_is_asked_for(tmp_path: Path) -> None:
    both = pd.concat([FRAME.assign(symbol="INFY"), FRAME.assign(symbol="TCS", volume=1)])
    both.to_parquet(tmp_path / "both.parquet")
    assert load("parquet", "NSE:TCS", "minute", path=tmp_path / "both.parquet").volume.max() == 1
    with pytest.raises(DataError, match="no candles of SBIN: it has INFY, TCS"):
        load("parquet", "NSE:SBIN", "minute", path=tmp_path / "both.parquet")


def test_a_finer_interval_cannot_be_made_of_a_coarser_one() -> None:
    hours = load("frame", KEY, "60minute", frame=FRAME).frame()
    with pytest.raises(DataError, match="the frame has 60minute candles of NSE:INFY; 5minute candles cannot be made"):
        load("frame", KEY, "5minute", frame=hours)
