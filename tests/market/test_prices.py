from __future__ import annotations

import gzip
import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.errors import DataError, RuleViolation
from btkite.market.prices import (
    freeze_from_level,
    freeze_quantity,
    from_paise,
    is_on_tick,
    is_whole_lots,
    round_limit,
    round_to_tick,
    round_trigger,
    slices,
    tick_by_date,
    tick_kind,
    to_paise,
    whole_lots,
)
from btkite.values import Instrument, Side

SHARED = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).resolve().parents[2].parent / "shared")
TICKS = [0.0025, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0]
ticks = st.sampled_from(TICKS)
prices = st.floats(0, 500_000, allow_nan=False)


@pytest.mark.parametrize(
    ("price", "tick", "direction", "expected"),
    [
        (1500.07, 0.05, "nearest", 1500.05),
        (1500.075, 0.05, "nearest", 1500.1),
        (1500.07, 0.05, "up", 1500.1),
        (1500.07, 0.05, "down", 1500.05),
        (0.1 + 0.2, 0.05, "up", 0.3),
        (1500.05 + 0.05, 0.05, "up", 1500.1),
        (1500.05 - 0.05, 0.05, "down", 1500.0),
        (24_350.4, 0.1, "down", 24_350.4),
        (86.51, 0.0025, "up", 86.51),
        (86.511, 0.0025, "nearest", 86.51),
        (21_003.0, 5, "nearest", 21_005.0),
    ],
)
def test_rounding_gives_the_float_that_prints_as_the_decimal(
    price: float, tick: float, direction: str, expected: float
) -> None:
    assert repr(round_to_tick(price, tick, direction)) == repr(expected)  # type: ignore[arg-type]


def test_an_order_is_never_made_worse_or_earlier_by_rounding() -> None:
    assert round_limit(100.03, 0.05, Side.BUY) == 100.0
    assert round_limit(100.03, 0.05, Side.SELL) == 100.05
    assert round_trigger(100.03, 0.05, Side.BUY) == 100.05
    assert round_trigger(100.03, 0.05, Side.SELL) == 100.0


@given(prices, ticks)
def test_a_rounded_price_is_the_nearest_multiple_exactly(price: float, tick: float) -> None:
    step = Decimal(str(tick))
    low, near, high = (Decimal(repr(round_to_tick(price, tick, way))) for way in ("down", "nearest", "up"))
    assert low % step == near % step == high % step == 0
    assert near in (low, high)
    assert high - low in (0, step)
    noise = Decimal("0.000001")
    assert low - noise <= Decimal(price) <= high + noise
    assert abs(Decimal(price) - near) <= step / 2 + noise


@given(st.integers(0, 10_000_000), ticks, st.integers(-3, 3), st.sampled_from(["nearest", "up", "down"]))
def test_a_price_on_the_grid_stays_whatever_the_noise_of_its_float(
    steps: int, tick: float, noise: int, direction: str
) -> None:
    price = float(steps * Decimal(str(tick)))
    noisy = price * (1 + noise * 2.0**-52)
    assert round_to_tick(noisy, tick, direction) == price  # type: ignore[arg-type]
    assert is_on_tick(noisy, tick)
    assert not is_on_tick(price + tick / 2, tick)


@pytest.mark.parametrize("tick", [0, -0.05, float("nan"), float("inf")])
def test_an_impossible_tick_is_refused(tick: float) -> None:
    with pytest.raises(RuleViolation, match="reload the instruments"):
        round_to_tick(100, tick)


@pytest.mark.parametrize("price", [float("nan"), float("inf")])
def test_an_impossible_price_is_refused(price: float) -> None:
    with pytest.raises(RuleViolation, match="not possible"):
        round_to_tick(price, 0.05)


@given(st.integers(0, 10**9))
def test_paise_survive_the_way_through_rupees(paise: int) -> None:
    assert to_paise(from_paise(paise)) == paise


# -- lots ---------------------------------------------------------------------------------------------


@given(st.integers(-(10**9), 10**9), st.integers(1, 2_000))
def test_whole_lots_cut_towards_zero(quantity: int, lot: int) -> None:
    cut = whole_lots(quantity, lot)
    assert cut % lot == 0
    assert 0 <= abs(quantity) - abs(cut) < lot
    assert cut * quantity >= 0


def test_a_fraction_of_a_share_is_not_bought() -> None:
    assert whole_lots(99.99, 1) == 99
    assert whole_lots(149.9, 75) == 75


@pytest.mark.parametrize(("quantity", "fits"), [(65, True), (130, True), (0, False), (-65, False), (64, False)])
def test_lots_are_positive_multiples(quantity: int, fits: bool) -> None:
    assert is_whole_lots(quantity, 65) is fits


def test_1755_is_the_largest_nifty_order_and_more_is_cut_into_slices() -> None:
    assert slices(1755, 1800, 65) == [1755]
    assert slices(1820, 1800, 65) == [1755, 65]
    assert slices(3510, 1800, 65) == [1755, 1755]


