from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.market.margins import Leg, is_margined, margin_rate, margin_required, portfolio_margin
from btkite.market.naming import described
from btkite.values import Side

TODAY = date(2026, 11, 10)
SHARE = described("NSE:SBIN")
FUTURE = described("NFO:NIFTY26NOVFUT")
STOCK_FUTURE = described("NFO:SBIN26NOVFUT")
CALL = described("NFO:NIFTY26NOV25000CE")
HIGHER = described("NFO:NIFTY26NOV25500CE")
PUT = described("NFO:NIFTY26NOV25000PE")
CRUDE = described("MCX:CRUDEOIL26NOVFUT")
DOLLAR = described("CDS:USDINR26NOVFUT")


@pytest.mark.parametrize(
    ("instrument", "side", "product", "rate"),
    [
        (SHARE, Side.BUY, "CNC", 1.0),
        (SHARE, Side.BUY, "MIS", 0.2),
        (SHARE, Side.SELL, "MIS", 0.2),
        (SHARE, Side.BUY, "MTF", 0.5),
        (FUTURE, Side.SELL, "NRML", 0.15),
        (FUTURE, Side.SELL, "MIS", 0.15),
        (STOCK_FUTURE, Side.SELL, "NRML", 0.2),
        (CALL, Side.BUY, "NRML", 1.0),
        (CALL, Side.SELL, "NRML", 0.15),
        (CRUDE, Side.BUY, "NRML", 0.15),
        (DOLLAR, Side.BUY, "NRML", 0.05),
    ],
)
def test_rates_by_kind_and_side(instrument, side, product, rate) -> None:
    assert margin_rate(instrument, side, product, TODAY) == rate


@pytest.mark.parametrize(
    ("day", "rate"),
    [
        ("2019-06-03", 0.05), ("2020-12-01", 0.05), ("2021-02-28", 0.05), ("2021-03-01", 0.1), ("2021-05-31", 0.1),
        ("2021-06-01", 0.15), ("2021-08-31", 0.15), ("2021-09-01", 0.2), ("2026-11-10", 0.2),
    ],
)  # fmt: skip
def test_intraday_leverage_fell_from_twenty_to_five_times(day: str, rate: float) -> None:
    assert margin_rate(SHARE, Side.BUY, "MIS", date.fromisoformat(day)) == rate
    assert margin_rate(SHARE, Side.BUY, "CNC", date.fromisoformat(day)) == 1


def test_a_bought_option_costs_its_premium_and_a_sold_one_a_part_of_the_strike() -> None:
    assert margin_required(CALL, Side.BUY, "NRML", 65, 120.0, TODAY) == 7_800
    assert margin_required(CALL, Side.SELL, "NRML", 65, 120.0, TODAY) == pytest.approx(0.15 * 25_000 * 65)


def test_a_multiplier_counts() -> None:
    assert margin_required(CRUDE, Side.BUY, "NRML", 2, 6_000.0, TODAY) == pytest.approx(0.15 * 2 * 6_000 * 100)


def test_what_stands_on_margin() -> None:
    assert is_margined(FUTURE, -65, "NRML")
    assert is_margined(CALL, -65, "NRML")
    assert is_margined(SHARE, 1, "MIS")
    assert not is_margined(CALL, 65, "NRML")
    assert not is_margined(SHARE, 1, "CNC")


# -- positions together -----------------------------------------------------------------------------


def leg(instrument, quantity: int, price: float, product: str = "NRML") -> Leg:
    return Leg(instrument, product, quantity, price)


def margin(*legs: Leg, spot: float | None = None) -> float:
    return portfolio_margin(legs, TODAY, {} if spot is None else {"NIFTY": spot})


def test_one_alone_needs_what_an_order_needs() -> None:
    assert margin(leg(FUTURE, -65, 25_000.0)) == pytest.approx(0.15 * 25_000 * 65)
    assert margin(leg(CALL, -65, 120.0)) == pytest.approx(0.15 * 25_000 * 65)
    assert margin(leg(FUTURE, 65, 25_000.0)) == pytest.approx(0.15 * 25_000 * 65)
    assert margin(leg(PUT, -65, 110.0)) == pytest.approx(0.15 * 25_000 * 65)
    assert margin(leg(SHARE, 100, 500.0, "MIS")) == pytest.approx(0.2 * 50_000)
    assert margin(leg(CALL, 65, 120.0)) == 0


def test_an_option_out_of_the_money_needs_less() -> None:
    near, far = margin(leg(HIGHER, -65, 50.0), spot=25_500.0), margin(leg(HIGHER, -65, 50.0), spot=24_000.0)
    assert far == pytest.approx((24_000 * 1.13 - 25_500 + 0.02 * 24_000) * 65)
    assert far < near


def test_a_bought_option_limits_the_loss_of_a_sold_one_to_the_distance_of_the_strikes() -> None:
    spread = margin(leg(CALL, -65, 120.0), leg(HIGHER, 65, 40.0), spot=25_000.0)
    assert spread == pytest.approx((500 + 0.02 * 25_000) * 65)


def test_a_straddle_needs_one_sides_loss_and_both_sides_exposure() -> None:
    both = margin(leg(CALL, -65, 120.0), leg(PUT, -65, 110.0))
    assert both == pytest.approx((0.13 + 2 * 0.02) * 25_000 * 65)


def test_another_expiry_offsets_nothing() -> None:
    later = described("NFO:NIFTY26DECFUT")
    near, far = FUTURE, later
    apart = margin(leg(near, 65, 25_000.0)) + margin(leg(far, -65, 25_000.0))
    from dataclasses import replace

    near, far = replace(near, expiry=date(2026, 11, 24)), replace(far, expiry=date(2026, 12, 29))
    assert margin(leg(near, 65, 25_000.0), leg(far, -65, 25_000.0)) == pytest.approx(apart)


LEGS = st.lists(
    st.tuples(st.sampled_from([CALL, HIGHER, PUT, FUTURE]), st.integers(-4, 4).filter(bool)), min_size=1, max_size=5
)


@given(LEGS, st.integers(22_000, 28_000))
@settings(max_examples=200, deadline=None)
def test_positions_together_never_need_more_than_apart_nor_less_for_an_option_sold(legs, spot) -> None:
    made = [leg(instrument, lots * 65, float(spot) if instrument is FUTURE else 100.0) for instrument, lots in legs]
    together = margin(*made, spot=float(spot))
    assert 0 <= together <= sum(margin(one, spot=float(spot)) for one in made) + 1e-6
    naked = [one for one in made if not (one.instrument.is_option and one.quantity > 0)]
    assert together <= margin(*naked, spot=float(spot)) + 1e-6
