"""Worked examples of Zerodha's support articles, and events computed independently of this code."""

from __future__ import annotations

from datetime import date

import pytest

from btkite.market.levies import (
    debit_interest,
    delivery_charges,
    depository_charge,
    exercise_charges,
    mtf_interest,
    mtf_pledge_charge,
    pledge_charge,
    square_off_charge,
    square_off_orders,
)
from btkite.values import Instrument, Side

TODAY = date(2026, 11, 10)
CALL = Instrument("NFO", "NIFTY26NOV25000CE", name="NIFTY", instrument_type="CE", strike=25_000, lot_size=65)
PUT = Instrument("NFO", "NIFTY26NOV25000PE", name="NIFTY", instrument_type="PE", strike=25_000, lot_size=65)
CRUDE = Instrument("MCX", "CRUDEOIL26NOV5400CE", name="CRUDEOIL", instrument_type="CE", strike=5400, multiplier=100)
DOLLAR = Instrument("CDS", "USDINR26NOV86CE", name="USDINR", instrument_type="CE", strike=86, multiplier=1000)


@pytest.mark.parametrize(
    ("on", "woman", "rupees"),
    [
        ("2020-02-17", False, 15.93),
        ("2024-03-01", False, 15.93),
        ("2024-09-17", False, 15.34),
        ("2026-11-10", False, 15.34),
        ("2026-11-10", True, 15.05),
    ],
)
def test_a_sale_from_demat_costs_the_depositorys_charge(on: str, woman: bool, rupees: float) -> None:
    assert depository_charge(date.fromisoformat(on), woman=woman) == rupees


@pytest.mark.parametrize(("on", "rupees"), [("2020-03-18", 23.60), ("2020-03-19", 59.00), ("2026-11-10", 59.00)])
def test_a_square_off_by_the_broker_costs_fifty_and_gst_an_order(on: str, rupees: float) -> None:
    assert square_off_charge(date.fromisoformat(on)) == rupees


def test_a_large_position_is_squared_off_in_several_orders() -> None:
    share = Instrument("NSE", "INFY")
    assert square_off_orders(share, 100_000, TODAY) == 4
    assert square_off_charge(TODAY, square_off_orders(share, 100_000, TODAY)) == 236.00
    assert square_off_orders(share, 30_000, TODAY) == 1
    assert square_off_orders(CALL, 1_755, TODAY) == 1  # 27 lots of 65: the freeze quantity is 1,800
    assert square_off_orders(CALL, 1_820, TODAY) == 2
    assert square_off_orders(CRUDE, 7, TODAY) == 1


def test_interest_and_pledges() -> None:
    assert [mtf_interest(40_000, days, TODAY) for days in (20, 30, 45)] == [320, 480, 720]
    assert mtf_interest(2_000, 10, TODAY) == 8
    assert debit_interest(25_000, 3, TODAY) == 37.50
    assert debit_interest(-25_000, 3, TODAY) == 0
    assert pledge_charge(TODAY) == 35.40
    assert mtf_pledge_charge(date(2025, 9, 10)) + mtf_pledge_charge(date(2025, 9, 30), back=True) == 35.40
    assert mtf_pledge_charge(date(2024, 12, 20), back=True) == 0


@pytest.mark.parametrize(
    ("on", "side", "tax", "total"),
    [
        ("2026-11-10", Side.BUY, 15, 38.60),
        ("2026-03-24", Side.BUY, 12, 35.60),
        ("2026-11-10", Side.SELL, 0, 23.60),
    ],
)
def test_an_option_that_ends_in_the_money_costs_its_holder_the_tax(
    on: str, side: Side, tax: float, total: float
) -> None:
    got = exercise_charges(CALL, side, 65, 25_150, date.fromisoformat(on))
    assert (got.transaction_tax, got.total) == (tax, total)
    assert exercise_charges(PUT, side, 65, 24_850, date.fromisoformat(on)) == got


@pytest.mark.parametrize("settlement", [25_000, 24_000])
def test_an_option_that_ends_worthless_costs_nothing(settlement: float) -> None:
    assert exercise_charges(CALL, Side.BUY, 65, settlement, TODAY).total == 0


def test_commodity_options_pay_on_the_settlement_price_and_currency_options_nothing() -> None:
    crude = exercise_charges(CRUDE, Side.BUY, 1, 5_500, TODAY)
    assert (crude.transaction_tax, crude.brokerage) == (0.55, 20)
    assert exercise_charges(DOLLAR, Side.BUY, 1, 87.0, TODAY).transaction_tax == 0


def test_shares_that_a_contract_moves() -> None:
    assert delivery_charges(700_000, TODAY, receives=True).total == 2_870
    given = delivery_charges(700_000, TODAY, receives=False)
    assert given.total == 2_765
    assert round(given.total + depository_charge(TODAY), 2) == 2_780.34
    assert delivery_charges(700_000, TODAY, receives=True, netted=True).total == 826