@given(st.integers(1, 500), st.integers(1, 100), st.integers(1, 5_000))
def test_slices_are_whole_lots_within_the_limit_and_sum_up(lots: int, lot: int, largest: int) -> None:
    if largest < lot:
        with pytest.raises(RuleViolation, match="not one lot"):
            slices(lots * lot, largest, lot)
        return
    pieces = slices(lots * lot, largest, lot)
    assert sum(pieces) == lots * lot
    assert all(0 < piece <= largest and piece % lot == 0 for piece in pieces)


def test_odd_lots_are_not_sliced() -> None:
    with pytest.raises(RuleViolation, match="not a multiple of the lot 65"):
        slices(100, 1800, 65)


# -- dated tables -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "on", "price", "tick"),
    [
        ("eq", date(2024, 6, 7), 100, 0.05),
        ("eq", date(2024, 6, 10), 249.95, 0.01),
        ("eq", date(2024, 6, 10), 250, 0.05),
        ("eq", date(2025, 4, 14), 3000, 0.05),
        ("eq", date(2025, 4, 15), 249.99, 0.01),
        ("eq", date(2025, 4, 15), 1000, 0.05),
        ("eq", date(2025, 4, 15), 1000.01, 0.1),
        ("eq", date(2025, 4, 15), 5000, 0.1),
        ("eq", date(2025, 4, 15), 9000, 0.5),
        ("eq", date(2025, 4, 15), 12_000, 1.0),
        ("eq", date(2025, 4, 15), 140_000, 5.0),
        ("stock_fut", date(2025, 4, 15), 3000, 0.1),
        ("index_fut", date(2025, 4, 14), 24_000, 0.05),
        ("index_fut", date(2025, 4, 15), 24_000, 0.1),
        ("index_fut", date(2025, 4, 15), 55_000, 0.2),
        ("index_fut", date(2025, 4, 15), 12_500, 0.05),
        ("index_fut_bse", date(2026, 8, 18), 80_000, 0.05),
        ("opt", date(2026, 8, 18), 100, 0.05),
        ("eq", date(2010, 1, 1), 100, 0.05),
    ],
)
def test_ticks_by_date_and_price(kind: str, on: date, price: float, tick: float) -> None:
    assert tick_by_date(kind, on, price) == tick  # type: ignore[arg-type]


def test_a_kind_without_a_table_is_refused() -> None:
    with pytest.raises(DataError, match="instruments dump"):
        tick_by_date("commodity", date(2025, 1, 1), 100)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "on", "quantity"),
    [
        ("BANKNIFTY", date(2018, 10, 25), None),
        ("BANKNIFTY", date(2018, 10, 26), 2500),
        ("BANKNIFTY", date(2023, 4, 2), 1200),
        ("BANKNIFTY", date(2025, 9, 30), 900),
        ("BANKNIFTY", date(2025, 10, 15), None),
        ("BANKNIFTY", date(2025, 11, 3), 600),
        ("BANKNIFTY", date(2026, 6, 30), 900),
        ("BANKNIFTY", date(2026, 8, 3), 600),
        ("NIFTY", date(2026, 8, 3), 1800),
        ("FINNIFTY", date(2026, 1, 1), 1200),
        ("FINNIFTY", date(2026, 8, 3), 1800),
        ("MIDCPNIFTY", date(2024, 7, 31), 5500),
        ("NIFTYNXT50", date(2026, 8, 3), 600),
        ("SENSEX", date(2026, 8, 18), 1000),
        ("RELIANCE", date(2026, 8, 3), None),
    ],
)
def test_freeze_quantities_by_date(name: str, on: date, quantity: int | None) -> None:
    assert freeze_quantity(name, on) == quantity


@pytest.mark.parametrize(
    ("level", "quantity"),
    [
        (5_000, 8500),
        (5_750, 8500),
        (5_751, 5500),
        (13_000, 2800),
        (24_500, 1800),
        (27_600, 1200),
        (54_000, 900),
        (56_000, 600),
    ],
)
def test_freeze_slabs_by_index_level(level: float, quantity: int) -> None:
    assert freeze_from_level(level) == quantity


@pytest.mark.shared
def test_the_table_agrees_with_the_real_dump_of_index_contracts() -> None:
    path = SHARED / "data" / "instruments" / "kite_instruments_NFO_BFO_2026-08-18.csv.gz"
    if not path.exists():
        pytest.skip(f"no real instruments: set BTKITE_SHARED to the folder with {path.name}")
    import csv

    levels = {"NIFTY": 24_350, "BANKNIFTY": 55_000, "FINNIFTY": 26_000, "MIDCPNIFTY": 13_000, "NIFTYNXT50": 68_000}
    levels |= {"SENSEX": 78_000, "BANKEX": 62_000, "SENSEX50": 25_000}
    checked = 0
    with gzip.open(path, "rt") as lines:
        for row in csv.DictReader(lines):
            if row["name"] not in levels:
                continue
            instrument = Instrument(
                row["exchange"], row["tradingsymbol"], name=row["name"], instrument_type=row["instrument_type"]
            )
            kind = tick_kind(instrument)
            assert kind is not None
            assert tick_by_date(kind, date(2026, 8, 18), levels[row["name"]]) == float(row["tick_size"]), row
            checked += 1
    assert checked > 1000
