"""Positions by Kite's formulas, holdings, and what an order needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.account import Position
from btkite.exchange.errors import BadSettings, Refusal
from btkite.exchange.listing import Listing

from .samples import sample
from .scene import DAY, KEY, Scene, candles, form
from .scene_days import joined, next_day

FLAT = (100.0, 100.0, 100.0, 100.0)
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
    data = sample("positions")
    rows = [*data["net"], *data["day"]]
    assert len(rows) >= 5
    for row in rows:
        ours = rebuilt(row).row()
        assert {name: ours[name] for name in NUMBERS} == pytest.approx({name: row[name] for name in NUMBERS})
        assert list(ours) == list(row)


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"mis_margin": 20.0},
        {"derivative_margin": 0.1, "exposure_margin": 0.2},
        {"securities": {KEY: "bond"}},
    ],
)
def test_senseless_money_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSettings):
        Scene([FLAT], **wrong)


def bought(*, product: str = "MIS", quantity: int = 10, **more: Any) -> tuple[Scene, Listing]:
    """Flat at 100, and so much bought."""
    scene = Scene([FLAT] * 4, **more).opened()
    scene.bar()
    scene.place("BUY", product=product, quantity=quantity)
    scene.bar()
    return scene, scene.venue.market.listings[KEY]


def rows(scene: Scene) -> dict[str, int]:
    return {row["product"]: row["quantity"] for row in scene.venue.positions()["net"]}


def test_a_conversion_beyond_the_money_is_refused_and_changes_nothing() -> None:
    scene, listing = bought(cash=500.0)  # 200 of it are blocked
    with pytest.raises(Refusal) as refused:
        scene.venue.account.convert(listing, "MIS", "CNC", True, 10, False)
    assert refused.value.error_type == "MarginException"
    assert "Required margin is 800.00 but available margin is 300.00" in str(refused.value)
    assert rows(scene) == {"MIS": 10}
    assert scene.venue.account.available == 300.0
    scene.venue.account.convert(listing, "MIS", "CNC", True, 3, False)
    assert rows(scene) == {"MIS": 7, "CNC": 3}
    scene.venue.account.convert(listing, "CNC", "MIS", True, 3, False)
    assert rows(scene) == {"MIS": 10, "CNC": 0}
    assert scene.venue.account.available == 300.0


def test_a_short_position_becomes_a_delivery_only_of_shares_that_are_there() -> None:
    for held, allowed in ((4, False), (10, True)):
        scene = Scene([FLAT] * 4, holdings={KEY: (held, 80.0)}).opened()
        listing = scene.venue.market.listings[KEY]
        scene.place("SELL")
        scene.bar()
        if not allowed:
            with pytest.raises(Refusal, match="Available: 4, Requested: 10"):
                scene.venue.account.convert(listing, "MIS", "CNC", False, 10, False)
            continue
        scene.venue.account.convert(listing, "MIS", "CNC", False, 10, False)
        assert scene.venue.account.holdings[KEY].used == 10


@pytest.mark.parametrize(
    ("old", "new", "buys", "quantity", "overnight", "text"),
    [
        ("MIS", "MIS", True, 5, False, "it is the product"),
        ("MIS", "NRML", True, 5, False, "not allowed using NRML"),
        ("MIS", "CO", True, 5, False, "Cover order"),
        ("MIS", "CNC", True, 11, False, "no MIS position of 11"),
        ("MIS", "CNC", True, 0, False, "no MIS position of 0"),
        ("MIS", "CNC", False, 5, False, "no MIS position of 5"),
        ("MIS", "CNC", True, 5, True, "no MIS position of 5"),
        ("MIS", "MTF", True, 5, False, "not allowed using MTF"),
    ],
)
def test_what_cannot_be_converted_is_said(
    old: str, new: str, buys: bool, quantity: int, overnight: bool, text: str
) -> None:
    scene, listing = bought()
    with pytest.raises(Refusal, match=text):
        scene.venue.account.convert(listing, old, new, buys, quantity, overnight)
    assert rows(scene) == {"MIS": 10}


def test_a_position_that_an_open_order_closes_is_not_converted_under_it() -> None:
    scene, listing = bought()
    exit_ = scene.place("SELL", "LIMIT", price=150.0, quantity=6)
    with pytest.raises(Refusal, match="Cancel the open orders"):
        scene.venue.account.convert(listing, "MIS", "CNC", True, 5, False)
    scene.venue.account.convert(listing, "MIS", "CNC", True, 4, False)
    scene.venue.cancel("regular", exit_.order_id)
    scene.venue.account.convert(listing, "MIS", "CNC", True, 6, False)
    assert rows(scene) == {"MIS": 0, "CNC": 10}


def test_a_carried_leg_is_converted_as_it_is() -> None:
    future = "NFO:NIFTY26DECFUT"
    series = joined([candles([(26000.0 + 10 * day,) * 4] * 3, day=DAY + timedelta(days=day)) for day in range(2)])
    scene = Scene(candles={future: series}, charges=False).opened()
    scene.venue.place("regular", form("BUY", symbol="NIFTY26DECFUT", exchange="NFO", product="NRML", quantity=130))
    next_day(scene)
    scene.bar(), scene.bar()
    account, listing = scene.venue.account, scene.venue.market.listings[future]
    worth = account.worth()
    with pytest.raises(Refusal, match="no NRML position of 65"):
        account.convert(listing, "NRML", "MIS", True, 65, False)  # none of it is of today
    account.convert(listing, "NRML", "MIS", True, 65, True)
    net = {row["product"]: row for row in scene.venue.positions()["net"]}
    for row in net.values():
        assert (row["overnight_quantity"], row["average_price"], row["close_price"]) == (65, 26000.0, 26000.0)
        assert (row["pnl"], row["m2m"]) == (650.0, 650.0)
    assert account.worth() == worth


def test_money_can_be_taken_and_given_in_the_middle_of_the_day() -> None:
    scene, _ = bought(cash=10_000.0)
    account = scene.venue.account
    account.set_available(50.0)
    assert account.available == 50.0
    with pytest.raises(Refusal, match=r"Required margin is 60\.00 but available margin is 50\.00"):
        scene.place("BUY", quantity=3)
    account.set_cash(20_000.0)
    row = account.margins()["equity"]
    assert (row["available"]["cash"], row["available"]["opening_balance"]) == (20_000.0, 10_000.0)
    assert row["available"]["intraday_payin"] == 10_000.0
    assert row["net"] == 20_000 - 200
    scene.venue.take_cash(5_000.0)
    assert account.available == 15_000 - 200


def test_the_days_profit_may_be_withheld_until_the_next() -> None:
    for usable, wanted in ((True, 10_100.0), (False, 10_000.0)):
        scene = Scene(
            [FLAT, FLAT, (110.0,) * 4, (110.0,) * 4], cash=10_000.0, intraday_profit_usable=usable
        ).opened()  # fmt: skip
        scene.place("BUY")
        scene.bar(), scene.bar(), scene.bar()
        scene.place("SELL")
        scene.to_end()
        assert scene.venue.account.available == wanted


def test_shares_sold_are_shown_with_the_part_that_is_withheld() -> None:
    scene = Scene([FLAT] * 4, cash=10_000.0, holdings={KEY: (10, 80.0)}).opened()
    scene.bar()
    scene.place("SELL", product="CNC")
    scene.bar()
    utilised = scene.venue.account.margins()["equity"]["utilised"]
    assert (utilised["holding_sales"], utilised["delivery"], utilised["debits"]) == pytest.approx((-1000, 200, -800))
