"""What Kite does not take is denied here, in every mode, before a call is made: the exchange is as strict as Kite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from btkite.simulator import described
from btkite.testing import bars as canned
from btkite.testing import run_strategy
from tests.brokers.scene import CALM, DAY, Order, Planned, buy, sell

INDEX, STOCK, OPTION = "NFO:NIFTY26NOVFUT", "NFO:RELIANCE26NOVFUT", "NFO:RELIANCE26NOV100CE"
SHARE, GOLD, SENSEX = "NSE:TEST", "MCX:GOLDM26DECFUT", "BFO:SENSEX26NOVFUT"
NEAR = {"broker.physical_days": 0}
"""The option is in its last days, of which nothing here speaks."""
LOTS = {INDEX: 65, STOCK: 500, OPTION: 500, SENSEX: 20}
LIMIT = {"exectype": Order.Limit, "price": 100.0}
KITE = {
    "checks": ("circuit", "disclosed", "freeze", "order_size", "segments"),
    "check_circuit": True,
    "check_tick_size": True,
    "check_trigger_side": True,
    "require_market_protection": True,
    "cash": 1e9,
}

DENIED = [
    (GOLD, buy(size=1, product="NRML", validity="IOC", **LIMIT), "validity", "no IOC orders on MCX: use validity DAY"),
    (GOLD, buy(size=1, product="NRML", validity="TTL", validity_ttl=5, **LIMIT), "validity", "no TTL orders on MCX"),
    (SENSEX, buy(size=20, validity="TTL", validity_ttl=5, **LIMIT), "validity", "no TTL orders on BFO"),
    (SHARE, buy(validity="TTL", **LIMIT), "validity", "validity_ttl of 1 to 120 minutes, not 0"),
    (SHARE, buy(validity="TTL", validity_ttl=121, **LIMIT), "validity", "1 to 120 minutes, not 121"),
    (INDEX, buy(size=100), "LotSize", "not a multiple of NFO:NIFTY26NOVFUT's lot of 65: use 65 or 130"),
    (INDEX, buy(size=64), "LotSize", "lot of 65: use 65"),
    (INDEX, buy(size=17_615), "freeze", "are more than 10 slices of 1755: give smaller ones"),
    (INDEX, buy(size=17_615, autoslice=True), "freeze", "more than 10 slices"),
    (INDEX, buy(size=3640, variety="iceberg", iceberg_legs=2, iceberg_quantity=1820), "freeze", "more than one order"),
    (SHARE, buy(size=100_001), "order_size", "at most 100000 of a share in one order, not 100001"),
    (SHARE, buy(size=99_000, exectype=Order.Limit, price=1020.0), "order_size", "at most ₹10 crore in one order"),
    (INDEX, buy(size=65, disclosed_quantity=65), "disclosed", "for shares only"),
    (SHARE, buy(size=100, disclosed_quantity=101), "disclosed", "more than the order's 100"),
    (SHARE, buy(size=95, disclosed_quantity=9), "disclosed", "10 at least (10 %)"),
    (SHARE, buy(size=10, variety="iceberg", iceberg_legs=1, iceberg_quantity=10), "iceberg", "between 2 and 50, not 1"),
    (SHARE, buy(size=10, variety="iceberg", iceberg_legs=3, iceberg_quantity=3), "iceberg", "in 3 legs is 4, not 3"),
    (SHARE, buy(size=2, variety="iceberg", iceberg_legs=3, iceberg_quantity=1), "iceberg", "less than 3 legs"),
    (SHARE, buy(market_protection=0), "wording", "must be -1 (Kite's own) or above 0"),
    (SHARE, buy(market_protection=101), "wording", "at most 100 per cent"),
    (SHARE, buy(product="NRML"), "broker.default_product", "NRML is no product of NSE:TEST: use CNC, MIS or MTF"),
    (INDEX, buy(size=65, product="CNC"), "broker.default_product", "CNC is no product"),
    (SHARE, buy(exectype=Order.Stop, price=99.0), "trigger", "must lie above the last price"),
    (SHARE, buy(exectype=Order.StopLimit, price=101.0, plimit=100.5), "trigger", "Kite refuses"),
    (SHARE, buy(size=0.4), "quantity", "less than one"),
]
IDS = [f"{symbol} {rule} {number}" for number, (symbol, _, rule, _) in enumerate(DENIED)]


class Described(Planned):
    """Of candles that come from nowhere, lots and names are told here, as Kite's dump tells them."""

    def __init__(self) -> None:
        super().__init__()
        (key,) = self.cerebro.datasbyname
        self.data.bind(replace(described([key])[key], lot_size=LOTS.get(key, 1)))


def kite(symbol: str) -> dict[str, Any]:
    """The exchange with every check that Kite makes."""
    purse = {"commodity_cash": 1e9} if symbol == GOLD else {}
    return {**KITE, **purse, "lot_sizes": {key: lot for key, lot in LOTS.items() if key == symbol}}


