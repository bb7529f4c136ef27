"""Contracts by date, against the dates and lots that were really listed."""

from __future__ import annotations

import csv
import gzip
import os
from datetime import date
from pathlib import Path

import pytest

from btkite.exchange import contracts
from btkite.exchange.instruments import describe

SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@pytest.mark.parametrize(
    ("exchange", "name", "year", "month", "expected"),
    [
        ("NFO", "NIFTY", 2017, 1, date(2017, 1, 25)),
        ("NFO", "BANKNIFTY", 2024, 1, date(2024, 1, 25)),
        ("NFO", "BANKNIFTY", 2024, 3, date(2024, 3, 27)),
        ("NFO", "BANKNIFTY", 2024, 12, date(2024, 12, 24)),
        ("NFO", "BANKNIFTY", 2025, 1, date(2025, 1, 30)),
        ("NFO", "NIFTY", 2025, 9, date(2025, 9, 30)),
        ("NFO", "NIFTY", 2026, 3, date(2026, 3, 30)),
        ("NFO", "NIFTY", 2026, 11, date(2026, 11, 23)),
        ("NFO", "INFY", 2025, 8, date(2025, 8, 28)),
        ("NFO", "MIDCPNIFTY", 2023, 11, date(2023, 11, 24)),
        ("BFO", "SENSEX", 2024, 1, date(2024, 1, 25)),
        ("BFO", "SENSEX", 2025, 1, date(2025, 1, 28)),
        ("BFO", "SENSEX", 2025, 9, date(2025, 9, 25)),
        ("BFO", "SENSEX", 2025, 12, date(2025, 12, 24)),
    ],
)
def test_monthly_expiries(exchange: str, name: str, year: int, month: int, expected: date) -> None:
    assert contracts.monthly_expiry(exchange, name, year, month) == expected


@pytest.mark.parametrize(
    ("exchange", "name", "nominal", "actual"),
    [
        ("NFO", "NIFTY", date(2024, 4, 11), date(2024, 4, 10)),
        ("NFO", "NIFTY", date(2021, 11, 4), date(2021, 11, 3)),
        ("NFO", "NIFTY", date(2025, 10, 21), date(2025, 10, 20)),
        ("NFO", "NIFTY", date(2026, 4, 14), date(2026, 4, 13)),
        ("NFO", "BANKNIFTY", date(2024, 4, 17), date(2024, 4, 16)),
        ("NFO", "FINNIFTY", date(2023, 10, 24), date(2023, 10, 23)),
        ("NFO", "MIDCPNIFTY", date(2024, 1, 22), date(2024, 1, 20)),
        ("BFO", "SENSEX", date(2026, 1, 15), date(2026, 1, 14)),
    ],
)
def test_a_holiday_moves_a_weekly_expiry_to_the_trading_day_before(
    exchange: str, name: str, nominal: date, actual: date
) -> None:
    assert actual in contracts.weekly_expiries(exchange, name, actual, nominal)


def test_the_weekly_contracts_that_ended_are_not_listed_any_more() -> None:
    assert contracts.weekly_expiries("NFO", "BANKNIFTY", date(2024, 11, 14), date(2025, 3, 1)) == []
    assert contracts.weekly_expiries("NFO", "BANKNIFTY", date(2024, 11, 13), date(2024, 11, 13)) == [date(2024, 11, 13)]
    assert contracts.weekly_expiries("NFO", "NIFTY", date(2018, 1, 1), date(2019, 2, 13)) == []


