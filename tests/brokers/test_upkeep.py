"""A short option blocks margin in a backtest too, and the day is told on which it could not have been kept."""

from __future__ import annotations

from datetime import date

import pytest

from btkite.brokers.upkeep import Upkeep
from btkite.market.margins import Leg
from btkite.market.naming import described
from btkite.testing import bars, run_strategy
from tests.brokers.scene import Planned

CALL = "NFO:NIFTY26NOV25000CE"
WING = "NFO:NIFTY26NOV25500CE"
ONE = 0.15 * 25_000 * 65
"""₹ that one lot sold blocks."""
NIGHT = date(2026, 11, 18)
DAYS = 6  # bars of an hour of a session of derivatives


def held(prices: list[float], cash: float, *, wing: bool = False, **more):
    """The call, a lot sold in the first hour, at these prices of the days' hours."""
    rows = [(price,) * 4 for price in prices]
    series = {CALL: bars.from_rows(rows, symbol=CALL, interval="60minute")}
    if wing:
        series[WING] = bars.from_rows([(40.0,) * 4] * len(rows), symbol=WING, interval="60minute")

    def enter(s):
        orders = [s.sell(data=s.datas[0], size=65, product="NRML")]
        return [*orders, s.buy(data=s.datas[1], size=65, product="NRML")] if wing else orders

    return run_strategy(Planned, series, plan={1: enter}, interval="60minute", cash=cash, **more)


def test_a_sold_option_blocks_a_part_of_the_strike():
    ran = held([100.0] * 6, 500_000.0).strategy
    assert ran.broker.ledger.used == pytest.approx(ONE)
    assert ran.broker.getcash() == pytest.approx(500_000 - ONE)
    assert (ran.broker.upkeep.most, ran.broker.upkeep.most_on) == (pytest.approx(ONE), NIGHT)


def test_without_the_margin_it_is_denied():
    ran = held([100.0] * 6, 200_000.0).strategy
    assert ran.story() == ["Margin"]
    assert f"the order needs ₹{243_750:,.2f}".replace("243,750", "2,43,750") in ran.given[0].info.denied


def test_the_day_is_told_on_which_what_is_held_could_not_have_been_kept():
    calm, wild = [100.0] * 7, [400.0] * 7
    ran = held([*calm, *wild, *wild], 250_000.0).strategy
    upkeep = ran.broker.upkeep
    assert str(upkeep).startswith(
        "short of margin: on 2026-11-19 the positions needed about ₹2,43,750.00 of margin and ₹2,30,500.00 was there"
    )
    assert upkeep.days == 1  # the last session has no night behind it


def test_what_can_be_kept_is_not_told():
    assert str(held([100.0] * 21, 250_000.0).strategy.broker.upkeep) == ""


def test_a_bought_option_makes_it_cheaper():
    wild = [100.0] * 7 + [400.0] * 14
    assert held(wild, 250_000.0).strategy.broker.upkeep.days
    assert held(wild, 252_700.0, wing=True).strategy.broker.upkeep.days == 0


def test_delivery_and_bought_options_need_nothing_more():
    upkeep = Upkeep()
    legs = [Leg(described("NSE:INFY"), "CNC", 100, 900.0), Leg(described(CALL), "NRML", 65, 1.0)]
    upkeep.close(NIGHT, legs, 1_000.0)
    assert str(upkeep) == ""


def test_paid_shares_are_no_margin():
    """A lot sold beside shares that took the money: their worth is not there twice."""
    upkeep = Upkeep()
    sold = Leg(described(CALL), "NRML", -65, 100.0)
    upkeep.close(NIGHT, [sold], ONE + 1)
    assert upkeep.days == 0
    upkeep.close(NIGHT, [sold, Leg(described("NSE:INFY"), "CNC", 10, 1_000.0)], ONE + 1)
    assert upkeep.days == 1
    assert "the first of" not in str(upkeep)