def market(symbol: str, rows: Any = (CALM,) * 5) -> dict[str, Any]:
    return {symbol: canned.from_rows(list(rows), symbol=symbol, day=DAY)}


@pytest.mark.parametrize(("symbol", "give", "rule", "words"), DENIED, ids=IDS)
def test_what_kite_does_not_take_is_denied_in_history(symbol, give, rule, words):
    ran = run_strategy(Described, market(symbol), plan={2: give}).strategy
    assert ran.story() == ["Rejected"]
    assert words in ran.given[0].info.denied
    assert ran.position.size == 0


@pytest.mark.parametrize("mode", ["paper", "live"])
@pytest.mark.parametrize(("symbol", "give", "rule", "words"), DENIED, ids=IDS)
def test_what_kite_does_not_take_never_reaches_it(kite_exchange, mode, symbol, give, rule, words):
    ran = kite_exchange.run_strategy(Planned, market(symbol), mode=mode, plan={2: give}, settings=kite(symbol)).strategy
    assert ran.story() == ["Rejected"]
    assert words in ran.given[0].info.denied
    assert ran.given[0].info.denied_by == rule
    assert calls(kite_exchange) == kite_exchange.orders() == []


TAKEN = [
    (SHARE, buy(size=100, validity="IOC", **LIMIT)),
    (SHARE, buy(validity="TTL", validity_ttl=120, **LIMIT)),
    (SHARE, buy(size=100_000, exectype=Order.Limit, price=99.0)),
    (SHARE, buy(size=95, disclosed_quantity=10, **LIMIT)),
    (SHARE, buy(size=10, variety="iceberg", iceberg_legs=3, iceberg_quantity=4, **LIMIT)),
    (SHARE, buy(market_protection=None)),
    (SHARE, buy(exectype=Order.Stop, price=100.1, market_protection=None)),
    (SHARE, buy(exectype=Order.Limit, price=99.987)),
    (SHARE, sell(exectype=Order.StopLimit, price=99.96, plimit=99.93)),
    (INDEX, buy(size=1755)),
    (INDEX, buy(size=1690, autoslice=True)),
    (INDEX, buy(size=17_550)),
    (STOCK, sell(size=500, exectype=Order.Stop, price=99.0)),
    (OPTION, buy(size=500)),
    (OPTION, buy(size=500, exectype=Order.Stop, price=101.0)),
    (GOLD, buy(product="NRML")),
]


@pytest.mark.parametrize(("symbol", "give"), TAKEN, ids=[f"{one[0]} {n}" for n, one in enumerate(TAKEN)])
def test_what_stands_at_the_edge_of_the_rules_is_taken_by_the_exchange(kite_exchange, symbol, give):
    ran = kite_exchange.run_strategy(
        Planned, market(symbol), cash=1e9, plan={2: give}, settings=kite(symbol), config=NEAR
    ).strategy
    assert "denied" not in ran.given[0].info
    assert {row["status"] for row in kite_exchange.orders()} <= {"COMPLETE", "OPEN", "TRIGGER PENDING", "CANCELLED"}
    assert {asked["status"] for asked in calls(kite_exchange)} == {200}
    assert all(row["market_protection"] for row in kite_exchange.orders() if row["order_type"] in ("MARKET", "SL-M"))


def test_a_change_that_kite_does_not_take_is_denied_too(kite_exchange):
    plan = {
        2: lambda s: s.buy(size=100, exectype=Order.Limit, price=90.0),
        3: lambda s: s.broker.modify(s.given[0], size=100_001),
    }
    ran = kite_exchange.run_strategy(Planned, market(SHARE), plan=plan, settings=kite(SHARE)).strategy
    assert "at most 100000" in ran.given[0].info.denied_change
    assert [asked["method"] for asked in calls(kite_exchange)] == ["POST"]


def test_a_market_order_in_an_option_on_a_share_goes_as_a_protected_limit(kite_exchange):
    ran = kite_exchange.run_strategy(
        Planned, market(OPTION), plan={2: buy(size=500)}, settings=kite(OPTION), config=NEAR
    ).strategy
    (row,) = kite_exchange.orders()
    assert (row["order_type"], row["price"], row["status"]) == ("LIMIT", 102.0, "COMPLETE")
    assert ran.story()[-1] == "Completed"


def calls(exchange: Any) -> list[dict[str, Any]]:
    """The order calls that the exchange has heard."""
    return [row for row in exchange.steer.requests() if row["path"].startswith("/orders") and row["method"] != "GET"]


def test_what_the_kill_switch_closes_goes_in_as_many_orders_as_it_needs(kite_exchange):
    plan = {
        2: lambda s: [s.buy(size=1755), s.buy(size=1690)],
        3: lambda s: s.broker.close_out(INDEX, s, because="by hand", tag="kill"),
    }
    ran = kite_exchange.run_strategy(Planned, market(INDEX), cash=1e9, plan=plan, settings=kite(INDEX)).strategy
    assert [int(row["quantity"]) for row in kite_exchange.orders() if row["transaction_type"] == "SELL"] == [1755, 1690]
    assert ran.position.size == 0
