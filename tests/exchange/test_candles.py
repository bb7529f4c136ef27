"""Candles as given, and as read from a cache; the settings and the port."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from btkite.exchange import BadCandles, BadSettings, CandleSeries, Exchange, ExchangeSettings, PortInUse, hours
from btkite.exchange.candles import read_cache
from btkite.exchange.instruments import make_rows

from .scene import DAY, KEY, Scene, candles

ONE: dict[str, Any] = {"open": [100.0], "high": [101.0], "low": [99.0], "close": [100.5]}
AT = datetime(2026, 11, 18, 9, 15)


@pytest.mark.parametrize(
    "start",
    [
        [AT],
        np.array(["2026-11-18T09:15"], dtype="datetime64[m]"),
        pd.Series([pd.Timestamp(AT)]),
        pd.Series([pd.Timestamp(AT, tz="Asia/Kolkata")]),
        pd.DatetimeIndex([pd.Timestamp(2026, 11, 18, 3, 45, tz="UTC")]),
        [int(pd.Timestamp(AT, tz="Asia/Kolkata").timestamp())],
    ],
)
def test_a_start_may_be_wall_time_or_epoch_seconds(start: Any) -> None:
    series = CandleSeries(interval="minute", start=start, **ONE)
    assert series.start.tolist() == [int((AT - datetime(1970, 1, 1)).total_seconds())]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"high": [99.5]}, "high"),
        ({"low": [100.2]}, "low"),
        ({"close": [float("nan")]}, "not a number"),
        ({"open": [100.0, 100.0]}, "different lengths"),
        ({"interval": "2hours"}, "not an interval"),
        ({"volume": [-1]}, "negative volume"),
        ({"start": ["tea time"]}, "epoch seconds or naive IST"),
    ],
)
def test_damaged_candles_are_refused_with_a_reason(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadCandles, match=message):
        CandleSeries(**{"interval": "minute", "start": [AT], **ONE, **change})


def test_candles_must_ascend() -> None:
    with pytest.raises(BadCandles, match="ascend"):
        CandleSeries(interval="minute", start=[AT, AT], **{name: values * 2 for name, values in ONE.items()})


def test_a_cache_is_read_by_exchange_symbol_and_interval(tmp_path: Path) -> None:
    folder = tmp_path / "NSE" / "INFY"
    folder.mkdir(parents=True)
    columns = {"date": pa.array([AT], pa.timestamp("ms")), **ONE, "volume": [7.0], "oi": [3.0]}
    parquet.write_table(pa.table(columns), folder / "5minute.parquet")
    series = read_cache(tmp_path, [KEY], "5minute")[KEY]
    assert (series.interval, series.volume.tolist(), series.oi.tolist()) == ("5minute", [7], [3])
    scene = Scene(cache_dir=tmp_path, symbols=(KEY,), interval="5minute")
    assert scene.to_end() == ["09:15:00", "09:20:00"]
    with pytest.raises(BadCandles, match="fetch them first"):
        read_cache(tmp_path, [KEY], "minute")


def test_a_file_whose_rows_are_not_in_order_is_named_with_the_row(tmp_path: Path) -> None:
    folder = tmp_path / "NSE" / "INFY"
    folder.mkdir(parents=True)
    starts = [AT, AT.replace(minute=20), AT.replace(minute=16), AT.replace(minute=17)]
    columns = {"date": pa.array(starts, pa.timestamp("ms")), **{name: values * 4 for name, values in ONE.items()}}
    parquet.write_table(pa.table(columns), folder / "minute.parquet")
    with pytest.raises(BadCandles) as told:
        read_cache(tmp_path, [KEY], "minute")
    assert str(told.value) == (
        f"{folder / 'minute.parquet'}: the starts of the candles must ascend, each once: row 3 is of "
        "2026-11-18T09:16:00, the one before of 2026-11-18T09:20:00"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 1, "symbols": (KEY,), "generate_sessions": 0}, "generate_sessions 0: give 1 day or more"),
        ({"seed": 1}, "name the symbols"),
        ({"seed": 1, "symbols": (KEY,), "cache_dir": "x"}, "one source"),
        ({"speed": "fast"}, "speed"),
        ({"speed": -1.0}, "negative"),
        ({"start": DAY, "end": DAY}, "after start"),
        ({"spread_ticks": -1}, "negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        ExchangeSettings(**fields)


def test_a_market_without_candles_needs_a_start() -> None:
    with pytest.raises(BadCandles, match="give a start"):
        Scene(symbols=(KEY,))


def test_a_symbol_without_an_exchange_is_refused() -> None:
    with pytest.raises(BadSettings, match="EXCHANGE:TRADINGSYMBOL"):
        Scene(symbols=("INFY",), start=DAY)


def test_secrets_are_not_shown() -> None:
    text = repr(ExchangeSettings(auto_token="hidden-one", api_secret="hidden-two"))
    assert "hidden" not in text


def test_a_port_in_use_is_said_in_one_sentence() -> None:
    with Exchange(ExchangeSettings(candles={KEY: candles([(100.0,) * 4])})) as first:  # type: ignore[list-item]
        second = Exchange(ExchangeSettings(candles=first.settings.candles, port=first.port))
        with pytest.raises(PortInUse, match=f"127.0.0.1:{first.port}.*choose another port") as refused:
            second.start()
        assert isinstance(refused.value, OSError)


def test_a_stopped_exchange_frees_its_port() -> None:
    settings = ExchangeSettings(candles={KEY: candles([(100.0,) * 4])})  # type: ignore[list-item]
    first = Exchange(settings)
    first.start()
    port = first.port
    first.stop()
    first.stop()
    again = Exchange(ExchangeSettings(candles=settings.candles, port=port))
    again.start()
    again.stop()


@pytest.mark.parametrize(
    ("exchange", "day", "expected"),
    [
        ("NSE", date(2026, 11, 18), ("09:15", "15:30")),
        ("NFO", date(2026, 7, 31), ("09:15", "15:30")),
        ("NFO", date(2026, 8, 3), ("09:15", "15:40")),
        ("MCX", date(2026, 10, 30), ("09:00", "23:30")),
        ("MCX", date(2026, 11, 2), ("09:00", "23:55")),
        ("CDS", date(2026, 11, 18), ("09:00", "17:00")),
        ("NSE", date(2024, 11, 1), ("18:00", "19:00")),
        ("NSE", date(2020, 3, 13), ("09:15", "15:30")),
        ("NSE", date(2026, 11, 24), None),
        ("NSE", date(2026, 11, 21), None),
        ("NSE", date(2026, 2, 1), ("09:15", "15:30")),
        ("MCX", date(2025, 2, 26), ("17:00", "23:55")),
    ],
)
def test_sessions_by_date(exchange: str, day: date, expected: tuple[str, str] | None) -> None:
    found = hours.session(exchange, day)
    text = found and tuple(f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}" for seconds in found)
    assert text == expected


def test_tokens_depend_on_the_symbol_only_and_name_the_segment() -> None:
    keys = ["NSE:SOMETHING", "NFO:NIFTY26NOVFUT", "BSE:SOMETHING", "NSE:NIFTY MIDCAP 100"]
    together = {row.key: row.instrument_token for row in make_rows(keys, (), {}, {})}
    alone = {key: make_rows([key], (), {}, {})[0].instrument_token for key in keys}
    assert together == alone
    assert [together[key] & 0xFF for key in keys] == [1, 2, 4, 9]
    assert len(set(together.values())) == 4


def test_two_rows_with_one_token_are_refused() -> None:
    rows = make_rows([KEY, "NSE:SBIN"], (), {}, {})
    from dataclasses import replace

    with pytest.raises(BadSettings, match="same instrument_token"):
        make_rows([], [rows[0], replace(rows[1], instrument_token=rows[0].instrument_token)], {}, {})
