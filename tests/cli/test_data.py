"""`btkite data`: files and Kite's candles into the cache, and what it says about them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from btkite.candles import CandleCache
from btkite.exchange import CandleSeries, Exchange, ExchangeSettings
from btkite.kite.instruments import InstrumentMaster

Run = Callable[..., tuple[int, str, str]]
OPEN = datetime(2024, 11, 4, 9, 15)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, a cache and a state folder of its own, and no btkite in the environment."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "candles"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cache(tmp_path: Path) -> CandleCache:
    return CandleCache(tmp_path / "candles")


@pytest.fixture
def btkite(btkite: Run) -> Run:
    """Its verb ``data``."""
    return partial(btkite, "data")


def columns(count: int = 375, start: datetime = OPEN, step: int = 60) -> dict[str, Any]:
    close = np.round(500 + np.sin(np.arange(count) / 9) * 5, 2)
    opened = np.append(500.0, close[:-1])
    return {
        "start": np.datetime64(start, "s") + np.arange(count) * np.timedelta64(step, "s"),
        "open": opened,
        "high": np.round(np.maximum(opened, close) + 0.1, 2),
        "low": np.round(np.minimum(opened, close) - 0.1, 2),
        "close": close,
        "volume": np.arange(count),
    }


def write_csv(path: Path, count: int = 375, **options: Any) -> Path:
    rows = zip(*(column.tolist() for column in columns(count, **options).values()), strict=True)
    lines = [f"{start}+05:30,{','.join(map(str, rest))}" for start, *rest in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["date,open,high,low,close,volume", *lines]))
    return path


# ---- import -----------------------------------------------------------------------------------


def test_a_file_is_imported_under_the_name_that_its_name_tells(btkite: Run, cache: CandleCache) -> None:
    code, out, err = btkite("import", write_csv(Path("NIFTY_50_minute_2024.csv")))
    assert (code, err) == (0, "")
    assert out == "NSE:NIFTY 50 minute: 375 bars, 2024-11-04 09:15 to 2024-11-04 15:29\n"
    row = cache.stored("NSE:NIFTY 50", "minute")
    assert row is not None
    assert (row.rows, row.source) == (375, "NIFTY_50_minute_2024.csv")


def test_options_win_over_the_name(btkite: Run, cache: CandleCache) -> None:
    write_csv(Path("whatever.csv"), 75, step=300)
    assert btkite("import", "whatever.csv", "--symbol", "INFY", "--exchange", "bse", "--interval", "5m")[0] == 0
    assert [(row.key, row.interval) for row in cache.list()] == [("BSE:INFY", "5minute")]


def test_a_name_that_is_no_instruments_is_not_taken_for_one(btkite: Run, cache: CandleCache) -> None:
    path = write_csv(Path("prices.csv"))
    code, out, err = btkite("import", path)
    assert (code, out, list(cache.list())) == (1, "", [])
    assert (
        err == "error: prices.csv: its name does not tell an instrument, as RELIANCE_minute.csv would; say --symbol\n"
    )
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{head},symbol", *(f"{row},TCS" for row in rows)]))
    assert btkite("import", path)[0] == 0
    assert [row.key for row in cache.list()] == ["NSE:TCS"]


def test_bars_that_no_market_has_made_yet_are_told(btkite: Run) -> None:
    path = write_csv(Path("INFY_minute.csv"))
    path.write_text(path.read_text().replace("2024-11-04", "2039-11-04"))
    assert "(375 bars LATER THAN NOW: no market has made them yet" in btkite("import", path)[1]


def test_a_folder_is_all_the_files_in_it(btkite: Run, cache: CandleCache) -> None:
    write_csv(Path("in/INFY_minute.csv"))
    write_csv(Path("in/deep/TCS_5minute.csv"), 75, step=300)
    Path("in/notes.txt").write_text("no candles")
    assert btkite("import", "in")[0] == 0
    assert [(row.key, row.interval) for row in cache.list()] == [("NSE:INFY", "minute"), ("NSE:TCS", "5minute")]


def test_a_bad_file_is_named_and_the_others_go_on(btkite: Run, cache: CandleCache) -> None:
    Path("BAD_minute.csv").write_text(
        "date,open,high,low,close\n2024-11-04 09:15,1,0.5,1,1\n2024-11-04 09:16,1,2,1,1\n"
    )
    write_csv(Path("INFY_minute.csv"))
    code, out, err = btkite("import", "BAD_minute.csv", "gone.csv", "INFY_minute.csv")
    assert code == 1
    assert out.startswith("NSE:INFY minute: 375 bars")
    assert [line.partition(": ")[0] for line in err.splitlines()] == ["error", "error"]
    assert "BAD_minute.csv: NSE:BAD minute, row 1 (2024-11-04 09:15:00): high is below" in err
    assert "gone.csv is not there" in err
    assert [row.key for row in cache.list()] == ["NSE:INFY"]


def test_a_folder_without_candles_says_so(btkite: Run) -> None:
    Path("empty").mkdir()
    code, _, err = btkite("import", "empty")
    assert (code, err) == (2, "error: empty has no .csv or .parquet file in it\n")


def test_what_is_odd_about_a_file_is_told(btkite: Run) -> None:
    path = write_csv(Path("INFY_minute.csv"))
    head, *rows = path.read_text().splitlines()
    late = rows[1].replace("09:16", "15:47")
    path.write_text(
        "\n".join([head, rows[1], rows[0], rows[2], rows[2], *rows[5:], late, rows[1].replace("11-04", "11-06")])
    )
    _, out, _ = btkite("import", path)
    assert "no bar in 1 session;" in out
    assert "3 bars missing within sessions" in out  # two that were taken out, and the last day's first
    assert "1 bar outside the sessions" in out
    assert "1 row put in order" in out
    assert "1 repeated row dropped" in out


def test_sessions_that_a_file_lacks_are_left_for_fetch(btkite: Run, cache: CandleCache) -> None:
    write_csv(Path("a/INFY_minute.csv"))
    path = write_csv(Path("b/INFY_minute.csv"), start=OPEN + timedelta(days=2))
    path.write_text(Path("a/INFY_minute.csv").read_text() + "\n" + path.read_text().partition("\n")[2])
    btkite("import", path)
    missing = cache.missing("NSE:INFY", "minute", datetime(2024, 11, 4, 9, 15), datetime(2024, 11, 6, 15, 30))
    assert missing == ((datetime(2024, 11, 5), datetime(2024, 11, 6)),)


def test_bars_that_take_other_prices_are_counted(btkite: Run, cache: CandleCache) -> None:
    path = write_csv(Path("INFY_minute.csv"))
    btkite("import", path)
    _, out, _ = btkite("import", path)
    assert "other prices" not in out
    first = path.read_text().splitlines()[1]
    start, opened, _, *rest = first.split(",")
    path.write_text(path.read_text().replace(first, ",".join([start, opened, "999.0", *rest])))
    _, out, _ = btkite("import", path)
    assert "1 stored bar had other prices and took the file's" in out
    assert cache.read("NSE:INFY", "minute").high[0] == 999


def test_facts_of_the_archived_dump_are_kept_with_the_candles(btkite: Run, cache: CandleCache) -> None:
    dump = {
        "exchange": ["NSE"],
        "tradingsymbol": ["INFY"],
        "tick_size": [0.1],
        "instrument_token": [408065],
        "expiry": [""],
    }
    InstrumentMaster(dump, OPEN.date()).save(cache.instruments_folder / "kite")
    btkite("import", write_csv(Path("INFY_minute.csv")), write_csv(Path("TCS_minute.csv")))
    assert (cache.facts("NSE:INFY")["instrument_token"], cache.facts("NSE:INFY")["tick_size"]) == (408065, 0.1)
    assert cache.facts("NSE:TCS") == {}


def test_every_real_file_is_imported_as_it_is(btkite: Run, cache: CandleCache) -> None:
    shared = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).parents[3] / "shared") / "data"
    if not (shared / "minute").is_dir():
        pytest.skip(f"no shared data: {shared}/minute is absent (set BTKITE_SHARED)")
    code, out, err = btkite("import", shared / "minute", shared / "daily", shared / "hourly")
    assert (code, err) == (0, "")
    held = {(row.key, row.interval): row.rows for row in cache.list()}
    assert held["NSE:NIFTY 50", "minute"] == 92_632
    assert held["NSE:RELIANCE", "minute"] == 6_750
    assert held["NSE:M&M", "day"] == 1_367
    assert held["NSE:INFY", "60minute"] == 1_905
    assert held["NSE:YESBANK", "minute"] == 1_130
    assert "NSE:HDFCBANK minute: 6,750 bars, 2016-08-16 09:15 to 2016-09-09 15:29 (12 rows put in order)" in out


# ---- list and show ----------------------------------------------------------------------------


def test_an_empty_cache_says_how_to_fill_it(btkite: Run) -> None:
    code, out, _ = btkite("list")
    assert code == 0
    assert "`btkite data fetch` or `btkite data import`" in out


def test_list_shows_every_series(btkite: Run) -> None:
    btkite("import", write_csv(Path("INFY_minute.csv")), write_csv(Path("M&M_5minute.csv"), 75, step=300))
    _, out, _ = btkite("list")
    rows = [line.split() for line in out.splitlines()]
    assert rows[0][:3] == ["instrument", "interval", "bars"]
    assert rows[1][:7] == ["NSE:INFY", "minute", "375", "2024-11-04", "09:15", "2024-11-04", "15:29"]
    assert rows[2][:3] == ["NSE:M&M", "5minute", "75"]
    _, out, _ = btkite("list", "--json")
    assert [(row["key"], row["bars"], row["gaps"]) for row in json.loads(out)] == [
        ("NSE:INFY", 375, []),
        ("NSE:M&M", 75, []),
    ]


def test_show_prints_the_last_bars_and_what_is_known(btkite: Run, cache: CandleCache) -> None:
    btkite("import", write_csv(Path("INFY_minute.csv")))
    code, out, _ = btkite("show", "infy", "--tail", 2)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["date", "open", "high", "low", "close", "volume", "oi"]
    assert [line[:16] for line in lines[1:3]] == ["2024-11-04 15:28", "2024-11-04 15:29"]
    assert lines[3] == "NSE:INFY minute: 375 bars, 2024-11-04 09:15 to 2024-11-04 15:29"
    assert f"digest   {cache.digest('NSE:INFY', 'minute')[:16]}" in out
    assert "missing  0 sessions, 0 bars within sessions" in out


def test_show_makes_a_coarser_interval(btkite: Run) -> None:
    btkite("import", write_csv(Path("INFY_minute.csv")))
    _, out, _ = btkite("show", "NSE:INFY", "-i", "1h", "--tail", 0, "--json")
    told = json.loads(out)
    assert [row[0][11:16] for row in told["candles"]] == ["09:15", "10:15", "11:15", "12:15", "13:15", "14:15", "15:15"]
    assert "60minute from minute" in told["source"]
    assert told["missing_bars"] == 0


def test_show_of_what_is_not_there_says_what_to_run(btkite: Run) -> None:
    code, _, err = btkite("show", "NSE:INFY", "-i", "day", "--from", "2024-11-04")
    assert code == 1
    assert "run `btkite data fetch -s NSE:INFY -i day --from 2024-11-04`" in err
    assert err.count("\n") == 1


# ---- fetch ------------------------------------------------------------------------------------


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    found = columns()
    settings = ExchangeSettings(
        candles={"NSE:INFY": CandleSeries(interval="minute", **found)},
        start=datetime(2024, 11, 4, 14, 0),
        auto_token="letmein",
    )
    with Exchange(settings) as exchange:
        monkeypatch.setenv("KITE_API_KEY", settings.api_key)
        monkeypatch.setenv("KITE_ACCESS_TOKEN", "letmein")
        monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__ENDPOINT", exchange.url)
        yield exchange


def test_fetch_brings_what_is_finished_and_goes_on_from_there(
    btkite: Run, exchange: Exchange, cache: CandleCache
) -> None:
    code, out, err = btkite("fetch", "-s", "INFY", "-i", "minute", "--from", "2024-11-04")
    assert code == 0, err
    assert out == "NSE:INFY minute: 284 bars in 1 request; stored from 2024-11-04 09:15 to 2024-11-04 13:58\n"
    truth = columns()
    held = cache.read("NSE:INFY", "minute")
    assert held.close.tolist() == truth["close"][:284].tolist()
    assert cache.facts("NSE:INFY")["instrument_token"] > 0
    later = {**truth, "start": truth["start"]}
    exchange.reset(
        ExchangeSettings(
            candles={"NSE:INFY": CandleSeries(interval="minute", **later)},
            start=datetime(2024, 11, 4, 18, 0),
            auto_token="letmein",
        )
    )
    code, out, err = btkite("fetch", "-s", "NSE:INFY")
    assert code == 0, err
    assert cache.read("NSE:INFY", "minute").close.tolist() == truth["close"].tolist()
    code, out, _ = btkite("fetch", "-s", "NSE:INFY", "--from", "2024-11-04", "--to", "2024-11-04", "--refresh")
    assert "all replaced" in out


def test_fetch_tells_when_there_is_nothing_left_to_ask(btkite: Run, exchange: Exchange) -> None:
    args = ("fetch", "-s", "NSE:INFY", "-i", "5m", "--from", "2024-11-01", "--to", "2024-11-03")
    assert "Kite has none in that range" in btkite(*args)[1]
    assert btkite(*args)[1] == "NSE:INFY 5minute: nothing to fetch, all of it was asked for before\n"


def test_fetch_needs_to_know_from_when(btkite: Run, exchange: Exchange) -> None:
    code, _, err = btkite("fetch", "-s", "NSE:INFY")
    assert (code, err) == (2, "error: NSE:INFY minute is not stored yet: say --from when it is to start\n")


def test_a_symbol_that_does_not_exist_stops_it_before_any_download(
    btkite: Run, exchange: Exchange, cache: CandleCache
) -> None:
    code, _, err = btkite("fetch", "-s", "INFY", "-s", "INFI", "--from", "2024-11-04")
    assert code == 2
    assert "did you mean NSE:INFY" in err
    assert cache.list() == ()


def test_without_a_session_it_says_so(btkite: Run, exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KITE_ACCESS_TOKEN")
    code, _, err = btkite("fetch", "-s", "INFY", "--from", "2024-11-04")
    assert code == 4
    assert "btkite login" in err


def test_a_dead_token_is_one_sentence_and_the_code_for_login(
    btkite: Run, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITE_ACCESS_TOKEN", "Y3sterdaysT0ken")
    code, out, err = btkite("fetch", "-s", "INFY", "--from", "2024-11-04")
    assert code == 4, err
    assert err.count("\n") == 1
    assert "Y3sterdaysT0ken" not in out + err


def test_in_a_terminal_a_progress_bar_counts_the_requests(exchange: Exchange, own_folder: Path) -> None:
    terminal, theirs = os.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "btkite", "data", "fetch", "-s", "INFY", "--from", "2024-03-01"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        )
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # the end of a terminal that nobody writes to any more
            while part := screen.read(4096):
                shown += part
    assert done.returncode == 0, shown
    assert done.stdout.count("\n") == 1
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "NSE:INFY minute" in text
    assert re.search(r"\b5/5\b", text), text
    assert "284 bars" in text


def test_without_a_terminal_there_is_no_progress_bar(btkite: Run, exchange: Exchange) -> None:
    _, _, err = btkite("fetch", "-s", "INFY", "--from", "2024-11-04")
    assert err == ""
