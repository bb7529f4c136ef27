from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from btkite.market.dated import in_force
from btkite.market.permitted import forbidden, is_stock_option, largest_order
from btkite.values import Instrument, OrderType, Proposal, Side

NOW = date(2026, 11, 18)
SHARE = Instrument("NSE", "TEST")
GOLD = Instrument("MCX", "GOLDM26DECFUT", name="GOLDM", instrument_type="FUT", segment="MCX-FUT")
NIFTY = Instrument("NFO", "NIFTY26NOVFUT", name="NIFTY", lot_size=65, instrument_type="FUT", segment="NFO-FUT")
CALL = replace(NIFTY, tradingsymbol="NIFTY26NOV24000CE", instrument_type="CE", segment="NFO-OPT")
STOCK_CALL = replace(CALL, tradingsymbol="INFY26NOV1500CE", name="INFY", lot_size=400)


def order(instrument: Instrument = SHARE, **given: Any) -> Proposal:
    plain = {"quantity": instrument.lot_size, "order_type": OrderType.LIMIT, "product": "MIS", "price": 100.0}
    plain |= {"variety": "regular", "validity": "DAY"}
    return Proposal(ref=1, instrument=instrument, side=Side.BUY, **{**plain, **given})


def test_a_rule_of_an_exchange_wins_over_the_general_one_from_its_day_on():
    assert in_force("ioc", "MCX", date(2026, 3, 31)) == "yes"
    assert in_force("ioc", "MCX", date(2026, 4, 1)) == "no"
    assert in_force("ioc", "NSE", NOW) == "yes"
    assert in_force("ioc", "MCX", date(2009, 1, 1)) is None
    assert in_force("no_such_rule", "", NOW) is None


def test_a_backtest_is_held_to_the_rule_of_its_day():
    ioc = order(GOLD, validity="IOC")
    assert forbidden(ioc, date(2026, 3, 31)) is None
    denial = forbidden(ioc, date(2026, 4, 1))
    assert denial is not None
    assert denial.reason == "Kite takes no IOC orders on MCX: use validity DAY, or a Limit and cancel it"


def test_an_exchange_of_data_only_takes_no_order():
    denial = forbidden(order(replace(GOLD, exchange="NCO")), NOW)
    assert denial is not None
    assert denial.reason == "NCO takes no orders through Kite: NCO:GOLDM26DECFUT is data only"


def test_a_market_order_in_an_option_waits_for_no_open():
    market = order(CALL, order_type=OrderType.MARKET, price=0.0)
    assert forbidden(market, NOW) is None
    for denial in (forbidden(market, NOW, amo=True), forbidden(replace(market, variety="amo"), NOW)):
        assert denial is not None
        assert "no market order in NFO:NIFTY26NOV24000CE after hours: give a Limit" in denial.reason
    assert forbidden(order(CALL), NOW, amo=True) is None


@pytest.mark.parametrize(
    ("instrument", "day", "most"),
    [
        (NIFTY, NOW, 1755),  # 1800, in whole lots of 65
        (NIFTY, date(2022, 1, 3), 2795),
        (replace(NIFTY, name="UNKNOWN"), NOW, None),
        (replace(SHARE, name="NIFTY"), NOW, None),
        (Instrument("", "data0", name="NIFTY"), NOW, None),
    ],
)
def test_the_largest_order_of_a_contract_is_whole_lots_of_its_freeze_quantity(instrument, day, most):
    assert largest_order(instrument, day) == most


def test_an_iceberg_is_held_to_the_freeze_quantity_by_its_legs():
    whole = order(NIFTY, quantity=1820, variety="iceberg", iceberg_legs=2, iceberg_quantity=910)
    assert forbidden(whole, NOW) is None
    denial = forbidden(replace(whole, quantity=3640, iceberg_quantity=1820), NOW)
    assert denial is not None
    assert denial.rule == "freeze"


def test_only_options_on_shares_take_no_market_order():
    assert [is_stock_option(one) for one in (SHARE, NIFTY, CALL, STOCK_CALL)] == [False, False, False, True]
    assert not is_stock_option(replace(STOCK_CALL, exchange="MCX"))


def test_data_that_is_not_kites_is_held_to_nothing():
    assert forbidden(order(Instrument("", "data0"), quantity=10**9, validity="IOC"), NOW) is None
