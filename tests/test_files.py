"""Candle files and frames as people have them: names, zones, holes, and one sentence when it will not do."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from btkite.candles import CandleCache
from btkite.errors import ConfigError, DataError
from btkite.files import Named, interval_of, named, read_file, read_frame
from btkite.series import Candles

OPEN = datetime(2026, 11, 23, 9, 15)
ROWS = [
    (OPEN + timedelta(minutes=number), 10.0 + number, 11.0 + number, 9.5 + number, 10.5 + number, 100 * number)
    for number in range(4)
]


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).parents[2] / "shared") / "data"
    if not (folder / "minute").is_dir():
        pytest.skip(f"no shared data: {folder}/minute is absent (set BTKITE_SHARED)")
    return folder


def csv(path: Path, form: Callable[[datetime], str] = str, *, header: str = "date,open,high,low,close,volume") -> Path:
    lines = [",".join([form(start), *map(str, rest)]) for start, *rest in ROWS]
    path.write_text("\n".join([header, *lines] if header else lines) + "\n")
    return path


def expected(key: str = "NSE:INFY") -> Candles:
    names = ("date", "open", "high", "low", "close", "volume")
    columns = {name: np.array(column) for name, column in zip(names, zip(*ROWS, strict=True), strict=True)}
    return Candles.of(key, "minute", columns)


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("RELIANCE_minute_2016-08-16_2016-09-09.parquet", Named("", "RELIANCE", "minute")),
        ("NIFTY_50_minute_2022.parquet", Named("", "NIFTY 50", "minute")),
        ("NIFTY50_minute_2016-08-16_2016-09-09.parquet", Named("", "NIFTY50", "minute")),
        ("sample_NIFTY_BANK_2022-01-03_04_and_muhurat_2022-10-24.csv", Named("", "NIFTY BANK", "")),
        ("sample_RELIANCE_2016-08-16_17.csv", Named("", "RELIANCE", "")),
        ("M&M_day.csv", Named("", "M&M", "day")),
        ("INFY_60minute.csv.gz", Named("", "INFY", "60minute")),
        ("BAJAJ-AUTO_15minute.csv", Named("", "BAJAJ-AUTO", "15minute")),
        ("NFO_NIFTY26NOVFUT_minute.parquet", Named("NFO", "NIFTY26NOVFUT", "minute")),
        ("INFY.csv", Named("", "INFY", "")),
        ("candles/NSE/NIFTY 50/5minute.parquet", Named("NSE", "NIFTY 50", "5minute")),
    ],
)
def test_what_a_files_name_tells(path: str, result: Named) -> None:
    assert named(Path(path)) == result


@pytest.mark.parametrize(
    "form",
    [
        lambda start: f"{start:%Y-%m-%d %H:%M:%S}+05:30",
        lambda start: f"{start:%Y-%m-%dT%H:%M:%S}+0530",
        lambda start: f"{start:%Y-%m-%d %H:%M:%S}",
        lambda start: f"{start:%Y-%m-%dT%H:%M}",
        lambda start: f"{start - timedelta(hours=5, minutes=30):%Y-%m-%dT%H:%M:%S}Z",
        lambda start: f"{start - timedelta(hours=3, minutes=30):%Y-%m-%d %H:%M:%S}+02:00",
    ],
    ids=["colon", "no colon", "naive", "minutes", "utc", "elsewhere"],
)
def test_times_with_a_zone_are_converted_and_others_taken_as_ist(
    tmp_path: Path, form: Callable[[datetime], str]
) -> None:
    (found,) = read_file(csv(tmp_path / "INFY.csv", form), "NSE:INFY")
    assert found.candles.digest() == expected().digest()
    assert found.candles.source == "INFY.csv"


@pytest.mark.parametrize("header", ["", "Date,Open,High,Low,Close,Volume", "datetime,open,high,low,close,volume"])
def test_csv_with_other_headers_or_none(tmp_path: Path, header: str) -> None:
    (found,) = read_file(csv(tmp_path / "INFY.csv", header=header), "NSE:INFY")
    assert found.candles.digest() == expected().digest()


def test_open_interest_and_compression(tmp_path: Path) -> None:
    lines = [",".join(map(str, (*row, 7))) for row in ROWS]
    for header in ("date,open,high,low,close,volume,oi\n", ""):
        path = tmp_path / "F.csv.gz"
        path.write_bytes(gzip.compress((header + "\n".join(lines)).encode()))
        (found,) = read_file(path, "NFO:F")
        assert found.candles.oi.tolist() == [7] * 4


def test_rows_out_of_order_are_put_in_order_and_counted(tmp_path: Path) -> None:
    path = csv(tmp_path / "INFY.csv")
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, rows[1], rows[0], rows[2], rows[2], rows[3]]))
    (found,) = read_file(path, "NSE:INFY")
    assert found.candles.digest() == expected().digest()
    assert (found.disordered, found.repeated) == (1, 1)


def test_a_symbol_column_makes_one_series_a_symbol(tmp_path: Path) -> None:
    names = ("date", "open", "high", "low", "close", "volume")
    columns = {name: list(column) * 2 for name, column in zip(names, zip(*ROWS, strict=True), strict=True)}
    table = pa.table({"symbol": ["INFY"] * 4 + ["TCS"] * 4, **columns})
    pq.write_table(table, tmp_path / "both.parquet")
    found = read_file(tmp_path / "both.parquet", "BSE:both")
    assert [one.candles.key for one in found] == ["BSE:INFY", "BSE:TCS"]
    assert found[1].candles.digest() == expected("BSE:TCS").digest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "date,open,high,low,close\n2026-11-23 09:15,1,2,0.5,\n2026-11-23 09:16,1,2,0.5,1\n",
            "close of row 1 is empty",
        ),
        ("date,open,high,low,close\n2026-11-23 09:15,1,2,0.5,x\n", "column close is not all numbers"),
        ("date,open,high,low\n2026-11-23 09:15,1,2,0.5\n", "the columns close are missing"),
        ("when,open,high,low,close\n2026-11-23 09:15,1,2,0.5,1\n", "the columns date are missing"),
        ("date,open,high,low,close\n23-11-2026 09:15,1,2,0.5,1\n", "'23-11-2026 09:15' in row 1 is not a date"),
        ("date,open,high,low,close\n1763869500,1,2,0.5,1\n", "the times are numbers"),
        ("date,open,high,low,close\n2026-11-23 09:15,1,2,0.5,3\n2026-11-23 09:16,1,2,0.5,1\n", "row 1 .*high is below"),
        ("date,open,high,low,close\n2026-11-23 09:15,1,2,1,1\n2026-11-23 09:17,1,2,1,1\n", "120 seconds apart"),
        ("date,open,high,low,close\n2026-11-23 09:15,1,2,1,1\n", "a single candle does not tell its interval"),
        ("", "has no rows"),
    ],
)
def test_a_file_that_will_not_do_says_why_in_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "INFY.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words) as raised:
        read_file(path, "NSE:INFY")
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_parquet_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "INFY.parquet").write_text("no")
    with pytest.raises(DataError, match="cannot be read as parquet"):
        read_file(tmp_path / "INFY.parquet", "NSE:INFY")
    with pytest.raises(DataError, match="is not there"):
        read_file(tmp_path / "TCS.csv", "NSE:TCS")


def test_an_interval_that_the_bars_do_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of the interval minute, not 5minute"):
        read_file(csv(tmp_path / "INFY.csv"), "NSE:INFY", "5minute")


@pytest.mark.parametrize(
    ("starts", "interval"),
    [
        (["2026-11-23T09:15", "2026-11-23T09:20", "2026-11-24T09:15"], "5minute"),
        (["2026-11-23T09:15", "2026-11-23T10:15", "2026-11-23T15:15"], "60minute"),
        (["2026-11-20", "2026-11-23"], "day"),
        (["2026-11-23T15:30", "2026-11-24T15:30"], "day"),
        (["2026-11-23"], "day"),
    ],
)
def test_the_distance_of_the_bars_tells_the_interval(starts: list[str], interval: str) -> None:
    assert interval_of(np.array(starts, "datetime64[s]")) == interval


def test_day_bars_stamped_at_the_close_are_stamped_at_midnight(tmp_path: Path) -> None:
    path = tmp_path / "INFY.csv"
    path.write_text("date,open,high,low,close\n2026-11-20 15:30,1,2,1,1\n2026-11-23 15:30,1,2,1,1\n")
    (found,) = read_file(path, "NSE:INFY")
    assert found.candles.start.tolist() == [datetime(2026, 11, 20), datetime(2026, 11, 23)]


# ---- frames -----------------------------------------------------------------------------------


def frame() -> pd.DataFrame:
    return pd.DataFrame(ROWS, columns=["date", "open", "high", "low", "close", "volume"])


def forms() -> dict[str, pd.DataFrame]:
    plain = frame()
    return {
        "column": plain,
        "index": plain.set_index("date"),
        "unnamed index": plain.set_index("date").rename_axis(None),
        "ist": plain.assign(date=plain["date"].dt.tz_localize("Asia/Kolkata")),
        "utc": plain.assign(date=plain["date"].dt.tz_localize("Asia/Kolkata").dt.tz_convert("UTC")),
        "utc index": plain.set_index(plain["date"].dt.tz_localize("Asia/Kolkata").dt.tz_convert("UTC")).drop(
            columns="date"
        ),
        "text": plain.assign(date=plain["date"].astype(str)),
        "capitals": plain.rename(columns=str.capitalize),
        "nullable": plain.astype({"volume": "Int64", "open": "Float64"}),
        "reversed": plain.iloc[::-1],
        "repeated": pd.concat([plain, plain.iloc[[2]]]),
    }


@pytest.mark.parametrize("form", forms())
def test_frames_of_any_form_are_the_same_candles(form: str) -> None:
    given = forms()[form]
    before = given.copy()
    assert read_frame(given, "NSE:INFY").digest() == expected().digest()
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda one: one.assign(date=one["date"].mask(one.index == 2)), "row 3 of the frame has no date"),
        (
            lambda one: one.assign(volume=pd.array([1, None, 3, 4], "Int64")),
            r"volume of row 2 .*\(0 is what Kite gives",
        ),
        (
            lambda one: one.assign(close=[1.0, 2.0, np.nan, 4.0]),
            "close of row 3 of the frame is empty; fill it or drop the row$",
        ),
        (lambda one: one.assign(open="dear"), "column open of the frame is not all numbers"),
        (lambda one: one.drop(columns="date"), "neither in the index nor in a column named date"),
        (lambda one: one.drop(columns=["low", "high"]), "the columns high, low are missing"),
        (lambda one: one.assign(date="soon"), "not all dates"),
    ],
)
def test_a_frame_that_will_not_do_says_why(spoil: Callable[[pd.DataFrame], Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_frame(spoil(frame()), "NSE:INFY")


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a pandas DataFrame, not list"):
        read_frame([1, 2], "NSE:INFY")  # type: ignore[arg-type]


# ---- real files -------------------------------------------------------------------------------


def test_every_real_candle_file_is_read_and_survives_the_cache(shared: Path, tmp_path: Path) -> None:
    cache = CandleCache(tmp_path)
    paths = sorted(path for name in ("minute", "hourly", "daily") for path in (shared / name).iterdir())
    assert len(paths) >= 30
    for path in paths:
        name = named(path)
        for one in read_file(path, f"NSE:{name.symbol}", name.interval or None):
            digest = one.candles.digest()
            cache.write(one.candles)
            assert cache.digest(one.candles.key, one.candles.interval) == digest, path


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path, end: str) -> None:
    path = tmp_path / "INFY_day.csv"
    path.write_text("date,open,high,low,close,volume" + end)
    with pytest.raises(DataError, match=r"INFY_day\.csv has no rows: there is no candle in it$"):
        read_file(path, "NSE:INFY")