@pytest.mark.parametrize(
    ("name", "expiry", "day", "lot"),
    [
        ("NIFTY", date(2024, 4, 25), date(2024, 4, 10), 50),
        ("NIFTY", date(2024, 5, 30), date(2024, 4, 10), 50),
        ("NIFTY", date(2024, 5, 30), date(2024, 4, 26), 25),
        ("NIFTY", date(2024, 12, 26), date(2024, 11, 25), 25),
        ("NIFTY", date(2025, 1, 2), date(2024, 11, 29), 75),
        ("NIFTY", date(2026, 11, 23), date(2026, 11, 18), 65),
        ("BANKNIFTY", date(2018, 10, 25), date(2018, 10, 25), 40),
        ("BANKNIFTY", date(2018, 11, 29), date(2018, 10, 26), 20),
        ("SENSEX", date(2026, 8, 20), date(2026, 8, 18), 20),
        ("INFY", date(2026, 8, 25), date(2026, 8, 18), 400),
        ("INFY", date(2025, 8, 28), date(2025, 8, 18), None),
    ],
)
def test_lots_by_contract_and_date(name: str, expiry: date, day: date, lot: int | None) -> None:
    assert contracts.lot_size(name, expiry, day) == lot


@pytest.mark.parametrize(
    ("kind", "price", "day", "tick"),
    [
        ("eq", 200.0, date(2024, 6, 7), 0.05),
        ("eq", 200.0, date(2024, 6, 10), 0.01),
        ("eq", 250.0, date(2024, 6, 10), 0.05),
        ("eq", 3000.0, date(2025, 4, 15), 0.1),
        ("eq", 25000.0, date(2025, 4, 15), 5.0),
        ("index_fut", 26000.0, date(2026, 8, 18), 0.1),
        ("index_fut", 58000.0, date(2026, 8, 18), 0.2),
        ("opt", 5.0, date(2026, 8, 18), 0.05),
    ],
)
def test_ticks_by_date_and_price(kind: str, price: float, day: date, tick: float) -> None:
    assert contracts.tick_size(kind, price, day) == tick


def test_a_chain_has_futures_and_both_forms_of_options() -> None:
    made = contracts.chain("NIFTY", date(2026, 11, 18), 26010.0, 2)
    symbols = [one.symbol for one in made]
    assert symbols[:3] == ["NIFTY26NOVFUT", "NIFTY26DECFUT", "NIFTY27JANFUT"]
    assert {"NIFTY26NOV26000CE", "NIFTY26D0126100PE", "NIFTY26D0825900CE"} <= set(symbols)
    assert len(made) == 3 + 3 * 5 * 2
    assert len(set(symbols)) == len(symbols)
    assert {one.exchange for one in contracts.chain("SENSEX", date(2026, 11, 18), 85000.0, 1)} == {"BFO"}


def test_a_symbol_of_a_chain_says_what_the_chain_meant() -> None:
    for one in contracts.chain("NIFTY", date(2026, 11, 18), 26010.0, 3):
        row = describe(one.key)
        assert (row.name, row.expiry, row.strike, row.instrument_type) == (one.name, one.expiry, one.strike, one.kind)


def test_a_contract_is_listed_the_day_after_the_expiry_that_made_room_for_it() -> None:
    assert contracts.listed_since("NFO", "NIFTY", date(2026, 11, 23)) == date(2026, 8, 26)
    assert contracts.listed_since("NFO", "NIFTY", date(2026, 12, 1)) == date(2026, 10, 28)


@pytest.mark.shared
def test_expiries_lots_and_symbols_are_those_of_a_real_dump() -> None:
    path = SHARED / "data" / "instruments" / "kite_instruments_NFO_BFO_2026-08-18.csv.gz"
    if not path.is_file():
        pytest.skip("the recorded instrument dump is not beside the repository")
    day = date(2026, 8, 18)
    seen = 0
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            expiry = date.fromisoformat(row["expiry"])
            if row["name"].strip('"') not in ("NIFTY", "BANKNIFTY", "SENSEX", "FINNIFTY", "MIDCPNIFTY"):
                continue
            if (expiry - day).days > 62:
                continue
            seen += 1
            made = describe(f"{row['exchange']}:{row['tradingsymbol']}")
            assert (made.expiry, made.instrument_type, made.strike) == (
                expiry, row["instrument_type"], float(row["strike"]),
            ), row["tradingsymbol"]  # fmt: skip
            assert contracts.lot_size(made.name, expiry, day) == int(row["lot_size"]), row["tradingsymbol"]
    assert seen > 1000
