"""Margins: Kite's sums on its own samples, and the model behind our figures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from btkite.exchange import ExchangeSettings
from btkite.exchange.account import segment_margins
from btkite.exchange.errors import Refusal
from btkite.exchange.instruments import describe
from btkite.exchange.margins import PARTS, Leg, basket_margins, basket_row, margin_row, order_margins, span_together
from btkite.exchange.venue import Venue

from .samples import sample
from .scene import KEY, Scene, candles, form

FLAT = (100.0, 100.0, 100.0, 100.0)
FUTURE, CALL = "NFO:NIFTY26NOVFUT", "NFO:NIFTY26N2426000CE"


def item(symbol: str = "INFY", side: str = "BUY", **more: Any) -> dict[str, Any]:
    return {
        "exchange": "NSE", "tradingsymbol": symbol, "transaction_type": side, "variety": "regular", "product": "CNC",
        "order_type": "LIMIT", "quantity": 10, "price": 100.0, "trigger_price": 0, **more,
    }  # fmt: skip


def test_an_orders_margin_sums_as_in_kites_sample() -> None:
    for row in [*sample("order_margins"), *sample("basket_margins")["orders"]]:
        parts = {name: row[name] for name in PARTS}
        ours = margin_row(
            row["type"], row["tradingsymbol"], row["exchange"], parts, row["leverage"], row["charges"]
        )  # fmt: skip
        assert ours == row
        assert list(ours) == list(row)


def test_a_baskets_sums_are_kites() -> None:
    basket = sample("basket_margins")
    premium = basket["orders"][1]["option_premium"] - 2673.75  # paid less got
    final = {"span": basket["final"]["span"], "exposure": basket["final"]["exposure"], "option_premium": premium}
    ours = basket_row(basket["orders"], final)
    assert ours["initial"] == basket["initial"]
    assert ours["final"] == basket["final"]
    assert {**ours["charges"], "gst": 0} == pytest.approx({**basket["charges"], "gst": 0})
    assert ours["charges"]["gst"] == basket["charges"]["gst"]
    assert ours["orders"] == basket["orders"]


@pytest.mark.parametrize("name", ["margins", "margins_equity", "margin_commodity"])
def test_a_purse_is_what_was_there_less_what_is_used(name: str) -> None:
    data = sample(name)
    for row in data.values() if name == "margins" else [data]:
        there = row["available"]
        ours = segment_margins(there["cash"], there["opening_balance"], there["intraday_payin"], row["utilised"])
        assert ours["net"] == pytest.approx(row["net"])
        assert ours["available"] == pytest.approx(there)
        assert ours["utilised"] == row["utilised"]
        assert list(ours) == list(row)


def test_the_sample_order_by_our_own_call() -> None:
    [wanted] = sample("order_margins")
    venue = Venue(ExchangeSettings(start=datetime(2023, 1, 16, 9), symbols=[KEY]))
    [ours] = order_margins(venue, [item(quantity=1, price=1498)])
    assert ours["charges"]["gst"] == pytest.approx(wanted["charges"]["gst"])
    assert {**ours["charges"], "gst": 0} == pytest.approx({**wanted["charges"], "gst": 0})
    assert {**ours, "charges": 0} == {**wanted, "charges": 0}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (item(), {"var": 1000.0, "leverage": 1}),
        (item(product="MIS"), {"var": 200.0, "leverage": 5}),
        (item(side="SELL"), {}),
        (item("NIFTY26NOVFUT", exchange="NFO", product="NRML", quantity=65, price=26000),
         {"span": 0.13 * 26000 * 65, "exposure": 0.02 * 26000 * 65}),
        (item("NIFTY26N2426000CE", exchange="NFO", product="NRML", quantity=65, price=90), {"option_premium": 5850.0}),
        (item("NIFTY26N2426000CE", "SELL", exchange="NFO", product="NRML", quantity=65, price=90),
         {"span": 0.13 * 26000 * 65, "exposure": 0.02 * 26000 * 65}),
    ],
)  # fmt: skip
def test_what_one_order_blocks(asked: dict[str, Any], wanted: dict[str, float]) -> None:
    scene = Scene([FLAT])
    [row] = order_margins(scene.venue, [asked])
    parts = {name: row[name] for name in PARTS if row[name]}
    assert {**parts, "leverage": row["leverage"]} == pytest.approx({"leverage": 1, **wanted})
    assert row["total"] == pytest.approx(sum(parts.values()))
    assert row["type"] == "equity"


def test_a_market_order_is_margined_at_the_last_price_and_compact_leaves_the_total() -> None:
    scene = Scene([FLAT] * 2).opened()
    scene.bar()
    asked = item(order_type="MARKET", price=0)
    [row] = order_margins(scene.venue, [asked], mode="compact")
    assert row == {"type": "equity", "tradingsymbol": "INFY", "exchange": "NSE", "total": 1000.0}
    basket = basket_margins(scene.venue, [asked, asked], mode="compact")
    assert (basket["initial"]["total"], basket["final"]["total"]) == (2000.0, 2000.0)
    with pytest.raises(Refusal, match="no last price of TCS"):
        order_margins(scene.venue, [item("TCS", price=0)])


def legs(*texts: str) -> list[Leg]:
    """``-75 NIFTY26NOV20600CE 35``: quantity, contract, price."""
    found = []
    for text in texts:
        quantity, symbol, price = text.split()
        found.append(Leg(describe(f"NFO:{symbol}"), "NRML", int(quantity), float(price)))
    return found


RATE = 0.13


@pytest.mark.parametrize(
    ("held", "span"),
    [
        (["-65 NIFTY26NOV26000CE 90"], RATE * 26000 * 65),
        (["65 NIFTY26NOV26000CE 90"], 0),
        # the bought call limits the loss to the distance of the strikes
        (["-65 NIFTY26NOV26000CE 90", "65 NIFTY26NOV26200CE 40"], 200 * 65),
        (["-65 NIFTY26NOV26000CE 90", "65 NIFTY26NOV25800CE 200"], 0),
        (["-65 NIFTY26NOV26000PE 90", "65 NIFTY26NOV25900PE 60"], 100 * 65),
        # covered for a half only
        (["-130 NIFTY26NOV26000CE 90", "65 NIFTY26NOV26200CE 40"], 200 * 65 + RATE * 26000 * 65),
        # another expiry covers nothing
        (["-65 NIFTY26NOV26000CE 90", "65 NIFTY26DEC26200CE 40"], RATE * 26000 * 65),
        # price cannot rise and fall at once: the dearer side of a strangle
        (["-65 NIFTY26NOV26400CE 30", "-65 NIFTY26NOV25600PE 30"], RATE * 26400 * 65),
        (["65 NIFTY26NOVFUT 26000"], RATE * 26000 * 65),
        (["65 NIFTY26NOVFUT 26000", "-65 NIFTY26NOVFUT 26100"], 0),
        (["65 NIFTY26NOVFUT 26000", "-65 NIFTY26NOV26000CE 90"], RATE * 26000 * 65),
    ],
)
def test_span_of_legs_together(held: list[str], span: float) -> None:
    assert span_together(legs(*held), ExchangeSettings(symbols=[KEY])) == pytest.approx(span)


def derivatives(**more: Any) -> Scene:
    series = {FUTURE: candles([(26000.0,) * 4] * 6), CALL: candles([(100.0,) * 4] * 6)}
    return Scene(candles=series, cash=5_000_000.0, **more).opened()


def test_a_basket_that_closes_what_is_held_needs_nothing_more() -> None:
    scene = derivatives()
    scene.venue.place("regular", form("BUY", symbol="NIFTY26NOVFUT", exchange="NFO", product="NRML", quantity=65))
    scene.bar()
    asked = [item("NIFTY26NOVFUT", "SELL", exchange="NFO", product="NRML", quantity=65, price=26000)]
    beside = basket_margins(scene.venue, asked, True)
    alone = basket_margins(scene.venue, asked, False)
    assert beside["final"]["total"] == 0
    assert alone["final"]["total"] == pytest.approx(0.15 * 26000 * 65)
    assert beside["initial"] == alone["initial"]


def test_the_spread_benefit_frees_money_where_it_is_on() -> None:
    other = "NFO:NIFTY26N2426200CE"
    series = {CALL: candles([(100.0,) * 4] * 6), other: candles([(40.0,) * 4] * 6)}
    blocked = []
    for benefit in (False, True):
        scene = Scene(candles=series, cash=5_000_000.0, spread_benefit=benefit).opened()
        for symbol, side in (("NIFTY26N2426200CE", "BUY"), ("NIFTY26N2426000CE", "SELL")):
            scene.venue.place("regular", form(side, symbol=symbol, exchange="NFO", product="NRML", quantity=65))
        scene.bar(), scene.bar()
        utilised = scene.venue.account.margins()["equity"]["utilised"]
        assert utilised["exposure"] == pytest.approx(0.02 * 26000 * 65)
        assert utilised["option_premium"] == (40 - 100) * 65
        blocked.append(utilised["span"])
    assert blocked == pytest.approx([RATE * 26000 * 65, 200 * 65])
