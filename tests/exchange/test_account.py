"""Positions by Kite's formulas, holdings, and what an order needs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.account import Position
from btkite.exchange.errors import Refusal
from btkite.exchange.listing import Listing

from .scene import KEY, Scene, form

FLAT = (100.0, 100.0, 100.0, 100.0)
SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
NUMBERS = (
    "quantity", "overnight_quantity", "average_price", "close_price", "last_price", "value", "pnl", "m2m",
    "unrealised", "realised", "buy_quantity", "buy_price", "buy_value", "buy_m2m", "sell_quantity", "sell_price",
    "sell_value", "sell_m2m", "day_buy_quantity", "day_buy_price", "day_buy_value", "day_sell_quantity",
    "day_sell_price", "day_sell_value", "multiplier",
)  # fmt: skip


def rebuilt(row: dict[str, Any]) -> Position:
    """A position with the legs of one of Kite's sample rows."""
    listing = Listing(
        InstrumentRow(exchange=row["exchange"], tradingsymbol=row["tradingsymbol"], multiplier=row["multiplier"]),
        None,
        0,
    )
    listing.path = listing.last = row["last_price"]
    position = Position(listing, row["product"])
    position.overnight, position.close_price = row["overnight_quantity"], row["close_price"]
    carried = row["buy_value"] - row["day_buy_value"] + row["sell_value"] - row["day_sell_value"]
    position.overnight_value = position.settled_value = carried
    position.buy_quantity, position.buy_value = row["day_buy_quantity"], row["day_buy_value"]
    position.sell_quantity, position.sell_value = row["day_sell_quantity"], row["day_sell_value"]
    return position


def test_positions_equal_kites_own_sample_rows() -> None:
    sample = SHARED / "data" / "kite_mocks" / "positions.json"
    if not sample.is_file():
        pytest.skip("Kite's sample responses are not beside the repository (BTKITE_SHARED)")
    data = json.loads(sample.read_text())["data"]
    rows = [*data["net"], *data["day"]]
    assert len(rows) >= 5
    for row in rows:
        ours = rebuilt(row).row()
        assert {name: ours[name] for name in NUMBERS} == pytest.approx({name: row[name] for name in NUMBERS})


def test_products_do_not_net_and_flat_rows_stay_for_the_day() -> None:
    scene = Scene([FLAT] * 3).opened()
    scene.place("BUY")
    scene.place("BUY", product="CNC")
    scene.bar(), scene.bar(), scene.bar()
    scene.place("SELL")
    scene.to_end()
    net = {row["product"]: row["quantity"] for row in scene.venue.positions()["net"]}
    assert net == {"MIS": 0, "CNC": 10}


def test_money_is_opening_balance_less_what_is_used() -> None:
    scene = Scene([FLAT, FLAT, (110.0, 110.0, 110.0, 110.0), FLAT], cash=100_000.0).opened()
    scene.bar()
    scene.place("BUY", quantity=100)  # MIS: a fifth of 10,000 is blocked
    assert scene.venue.account.available == 98_000
    scene.bar()
    assert scene.venue.account.available == 98_000
    scene.place("BUY", product="CNC", quantity=10)
    scene.bar()
    assert scene.venue.account.available == 97_000
    assert scene.bar() == "09:17:00"
    scene.place("SELL", quantity=100)
    scene.bar()
    equity = scene.venue.account.margins()["equity"]
    assert scene.fills()[-1] == ("09:17:00", "SELL", 110.0)
    assert equity["available"]["live_balance"] == equity["net"] == 100_000 - 1_000 + 1_000
    assert equity["net"] == equity["available"]["cash"] - equity["utilised"]["debits"]


def test_an_order_beyond_the_money_is_refused_with_both_figures() -> None:
    scene = Scene([FLAT] * 2, cash=10_000.0).opened()
    with pytest.raises(Refusal) as refused:
        scene.place("BUY", "LIMIT", price=100.05, product="CNC", quantity=100)
    assert (refused.value.code, refused.value.error_type) == (400, "MarginException")
    assert str(refused.value) == "Insufficient funds. Required margin is 10005.00 but available margin is 10000.00."
    scene.place("BUY", "LIMIT", price=100.0, product="CNC", quantity=100)  # to the last rupee


