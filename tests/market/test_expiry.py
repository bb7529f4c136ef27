"""What the last days of a contract need, what its end is worth, and what that costs."""

from __future__ import annotations

from datetime import date

import pytest

from btkite.market.expiry import expiry_charges, is_physical, over, sessions_left, too_near, worth
from btkite.market.margins import Leg, delivery_rate, margin_rate, portfolio_margin
from btkite.values import Instrument, OrderType, Proposal, Side

EXPIRY = date(2024, 7, 25)  # a Thursday; the 17th was a holiday


def contract(kind: str = "FUT", name: str = "RELIANCE", strike: float = 2900.0, expiry: date = EXPIRY) -> Instrument:
    return Instrument(
        "NFO", f"{name}24JUL{strike:g}{kind}", 1, name=name, expiry=expiry, strike=0.0 if kind == "FUT" else strike,
        lot_size=250, instrument_type=kind, segment="NFO-FUT" if kind == "FUT" else "NFO-OPT",
    )  # fmt: skip


def order(instrument: Instrument, *, reduces: bool = False) -> Proposal:
    return Proposal(1, instrument, Side.BUY, 250, OrderType.LIMIT, "NRML", "regular", price=10.0, reduces=reduces)


@pytest.mark.parametrize(
    ("name", "expiry", "physical"),
    [
        ("RELIANCE", EXPIRY, True),
        ("NIFTY", EXPIRY, False),
        ("RELIANCE", date(2019, 9, 26), False),
        ("RELIANCE", date(2019, 10, 31), True),
    ],
)
def test_contracts_on_shares_end_in_shares_since_october_2019(name: str, expiry: date, physical: bool) -> None:
    assert is_physical(contract(name=name, expiry=expiry)) == physical


@pytest.mark.parametrize(
    ("day", "left"),
    [
        ("2024-07-25", 0),
        ("2024-07-24", 1),
        ("2024-07-19", 4),
        ("2024-07-16", 6),
        ("2024-07-26", -1),
        ("2024-01-01", None),
    ],
)
def test_trading_days_are_counted_by_the_calendar(day: str, left: int | None) -> None:
    assert sessions_left(contract(), date.fromisoformat(day)) == left


def test_the_margin_of_a_contract_on_a_share_rises_to_half_its_value() -> None:
    days = [date(2024, 7, day) for day in (18, 19, 22, 23, 24, 25)]
    assert [delivery_rate(contract(), day) for day in days] == pytest.approx([0, 0.02, 0.05, 0.09, 0.25, 0.5])
    assert [margin_rate(contract(), Side.SELL, "NRML", day) for day in days] == [0.2, 0.2, 0.2, 0.2, 0.25, 0.5]
    assert margin_rate(contract(name="NIFTY"), Side.SELL, "NRML", EXPIRY) == 0.15


def test_a_bought_option_in_the_money_needs_margin_too_in_its_last_days() -> None:
    long = [Leg(contract("CE"), "NRML", 250, 101.0)]
    assert portfolio_margin(long, date(2024, 7, 18), {"RELIANCE": 3000.0}) == 0
    assert portfolio_margin(long, EXPIRY, {"RELIANCE": 3000.0}) == pytest.approx(0.5 * 250 * 2900)
    assert portfolio_margin(long, EXPIRY, {"RELIANCE": 2800.0}) == 0


def test_an_option_is_worth_what_is_inside() -> None:
    assert worth(contract("CE"), 2950.5) == 50.5
    assert worth(contract("PE"), 2950.5) == 0
    assert worth(contract(), 2950.5) == 2950.5


@pytest.mark.parametrize(
    ("instrument", "units", "price", "total"),
    [
        # brokerage 0.25 % of 725,000 with GST, delivery tax 0.1 %, stamp 0.015 % of who takes, ₹15.93 of who gives
        (contract("CE"), 250, 3000.0, 1812.5 * 1.18 + 725 + 109),
        (contract("CE"), -250, 3000.0, 1812.5 * 1.18 + 725 + 15.93),
        (contract("PE"), 250, 2800.0, 1812.5 * 1.18 + 725 + 15.93),
        (contract("PE"), -250, 3000.0, 0),
        (contract(), 250, 2900.0, 1812.5 * 1.18 + 725 + 109),
        (contract(name="NIFTY"), 250, 2900.0, 0),
        (contract("CE", "NIFTY"), 250, 2950.0, 20 * 1.18 + 16),
        (contract("CE", "NIFTY"), -250, 2950.0, 20 * 1.18),
    ],
)
def test_what_an_end_costs(instrument: Instrument, units: int, price: float, total: float) -> None:
    assert float(expiry_charges(instrument, units, price, EXPIRY).total) == pytest.approx(total, abs=0.02)


def test_orders_in_what_is_over_are_denied_also_those_that_reduce() -> None:
    wanted = order(contract(), reduces=True)
    assert over(wanted, EXPIRY, closed=False) is None
    assert str(over(wanted, EXPIRY, closed=True)).endswith("has expired on 2024-07-25: nothing trades in it any more")
    assert over(wanted, date(2024, 7, 26), closed=False) is not None


def test_options_on_shares_are_not_opened_near_their_end() -> None:
    assert too_near(order(contract("CE")), date(2024, 7, 18), 4) is None
    assert "expires in 4 trading days and ends in shares" in str(too_near(order(contract("CE")), date(2024, 7, 19), 4))
    assert "expires today" in str(too_near(order(contract("CE")), EXPIRY, 4))
    for passes in (order(contract("CE"), reduces=True), order(contract()), order(contract("CE", "NIFTY"))):
        assert too_near(passes, EXPIRY, 4) is None
    assert too_near(order(contract("CE")), EXPIRY, 0) is None
