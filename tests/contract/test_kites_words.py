"""The contract of brokers: Kite's own words per order, and the hours and lots of its exchanges."""

from __future__ import annotations

import backtrader as bt
import pytest

from tests.contract.houses import CALM, DONE, STEPS, Noted, ours

Order = bt.Order


@pytest.mark.parametrize(
    ("given", "in_the_book"),
    [
        ({"product": "CNC"}, {"product": "CNC", "variety": "regular"}),
        ({"validity": "IOC"}, {"validity": "IOC"}),
        ({"validity": "TTL", "validity_ttl": 5}, {"validity": "TTL", "validity_ttl": 5}),
        ({"disclosed_quantity": 20}, {"disclosed_quantity": 20}),
        ({"market_protection": 2}, {"market_protection": 2}),
        ({}, {"product": "MIS", "variety": "regular", "validity": "DAY", "market_protection": -1}),
    ],
    ids=["CNC", "IOC", "TTL", "disclosed", "protection", "defaults"],
)
def test_kites_own_fields_reach_the_exchange_and_trouble_no_simulator(house, given, in_the_book):
    ran = house.run(Noted, STEPS, plan={2: lambda s: s.buy(size=100, **given)}, config={"broker.leverage": 5}).strategy
    assert ran.story()[-1] == "Completed"
    assert {name: ran.infos[ran.returned[0].ref][name] for name in given} == given
    if house.live:
        (row,) = house.orders()
        assert {name: row[name] for name in in_the_book} == in_the_book


def test_a_tag_is_a_label_before_the_one_that_is_ours(house):
    ran = house.run(Noted, STEPS, plan={2: lambda s: s.buy(size=1, tag="entry")}).strategy
    assert ran.story() == DONE
    if house.live:
        (row,) = house.orders()
        assert row["tag"].startswith("entry")
        assert len(row["tag"]) <= 20


def test_an_order_that_reduces_takes_the_product_of_its_position(house):
    plan = {2: lambda s: s.buy(size=5, product="CNC"), 4: lambda s: s.close()}
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.position.size == 0
    if house.live:
        assert [row["product"] for row in house.orders()] == ["CNC", "CNC"]


def test_an_iceberg_reaches_the_exchange(house):
    plan = {
        2: lambda s: s.buy(
            size=100, exectype=Order.Limit, price=120.0, variety="iceberg", iceberg_legs=4, iceberg_quantity=25
        )
    }
    ran = house.run(Noted, STEPS, plan=plan).strategy
    assert ran.story()[-1] == "Completed"
    if house.live:
        assert {row["variety"] for row in house.orders()} == {"iceberg"}


def test_a_future_is_traded_in_lots_as_nrml(house):
    future = {"NFO:NIFTY26NOVFUT": [24_000.0 + n for n in range(10)]}
    plan = {2: lambda s: s.buy(size=65, product="NRML"), 4: lambda s: s.close()}
    ran = house.run(Noted, future, cash=5_000_000.0, plan=plan).strategy
    assert [ran.story(n)[-1] for n in range(2)] == ["Completed", "Completed"]
    if house.live:
        assert [row["product"] for row in house.orders()] == ["NRML", "NRML"]


@ours  # backtrader itself has no sessions
def test_an_order_outside_the_session_may_be_refused(house):
    market = [CALM] * 7 + [CALM] * 3
    plan = {7: lambda s: s.buy(size=1, after_hours="refuse")}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert ran.story() == ["Rejected"]
    assert "closed" in ran.infos[ran.returned[0].ref].denied


def test_an_order_outside_the_session_may_be_an_after_market_order(house):
    market = [CALM] * 7 + [(105.0, 105.0, 105.0, 105.0)] * 3
    plan = {7: lambda s: s.buy(size=1, after_hours="amo")}
    ran = house.run(Noted, market, interval="60minute", plan=plan).strategy
    assert [(size, price) for _, size, price in ran.fills] == [(1, 105.0)]
