"""The parts of a charge: rates by date, what an expiry costs, what stands on the ledger alone."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from btkite.exchange.charges import (
    debit_interest,
    delivery_levies,
    depository_charge,
    exercise_levies,
    rate,
    square_off_charge,
)
from btkite.exchange.instruments import describe

NIFTY_OPT = describe("NFO:NIFTY26NOV25000CE")
CRUDE_OPT = describe("MCX:CRUDEOIL26NOV5500CE")


@pytest.mark.parametrize(
    ("day", "holder", "total"),
    [(date(2026, 11, 10), True, "38.60"), (date(2026, 3, 24), True, "35.60"), (date(2026, 11, 10), False, "23.60")],
)
def test_an_option_that_ends_in_the_money_costs_its_holder_the_tax(day: date, holder: bool, total: str) -> None:
    assert exercise_levies(NIFTY_OPT, Decimal(9750), Decimal(0), holder=holder, day=day).total == Decimal(total)


def test_shares_that_a_contract_moves() -> None:
    value, day = Decimal(700_000), date(2026, 11, 10)
    assert delivery_levies(value, receives=True, netted=False, day=day).total == Decimal(2870)
    assert delivery_levies(value, receives=False, netted=False, day=day).total == Decimal(2765)
    assert delivery_levies(value, receives=True, netted=True, day=day).total == Decimal(826)
    crude = exercise_levies(CRUDE_OPT, Decimal(0), Decimal(550_000), holder=True, day=day)
    assert (crude.tax, crude.brokerage) == (Decimal("0.55"), Decimal(20))


def test_what_stands_on_the_ledger_alone() -> None:
    assert [depository_charge(date(2023, 5, 12)), depository_charge(date(2026, 11, 10))] == [
        Decimal("15.93"), Decimal("15.34"),
    ]  # fmt: skip
    assert [square_off_charge(date(2020, 3, 18)), square_off_charge(date(2026, 11, 10))] == [
        Decimal("23.60"), Decimal("59.00"),
    ]  # fmt: skip
    assert debit_interest(Decimal(-25_000), 3) == Decimal("37.50")
    assert debit_interest(Decimal(25_000), 3) == 0


def test_a_rate_holds_until_the_next_one() -> None:
    days = (date(2026, 3, 31), date(2026, 4, 1), date(2011, 1, 1))
    assert [rate("stt_opt", day) for day in days] == [
        Decimal("0.001"), Decimal("0.0015"), Decimal("0.0005"),
    ]  # fmt: skip