def test_an_exit_needs_no_margin_but_a_second_exit_beside_it_does() -> None:
    scene = Scene([FLAT] * 3, cash=2_100.0).opened()
    scene.place("BUY", quantity=100)
    scene.bar()
    scene.place("SELL", "LIMIT", price=105.0, quantity=100)
    with pytest.raises(Refusal, match="Insufficient funds"):
        scene.place("SELL", "SL-M", trigger_price=95.0, quantity=100)


def test_a_delivery_sale_needs_the_shares() -> None:
    scene = Scene([FLAT] * 2, check_holdings=True, holdings={KEY: (10, 80.0)}).opened()
    with pytest.raises(Refusal) as refused:
        scene.place("SELL", product="CNC", quantity=11)
    assert (refused.value.error_type, str(refused.value)) == (
        "HoldingException", "Insufficient holdings. Available: 10, Requested: 11",
    )  # fmt: skip
    scene.place("SELL", product="CNC", quantity=10)
    scene.bar()
    row = scene.venue.account.holdings[KEY].row()
    assert (row["quantity"], row["used_quantity"]) == (10, 10)
    assert scene.venue.positions()["net"][0]["quantity"] == -10
    assert scene.venue.account.available == pytest.approx(1e9 + 800)  # a fifth of the proceeds is withheld


def test_a_refused_change_leaves_order_and_money_as_they_were() -> None:
    scene = Scene([FLAT] * 2, cash=10_000.0).opened()
    order = scene.place("BUY", "LIMIT", price=99.0, product="CNC", quantity=100)
    rows = len(order.history)
    with pytest.raises(Refusal, match="Insufficient funds"):
        scene.venue.modify("regular", order.order_id, {"quantity": "200"})
    assert (order.quantity, len(order.history), scene.venue.account.available) == (100, rows, 100.0)


def test_conversion_moves_the_day_leg_to_the_other_product() -> None:
    scene = Scene([FLAT] * 2).opened()
    scene.place("BUY")
    scene.bar()
    scene.venue.account.convert(scene.venue.market.listings[KEY], "MIS", "CNC", True, 6, False)
    net = {row["product"]: (row["quantity"], row["average_price"]) for row in scene.venue.positions()["net"]}
    assert net == {"MIS": (4, 100.0), "CNC": (6, 100.0)}
    with pytest.raises(Refusal, match="no MIS position of 5"):
        scene.venue.account.convert(scene.venue.market.listings[KEY], "MIS", "CNC", True, 5, False)


def test_futures_and_options_are_margined_by_their_contract() -> None:
    future, call = "NFO:NIFTY26NOVFUT", "NFO:NIFTY26N2426000CE"
    from .scene import candles

    series = {future: candles([(26000.0,) * 4] * 2), call: candles([(100.0,) * 4] * 2)}
    scene = Scene(candles=series, cash=2_000_000.0).opened()
    venue = scene.venue
    money = venue.account.available
    venue.place("regular", form("BUY", symbol="NIFTY26NOVFUT", exchange="NFO", product="NRML", quantity=65))
    scene.bar()
    assert venue.account.available == pytest.approx(money - 0.15 * 26000 * 65)
    money = venue.account.available
    venue.place("regular", form("BUY", symbol="NIFTY26N2426000CE", exchange="NFO", product="NRML", quantity=65))
    scene.bar()
    assert venue.account.available == pytest.approx(money - 100 * 65)
    money = venue.account.available
    venue.place("regular", form("SELL", symbol="NIFTY26N2426000CE", exchange="NFO", product="NRML", quantity=130))
    scene.to_end()
    short = 0.15 * 26000 * 65
    assert venue.account.available == pytest.approx(money + 130 * 100 - short)
